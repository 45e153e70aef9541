// Any machine: 16-byte vectors of the compiler, no fused multiply-add. See begin_avx2.h.
#define SYMFLOW_ISA baseline
#define SYMFLOW_SIMD_BYTES 16
