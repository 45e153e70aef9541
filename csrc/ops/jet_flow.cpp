// symflow::jet_flow and symflow::jet_flow_backward on the CPU.
#include "jet_flow.h"

#include "../cpu/jet_flow_cpu.h"

namespace symflow {
namespace {

struct OnCpu {
  OnCpu(const char*, const Tensor&, const Tensor&, const Tensor&) {}

  template <class T>
  void forward(const JetFlowArguments<T>& a, T* end, T* states) {
    jet_flow_forward<T>(a, host_threads(), end, states);
  }
  template <class T>
  void backward(const JetFlowArguments<T>& a, const T* states, T* grad_surface, T* grad_weights,
                T* const* grad_parameters) {
    jet_flow_backward<T>(a, host_threads(), a.start, states, grad_surface, grad_weights, grad_parameters);
  }
};

Tensor silu_taylor_op(const Tensor& x) {
  return for_type("symflow::silu_taylor", "x", x, [&](auto zero) {
    using T = decltype(zero);
    check_tensor("symflow::silu_taylor", "x", x, x.scalar_type(), {x.numel()});
    const std::vector<std::int64_t> shape = {max_degree + 2, x.numel()};
    const Tensor coefficients = torch::stable::new_empty(x, shape);
    silu_taylor<T>(read<T>(x), x.numel(), write<T>(coefficients));
    return coefficients;
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) {
  symflow::implement_jet_flow<symflow::OnCpu>(m);
  m.impl("silu_taylor", TORCH_BOX(&symflow::silu_taylor_op));
}
