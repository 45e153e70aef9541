// symflow::flow and symflow::flow_backward on the CPU.
#include "flow.h"

#include "../cpu/flow_cpu.h"

namespace symflow {
namespace {

struct OnCpu {
  OnCpu(const char*, const Tensor&) {}

  template <class T>
  void forward(const FlowArguments<T>& a, bool, T* end, T* states) {
    flow_forward<T>(a, host_threads(), end, states);
  }
  template <class T>
  void backward(const FlowArguments<T>& a, bool, const T* states, T* grad_points, T* grad_weights,
                T* const* grad_parameters) {
    flow_backward<T>(a, host_threads(), a.start, states, grad_points, grad_weights, grad_parameters);
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensor> elementary_op(const Tensor& x) {
  return for_type("symflow::elementary", "x", x, [&](auto zero) {
    using T = decltype(zero);
    check_tensor("symflow::elementary", "x", x, x.scalar_type(), {x.numel()});
    std::array<Tensor, 4> out;
    for (auto& t : out) t = torch::stable::empty_like(x);
    elementary<T>(read<T>(x), x.numel(), write<T>(out[0]), write<T>(out[1]), write<T>(out[2]), write<T>(out[3]));
    return std::make_tuple(out[0], out[1], out[2], out[3]);
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) {
  symflow::implement_flow<symflow::OnCpu>(m);
  m.impl("elementary", TORCH_BOX(&symflow::elementary_op));
}
