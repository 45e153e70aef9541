// The warp kernels for AVX2 and FMA.
#include "warp_cpu.h"
// The switch comes after all headers that define code for any machine.
#include "begin_avx2.h"
#if defined(SYMFLOW_ISA)
#include "warp_tile.h"
#endif
#include "end_isa.h"
