// symflow::grid_flow and symflow::grid_flow_backward on the CPU: from tensors to the pointers of cpu/grid_flow_cpu.h.
#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "../cpu/grid_flow_cpu.h"
#include "grid_fields.h"

namespace symflow {
namespace {

// `points` may be the gradient of the end points: only its shape and type count here.
template <class T>
GridFlowArguments<T> arguments(const char* op, const Tensor& points, const Tensor& weights, const Tensor& values,
                               const std::vector<double>& lower, const std::vector<double>& upper,
                               const std::vector<double>& periods, std::int64_t steps) {
  STD_TORCH_CHECK(points.dim() == 3, op, ": `points` must have shape [B, N, d]");
  STD_TORCH_CHECK(steps >= 1, op, ": `steps` must be at least 1, got ", steps);
  STD_TORCH_CHECK(values.scalar_type() == points.scalar_type(), op, ": `values` must have the dtype of `points`");
  GridFlowArguments<T> a{};
  a.fields = grid_fields<T>(op, weights, values, lower, upper, periods);
  a.points = points.size(1);
  a.steps = steps;
  check_tensor(op, "points", points, points.scalar_type(), {a.fields.rows, a.points, a.fields.dimension});
  a.start = read<T>(points);
  return a;
}

std::tuple<Tensor, Tensor> grid_flow(const Tensor& points, const Tensor& weights, const Tensor& values,
                                     std::vector<double> lower, std::vector<double> upper, std::vector<double> periods,
                                     std::int64_t steps, bool save_states) {
  return for_type("symflow::grid_flow", "points", points, [&](auto zero) {
    using T = decltype(zero);
    const auto a = arguments<T>("symflow::grid_flow", points, weights, values, lower, upper, periods, steps);
    const Tensor end = torch::stable::empty_like(points);
    const std::vector<std::int64_t> shape = {save_states ? steps : 0, a.fields.rows, a.points, a.fields.dimension};
    const Tensor states = torch::stable::new_empty(points, shape);
    grid_flow_forward<T>(a, host_threads(), write<T>(end), save_states ? write<T>(states) : nullptr);
    return std::make_tuple(end, states);
  });
}

std::tuple<Tensor, Tensor, Tensor> grid_flow_backward_op(const Tensor& grad, const Tensor& states,
                                                         const Tensor& weights, const Tensor& values,
                                                         std::vector<double> lower, std::vector<double> upper,
                                                         std::vector<double> periods, bool weight_gradients,
                                                         bool value_gradients) {
  return for_type("symflow::grid_flow_backward", "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::grid_flow_backward";
    STD_TORCH_CHECK(states.dim() == 4, op, ": `states` must have shape [steps, B, N, d]");
    const auto a = arguments<T>(op, grad, weights, values, lower, upper, periods, states.size(0));
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, a.fields.rows, a.points, a.fields.dimension});
    const Tensor grad_points = torch::stable::empty_like(grad);
    const auto zeros_like = [](const Tensor& like) {
      Tensor t = torch::stable::empty_like(like);
      return torch::stable::zero_(t);
    };
    const Tensor grad_weights = zeros_like(weights), grad_values = zeros_like(values);
    grid_flow_backward<T>(a, host_threads(), a.start, read<T>(states), write<T>(grad_points),
                          weight_gradients ? write<T>(grad_weights) : nullptr,
                          value_gradients ? write<T>(grad_values) : nullptr);
    return std::make_tuple(grad_points, grad_weights, grad_values);
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) {
  m.impl("grid_flow", TORCH_BOX(&symflow::grid_flow));
  m.impl("grid_flow_backward", TORCH_BOX(&symflow::grid_flow_backward_op));
}
