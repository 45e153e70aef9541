// What the glue of flow and of jet_flow share: the network's arguments checked, and tensors for their gradients.
#pragma once

#include <array>
#include <tuple>
#include <vector>

#include "../core/flow.h"
#include "glue.h"

namespace symflow {

constexpr std::array<const char*, 8> parameter_names = {"trunk0_weight", "trunk0_bias", "trunk1_weight", "trunk1_bias",
                                                        "head_weight",   "head_bias",   "out_weight",    "out_bias"};

// Checks the sizes of N points or jets of d coordinates per row, named `name`, and everything else against them, and
// gathers the pointers but for theirs. All must be on `device`.
template <class T>
FlowArguments<T> network_arguments(const char* op, const char* name, std::int64_t points, std::int64_t dimension,
                                   std::int64_t rows, ScalarType dtype, const Tensor& weights,
                                   const std::array<Tensor, 8>& parameters, const std::vector<double>& periods,
                                   std::int64_t steps, const torch::stable::Device& device) {
  STD_TORCH_CHECK(weights.dim() == 2, op, ": `weights` must have shape [B, K]");
  STD_TORCH_CHECK(parameters[0].dim() == 2 && parameters[4].dim() == 3, op,
                  ": `trunk0_weight` must have shape [W, e] and `head_weight` [K, H, W]");
  STD_TORCH_CHECK(steps >= 1, op, ": `steps` must be at least 1, got ", steps);
  FlowArguments<T> a{};
  a.rows = rows;
  a.points = points;
  a.dimension = dimension;
  a.heads = weights.size(1);
  a.width = parameters[0].size(0);
  a.head_width = parameters[4].size(1);
  a.steps = steps;
  STD_TORCH_CHECK(a.dimension >= 1 && a.dimension <= 4, op, ": `", name, "` must have 1 to 4 coordinates, got ",
                  a.dimension);
  STD_TORCH_CHECK(std::int64_t(periods.size()) == a.dimension, op, ": `periods` must have one entry per coordinate");
  for (const double period : periods) a.embedding += period > 0 ? 2 : 1;
  const std::int64_t d = a.dimension, e = a.embedding, W = a.width, K = a.heads, H = a.head_width;
  check_tensor(op, "weights", weights, dtype, {rows, K}, device);
  const std::array<std::vector<std::int64_t>, 8> shapes = {
      {{W, e}, {W}, {W, W}, {W}, {K, H, W}, {K, H}, {K, d, H}, {K, d}}};
  for (std::size_t i = 0; i < 8; ++i) {
    check_tensor(op, parameter_names[i], parameters[i], dtype, shapes[i], device);
    a.parameters[i] = read<T>(parameters[i]);
  }
  a.periods = periods.data();
  a.weights = read<T>(weights);
  return a;
}

// The gradients of points, jets or images, of weights and of the eight parameters.
using NetworkGradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

// Tensors for them. Those of the last two are zeros where not written.
template <class T>
struct FlowGradients {
  Tensor points, weights;
  std::array<Tensor, 8> parameters;
  T* pointers[8];

  FlowGradients(const Tensor& like_points, const Tensor& like_weights, const std::array<Tensor, 8>& like)
      : points(torch::stable::empty_like(like_points)), weights(zeros_like(like_weights)) {
    for (std::size_t i = 0; i < 8; ++i) {
      parameters[i] = zeros_like(like[i]);
      pointers[i] = write<T>(parameters[i]);
    }
  }

  NetworkGradients tuple() const {
    const auto& p = parameters;
    return {points, weights, p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
  }
};

}  // namespace symflow
