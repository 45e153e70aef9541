// The arguments of symflow::flow and symflow::flow_backward, for the glue of every device.
#pragma once

#include <array>
#include <vector>

#include "../core/flow.h"
#include "glue.h"

namespace symflow {

inline const std::array<const char*, 8> flow_parameter_names = {"trunk0_weight", "trunk0_bias", "trunk1_weight",
                                                                "trunk1_bias",   "head_weight", "head_bias",
                                                                "out_weight",    "out_bias"};

// Checks the arguments against each other, all on the device of `points`, and gathers their pointers. `points` may be
// the gradient of the end points: only its shape and type count here.
template <class T>
FlowArguments<T> flow_arguments(const char* op, const Tensor& points, const Tensor& weights,
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
  check_tensor(op, "points", points, dtype, {B, N, d}, points.device());
  check_tensor(op, "weights", weights, dtype, {B, K}, points.device());
  const std::array<std::vector<std::int64_t>, 8> shapes = {
      {{W, e}, {W}, {W, W}, {W}, {K, H, W}, {K, H}, {K, d, H}, {K, d}}};
  for (std::size_t i = 0; i < 8; ++i) {
    check_tensor(op, flow_parameter_names[i], parameters[i], dtype, shapes[i], points.device());
    a.parameters[i] = read<T>(parameters[i]);
  }
  a.periods = periods.data();
  a.start = read<T>(points);
  a.weights = read<T>(weights);
  return a;
}

// Zeros like each of the parameters, and their pointers.
template <class T>
struct FlowParameterGradients {
  std::array<Tensor, 8> tensors;
  T* pointers[8];

  explicit FlowParameterGradients(const std::array<Tensor, 8>& parameters) {
    for (std::size_t i = 0; i < 8; ++i) {
      tensors[i] = torch::stable::empty_like(parameters[i]);
      torch::stable::zero_(tensors[i]);
      pointers[i] = write<T>(tensors[i]);
    }
  }
};

}  // namespace symflow
