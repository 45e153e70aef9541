// The flow of one tile of points, forward and adjoint, for one instruction set (see simd.h for how it is included).
//
// Wide arrays are [point][feature]; the few coordinates and embedded coordinates are [feature][point], called columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "../core/elementary.h"
#include "../core/rk4.h"
#include "blocks.h"
#include "flow_cpu.h"
#include "row.h"
#include "simd.h"

namespace symflow {
namespace SYMFLOW_ISA {

// What one evaluation of the field leaves behind for its adjoint: the hidden layers and, when kept, the derivatives of
// their activations, which the adjoint overwrites with the gradients of the pre-activations.
template <class T>
struct Stage {
  T* embedded;   // columns [e + 1], the last one holds ones: the bias of the first layer is its weight
  T *h1, *d1;    // [P][W']
  T *h2, *d2;    // [P][W']
  T *head, *d3;  // [P][heads H']
  T* field;      // columns [d], the vectors V

  Stage(const FlowProblem<T>& f, Arena& arena, bool keep) {
    const Index wide = f.tile * f.padded_width, heads = f.tile * f.most_heads * f.padded_head_width;
    embedded = arena.take<T>((f.embedding + 1) * f.tile);
    field = arena.take<T>(f.dimension * f.tile);
    h1 = arena.take<T>(wide);
    h2 = arena.take<T>(wide);
    head = arena.take<T>(heads);
    d1 = d2 = d3 = nullptr;
    if (keep) {
      d1 = arena.take<T>(wide);
      d2 = arena.take<T>(wide);
      d3 = arena.take<T>(heads);
    }
  }
};

// ---- a tile -------------------------------------------------------------------------------------------------------

template <class T>
struct Tile {
  using S = Simd<T>;
  const FlowProblem<T>& f;
  Index row, first, count;  // the points first .. first + count of a row
  Index points;             // count rounded up to register blocks
  Index lanes_end;          // and that to whole registers, for columns

  Tile(const FlowProblem<T>& problem, Index tile) : f(problem) {
    row = tile / f.tiles_per_row;
    first = tile % f.tiles_per_row * f.tile_points;
    count = f.points - first < f.tile_points ? f.points - first : f.tile_points;
    points = round_up(count, block_rows);
    lanes_end = round_up(points, S::lanes);
  }

  // Columns from points; the places beyond the last point repeat it, so that they hold nothing that it does not.
  void load(const T* array, T* columns) const {
    const T* from = array + (row * f.points + first) * f.dimension;
    for (Index j = 0; j < f.dimension; ++j) {
      T* column = columns + j * f.tile;
      for (Index p = 0; p < count; ++p) column[p] = from[p * f.dimension + j];
      for (Index p = count; p < lanes_end; ++p) column[p] = column[count - 1];
    }
  }

  void store(const T* columns, T* array) const {
    T* to = array + (row * f.points + first) * f.dimension;
    for (Index j = 0; j < f.dimension; ++j) {
      for (Index p = 0; p < count; ++p) to[p * f.dimension + j] = columns[j * f.tile + p];
    }
  }

  // For every register of every one of the d columns.
  template <class Body>
  SYMFLOW_HD void for_columns(Body body) const {
    for (Index j = 0; j < f.dimension; ++j) {
      for (Index p = 0; p < lanes_end; p += S::lanes) body(j * f.tile + p);
    }
  }

  // out = z + c v
  void move(const T* z, T c, const T* v, T* out) const {
    for_columns([&](Index i)
                    SYMFLOW_INLINE_LAMBDA { S::store(out + i, S::fma(S::set(c), S::load(v + i), S::load(z + i))); });
  }

