#include "cuda/warp_cuda.cu"

namespace {

template <class T>
symflow::WarpArguments<T> arguments(const std::int64_t* sizes, const T* grid, const T* velocity) {
  return {sizes[0],
          sizes[1],
          sizes[2],
          sizes[3],
          sizes[4],
          static_cast<std::int32_t>(sizes[5]),
          static_cast<std::int32_t>(sizes[6]),
          static_cast<symflow::Padding>(sizes[7]),
          grid,
          velocity};
}

}  // namespace

// sizes: B C G P S H W padding
#define EXPORT_WARP(T)                                                                                             \
  EMULATION_EXPORT int warp_sample_##T(const std::int64_t* sizes, const T* grid, const T* velocity, const T* p,    \
                                       const T* q, T* out) {                                                       \
    return symflow::warp_sample_cuda<T>(arguments(sizes, grid, velocity), p, q, out, nullptr);                     \
  }                                                                                                                \
  EMULATION_EXPORT int warp_grid_gradient_##T(const std::int64_t* sizes, const T* grid, const T* velocity,         \
                                              const T* grad, const T* p, const T* q, T* workspace, T* grad_grid) { \
    return symflow::warp_grid_gradient_cuda<T>(arguments(sizes, grid, velocity), grad, p, q, workspace, grad_grid, \
                                               nullptr);                                                           \
  }                                                                                                                \
  EMULATION_EXPORT int warp_image_gradient_##T(const std::int64_t* sizes, const T* grid, const T* velocity,        \
                                               const T* grad, std::uint64_t* workspace, T* grad_images) {          \
    return symflow::warp_image_gradient_cuda<T>(arguments(sizes, grid, velocity), grad, workspace, grad_images,    \
                                                nullptr);                                                          \
  }                                                                                                                \
  EMULATION_EXPORT int warp_workspaces_##T(const std::int64_t* sizes, std::int64_t* grid_gradient,                 \
                                           std::int64_t* image_gradient) {                                         \
    *grid_gradient = symflow::warp_grid_gradient_workspace(arguments<T>(sizes, nullptr, nullptr));                 \
    *image_gradient = symflow::warp_image_gradient_workspace(arguments<T>(sizes, nullptr, nullptr));               \
    return 0;                                                                                                      \
  }
EXPORT_WARP(float)
EXPORT_WARP(double)
