// What the tiles of points and of jets share: the order of a network's layers, forward and adjoint, and the flow (see
// simd.h for how it is included).
//
// A tile is a list of lines: its points, or the C coefficients of its first point, those of its second, and so on.
// Affine layers act on all lines alike, so that a layer is a matrix product, [line][feature]; what acts on the lines
// between them is the tile's own. The few coordinates and embedded coordinates are [feature][line], called columns.
//
// A tile of type `Tile` is a `Lines` with the problem `f`, memory for its columns and lines (`most_lines`) and beside
// them (`work`), and
//   load, store                    columns from an array and back,
//   embed, embed_backward          the coordinates' embedding in the columns,
//   hidden, hidden_backward        a product and its activation,
//   last, last_backward            the vectors from the heads, and the gradient of the heads' pre-activations.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/rk4.h"
#include "blocks.h"
#include "flow_cpu.h"
#include "row.h"
#include "simd.h"
#include "stepping.h"

namespace symflow {
namespace SYMFLOW_ISA {

// Where a tile lies, and how far the loops over it run.
struct Lines {
  Index size;               // lines per point
  Index row, first, count;  // the points first .. first + count of a row
  Index lines;              // size times count
  Index blocks_end;         // lines rounded up to register blocks
  Columns columns;          // and that to whole registers

  template <class T>
  Lines(const FlowProblem<T>& f, Index tile, Index lines_per_point, Index most_lines) : size(lines_per_point) {
    row = tile / f.tiles_per_row;
    first = tile % f.tiles_per_row * f.tile_points;
    count = f.points - first < f.tile_points ? f.points - first : f.tile_points;
    lines = size * count;
    blocks_end = round_up(lines, block_rows);
    columns = {f.dimension, most_lines, round_up(blocks_end, Simd<T>::lanes)};
  }
};

// What one evaluation of the field leaves behind for its adjoint: the hidden layers and, when kept, the slopes of their
// activations, which the adjoint overwrites with the gradients of the pre-activations.
template <class T>
struct Stage {
  T* embedded;   // columns [e + 1], the last one holds the constant 1: the bias of the first layer is its weight
  T *h1, *d1;    // [lines][W']
  T *h2, *d2;    // [lines][W']
  T *head, *d3;  // [lines][heads H']
  T* field;      // columns [d], the vectors V

