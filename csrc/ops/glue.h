// From tensors to pointers: what the glue of every operator shares.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdint>

#include "../check.h"
#include "../cpu/parallel.h"

namespace symflow {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// torch's own pool of threads.
inline Parallel host_threads() {
  Parallel parallel;
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

// run(float()) or run(double()), by the type of a tensor.
template <class Run>
auto for_type(const char* op, const char* name, const Tensor& tensor, const Run& run) {
  if (tensor.scalar_type() == ScalarType::Double) return run(double());
  STD_TORCH_CHECK(tensor.scalar_type() == ScalarType::Float, op, ": `", name, "` must be float32 or float64");
  return run(float());
}

}  // namespace symflow
