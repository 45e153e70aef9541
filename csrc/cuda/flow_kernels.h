// The launches of the flow of points. Included by one .cu per way to multiply.
#pragma once

#include "flow_adjoint.h"

namespace symflow {
namespace gpu {

// use(shape), for the width of the kernels' hidden layers. A multiprocessor that holds one block of 64 points and 256
// units has memory to spare for longer chunks, and with them fewer barriers.
template <class Products, int points, int longest_chunk, class Use>
auto with_shape(int width, const Use& use) {
  if (width == 64) return use(Shape<Products, points, 64, 8>{});
  if (width == 128) return use(Shape<Products, points, 128, 8>{});
  return use(Shape<Products, points, 256, longest_chunk>{});
}

template <class Products, class Use>
auto with_forward_shape(int width, const Use& use) {
  return with_shape<Products, FlowLaunches<Products>::most_points, 8>(width, use);
}

template <class Products, class Use>
auto with_backward_shape(int width, int points, const Use& use) {
  if constexpr (FlowLaunches<Products>::most_points == 64) {
    if (points == 64) return with_shape<Products, 64, 16>(width, use);
  }
  return with_shape<Products, 32, 8>(width, use);
}

template <class Products>
std::size_t FlowLaunches<Products>::forward_bytes(int width) {
  return with_forward_shape<Products>(width, [](auto shape) { return decltype(shape)::forward_bytes; });
}

template <class Products>
std::size_t FlowLaunches<Products>::backward_bytes(int width, int heads, int points) {
  return with_backward_shape<Products>(width, points, [&](auto shape) {
    return decltype(shape)::backward_bytes + std::size_t(heads) * max_dimension * sizeof(T);
  });
}

template <class Products>
cudaError_t FlowLaunches<Products>::forward(const FlowTask<T>& task, int width, cudaStream_t stream) {
  return with_forward_shape<Products>(width, [&](auto shape) {
    using S = decltype(shape);
    const std::int64_t tiles = task.rows * ((task.points + S::points - 1) / S::points);
    return launch(flow_forward_kernel<S>, unsigned(tiles), block_threads, S::forward_bytes, stream, task);
  });
}

template <class Products>
cudaError_t FlowLaunches<Products>::backward(const FlowTask<T>& task, int width, int points, int blocks,
                                             cudaStream_t stream) {
  return with_backward_shape<Products>(width, points, [&](auto shape) {
    using S = decltype(shape);
    return launch(flow_backward_kernel<S>, unsigned(blocks), block_threads, backward_bytes(width, task.heads, points),
                  stream, task);
  });
}

}  // namespace gpu
}  // namespace symflow
