// The flow of one tile of jets, forward and adjoint, for one instruction set (see simd.h for how it is included).
//
// A tile is a list of lines, the C coefficients of its first point, those of its second, and so on. Affine layers act
// on all lines alike, so that a layer is a matrix product, [line][feature], as in flow_tile.h; between layers the lines
// of a point meet. The few coordinates and embedded coordinates are [feature][line], called columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "../core/elementary.h"
#include "../core/jet.h"
#include "../core/rk4.h"
#include "blocks.h"
#include "jet_flow_cpu.h"
#include "row.h"
#include "simd.h"

namespace symflow {
namespace SYMFLOW_ISA {

// ---- the functions of jets ----------------------------------------------------------------------------------------

// A jet in registers: as many lanes as these hold hidden units, or points.
template <class S, class Truncation>
struct Jet {
  typename S::Value c[Truncation::most_monomials];

  SYMFLOW_HD void load(const Truncation& truncation, const typename S::Scalar* from, Index row) {
    const int size = truncation.size();
    SYMFLOW_UNROLL
    for (int k = 0; k < size; ++k) c[k] = S::load(from + k * row);
  }
  SYMFLOW_HD void store(const Truncation& truncation, typename S::Scalar* to, Index row) const {
    const int size = truncation.size();
    SYMFLOW_UNROLL
    for (int k = 0; k < size; ++k) S::store(to + k * row, c[k]);
  }
};

template <class T, class Truncation>
struct Functions {
  using S = Simd<T>;
  static constexpr int terms = Truncation::most_degree + 2;

  static void silu(const JetAlgebra& algebra, Index points, const T* bias, T* values, T* slopes, Index row) {
    const Truncation truncation{algebra};
    for (Index p = 0; p < points; ++p) {
      for (Index half = 0; half < 2 * S::lanes; half += S::lanes) {
        const Index place = p * algebra.size * row + half;
        typename S::Value taylor[terms];
        Jet<S, Truncation> a, y;
        a.load(truncation, values + place, row);
        silu_taylor<S, terms>(a.c[0] + S::load(bias + half), taylor);
        truncation.template compose<S>(taylor, a.c, y.c);
        y.store(truncation, values + place, row);
        if (slopes != nullptr) {
          for (int m = 1; m < terms; ++m) taylor[m - 1] = S::set(T(m)) * taylor[m];
          truncation.template compose<S>(taylor, a.c, y.c);
          y.store(truncation, slopes + place, row);
        }
      }
    }
  }

  static void silu_backward(const JetAlgebra& algebra, Index points, const T* grad, Index grad_row, T* slopes,
                            Index row) {
    const Truncation truncation{algebra};
    for (Index p = 0; p < points; ++p) {
      for (Index half = 0; half < 2 * S::lanes; half += S::lanes) {
        T* place = slopes + p * algebra.size * row + half;
        Jet<S, Truncation> f, g;
        f.load(truncation, place, row);
        g.load(truncation, grad + p * algebra.size * grad_row + half, grad_row);
        truncation.template adjoint<S>(f.c, g.c);
        g.store(truncation, place, row);
      }
    }
  }

  // Columns are gathered into registers point by point: a lane beyond the last point repeats it.
  static void gather(int size, const T* column, Index points, Index first, T* lines) {
    for (Index lane = 0; lane < S::lanes; ++lane) {
      const Index p = first + lane < points ? first + lane : points - 1;
      for (Index k = 0; k < size; ++k) lines[k * S::lanes + lane] = column[p * size + k];
    }
  }
  static void scatter(int size, const T* lines, Index points, Index first, T* column) {
    for (Index lane = 0; lane < S::lanes && first + lane < points; ++lane) {
      for (Index k = 0; k < size; ++k) column[(first + lane) * size + k] = lines[k * S::lanes + lane];
    }
  }

  static T rate(T period) { return T(6.28318530717958647693) / period; }

