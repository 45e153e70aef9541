#include "flow_cpu.h"

#include <algorithm>

#include "flow_run.h"
#include "isa.h"

namespace symflow {
namespace {

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

template <class T>
FlowProblem<T> problem(const FlowArguments<T>& arguments) {
  FlowProblem<T> f{};
  static_cast<FlowArguments<T>&>(f) = arguments;
  return f;
}

template <class T>
Index most_points(const FlowArguments<T>& f) {
  return std::clamp(tile_width / padded(f.width, kernels<T>()) / tile_step, Index(1), Index(4)) * tile_step;
}

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
  FlowProblem<T> f = problem(arguments);
  const Buffer<T> parameters = prepare(f, kernels<T>(), most_points(f), false, false, false);
  f.end = end;
  f.states = states;
  run_forward<T>(f, kernels<T>(), parallel);
}
template void flow_forward(const FlowArguments<float>&, const Parallel&, float*, float*);
template void flow_forward(const FlowArguments<double>&, const Parallel&, double*, double*);

template <class T>
void flow_backward(const FlowArguments<T>& arguments, const Parallel& parallel, const T* grad_end, const T* states,
                   T* grad_start, T* grad_weights, T* const* grad_parameters) {
  FlowProblem<T> f = problem(arguments);
  const Buffer<T> parameters =
      prepare(f, kernels<T>(), most_points(f), true, grad_weights != nullptr, grad_parameters != nullptr);
  f.grad_end = grad_end;
  f.states_saved = states;
  f.grad_start = grad_start;
  run_backward<T>(f, kernels<T>(), parallel, grad_weights, grad_parameters);
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
