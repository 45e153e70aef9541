// The tasks of warp for one instruction set (see simd.h for how it is included).
#pragma once

#include <cstdint>

#include "../core/warp.h"
#include "blocks.h"
#include "vectors.h"
#include "warp_cpu.h"

namespace symflow {
namespace SYMFLOW_ISA {

// ---- points -------------------------------------------------------------------------------------------------------

// What the kernels know of a chunk of points, computed once for all planes. Behind the last point, up to a whole
// vector, stand points outside the images.
template <class T>
struct Points {
  std::int32_t cell[warp_chunk];  // of v00
  T tx[warp_chunk], ty[warp_chunk];
  T slope_x[warp_chunk], slope_y[warp_chunk];  // pixels per unit of the grid
  T x[warp_chunk], y[warp_chunk];              // the velocity in pixels
  Index count;
};

// One axis of a grid [points, 2].
template <Padding padding, class T>
void locate_axis(const T* __restrict__ grid, Index count, std::int32_t size, std::int32_t* __restrict__ index,
                 T* __restrict__ t, T* __restrict__ slope) {
  // Two loops, which the compiler turns into vectors; in a single one it finds branches.
  for (Index i = 0; i < count; ++i) {
    const Position<T> position = locate<padding>(grid[2 * i], size);
    t[i] = position.u;
    slope[i] = position.slope;
  }
  for (Index i = 0; i < count; ++i) {
    const Place<T> place = place_of(t[i], size);
    index[i] = place.index;
    t[i] = place.t;
  }
}

// A cell with no pixel at its corners.
template <class T>
std::int32_t outside_of(const WarpProblem<T>& f) {
  return std::int32_t(f.frame.row(f.height));
}

template <Padding padding, class T>
void locate_points(const WarpProblem<T>& f, const T* grid, Points<T>& points) {
  std::int32_t column[warp_chunk], row[warp_chunk];
  locate_axis<padding>(grid, points.count, f.width, column, points.tx, points.slope_x);
  locate_axis<padding>(grid + 1, points.count, f.height, row, points.ty, points.slope_y);
  const std::int32_t height = f.height, width = f.width, stride = std::int32_t(f.frame.stride), outside = outside_of(f);
  for (Index i = 0; i < points.count; ++i) {
    // Unsigned, because far outside the product may not fit.
    const std::uint32_t cell = std::uint32_t(row[i] + 1) * std::uint32_t(stride) + std::uint32_t(column[i] + 1);
    const bool touches = inside(row[i] + 1, height + 1) && inside(column[i] + 1, width + 1);
    points.cell[i] = touches ? std::int32_t(cell) : outside;
  }
}

// Chunk `chunk` of grid `grid` (of all sets).
template <class T>
void load_points(const WarpProblem<T>& f, Index grid, Index chunk, bool velocity, Points<T>& points) {
  const Index first = grid * f.points + chunk * warp_chunk;
  points.count = f.points - chunk * warp_chunk < warp_chunk ? f.points - chunk * warp_chunk : warp_chunk;
  const T* at = f.grid + 2 * first;
  switch (f.padding) {
    case Padding::zeros:
      locate_points<Padding::zeros>(f, at, points);
      break;
    case Padding::border:
      locate_points<Padding::border>(f, at, points);
      break;
    case Padding::reflection:
      locate_points<Padding::reflection>(f, at, points);
      break;
  }
  for (Index i = 0; velocity && i < points.count; ++i) {
    points.x[i] = points.slope_x[i] * f.velocity[2 * (first + i)];
    points.y[i] = points.slope_y[i] * f.velocity[2 * (first + i) + 1];
  }
  for (Index i = points.count; i < round_up(points.count, f.lanes); ++i) {
    points.cell[i] = outside_of(f);
    points.tx[i] = points.ty[i] = points.x[i] = points.y[i] = 0;
  }
}

// The cell of a point in all planes of a packed block.
template <int lanes, class T>
SYMFLOW_HD Bilinear<VectorOf<T, lanes>> cell_of(const T* block, Index stride, const Points<T>& points, Index i) {
  using V = VectorOf<T, lanes>;
  const T* upper = block + Index(points.cell[i]) * lanes;
  const T* lower = upper + stride * lanes;
  return bilinear<V>(load_vector<V>(upper), load_vector<V>(upper + lanes), load_vector<V>(lower),
                     load_vector<V>(lower + lanes), points.tx[i], points.ty[i]);
}

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

// The numbers first .. first + count (at most `lanes`) of each plane, a vector of planes for each number.
template <class T, int lanes>
SYMFLOW_HD void load_square(const Rows<const T*, lanes>& rows, Index first, Index count,
                            VectorOf<T, lanes> (&square)[lanes]) {
  using V = VectorOf<T, lanes>;
  SYMFLOW_UNROLL
  for (int r = 0; r < lanes; ++r) {
    if (r >= rows.count) {
      square[r] = V{};
    } else if (count >= lanes) {
      square[r] = load_vector<V>(rows.at[r] + first);
    } else {
      square[r] = load_first<V>(rows.at[r] + first, count);
    }
  }
  transpose<T, lanes>(square);
}

template <class T, int lanes>
SYMFLOW_HD void store_square(VectorOf<T, lanes> (&square)[lanes], const Rows<T*, lanes>& rows, Index first,
                             Index count) {
  transpose<T, lanes>(square);
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

template <int lanes, class T>
void pack(const WarpProblem<T>& f, Index block, Index first_row, Index last_row, const T* images, T* packed) {
  using V = VectorOf<T, lanes>;
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
      __builtin_memcpy(to + f.frame.row(r), rows.at[0] + r * width, std::size_t(width) * sizeof(T));
    }
    for (Index i = 0; lanes > 1 && i < width; i += lanes) {
      // The last square of a row begins early enough to be whole, if the row is long enough.
      const Index c = i + lanes > width && width >= lanes ? width - lanes : i;
      V square[lanes];
      load_square<T, lanes>(rows, r * width + c, width - c, square);
      for (int j = 0; j < lanes && c + j < width; ++j) store_vector(to + (f.frame.row(r) + c + j) * lanes, square[j]);
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

template <int lanes, bool has_p, bool has_q, class T>
void sample(const WarpProblem<T>& f, Index index) {
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
    for (Index first = 0; first < points.count; first += lanes) {
      V square[lanes];
      SYMFLOW_UNROLL
      for (int j = 0; j < lanes; ++j) {
        const Index i = first + j;
        V value{};
        if constexpr (has_p) value = cell_of<lanes>(p, f.frame.stride, points, i).value;
        if constexpr (has_q) {
          const auto c = cell_of<lanes>(q, f.frame.stride, points, i);
          const V moved = points.x[i] * c.dx + points.y[i] * c.dy;
          value = has_p ? value + moved : moved;
        }
        square[j] = value;
      }
      store_square<T, lanes>(square, rows, first, points.count - first);
    }
  }
}

// totals[i] = the sum of the lanes of sums[i], for `lanes` of them at once.
template <class T, int lanes>
SYMFLOW_HD void sum_lanes(const VectorOf<T, lanes>* sums, T* totals) {
  VectorOf<T, lanes> square[lanes];
  for (int i = 0; i < lanes; ++i) square[i] = sums[i];
  transpose<T, lanes>(square);
  VectorOf<T, lanes> total = square[0];
  for (int i = 1; i < lanes; ++i) total += square[i];
  store_vector(totals, total);
}

template <int lanes, bool has_p, bool has_q, class T>
void grid_gradient(const WarpProblem<T>& f, Index index) {
  using V = VectorOf<T, lanes>;
  const WarpTask task(f, index);
  const Index grid = task.set * f.grids + task.grid;
  Points<T> points;
  load_points(f, grid, task.chunk, has_q, points);
  V sum_x[warp_chunk], sum_y[warp_chunk];
  for (Index i = 0; i < round_up(points.count, lanes); ++i) sum_x[i] = sum_y[i] = V{};
  for (Index block = task.first_block; block < task.last_block; ++block) {
    const Rows<const T*, lanes> rows(f.grad, f.planes, block, [&](Index plane) {
      return f.result_row(task.set, plane, task.grid) + task.chunk * warp_chunk;
    });
    const T* p = has_p ? f.p + task.packed(f, block) : nullptr;
    const T* q = has_q ? f.q + task.packed(f, block) : nullptr;
    for (Index first = 0; first < points.count; first += lanes) {
      V grad[lanes];
      load_square<T, lanes>(rows, first, points.count - first, grad);
      SYMFLOW_UNROLL
      for (int j = 0; j < lanes; ++j) {
        const Index i = first + j;
        V dx{}, dy{};
        if constexpr (has_p) {
          const auto c = cell_of<lanes>(p, f.frame.stride, points, i);
          dx = c.dx;
          dy = c.dy;
        }
        if constexpr (has_q) {
          const auto c = cell_of<lanes>(q, f.frame.stride, points, i);
          dx = has_p ? dx + points.y[i] * c.dxy : points.y[i] * c.dxy;
          dy = has_p ? dy + points.x[i] * c.dxy : points.x[i] * c.dxy;
        }
        sum_x[i] += grad[j] * dx;
        sum_y[i] += grad[j] * dy;
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
        load_square<T, lanes>(rows, chunk * warp_chunk + first, points.count - first, grad);
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

// Calls work(lanes as a constant).
template <class T, class Work>
void with_lanes(Index lanes, const Work& work) {
  constexpr int wide = Simd<T>::lanes, narrow = wide < 4 ? wide : 4;
  if (lanes == 1) {
    work(std::integral_constant<int, 1>());
  } else if (lanes == narrow) {
    work(std::integral_constant<int, narrow>());
  } else {
    work(std::integral_constant<int, wide>());
  }
}

template <class T>
void pack_any(const WarpProblem<T>& f, Index block, Index first_row, Index last_row, const T* images, T* packed) {
  with_lanes<T>(f.lanes, [&](auto lanes) { pack<lanes()>(f, block, first_row, last_row, images, packed); });
}

// work(lanes, whether there is a p, whether there is a q).
template <class T, class Work>
void with_terms(const WarpProblem<T>& f, Work work) {
  with_lanes<T>(f.lanes, [&](auto lanes) {
    if (f.q == nullptr) {
      work(lanes, std::true_type(), std::false_type());
    } else if (f.p == nullptr) {
      work(lanes, std::false_type(), std::true_type());
    } else {
      work(lanes, std::true_type(), std::true_type());
    }
  });
}

template <class T>
void sample_any(const WarpProblem<T>& f, Index task) {
  with_terms(f, [&](auto lanes, auto p, auto q) { sample<lanes(), p(), q()>(f, task); });
}

template <class T>
void grid_gradient_any(const WarpProblem<T>& f, Index task) {
  with_terms(f, [&](auto lanes, auto p, auto q) { grid_gradient<lanes(), p(), q()>(f, task); });
}

template <class T>
void image_gradient_any(const WarpProblem<T>& f, Index block, T* scratch) {
  with_lanes<T>(f.lanes, [&](auto lanes) {
    if (f.velocity != nullptr) {
      image_gradient<lanes(), true>(f, block, scratch);
    } else {
      image_gradient<lanes(), false>(f, block, scratch);
    }
  });
}

template <class T>
constexpr WarpKernels<T> warp_kernels() {
  constexpr int wide = Simd<T>::lanes, narrow = wide < 4 ? wide : 4;
  return {wide, narrow, pack_any<T>, sample_any<T>, grid_gradient_any<T>, image_gradient_any<T>};
}

extern const WarpKernels<float> warp_float;
extern const WarpKernels<double> warp_double;
const WarpKernels<float> warp_float = warp_kernels<float>();
const WarpKernels<double> warp_double = warp_kernels<double>();

}  // namespace SYMFLOW_ISA
}  // namespace symflow