  void embed(const T* z, T* embedded) const {
    for (Index j = 0; j < f.dimension; ++j) {
      const T period = T(f.periods[j]);
      for (Index p = 0; p < lanes_end; p += S::lanes) {
        const auto value = S::load(z + j * f.tile + p);
        if (period > 0) {
          const auto angle = turn<S>(value, period);
          S::store(embedded + p, angle.cos);
          S::store(embedded + f.tile + p, angle.sin);
        } else {
          S::store(embedded + p, value);
        }
      }
      embedded += (period > 0 ? 2 : 1) * f.tile;
    }
    for (Index p = 0; p < lanes_end; p += S::lanes) S::store(embedded + p, S::set(1));
  }

  // The gradient of z from that of its embedding.
  void embed_backward(const T* embedded, const T* grad_embedded, T* grad) const {
    for (Index j = 0; j < f.dimension; ++j) {
      const T period = T(f.periods[j]);
      const T rate = period > 0 ? T(6.28318530717958647693) / period : T(1);
      for (Index p = 0; p < lanes_end; p += S::lanes) {
        auto g = S::load(grad_embedded + p);
        if (period > 0) {
          const auto grad_cos = g, grad_sin = S::load(grad_embedded + f.tile + p);
          const auto cos = S::load(embedded + p), sin = S::load(embedded + f.tile + p);
          g = S::set(rate) * (grad_sin * cos - grad_cos * sin);
        }
        S::store(grad + j * f.tile + p, g);
      }
      embedded += (period > 0 ? 2 : 1) * f.tile;
      grad_embedded += (period > 0 ? 2 : 1) * f.tile;
    }
  }

  // value[p][c] = silu(bias[c] + sum_k a[p a_row + k a_step] b[k][c]), and its derivative when kept.
  template <bool keep>
  void hidden(Index columns, Index depth, const T* a, Index a_row, Index a_step, const T* packed, Index b_step,
              Index b_panel, const T* bias, T* value, T* derivative, Index value_row) const {
    for_each_block<S>(
        points, columns,
        [&](auto& block, Index p, Index c) SYMFLOW_INLINE_LAMBDA {
          block.set(S::load(bias + c), S::load(bias + c + S::lanes));
          multiply_add<S, block_rows>(block, depth, a + p * a_row, a_row, a_step, packed + c * b_panel, b_step);
        },
        [&](Index p, Index c, typename S::Value sum) SYMFLOW_INLINE_LAMBDA {
          if constexpr (keep) {
            const auto both = silu_with_derivative<S>(sum);
            S::store(value + p * value_row + c, both.value);
            S::store(derivative + p * value_row + c, both.derivative);
          } else {
            S::store(value + p * value_row + c, silu<S>(sum));
          }
        });
  }

  // The field sum_k w_k V_k at the columns z.
  template <bool keep>
  void evaluate(const Row<T>& heads, const T* z, Stage<T>& stage) const {
    constexpr Index panel = 2 * S::lanes;
    const Index W = f.padded_width, H = f.padded_head_width;
    embed(z, stage.embedded);
    // The first layer is read unpacked, [e][W']: it is short. A packed matrix has its panels one after the other.
    hidden<keep>(W, f.embedding, stage.embedded, 1, f.tile, f.trunk0, W, 1, f.trunk0 + f.embedding * W, stage.h1,
                 stage.d1, W);
    hidden<keep>(W, f.width, stage.h1, W, 1, f.trunk1, panel, f.width, f.trunk1_bias, stage.h2, stage.d2, W);
    for (Index s = 0; s < heads.count.all; ++s) {
      const Index k = heads.heads[s];
      hidden<keep>(H, f.width, stage.h2, W, 1, f.head + k * H * f.width, panel, f.width, f.head_bias + k * H,
                   stage.head + s * H, stage.d3 + (keep ? s * H : 0), heads.head_columns);
    }
    narrow<S, max_dimension>(f.dimension, lanes_end, heads.active_columns, stage.head, heads.head_columns, heads.out,
                             heads.head_columns, heads.out_bias, stage.field, f.tile);
  }

