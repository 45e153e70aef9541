// What the flow on a grid and the warp along it share: how the work is cut, the memory of the threads, and the sums of
// the gradients.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "grid_flow_cpu.h"

namespace symflow {

using Index = std::int64_t;

// Points in a chunk, at least; and at least one per node, so that forming a table costs less than the flow in it.
constexpr Index chunk_points = 1024;

// The kernels of the instruction set in use for fields of `dimension` coordinates.
template <class T>
const GridFlowKernels<T>& selected_grid_flow(Index dimension) {
  return by_type<T>(SYMFLOW_SELECT(grid_flow_float), SYMFLOW_SELECT(grid_flow_double))[dimension - 1];
}

template <class T>
GridFlowProblem<T> grid_flow_problem(const GridFlowArguments<T>& arguments) {
  GridFlowProblem<T> f{};
  static_cast<GridFlowArguments<T>&>(f) = arguments;
  const Index most = std::max(chunk_points, f.fields.size() / f.fields.dimension);
  // A row is cut into equal chunks: two threads then share a short row fairly.
  f.chunks_per_row = (f.points + most - 1) / most;
  f.chunk_points = f.points == 0 ? 0 : (f.points + f.chunks_per_row - 1) / f.chunks_per_row;
  return f;
}

// The memory of all threads.
template <class T>
struct GridWorkers {
  Buffer<T> memory;
  Buffer<double> grad_weights;
  std::vector<GridWorker<T>> each;

  GridWorkers() = default;

  GridWorkers(const GridFlowProblem<T>& f, int count) {
    const Index table = selected_grid_flow<T>(f.fields.dimension).table_size(f.fields);
    const Index edges = f.table_gradients ? 2 * table : 0, field = f.table_gradients ? f.fields.size() : 0;
    const Index sizes[3] = {rounded_up(table, alignment), rounded_up(edges, alignment), rounded_up(field, alignment)};
    const Index size = sizes[0] + sizes[1] + sizes[2];
    memory = zeros<T>(count * size);
    const Index weights = rounded_up(f.fields.generators, alignment);
    grad_weights = zeros<double>(count * weights);
    for (int i = 0; i < count; ++i) {
      T* base = memory.get() + i * size;
      each.push_back({-1, base, base + sizes[0], base + sizes[0] + sizes[1], grad_weights.get() + i * weights});
    }
  }
};

// The sums over all chunks, in double: long sums of small terms lose nothing, and one level of summation is enough.
template <class T>
struct GridTotals {
  const GridFields<T>& fields;
  Buffer<double> values, weights;  // [K, size]; [B, K]

  GridTotals(const GridFields<T>& f, bool table_gradients)
      : fields(f),
        values(zeros<double>(table_gradients ? f.generators * f.size() : 0)),
        weights(zeros<double>(table_gradients ? f.rows * f.generators : 0)) {}

  // V = sum_k w_k V_k: the gradient of V_k is w_k times that of V.
  void add_chunk(Index row, const GridWorker<T>& worker) {
    const Index size = fields.size();
    for (Index k = 0; k < fields.generators; ++k) {
      const std::size_t place = std::size_t(row * fields.generators + k);
      weights[place] += worker.grad_weights[k];
      const double weight = double(fields.weights[place]);
      if (weight == 0) continue;
      double* sums = values.get() + k * size;
      for (Index i = 0; i < size; ++i) sums[i] += weight * double(worker.grad_field[i]);
    }
  }

  void write(T* grad_weights, T* grad_values) const {
    const Index size = fields.size();
    if (grad_weights != nullptr) std::copy_n(weights.get(), fields.rows * fields.generators, grad_weights);
    if (grad_values != nullptr) std::copy_n(values.get(), fields.generators * size, grad_values);
  }
};

}  // namespace symflow
