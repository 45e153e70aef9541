// From tensors to the vector fields on a grid of core/grid_fields.h, on any device.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "../core/grid_fields.h"
#include "glue.h"

namespace symflow {

// Checks the arguments against each other. Node i of axis a of `values` stands at lower[a] + i h, the last one at
// upper[a] or, where periods[a] > 0, one h before it.
template <class T>
GridFields<T> grid_fields(const char* op, const Tensor& weights, const Tensor& values, const std::vector<double>& lower,
                          const std::vector<double>& upper, const std::vector<double>& periods,
                          const torch::stable::Device& device = torch::headeronly::DeviceType::CPU) {
  const std::int64_t d = values.dim() - 2;
  STD_TORCH_CHECK(d >= 1 && d <= max_grid_dimension && values.size(d + 1) == d, op,
                  ": `values` must have shape [K, n_1, ..., n_d, d] with d from 1 to 4");
  STD_TORCH_CHECK(weights.dim() == 2, op, ": `weights` must have shape [B, K]");
  for (const auto* ends : {&lower, &upper, &periods}) {
    STD_TORCH_CHECK(std::int64_t(ends->size()) == d, op,
                    ": `lower`, `upper` and `periods` must have one entry per coordinate");
  }
  GridFields<T> g{};
  g.dimension = d;
  g.generators = values.size(0);
  g.rows = weights.size(0);
  const ScalarType dtype = values.scalar_type();
  check_tensor(op, "weights", weights, dtype, {g.rows, g.generators}, device);
  std::vector<std::int64_t> shape = {g.generators};
  std::int64_t places = 8;  // of a vector in each of the tables that the kernels index by 32 bits
  for (std::int64_t a = 0; a < d; ++a) {
    GridAxis<T>& axis = g.axes[a];
    const std::size_t i = std::size_t(a);
    axis.nodes = values.size(a + 1);
    STD_TORCH_CHECK(axis.nodes >= 1, op, ": `values` must have at least one node on every axis");
    STD_TORCH_CHECK(upper[i] > lower[i], op, ": `upper` must be above `lower` on every axis");
    shape.push_back(axis.nodes);
    places *= axis.nodes + 2;
    STD_TORCH_CHECK(places < std::numeric_limits<std::int32_t>::max(), op, ": `values` has too many nodes");
    axis.periodic = periods[i] > 0;
    axis.origin = T(lower[i]);
    axis.rate = T(double(axis.periodic ? axis.nodes : axis.nodes - 1) / (upper[i] - lower[i]));
    axis.last = axis.periodic ? std::nextafter(T(axis.nodes + 1), T(0)) : T(axis.nodes);
  }
  shape.push_back(d);
  check_tensor(op, "values", values, dtype, shape, device);
  g.values = read<T>(values);
  g.weights = read<T>(weights);
  return g;
}

}  // namespace symflow
