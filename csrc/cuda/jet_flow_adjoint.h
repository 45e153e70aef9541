// The adjoint of the flow of one tile of jets.
//
// The adjoint of a step computes the step's stages anew, then goes through them in reverse. Of a stage it keeps the
// second hidden layer and its slopes; the first one is computed once more when it is needed. Gradients of parameters
// are summed over the points of a tile in registers and then added to the block's own array in global memory, always by
// the same thread: their bits depend on the number of blocks alone.
#pragma once

#include "jet_flow_tile.h"

namespace symflow {
namespace {

template <class T, int order>
struct Adjoint : Tile<T, order> {
  using Base = Tile<T, order>;
  using Ops = Thread<T>;
  using Base::C, Base::count, Base::f, Base::lines, Base::weights;
  using Base::embedded, Base::first_layer, Base::second_layer, Base::head;
  using Base::embedded_stride, Base::head_stride, Base::wide_stride;
  using typename Base::Jets;

  T* grad_embedded;  // [lines][stride]
  T* slopes;         // [lines][stride], of the second layer, then the gradient before its activation
  T* grad_head;      // [lines][stride], the gradient before the activation of a head
  T *grad, *grad_before, *grad_stage, *grad_field;  // [lines][d]
  T* later_stages;                                  // [3][lines][d], the states at which stages 1, 2 and 3 evaluate
  T* inner;                                         // [d (H + 1)], terms of the gradient of a row's weight
  T* weight_sums;                                   // [K]
  T* sums;                                          // the block's own in global memory, or null

  SYMFLOW_DEVICE Adjoint(const Task<T>& task, T* shared) : Base(task, shared, true) {
    const Shared<T> size(f, C, true);
    grad_embedded = this->sum + size.state;
    slopes = grad_embedded + size.embedded;
    grad_head = slopes + size.wide;
    grad = grad_head + size.head;
    grad_before = grad + size.state;
    grad_stage = grad_before + size.state;
    grad_field = grad_stage + size.state;
    later_stages = grad_field + size.state;
    inner = later_stages + 3 * size.state;
    weight_sums = inner + f.dimension * (f.head_width + 1);
    sums = f.sums == nullptr ? nullptr : f.sums + blockIdx.x * f.places.at[8];
  }

  // The gradient of a parameter, number i of it.
  SYMFLOW_DEVICE T& place(int parameter, std::int64_t i) const { return sums[f.places.at[parameter] + i]; }

  // to[r][c] += sum_l a[l][r] b[l][c], the gradient of a weight. The sum over the lines starts from zero: adding points
  // one by one to a long sum would lose digits.
  SYMFLOW_DEVICE void add_outer(const T* a, int a_stride, int rows, const T* b, int b_stride, int columns,
                                T* to) const {
    const int parts = (columns + warp_size - 1) / warp_size, bands = (rows + outer_rows - 1) / outer_rows;
    for (int task = this->warp; task < bands * parts; task += warps) {
      const int r = task / parts * outer_rows, unit = task % parts * warp_size + this->lane;
      const int c = unit < columns ? unit : columns - 1;
      T tile[outer_rows] = {};
      for (int l = 0; l < lines; ++l) {
        const T right = b[l * b_stride + c];
#pragma unroll
        for (int i = 0; i < outer_rows; ++i) tile[i] = Ops::fma(a[l * a_stride + r + i], right, tile[i]);
      }
#pragma unroll
      for (int i = 0; i < outer_rows; ++i) {
        if (unit < columns && r + i < rows) to[std::int64_t(r + i) * columns + c] += tile[i];
      }
    }
  }

  // to[c] += sum_p array[p C][c], the gradient of a bias: the constant coefficients alone have one.
  SYMFLOW_DEVICE void add_biases(const T* array, int stride, int columns, T* to) const {
    for (int c = int(threadIdx.x); c < columns; c += block_threads) {
      T total = T(0);
      for (int p = 0; p < count; ++p) total += array[p * C * stride + c];
      to[c] += total;
    }
  }

  // The sums of g h^T and g over the tile, from which the gradients of the last layer of head k and, by the inner
  // product with that layer, that of the row's weight follow.
  SYMFLOW_DEVICE void add_last_layer(int k, T weight) const {
    const int H = f.head_width, d = f.dimension;
    for (int i = int(threadIdx.x); i < d * H + d; i += block_threads) {
      const bool bias = i >= d * H;
      const int j = bias ? i - d * H : i / H, o = i % H;
      T total = T(0);
      if (bias) {
        for (int p = 0; p < count; ++p) total += grad_field[p * C * f.dimension + j];
      } else {
        for (int l = 0; l < lines; ++l) {
          total = Ops::fma(grad_field[l * f.dimension + j], head[l * head_stride + o], total);
        }
      }
      const std::int64_t number = k * d + j;
      if (sums != nullptr) (bias ? place(7, number) : place(6, number * H + o)) += weight * total;
      inner[i] = total * (bias ? f.parameters[7][number] : f.parameters[6][number * H + o]);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      T total = T(0);
      for (int i = 0; i < d * H + d; ++i) total += inner[i];
      weight_sums[k] += total;
    }
  }