  static void turn(const JetAlgebra& algebra, Index points, T period, const T* z, T* cos, T* sin) {
    const Truncation truncation{algebra};
    T lines[Truncation::most_monomials * S::lanes];
    for (Index p = 0; p < points; p += S::lanes) {
      typename S::Value taylor_cos[terms], taylor_sin[terms];
      Jet<S, Truncation> a, y;
      gather(algebra.size, z, points, p, lines);
      a.load(truncation, lines, S::lanes);
      turn_taylor<S>(truncation, symflow::turn<S>(a.c[0], period), rate(period), taylor_cos, taylor_sin);
      for (const bool first : {true, false}) {
        truncation.template compose<S>(first ? taylor_cos : taylor_sin, a.c, y.c);
        y.store(truncation, lines, S::lanes);
        scatter(algebra.size, lines, points, p, first ? cos : sin);
      }
    }
  }

  // The slopes of cos and sin are -rate sin and rate cos.
  static void turn_backward(const JetAlgebra& algebra, Index points, T period, const T* cos, const T* sin,
                            const T* grad_cos, const T* grad_sin, T* grad) {
    const Truncation truncation{algebra};
    T lines[Truncation::most_monomials * S::lanes];
    const auto load = [&](const T* column, Index p, Jet<S, Truncation>& jet) {
      gather(algebra.size, column, points, p, lines);
      jet.load(truncation, lines, S::lanes);
    };
    for (Index p = 0; p < points; p += S::lanes) {
      Jet<S, Truncation> f, g, h;
      load(sin, p, f);
      load(grad_cos, p, g);
      truncation.template adjoint<S>(f.c, g.c);
      load(cos, p, f);
      load(grad_sin, p, h);
      truncation.template adjoint<S>(f.c, h.c);
      for (int k = 0; k < algebra.size; ++k) g.c[k] = S::set(rate(period)) * (h.c[k] - g.c[k]);
      g.store(truncation, lines, S::lanes);
      scatter(algebra.size, lines, points, p, grad);
    }
  }

  static constexpr JetFunctions<T> table = {silu, silu_backward, turn, turn_backward};
};

template <class T, int... n>
const JetFunctions<T>* find_functions(const JetAlgebra& algebra, std::integer_sequence<int, n...>) {
  const JetFunctions<T>* found = &Functions<T, AnyTruncation>::table;
  ((algebra == TotalDegree<n + 1>::lists ? void(found = &Functions<T, TotalDegree<n + 1>>::table) : void()), ...);
  return found;
}

template <class T>
const JetFunctions<T>* functions(const JetAlgebra& algebra) {
  return find_functions<T>(algebra, std::make_integer_sequence<int, max_degree>());
}

// ---- a tile -------------------------------------------------------------------------------------------------------

// What one evaluation of the field leaves behind for its adjoint: the hidden layers and, when kept, the slopes of their
// activations, which the adjoint overwrites with the gradients of the pre-activations.
template <class T>
struct JetStage {
  T* embedded;   // columns [e + 1], the last one holds the constant 1: the bias of the first layer is its weight
  T *h1, *d1;    // [lines][W']
  T *h2, *d2;    // [lines][W']
  T *head, *d3;  // [lines][heads H']
  T* field;      // columns [d], the vectors V

