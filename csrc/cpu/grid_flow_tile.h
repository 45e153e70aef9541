// The flow of one chunk of points in a field on a grid, forward and adjoint, for one instruction set (see simd.h for
// how it is included).
#pragma once

#include "grid_tile.h"

namespace symflow {
namespace SYMFLOW_ISA {

// Points first .. first + count of a row.
template <class T, int d>
struct GridPoints {
  using S = Simd<T>;
  Index first, count;  // in the array [B N, d]
  Columns columns;

  GridPoints(Index from, Index points)
      : first(from), count(points), columns{d, grid_tile, round_up(points, S::lanes)} {}

  // Columns from points; the places beyond the last point repeat it, so that they hold nothing that it does not.
  void load(const T* array, T* z) const {
    const T* from = array + first * d;
    for (Index p = 0; p < columns.end; ++p) {
      for (int j = 0; j < d; ++j) z[j * grid_tile + p] = from[(p < count ? p : count - 1) * d + j];
    }
  }

  void store(const T* z, T* array) const {
    T* to = array + first * d;
    for (Index p = 0; p < count; ++p) {
      for (int j = 0; j < d; ++j) to[p * d + j] = z[j * grid_tile + p];
    }
  }
};

// Forms the table of a row; whether any of its weights is not zero.
template <class T, int d>
bool load_table(const GridFields<T>& fields, Index row, GridWorker<T>& worker) {
  const T* weights = fields.weights + row * fields.generators;
  if (worker.row != row) combine<T, d>(fields, weights, worker.table);
  worker.row = row;
  for (Index k = 0; k < fields.generators; ++k) {
    if (weights[k] != 0) return true;
  }
  return false;
}

// body(tile of points) for the tiles of a chunk.
template <class T, int d, class Body>
void for_each_tile_of(const GridFlowProblem<T>& f, Index chunk, Body body) {
  const Index row = chunk / f.chunks_per_row, begin = chunk % f.chunks_per_row * f.chunk_points;
  const Index end = begin + f.chunk_points < f.points ? begin + f.chunk_points : f.points;
  for (Index p = begin; p < end; p += grid_tile) {
    body(GridPoints<T, d>(row * f.points + p, end - p < grid_tile ? end - p : grid_tile));
  }
}

template <class T, int d>
void forward_chunk(const GridFlowProblem<T>& f, Index chunk, GridWorker<T>& worker) {
  const bool moves = load_table<T, d>(f.fields, chunk / f.chunks_per_row, worker);
  const GridTile<T, d> field(f.fields);
  const Index array = f.fields.rows * f.points * d;
  alignas(64) T memory[4][d * grid_tile];
  const FlowColumns<T> x{memory[0], memory[1], memory[2], memory[3]};
  for_each_tile_of<T, d>(f, chunk, [&](const GridPoints<T, d>& points) {
    points.load(f.start, x.z);
    flow_steps(
        points.columns, f.steps, moves, x,
        [&](Index step) SYMFLOW_INLINE_LAMBDA {
          if (f.states != nullptr) points.store(x.z, f.states + step * array);
        },
        [&](const T* at, T* velocity)
            SYMFLOW_INLINE_LAMBDA { field.evaluate(worker.table, points.columns.end, at, velocity); });
    points.store(x.z, f.end);
  });
}

template <class T, int d>
void backward_chunk(const GridFlowProblem<T>& f, Index chunk, GridWorker<T>& worker) {
  load_table<T, d>(f.fields, chunk / f.chunks_per_row, worker);
  const GridTile<T, d> field(f.fields);
  const Index array = f.fields.rows * f.points * d;
  if (f.table_gradients) {
    for (Index i = 0; i < 2 * field.layout.size; ++i) worker.grad_edges[i] = 0;
  }
  alignas(64) GridStage<T, d> stages[Rk4::stages];
  alignas(64) T memory[6][d * grid_tile];
  for_each_tile_of<T, d>(f, chunk, [&](const GridPoints<T, d>& points) {
    const Index end = points.columns.end;
    AdjointColumns<T> x{memory[0], memory[1], memory[2], memory[3], memory[4], memory[5]};
    points.load(f.grad_end, x.grad);
    adjoint_steps(
        points.columns, f.steps, x,
        [&](Index step, T* z) SYMFLOW_INLINE_LAMBDA { points.load(f.states_saved + step * array, z); },
        [&](int i, const T* at) SYMFLOW_INLINE_LAMBDA -> const T* {
          field.evaluate(worker.table, end, at, stages[i]);
          return stages[i].velocity[0];
        },
        [&](int i, const T* grad_velocity, T* grad) SYMFLOW_INLINE_LAMBDA {
          field.evaluate_backward(stages[i], end, grad_velocity, grad);
          if (f.table_gradients) field.add_to_edges(stages[i], points.count, grad_velocity, worker.grad_edges);
        });
    points.store(x.grad, f.grad_start);
  });
  if (f.table_gradients) {
    collect<T, d>(f.fields, worker.grad_edges, worker.grad_field);
    const Index size = f.fields.size();
    for (Index k = 0; k < f.fields.generators; ++k) {
      worker.grad_weights[k] = inner_product(worker.grad_field, f.fields.values + k * size, size);
    }
  }
}

template <class T, int d>
Index table_size(const GridFields<T>& fields) {
  return GridLayout<T, d>(fields).size;
}

template <class T, int d>
constexpr GridFlowKernels<T> grid_flow_kernels = {table_size<T, d>, forward_chunk<T, d>, backward_chunk<T, d>};

extern const GridFlowKernels<float> grid_flow_float[max_grid_dimension];
extern const GridFlowKernels<double> grid_flow_double[max_grid_dimension];
const GridFlowKernels<float> grid_flow_float[] = {grid_flow_kernels<float, 1>, grid_flow_kernels<float, 2>,
                                                  grid_flow_kernels<float, 3>, grid_flow_kernels<float, 4>};
const GridFlowKernels<double> grid_flow_double[] = {grid_flow_kernels<double, 1>, grid_flow_kernels<double, 2>,
                                                    grid_flow_kernels<double, 3>, grid_flow_kernels<double, 4>};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
