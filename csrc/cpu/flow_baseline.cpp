// The flow kernels for any machine: 16-byte vectors of the compiler, no fused multiply-add.
#define SYMFLOW_ISA baseline
#define SYMFLOW_SIMD_BYTES 16
#include "flow_tile.h"
