// symflow::jet_flow and symflow::jet_flow_backward on the CPU: from tensors to the pointers of cpu/jet_flow_cpu.h.
#include "jet_flow.h"

#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "../cpu/jet_flow_cpu.h"
#include "glue.h"

namespace symflow {
namespace {

const torch::stable::Device cpu = torch::headeronly::DeviceType::CPU;

std::tuple<Tensor, Tensor> jet_flow(const Tensor& surface, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                    const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                    const Tensor& wo, const Tensor& bo, std::vector<double> periods,
                                    std::vector<std::int64_t> products, std::int64_t steps, bool save_states) {
  return for_type("symflow::jet_flow", "surface", surface, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::jet_flow";
    const JetAlgebra algebra = algebra_of(op, products, surface);
    const auto a =
        jet_flow_arguments<T>(op, surface, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, algebra, steps, cpu);
    const Tensor end = torch::stable::empty_like(surface);
    const std::vector<std::int64_t> shape = {save_states ? steps : 0, algebra.size, a.rows, a.points, a.dimension};
    const Tensor states = torch::stable::new_empty(surface, shape);
    jet_flow_forward<T>(a, host_threads(), write<T>(end), save_states ? write<T>(states) : nullptr);
    return std::make_tuple(end, states);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> jet_flow_backward_op(
    const Tensor& grad, const Tensor& states, const Tensor& weights, const Tensor& w0, const Tensor& b0,
    const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh, const Tensor& wo, const Tensor& bo,
    std::vector<double> periods, std::vector<std::int64_t> products, bool weight_gradients, bool parameter_gradients) {
  return for_type("symflow::jet_flow_backward", "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::jet_flow_backward";
    STD_TORCH_CHECK(states.dim() == 5, op, ": `states` must have shape [steps, C, B, N, d]");
    const JetAlgebra algebra = algebra_of(op, products, grad);
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto a = jet_flow_arguments<T>(op, grad, weights, parameters, periods, algebra, states.size(0), cpu);
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, algebra.size, a.rows, a.points, a.dimension});
    FlowGradients<T> gradients(grad, weights, parameters);
    jet_flow_backward<T>(a, host_threads(), a.start, read<T>(states), write<T>(gradients.points),
                         weight_gradients ? write<T>(gradients.weights) : nullptr,
                         parameter_gradients ? gradients.pointers : nullptr);
    return gradients.tuple();
  });
}

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
  m.impl("jet_flow", TORCH_BOX(&symflow::jet_flow));
  m.impl("jet_flow_backward", TORCH_BOX(&symflow::jet_flow_backward_op));
  m.impl("silu_taylor", TORCH_BOX(&symflow::silu_taylor_op));
}
