// symflow::flow and symflow::flow_backward on the CPU: from tensors to the pointers of cpu/flow_cpu.h.
#include "flow.h"

#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "../cpu/flow_cpu.h"

namespace symflow {
namespace {

std::tuple<Tensor, Tensor> flow(const Tensor& points, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                const Tensor& wo, const Tensor& bo, std::vector<double> periods, std::int64_t steps,
                                bool save_states, bool) {
  return for_type("symflow::flow", "points", points, [&](auto zero) {
    using T = decltype(zero);
    const auto a =
        flow_arguments<T>("symflow::flow", points, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, steps);
    const Tensor end = torch::stable::empty_like(points);
    const std::vector<std::int64_t> shape = {save_states ? steps : 0, a.rows, a.points, a.dimension};
    const Tensor states = torch::stable::new_empty(points, shape);
    flow_forward<T>(a, host_threads(), write<T>(end), save_states ? write<T>(states) : nullptr);
    return std::make_tuple(end, states);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> flow_backward_op(
    const Tensor& grad, const Tensor& states, const Tensor& weights, const Tensor& w0, const Tensor& b0,
    const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh, const Tensor& wo, const Tensor& bo,
    std::vector<double> periods, bool weight_gradients, bool parameter_gradients, bool) {
  return for_type("symflow::flow_backward", "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::flow_backward";
    STD_TORCH_CHECK(states.dim() == 4, op, ": `states` must have shape [steps, B, N, d]");
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto a = flow_arguments<T>(op, grad, weights, parameters, periods, states.size(0));
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, a.rows, a.points, a.dimension});
    FlowGradients<T> gradients(grad, weights, parameters);
    flow_backward<T>(a, host_threads(), a.start, read<T>(states), write<T>(gradients.points),
                     weight_gradients ? write<T>(gradients.weights) : nullptr,
                     parameter_gradients ? gradients.pointers : nullptr);
    return gradients.tuple();
  });
}

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
  m.impl("flow", TORCH_BOX(&symflow::flow));
  m.impl("flow_backward", TORCH_BOX(&symflow::flow_backward_op));
  m.impl("elementary", TORCH_BOX(&symflow::elementary_op));
}
