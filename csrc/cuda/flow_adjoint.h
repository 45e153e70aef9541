// The adjoint of the flow of one tile of points.
//
// The adjoint of a step computes the step's stages anew, then goes through them in reverse. Of a stage it keeps the
// second hidden layer and the derivative of its activation; the first one is computed once more when it is needed.
// Gradients of parameters are summed over the points of a tile in registers and then added to the block's own array in
// global memory, always by the same thread: their bits depend on the number of blocks alone.
#pragma once

#include "flow_tile.h"

namespace symflow {
namespace gpu {

// 16 bytes of numbers as one access.
template <class T>
struct alignas(16) Run {
  T number[copy_length<T>];
};
template <class T>
SYMFLOW_DEVICE Run<T> load_run(const T* p) {
  return *reinterpret_cast<const Run<T>*>(p);
}

template <class S>
struct AdjointOfTile : FieldOfTile<S> {
  using Base = FieldOfTile<S>;
  using T = typename S::T;
  using Products = typename S::Products;
  using Base::embedded, Base::f, Base::head, Base::staging, Base::wide;
  using typename Base::Head;
  using typename Base::Mine;
  using typename Base::Wide;

  T* slope;         // [P][stride], the derivatives of the second layer's activations, then the gradients before them
  T* grad_head;     // [P][grad_head_stride], the gradients before the activations of a head
  T* grad_field;    // [4][P], of the vectors
  T* stage_points;  // [stages][threads], of the step; each thread's own
  T* weight_sums;   // [K][4], of the row's weights, per coordinate
  T* sums;          // the block's own in global memory, or null

  SYMFLOW_DEVICE AdjointOfTile(const FlowTask<T>& task, T* shared) : Base(task, shared) {
    slope = this->end();
    grad_head = slope + S::wide;
    grad_field = grad_head + S::grad_head;
    stage_points = grad_field + S::grad_field;
    weight_sums = stage_points + S::stage_points;
    sums = f.sums == nullptr ? nullptr : f.sums + blockIdx.x * f.layout.size;
  }

  // to[r][c] += sum_p a(r, p) b(c, p), c < W', the gradient of a weight. The sum over the points starts from zero:
  // adding points one by one to a long sum would lose digits.
  template <int m_tiles>
  SYMFLOW_DEVICE void add_outer(const Across<T>& a, const Across<T>& b, T* to) const {
    Fragment<T, m_tiles, S::n_tiles> tile, before;
    tile.clear();
    Products::multiply(tile, a, b, S::points);
    before.for_each_pair([&](int r, int c, T& left, T& right) {
      const Pair<T> pair = load_pair(to + r * S::width + c);
      left = pair.first, right = pair.second;
    });
#pragma unroll
    for (int m = 0; m < m_tiles; ++m) {
#pragma unroll
      for (int n = 0; n < S::n_tiles; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) tile.sum[m][n][i] += before.sum[m][n][i];
      }
    }
    tile.for_each_pair([&](int r, int c, T& left, T& right) { store_pair(to + r * S::width + c, left, right); });
  }

  // to[c] += sum_p array[p][c] for c < columns, the gradient of a bias.
  SYMFLOW_DEVICE void add_columns(const T* array, int stride, int columns, T* to) const {
    const int c = this_lane().thread;
    if (c >= columns) return;
    T sum = T(0);
#pragma unroll 8
    for (int p = 0; p < S::points; ++p) sum += array[p * stride + c];
    to[c] += sum;
  }

  // The sums of g h^T and g over the tile, from which the gradients of the last layer of head k and, by the inner
  // product with that layer, that of the row's weight follow. A warp has a coordinate, a lane a unit.
  SYMFLOW_DEVICE void add_last_layer(int k, int unit, T weight) const {
    const int j = this_lane().thread / head_units, o = this_lane().thread % head_units;
    if (j >= f.dimension) return;
    const T* g = grad_field + j * S::points;
    T outer = T(0), plain = T(0);
#pragma unroll 8
    for (int p = 0; p < S::points; ++p) {
      outer = Thread<T>::fma(g[p], head[p * S::head_stride + o], outer);
      plain += g[p];
    }
    const bool first = unit == 0 && o == 0;
    if (sums != nullptr) {
      sums[f.layout.out + (k * f.dimension + j) * f.head_width + unit + o] += weight * outer;
      if (first) sums[f.layout.out_bias + k * f.dimension + j] += weight * plain;
    }
    T inner = outer * this->out(k, j)[unit + o];
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) inner += __shfl_xor_sync(whole_warp, inner, lanes);
    if (first) inner = Thread<T>::fma(plain, this->out_bias(k, j), inner);
    if (o == 0) weight_sums[k * max_dimension + j] += inner;
  }

