#include "flow_cpu.h"

#include <algorithm>
#include <vector>

#include "isa.h"
#include "parallel.h"

namespace symflow {
namespace {

using Index = std::int64_t;

// Tiles are at most this long; measured, 48 to 192 hardly differ, and the hidden layers of a tile should stay cached.
constexpr Index tile_width = 6144;  // points times hidden units
constexpr Index tile_step = 48;     // a multiple of every register block and register

template <class T>
const FlowKernels<T>& kernels();
template <>
const FlowKernels<float>& kernels<float>() {
  return SYMFLOW_SELECT(flow_float);
}
template <>
const FlowKernels<double>& kernels<double>() {
  return SYMFLOW_SELECT(flow_double);
}

// to[c / panel][k][c % panel] = from[k k_step + c c_step] for c < columns; the columns up to a whole panel stay zero.
template <class T>
void pack(const T* from, Index depth, Index columns, Index k_step, Index c_step, Index panel, T* to) {
  for (Index c = 0; c < columns; ++c) {
    T* at = to + c / panel * depth * panel + c % panel;
    for (Index k = 0; k < depth; ++k) at[k * panel] = from[k * k_step + c * c_step];
  }
}

// The parameters in the order the kernels read them, and everything else that a FlowProblem holds beside its arguments.
template <class T>
struct Packed {
  FlowProblem<T> f{};
  Buffer<T> memory;

  Packed(const FlowArguments<T>& arguments, const FlowKernels<T>& kernel, bool backward, bool weight_gradients,
         bool parameter_gradients) {
    static_cast<FlowArguments<T>&>(f) = arguments;
    const Index panel = 2 * kernel.lanes, W = f.width, H = f.head_width, K = f.heads, d = f.dimension, e = f.embedding;
    const Index Wp = f.padded_width = rounded_up(W, panel), Hp = f.padded_head_width = rounded_up(H, panel);
    f.tile = std::clamp(tile_width / Wp / tile_step, Index(1), Index(4)) * tile_step;
    // A row is cut into equal tiles: two threads then share a short row fairly.
    f.tiles_per_row = (f.points + f.tile - 1) / f.tile;
    f.tile_points = f.points == 0 ? 0 : (f.points + f.tiles_per_row - 1) / f.tiles_per_row;
    f.weight_gradients = weight_gradients;
    f.parameter_gradients = parameter_gradients;

    std::vector<std::int32_t> heads(static_cast<std::size_t>(K));
    f.most_heads = 1;
    for (Index b = 0; b < f.rows; ++b) f.most_heads = std::max(f.most_heads, list_heads(f, b, heads.data()).all);

    Index size = 0;
    const auto reserve = [&](Index count) {
      const Index at = size;
      size += rounded_up(count, alignment);
      return at;
    };
    const Index trunk0 = reserve((e + 1) * Wp), trunk1 = reserve(W * Wp), trunk1_bias = reserve(Wp);
    const Index head = reserve(K * W * Hp), head_bias = reserve(K * Hp), out = reserve(K * d * Hp);
    const Index trunk1_backward = reserve(backward ? W * Wp : 0), head_backward = reserve(backward ? K * H * Wp : 0);
    memory = zeros<T>(size);
    T* base = memory.get();

    const T* const* p = f.parameters;
    for (Index o = 0; o < W; ++o) {
      for (Index i = 0; i < e; ++i) base[trunk0 + i * Wp + o] = p[0][o * e + i];
      base[trunk0 + e * Wp + o] = p[1][o];
      base[trunk1_bias + o] = p[3][o];
    }
    pack(p[2], W, W, 1, W, panel, base + trunk1);
    if (backward) pack(p[2], W, W, W, 1, panel, base + trunk1_backward);
    for (Index k = 0; k < K; ++k) {
      pack(p[4] + k * H * W, W, H, 1, W, panel, base + head + k * W * Hp);
      if (backward) pack(p[4] + k * H * W, H, W, W, 1, panel, base + head_backward + k * H * Wp);
      std::copy_n(p[5] + k * H, H, base + head_bias + k * Hp);
      for (Index j = 0; j < d; ++j) std::copy_n(p[6] + (k * d + j) * H, H, base + out + (k * d + j) * Hp);
    }
    f.trunk0 = base + trunk0;
    f.trunk1 = base + trunk1;
    f.trunk1_bias = base + trunk1_bias;
    f.head = base + head;
    f.head_bias = base + head_bias;
    f.out = base + out;
    f.trunk1_backward = base + trunk1_backward;
    f.head_backward = base + head_backward;
  }
};

template <class T>
GradientLayout layout_of(const FlowProblem<T>& f, Index heads) {
  GradientLayout layout{};
  const auto reserve = [&](Index count) {
    const Index at = layout.size;
    layout.size += rounded_up(count, alignment);
    return at;
  };
  const Index Wp = f.padded_width, Hp = f.padded_head_width;
  if (f.parameter_gradients) {
    layout.trunk0 = reserve((f.embedding + 1) * Wp);
    layout.trunk1 = reserve(f.width * Wp);
    layout.trunk1_bias = reserve(Wp);
    layout.head = reserve(heads * f.head_width * Wp);
    layout.head_bias = reserve(heads * Hp);
  }
  if (f.parameter_gradients || f.weight_gradients) {
    layout.out = reserve(f.dimension * heads * Hp);
    layout.out_bias = reserve(f.dimension);
  }
  return layout;
}

// The sums over all tiles, in double: long sums of small terms lose nothing, and one level of summation is enough.
template <class T>
struct Totals {
  const FlowProblem<T>& f;
  GradientLayout layout;
  Buffer<double> sums, out_bias, weights;  // the layout; [K, d]; [B, K]
  std::vector<std::int32_t> heads;

