// symflow::grid_flow and symflow::grid_flow_backward on the CPU.
#include "grid_flow.h"

#include "../cpu/grid_flow_cpu.h"

namespace symflow {
namespace {

struct OnCpu {
  static constexpr std::int64_t most_coordinates = max_grid_dimension;

  OnCpu(const char*, const Tensor&) {}

  template <class T>
  void forward(const GridFlowArguments<T>& a, T* end, T* states) {
    grid_flow_forward<T>(a, host_threads(), end, states);
  }
  template <class T>
  void backward(const GridFlowArguments<T>& a, const T* states, T* grad_points, T* grad_weights, T* grad_values) {
    grid_flow_backward<T>(a, host_threads(), a.start, states, grad_points, grad_weights, grad_values);
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) { symflow::implement_grid_flow<symflow::OnCpu>(m); }
