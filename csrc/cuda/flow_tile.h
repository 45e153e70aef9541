// One tile of points, the field on it, and its flow by one block.
//
// A block owns `points` points of one row of a batch from their start to their end. Two arrays [point][unit] in shared
// memory hold the hidden layers; sums are in registers; weights stream in from the cache of the device; what leaves is
// the state of each step. A thread t < points d also owns one number of the tile's state, coordinate t / points of
// point t % points, and does the arithmetic of the Runge-Kutta method on it.
#pragma once

#include "../core/elementary.h"
#include "flow_task.h"

namespace symflow {
namespace gpu {

constexpr int max_embedding = 2 * max_dimension;

// How a kernel is compiled: tiles of P points, W' hidden units, weights in chunks.
template <class Products_, int points_, int width_, int chunk_>
struct Shape {
  using Products = Products_;
  using T = typename Products::T;
  static constexpr int points = points_, width = width_, chunk = chunk_;
  static constexpr int m_tiles = points / (warps_m * 16), n_tiles = width / (warps_n * 8);
  static constexpr int stride = width + 8;            // of [point][unit]: against conflicts of banks, see products.h
  static constexpr int head_stride = head_units + 1;  // of a head's layer, read along the points
  static constexpr int grad_head_stride = head_units + 8;  // and of its gradient, read like the wide arrays
  static constexpr int parts = 4;                          // of the units, in the gradient of the embedding

  // Numbers of shared memory.
  static constexpr int embedded = max_embedding * points, wide = points * stride, head = points * head_stride;
  static constexpr int grad_head = points * grad_head_stride, grad_field = max_dimension * points;
  static constexpr int partial = parts * max_embedding * points;
  static constexpr int staging = staging_size(chunk, width) > partial ? staging_size(chunk, width) : partial;

  static constexpr int stage_points = Rk4::stages * block_threads;
  static constexpr int field = embedded + wide + staging + head;
  static constexpr std::size_t forward_bytes = sizeof(T) * (field + 2 * block_threads);
  static constexpr std::size_t backward_bytes =
      sizeof(T) * (field + wide + grad_head + grad_field + stage_points);  // and 4 K numbers

  // Blocks that a multiprocessor should hold at least, which bounds the registers of a thread.
  static constexpr int forward_blocks = sizeof(T) == 4 ? 2 : 1, backward_blocks = sizeof(T) == 4 && width <= 64 ? 2 : 1;
};

// The thread's number of the state: the coordinate of a point of the tile; threads beyond those own nothing.
template <int tile_points>
struct Own {
  int point, coordinate;

  SYMFLOW_DEVICE static Own now() {
    const int thread = this_lane().thread;
    return {thread % tile_points, thread / tile_points};
  }
};

// Where that number is in arrays [B, N, d]. It is worked out anew for each use, not kept in registers.
struct Place {
  std::int64_t at;
  bool real;  // one of the row's; else the row's last point, repeated, or nothing

  template <int tile_points, class T>
  SYMFLOW_DEVICE static Place of(const FlowTask<T>& f, std::int64_t tile) {
    const auto own = Own<tile_points>::now();
    const std::int64_t tiles_per_row = (f.points + tile_points - 1) / tile_points;
    const std::int64_t row = tile / tiles_per_row, p = tile % tiles_per_row * tile_points + own.point;
    const bool any = own.coordinate < f.dimension;
    const std::int64_t nearest = p < f.points ? p : f.points - 1;
    return {(row * f.points + nearest) * f.dimension + (any ? own.coordinate : 0), any && p < f.points};
  }

  template <class T>
  SYMFLOW_DEVICE void store(T number, T* array) const {
    if (real) array[at] = number;
  }
};

// ---- the field ----------------------------------------------------------------------------------------------------

template <class S>
struct FieldOfTile {
  using T = typename S::T;
  using Products = typename S::Products;
  using Wide = Fragment<T, S::m_tiles, S::n_tiles>;
  using Head = Fragment<T, S::m_tiles, 1>;
  using Mine = Own<S::points>;

  struct Axis {
    int slot;  // of the coordinate's embedding
    T period;
  };

  const FlowTask<T>& f;
  T* embedded;  // [8][P]
  T* wide;      // [P][stride], a hidden layer
  T* staging;
  T* head;  // [P][head_stride], the layer of a head

