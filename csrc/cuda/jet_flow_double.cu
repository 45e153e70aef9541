#include "jet_flow_kernels.h"

namespace symflow {

SYMFLOW_INSTANTIATE_JET_FLOW(double)

}  // namespace symflow