  // grad_in[p][c] = derivative[p][c] sum_k grad[p][k] b[k][c], written over the derivative. The depth is cut into
  // `segments`, one for each head, whose matrices `packed(segment)` need not be neighbours.
  template <class Packed>
  void hidden_backward(Index segments, Index depth, Index grad_step, const T* grad, Index grad_row, Packed packed,
                       T* derivative) const {
    constexpr Index panel = 2 * S::lanes;
    const Index W = f.padded_width;
    for_each_block<S>(
        points, W,
        [&](auto& block, Index p, Index c) SYMFLOW_INLINE_LAMBDA {
          block.set(S::set(0), S::set(0));
          for (Index s = 0; s < segments; ++s) {
            multiply_add<S, block_rows>(block, depth, grad + p * grad_row + s * grad_step, grad_row, 1,
                                        packed(s) + c * depth, panel);
          }
        },
        [&](Index p, Index c, typename S::Value sum) SYMFLOW_INLINE_LAMBDA {
          T* place = derivative + p * W + c;
          S::store(place, sum * S::load(place));
        });
  }

  // From the gradient of the field (columns [d]) to that of its points; adds the gradient of the last layer.
  void evaluate_backward(const Row<T>& heads, Stage<T>& stage, const T* grad_field, T* grad_embedded, T* grad,
                         const GradientLayout& layout, T* sums) const {
    const Index W = f.padded_width, H = f.padded_head_width, columns = heads.head_columns;
    if (f.parameter_gradients || f.weight_gradients) {
      const Outer<T> factors[] = {{grad_field, stage.head}};
      add_outer<S>(factors, count, f.dimension, columns, f.tile, 1, columns, sums + layout.out);
      for (Index j = 0; j < f.dimension; ++j) {
        T sum = 0;
        for (Index p = 0; p < count; ++p) sum += grad_field[j * f.tile + p];
        sums[layout.out_bias + j] += sum;
      }
    }
    for (Index p = 0; p < points; ++p) {
      for (Index o = 0; o < heads.active_columns; o += S::lanes) {
        auto sum = S::set(0);
        for (Index j = 0; j < f.dimension; ++j) {
          sum = S::fma(S::set(grad_field[j * f.tile + p]), S::load(heads.out + j * columns + o), sum);
        }
        T* place = stage.d3 + p * columns + o;
        S::store(place, sum * S::load(place));
      }
    }
    hidden_backward(
        heads.count.active, f.head_width, H, stage.d3, columns,
        [&](Index s) SYMFLOW_INLINE_LAMBDA { return f.head_backward + heads.heads[s] * W * f.head_width; }, stage.d2);
    hidden_backward(
        1, f.width, 0, stage.d2, W, [&](Index) SYMFLOW_INLINE_LAMBDA { return f.trunk1_backward; }, stage.d1);
    const T zeros[max_embedding] = {};
    narrow<S, max_embedding>(f.embedding, lanes_end, W, stage.d1, W, f.trunk0, W, zeros, grad_embedded, f.tile);
    embed_backward(stage.embedded, grad_embedded, grad);
  }

  // Adds the parameters' gradients from the stages of a step, all at once: the sums are large and pass by slowly.
  void add_parameter_gradients(const Row<T>& heads, const Stage<T> (&stages)[Rk4::stages], const GradientLayout& layout,
                               T* sums) const {
    const Index W = f.padded_width, H = f.padded_head_width, columns = heads.head_columns;
    const auto add = [&](auto factor, Index rows, Index g_row, Index g_step, T* out) SYMFLOW_INLINE_LAMBDA {
      const Outer<T> factors[] = {factor(stages[0]), factor(stages[1]), factor(stages[2]), factor(stages[3])};
      add_outer<S>(factors, count, rows, W, g_row, g_step, W, out);
    };
    for (Index s = 0; s < heads.count.active; ++s) {
      add([&](const Stage<T>& stage) { return Outer<T>{stage.d3 + s * H, stage.h2}; }, f.head_width, 1, columns,
          sums + layout.head + s * f.head_width * W);
    }
    add([](const Stage<T>& stage) { return Outer<T>{stage.d2, stage.h1}; }, f.width, 1, W, sums + layout.trunk1);
    add([](const Stage<T>& stage) { return Outer<T>{stage.embedded, stage.d1}; }, f.embedding + 1, f.tile, 1,
        sums + layout.trunk0);
    for (const Stage<T>& stage : stages) {
      add_columns<S>(count, heads.active_columns, stage.d3, columns, sums + layout.head_bias);
      add_columns<S>(count, W, stage.d2, W, sums + layout.trunk1_bias);
    }
  }
};

// ---- forward ------------------------------------------------------------------------------------------------------

template <class T>
struct ForwardScratch {
  Row<T> heads;
  Stage<T> stage;
  T *z, *moved, *sum;  // columns [d]

