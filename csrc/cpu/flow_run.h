// What the flows of points and of jets share: the parameters as the kernels read them, the sums of their gradients, and
// the run over all tiles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "flow_cpu.h"
#include "parallel.h"

namespace symflow {

using Index = std::int64_t;

// to[c / panel][k][c % panel] = from[k k_step + c c_step] for c < columns; the columns up to a whole panel stay zero.
template <class T>
void pack(const T* from, Index depth, Index columns, Index k_step, Index c_step, Index panel, T* to) {
  for (Index c = 0; c < columns; ++c) {
    T* at = to + c / panel * depth * panel + c % panel;
    for (Index k = 0; k < depth; ++k) at[k * panel] = from[k * k_step + c * c_step];
  }
}

// The length of a row of `units` hidden units in the kernels' arrays.
template <class Kernels>
Index padded(Index units, const Kernels& kernels) {
  return rounded_up(units, 2 * kernels.lanes);
}

// Writes everything that a FlowProblem holds beside its arguments, for tiles of at most `tile` points. The parameters,
// in the order the kernels read them, lie in the memory that is returned.
template <class T, class Kernels>
Buffer<T> prepare(FlowProblem<T>& f, const Kernels& kernels, Index tile, bool backward, bool weight_gradients,
                  bool parameter_gradients) {
  const Index panel = 2 * kernels.lanes, W = f.width, H = f.head_width, K = f.heads, d = f.dimension, e = f.embedding;
  const Index Wp = f.padded_width = padded(W, kernels), Hp = f.padded_head_width = padded(H, kernels);
  f.tile = tile;
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
  Buffer<T> memory = zeros<T>(size);
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
  return memory;
}

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

// Computes all tiles forward.
template <class T, class Problem, class Kernels>
void run_forward(const Problem& f, const Kernels& kernels, const Parallel& parallel) {
  const Index tiles = f.rows * f.tiles_per_row, scratch = rounded_up(kernels.forward_scratch(f), alignment);
  const int workers = int(std::min<Index>(tiles, parallel.workers));
  const Buffer<T> memory = zeros<T>(workers * scratch);
  for_each_tile(tiles, workers, parallel,
                [&](Index tile, int worker) { kernels.forward_tile(f, tile, memory.get() + worker * scratch); });
}

// The adjoint of all tiles, and the gradients they sum up.
template <class T, class Problem, class Kernels>
void run_backward(const Problem& f, const Kernels& kernels, const Parallel& parallel, T* grad_weights,
                  T* const* grad_parameters) {
  Totals<T> totals(f);
  const Index tiles = f.rows * f.tiles_per_row;
  if (tiles > 0) {
    const GradientLayout layout = layout_of(f, f.most_heads);
    const Index scratch = rounded_up(kernels.backward_scratch(f), alignment);
    const int workers = int(std::min<Index>(tiles, parallel.workers));
    const Buffer<T> memory = zeros<T>(workers * (scratch + layout.size));
    Turns turns;
    for_each_tile(tiles, workers, parallel, [&](Index tile, int worker) {
      T* place = memory.get() + worker * (scratch + layout.size);
      kernels.backward_tile(f, tile, place, layout, place + scratch);
      turns.take(tile, [&] {
        if (f.parameter_gradients || f.weight_gradients) totals.add_tile(tile, layout, place + scratch);
      });
    });
  }
  totals.write(grad_weights, grad_parameters);
}

}  // namespace symflow
