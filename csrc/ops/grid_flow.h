// symflow::grid_flow and symflow::grid_flow_backward, from tensors to pointers, for both processors.
//
// A `Processor` offers forward<T>(a, end, states) and backward<T>(a, states, gradients...) of core/grid_fields.h, says
// how many coordinates it knows, and is made from the operator's name and a tensor.
#pragma once

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "grid_fields.h"

namespace symflow {

// `points` may be the gradient of the end points: only its shape and type count here.
template <class T>
GridFlowArguments<T> grid_flow_arguments(const char* op, const Tensor& points, const Tensor& weights,
                                         const Tensor& values, const std::vector<double>& lower,
                                         const std::vector<double>& upper, const std::vector<double>& periods,
                                         std::int64_t steps, std::int64_t most_coordinates) {
  STD_TORCH_CHECK(points.dim() == 3, op, ": `points` must have shape [B, N, d]");
  const auto device = points.device();
  STD_TORCH_CHECK(points.size(2) <= most_coordinates, op, ": `points` must have at most ", most_coordinates,
                  " coordinates on ", device_text(device), ", got ", points.size(2));
  STD_TORCH_CHECK(steps >= 1, op, ": `steps` must be at least 1, got ", steps);
  STD_TORCH_CHECK(values.scalar_type() == points.scalar_type(), op, ": `values` must have the dtype of `points`");
  GridFlowArguments<T> a{};
  a.fields = grid_fields<T>(op, weights, values, lower, upper, periods, device);
  a.points = points.size(1);
  a.steps = steps;
  check_tensor(op, "points", points, points.scalar_type(), {a.fields.rows, a.points, a.fields.dimension}, device);
  a.start = read<T>(points);
  return a;
}

template <class Processor>
std::tuple<Tensor, Tensor> grid_flow_op(const Tensor& points, const Tensor& weights, const Tensor& values,
                                        std::vector<double> lower, std::vector<double> upper,
                                        std::vector<double> periods, std::int64_t steps, bool save_states) {
  const char* op = "symflow::grid_flow";
  return for_type(op, "points", points, [&](auto zero) {
    using T = decltype(zero);
    const auto a =
        grid_flow_arguments<T>(op, points, weights, values, lower, upper, periods, steps, Processor::most_coordinates);
    Processor processor(op, points);
    const Tensor end = torch::stable::empty_like(points), states = new_states(points, steps, save_states);
    processor.template forward<T>(a, write<T>(end), write_if<T>(save_states, states));
    return std::make_tuple(end, states);
  });
}

template <class Processor>
std::tuple<Tensor, Tensor, Tensor> grid_flow_backward_op(const Tensor& grad, const Tensor& states,
                                                         const Tensor& weights, const Tensor& values,
                                                         std::vector<double> lower, std::vector<double> upper,
                                                         std::vector<double> periods, bool weight_gradients,
                                                         bool value_gradients) {
  const char* op = "symflow::grid_flow_backward";
  return for_type(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    STD_TORCH_CHECK(states.dim() == 4, op, ": `states` must have shape [steps, B, N, d]");
    const auto a = grid_flow_arguments<T>(op, grad, weights, values, lower, upper, periods, states.size(0),
                                          Processor::most_coordinates);
    check_states(op, states, grad);
    Processor processor(op, grad);
    const Tensor grad_points = torch::stable::empty_like(grad);
    const Tensor grad_weights = zeros_like(weights), grad_values = zeros_like(values);
    processor.template backward<T>(a, read<T>(states), write<T>(grad_points),
                                   write_if<T>(weight_gradients, grad_weights),
                                   write_if<T>(value_gradients, grad_values));
    return std::make_tuple(grad_points, grad_weights, grad_values);
  });
}

template <class Processor, class Library>
void implement_grid_flow(Library& m) {
  m.impl("grid_flow", TORCH_BOX(&grid_flow_op<Processor>));
  m.impl("grid_flow_backward", TORCH_BOX(&grid_flow_backward_op<Processor>));
}

}  // namespace symflow
