// The kernels of jet_flow for AVX2 and FMA.
#include "jet_flow_cpu.h"
// The switch comes after all headers that define code for any machine.
#include "begin_avx2.h"
#if defined(SYMFLOW_ISA)
#include "jet_flow_tile.h"
#endif
#include "end_isa.h"
