// From tensors to pointers: what the glue of every operator shares.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <vector>

#include "../check.h"
#include "../cpu/parallel.h"

namespace symflow {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// torch's own pool of threads.
inline Parallel host_threads() {
  Parallel parallel;
#ifdef __SANITIZE_THREAD__  // does not see what OpenMP orders, and so would find races where there are none
  return threads_of_our_own(4);
#endif
  parallel.workers = int(torch::stable::get_num_threads());
  parallel.run = [](std::int64_t count, void (*body)(std::int64_t, std::int64_t, void*), void* context) {
    torch::stable::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) { body(begin, end, context); });
  };
  return parallel;
}

template <class T>
const T* read(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <class T>
T* write(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

inline Tensor zeros_like(const Tensor& like) {
  Tensor t = torch::stable::empty_like(like);
  return torch::stable::zero_(t);
}

// A pointer to write to, null where the tensor is not wanted.
template <class T>
T* write_if(bool wanted, const Tensor& tensor) {
  return wanted ? write<T>(tensor) : nullptr;
}

// What a flow of `points` passes through before each of its steps, none where that is not kept.
inline Tensor new_states(const Tensor& points, std::int64_t steps, bool keep) {
  std::vector<std::int64_t> shape = {keep ? steps : 0};
  const auto sizes = points.sizes();
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  return torch::stable::new_empty(points, shape);
}

// Checks the states that a flow has kept, for points or their gradient, on the same device.
inline void check_states(const char* op, const Tensor& states, const Tensor& points) {
  const auto sizes = points.sizes();
  std::vector<std::int64_t> shape = {states.dim() == 0 ? 0 : states.size(0)};
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  check_tensor(op, "states", states, points.scalar_type(), shape, points.device());
}

// run(float()) or run(double()), by the type of a tensor.
template <class Run>
auto for_type(const char* op, const char* name, const Tensor& tensor, const Run& run) {
  if (tensor.scalar_type() == ScalarType::Double) return run(double());
  STD_TORCH_CHECK(tensor.scalar_type() == ScalarType::Float, op, ": `", name, "` must be float32 or float64");
  return run(float());
}

}  // namespace symflow