  // Head by head: gradients of its layers, and in `first_layer` that of the second hidden layer.
  SYMFLOW_DEVICE void heads_backward() const {
    const int H = f.head_width, W = f.width;
    for (int k = 0; k < f.heads; ++k) {
      const T weight = weights[k];
      if (weight == 0 && f.weight_sums == nullptr) continue;
      this->for_units(H, [&](int p, int unit, bool real) {
        T a[C], y[C], slope[C], g[C];
        this->head_of(k, p, unit, a);
        this->silu_slopes(a, y, slope);
        if (real) this->store(y, head + p * C * head_stride + unit, head_stride);
#pragma unroll
        for (int c = 0; c < C; ++c) g[c] = T(0);
        for (int j = 0; j < f.dimension; ++j) {
          const T out = weight * f.parameters[6][(k * f.dimension + j) * H + unit];
#pragma unroll
          for (int c = 0; c < C; ++c) g[c] = Ops::fma(grad_field[(p * C + c) * f.dimension + j], out, g[c]);
        }
        Jets::template adjoint<Ops>(slope, g);
        if (real) this->store(g, grad_head + p * C * head_stride + unit, head_stride);
      });
      __syncthreads();
      if (sums != nullptr || f.weight_sums != nullptr) add_last_layer(k, weight);
      if (weight != 0) {
        if (sums != nullptr) {
          add_outer(grad_head, head_stride, H, second_layer, wide_stride, W, &place(4, std::int64_t(k) * H * W));
          add_biases(grad_head, head_stride, H, &place(5, k * H));
        }
        this->for_units(W, [&](int p, int unit, bool real) {
          T a[C];
          T* to = first_layer + p * C * wide_stride + unit;
          this->load(to, wide_stride, a);
          this->multiply(a, grad_head + p * C * head_stride, head_stride,
                         f.parameters[4] + std::int64_t(k) * H * W + unit, W, H);
          if (real) this->store(a, to, wide_stride);
        });
      }
      __syncthreads();
    }
  }

  // The gradient of the state from that of its embedding.
  SYMFLOW_DEVICE void embed_backward() const {
    for (int i = int(threadIdx.x); i < count * f.dimension; i += block_threads) {
      const int j = i % f.dimension, p = i / f.dimension, slot = p * C * embedded_stride + this->slot_of(j);
      const T period = this->period_of(j);
      T g[C];
      this->load(grad_embedded + slot, embedded_stride, g);
      if (period > 0) {
        const T rate = T(6.28318530717958647693) / period;
        T slope[C], other[C];
        this->load(embedded + slot + 1, embedded_stride, slope);
        Jets::template adjoint<Ops>(slope, g);
        this->load(grad_embedded + slot + 1, embedded_stride, other);
        this->load(embedded + slot, embedded_stride, slope);
        Jets::template adjoint<Ops>(slope, other);
#pragma unroll
        for (int c = 0; c < C; ++c) g[c] = rate * (other[c] - g[c]);
      }
      this->store(g, grad_stage + p * C * f.dimension + j, f.dimension);
    }
  }

