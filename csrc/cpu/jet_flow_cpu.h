// The seam of the flow of jets on the CPU: raw pointers and sizes, no torch.
//
// The problem is that of flow_cpu.h with C coefficients in place of each point: what is packed, cut into tiles, summed
// and handed out is the same (flow_run.h), and the kernels of jet_flow_tile.h compute a tile.
#pragma once

#include <cstdint>

#include "../core/jet_flow.h"
#include "flow_cpu.h"

namespace symflow {

// end [C, B, N, d]; states [steps, C, B, N, d], the jets before each step, or null.
template <class T>
void jet_flow_forward(const JetFlowArguments<T>&, const Parallel&, T* end, T* states);

// Exact gradients of the discrete flow, as `flow_backward` gives them.
template <class T>
void jet_flow_backward(const JetFlowArguments<T>&, const Parallel&, const T* grad_end, const T* states, T* grad_start,
                       T* grad_weights, T* const* grad_parameters);

// The Taylor coefficients [max_degree + 2, count] of silu at x [count] as the kernels compute them, for tests.
template <class T>
void silu_taylor(const T* x, std::int64_t count, T* coefficients);

// ---- between jet_flow_cpu.cpp and the kernels ---------------------------------------------------------------------

// The functions that act on the C coefficients of a point together, for one truncation. Arrays are [point][C], with
// `row` numbers from one coefficient to the next where these are rows of a panel of two registers of hidden units.
template <class T>
struct JetFunctions {
  // values = a + bias -> silu(a); slopes, when not null, take silu'(a).
  void (*silu)(const JetAlgebra&, std::int64_t points, const T* bias, T* values, T* slopes, std::int64_t row);
  // grad, that of silu(a) -> that of a, written over the slopes.
  void (*silu_backward)(const JetAlgebra&, std::int64_t points, const T* grad, std::int64_t grad_row, T* slopes,
                        std::int64_t row);
};

template <class T>
struct JetFlowProblem : FlowProblem<T> {
  const JetAlgebra* algebra;
  const JetFunctions<T>* functions;
  std::int64_t lines;  // most coefficients in a tile, its points times C, rounded up to register blocks and registers
};

template <class T>
struct JetFlowKernels : TileKernels<JetFlowProblem<T>, T> {
  const JetFunctions<T>* (*functions)(const JetAlgebra&);
  void (*silu_taylor)(const T* x, std::int64_t count, T* coefficients);
};

SYMFLOW_PER_ISA(extern const JetFlowKernels<float> jet_flow_float; extern const JetFlowKernels<double> jet_flow_double;)

}  // namespace symflow