  explicit Totals(const FlowProblem<T>& problem)
      : f(problem),
        layout(layout_of(problem, problem.heads)),
        sums(zeros<double>(layout.size)),
        out_bias(zeros<double>(f.heads * f.dimension)),
        weights(zeros<double>(f.rows * f.heads)),
        heads(static_cast<std::size_t>(f.heads)) {}

  void add(const T* from, Index count, Index to) {
    for (Index i = 0; i < count; ++i) sums[std::size_t(to + i)] += double(from[i]);
  }

  // The row's weights were folded into the last layer, w_k A_k and w_k a_k: the sums of g h^T and g that a tile brings
  // give the gradients of A_k and a_k times w_k, and that of w_k as their inner product with A_k and a_k.
  void add_tile(Index tile, const GradientLayout& from, const T* tile_sums) {
    const Index row = tile / f.tiles_per_row, Wp = f.padded_width, Hp = f.padded_head_width, H = f.head_width;
    const HeadCount count = list_heads(f, row, heads.data());
    if (f.parameter_gradients) {
      add(tile_sums + from.trunk0, (f.embedding + 1) * Wp, layout.trunk0);
      add(tile_sums + from.trunk1, f.width * Wp, layout.trunk1);
      add(tile_sums + from.trunk1_bias, Wp, layout.trunk1_bias);
    }
    for (Index s = 0; s < count.all; ++s) {
      const Index k = heads[std::size_t(s)];
      const double weight = double(f.weights[row * f.heads + k]);
      if (f.parameter_gradients && s < count.active) {
        add(tile_sums + from.head + s * H * Wp, H * Wp, layout.head + k * H * Wp);
        add(tile_sums + from.head_bias + s * Hp, Hp, layout.head_bias + k * Hp);
      }
      double inner = 0;
      for (Index j = 0; j < f.dimension; ++j) {
        const T* g = tile_sums + from.out + (j * count.all + s) * Hp;
        const T* a = f.out + (k * f.dimension + j) * Hp;
        double* total = sums.get() + layout.out + (k * f.dimension + j) * Hp;
        for (Index o = 0; o < H; ++o) {
          inner += double(g[o]) * double(a[o]);
          total[o] += weight * double(g[o]);
        }
        const double bias = double(tile_sums[from.out_bias + j]);
        inner += bias * double(f.parameters[7][k * f.dimension + j]);
        out_bias[std::size_t(k * f.dimension + j)] += weight * bias;
      }
      weights[std::size_t(row * f.heads + k)] += inner;
    }
  }

