// The flow of one tile of jets by one block, forward and adjoint.
//
// A block owns a few points of one row of a batch from their start to their end. A warp takes 32 hidden units of one
// point at a time: a lane has the C coefficients of its unit in registers, so that the product with a weight and the
// composition with silu, or their adjoints, are one thing. Between layers the coefficients lie in shared memory,
// [line][unit], line p C + k that of coefficient k of point p; weights come from the cache of the device, neighbours of
// neighbouring lanes.
//
// The adjoint of a step computes the step's stages anew, then goes through them in reverse. Of a stage it keeps the
// second hidden layer and its slopes; the first one is computed once more when it is needed. Gradients of parameters
// are summed over the points of a tile in registers and then added to the block's own array in global memory, always by
// the same thread: their bits depend on the number of blocks alone.
//
// Included by one .cu per type of number, so that these compile side by side.
#pragma once

#include "../core/jet.h"
#include "../core/rk4.h"
#include "device.h"
#include "jet_flow_cuda.h"

namespace symflow {
namespace {

constexpr int block_threads = 256, warps = block_threads / warp_size;
constexpr int max_dimension = 4, max_embedding = 2 * max_dimension;
constexpr int outer_rows = 8;                    // of a weight's gradient that a lane sums at a time
constexpr std::int64_t most_blocks = 256;        // of a backward pass, each with gradients of its own
constexpr std::size_t small_shared = 96 * 1024;  // bytes that every supported device grants to a block
constexpr int most_points = 8;                   // in a tile

// Numbers from one line to the next: whole copies of 16 bytes, and an odd number of them against conflicts of banks.
template <class T>
SYMFLOW_HD constexpr int line_stride(int units) {
  constexpr int copy = 16 / int(sizeof(T));
  return ((units + outer_rows - 1) / outer_rows * outer_rows / copy | 1) * copy;
}

// Where the gradients of the eight parameters lie in an array, as they are in theirs.
struct Places {
  std::int64_t at[9];
};

template <class T>
Places places_of(const FlowArguments<T>& f) {
  const std::int64_t W = f.width, H = f.head_width, K = f.heads, d = f.dimension, e = f.embedding;
  const std::int64_t sizes[8] = {W * e, W, W * W, W, K * H * W, K * H, K * d * H, K * d};
  Places places{};
  for (int i = 0; i < 8; ++i) places.at[i + 1] = places.at[i] + sizes[i];
  return places;
}

template <class T>
struct Task {
  std::int64_t rows, points;                                        // B N
  int dimension, embedding, width, heads, head_width, steps, tile;  // d e W K H, most points of a tile
  T periods[max_dimension];                                         // 0 where not periodic
  T a[Rk4::stages], b[Rk4::stages];                                 // of the method, times dt
  const T* parameters[8];
  const T *trunk1_transposed, *head_transposed;
  const T* weights;  // [B, K]

  const T* start;  // [C, B, N, d]
  T* end;
  T* states;  // [steps, C, B, N, d] or null

  const T* states_saved;
  const T* grad_end;
  T* grad_start;
  Places places;
  T* sums;         // [blocks, places] or null: gradients of parameters that a block has summed
  T* weight_sums;  // [tiles, K] or null: gradients of the row's weights that a tile has summed

  SYMFLOW_HD std::int64_t tiles_per_row() const { return (points + tile - 1) / tile; }
};

// Numbers of shared memory.
template <class T>
struct Shared {
  int embedded, wide, head, state, total;

  SYMFLOW_HD Shared(const Task<T>& f, int coefficients, bool backward) {
    const int lines = f.tile * coefficients;
    embedded = lines * line_stride<T>(max_embedding);
    wide = lines * line_stride<T>(f.width);
    head = lines * line_stride<T>(f.head_width);
    state = lines * f.dimension;
    // See the constructors of Tile and Adjoint.
    total = embedded + 2 * wide + head + 4 * state;
    if (backward) total += embedded + wide + head + 7 * state + f.dimension * (f.head_width + 1) + f.heads;
  }
};

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

// ---- adjoint ------------------------------------------------------------------------------------------------------

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

// total[i] = sum of `count` numbers sums[n step + i], i < length.
template <class T>
__global__ void add_blocks_kernel(const T* sums, std::int64_t count, std::int64_t step, std::int64_t length, T* total) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= length) return;
  double sum = 0;
  for (std::int64_t n = 0; n < count; ++n) sum += double(sums[n * step + i]);
  total[i] = T(sum);
}

// total[row, k] = sum over the row's tiles of sums[row, tile, k], by one warp each.
template <class T>
__global__ void add_tiles_kernel(const T* sums, std::int64_t tiles, int heads, T* total) {
  const std::int64_t row = blockIdx.x / unsigned(heads), k = blockIdx.x % unsigned(heads);
  double sum = 0;
  for (std::int64_t n = threadIdx.x; n < tiles; n += warp_size) sum += double(sums[(row * tiles + n) * heads + k]);
  for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(whole_warp, sum, lanes);
  if (threadIdx.x == 0) total[row * heads + k] = T(sum);
}

// ---- launches -----------------------------------------------------------------------------------------------------