  Stage(const FlowProblem<T>& f, Index lines, Arena& arena, bool keep) {
    const Index wide = lines * f.padded_width, heads = lines * f.most_heads * f.padded_head_width;
    embedded = arena.take<T>((f.embedding + 1) * lines);
    field = arena.take<T>(f.dimension * lines);
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

// The field sum_k w_k V_k at the columns z; the stage keeps slopes if it has room for them.
template <class Tile, class T>
void evaluate(const Tile& tile, const Row<T>& heads, const T* z, Stage<T>& stage) {
  constexpr Index panel = 2 * Simd<T>::lanes;
  const auto& f = tile.f;
  const Index W = f.padded_width, H = f.padded_head_width;
  tile.embed(z, stage.embedded);
  // The first layer is read unpacked, [e][W']: it is short. A packed matrix has its panels one after the other.
  tile.hidden(W, f.embedding, stage.embedded, 1, tile.columns.stride, f.trunk0, W, 1, f.trunk0 + f.embedding * W,
              stage.h1, stage.d1, W);
  tile.hidden(W, f.width, stage.h1, W, 1, f.trunk1, panel, f.width, f.trunk1_bias, stage.h2, stage.d2, W);
  for (Index s = 0; s < heads.count.all; ++s) {
    const Index k = heads.heads[s];
    tile.hidden(H, f.width, stage.h2, W, 1, f.head + k * H * f.width, panel, f.width, f.head_bias + k * H,
                stage.head + s * H, stage.d3 == nullptr ? nullptr : stage.d3 + s * H, heads.head_columns);
  }
  tile.last(heads, stage);
}

// From the gradient of the field (columns [d]) to that of its points; adds the gradient of the last layer.
template <class Tile, class T>
void evaluate_backward(const Tile& tile, const Row<T>& heads, Stage<T>& stage, const T* grad_field, T* work,
                       T* grad_embedded, T* grad, const GradientLayout& layout, T* sums) {
  using S = Simd<T>;
  const auto& f = tile.f;
  const Index W = f.padded_width, H = f.padded_head_width, columns = heads.head_columns, stride = tile.columns.stride;
  if (f.parameter_gradients || f.weight_gradients) {
    const Outer<T> factors[] = {{grad_field, stage.head}};
    add_outer<S>(factors, tile.lines, f.dimension, columns, stride, 1, columns, sums + layout.out);
    for (Index j = 0; j < f.dimension; ++j) {
      sums[layout.out_bias + j] += sum_of(tile.count, grad_field + j * stride, tile.size);
    }
  }
  tile.last_backward(heads, grad_field, work, stage.d3);
  tile.hidden_backward(
      heads.count.active, f.head_width, H, stage.d3, columns,
      [&](Index s) SYMFLOW_INLINE_LAMBDA { return f.head_backward + heads.heads[s] * W * f.head_width; }, work,
      stage.d2);
  tile.hidden_backward(
      1, f.width, 0, stage.d2, W, [&](Index) SYMFLOW_INLINE_LAMBDA { return f.trunk1_backward; }, work, stage.d1);
  const T zeros[max_embedding] = {};
  narrow<S>(f.embedding, tile.columns.end, W, stage.d1, W, f.trunk0, W, zeros, grad_embedded, stride);
  tile.embed_backward(stage.embedded, grad_embedded, grad);
}

// Adds the parameters' gradients from the stages of a step, all at once: the sums are large and pass by slowly. The
// first line of a point alone has a bias.
template <class Tile, class T>
void add_parameter_gradients(const Tile& tile, const Row<T>& heads, const Stage<T> (&stages)[Rk4::stages],
                             const GradientLayout& layout, T* sums) {
  using S = Simd<T>;
  const auto& f = tile.f;
  const Index W = f.padded_width, H = f.padded_head_width, columns = heads.head_columns;
  const auto add = [&](auto factor, Index rows, Index g_row, Index g_step, T* out) SYMFLOW_INLINE_LAMBDA {
    const Outer<T> factors[] = {factor(stages[0]), factor(stages[1]), factor(stages[2]), factor(stages[3])};
    add_outer<S>(factors, tile.lines, rows, W, g_row, g_step, W, out);
  };
  for (Index s = 0; s < heads.count.active; ++s) {
    add([&](const Stage<T>& stage) { return Outer<T>{stage.d3 + s * H, stage.h2}; }, f.head_width, 1, columns,
        sums + layout.head + s * f.head_width * W);
  }
  add([](const Stage<T>& stage) { return Outer<T>{stage.d2, stage.h1}; }, f.width, 1, W, sums + layout.trunk1);
  add([](const Stage<T>& stage) { return Outer<T>{stage.embedded, stage.d1}; }, f.embedding + 1, tile.columns.stride, 1,
      sums + layout.trunk0);
  for (const Stage<T>& stage : stages) {
    add_columns<S>(tile.count, heads.active_columns, stage.d3, tile.size * columns, sums + layout.head_bias);
    add_columns<S>(tile.count, W, stage.d2, tile.size * W, sums + layout.trunk1_bias);
  }
}

// ---- forward ------------------------------------------------------------------------------------------------------

template <class Tile>
struct ForwardScratch {
  using T = typename Tile::Scalar;
  Row<T> heads;
  Stage<T> stage;
  FlowColumns<T> x;

  ForwardScratch(const typename Tile::Problem& f, Arena& arena)
      : heads(f, arena), stage(f, Tile::most_lines(f), arena, false) {
    for (T** columns : {&x.z, &x.moved, &x.sum}) *columns = arena.take<T>(f.dimension * Tile::most_lines(f));
    x.velocity = stage.field;
  }
};

template <class Tile>
void forward_tile(const typename Tile::Problem& f, Index index, typename Tile::Scalar* memory) {
  using T = typename Tile::Scalar;
  Arena arena{reinterpret_cast<char*>(memory), 0};
  ForwardScratch<Tile> scratch(f, arena);
  const Tile tile(f, index);
  const Index array = tile.size * f.rows * f.points * f.dimension;
  scratch.heads.load(f, tile.row);
  tile.load(f.start, scratch.x.z);
  flow_steps(
      tile.columns, f.steps, scratch.heads.count.active > 0, scratch.x,
      [&](Index step) SYMFLOW_INLINE_LAMBDA {
        if (f.states != nullptr) tile.store(scratch.x.z, f.states + step * array);
      },
      [&](const T* at, T*) SYMFLOW_INLINE_LAMBDA { evaluate(tile, scratch.heads, at, scratch.stage); });
  tile.store(scratch.x.z, f.end);
}

// ---- adjoint ------------------------------------------------------------------------------------------------------

template <class Tile>
struct BackwardScratch {
  using T = typename Tile::Scalar;
  Row<T> heads;
  Stage<T> stages[Rk4::stages];
  AdjointColumns<T> x;
  T* grad_embedded;  // columns [e]
  T* work;           // what the tile asks for

  BackwardScratch(const typename Tile::Problem& f, Arena& arena) : BackwardScratch(f, Tile::most_lines(f), arena) {}

 private:
  BackwardScratch(const typename Tile::Problem& f, Index lines, Arena& arena)
      : heads(f, arena),
        stages{{f, lines, arena, true}, {f, lines, arena, true}, {f, lines, arena, true}, {f, lines, arena, true}} {
    for (T** columns : {&x.z, &x.moved, &x.grad, &x.grad_before, &x.grad_stage, &x.grad_velocity}) {
      *columns = arena.take<T>(f.dimension * lines);
    }
    grad_embedded = arena.take<T>(f.embedding * lines);
    work = arena.take<T>(Tile::work(f));
  }
};

template <class Tile>
void backward_tile(const typename Tile::Problem& f, Index index, typename Tile::Scalar* memory,
                   const GradientLayout& layout, typename Tile::Scalar* sums) {
  using T = typename Tile::Scalar;
  Arena arena{reinterpret_cast<char*>(memory), 0};
  BackwardScratch<Tile> scratch(f, arena);
  const Tile tile(f, index);
  const Index array = tile.size * f.rows * f.points * f.dimension;
  auto& heads = scratch.heads;
  auto& stages = scratch.stages;
  heads.load(f, tile.row);
  for (Index i = 0; i < layout.size; ++i) sums[i] = 0;
  tile.load(f.grad_end, scratch.x.grad);
  if (heads.count.all > 0) {
    adjoint_steps(
        tile.columns, f.steps, scratch.x,
        [&](Index step, T* z) SYMFLOW_INLINE_LAMBDA { tile.load(f.states_saved + step * array, z); },
        [&](int i, const T* at) SYMFLOW_INLINE_LAMBDA -> const T* {
          evaluate(tile, heads, at, stages[i]);
          return stages[i].field;
        },
        [&](int i, const T* grad_field, T* grad) SYMFLOW_INLINE_LAMBDA {
          evaluate_backward(tile, heads, stages[i], grad_field, scratch.work, scratch.grad_embedded, grad, layout,
                            sums);
          if (i == 0 && f.parameter_gradients) add_parameter_gradients(tile, heads, stages, layout, sums);
        });
  }
  tile.store(scratch.x.grad, f.grad_start);
}

// Numbers of memory.
template <class Tile, class Scratch>
Index scratch_size(const typename Tile::Problem& f) {
  Arena arena{nullptr, 0};
  Scratch measured(f, arena);
  return arena.used / Index(sizeof(typename Tile::Scalar));
}

template <class Tile>
constexpr TileKernels<typename Tile::Problem, typename Tile::Scalar> tile_kernels = {
    Simd<typename Tile::Scalar>::lanes,
    scratch_size<Tile, ForwardScratch<Tile>>,
    scratch_size<Tile, BackwardScratch<Tile>>,
    forward_tile<Tile>,
    backward_tile<Tile>,
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
