// The tasks of warp for one instruction set (see simd.h for how it is included).
#pragma once

#include <cstdint>

#include "../core/warp.h"
#include "blocks.h"
#include "vectors.h"
#include "warp_cpu.h"
#include "warp_points.h"

namespace symflow {
namespace SYMFLOW_ISA {

// ---- planes side by side ------------------------------------------------------------------------------------------

// The planes of a block, as rows in memory.
template <class Pointer, int lanes>
struct Rows {
  Pointer at[lanes];
  Index count;  // fewer than `lanes` in the last block of a set

  template <class Offset>
  Rows(Pointer base, Index planes, Index block, Offset offset) {
    count = planes - block * lanes < lanes ? planes - block * lanes : lanes;
    for (Index r = 0; r < count; ++r) at[r] = base + offset(block * lanes + r);
  }
};

// The numbers first .. first + count (at most n) of each plane, for each of them those of all planes side by side.
template <class T, int lanes, int n>
SYMFLOW_HD void load_columns(const Rows<const T*, lanes>& rows, Index first, Index count,
                             VectorOf<T, n> (&columns)[lanes]) {
  using V = VectorOf<T, n>;
  SYMFLOW_UNROLL
  for (int r = 0; r < lanes; ++r) {
    if (r >= rows.count) {
      columns[r] = V{};
    } else if (count >= n) {
      columns[r] = load_vector<V>(rows.at[r] + first);
    } else {
      columns[r] = load_first<V>(rows.at[r] + first, count);
    }
  }
  to_columns<T, n, lanes>(columns);
}

template <class T, int lanes>
SYMFLOW_HD void store_square(VectorOf<T, lanes> (&square)[lanes], const Rows<T*, lanes>& rows, Index first,
                             Index count) {
  to_columns<T, lanes, lanes>(square);
  SYMFLOW_UNROLL
  for (int r = 0; r < lanes; ++r) {
    if (r >= rows.count) break;
    if (count >= lanes) {
      store_vector(rows.at[r] + first, square[r]);
    } else {
      store_first(rows.at[r] + first, square[r], count);
    }
  }
}

// ---- tasks --------------------------------------------------------------------------------------------------------

// A short row: whole registers, the last of which begins early enough to be one.
template <class T>
SYMFLOW_HD void copy(const T* from, Index count, T* to) {
  using S = Simd<T>;
  if (count < S::lanes) {
    for (Index i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  for (Index i = 0; i < count; i += S::lanes) {
    const Index at = i + S::lanes > count ? count - S::lanes : i;
    S::store(to + at, S::load(from + at));
  }
}

template <int lanes, class T>
void pack(const WarpProblem<T>& f, Index block, Index first_row, Index last_row, const T* images, T* packed) {
  constexpr int whole = Simd<T>::lanes;
  const Index set = block / f.blocks, width = f.width;
  const Rows<const T*, lanes> rows(images, f.planes, block % f.blocks,
                                   [&](Index plane) { return f.image_row(set, plane); });
  T* to = packed + (block - f.first_block) * f.frame.cells * lanes;
  const auto clear = [&](Index first, Index last) {
    for (Index i = first * lanes; i < last * lanes; ++i) to[i] = 0;
  };
  if (first_row == 0) clear(0, f.frame.row(0));
  for (Index r = first_row; r < last_row; ++r) {
    if constexpr (lanes == 1) {
      copy(rows.at[0] + r * width, width, to + f.frame.row(r));
    }
    for (Index i = 0; lanes > 1 && i < width; i += whole) {
      // The last part of a row begins early enough to be whole, if the row is long enough.
      const Index c = i + whole > width && width >= whole ? width - whole : i;
      VectorOf<T, whole> columns[lanes];
      load_columns<T, lanes, whole>(rows, r * width + c, width - c, columns);
      T* at = to + (f.frame.row(r) + c) * lanes;
      for (Index j = 0, left = (width - c) * lanes; j < lanes && left > 0; ++j, at += whole, left -= whole) {
        if (left >= whole) {
          store_vector(at, columns[j]);
        } else {
          store_first(at, columns[j], left);
        }
      }
    }
    clear(f.frame.row(r) + width, f.frame.row(r + 1));
  }
  if (last_row == f.height) clear(f.frame.row(last_row), f.frame.cells);
}

// The part of the work that a task of `sample` and `grid_gradient` stands for.
struct WarpTask {
  Index set, unit, grid, chunk, first_block, last_block;

  template <class T>
  WarpTask(const WarpProblem<T>& f, Index task) {
    chunk = task % f.chunks;
    grid = task / f.chunks % f.grids;
    unit = task / (f.chunks * f.grids) % f.units;
    set = task / (f.chunks * f.grids * f.units);
    first_block = unit * f.unit_blocks;
    last_block = first_block + f.unit_blocks < f.blocks ? first_block + f.unit_blocks : f.blocks;
  }

  // Where a block of the set is in the wave.
  template <class T>
  Index packed(const WarpProblem<T>& f, Index block) const {
    return (set * f.blocks + block - f.first_block) * f.frame.cells * f.lanes;
  }
};

// What is sampled in cells of p and q, `cells(p)` and `cells(q)`: p, and what a velocity (x, y) adds to q.
template <bool has_p, bool has_q, class Cells, class T, class X>
SYMFLOW_HD auto sampled(const Cells& cells, const T* p, const T* q, const X& x, const X& y) {
  if constexpr (has_q) {
    const auto c = cells(q);
    const auto moved = x * c.dx + y * c.dy;
    if constexpr (has_p) {
      return cells(p).value + moved;
    } else {
      return moved;
    }
  } else {
    return cells(p).value;
  }
}

template <int lanes, bool has_p, bool has_q, class T>
void sample(const WarpProblem<T>& f, Index index) {
  using S = Simd<T>;
  using V = VectorOf<T, lanes>;
  const WarpTask task(f, index);
  Points<T> points;
  load_points(f, task.set * f.grids + task.grid, task.chunk, has_q, points);
  for (Index block = task.first_block; block < task.last_block; ++block) {
    const Rows<T*, lanes> rows(f.out, f.planes, block, [&](Index plane) {
      return f.result_row(task.set, plane, task.grid) + task.chunk * warp_chunk;
    });
    const T* p = has_p ? f.p + task.packed(f, block) : nullptr;
    const T* q = has_q ? f.q + task.packed(f, block) : nullptr;
    if constexpr (lanes == 1) {
      for (Index i = 0; i < points.count; i += S::lanes) {
        const auto cells = [&](const T* plane)
                               SYMFLOW_INLINE_LAMBDA { return cells_of(plane, f.frame.stride, points, i); };
        const auto value = sampled<has_p, has_q>(cells, p, q, S::load(points.x + i), S::load(points.y + i));
        if (points.count - i >= S::lanes) {
          S::store(rows.at[0] + i, value);
        } else {
          store_first(rows.at[0] + i, value, points.count - i);
        }
      }
    } else {
      for (Index first = 0; first < points.count; first += lanes) {
        V square[lanes];
        SYMFLOW_UNROLL
        for (int j = 0; j < lanes; ++j) {
          const Index i = first + j;
          const auto cells = [&](const T* block_of)
                                 SYMFLOW_INLINE_LAMBDA { return cell_of<lanes>(block_of, f.frame.stride, points, i); };
          square[j] = sampled<has_p, has_q>(cells, p, q, points.x[i], points.y[i]);
        }
        store_square<T, lanes>(square, rows, first, points.count - first);
      }
    }
  }
}

// totals[i] = the sum of the lanes of sums[i], for `lanes` of them at once.
template <class T, int lanes>
SYMFLOW_HD void sum_lanes(const VectorOf<T, lanes>* sums, T* totals) {
  VectorOf<T, lanes> square[lanes];
  for (int i = 0; i < lanes; ++i) square[i] = sums[i];
  to_columns<T, lanes, lanes>(square);
  VectorOf<T, lanes> total = square[0];
  for (int i = 1; i < lanes; ++i) total += square[i];
  store_vector(totals, total);
}

template <class V>
struct Slopes {
  V x, y;
};

// The derivatives of `sampled` in the place of the point, in pixels.
template <bool has_p, bool has_q, class Cells, class T, class X>
SYMFLOW_HD auto slopes_of(const Cells& cells, const T* p, const T* q, const X& x, const X& y) {
  if constexpr (has_q) {
    const auto mixed = cells(q).dxy;
    if constexpr (has_p) {
      const auto c = cells(p);
      return Slopes<decltype(c.dx)>{c.dx + y * mixed, c.dy + x * mixed};
    } else {
      return Slopes<decltype(y * mixed)>{y * mixed, x * mixed};
    }
  } else {
    const auto c = cells(p);
    return Slopes<decltype(c.dx)>{c.dx, c.dy};
  }
}

template <int lanes, bool has_p, bool has_q, class T>
void grid_gradient(const WarpProblem<T>& f, Index index) {
  using S = Simd<T>;
  using V = VectorOf<T, lanes>;
  const WarpTask task(f, index);
  const Index grid = task.set * f.grids + task.grid;
  Points<T> points;
  load_points(f, grid, task.chunk, has_q, points);
  V sum_x[warp_chunk], sum_y[warp_chunk];
  for (Index i = 0; i < round_up(points.count, lanes == 1 ? S::lanes : lanes); ++i) sum_x[i] = sum_y[i] = V{};
  for (Index block = task.first_block; block < task.last_block; ++block) {
    const Rows<const T*, lanes> rows(f.grad, f.planes, block, [&](Index plane) {
      return f.result_row(task.set, plane, task.grid) + task.chunk * warp_chunk;
    });
    const T* p = has_p ? f.p + task.packed(f, block) : nullptr;
    const T* q = has_q ? f.q + task.packed(f, block) : nullptr;
    if constexpr (lanes == 1) {
      for (Index i = 0; i < points.count; i += S::lanes) {
        const auto cells = [&](const T* plane)
                               SYMFLOW_INLINE_LAMBDA { return cells_of(plane, f.frame.stride, points, i); };
        const auto slopes = slopes_of<has_p, has_q>(cells, p, q, S::load(points.x + i), S::load(points.y + i));
        const Index left = points.count - i;
        const auto grad =
            left >= S::lanes ? S::load(rows.at[0] + i) : load_first<typename S::Value>(rows.at[0] + i, left);
        S::store(sum_x + i, S::load(sum_x + i) + grad * slopes.x);
        S::store(sum_y + i, S::load(sum_y + i) + grad * slopes.y);
      }
    } else {
      for (Index first = 0; first < points.count; first += lanes) {
        V grad[lanes];
        load_columns<T, lanes, lanes>(rows, first, points.count - first, grad);
        SYMFLOW_UNROLL
        for (int j = 0; j < lanes; ++j) {
          const Index i = first + j;
          const auto cells = [&](const T* block_of)
                                 SYMFLOW_INLINE_LAMBDA { return cell_of<lanes>(block_of, f.frame.stride, points, i); };
          const auto slopes = slopes_of<has_p, has_q>(cells, p, q, points.x[i], points.y[i]);
          sum_x[i] += grad[j] * slopes.x;
          sum_y[i] += grad[j] * slopes.y;
        }
      }
    }
  }
  T* to = f.grad_grid + 2 * ((task.unit * f.sets * f.grids + grid) * f.points + task.chunk * warp_chunk);
  for (Index first = 0; first < points.count; first += lanes) {
    T x[lanes], y[lanes];
    sum_lanes<T, lanes>(sum_x + first, x);
    sum_lanes<T, lanes>(sum_y + first, y);
    for (Index i = first; i < first + lanes && i < points.count; ++i) {
      to[2 * i] = points.slope_x[i] * x[i - first];
      to[2 * i + 1] = points.slope_y[i] * y[i - first];
    }
  }
}

template <int lanes, bool moving, class T>
void image_gradient(const WarpProblem<T>& f, Index index, T* scratch) {
  using V = VectorOf<T, lanes>;
  const Index set = index / f.blocks, block = index % f.blocks;
  for (Index i = 0; i < f.frame.cells * lanes; ++i) scratch[i] = 0;
  for (Index grid = 0; grid < f.grids; ++grid) {
    const Rows<const T*, lanes> rows(f.grad, f.planes, block,
                                     [&](Index plane) { return f.result_row(set, plane, grid); });
    for (Index chunk = 0; chunk < f.chunks; ++chunk) {
      Points<T> points;
      load_points(f, set * f.grids + grid, chunk, moving, points);
      for (Index first = 0; first < points.count; first += lanes) {
        V grad[lanes];
        load_columns<T, lanes, lanes>(rows, chunk * warp_chunk + first, points.count - first, grad);
        for (int j = 0; j < lanes && first + j < points.count; ++j) {
          const Index i = first + j;
          const T tx = points.tx[i], ty = points.ty[i];
          const Weights<T> weights =
              moving ? bilinear_weights_dot(tx, ty, points.x[i], points.y[i]) : bilinear_weights(tx, ty);
          SYMFLOW_UNROLL
          for (int c = 0; c < 4; ++c) {
            T* at = scratch + (points.cell[i] + c / 2 * f.frame.stride + c % 2) * lanes;
            store_vector(at, load_vector<V>(at) + weights.w[c] * grad[j]);
          }
        }
      }
    }
  }
  const Index width = f.width;
  const Rows<T*, lanes> rows(f.grad_images, f.planes, block, [&](Index plane) { return f.image_row(set, plane); });
  for (Index r = 0; r < f.height; ++r) {
    for (Index i = 0; i < width; i += lanes) {
      const Index c = i + lanes > width && width >= lanes ? width - lanes : i;
      V square[lanes];
      for (int j = 0; j < lanes; ++j) {
        const Index cell = f.frame.row(r) + (c + j < width ? c + j : width - 1);
        square[j] = load_vector<V>(scratch + cell * lanes);
      }
      store_square<T, lanes>(square, rows, r * width + c, width - c);
    }
  }
}

// ---- one function for every number of lanes -------------------------------------------------------------------------

// Few planes are sampled, and take turns at the sums of a pixel, side by side in a part of a register.
template <class T>
constexpr int narrow_lanes = Simd<T>::lanes < 4 ? Simd<T>::lanes : 4;

// Calls work(lanes as a constant) for one of the numbers of lanes that may be.
template <int... possible, class Work>
void with_lanes(Index lanes, const Work& work) {
  (void)((lanes == possible && (work(std::integral_constant<int, possible>()), true)) || ...);
}

template <class T>
void pack_any(const WarpProblem<T>& f, Index block, Index first_row, Index last_row, const T* images, T* packed) {
  with_lanes<1, narrow_lanes<T>, Simd<T>::lanes>(
      f.lanes, [&](auto lanes) { pack<lanes()>(f, block, first_row, last_row, images, packed); });
}

// work(whether there is a p, whether there is a q).
template <class T, class Work>
void with_terms(const WarpProblem<T>& f, const Work& work) {
  if (f.q == nullptr) {
    work(std::true_type(), std::false_type());
  } else if (f.p == nullptr) {
    work(std::false_type(), std::true_type());
  } else {
    work(std::true_type(), std::true_type());
  }
}

template <class T>
void sample_any(const WarpProblem<T>& f, Index task) {
  with_lanes<1, narrow_lanes<T>, Simd<T>::lanes>(
      f.lanes, [&](auto lanes) { with_terms(f, [&](auto p, auto q) { sample<lanes(), p(), q()>(f, task); }); });
}

template <class T>
void grid_gradient_any(const WarpProblem<T>& f, Index task) {
  with_lanes<1, Simd<T>::lanes>(
      f.lanes, [&](auto lanes) { with_terms(f, [&](auto p, auto q) { grid_gradient<lanes(), p(), q()>(f, task); }); });
}

template <class T>
void image_gradient_any(const WarpProblem<T>& f, Index block, T* scratch) {
  with_lanes<1, narrow_lanes<T>, Simd<T>::lanes>(f.lanes, [&](auto lanes) {
    if (f.velocity != nullptr) {
      image_gradient<lanes(), true>(f, block, scratch);
    } else {
      image_gradient<lanes(), false>(f, block, scratch);
    }
  });
}

template <class T>
constexpr WarpKernels<T> warp_kernels() {
  return {Simd<T>::lanes, narrow_lanes<T>, pack_any<T>, sample_any<T>, grid_gradient_any<T>, image_gradient_any<T>};
}

extern const WarpKernels<float> warp_float;
extern const WarpKernels<double> warp_double;
const WarpKernels<float> warp_float = warp_kernels<float>();
const WarpKernels<double> warp_double = warp_kernels<double>();

}  // namespace SYMFLOW_ISA
}  // namespace symflow