  ForwardScratch(const FlowProblem<T>& f, Arena& arena) : heads(f, arena), stage(f, arena, false) {
    for (T** columns : {&z, &moved, &sum}) *columns = arena.take<T>(f.dimension * f.tile);
  }
};

template <class T>
void forward_tile(const FlowProblem<T>& f, Index index, T* memory) {
  using S = Simd<T>;
  Arena arena{reinterpret_cast<char*>(memory), 0};
  ForwardScratch<T> x(f, arena);
  const Tile<T> tile(f, index);
  const Index array = f.rows * f.points * f.dimension;
  x.heads.load(f, tile.row);
  tile.load(f.start, x.z);
  const double dt = 1.0 / double(f.steps);
  for (Index step = 0; step < f.steps; ++step) {
    if (f.states != nullptr) tile.store(x.z, f.states + step * array);
    if (x.heads.count.active == 0) continue;  // the zero field moves nothing, not even the sign of a zero
    const T* at = x.z;
    for (int i = 0; i < Rk4::stages; ++i) {
      if (i > 0) {
        tile.move(x.z, T(dt * Rk4::a[i]), x.stage.field, x.moved);
        at = x.moved;
      }
      tile.template evaluate<false>(x.heads, at, x.stage);
      const auto b = S::set(T(dt * Rk4::b[i]));
      tile.for_columns([&](Index j) SYMFLOW_INLINE_LAMBDA {
        const auto term = b * S::load(x.stage.field + j);
        S::store(x.sum + j, i == 0 ? term : S::load(x.sum + j) + term);
      });
    }
    tile.move(x.z, T(1), x.sum, x.z);
  }
  tile.store(x.z, f.end);
}

template <class T>
Index forward_scratch(const FlowProblem<T>& f) {
  Arena arena{nullptr, 0};
  ForwardScratch<T> measured(f, arena);
  return arena.used / Index(sizeof(T));
}

// ---- adjoint ------------------------------------------------------------------------------------------------------

template <class T>
struct BackwardScratch {
  Row<T> heads;
  Stage<T> stages[Rk4::stages];
  T *z, *moved, *grad, *grad_before, *grad_stage, *grad_field;  // columns [d]
  T* grad_embedded;                                             // columns [e]

