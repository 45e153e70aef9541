// The kernels of the flow in TF32, by tensor cores.
#include "flow_kernels.h"

namespace symflow {
namespace gpu {

template struct FlowLaunches<Tf32>;

}  // namespace gpu
}  // namespace symflow
