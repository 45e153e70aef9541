// The kernels of the flow in float64, by fused multiply-adds.
#include "flow_kernels.h"

namespace symflow {
namespace gpu {

template struct FlowLaunches<Fma<double>>;

}  // namespace gpu
}  // namespace symflow
