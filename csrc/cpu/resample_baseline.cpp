// The resampling kernels for any machine.
#include "begin_baseline.h"
// The kernels come after what they are compiled for.
#include "resample_tile.h"
