// symflow::grid_flow and symflow::grid_flow_backward on the GPU.
#include "../cuda/grid_flow_cuda.h"

#include "cuda.h"
#include "grid_flow.h"

namespace symflow {
namespace {

struct OnGpu : Gpu {
  using Gpu::Gpu;
  static constexpr std::int64_t most_coordinates = grid_flow_cuda_dimensions;

  template <class T>
  void forward(const GridFlowArguments<T>& a, T* end, T* states) {
    const Tensor room = memory(grid_flow_forward_workspace(a));
    check(grid_flow_forward_cuda<T>(a, end, states, write<T>(room), on.stream));
  }
  template <class T>
  void backward(const GridFlowArguments<T>& a, const T* states, T* grad_points, T* grad_weights, T* grad_values) {
    const bool table_gradients = grad_weights != nullptr || grad_values != nullptr;
    const Tensor room = memory(grid_flow_backward_workspace(a, table_gradients));
    check(grid_flow_backward_cuda<T>(a, a.start, states, grad_points, grad_weights, grad_values, write<T>(room),
                                     on.stream));
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) { symflow::implement_grid_flow<symflow::OnGpu>(m); }