template <class T>
Task<T> task_of(const JetFlowArguments<T>& arguments, const JetFlowTransposes<T>& transposes, bool backward) {
  Task<T> f{};
  f.rows = arguments.rows;
  f.points = arguments.points;
  f.dimension = int(arguments.dimension);
  f.embedding = int(arguments.embedding);
  f.width = int(arguments.width);
  f.heads = int(arguments.heads);
  f.head_width = int(arguments.head_width);
  f.steps = int(arguments.steps);
  for (int j = 0; j < f.dimension; ++j) f.periods[j] = T(arguments.periods[j]);
  for (int i = 0; i < Rk4::stages; ++i) {
    f.a[i] = T(Rk4::a[i] / double(f.steps));
    f.b[i] = T(Rk4::b[i] / double(f.steps));
  }
  for (int i = 0; i < 8; ++i) f.parameters[i] = arguments.parameters[i];
  f.trunk1_transposed = transposes.trunk1;
  f.head_transposed = transposes.head;
  f.weights = arguments.weights;
  f.start = arguments.start;
  f.places = places_of(arguments);
  const auto bytes = [&](int points) {
    f.tile = points;
    return sizeof(T) * std::size_t(Shared<T>(f, arguments.algebra->size, backward).total);
  };
  int points = most_points;
  while (points > 1 && bytes(points) > small_shared) --points;
  f.tile = points;
  return f;
}

template <class T>
std::int64_t blocks_of(const Task<T>& f) {
  const std::int64_t tiles = f.rows * f.tiles_per_row();
  return tiles < most_blocks ? tiles : most_blocks;
}

template <class T>
using Kernel = void (*)(Task<T>);

template <class T, int... n>
Kernel<T> kernel_for(const JetAlgebra& algebra, bool backward, std::integer_sequence<int, n...>) {
  Kernel<T> found = nullptr;
  ((algebra == TotalDegree<n + 1>::lists
        ? void(found = backward ? Kernel<T>(backward_kernel<T, n + 1>) : Kernel<T>(forward_kernel<T, n + 1>))
        : void()),
   ...);
  return found;
}

template <class T>
cudaError_t launch_tiles(const Task<T>& f, const JetAlgebra& algebra, bool backward, std::int64_t blocks,
                         cudaStream_t stream) {
  const Kernel<T> kernel = kernel_for<T>(algebra, backward, std::make_integer_sequence<int, max_degree>());
  if (kernel == nullptr) return cudaErrorInvalidValue;
  const std::size_t bytes = sizeof(T) * std::size_t(Shared<T>(f, algebra.size, backward).total);
  return launch(kernel, dim3(unsigned(blocks)), dim3(block_threads), bytes, stream, f);
}

}  // namespace

template <class T>
std::int64_t jet_flow_workspace(const JetFlowArguments<T>& arguments, bool weight_gradients, bool parameter_gradients) {
  const Task<T> f = task_of(arguments, {}, true);
  return (parameter_gradients ? blocks_of(f) * f.places.at[8] : 0) +
         (weight_gradients ? f.rows * f.tiles_per_row() * f.heads : 0);
}

template <class T>
cudaError_t jet_flow_forward_cuda(const JetFlowArguments<T>& arguments, const JetFlowTransposes<T>& transposes, T* end,
                                  T* states, cudaStream_t stream) {
  if (arguments.rows * arguments.points == 0) return cudaSuccess;
  Task<T> f = task_of(arguments, transposes, false);
  f.end = end;
  f.states = states;
  return launch_tiles(f, *arguments.algebra, false, f.rows * f.tiles_per_row(), stream);
}

template <class T>
cudaError_t jet_flow_backward_cuda(const JetFlowArguments<T>& arguments, const JetFlowTransposes<T>& transposes,
                                   const T* grad_end, const T* states, T* grad_start, T* grad_weights,
                                   T* const* grad_parameters, T* workspace, cudaStream_t stream) {
  if (arguments.rows * arguments.points == 0) return cudaSuccess;
  Task<T> f = task_of(arguments, transposes, true);
  const std::int64_t blocks = blocks_of(f), tiles = f.tiles_per_row(), size = f.places.at[8];
  f.grad_end = grad_end;
  f.states_saved = states;
  f.grad_start = grad_start;
  f.sums = grad_parameters == nullptr ? nullptr : workspace;
  f.weight_sums = grad_weights == nullptr ? nullptr : workspace + (f.sums == nullptr ? 0 : blocks * size);
  cudaError_t error = launch_tiles(f, *arguments.algebra, true, blocks, stream);
  for (int i = 0; i < 8 && f.sums != nullptr && error == cudaSuccess; ++i) {
    const std::int64_t length = f.places.at[i + 1] - f.places.at[i];
    if (length == 0) continue;
    const auto grid = unsigned((length + block_threads - 1) / block_threads);
    error = launch(add_blocks_kernel<T>, dim3(grid), dim3(block_threads), 0, stream, f.sums + f.places.at[i], blocks,
                   size, length, grad_parameters[i]);
  }
  if (f.weight_sums != nullptr && f.heads > 0 && error == cudaSuccess) {
    error = launch(add_tiles_kernel<T>, dim3(unsigned(f.rows * f.heads)), dim3(warp_size), 0, stream, f.weight_sums,
                   tiles, f.heads, grad_weights);
  }
  return error;
}

// Each number type is compiled in a file of its own.
#define SYMFLOW_INSTANTIATE_JET_FLOW(T)                                                                          \
  template std::int64_t jet_flow_workspace(const JetFlowArguments<T>&, bool, bool);                              \
  template cudaError_t jet_flow_forward_cuda(const JetFlowArguments<T>&, const JetFlowTransposes<T>&, T*, T*,    \
                                             cudaStream_t);                                                      \
  template cudaError_t jet_flow_backward_cuda(const JetFlowArguments<T>&, const JetFlowTransposes<T>&, const T*, \
                                              const T*, T*, T*, T* const*, T*, cudaStream_t);

}  // namespace symflow
