// symflow::jet_flow and symflow::jet_flow_backward on the GPU.
#include "../cuda/jet_flow_cuda.h"

#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "cuda.h"
#include "jet_flow.h"

namespace symflow {
namespace {

// The transposes that the kernels read beside the parameters, kept alive.
template <class T>
struct Transposes {
  Tensor trunk1, head;

  Transposes(const Tensor& w1, const Tensor& wh)
      : trunk1(torch::stable::contiguous(torch::stable::transpose(w1, 0, 1))),
        head(torch::stable::contiguous(torch::stable::transpose(wh, 1, 2))) {}

  JetFlowTransposes<T> pointers() const { return {read<T>(trunk1), read<T>(head)}; }
};

std::tuple<Tensor, Tensor> jet_flow(const Tensor& surface, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                    const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                    const Tensor& wo, const Tensor& bo, std::vector<double> periods,
                                    std::vector<std::int64_t> products, std::int64_t steps, bool save_states) {
  return for_type("symflow::jet_flow", "surface", surface, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::jet_flow";
    const JetAlgebra algebra = algebra_of(op, products, surface);
    const auto a = jet_flow_arguments<T>(op, surface, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, algebra,
                                         steps, surface.device());
    const OnDevice on(surface);
    const Transposes<T> transposes(w1, wh);
    const Tensor end = torch::stable::empty_like(surface);
    const std::vector<std::int64_t> shape = {save_states ? steps : 0, algebra.size, a.rows, a.points, a.dimension};
    const Tensor states = torch::stable::new_empty(surface, shape);
    check_launch(op, jet_flow_forward_cuda<T>(a, transposes.pointers(), write<T>(end),
                                              save_states ? write<T>(states) : nullptr, on.stream));
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
    const auto a =
        jet_flow_arguments<T>(op, grad, weights, parameters, periods, algebra, states.size(0), grad.device());
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, algebra.size, a.rows, a.points, a.dimension},
                 grad.device());
    const OnDevice on(grad);
    const Transposes<T> transposes(w1, wh);
    FlowGradients<T> gradients(grad, weights, parameters);
    const std::vector<std::int64_t> size = {jet_flow_workspace<T>(a, weight_gradients, parameter_gradients)};
    const Tensor workspace = torch::stable::new_empty(grad, size);
    check_launch(op, jet_flow_backward_cuda<T>(
                         a, transposes.pointers(), a.start, read<T>(states), write<T>(gradients.points),
                         weight_gradients ? write<T>(gradients.weights) : nullptr,
                         parameter_gradients ? gradients.pointers : nullptr, write<T>(workspace), on.stream));
    return gradients.tuple();
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) {
  m.impl("jet_flow", TORCH_BOX(&symflow::jet_flow));
  m.impl("jet_flow_backward", TORCH_BOX(&symflow::jet_flow_backward_op));
}
