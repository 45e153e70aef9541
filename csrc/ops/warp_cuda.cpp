// symflow::warp and its derivatives on the GPU.
#include "../cuda/warp_cuda.h"

#include "cuda.h"
#include "warp.h"

namespace symflow {
namespace {

struct OnGpu : Gpu {
  using Gpu::Gpu;

  template <class T>
  void sample(const WarpArguments<T>& a, const T* p, const T* q, T* out) {
    check(warp_sample_cuda<T>(a, p, q, out, on.stream));
  }
  template <class T>
  void grid_gradient(const WarpArguments<T>& a, const T* grad, const T* p, const T* q, T* grad_grid) {
    const Tensor sums = memory(warp_grid_gradient_workspace(a));
    check(warp_grid_gradient_cuda<T>(a, grad, p, q, write<T>(sums), grad_grid, on.stream));
  }
  template <class T>
  void image_gradient(const WarpArguments<T>& a, const T* grad, T* grad_images) {
    const std::int64_t count = warp_image_gradient_workspace(a);
    STD_TORCH_CHECK(count > 0, op, ": the gradient of images needs fewer grid points");
    const Tensor keys = memory(count, ScalarType::Long);
    check(warp_image_gradient_cuda<T>(a, grad, write<std::uint64_t>(keys), grad_images, on.stream));
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) { symflow::implement_warp<symflow::OnGpu>(m); }
