// The kernels of jet_flow for any machine.
#include "begin_baseline.h"
// The kernels come after what they are compiled for.
#include "jet_flow_tile.h"
