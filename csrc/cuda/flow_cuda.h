// The seam of the flow on the GPU: device pointers and sizes, no torch.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "../core/flow.h"

namespace symflow {

constexpr std::int64_t flow_cuda_width = 256;  // hidden units at most

// The memory that a call needs besides its arguments, in bytes; contents do not matter, before or after.
template <class T>
std::size_t flow_forward_workspace(const FlowArguments<T>&);
template <class T>
std::size_t flow_backward_workspace(const FlowArguments<T>&, bool tf32, bool weight_gradients,
                                    bool parameter_gradients);

// Whether the shared memory of the current device is large enough for the kernel of this width and type.
template <class T>
bool flow_fits(const FlowArguments<T>&, bool tf32, bool backward);

// As flow_forward and flow_backward of cpu/flow_cpu.h, with pointers to the memory of the current device, except for
// the periods. float32 products run on tensor cores: in TF32 if `tf32`, else split so that they keep float32's
// accuracy. Returns cudaErrorInvalidValue where a block needs more shared memory than the device has.
template <class T>
cudaError_t flow_forward_cuda(const FlowArguments<T>&, bool tf32, T* end, T* states, void* workspace,
                              cudaStream_t stream);
template <class T>
cudaError_t flow_backward_cuda(const FlowArguments<T>&, bool tf32, const T* grad_end, const T* states, T* grad_start,
                               T* grad_weights, T* const* grad_parameters, void* workspace, cudaStream_t stream);

}  // namespace symflow
