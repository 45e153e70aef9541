// The kernels of the flow on a grid for AVX2 and FMA.
#include "grid_flow_cpu.h"
// The switch comes after all headers that define code for any machine.
#include "begin_avx2.h"
#if defined(SYMFLOW_ISA)
#include "grid_flow_tile.h"
#endif
#include "end_isa.h"
