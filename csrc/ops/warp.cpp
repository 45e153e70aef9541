// symflow::warp and its derivatives on the CPU.
#include "warp.h"

#include "../cpu/warp_cpu.h"

namespace symflow {
namespace {

struct OnCpu {
  OnCpu(const char*, const Tensor&) {}

  template <class T>
  void sample(const WarpArguments<T>& a, const T* p, const T* q, T* out) {
    warp_sample<T>(a, host_threads(), p, q, out);
  }
  template <class T>
  void grid_gradient(const WarpArguments<T>& a, const T* grad, const T* p, const T* q, T* grad_grid) {
    warp_grid_gradient<T>(a, host_threads(), grad, p, q, grad_grid);
  }
  template <class T>
  void image_gradient(const WarpArguments<T>& a, const T* grad, T* grad_images) {
    warp_image_gradient<T>(a, host_threads(), grad, grad_images);
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) { symflow::implement_warp<symflow::OnCpu>(m); }
