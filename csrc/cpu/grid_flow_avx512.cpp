// The kernels of the flow on a grid for AVX-512.
#include "grid_flow_cpu.h"
// The switch comes after all headers that define code for any machine.
#include "begin_avx512.h"
#if defined(SYMFLOW_ISA)
#include "grid_flow_tile.h"
#endif
#include "end_isa.h"
