// The seam of the flow on a grid on the GPU: device pointers and sizes, no torch. All arrays are in the memory of the
// current device.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../core/grid_fields.h"

namespace symflow {

constexpr std::int64_t grid_flow_cuda_dimensions = 3;  // at most

// Numbers of memory that a call needs besides its arguments; contents do not matter, before or after.
template <class T>
std::int64_t grid_flow_forward_workspace(const GridFlowArguments<T>&);
template <class T>
std::int64_t grid_flow_backward_workspace(const GridFlowArguments<T>&, bool table_gradients);

// end [B, N, d]; states [steps, B, N, d], the points before each step, or null.
template <class T>
cudaError_t grid_flow_forward_cuda(const GridFlowArguments<T>&, T* end, T* states, T* workspace, cudaStream_t stream);

// Exact gradients of the discrete flow. grad_start [B, N, d] is always written; grad_weights [B, K] and grad_values are
// written where not null. Every sum has its own order: two calls give the same bits.
template <class T>
cudaError_t grid_flow_backward_cuda(const GridFlowArguments<T>&, const T* grad_end, const T* states, T* grad_start,
                                    T* grad_weights, T* grad_values, T* workspace, cudaStream_t stream);

}  // namespace symflow
