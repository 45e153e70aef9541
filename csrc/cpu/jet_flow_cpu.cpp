#include "jet_flow_cpu.h"

#include <algorithm>
#include <numeric>

#include "flow_run.h"
#include "isa.h"

namespace symflow {
namespace {

// Tiles have at most so many lines, and so many numbers in a hidden layer; measured, half and double hardly differ. The
// layers of four stages and their slopes should stay in the second cache.
constexpr Index tile_lines = 120;
constexpr Index tile_numbers = 15'360;
constexpr Index block = 12;        // a multiple of the rows of every register block
constexpr Index buffer_step = 48;  // a multiple of that and of every register

template <class T>
const JetFlowKernels<T>& kernels() {
  return by_type<T>(SYMFLOW_SELECT(jet_flow_float), SYMFLOW_SELECT(jet_flow_double));
}

// As many points as make whole register blocks of lines, where that is possible.
Index most_points(Index coefficients, Index width) {
  const Index whole = block / std::gcd(block, coefficients);
  const Index lines = std::min(tile_lines, tile_numbers / width);
  return std::max(lines / coefficients / whole, Index(1)) * whole;
}

template <class T>
struct Prepared {
  JetFlowProblem<T> f{};
  Buffer<T> parameters;

  Prepared(const JetFlowArguments<T>& arguments, bool backward, bool weight_gradients, bool parameter_gradients) {
    static_cast<FlowArguments<T>&>(f) = arguments;
    f.algebra = arguments.algebra;
    f.functions = kernels<T>().functions(*f.algebra);
    const Index points = most_points(f.algebra->size, f.width);
    f.lines = rounded_up(points * f.algebra->size, buffer_step);
    parameters = prepare(f, kernels<T>(), points, backward, weight_gradients, parameter_gradients);
  }
};

}  // namespace

template <class T>
void jet_flow_forward(const JetFlowArguments<T>& arguments, const Parallel& parallel, T* end, T* states) {
  if (arguments.rows * arguments.points == 0) return;
  Prepared<T> prepared(arguments, false, false, false);
  JetFlowProblem<T>& f = prepared.f;
  f.end = end;
  f.states = states;
  run_forward<T>(f, kernels<T>(), parallel);
}
template void jet_flow_forward(const JetFlowArguments<float>&, const Parallel&, float*, float*);
template void jet_flow_forward(const JetFlowArguments<double>&, const Parallel&, double*, double*);

template <class T>
void jet_flow_backward(const JetFlowArguments<T>& arguments, const Parallel& parallel, const T* grad_end,
                       const T* states, T* grad_start, T* grad_weights, T* const* grad_parameters) {
  Prepared<T> prepared(arguments, true, grad_weights != nullptr, grad_parameters != nullptr);
  JetFlowProblem<T>& f = prepared.f;
  f.grad_end = grad_end;
  f.states_saved = states;
  f.grad_start = grad_start;
  run_backward<T>(f, kernels<T>(), parallel, grad_weights, grad_parameters);
}
template void jet_flow_backward(const JetFlowArguments<float>&, const Parallel&, const float*, const float*, float*,
                                float*, float* const*);
template void jet_flow_backward(const JetFlowArguments<double>&, const Parallel&, const double*, const double*, double*,
                                double*, double* const*);

template <class T>
void silu_taylor(const T* x, Index count, T* coefficients) {
  kernels<T>().silu_taylor(x, count, coefficients);
}
template void silu_taylor(const float*, Index, float*);
template void silu_taylor(const double*, Index, double*);

}  // namespace symflow