  void write(T* grad_weights, T* const* grad) const {
    if (grad_weights != nullptr) {
      for (Index i = 0; i < f.rows * f.heads; ++i) grad_weights[i] = T(weights[std::size_t(i)]);
    }
    if (grad == nullptr) return;
    const Index W = f.width, H = f.head_width, K = f.heads, d = f.dimension, e = f.embedding;
    const Index Wp = f.padded_width, Hp = f.padded_head_width;
    const double* s = sums.get();
    const auto rows = [](const double* from, Index count, Index length, Index stride, T* to) {
      for (Index r = 0; r < count; ++r) {
        for (Index i = 0; i < length; ++i) to[r * length + i] = T(from[r * stride + i]);
      }
    };
    for (Index o = 0; o < W; ++o) {
      for (Index i = 0; i < e; ++i) grad[0][o * e + i] = T(s[layout.trunk0 + i * Wp + o]);
    }
    rows(s + layout.trunk0 + e * Wp, 1, W, Wp, grad[1]);
    rows(s + layout.trunk1, W, W, Wp, grad[2]);
    rows(s + layout.trunk1_bias, 1, W, Wp, grad[3]);
    rows(s + layout.head, K * H, W, Wp, grad[4]);
    rows(s + layout.head_bias, K, H, Hp, grad[5]);
    rows(s + layout.out, K * d, H, Hp, grad[6]);
    rows(out_bias.get(), K, d, d, grad[7]);
  }
};

}  // namespace

template <class T>
HeadCount list_heads(const FlowProblem<T>& f, Index row, std::int32_t* heads) {
  const T* weights = f.weights + row * f.heads;
  Index active = 0;
  for (Index k = 0; k < f.heads; ++k) {
    if (weights[k] != 0) heads[active++] = std::int32_t(k);
  }
  Index all = active;
  if (f.weight_gradients) {
    for (Index k = 0; k < f.heads; ++k) {
      if (weights[k] == 0) heads[all++] = std::int32_t(k);
    }
  }
  return {active, all};
}
template HeadCount list_heads(const FlowProblem<float>&, Index, std::int32_t*);
template HeadCount list_heads(const FlowProblem<double>&, Index, std::int32_t*);

template <class T>
void flow_forward(const FlowArguments<T>& arguments, const Parallel& parallel, T* end, T* states) {
  if (arguments.rows * arguments.points == 0) return;
  const FlowKernels<T>& kernel = kernels<T>();
  Packed<T> packed(arguments, kernel, false, false, false);
  FlowProblem<T>& f = packed.f;
  f.end = end;
  f.states = states;
  const Index tiles = f.rows * f.tiles_per_row, scratch = rounded_up(kernel.forward_scratch(f), alignment);
  const int workers = int(std::min<Index>(tiles, parallel.workers));
  const Buffer<T> memory = zeros<T>(workers * scratch);
  for_each_tile(tiles, workers, parallel,
                [&](Index tile, int worker) { kernel.forward_tile(f, tile, memory.get() + worker * scratch); });
}
template void flow_forward(const FlowArguments<float>&, const Parallel&, float*, float*);
template void flow_forward(const FlowArguments<double>&, const Parallel&, double*, double*);

template <class T>
void flow_backward(const FlowArguments<T>& arguments, const Parallel& parallel, const T* grad_end, const T* states,
                   T* grad_start, T* grad_weights, T* const* grad_parameters) {
  const FlowKernels<T>& kernel = kernels<T>();
  Packed<T> packed(arguments, kernel, true, grad_weights != nullptr, grad_parameters != nullptr);
  FlowProblem<T>& f = packed.f;
  f.grad_end = grad_end;
  f.states_saved = states;
  f.grad_start = grad_start;
  Totals<T> totals(f);
  const Index tiles = f.rows * f.tiles_per_row;
  if (tiles > 0) {
    const GradientLayout layout = layout_of(f, f.most_heads);
    const Index scratch = rounded_up(kernel.backward_scratch(f), alignment);
    const int workers = int(std::min<Index>(tiles, parallel.workers));
    const Buffer<T> memory = zeros<T>(workers * (scratch + layout.size));
    Turns turns;
    for_each_tile(tiles, workers, parallel, [&](Index tile, int worker) {
      T* place = memory.get() + worker * (scratch + layout.size);
      kernel.backward_tile(f, tile, place, layout, place + scratch);
      turns.take(tile, [&] {
        if (f.parameter_gradients || f.weight_gradients) totals.add_tile(tile, layout, place + scratch);
      });
    });
  }
  totals.write(grad_weights, grad_parameters);
}
template void flow_backward(const FlowArguments<float>&, const Parallel&, const float*, const float*, float*, float*,
                            float* const*);
template void flow_backward(const FlowArguments<double>&, const Parallel&, const double*, const double*, double*,
                            double*, double* const*);

template <class T>
void elementary(const T* x, Index count, T* silu, T* derivative, T* cos, T* sin) {
  kernels<T>().elementary(x, count, silu, derivative, cos, sin);
}
template void elementary(const float*, Index, float*, float*, float*, float*);
template void elementary(const double*, Index, double*, double*, double*, double*);

}  // namespace symflow
