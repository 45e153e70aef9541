// The kernels of the flow in float32, by tensor cores with split factors.
#include "flow_kernels.h"

namespace symflow {
namespace gpu {

template struct FlowLaunches<SplitTf32>;

}  // namespace gpu
}  // namespace symflow
