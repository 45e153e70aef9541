#include "../core/elementary.h"
#include "device.h"
#include "elementary_cuda.h"

namespace symflow {
namespace {

constexpr int block_threads = 256;

template <class T>
__global__ void elementary_kernel(const T* x, std::int64_t count, T* silu, T* derivative, T* cos, T* sin) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= count) return;
  const auto both = silu_with_derivative<Thread<T>>(x[i]);
  const auto angle = turn<Thread<T>>(x[i], T(1));
  silu[i] = both.value;
  derivative[i] = both.derivative;
  cos[i] = angle.cos;
  sin[i] = angle.sin;
}

}  // namespace

template <class T>
cudaError_t elementary_cuda(const T* x, std::int64_t count, T* silu, T* derivative, T* cos, T* sin,
                            cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>((count + block_threads - 1) / block_threads);
  return launch(elementary_kernel<T>, blocks, block_threads, 0, stream, x, count, silu, derivative, cos, sin);
}
template cudaError_t elementary_cuda(const float*, std::int64_t, float*, float*, float*, float*, cudaStream_t);
template cudaError_t elementary_cuda(const double*, std::int64_t, double*, double*, double*, double*, cudaStream_t);

}  // namespace symflow