  BackwardScratch(const FlowProblem<T>& f, Arena& arena)
      : heads(f, arena), stages{{f, arena, true}, {f, arena, true}, {f, arena, true}, {f, arena, true}} {
    for (T** columns : {&z, &moved, &grad, &grad_before, &grad_stage, &grad_field}) {
      *columns = arena.take<T>(f.dimension * f.tile);
    }
    grad_embedded = arena.take<T>(f.embedding * f.tile);
  }
};

// The adjoint of the steps in reverse. With V_i = V(z_i), z_i = z + dt a_i V_{i-1}, z' = z + dt sum b_i V_i and g the
// gradient of z', the gradient of V_i is dt (b_i g + a_{i+1} grad z_{i+1}), and that of z is g + sum_i grad z_i.
template <class T>
void backward_tile(const FlowProblem<T>& f, Index index, T* memory, const GradientLayout& layout, T* sums) {
  using S = Simd<T>;
  Arena arena{reinterpret_cast<char*>(memory), 0};
  BackwardScratch<T> x(f, arena);
  const Tile<T> tile(f, index);
  const Index array = f.rows * f.points * f.dimension;
  x.heads.load(f, tile.row);
  for (Index i = 0; i < layout.size; ++i) sums[i] = 0;
  tile.load(f.grad_end, x.grad);
  const double dt = 1.0 / double(f.steps);
  for (Index step = f.steps - 1; step >= 0 && x.heads.count.all > 0; --step) {
    tile.load(f.states_saved + step * array, x.z);
    const T* at = x.z;
    for (int i = 0; i < Rk4::stages; ++i) {
      if (i > 0) {
        tile.move(x.z, T(dt * Rk4::a[i]), x.stages[i - 1].field, x.moved);
        at = x.moved;
      }
      tile.template evaluate<true>(x.heads, at, x.stages[i]);
    }
    tile.for_columns([&](Index j) SYMFLOW_INLINE_LAMBDA { S::store(x.grad_before + j, S::load(x.grad + j)); });
    for (int i = Rk4::stages - 1; i >= 0; --i) {
      const auto b = S::set(T(dt * Rk4::b[i]));
      const auto a = S::set(i + 1 < Rk4::stages ? T(dt * Rk4::a[i + 1]) : T(0));
      tile.for_columns([&](Index j) SYMFLOW_INLINE_LAMBDA {
        auto g = b * S::load(x.grad + j);
        if (i + 1 < Rk4::stages) g = S::fma(a, S::load(x.grad_stage + j), g);
        S::store(x.grad_field + j, g);
      });
      tile.evaluate_backward(x.heads, x.stages[i], x.grad_field, x.grad_embedded, x.grad_stage, layout, sums);
      tile.for_columns([&](Index j) SYMFLOW_INLINE_LAMBDA {
        S::store(x.grad_before + j, S::load(x.grad_before + j) + S::load(x.grad_stage + j));
      });
    }
    if (f.parameter_gradients) tile.add_parameter_gradients(x.heads, x.stages, layout, sums);
    T* swap = x.grad;
    x.grad = x.grad_before;
    x.grad_before = swap;
  }
  tile.store(x.grad, f.grad_start);
}

template <class T>
Index backward_scratch(const FlowProblem<T>& f) {
  Arena arena{nullptr, 0};
  BackwardScratch<T> measured(f, arena);
  return arena.used / Index(sizeof(T));
}

// ---- for tests ----------------------------------------------------------------------------------------------------

template <class T>
void elementary(const T* x, Index count, T* value, T* derivative, T* cosine, T* sine) {
  using S = Simd<T>;
  for (Index i = 0; i < count; i += S::lanes) {
    T lane[5][S::lanes] = {};
    const Index n = count - i < S::lanes ? count - i : S::lanes;
    for (Index j = 0; j < n; ++j) lane[0][j] = x[i + j];
    const auto v = S::load(lane[0]);
    const auto both = silu_with_derivative<S>(v);
    const auto angle = turn<S>(v, T(1));
    S::store(lane[1], both.value);
    S::store(lane[2], both.derivative);
    S::store(lane[3], angle.cos);
    S::store(lane[4], angle.sin);
    for (Index j = 0; j < n; ++j) {
      value[i + j] = lane[1][j];
      derivative[i + j] = lane[2][j];
      cosine[i + j] = lane[3][j];
      sine[i + j] = lane[4][j];
    }
  }
}

extern const FlowKernels<float> flow_float;
extern const FlowKernels<double> flow_double;
const FlowKernels<float> flow_float = {
    Simd<float>::lanes,  forward_scratch<float>, backward_scratch<float>,
    forward_tile<float>, backward_tile<float>,   elementary<float>,
};
const FlowKernels<double> flow_double = {
    Simd<double>::lanes,  forward_scratch<double>, backward_scratch<double>,
    forward_tile<double>, backward_tile<double>,   elementary<double>,
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
