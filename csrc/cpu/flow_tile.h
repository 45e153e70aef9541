// The flow of one tile of points, forward and adjoint, for one instruction set (see simd.h for how it is included).
// A point is one line; an activation and its derivative are computed while their sums are in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/elementary.h"
#include "network_tile.h"

namespace symflow {
namespace SYMFLOW_ISA {

template <class T>
struct PointTile : Lines {
  using Scalar = T;
  using Problem = FlowProblem<T>;
  using S = Simd<T>;
  const Problem& f;

  PointTile(const Problem& problem, Index tile) : Lines(problem, tile, 1, most_lines(problem)), f(problem) {}

  static Index most_lines(const Problem& f) { return f.tile; }
  static Index work(const Problem&) { return 0; }

  // Columns from points; the places beyond the last point repeat it, so that they hold nothing that it does not.
  void load(const T* array, T* z) const {
    const T* from = array + (row * f.points + first) * f.dimension;
    for (Index j = 0; j < f.dimension; ++j) {
      T* column = z + j * f.tile;
      for (Index p = 0; p < count; ++p) column[p] = from[p * f.dimension + j];
      for (Index p = count; p < columns.end; ++p) column[p] = column[count - 1];
    }
  }

  void store(const T* z, T* array) const {
    T* to = array + (row * f.points + first) * f.dimension;
    for (Index j = 0; j < f.dimension; ++j) {
      for (Index p = 0; p < count; ++p) to[p * f.dimension + j] = z[j * f.tile + p];
    }
  }

  void embed(const T* z, T* embedded) const {
    for (Index j = 0; j < f.dimension; ++j) {
      const T period = T(f.periods[j]);
      for (Index p = 0; p < columns.end; p += S::lanes) {
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
    for (Index p = 0; p < columns.end; p += S::lanes) S::store(embedded + p, S::set(1));
  }

  // The gradient of z from that of its embedding.
  void embed_backward(const T* embedded, const T* grad_embedded, T* grad) const {
    for (Index j = 0; j < f.dimension; ++j) {
      const T period = T(f.periods[j]);
      const T rate = period > 0 ? T(6.28318530717958647693) / period : T(1);
      for (Index p = 0; p < columns.end; p += S::lanes) {
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
  void layer(Index width, Index depth, const T* a, Index a_row, Index a_step, const T* packed, Index b_step,
             Index b_panel, const T* bias, T* value, T* derivative, Index value_row) const {
    for_each_block<S>(
        blocks_end, width,
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

  void hidden(Index width, Index depth, const T* a, Index a_row, Index a_step, const T* packed, Index b_step,
              Index b_panel, const T* bias, T* value, T* derivative, Index value_row) const {
    const auto run = derivative == nullptr ? &PointTile::layer<false> : &PointTile::layer<true>;
    (this->*run)(width, depth, a, a_row, a_step, packed, b_step, b_panel, bias, value, derivative, value_row);
  }

  void last(const Row<T>& heads, Stage<T>& stage) const {
    narrow<S>(f.dimension, columns.end, heads.active_columns, stage.head, heads.head_columns, heads.out,
              heads.head_columns, heads.out_bias, stage.field, f.tile);
  }

  void last_backward(const Row<T>& heads, const T* grad_field, T*, T* derivative) const {
    widen<S, max_dimension>(f.dimension, blocks_end, heads.active_columns, grad_field, f.tile, heads.out,
                            heads.head_columns, [&](Index p, Index o, typename S::Value sum) SYMFLOW_INLINE_LAMBDA {
                              T* place = derivative + p * heads.head_columns + o;
                              S::store(place, sum * S::load(place));
                            });
  }

  // grad_in[p][c] = derivative[p][c] sum_k grad[p][k] b[k][c], written over the derivative. The depth is cut into
  // `segments`, one for each head, whose matrices `packed(segment)` need not be neighbours.
  template <class Packed>
  void hidden_backward(Index segments, Index depth, Index grad_step, const T* grad, Index grad_row, Packed packed, T*,
                       T* derivative) const {
    constexpr Index panel = 2 * S::lanes;
    const Index W = f.padded_width;
    for_each_block<S>(
        blocks_end, W,
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
};

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
const FlowKernels<float> flow_float = {tile_kernels<PointTile<float>>, elementary<float>};
const FlowKernels<double> flow_double = {tile_kernels<PointTile<double>>, elementary<double>};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
