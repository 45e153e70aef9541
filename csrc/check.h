// Checks of the native side. Python validates first and says more; these guard direct calls of the registered ops.
#pragma once

#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace symflow {

inline std::string shape_text(const std::int64_t* sizes, std::size_t count) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + std::to_string(sizes[i]);
  return text + "]";
}

inline std::string device_text(const torch::stable::Device& device) {
  return device.is_cpu() ? "the CPU" : "GPU " + std::to_string(device.index());
}

// A contiguous tensor of the given type and shape on the given device.
inline void check_tensor(const char* op, const char* name, const torch::stable::Tensor& t,
                         torch::headeronly::ScalarType dtype, const std::vector<std::int64_t>& shape,
                         const torch::stable::Device& device = torch::headeronly::DeviceType::CPU) {
  STD_TORCH_CHECK(t.device() == device, op, ": `", name, "` must be on ", device_text(device));
  STD_TORCH_CHECK(t.scalar_type() == dtype, op, ": `", name, "` must have the dtype of the other arguments");
  const auto sizes = t.sizes();
  const std::vector<std::int64_t> got(sizes.begin(), sizes.end());
  STD_TORCH_CHECK(got == shape, op, ": `", name, "` must have shape ", shape_text(shape.data(), shape.size()), ", got ",
                  shape_text(got.data(), got.size()));
  STD_TORCH_CHECK(t.is_contiguous(), op, ": `", name, "` must be contiguous");
}

}  // namespace symflow
