// symflow::flow and symflow::flow_backward, from tensors to pointers, for both processors.
//
// A `Processor` offers forward<T>(a, tf32, end, states) and backward<T>(a, tf32, wanted...) of core/flow.h, and is made
// from the operator's name and a tensor.
#pragma once

#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "flow_arguments.h"

namespace symflow {

// Checks the arguments against each other, all on the device of `points`, and gathers their pointers. `points` may be
// the gradient of the end points: only its shape and type count here.
template <class T>
FlowArguments<T> flow_arguments(const char* op, const Tensor& points, const Tensor& weights,
                                const std::array<Tensor, 8>& parameters, const std::vector<double>& periods,
                                std::int64_t steps) {
  STD_TORCH_CHECK(points.dim() == 3, op, ": `points` must have shape [B, N, d]");
  const std::int64_t B = points.size(0), N = points.size(1), d = points.size(2);
  const ScalarType dtype = points.scalar_type();
  auto a = network_arguments<T>(op, "points", N, d, B, dtype, weights, parameters, periods, steps, points.device());
  check_tensor(op, "points", points, dtype, {B, N, d}, points.device());
  a.start = read<T>(points);
  return a;
}

template <class Processor>
std::tuple<Tensor, Tensor> flow_op(const Tensor& points, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                   const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                   const Tensor& wo, const Tensor& bo, std::vector<double> periods, std::int64_t steps,
                                   bool save_states, bool tf32) {
  const char* op = "symflow::flow";
  return for_type(op, "points", points, [&](auto zero) {
    using T = decltype(zero);
    const auto a = flow_arguments<T>(op, points, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, steps);
    Processor processor(op, points);
    const Tensor end = torch::stable::empty_like(points), states = new_states(points, steps, save_states);
    processor.template forward<T>(a, tf32, write<T>(end), write_if<T>(save_states, states));
    return std::make_tuple(end, states);
  });
}

template <class Processor>
NetworkGradients flow_backward_op(const Tensor& grad, const Tensor& states, const Tensor& weights, const Tensor& w0,
                                  const Tensor& b0, const Tensor& w1, const Tensor& b1, const Tensor& wh,
                                  const Tensor& bh, const Tensor& wo, const Tensor& bo, std::vector<double> periods,
                                  bool weight_gradients, bool parameter_gradients, bool tf32) {
  const char* op = "symflow::flow_backward";
  return for_type(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    STD_TORCH_CHECK(states.dim() == 4, op, ": `states` must have shape [steps, B, N, d]");
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto a = flow_arguments<T>(op, grad, weights, parameters, periods, states.size(0));
    check_states(op, states, grad);
    Processor processor(op, grad);
    FlowGradients<T> gradients(grad, weights, parameters);
    processor.template backward<T>(a, tf32, read<T>(states), write<T>(gradients.points),
                                   write_if<T>(weight_gradients, gradients.weights),
                                   parameter_gradients ? gradients.pointers : nullptr);
    return gradients.tuple();
  });
}

template <class Processor, class Library>
void implement_flow(Library& m) {
  m.impl("flow", TORCH_BOX(&flow_op<Processor>));
  m.impl("flow_backward", TORCH_BOX(&flow_backward_op<Processor>));
}

}  // namespace symflow
