// The elementary functions as a GPU thread computes them, for tests.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace symflow {

// silu, its derivative, cos 2 pi x and sin 2 pi x of x [count], each [count].
template <class T>
cudaError_t elementary_cuda(const T* x, std::int64_t count, T* silu, T* derivative, T* cos, T* sin,
                            cudaStream_t stream);

}  // namespace symflow
