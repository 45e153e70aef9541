// Switches the compiler to AVX-512 for the kernels included next; end_isa.h switches back. Defines SYMFLOW_ISA
// where that instruction set exists at all.
//
// Headers of the standard library come before the switch: what they define inline must stay code that runs anywhere.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // raised by GCC 12's own _mm512_undefined_ps
#endif

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#endif

#define SYMFLOW_ISA avx512
#define SYMFLOW_SIMD_BYTES 64
#endif
