// symflow::flow and symflow::flow_backward on the GPU.
#include "../cuda/flow_cuda.h"

#include "cuda.h"
#include "flow.h"

namespace symflow {
namespace {

struct OnGpu : Gpu {
  using Gpu::Gpu;

  template <class T>
  void check_size(const FlowArguments<T>& a, bool tf32, bool backward) const {
    STD_TORCH_CHECK(a.width <= flow_cuda_width, op, ": the kernels for GPUs have at most ", flow_cuda_width,
                    " hidden units, got a width of ", a.width,
                    "; symflow.ops.flow_ref computes the same in plain torch");
    STD_TORCH_CHECK(
        flow_fits(a, tf32, backward), op, ": a width of ", a.width, " in float", 8 * sizeof(T),
        " needs more shared memory than a block of this GPU may have; symflow.ops.flow_ref computes the same "
        "in plain torch");
  }

  template <class T>
  void forward(const FlowArguments<T>& a, bool tf32, T* end, T* states) {
    check_size(a, tf32, false);
    if (states != nullptr) check_size(a, tf32, true);  // which would be refused later
    const Tensor room = memory(std::int64_t(flow_forward_workspace(a)), ScalarType::Byte);
    check(flow_forward_cuda(a, tf32, end, states, room.mutable_data_ptr(), on.stream));
  }
  template <class T>
  void backward(const FlowArguments<T>& a, bool tf32, const T* states, T* grad_points, T* grad_weights,
                T* const* grad_parameters) {
    check_size(a, tf32, true);
    const std::size_t bytes = flow_backward_workspace(a, tf32, grad_weights != nullptr, grad_parameters != nullptr);
    const Tensor room = memory(std::int64_t(bytes), ScalarType::Byte);
    check(flow_backward_cuda(a, tf32, a.start, states, grad_points, grad_weights, grad_parameters,
                             room.mutable_data_ptr(), on.stream));
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) { symflow::implement_flow<symflow::OnGpu>(m); }