  JetStage(const JetFlowProblem<T>& f, Arena& arena, bool keep) {
    const Index wide = f.lines * f.padded_width, heads = f.lines * f.most_heads * f.padded_head_width;
    embedded = arena.take<T>((f.embedding + 1) * f.lines);
    field = arena.take<T>(f.dimension * f.lines);
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

template <class T>
struct JetTile {
  using S = Simd<T>;
  static constexpr Index panel = 2 * S::lanes;
  const JetFlowProblem<T>& f;
  Index size;               // C
  Index row, first, count;  // the points first .. first + count of a row
  Index lines;              // C times count
  Index blocks_end;         // lines rounded up to register blocks; the lines added are zeros
  Index lanes_end;          // and to whole registers, for columns

  JetTile(const JetFlowProblem<T>& problem, Index tile) : f(problem), size(problem.algebra->size) {
    row = tile / f.tiles_per_row;
    first = tile % f.tiles_per_row * f.tile_points;
    count = f.points - first < f.tile_points ? f.points - first : f.tile_points;
    lines = size * count;
    blocks_end = round_up(lines, block_rows);
    lanes_end = round_up(blocks_end, S::lanes);
  }

  void load(const T* array, T* columns) const {
    for (Index k = 0; k < size; ++k) {
      const T* from = array + ((k * f.rows + row) * f.points + first) * f.dimension;
      for (Index p = 0; p < count; ++p) {
        for (Index j = 0; j < f.dimension; ++j) columns[j * f.lines + p * size + k] = from[p * f.dimension + j];
      }
    }
    for (Index j = 0; j < f.dimension; ++j) clear_tail(columns + j * f.lines);
  }

  void store(const T* columns, T* array) const {
    for (Index k = 0; k < size; ++k) {
      T* to = array + ((k * f.rows + row) * f.points + first) * f.dimension;
      for (Index p = 0; p < count; ++p) {
        for (Index j = 0; j < f.dimension; ++j) to[p * f.dimension + j] = columns[j * f.lines + p * size + k];
      }
    }
  }

  void clear_tail(T* column) const {
    for (Index i = lines; i < lanes_end; ++i) column[i] = 0;
  }

  // For every register of every one of the d columns.
  template <class Body>
  SYMFLOW_HD void for_columns(Body body) const {
    for (Index j = 0; j < f.dimension; ++j) {
      for (Index i = 0; i < lanes_end; i += S::lanes) body(j * f.lines + i);
    }
  }

  // out = z + c v
  void move(const T* z, T c, const T* v, T* out) const {
    for_columns([&](Index i)
                    SYMFLOW_INLINE_LAMBDA { S::store(out + i, S::fma(S::set(c), S::load(v + i), S::load(z + i))); });
  }

  void embed(const T* z, T* embedded) const {
    for (Index j = 0; j < f.dimension; ++j) {
      const T* column = z + j * f.lines;
      if (f.periods[j] > 0) {
        f.functions->turn(*f.algebra, count, T(f.periods[j]), column, embedded, embedded + f.lines);
        clear_tail(embedded);
        embedded += f.lines;
        clear_tail(embedded);
      } else {
        for (Index i = 0; i < lanes_end; i += S::lanes) S::store(embedded + i, S::load(column + i));
      }
      embedded += f.lines;
    }
    for (Index i = 0; i < lanes_end; ++i) embedded[i] = 0;
    for (Index p = 0; p < count; ++p) embedded[p * size] = 1;
  }

  // The gradient of z from that of its embedding.
  void embed_backward(const T* embedded, const T* grad_embedded, T* grad) const {
    for (Index j = 0; j < f.dimension; ++j) {
      T* column = grad + j * f.lines;
      if (f.periods[j] > 0) {
        f.functions->turn_backward(*f.algebra, count, T(f.periods[j]), embedded, embedded + f.lines, grad_embedded,
                                   grad_embedded + f.lines, column);
        clear_tail(column);
        embedded += f.lines;
        grad_embedded += f.lines;
      } else {
        for (Index i = 0; i < lanes_end; i += S::lanes) S::store(column + i, S::load(grad_embedded + i));
      }
      embedded += f.lines;
      grad_embedded += f.lines;
    }
  }

  // values[l][c] = silu(bias[c] + sum_k a[l a_row + k a_step] b[k][c]) as jets, and the slopes when kept. A panel of
  // columns is finished while its lines are in the first cache.
  void hidden(Index columns, Index depth, const T* a, Index a_row, Index a_step, const T* packed, Index b_step,
              Index b_panel, const T* bias, T* values, T* slopes, Index row_length) const {
    for (Index c = 0; c < columns; c += panel) {
      for_each_block<S>(
          blocks_end, panel,
          [&](auto& block, Index l, Index i) SYMFLOW_INLINE_LAMBDA {
            block.set(S::set(0), S::set(0));
            multiply_add<S, block_rows>(block, depth, a + l * a_row, a_row, a_step, packed + c * b_panel + i, b_step);
          },
          [&](Index l, Index i, typename S::Value sum)
              SYMFLOW_INLINE_LAMBDA { S::store(values + l * row_length + c + i, sum); });
      f.functions->silu(*f.algebra, count, bias + c, values + c, slopes == nullptr ? nullptr : slopes + c, row_length);
    }
  }

  // The field sum_k w_k V_k at the columns z; `stage` keeps slopes if it has room for them.
  void evaluate(const Row<T>& heads, const T* z, JetStage<T>& stage) const {
    const Index W = f.padded_width, H = f.padded_head_width;
    embed(z, stage.embedded);
    // The first layer is read unpacked, [e][W']: it is short. A packed matrix has its panels one after the other.
    hidden(W, f.embedding, stage.embedded, 1, f.lines, f.trunk0, W, 1, f.trunk0 + f.embedding * W, stage.h1, stage.d1,
           W);
    hidden(W, f.width, stage.h1, W, 1, f.trunk1, panel, f.width, f.trunk1_bias, stage.h2, stage.d2, W);
    for (Index s = 0; s < heads.count.all; ++s) {
      const Index k = heads.heads[s];
      hidden(H, f.width, stage.h2, W, 1, f.head + k * H * f.width, panel, f.width, f.head_bias + k * H,
             stage.head + s * H, stage.d3 == nullptr ? nullptr : stage.d3 + s * H, heads.head_columns);
    }
    const T zeros[max_dimension] = {};
    narrow<S, max_dimension>(f.dimension, lanes_end, heads.active_columns, stage.head, heads.head_columns, heads.out,
                             heads.head_columns, zeros, stage.field, f.lines);
    for (Index j = 0; j < f.dimension; ++j) {
      for (Index p = 0; p < count; ++p) stage.field[j * f.lines + p * size] += heads.out_bias[j];
      clear_tail(stage.field + j * f.lines);
    }
  }

  // grad_in[l][c] from the gradient sum_k grad[l][k] b[k][c] of its activation, written over the slopes. The depth is
  // cut into `segments`, one for each head, whose matrices `packed(segment)` need not be neighbours.
  template <class Packed>
  void hidden_backward(Index segments, Index depth, Index grad_step, const T* grad, Index grad_row, Packed packed,
                       T* sums, T* slopes) const {
    const Index W = f.padded_width;
    for (Index c = 0; c < W; c += panel) {
      for_each_block<S>(
          blocks_end, panel,
          [&](auto& block, Index l, Index i) SYMFLOW_INLINE_LAMBDA {
            block.set(S::set(0), S::set(0));
            for (Index s = 0; s < segments; ++s) {
              multiply_add<S, block_rows>(block, depth, grad + l * grad_row + s * grad_step, grad_row, 1,
                                          packed(s) + c * depth + i, panel);
            }
          },
          [&](Index l, Index i, typename S::Value sum) SYMFLOW_INLINE_LAMBDA { S::store(sums + l * panel + i, sum); });
      f.functions->silu_backward(*f.algebra, count, sums, panel, slopes + c, W);
    }
  }

  // From the gradient of the field (columns [d]) to that of its points; adds the gradient of the last layer.
  void evaluate_backward(const Row<T>& heads, JetStage<T>& stage, const T* grad_field, T* panel_sums, T* grad_embedded,
                         T* grad, const GradientLayout& layout, T* sums) const {
    const Index W = f.padded_width, H = f.padded_head_width, columns = heads.head_columns;
    if (f.parameter_gradients || f.weight_gradients) {
      const Outer<T> factors[] = {{grad_field, stage.head}};
      add_outer<S>(factors, lines, f.dimension, columns, f.lines, 1, columns, sums + layout.out);
      for (Index j = 0; j < f.dimension; ++j) {
        T sum = 0;
        for (Index p = 0; p < count; ++p) sum += grad_field[j * f.lines + p * size];
        sums[layout.out_bias + j] += sum;
      }
    }
    for (Index c = 0; c < heads.active_columns; c += panel) {
      for (Index l = 0; l < lines; ++l) {
        for (Index i = 0; i < panel; i += S::lanes) {
          auto sum = S::set(0);
          for (Index j = 0; j < f.dimension; ++j) {
            sum = S::fma(S::set(grad_field[j * f.lines + l]), S::load(heads.out + j * columns + c + i), sum);
          }
          S::store(panel_sums + l * panel + i, sum);
        }
      }
      f.functions->silu_backward(*f.algebra, count, panel_sums, panel, stage.d3 + c, columns);
    }
    hidden_backward(
        heads.count.active, f.head_width, H, stage.d3, columns,
        [&](Index s) SYMFLOW_INLINE_LAMBDA { return f.head_backward + heads.heads[s] * W * f.head_width; }, panel_sums,
        stage.d2);
    hidden_backward(
        1, f.width, 0, stage.d2, W, [&](Index) SYMFLOW_INLINE_LAMBDA { return f.trunk1_backward; }, panel_sums,
        stage.d1);
    const T zeros[max_embedding] = {};
    narrow<S, max_embedding>(f.embedding, lanes_end, W, stage.d1, W, f.trunk0, W, zeros, grad_embedded, f.lines);
    for (Index i = 0; i < f.embedding; ++i) clear_tail(grad_embedded + i * f.lines);
    embed_backward(stage.embedded, grad_embedded, grad);
  }

  // Adds the parameters' gradients from the stages of a step, all at once: the sums are large and pass by slowly. The
  // constant coefficients alone have a bias.
  void add_parameter_gradients(const Row<T>& heads, const JetStage<T> (&stages)[Rk4::stages],
                               const GradientLayout& layout, T* sums) const {
    const Index W = f.padded_width, H = f.padded_head_width, columns = heads.head_columns;
    const auto add = [&](auto factor, Index rows, Index g_row, Index g_step, T* out) SYMFLOW_INLINE_LAMBDA {
      const Outer<T> factors[] = {factor(stages[0]), factor(stages[1]), factor(stages[2]), factor(stages[3])};
      add_outer<S>(factors, lines, rows, W, g_row, g_step, W, out);
    };
    for (Index s = 0; s < heads.count.active; ++s) {
      add([&](const JetStage<T>& stage) { return Outer<T>{stage.d3 + s * H, stage.h2}; }, f.head_width, 1, columns,
          sums + layout.head + s * f.head_width * W);
    }
    add([](const JetStage<T>& stage) { return Outer<T>{stage.d2, stage.h1}; }, f.width, 1, W, sums + layout.trunk1);
    add([](const JetStage<T>& stage) { return Outer<T>{stage.embedded, stage.d1}; }, f.embedding + 1, f.lines, 1,
        sums + layout.trunk0);
    for (const JetStage<T>& stage : stages) {
      add_columns<S>(count, heads.active_columns, stage.d3, size * columns, sums + layout.head_bias);
      add_columns<S>(count, W, stage.d2, size * W, sums + layout.trunk1_bias);
    }
  }
};

// ---- forward ------------------------------------------------------------------------------------------------------

template <class T>
struct JetForwardScratch {
  Row<T> heads;
  JetStage<T> stage;
  T *z, *moved, *sum;  // columns [d]

  JetForwardScratch(const JetFlowProblem<T>& f, Arena& arena) : heads(f, arena), stage(f, arena, false) {
    for (T** columns : {&z, &moved, &sum}) *columns = arena.take<T>(f.dimension * f.lines);
  }
};

template <class T>
void forward_tile(const JetFlowProblem<T>& f, Index index, T* memory) {
  using S = Simd<T>;
  Arena arena{reinterpret_cast<char*>(memory), 0};
  JetForwardScratch<T> x(f, arena);
  const JetTile<T> tile(f, index);
  const Index array = tile.size * f.rows * f.points * f.dimension;
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
      tile.evaluate(x.heads, at, x.stage);
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
Index forward_scratch(const JetFlowProblem<T>& f) {
  Arena arena{nullptr, 0};
  JetForwardScratch<T> measured(f, arena);
  return arena.used / Index(sizeof(T));
}

// ---- adjoint ------------------------------------------------------------------------------------------------------

template <class T>
struct JetBackwardScratch {
  Row<T> heads;
  JetStage<T> stages[Rk4::stages];
  T *z, *moved, *grad, *grad_before, *grad_stage, *grad_field;  // columns [d]
  T* grad_embedded;                                             // columns [e]
  T* panel_sums;                                                // [lines][panel]

  JetBackwardScratch(const JetFlowProblem<T>& f, Arena& arena)
      : heads(f, arena), stages{{f, arena, true}, {f, arena, true}, {f, arena, true}, {f, arena, true}} {
    for (T** columns : {&z, &moved, &grad, &grad_before, &grad_stage, &grad_field}) {
      *columns = arena.take<T>(f.dimension * f.lines);
    }
    grad_embedded = arena.take<T>(f.embedding * f.lines);
    panel_sums = arena.take<T>(f.lines * JetTile<T>::panel);
  }
};

// As for points (flow_tile.h): a jet is one more set of coordinates, and the adjoint of a Runge-Kutta step sees the
// field and its adjoint only.
template <class T>
void backward_tile(const JetFlowProblem<T>& f, Index index, T* memory, const GradientLayout& layout, T* sums) {
  using S = Simd<T>;
  Arena arena{reinterpret_cast<char*>(memory), 0};
  JetBackwardScratch<T> x(f, arena);
  const JetTile<T> tile(f, index);
  const Index array = tile.size * f.rows * f.points * f.dimension;
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
      tile.evaluate(x.heads, at, x.stages[i]);
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
      tile.evaluate_backward(x.heads, x.stages[i], x.grad_field, x.panel_sums, x.grad_embedded, x.grad_stage, layout,
                             sums);
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
Index backward_scratch(const JetFlowProblem<T>& f) {
  Arena arena{nullptr, 0};
  JetBackwardScratch<T> measured(f, arena);
  return arena.used / Index(sizeof(T));
}

// ---- for tests ----------------------------------------------------------------------------------------------------

template <class T>
void silu_taylor_of(const T* x, Index count, T* coefficients) {
  using S = Simd<T>;
  constexpr int terms = max_degree + 2;
  for (Index i = 0; i < count; i += S::lanes) {
    T lane[S::lanes] = {};
    const Index n = count - i < S::lanes ? count - i : S::lanes;
    for (Index j = 0; j < n; ++j) lane[j] = x[i + j];
    typename S::Value taylor[terms];
    silu_taylor<S, terms>(S::load(lane), taylor);
    for (int m = 0; m < terms; ++m) {
      S::store(lane, taylor[m]);
      for (Index j = 0; j < n; ++j) coefficients[m * count + i + j] = lane[j];
    }
  }
}

extern const JetFlowKernels<float> jet_flow_float;
extern const JetFlowKernels<double> jet_flow_double;
const JetFlowKernels<float> jet_flow_float = {
    Simd<float>::lanes,  functions<float>,     forward_scratch<float>, backward_scratch<float>,
    forward_tile<float>, backward_tile<float>, silu_taylor_of<float>,
};
const JetFlowKernels<double> jet_flow_double = {
    Simd<double>::lanes,  functions<double>,     forward_scratch<double>, backward_scratch<double>,
    forward_tile<double>, backward_tile<double>, silu_taylor_of<double>,
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
