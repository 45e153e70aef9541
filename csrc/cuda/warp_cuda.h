// The seam of warp on the GPU; the sums are those of core/warp_arguments.h. Nothing is allocated and nothing waits.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../core/warp_arguments.h"

namespace symflow {

// p or q may be null.
template <class T>
cudaError_t warp_sample_cuda(const WarpArguments<T>&, const T* p, const T* q, T* out, cudaStream_t stream);

// p or q may be null; grad_grid [S, G, P, 2]. Units of planes have sums of their own, which are added in their order:
// the workspace holds them, warp_grid_gradient_workspace numbers.
template <class T>
std::int64_t warp_grid_gradient_workspace(const WarpArguments<T>&);
template <class T>
cudaError_t warp_grid_gradient_cuda(const WarpArguments<T>&, const T* grad, const T* p, const T* q, T* workspace,
                                    T* grad_grid, cudaStream_t stream);

// A'^T g where there is a velocity, else A^T g. The points are sorted by the cell that they are in, then a pixel adds
// up the points of its four cells in their order; the workspace holds the sorted keys, warp_image_gradient_workspace
// numbers, which is 0 when keys for so many points do not exist (2^63 divided by the cells of all sets).
template <class T>
std::int64_t warp_image_gradient_workspace(const WarpArguments<T>&);
template <class T>
cudaError_t warp_image_gradient_cuda(const WarpArguments<T>&, const T* grad, std::uint64_t* workspace, T* grad_images,
                                     cudaStream_t stream);

}  // namespace symflow
