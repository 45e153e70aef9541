// The product of tensor cores that the kernels use: 16 x 8 += 16 x 8 times 8 x 8 in TF32, one warp together.
//
// TF32 has the range of float32 and a mantissa of 10 bits. The machine cuts off the other 13 bits of its factors, forms
// the products exactly and adds them in float32, where it cuts off instead of rounding. Of group = lane / 4 and
// pair = lane % 4, a lane holds
//   a[0] (group, pair)  a[1] (group + 8, pair)  a[2] (group, pair + 4)  a[3] (group + 8, pair + 4)   of the first
//   factor, b[0] (pair, group)  b[1] (pair + 4, group)                                                       of the
//   second, c[0] (group, 2 pair)  c[1] (group, 2 pair + 1)  c[2] (group + 8, 2 pair)  c[3] (group + 8, 2 pair + 1)  of
//   the sum.
#pragma once

#include "device.h"

namespace symflow {

// The nearest TF32 number, ties away from zero; infinities and NaN stay.
SYMFLOW_DEVICE float nearest_tf32(float x) {
#if defined(__CUDACC__)
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
#else
  return cuda_emulation::nearest_tf32(x);
#endif
}

SYMFLOW_DEVICE void mma_tf32(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
        "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
  cuda_emulation::mma_tf32(c, a, b);
#endif
}

}  // namespace symflow
