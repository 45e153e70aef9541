// What the glue of every CUDA kernel shares: the device, its stream, and errors as sentences. Only the runtime library
// of CUDA is linked, so that kernels can be built, loaded and checked with a torch that has no CUDA itself.
#pragma once

#include <cuda_runtime.h>
#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>

#include "glue.h"

namespace symflow {

// torch's current stream of a device. Since 2.13 torch's stable interface has Stream::nativeHandle(); 2.11 and 2.12
// offer the stream in a function of libtorch_cuda alone, which later versions kept. To link with that library would
// demand a torch with CUDA where this one is built, so the function is looked up in the running process.
inline cudaStream_t current_stream(std::int32_t device) {
  using Get = std::int32_t (*)(std::int32_t device, void** stream);
  static const Get get = []() -> Get {
    void* library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
    return library == nullptr ? nullptr : reinterpret_cast<Get>(dlsym(library, "aoti_torch_get_current_cuda_stream"));
  }();
  void* stream = nullptr;
  STD_TORCH_CHECK(get != nullptr && get(device, &stream) == 0, "torch does not tell the current CUDA stream of GPU ",
                  device);
  return static_cast<cudaStream_t>(stream);
}

// The device of a tensor is the current one as long as this lives; launches go to `stream`.
struct OnDevice {
  torch::stable::accelerator::DeviceGuard guard;
  cudaStream_t stream;

  explicit OnDevice(const Tensor& tensor)
      : guard(tensor.get_device_index()), stream(current_stream(tensor.get_device_index())) {}
};

inline void check_launch(const char* op, cudaError_t error) {
  STD_TORCH_CHECK(error == cudaSuccess, op, ": the GPU refused the kernel: ", cudaGetErrorString(error));
}

// What the processor of an operator is on a GPU: the operator's name, and a tensor whose device it works on.
struct Gpu {
  const char* op;
  const Tensor& like;
  OnDevice on;

  Gpu(const char* name, const Tensor& tensor) : op(name), like(tensor), on(tensor) {}

  void check(cudaError_t error) const { check_launch(op, error); }

  // So many numbers of memory, whose contents do not matter.
  Tensor memory(std::int64_t count) const { return torch::stable::new_empty(like, {count}); }
  Tensor memory(std::int64_t count, ScalarType type) const { return torch::stable::new_empty(like, {count}, type); }
};

}  // namespace symflow