  SYMFLOW_DEVICE FieldOfTile(const FlowTask<T>& task, T* shared)
      : f(task), embedded(shared), wide(embedded + S::embedded), staging(wide + S::wide), head(staging + S::staging) {}

  SYMFLOW_DEVICE T* end() const { return head + S::head; }
  SYMFLOW_DEVICE const T* trunk0() const { return f.parameters + f.layout.trunk0; }
  SYMFLOW_DEVICE const T* head_weight(int k, int unit) const {
    return f.parameters + f.layout.head + std::int64_t(k * f.head_width + unit) * S::width;
  }
  SYMFLOW_DEVICE const T* out(int k, int j) const {
    return f.parameters + f.layout.out + (k * f.dimension + j) * f.head_width;
  }
  SYMFLOW_DEVICE T out_bias(int k, int j) const { return f.parameters[f.layout.out_bias + k * f.dimension + j]; }

  SYMFLOW_DEVICE Axis axis(int coordinate) const {
    Axis result{0, T(0)};
#pragma unroll
    for (int j = 0; j < max_dimension; ++j) {
      if (j < coordinate) result.slot += f.periods[j] > 0 ? 2 : 1;
      if (j == coordinate) result.period = f.periods[j];
    }
    return result;
  }

  SYMFLOW_DEVICE void embed(T z) const {
    const Mine own = Mine::now();
    if (own.coordinate >= f.dimension) return;
    const Axis own_axis = axis(own.coordinate);
    T* place = embedded + own_axis.slot * S::points + own.point;
    if (own_axis.period > 0) {
      const auto angle = turn<Thread<T>>(z, own_axis.period);
      place[0] = angle.cos;
      place[S::points] = angle.sin;
    } else {
      place[0] = z;
    }
  }

  // body(m, half, p, o, x, x') for the pre-activations of the first layer at the places of tiles (., n) of a Wide: of
  // point p and units o and o + 1, which a Wide has in sum[m][n][2 half] and the next.
  template <class Body>
  SYMFLOW_DEVICE void first_layer_of(int n, const Body& body) const {
    const Lane lane = this_lane();
    const int o = Wide::column(lane, n) + 2 * lane.pair();
    const Pair<T> bias = load_pair(f.parameters + f.layout.trunk0_bias + o);
    T x[S::m_tiles][2][2];
#pragma unroll
    for (int m = 0; m < S::m_tiles; ++m) {
      x[m][0][0] = x[m][1][0] = bias.first;
      x[m][0][1] = x[m][1][1] = bias.second;
    }
#pragma unroll 1
    for (int i = 0; i < f.embedding; ++i) {
      const Pair<T> w = load_pair(trunk0() + i * S::width + o);
#pragma unroll
      for (int m = 0; m < S::m_tiles; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const T e = embedded[i * S::points + Wide::row(lane, m) + 8 * half];
          x[m][half][0] = Thread<T>::fma(e, w.first, x[m][half][0]);
          x[m][half][1] = Thread<T>::fma(e, w.second, x[m][half][1]);
        }
      }
    }
#pragma unroll
    for (int m = 0; m < S::m_tiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half)
        body(m, half, Wide::row(lane, m) + 8 * half, o, x[m][half][0], x[m][half][1]);
    }
  }

  SYMFLOW_DEVICE void store(T* array, int p, int o, T left, T right) const {
    store_pair(array + p * S::stride + o, Products::kept(left), Products::kept(right));
  }

  // From the embedding to the second hidden layer in `wide`; with `slope`, the derivative of its activation goes there.
  template <bool keep>
  SYMFLOW_DEVICE void trunk(T* slope) const {
#pragma unroll 1
    for (int n = 0; n < S::n_tiles; ++n) {
      first_layer_of(n, [&](int, int, int p, int o, T left, T right) {
        store(wide, p, o, silu<Thread<T>>(left), silu<Thread<T>>(right));
      });
    }
    Wide sums;
    sums.for_each_pair([&](int, int o, T& left, T& right) {
      const Pair<T> bias = load_pair(f.parameters + f.layout.trunk1_bias + o);
      left = bias.first, right = bias.second;
    });
    multiply_weights<Products, S::chunk>(sums, Along<T>{wide, S::stride}, f.parameters + f.layout.trunk1, S::width,
                                         staging);
    sums.for_each_pair([&](int p, int o, T& left, T& right) {
      if constexpr (keep) {
        const auto first = silu_with_derivative<Thread<T>>(left), second = silu_with_derivative<Thread<T>>(right);
        store(wide, p, o, first.value, second.value);
        store_pair(slope + p * S::stride + o, first.derivative, second.derivative);
      } else {
        store(wide, p, o, silu<Thread<T>>(left), silu<Thread<T>>(right));
      }
    });
  }

