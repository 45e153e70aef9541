// The warp kernels for any machine.
#include "begin_baseline.h"
// The kernels come after what they are compiled for.
#include "warp_tile.h"
