// One tile of jets, and its flow by one block.
//
// A block owns a few points of one row of a batch from their start to their end. A warp takes 32 hidden units of one
// point at a time: a lane has the C coefficients of its unit in registers, so that the product with a weight and the
// composition with silu, or their adjoints, are one thing. Between layers the coefficients lie in shared memory,
// [line][unit], line p C + k that of coefficient k of point p; weights come from the cache of the device, neighbours of
// neighbouring lanes.
#pragma once

#include "jet_flow_task.h"

namespace symflow {
namespace {

template <class T, int order>
struct Tile {
  using Ops = Thread<T>;
  using Jets = TotalDegree<order>;
  static constexpr int C = Jets::most_monomials, copy = 16 / int(sizeof(T));

  const Task<T>& f;
  const T* weights;         // of the row
  std::int64_t row, first;  // the points first .. first + count of a row
  int count, lines;
  int lane, warp;
  int embedded_stride, wide_stride, head_stride;
  T *embedded, *first_layer, *second_layer, *head;  // [lines][stride]
  T *z, *at, *velocity, *sum;                       // [lines][d]

  SYMFLOW_DEVICE Tile(const Task<T>& task, T* shared, bool backward) : f(task) {
    const Shared<T> size(f, C, backward);
    lane = int(threadIdx.x) % warp_size;
    warp = int(threadIdx.x) / warp_size;
    embedded_stride = line_stride<T>(max_embedding);
    wide_stride = line_stride<T>(f.width);
    head_stride = line_stride<T>(f.head_width);
    embedded = shared;
    first_layer = embedded + size.embedded;
    second_layer = first_layer + size.wide;
    head = second_layer + size.wide;
    z = head + size.head;
    at = z + size.state;
    velocity = at + size.state;
    sum = velocity + size.state;
    // The numbers between the lines are read together with them, as factors of nothing.
    for (int i = int(threadIdx.x); i < size.total; i += block_threads) shared[i] = T(0);
    __syncthreads();
  }

  SYMFLOW_DEVICE void move_to(std::int64_t tile) {
    row = tile / f.tiles_per_row();
    first = tile % f.tiles_per_row() * f.tile;
    count = int(f.points - first < f.tile ? f.points - first : f.tile);
    lines = count * C;
    weights = f.weights + row * f.heads;
  }

  // body(place, global): every number of the tile's state in shared memory and in an array [C, B, N, d].
  template <class Body>
  SYMFLOW_DEVICE void for_state(const Body& body) const {
    for (int i = int(threadIdx.x); i < lines * f.dimension; i += block_threads) {
      const int j = i % f.dimension, line = i / f.dimension, p = line / C, k = line % C;
      body(i, ((k * f.rows + row) * f.points + first + p) * f.dimension + j);
    }
  }

  // body(p, unit, real) for every point and unit: one lane each, the last unit again in lanes that are left over.
  template <class Body>
  SYMFLOW_DEVICE void for_units(int units, const Body& body) const {
    const int parts = (units + warp_size - 1) / warp_size;
    for (int task = warp; task < count * parts; task += warps) {
      const int unit = task % parts * warp_size + lane;
      body(task / parts, unit < units ? unit : units - 1, unit < units);
    }
  }

  SYMFLOW_DEVICE static void load(const T* from, int stride, T (&a)[C]) {
#pragma unroll
    for (int k = 0; k < C; ++k) a[k] = from[k * stride];
  }
  SYMFLOW_DEVICE static void store(const T (&a)[C], T* to, int stride) {
#pragma unroll
    for (int k = 0; k < C; ++k) to[k * stride] = a[k];
  }

  // a[k] += sum_i lines[k][i] weight[i step]
  SYMFLOW_DEVICE static void multiply(T (&a)[C], const T* lines, int stride, const T* weight, int step, int depth) {
    struct alignas(16) Copy {
      T x[copy];
    };
    for (int first = 0; first < depth; first += copy) {
      T w[copy];
#pragma unroll
      for (int i = 0; i < copy; ++i) w[i] = first + i < depth ? weight[(first + i) * step] : T(0);
#pragma unroll
      for (int k = 0; k < C; ++k) {
        const Copy h = *reinterpret_cast<const Copy*>(lines + k * stride + first);
#pragma unroll
        for (int i = 0; i < copy; ++i) a[k] = Ops::fma(h.x[i], w[i], a[k]);
      }
    }
  }

  // silu of a jet, or its slopes silu'.
  SYMFLOW_DEVICE static void silu_of(const T (&a)[C], T (&y)[C]) {
    T taylor[order + 1];
    silu_taylor<Ops, order + 1>(a[0], taylor);
    Jets::template compose<Ops>(taylor, a, y);
  }
  SYMFLOW_DEVICE static void silu_slopes(const T (&a)[C], T (&y)[C], T (&slopes)[C]) {
    T taylor[order + 2];
    silu_taylor<Ops, order + 2>(a[0], taylor);
    Jets::template compose<Ops>(taylor, a, y);
#pragma unroll
    for (int m = 0; m <= order; ++m) taylor[m] = T(m + 1) * taylor[m + 1];
    Jets::template compose<Ops>(taylor, a, slopes);
  }

  // The place in the embedding of coordinate j.
  SYMFLOW_DEVICE int slot_of(int j) const {
    int slot = 0;
#pragma unroll
    for (int i = 0; i < max_dimension; ++i) {
      if (i < j) slot += f.periods[i] > 0 ? 2 : 1;
    }
    return slot;
  }
  SYMFLOW_DEVICE T period_of(int j) const {
    T period = T(0);
#pragma unroll
    for (int i = 0; i < max_dimension; ++i) {
      if (i == j) period = f.periods[i];
    }
    return period;
  }

