#include "cuda/jet_flow_double.cu"
#include "cuda/jet_flow_float.cu"

namespace {

// The problem of total degree `order`; the parameters one after the other.
template <class T>
struct Problem {
  symflow::JetAlgebra algebra;
  symflow::JetFlowArguments<T> arguments{};
  symflow::JetFlowTransposes<T> transposes{};
  std::int64_t sizes[8];

  Problem(const T* surface, const T* weights, const T* parameters, const T* trunk1, const T* head,
          const double* periods, std::int64_t order, std::int64_t B, std::int64_t N, std::int64_t d, std::int64_t e,
          std::int64_t W, std::int64_t K, std::int64_t H, std::int64_t steps)
      : algebra(symflow::total_degree(int(order))), sizes{W * e, W, W * W, W, K * H * W, K * H, K * d * H, K * d} {
    static_cast<symflow::FlowArguments<T>&>(arguments) = {B, N, d, e, W, K, H, steps, periods, surface, weights, {}};
    arguments.algebra = &algebra;
    transposes = {trunk1, head};
    for (int i = 0; i < 8; ++i) {
      arguments.parameters[i] = parameters;
      parameters += sizes[i];
    }
  }
};

}  // namespace

#define SYMFLOW_PROBLEM(T)                                                                                        \
  const T *surface, const T *weights, const T *parameters, const T *trunk1, const T *head, const double *periods, \
      std::int64_t order, std::int64_t B, std::int64_t N, std::int64_t d, std::int64_t e, std::int64_t W,         \
      std::int64_t K, std::int64_t H, std::int64_t steps
#define SYMFLOW_GIVEN surface, weights, parameters, trunk1, head, periods, order, B, N, d, e, W, K, H, steps

#define SYMFLOW_EMULATED(T)                                                                                          \
  EMULATION_EXPORT int forward_##T(SYMFLOW_PROBLEM(T), T* end, T* states) {                                          \
    const Problem<T> p(SYMFLOW_GIVEN);                                                                               \
    return symflow::jet_flow_forward_cuda<T>(p.arguments, p.transposes, end, states, nullptr);                       \
  }                                                                                                                  \
  EMULATION_EXPORT int workspace_##T(SYMFLOW_PROBLEM(T), std::int64_t weight_gradients,                              \
                                     std::int64_t parameter_gradients, std::int64_t* size) {                         \
    const Problem<T> p(SYMFLOW_GIVEN);                                                                               \
    *size = symflow::jet_flow_workspace<T>(p.arguments, weight_gradients != 0, parameter_gradients != 0);            \
    return 0;                                                                                                        \
  }                                                                                                                  \
  EMULATION_EXPORT int backward_##T(SYMFLOW_PROBLEM(T), const T* grad_end, const T* states, T* grad_start,           \
                                    T* grad_weights, T* grad_parameters, T* workspace) {                             \
    const Problem<T> p(SYMFLOW_GIVEN);                                                                               \
    T* grads[8];                                                                                                     \
    T* place = grad_parameters;                                                                                      \
    for (int i = 0; i < 8; ++i) {                                                                                    \
      grads[i] = place;                                                                                              \
      if (place != nullptr) place += p.sizes[i];                                                                     \
    }                                                                                                                \
    return symflow::jet_flow_backward_cuda<T>(p.arguments, p.transposes, grad_end, states, grad_start, grad_weights, \
                                              grad_parameters == nullptr ? nullptr : grads, workspace, nullptr);     \
  }

SYMFLOW_EMULATED(float)
SYMFLOW_EMULATED(double)
