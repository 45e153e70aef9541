// symflow::flow and symflow::flow_backward on the GPU: from tensors to the pointers of cuda/flow_cuda.h.
#include "../cuda/flow_cuda.h"

#include <torch/csrc/stable/library.h>

#include <tuple>

#include "cuda.h"
#include "flow.h"

namespace symflow {
namespace {

template <class T>
void check_size(const char* op, const FlowArguments<T>& a, bool tf32, bool backward) {
  STD_TORCH_CHECK(a.width <= flow_cuda_width, op, ": the kernels for GPUs have at most ", flow_cuda_width,
                  " hidden units, got a width of ", a.width, "; symflow.ops.flow_ref computes the same in plain torch");
  STD_TORCH_CHECK(flow_fits(a, tf32, backward), op, ": a width of ", a.width, " in float", 8 * sizeof(T),
                  " needs more shared memory than a block of this GPU may have; symflow.ops.flow_ref computes the same "
                  "in plain torch");
}

Tensor workspace_of(const Tensor& like, std::size_t bytes) {
  return torch::stable::new_empty(like, std::vector<std::int64_t>{std::int64_t(bytes)}, ScalarType::Byte);
}

std::tuple<Tensor, Tensor> flow(const Tensor& points, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                const Tensor& wo, const Tensor& bo, std::vector<double> periods, std::int64_t steps,
                                bool save_states, bool tf32) {
  return for_type("symflow::flow", "points", points, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::flow";
    const auto a = flow_arguments<T>(op, points, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, steps);
    const OnDevice on(points);
    check_size(op, a, tf32, false);
    if (save_states) check_size(op, a, tf32, true);  // which would be refused later
    const Tensor end = torch::stable::empty_like(points);
    const std::vector<std::int64_t> shape = {save_states ? steps : 0, a.rows, a.points, a.dimension};
    const Tensor states = torch::stable::new_empty(points, shape);
    const Tensor workspace = workspace_of(points, flow_forward_workspace(a));
    check_launch(op, flow_forward_cuda(a, tf32, write<T>(end), save_states ? write<T>(states) : nullptr,
                                       workspace.mutable_data_ptr(), on.stream));
    return std::make_tuple(end, states);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> flow_backward(
    const Tensor& grad, const Tensor& states, const Tensor& weights, const Tensor& w0, const Tensor& b0,
    const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh, const Tensor& wo, const Tensor& bo,
    std::vector<double> periods, bool weight_gradients, bool parameter_gradients, bool tf32) {
  return for_type("symflow::flow_backward", "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::flow_backward";
    STD_TORCH_CHECK(states.dim() == 4, op, ": `states` must have shape [steps, B, N, d]");
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto a = flow_arguments<T>(op, grad, weights, parameters, periods, states.size(0));
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, a.rows, a.points, a.dimension}, grad.device());
    const OnDevice on(grad);
    check_size(op, a, tf32, true);
    FlowGradients<T> gradients(grad, weights, parameters);
    const Tensor workspace =
        workspace_of(grad, flow_backward_workspace(a, tf32, weight_gradients, parameter_gradients));
    check_launch(op, flow_backward_cuda(a, tf32, read<T>(grad), read<T>(states), write<T>(gradients.points),
                                        weight_gradients ? write<T>(gradients.weights) : nullptr,
                                        parameter_gradients ? gradients.pointers : nullptr,
                                        workspace.mutable_data_ptr(), on.stream));
    return gradients.tuple();
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) {
  m.impl("flow", TORCH_BOX(&symflow::flow));
  m.impl("flow_backward", TORCH_BOX(&symflow::flow_backward));
}
