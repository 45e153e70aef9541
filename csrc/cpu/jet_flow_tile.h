// The flow of one tile of jets, forward and adjoint, for one instruction set (see simd.h for how it is included). The C
// coefficients of a point are its lines, which meet between the layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "../core/elementary.h"
#include "../core/jet.h"
#include "jet_flow_cpu.h"
#include "network_tile.h"

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

  static constexpr JetFunctions<T> table = {silu, silu_backward};
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

// cos and sin of 2 pi z/p, and their adjoint. Points have few periodic coordinates and many hidden units: the lists of
// the algebra are read as they run, and compiled for no truncation.
template <class T>
struct Turns {
  using S = Simd<T>;
  using Truncation = AnyTruncation;
  static constexpr int terms = Truncation::most_degree + 2;

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
};

// ---- a tile -------------------------------------------------------------------------------------------------------

template <class T>
struct JetTile : Lines {
  using Scalar = T;
  using Problem = JetFlowProblem<T>;
  using S = Simd<T>;
  static constexpr Index panel = 2 * S::lanes;
  const Problem& f;

  JetTile(const Problem& problem, Index tile)
      : Lines(problem, tile, problem.algebra->size, most_lines(problem)), f(problem) {}

  static Index most_lines(const Problem& f) { return f.lines; }
  static Index work(const Problem& f) { return f.lines * panel; }  // the sums of a panel of columns

  void load(const T* array, T* z) const {
    for (Index k = 0; k < size; ++k) {
      const T* from = array + ((k * f.rows + row) * f.points + first) * f.dimension;
      for (Index p = 0; p < count; ++p) {
        for (Index j = 0; j < f.dimension; ++j) z[j * f.lines + p * size + k] = from[p * f.dimension + j];
      }
    }
    for (Index j = 0; j < f.dimension; ++j) clear_tail(z + j * f.lines);
  }

  void store(const T* z, T* array) const {
    for (Index k = 0; k < size; ++k) {
      T* to = array + ((k * f.rows + row) * f.points + first) * f.dimension;
      for (Index p = 0; p < count; ++p) {
        for (Index j = 0; j < f.dimension; ++j) to[p * f.dimension + j] = z[j * f.lines + p * size + k];
      }
    }
  }

  // The lines beyond the last point are zeros.
  void clear_tail(T* column) const {
    for (Index i = lines; i < columns.end; ++i) column[i] = 0;
  }

  void embed(const T* z, T* embedded) const {
    for (Index j = 0; j < f.dimension; ++j) {
      const T* column = z + j * f.lines;
      if (f.periods[j] > 0) {
        Turns<T>::turn(*f.algebra, count, T(f.periods[j]), column, embedded, embedded + f.lines);
        clear_tail(embedded);
        embedded += f.lines;
        clear_tail(embedded);
      } else {
        for (Index i = 0; i < columns.end; i += S::lanes) S::store(embedded + i, S::load(column + i));
      }
      embedded += f.lines;
    }
    for (Index i = 0; i < columns.end; ++i) embedded[i] = 0;
    for (Index p = 0; p < count; ++p) embedded[p * size] = 1;
  }

  // The gradient of z from that of its embedding.
  void embed_backward(const T* embedded, T* grad_embedded, T* grad) const {
    for (Index i = 0; i < f.embedding; ++i) clear_tail(grad_embedded + i * f.lines);
    for (Index j = 0; j < f.dimension; ++j) {
      T* column = grad + j * f.lines;
      if (f.periods[j] > 0) {
        Turns<T>::turn_backward(*f.algebra, count, T(f.periods[j]), embedded, embedded + f.lines, grad_embedded,
                                grad_embedded + f.lines, column);
        clear_tail(column);
        embedded += f.lines;
        grad_embedded += f.lines;
      } else {
        for (Index i = 0; i < columns.end; i += S::lanes) S::store(column + i, S::load(grad_embedded + i));
      }
      embedded += f.lines;
      grad_embedded += f.lines;
    }
  }

  // values[l][c] = silu(bias[c] + sum_k a[l a_row + k a_step] b[k][c]) as jets, and the slopes when kept. A panel of
  // columns is finished while its lines are in the first cache.
  void hidden(Index width, Index depth, const T* a, Index a_row, Index a_step, const T* packed, Index b_step,
              Index b_panel, const T* bias, T* values, T* slopes, Index row_length) const {
    for (Index c = 0; c < width; c += panel) {
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

  void last(const Row<T>& heads, Stage<T>& stage) const {
    const T zeros[max_dimension] = {};
    narrow<S>(f.dimension, columns.end, heads.active_columns, stage.head, heads.head_columns, heads.out,
              heads.head_columns, zeros, stage.field, f.lines);
    for (Index j = 0; j < f.dimension; ++j) {
      for (Index p = 0; p < count; ++p) stage.field[j * f.lines + p * size] += heads.out_bias[j];
      clear_tail(stage.field + j * f.lines);
    }
  }

  void last_backward(const Row<T>& heads, const T* grad_field, T* sums, T* slopes) const {
    const Index row_length = heads.head_columns;
    for (Index c = 0; c < heads.active_columns; c += panel) {
      widen<S, max_dimension>(f.dimension, lines, panel, grad_field, f.lines, heads.out + c, row_length,
                              [&](Index l, Index i, typename S::Value sum)
                                  SYMFLOW_INLINE_LAMBDA { S::store(sums + l * panel + i, sum); });
      f.functions->silu_backward(*f.algebra, count, sums, panel, slopes + c, row_length);
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
};

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
const JetFlowKernels<float> jet_flow_float = {tile_kernels<JetTile<float>>, functions<float>, silu_taylor_of<float>};
const JetFlowKernels<double> jet_flow_double = {tile_kernels<JetTile<double>>, functions<double>,
                                                silu_taylor_of<double>};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
