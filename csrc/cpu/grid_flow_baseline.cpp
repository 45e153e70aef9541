// The kernels of the flow on a grid for any machine.
#include "begin_baseline.h"
// The kernels come after what they are compiled for.
#include "grid_flow_tile.h"