  // The pre-activations of units [unit, unit + 32) of head k.
  SYMFLOW_DEVICE void head_layer(int k, int unit, Head& sums) const {
    sums.for_each_pair([&](int, int o, T& left, T& right) {
      const Pair<T> bias = load_pair(f.parameters + f.layout.head_bias + k * f.head_width + unit + o);
      left = bias.first, right = bias.second;
    });
    multiply_weights<Products, S::chunk>(sums, Along<T>{wide, S::stride}, head_weight(k, unit), S::width, staging);
  }

  // The thread's coordinate of sum_k w_k V_k at its point, whose coordinate is z.
  SYMFLOW_DEVICE T velocity(const T* weights, T z) const {
    embed(z);
    __syncthreads();
    trunk<false>(nullptr);
    T sum = T(0);
    for (int k = 0; k < f.heads; ++k) {
      const T weight = weights[k];
      if (weight == 0) continue;
      T vector = T(0);
      for (int unit = 0; unit < f.head_width; unit += head_units) {
        Head sums;
        head_layer(k, unit, sums);
        sums.for_each_pair([&](int p, int o, T& left, T& right) {
          head[p * S::head_stride + o] = silu<Thread<T>>(left);
          head[p * S::head_stride + o + 1] = silu<Thread<T>>(right);
        });
        __syncthreads();
        const Mine own = Mine::now();
        if (own.coordinate < f.dimension) {
          const T *a = out(k, own.coordinate) + unit, *h = head + own.point * S::head_stride;
#pragma unroll 4
          for (int o = 0; o < head_units; ++o) vector = Thread<T>::fma(a[o], h[o], vector);
        }
      }
      const int j = Mine::now().coordinate;
      if (j < f.dimension) sum = Thread<T>::fma(weight, vector + out_bias(k, j), sum);
    }
    __syncthreads();  // all have read the last layers, and `embedded` may change
    return sum;
  }
};

template <class T>
SYMFLOW_DEVICE bool any_active(const T* weights, int heads) {
  bool any = false;
  for (int k = 0; k < heads; ++k) any = any || weights[k] != 0;
  return any;
}

template <class S>
__global__ void __launch_bounds__(block_threads, S::forward_blocks)
    flow_forward_kernel(const __grid_constant__ FlowTask<typename S::T> f) {
  using T = typename S::T;
  const FieldOfTile<S> field(f, shared_memory<T>());
  const std::int64_t tile = blockIdx.x, tiles_per_row = (f.points + S::points - 1) / S::points;
  const T* weights = f.weights + tile / tiles_per_row * f.heads;
  const bool moving = any_active(weights, f.heads);
  // The state is in shared memory, each thread's own: the products leave no registers to spare.
  T* z = field.end() + this_lane().thread;
  T* sum = z + block_threads;
  *z = f.start[Place::of<S::points>(f, tile).at];
  for (int step = 0; step < f.steps; ++step) {
    if (f.states != nullptr) Place::of<S::points>(f, tile).store(*z, f.states + step * f.rows * f.points * f.dimension);
    if (!moving) continue;  // the zero field moves nothing, not even the sign of a zero
    T at = *z;
#pragma unroll 1
    for (int i = 0; i < Rk4::stages; ++i) {
      const T v = field.velocity(weights, at);
      *sum = i == 0 ? f.b[0] * v : *sum + f.b[i] * v;
      if (i + 1 < Rk4::stages) at = Thread<T>::fma(f.a[i + 1], v, *z);
    }
    *z += *sum;
  }
  Place::of<S::points>(f, tile).store(*z, f.end);
}

}  // namespace gpu
}  // namespace symflow
