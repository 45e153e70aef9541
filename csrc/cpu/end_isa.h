// The end of what begin_avx2.h or begin_avx512.h began.
#if defined(SYMFLOW_ISA) && SYMFLOW_SIMD_BYTES > 16 && defined(__clang__)
#pragma clang attribute pop
#endif
