// symflow::warp and its derivatives on the GPU.
#include "../cuda/warp_cuda.h"

#include "cuda.h"
#include "warp.h"

namespace symflow {
namespace {

struct OnGpu {
  const char* op;
  const Tensor& like;
  OnDevice on;

  OnGpu(const char* name, const Tensor& tensor) : op(name), like(tensor), on(tensor) {}

  template <class T>
  void sample(const WarpArguments<T>& a, const T* p, const T* q, T* out) {
    check_launch(op, warp_sample_cuda<T>(a, p, q, out, on.stream));
  }
  template <class T>
  void grid_gradient(const WarpArguments<T>& a, const T* grad, const T* p, const T* q, T* grad_grid) {
    const Tensor sums = torch::stable::new_empty(like, {warp_grid_gradient_workspace(a)});
    check_launch(op, warp_grid_gradient_cuda<T>(a, grad, p, q, write<T>(sums), grad_grid, on.stream));
  }
  template <class T>
  void image_gradient(const WarpArguments<T>& a, const T* grad, T* grad_images) {
    const std::int64_t count = warp_image_gradient_workspace(a);
    STD_TORCH_CHECK(count > 0, op, ": the gradient of images needs fewer grid points");
    const Tensor keys = torch::stable::new_empty(like, {count}, ScalarType::Long);
    check_launch(op, warp_image_gradient_cuda<T>(a, grad, write<std::uint64_t>(keys), grad_images, on.stream));
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) {
  m.impl("warp", TORCH_BOX(&symflow::warp<symflow::OnGpu>));
  m.impl("warp_backward", TORCH_BOX(&symflow::warp_backward<symflow::OnGpu>));
  m.impl("warp_jvp", TORCH_BOX(&symflow::warp_jvp<symflow::OnGpu>));
  m.impl("warp_jvp_backward", TORCH_BOX(&symflow::warp_jvp_backward<symflow::OnGpu>));
}
