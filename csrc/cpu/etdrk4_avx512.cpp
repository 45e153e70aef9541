// The exponential Runge-Kutta steps for AVX-512.
#include "etdrk4_cpu.h"
#include "parallel.h"
// The switch comes after all headers that define code for any machine.
#include "begin_avx512.h"
#if defined(SYMFLOW_ISA)
#include "etdrk4_tile.h"
#endif
#include "end_isa.h"
