// The arguments of symflow::flow and symflow::flow_backward, for the glue of every device.
#pragma once

#include <array>
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

}  // namespace symflow