  // From `grad_field`, the gradient of the velocity at a state, to that of the state in `grad_stage`.
  SYMFLOW_DEVICE void backward(const T* state) const {
    const int W = f.width, e = f.embedding;
    this->embed(state);
    __syncthreads();
    this->compute_first_layer();
    __syncthreads();
    this->for_units(W, [&](int p, int unit, bool real) {
      T a[C], y[C], slope[C];
      this->second_of(p, unit, a);
      this->silu_slopes(a, y, slope);
      if (real) {
        this->store(y, second_layer + p * C * wide_stride + unit, wide_stride);
        this->store(slope, slopes + p * C * wide_stride + unit, wide_stride);
      }
    });
    __syncthreads();
    const T zero[C] = {};
    this->for_units(W, [&](int p, int unit, bool real) {
      if (real) this->store(zero, first_layer + p * C * wide_stride + unit, wide_stride);
    });
    heads_backward();
    this->for_units(W, [&](int p, int unit, bool real) {
      T g[C], slope[C], a[C], y[C];
      const int at = p * C * wide_stride + unit;
      this->load(first_layer + at, wide_stride, g);
      this->load(slopes + at, wide_stride, slope);
      Jets::template adjoint<Ops>(slope, g);
      this->first_of(p, unit, a);
      this->silu_of(a, y);
      if (real) {
        this->store(g, slopes + at, wide_stride);
        this->store(y, first_layer + at, wide_stride);
      }
    });
    __syncthreads();
    if (sums != nullptr) {
      add_outer(slopes, wide_stride, W, first_layer, wide_stride, W, &place(2, 0));
      add_biases(slopes, wide_stride, W, &place(3, 0));
    }
    this->for_units(W, [&](int p, int unit, bool real) {
      T g[C], slope[C], a[C], y[C];
#pragma unroll
      for (int c = 0; c < C; ++c) g[c] = T(0);
      this->multiply(g, slopes + p * C * wide_stride, wide_stride, f.parameters[2] + unit, W, W);
      this->first_of(p, unit, a);
      this->silu_slopes(a, y, slope);
      Jets::template adjoint<Ops>(slope, g);
      if (real) this->store(g, second_layer + p * C * wide_stride + unit, wide_stride);
    });
    __syncthreads();
    if (sums != nullptr) {
      add_outer(second_layer, wide_stride, W, embedded, embedded_stride, e, &place(0, 0));
      add_biases(second_layer, wide_stride, W, &place(1, 0));
    }
    for (int i = int(threadIdx.x); i < lines * e; i += block_threads) {
      const int l = i / e, slot = i % e;
      T total = T(0);
      for (int o = 0; o < W; ++o) {
        total = Ops::fma(second_layer[l * wide_stride + o], f.parameters[0][o * e + slot], total);
      }
      grad_embedded[l * embedded_stride + slot] = total;
    }
    __syncthreads();
    embed_backward();
    __syncthreads();
  }
};

// With V_i = V(z_i), z_i = z + dt a_i V_{i-1}, z' = z + dt sum b_i V_i and g the gradient of z', the gradient of V_i is
// dt (b_i g + a_{i+1} grad z_{i+1}), and that of z is g + sum_i grad z_i.
template <class T, int order>
__global__ void __launch_bounds__(block_threads, 1) backward_kernel(Task<T> f) {
  Adjoint<T, order> tile(f, shared_memory<T>());
  const int state = f.tile * tile.C * f.dimension;
  const auto stage = [&](int i) { return i == 0 ? tile.z : tile.later_stages + (i - 1) * state; };
  if (tile.sums != nullptr) {
    for (std::int64_t i = threadIdx.x; i < f.places.at[8]; i += block_threads) tile.sums[i] = T(0);
  }
  const std::int64_t tiles = f.rows * f.tiles_per_row(), array = std::int64_t(tile.C) * f.rows * f.points * f.dimension;
  for (std::int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
    tile.move_to(index);
    const bool evaluated = tile.any_active() || f.weight_sums != nullptr;
    for (int k = int(threadIdx.x); k < f.heads; k += block_threads) tile.weight_sums[k] = T(0);
    tile.for_state([&](int s, std::int64_t place) { tile.grad[s] = f.grad_end[place]; });
    for (int step = f.steps - 1; step >= 0 && evaluated; --step) {
      tile.for_state([&](int s, std::int64_t place) {
        tile.z[s] = f.states_saved[step * array + place];
        tile.grad_before[s] = tile.grad[s];
      });
#pragma unroll 1
      for (int i = 0; i + 1 < Rk4::stages; ++i) {
        __syncthreads();
        tile.evaluate(stage(i));
        tile.for_state(
            [&](int s, std::int64_t) { stage(i + 1)[s] = Thread<T>::fma(f.a[i + 1], tile.velocity[s], tile.z[s]); });
      }
#pragma unroll 1
      for (int i = Rk4::stages - 1; i >= 0; --i) {
        tile.for_state([&](int s, std::int64_t) {
          const T share = f.b[i] * tile.grad[s];
          tile.grad_field[s] = i + 1 < Rk4::stages ? Thread<T>::fma(f.a[i + 1], tile.grad_stage[s], share) : share;
        });
        __syncthreads();
        tile.backward(stage(i));
        tile.for_state([&](int s, std::int64_t) { tile.grad_before[s] += tile.grad_stage[s]; });
      }
      tile.for_state([&](int s, std::int64_t) { tile.grad[s] = tile.grad_before[s]; });
    }
    tile.for_state([&](int s, std::int64_t place) { f.grad_start[place] = tile.grad[s]; });
    __syncthreads();
    if (f.weight_sums != nullptr) {
      for (int k = int(threadIdx.x); k < f.heads; k += block_threads) {
        f.weight_sums[index * f.heads + k] = tile.weight_sums[k];
      }
    }
    __syncthreads();
  }
}

}  // namespace
}  // namespace symflow