  SYMFLOW_DEVICE void embed(const T* state) const {
    for (int i = int(threadIdx.x); i < count * f.dimension; i += block_threads) {
      const int j = i % f.dimension, p = i / f.dimension;
      const T period = period_of(j);
      T a[C], y[C];
      load(state + p * C * f.dimension + j, f.dimension, a);
      T* to = embedded + p * C * embedded_stride + slot_of(j);
      if (period > 0) {
        T cos[order + 1], sin[order + 1];
        turn_taylor<Ops>(Jets(), turn<Ops>(a[0], period), T(6.28318530717958647693) / period, cos, sin);
        Jets::template compose<Ops>(cos, a, y);
        store(y, to, embedded_stride);
        Jets::template compose<Ops>(sin, a, y);
        store(y, to + 1, embedded_stride);
      } else {
        store(a, to, embedded_stride);
      }
    }
  }

  // The pre-activations of a unit in the first layer, in the second, and in that of head k.
  SYMFLOW_DEVICE void first_of(int p, int unit, T (&a)[C]) const {
    bias_only(a, f.parameters[1][unit]);
    multiply(a, embedded + p * C * embedded_stride, embedded_stride, f.parameters[0] + unit * f.embedding, 1,
             f.embedding);
  }
  SYMFLOW_DEVICE void second_of(int p, int unit, T (&a)[C]) const {
    bias_only(a, f.parameters[3][unit]);
    multiply(a, first_layer + p * C * wide_stride, wide_stride, f.trunk1_transposed + unit, f.width, f.width);
  }
  SYMFLOW_DEVICE void head_of(int k, int p, int unit, T (&a)[C]) const {
    bias_only(a, f.parameters[5][k * f.head_width + unit]);
    multiply(a, second_layer + p * C * wide_stride, wide_stride,
             f.head_transposed + std::int64_t(k) * f.width * f.head_width + unit, f.head_width, f.width);
  }
  SYMFLOW_DEVICE static void bias_only(T (&a)[C], T bias) {
    a[0] = bias;
#pragma unroll
    for (int k = 1; k < C; ++k) a[k] = T(0);
  }

  SYMFLOW_DEVICE void compute_first_layer() const {
    for_units(f.width, [&](int p, int unit, bool real) {
      T a[C], y[C];
      first_of(p, unit, a);
      silu_of(a, y);
      if (real) store(y, first_layer + p * C * wide_stride + unit, wide_stride);
    });
  }

  // velocity = sum_k w_k V_k at a state. All threads call, before and after which none touches the layers.
  SYMFLOW_DEVICE void evaluate(const T* state) const {
    embed(state);
    __syncthreads();
    compute_first_layer();
    for_state([&](int i, std::int64_t) { velocity[i] = T(0); });
    __syncthreads();
    for_units(f.width, [&](int p, int unit, bool real) {
      T a[C], y[C];
      second_of(p, unit, a);
      silu_of(a, y);
      if (real) store(y, second_layer + p * C * wide_stride + unit, wide_stride);
    });
    __syncthreads();
    for (int k = 0; k < f.heads; ++k) {
      const T weight = weights[k];
      if (weight == 0) continue;
      for_units(f.head_width, [&](int p, int unit, bool real) {
        T a[C], y[C];
        head_of(k, p, unit, a);
        silu_of(a, y);
        if (real) store(y, head + p * C * head_stride + unit, head_stride);
      });
      __syncthreads();
      for_state([&](int i, std::int64_t) {
        const int line = i / f.dimension, j = i % f.dimension;
        const T *h = head + line * head_stride, *out = f.parameters[6] + (k * f.dimension + j) * f.head_width;
        T vector = line % C == 0 ? f.parameters[7][k * f.dimension + j] : T(0);
        for (int o = 0; o < f.head_width; ++o) vector = Ops::fma(out[o], h[o], vector);
        velocity[i] = Ops::fma(weight, vector, velocity[i]);
      });
      __syncthreads();
    }
  }

  SYMFLOW_DEVICE bool any_active() const {
    bool any = false;
    for (int k = 0; k < f.heads; ++k) any = any || weights[k] != 0;
    return any;
  }
};

template <class T, int order>
__global__ void __launch_bounds__(block_threads, 1) forward_kernel(Task<T> f) {
  Tile<T, order> tile(f, shared_memory<T>(), false);
  tile.move_to(blockIdx.x);
  const std::int64_t array = std::int64_t(tile.C) * f.rows * f.points * f.dimension;
  const bool moving = tile.any_active();
  tile.for_state([&](int i, std::int64_t place) { tile.z[i] = tile.at[i] = f.start[place]; });
  for (int step = 0; step < f.steps; ++step) {
    if (f.states != nullptr) {
      tile.for_state([&](int i, std::int64_t place) { f.states[step * array + place] = tile.z[i]; });
    }
    if (!moving) continue;  // the zero field moves nothing, not even the sign of a zero
#pragma unroll 1
    for (int i = 0; i < Rk4::stages; ++i) {
      __syncthreads();
      tile.evaluate(tile.at);
      tile.for_state([&](int s, std::int64_t) {
        const T v = tile.velocity[s], term = f.b[i] * v;
        tile.sum[s] = i == 0 ? term : tile.sum[s] + term;
        if (i + 1 < Rk4::stages) {
          tile.at[s] = Thread<T>::fma(f.a[i + 1], v, tile.z[s]);
        } else {
          tile.at[s] = tile.z[s] = tile.z[s] + tile.sum[s];
        }
      });
    }
  }
  tile.for_state([&](int i, std::int64_t place) { f.end[place] = tile.z[i]; });
}

}  // namespace
}  // namespace symflow
