// symflow::grid_flow and symflow::grid_flow_backward on the GPU.
#include "../cuda/grid_flow_cuda.h"

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "cuda.h"
#include "grid_fields.h"

namespace symflow {
namespace {

// `points` may be the gradient of the end points: only its shape and type count here.
template <class T>
GridFlowCudaArguments<T> arguments(const char* op, const Tensor& points, const Tensor& weights, const Tensor& values,
                                   const std::vector<double>& lower, const std::vector<double>& upper,
                                   const std::vector<double>& periods, std::int64_t steps) {
  STD_TORCH_CHECK(points.dim() == 3, op, ": `points` must have shape [B, N, d]");
  STD_TORCH_CHECK(points.size(2) <= grid_flow_cuda_dimensions, op, ": `points` must have at most ",
                  grid_flow_cuda_dimensions, " coordinates on the GPU, got ", points.size(2));
  STD_TORCH_CHECK(steps >= 1, op, ": `steps` must be at least 1, got ", steps);
  STD_TORCH_CHECK(values.scalar_type() == points.scalar_type(), op, ": `values` must have the dtype of `points`");
  const auto device = points.device();
  GridFlowCudaArguments<T> a{};
  a.fields = grid_fields<T>(op, weights, values, lower, upper, periods, device);
  a.points = points.size(1);
  a.steps = steps;
  check_tensor(op, "points", points, points.scalar_type(), {a.fields.rows, a.points, a.fields.dimension}, device);
  return a;
}

std::tuple<Tensor, Tensor> grid_flow(const Tensor& points, const Tensor& weights, const Tensor& values,
                                     std::vector<double> lower, std::vector<double> upper, std::vector<double> periods,
                                     std::int64_t steps, bool save_states) {
  const char* op = "symflow::grid_flow";
  return for_type(op, "points", points, [&](auto zero) {
    using T = decltype(zero);
    const auto a = arguments<T>(op, points, weights, values, lower, upper, periods, steps);
    const OnDevice on(points);
    const Tensor end = torch::stable::empty_like(points);
    const std::vector<std::int64_t> shape = {save_states ? steps : 0, a.fields.rows, a.points, a.fields.dimension};
    const Tensor states = torch::stable::new_empty(points, shape);
    const Tensor workspace = torch::stable::new_empty(points, {grid_flow_forward_workspace(a)});
    check_launch(op,
                 grid_flow_forward_cuda<T>(a, read<T>(points), write<T>(end), save_states ? write<T>(states) : nullptr,
                                           write<T>(workspace), on.stream));
    return std::make_tuple(end, states);
  });
}

std::tuple<Tensor, Tensor, Tensor> grid_flow_backward(const Tensor& grad, const Tensor& states, const Tensor& weights,
                                                      const Tensor& values, std::vector<double> lower,
                                                      std::vector<double> upper, std::vector<double> periods,
                                                      bool weight_gradients, bool value_gradients) {
  const char* op = "symflow::grid_flow_backward";
  return for_type(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    STD_TORCH_CHECK(states.dim() == 4, op, ": `states` must have shape [steps, B, N, d]");
    const auto a = arguments<T>(op, grad, weights, values, lower, upper, periods, states.size(0));
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, a.fields.rows, a.points, a.fields.dimension},
                 grad.device());
    const OnDevice on(grad);
    const auto zeros_like = [](const Tensor& like) {
      Tensor t = torch::stable::empty_like(like);
      return torch::stable::zero_(t);
    };
    const Tensor grad_points = torch::stable::empty_like(grad);
    const Tensor grad_weights = zeros_like(weights), grad_values = zeros_like(values);
    const std::int64_t size = grid_flow_backward_workspace(a, weight_gradients || value_gradients);
    const Tensor workspace = torch::stable::new_empty(grad, {size});
    check_launch(op, grid_flow_backward_cuda<T>(a, read<T>(grad), read<T>(states), write<T>(grad_points),
                                                weight_gradients ? write<T>(grad_weights) : nullptr,
                                                value_gradients ? write<T>(grad_values) : nullptr, write<T>(workspace),
                                                on.stream));
    return std::make_tuple(grad_points, grad_weights, grad_values);
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) {
  m.impl("grid_flow", TORCH_BOX(&symflow::grid_flow));
  m.impl("grid_flow_backward", TORCH_BOX(&symflow::grid_flow_backward));
}
