#include "flow_cpu.h"

#include "flow_run.h"
#include "flow_select.h"

namespace symflow {
namespace {

template <class T>
FlowProblem<T> problem(const FlowArguments<T>& arguments) {
  FlowProblem<T> f{};
  static_cast<FlowArguments<T>&>(f) = arguments;
  return f;
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
  const Buffer<T> parameters = prepare(f, selected_flow<T>(), most_points(f), false, false, false);
  f.end = end;
  f.states = states;
  run_forward<T>(f, selected_flow<T>(), parallel);
}
template void flow_forward(const FlowArguments<float>&, const Parallel&, float*, float*);
template void flow_forward(const FlowArguments<double>&, const Parallel&, double*, double*);

template <class T>
void flow_backward(const FlowArguments<T>& arguments, const Parallel& parallel, const T* grad_end, const T* states,
                   T* grad_start, T* grad_weights, T* const* grad_parameters) {
  FlowProblem<T> f = problem(arguments);
  const Buffer<T> parameters =
      prepare(f, selected_flow<T>(), most_points(f), true, grad_weights != nullptr, grad_parameters != nullptr);
  f.grad_end = grad_end;
  f.states_saved = states;
  f.grad_start = grad_start;
  run_backward<T>(f, selected_flow<T>(), parallel, grad_weights, grad_parameters);
}
template void flow_backward(const FlowArguments<float>&, const Parallel&, const float*, const float*, float*, float*,
                            float* const*);
template void flow_backward(const FlowArguments<double>&, const Parallel&, const double*, const double*, double*,
                            double*, double* const*);

template <class T>
void elementary(const T* x, Index count, T* silu, T* derivative, T* cos, T* sin) {
  selected_flow<T>().elementary(x, count, silu, derivative, cos, sin);
}
template void elementary(const float*, Index, float*, float*, float*, float*);
template void elementary(const double*, Index, double*, double*, double*, double*);

}  // namespace symflow