  // Head by head: gradients of its layers, and in `grad` that of the second hidden layer.
  SYMFLOW_DEVICE void heads_backward(const T* weights, Wide& grad) const {
    for (int k = 0; k < f.heads; ++k) {
      const T weight = weights[k];
      if (weight == 0 && f.weight_sums == nullptr) continue;
      for (int unit = 0; unit < f.head_width; unit += head_units) {
        Head layer;
        this->head_layer(k, unit, layer);
        layer.for_each_pair([&](int p, int o, T& left, T& right) {
          const auto first = silu_with_derivative<Thread<T>>(left), second = silu_with_derivative<Thread<T>>(right);
          T *h = head + p * S::head_stride + o, g[2] = {T(0), T(0)};
          h[0] = first.value, h[1] = second.value;
          for (int j = 0; j < f.dimension; ++j) {
            const T *a = this->out(k, j) + unit + o, v = weight * grad_field[j * S::points + p];
            g[0] = Thread<T>::fma(v, a[0], g[0]);
            g[1] = Thread<T>::fma(v, a[1], g[1]);
          }
          store_pair(grad_head + p * S::grad_head_stride + o, Products::kept(g[0] * first.derivative),
                     Products::kept(g[1] * second.derivative));
        });
        __syncthreads();
        if (sums != nullptr || f.weight_sums != nullptr) add_last_layer(k, unit, weight);
        if (weight == 0) continue;
        if (sums != nullptr) {
          const std::int64_t row = k * f.head_width + unit;
          add_outer<1>(Across<T>{grad_head, S::grad_head_stride}, Across<T>{wide, S::stride},
                       sums + f.layout.head + row * S::width);
          add_columns(grad_head, S::grad_head_stride, head_units, sums + f.layout.head_bias + row);
        }
        multiply_weights_transposed<Products, S::chunk>(grad, Along<T>{grad_head, S::grad_head_stride},
                                                        this->head_weight(k, unit), head_units, staging);
      }
    }
  }

  // The gradients of the first layer: thread c has unit c.
  SYMFLOW_DEVICE void add_first_layer(const T* grad) const {
    const int c = this_lane().thread;
    if (c >= S::width) return;
    T bias = T(0), weight[max_embedding] = {};
#pragma unroll 1
    for (int p = 0; p < S::points; ++p) {
      const T g = grad[p * S::stride + c];
      bias += g;
#pragma unroll
      for (int i = 0; i < max_embedding; ++i) {
        if (i < f.embedding) weight[i] = Thread<T>::fma(g, embedded[i * S::points + p], weight[i]);
      }
    }
    sums[f.layout.trunk0_bias + c] += bias;
#pragma unroll
    for (int i = 0; i < max_embedding; ++i) {
      if (i < f.embedding) sums[f.layout.trunk0 + i * S::width + c] += weight[i];
    }
  }

  // The gradient of the thread's coordinate through the embedding, from that before the first activations. The units
  // are cut into parts, whatever the size of a tile, so that this has no influence on the sum; a thread sums one part
  // for one point.
  SYMFLOW_DEVICE T grad_coordinate(const T* grad) const {
    constexpr int units = S::width / S::parts, run = copy_length<T>;
    const int p = this_lane().thread % S::points, part = this_lane().thread / S::points;
    T* partial = staging;  // [parts][8][P]
    if (part < S::parts) {
      T sum[max_embedding] = {};
#pragma unroll 1
      for (int o = part * units; o < (part + 1) * units; o += run) {
        const auto g = load_run(grad + p * S::stride + o);
#pragma unroll
        for (int i = 0; i < max_embedding; ++i) {
          if (i < f.embedding) {
            const auto w = load_run(this->trunk0() + i * S::width + o);
#pragma unroll
            for (int r = 0; r < run; ++r) sum[i] = Thread<T>::fma(g.number[r], w.number[r], sum[i]);
          }
        }
      }
#pragma unroll
      for (int i = 0; i < max_embedding; ++i) partial[(part * max_embedding + i) * S::points + p] = sum[i];
    }
    __syncthreads();
    const Mine own = Mine::now();
    if (own.coordinate >= f.dimension) return T(0);
    const auto total = [&](int slot) {
      T t = T(0);
#pragma unroll
      for (int part = 0; part < S::parts; ++part) t += partial[(part * max_embedding + slot) * S::points + own.point];
      return t;
    };
    const auto axis = this->axis(own.coordinate);
    if (axis.period <= 0) return total(axis.slot);
    const T* angle = embedded + axis.slot * S::points + own.point;
    const T rate = T(6.28318530717958647693) / axis.period;
    return rate * (total(axis.slot + 1) * angle[0] - total(axis.slot) * angle[S::points]);
  }

