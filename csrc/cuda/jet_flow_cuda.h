// The seam of the flow of jets on the GPU: device pointers and sizes, no torch.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../core/jet_flow.h"

namespace symflow {

// The first and the second layer of heads transposed, [W, W] and [K, W, H], beside the arguments.
template <class T>
struct JetFlowTransposes {
  const T* trunk1;
  const T* head;
};

// The numbers of memory that a backward pass needs; contents do not matter, before or after.
template <class T>
std::int64_t jet_flow_workspace(const JetFlowArguments<T>&, bool weight_gradients, bool parameter_gradients);

// As jet_flow_forward and jet_flow_backward of cpu/jet_flow_cpu.h, with pointers to the memory of the current device,
// except for the periods and the algebra, which must be that of `total_degree`. Returns cudaErrorInvalidValue where it
// is not, or where a block needs more shared memory than the device has.
template <class T>
cudaError_t jet_flow_forward_cuda(const JetFlowArguments<T>&, const JetFlowTransposes<T>&, T* end, T* states,
                                  cudaStream_t stream);
template <class T>
cudaError_t jet_flow_backward_cuda(const JetFlowArguments<T>&, const JetFlowTransposes<T>&, const T* grad_end,
                                   const T* states, T* grad_start, T* grad_weights, T* const* grad_parameters,
                                   T* workspace, cudaStream_t stream);

}  // namespace symflow
