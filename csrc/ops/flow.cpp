// symflow::flow and symflow::flow_backward on the CPU: from tensors to the pointers of cpu/flow_cpu.h.
#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "../cpu/flow_cpu.h"
#include "glue.h"

namespace symflow {
namespace {

const std::array<const char*, 8> parameter_names = {"trunk0_weight", "trunk0_bias", "trunk1_weight", "trunk1_bias",
                                                    "head_weight",   "head_bias",   "out_weight",    "out_bias"};

// Checks the arguments against each other and gathers their pointers. `points` may be the gradient of the end points:
// only its shape and type count here.
template <class T>
FlowArguments<T> arguments(const char* op, const Tensor& points, const Tensor& weights,
                           const std::array<Tensor, 8>& parameters, const std::vector<double>& periods,
                           std::int64_t steps) {
  STD_TORCH_CHECK(points.dim() == 3, op, ": `points` must have shape [B, N, d]");
  STD_TORCH_CHECK(weights.dim() == 2, op, ": `weights` must have shape [B, K]");
  STD_TORCH_CHECK(parameters[0].dim() == 2 && parameters[4].dim() == 3, op,
                  ": `trunk0_weight` must have shape [W, e] and `head_weight` [K, H, W]");
  STD_TORCH_CHECK(steps >= 1, op, ": `steps` must be at least 1, got ", steps);
  FlowArguments<T> a{};
  a.rows = points.size(0);
  a.points = points.size(1);
  a.dimension = points.size(2);
  a.heads = weights.size(1);
  a.width = parameters[0].size(0);
  a.head_width = parameters[4].size(1);
  a.steps = steps;
  STD_TORCH_CHECK(a.dimension >= 1 && a.dimension <= 4, op, ": `points` must have 1 to 4 coordinates, got ",
                  a.dimension);
  STD_TORCH_CHECK(std::int64_t(periods.size()) == a.dimension, op, ": `periods` must have one entry per coordinate");
  for (const double period : periods) a.embedding += period > 0 ? 2 : 1;
  const std::int64_t B = a.rows, N = a.points, d = a.dimension, e = a.embedding;
  const std::int64_t W = a.width, K = a.heads, H = a.head_width;
  const ScalarType dtype = points.scalar_type();
  check_tensor(op, "points", points, dtype, {B, N, d});
  check_tensor(op, "weights", weights, dtype, {B, K});
  const std::array<std::vector<std::int64_t>, 8> shapes = {
      {{W, e}, {W}, {W, W}, {W}, {K, H, W}, {K, H}, {K, d, H}, {K, d}}};
  for (std::size_t i = 0; i < 8; ++i) {
    check_tensor(op, parameter_names[i], parameters[i], dtype, shapes[i]);
    a.parameters[i] = read<T>(parameters[i]);
  }
  a.periods = periods.data();
  a.start = read<T>(points);
  a.weights = read<T>(weights);
  return a;
}

std::tuple<Tensor, Tensor> flow(const Tensor& points, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                const Tensor& wo, const Tensor& bo, std::vector<double> periods, std::int64_t steps,
                                bool save_states) {
  return for_type("symflow::flow", "points", points, [&](auto zero) {
    using T = decltype(zero);
    const auto a = arguments<T>("symflow::flow", points, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, steps);
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
    std::vector<double> periods, bool weight_gradients, bool parameter_gradients) {
  return for_type("symflow::flow_backward", "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::flow_backward";
    STD_TORCH_CHECK(states.dim() == 4, op, ": `states` must have shape [steps, B, N, d]");
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto a = arguments<T>(op, grad, weights, parameters, periods, states.size(0));
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, a.rows, a.points, a.dimension});
    const Tensor grad_points = torch::stable::empty_like(grad);
    const auto zeros_like = [](const Tensor& like) {
      Tensor t = torch::stable::empty_like(like);
      return torch::stable::zero_(t);
    };
    const Tensor grad_weights = zeros_like(weights);
    std::array<Tensor, 8> grads;
    T* pointers[8];
    for (std::size_t i = 0; i < 8; ++i) {
      grads[i] = zeros_like(parameters[i]);
      pointers[i] = write<T>(grads[i]);
    }
    flow_backward<T>(a, host_threads(), a.start, read<T>(states), write<T>(grad_points),
                     weight_gradients ? write<T>(grad_weights) : nullptr, parameter_gradients ? pointers : nullptr);
    return std::make_tuple(grad_points, grad_weights, grads[0], grads[1], grads[2], grads[3], grads[4], grads[5],
                           grads[6], grads[7]);
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
