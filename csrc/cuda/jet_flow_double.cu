#include "jet_flow_kernels.h"

namespace symflow {

template std::int64_t jet_flow_workspace(const JetFlowArguments<double>&, bool, bool);
template cudaError_t jet_flow_forward_cuda(const JetFlowArguments<double>&, const JetFlowTransposes<double>&, double*,
                                           double*, cudaStream_t);
template cudaError_t jet_flow_backward_cuda(const JetFlowArguments<double>&, const JetFlowTransposes<double>&,
                                            const double*, const double*, double*, double*, double* const*, double*,
                                            cudaStream_t);

}  // namespace symflow
