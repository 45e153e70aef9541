#include "jet_flow_kernels.h"

namespace symflow {

template std::int64_t jet_flow_workspace(const JetFlowArguments<float>&, bool, bool);
template cudaError_t jet_flow_forward_cuda(const JetFlowArguments<float>&, const JetFlowTransposes<float>&, float*,
                                           float*, cudaStream_t);
template cudaError_t jet_flow_backward_cuda(const JetFlowArguments<float>&, const JetFlowTransposes<float>&,
                                            const float*, const float*, float*, float*, float* const*, float*,
                                            cudaStream_t);

}  // namespace symflow