  // From the gradient of the thread's coordinate of the vector at z to that of z.
  SYMFLOW_DEVICE T backward(const T* weights, T z, T grad_vector) const {
    this->embed(z);
    const Mine own = Mine::now();
    if (own.coordinate < f.dimension) grad_field[own.coordinate * S::points + own.point] = grad_vector;
    __syncthreads();
    this->template trunk<true>(slope);
    Wide grad;
    grad.clear();
    heads_backward(weights, grad);
    // A head without a weight may be the last one: all must have left its layer before `wide` changes.
    __syncthreads();
    grad.for_each_pair([&](int p, int o, T& left, T& right) {
      const Pair<T> derivative = load_pair(slope + p * S::stride + o);
      this->store(slope, p, o, left * derivative.first, right * derivative.second);
    });
    __syncthreads();
    if (sums != nullptr) add_columns(slope, S::stride, S::width, sums + f.layout.trunk1_bias);
    grad.clear();
    multiply_weights_transposed<Products, S::chunk>(grad, Along<T>{slope, S::stride}, f.parameters + f.layout.trunk1,
                                                    S::width, staging);
#pragma unroll
    for (int n = 0; n < S::n_tiles; ++n) {
      this->first_layer_of(n, [&](int m, int half, int p, int o, T left, T right) {
        const auto first = silu_with_derivative<Thread<T>>(left), second = silu_with_derivative<Thread<T>>(right);
        this->store(wide, p, o, first.value, second.value);
        grad.sum[m][n][2 * half] *= first.derivative;
        grad.sum[m][n][2 * half + 1] *= second.derivative;
      });
    }
    __syncthreads();
    if (sums != nullptr) {
      constexpr int m_tiles = sizeof(T) == 4 ? 2 : 1, rows = Fragment<T, m_tiles, S::n_tiles>::rows;
      for (int row = 0; row < S::width; row += rows) {
        add_outer<m_tiles>(Across<T>{slope + row, S::stride}, Across<T>{wide, S::stride},
                           sums + f.layout.trunk1 + row * S::width);
      }
      __syncthreads();
    }
    grad.for_each_pair([&](int p, int o, T& left, T& right) { store_pair(slope + p * S::stride + o, left, right); });
    __syncthreads();
    if (sums != nullptr) add_first_layer(slope);
    const T result = grad_coordinate(slope);
    __syncthreads();  // all have read the arrays that the next stage writes
    return result;
  }
};

// With V_i = V(z_i), z_i = z + dt a_i V_{i-1}, z' = z + dt sum b_i V_i and g the gradient of z', the gradient of V_i is
// dt (b_i g + a_{i+1} grad z_{i+1}), and that of z is g + sum_i grad z_i.
template <class S>
__global__ void __launch_bounds__(block_threads, S::backward_blocks)
    flow_backward_kernel(const __grid_constant__ FlowTask<typename S::T> f) {
  using T = typename S::T;
  const AdjointOfTile<S> field(f, shared_memory<T>());
  if (field.sums != nullptr) {
    for (std::int64_t i = this_lane().thread; i < f.layout.size; i += block_threads) field.sums[i] = T(0);
  }
  const std::int64_t tiles_per_row = (f.points + S::points - 1) / S::points, tiles = f.rows * tiles_per_row;
  for (std::int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const T* weights = f.weights + tile / tiles_per_row * f.heads;
    const bool moving = any_active(weights, f.heads), evaluated = moving || f.weight_sums != nullptr;
    for (int i = this_lane().thread; i < f.heads * max_dimension; i += block_threads) field.weight_sums[i] = T(0);
    __syncthreads();
    const auto own = Place::of<S::points>(f, tile);
    T g = own.real ? f.grad_end[own.at] : T(0);
    for (int step = f.steps - 1; step >= 0 && evaluated; --step) {
      const T z = f.states_saved[step * f.rows * f.points * f.dimension + Place::of<S::points>(f, tile).at];
      T* at = field.stage_points + this_lane().thread;
      at[0] = z;
#pragma unroll 1
      for (int i = 0; i + 1 < Rk4::stages; ++i) {
        const T v = field.velocity(weights, at[i * block_threads]);
        at[(i + 1) * block_threads] = Thread<T>::fma(f.a[i + 1], v, z);
      }
      T grad_before = g, grad_stage = T(0);
#pragma unroll 1
      for (int i = Rk4::stages - 1; i >= 0; --i) {
        const T share = f.b[i] * g;
        const T grad_vector = i + 1 < Rk4::stages ? Thread<T>::fma(f.a[i + 1], grad_stage, share) : share;
        grad_stage = field.backward(weights, at[i * block_threads], grad_vector);
        grad_before += grad_stage;
      }
      g = grad_before;
    }
    Place::of<S::points>(f, tile).store(g, f.grad_start);
    if (f.weight_sums != nullptr) {
      T* to = f.weight_sums + tile * f.heads * max_dimension;
      for (int i = this_lane().thread; i < f.heads * max_dimension; i += block_threads) to[i] = field.weight_sums[i];
    }
    __syncthreads();
  }
}

}  // namespace gpu
}  // namespace symflow
