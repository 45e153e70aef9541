// The exponential Runge-Kutta steps for any machine.
#include "begin_baseline.h"
// The kernels come after what they are compiled for.
#include "etdrk4_tile.h"
