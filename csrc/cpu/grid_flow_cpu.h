// The seam of the flow on a grid on the CPU: raw pointers and sizes, no torch.
//
// grid_flow_cpu.cpp hands out chunks of rows to threads and adds up gradients; a chunk is computed by the kernels of
// grid_flow_tile.h, compiled once per instruction set.
#pragma once

#include <cstdint>
#include <utility>

#include "../core/grid_fields.h"
#include "isa.h"
#include "parallel.h"

namespace symflow {

// end [B, N, d]; states [steps, B, N, d], the points before each step, or null.
template <class T>
void grid_flow_forward(const GridFlowArguments<T>&, const Parallel&, T* end, T* states);

// Exact gradients of the discrete flow. grad_start [B, N, d] is always written; grad_weights [B, K] and grad_values
// are written where not null.
template <class T>
void grid_flow_backward(const GridFlowArguments<T>&, const Parallel&, const T* grad_end, const T* states, T* grad_start,
                        T* grad_weights, T* grad_values);

// ---- between grid_flow_cpu.cpp and the kernels --------------------------------------------------------------------

template <class T>
struct GridFlowProblem : GridFlowArguments<T> {
  std::int64_t chunk_points, chunks_per_row;  // how a row is cut
  bool table_gradients;
  T* end;
  T* states;              // [steps, B, N, d]
  const T* states_saved;  // the same, read by backward
  const T* grad_end;
  T* grad_start;
};

// What a thread holds. A table is sum_k w_k V_k of one row, with ghosts (core/grid.h) and the vectors padded to whole
// pieces of 16 bytes per edge; `grad_edges` has the gradients of the two ends of each edge along the last axis side by
// side, so that what two points add either coincides or does not overlap.
template <class T>
struct GridWorker {
  std::int64_t row;  // of the table, -1 before the first
  T* table;
  T* grad_edges;  // twice as long
  // What a chunk brings:
  T* grad_field;         // [n_1, ..., n_d, d], the gradient of sum_k w_k V_k
  double* grad_weights;  // [K]
};

template <class T>
struct GridFlowKernels {
  std::int64_t (*table_size)(const GridFields<T>&);  // numbers
  void (*forward_chunk)(const GridFlowProblem<T>&, std::int64_t chunk, GridWorker<T>&);
  void (*backward_chunk)(const GridFlowProblem<T>&, std::int64_t chunk, GridWorker<T>&);
};

// By dimension, from 1.
SYMFLOW_PER_ISA(extern const GridFlowKernels<float> grid_flow_float[max_grid_dimension];
                extern const GridFlowKernels<double> grid_flow_double[max_grid_dimension];)

}  // namespace symflow
