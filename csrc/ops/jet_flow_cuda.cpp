// symflow::jet_flow and symflow::jet_flow_backward on the GPU.
#include "../cuda/jet_flow_cuda.h"

#include "cuda.h"
#include "jet_flow.h"

namespace symflow {
namespace {

struct OnGpu : Gpu {
  Tensor trunk1, head;  // the transposes that the kernels read beside the parameters

  OnGpu(const char* name, const Tensor& tensor, const Tensor& w1, const Tensor& wh)
      : Gpu(name, tensor),
        trunk1(torch::stable::contiguous(torch::stable::transpose(w1, 0, 1))),
        head(torch::stable::contiguous(torch::stable::transpose(wh, 1, 2))) {}

  template <class T>
  JetFlowTransposes<T> transposes() const {
    return {read<T>(trunk1), read<T>(head)};
  }

  template <class T>
  void forward(const JetFlowArguments<T>& a, T* end, T* states) {
    check(jet_flow_forward_cuda<T>(a, transposes<T>(), end, states, on.stream));
  }
  template <class T>
  void backward(const JetFlowArguments<T>& a, const T* states, T* grad_surface, T* grad_weights,
                T* const* grad_parameters) {
    const Tensor room = memory(jet_flow_workspace<T>(a, grad_weights != nullptr, grad_parameters != nullptr));
    check(jet_flow_backward_cuda<T>(a, transposes<T>(), a.start, states, grad_surface, grad_weights, grad_parameters,
                                    write<T>(room), on.stream));
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) { symflow::implement_jet_flow<symflow::OnGpu>(m); }
