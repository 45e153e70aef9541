// One SIMD register of T as the arithmetic `Ops` of core/elementary.h.
//
// Included by one translation unit per instruction set, after that unit has switched the compiler to it and defined
// SYMFLOW_ISA (the name of the enclosing namespace) and SYMFLOW_SIMD_BYTES. Everything here lives in that namespace, so
// that code for one instruction set can never be linked in place of another's.
#pragma once

#include <cstdint>
#include <utility>

#include "../core/elementary.h"
#include "../core/hd.h"

namespace symflow {
namespace SYMFLOW_ISA {

template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  using Integer = std::int32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr Integer one = 0x3F800000;
};
template <>
struct Lanes<double> {
  using Integer = std::int64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr Integer one = 0x3FF0000000000000;
};

// A register of T and what the machine's own instructions do with it.
#define SYMFLOW_REGISTER(T, V, machine, suffix)                                        \
  template <>                                                                          \
  struct Register<T> {                                                                 \
    using Value = V;                                                                   \
  };                                                                                   \
  SYMFLOW_HD V vector_set(T c) { return machine##_set1_##suffix(c); }                  \
  SYMFLOW_HD V vector_fma(V a, V b, V c) { return machine##_fmadd_##suffix(a, b, c); } \
  SYMFLOW_HD V vector_min(V a, V b) { return machine##_min_##suffix(a, b); }           \
  SYMFLOW_HD V vector_max(V a, V b) { return machine##_max_##suffix(a, b); }

template <class T>
struct Register;

#if SYMFLOW_SIMD_BYTES == 64

SYMFLOW_REGISTER(float, __m512, _mm512, ps)
SYMFLOW_REGISTER(double, __m512d, _mm512, pd)
// The machine's estimate is good to 14 bits and each step of Newton's method doubles them, in a third of a division.
SYMFLOW_HD __m512 vector_reciprocal(__m512 a) {
  const __m512 y = _mm512_rcp14_ps(a);
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(a, y, _mm512_set1_ps(1)), y, y);
}
SYMFLOW_HD __m512d vector_reciprocal(__m512d a) {
  const __m512d one = _mm512_set1_pd(1), y = _mm512_rcp14_pd(a);
  const __m512d z = _mm512_fmadd_pd(_mm512_fnmadd_pd(a, y, one), y, y);
  return _mm512_fmadd_pd(_mm512_fnmadd_pd(a, z, one), z, z);
}
// The machine rounds the exponent down itself: the low bits of t, which other machines read, are not needed here.
SYMFLOW_HD __m512 vector_scale(__m512 a, __m512 t) {
  return _mm512_scalef_ps(a, t - _mm512_set1_ps(ElementaryConstants<float>::round_shift / 16));
}
SYMFLOW_HD __m512d vector_scale(__m512d a, __m512d t) {
  return _mm512_scalef_pd(a, t - _mm512_set1_pd(ElementaryConstants<double>::round_shift));
}
SYMFLOW_HD __m512 vector_root_of_two(__m512 t) {
  return _mm512_permutexvar_ps(_mm512_castps_si512(t),
                               _mm512_setr_ps(1.0f, 1.04427378f, 1.09050773f, 1.13878863f, 1.18920712f, 1.24185781f,
                                              1.29683955f, 1.35425555f, 1.41421356f, 1.47682615f, 1.54221083f,
                                              1.61049033f, 1.68179283f, 1.75625216f, 1.83400809f, 1.91520656f));
}
SYMFLOW_HD float vector_sum(__m512 a) { return _mm512_reduce_add_ps(a); }
SYMFLOW_HD double vector_sum(__m512d a) { return _mm512_reduce_add_pd(a); }

#elif SYMFLOW_SIMD_BYTES == 32

SYMFLOW_REGISTER(float, __m256, _mm256, ps)
SYMFLOW_REGISTER(double, __m256d, _mm256, pd)
SYMFLOW_HD __m256 vector_reciprocal(__m256 a) { return _mm256_set1_ps(1) / a; }
SYMFLOW_HD __m256d vector_reciprocal(__m256d a) { return _mm256_set1_pd(1) / a; }
SYMFLOW_HD float vector_sum(__m256 a) {
  const __m128 quad = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 pair = _mm_add_ps(quad, _mm_movehl_ps(quad, quad));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
SYMFLOW_HD double vector_sum(__m256d a) {
  const __m128d pair = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
  return _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)));
}

#else  // any machine: the compiler's own vectors, no fused multiply-add

template <class T>
struct Register {
  typedef T Value __attribute__((vector_size(SYMFLOW_SIMD_BYTES)));
};
using Floats = Register<float>::Value;
using Doubles = Register<double>::Value;
SYMFLOW_HD Floats vector_set(float c) { return Floats{c, c, c, c}; }
SYMFLOW_HD Doubles vector_set(double c) { return Doubles{c, c}; }
SYMFLOW_HD Floats vector_fma(Floats a, Floats b, Floats c) { return a * b + c; }
SYMFLOW_HD Doubles vector_fma(Doubles a, Doubles b, Doubles c) { return a * b + c; }
SYMFLOW_HD Floats vector_min(Floats a, Floats b) { return a < b ? a : b; }
SYMFLOW_HD Doubles vector_min(Doubles a, Doubles b) { return a < b ? a : b; }
SYMFLOW_HD Floats vector_max(Floats a, Floats b) { return a > b ? a : b; }
SYMFLOW_HD Doubles vector_max(Doubles a, Doubles b) { return a > b ? a : b; }
SYMFLOW_HD Floats vector_reciprocal(Floats a) { return vector_set(1.0f) / a; }
SYMFLOW_HD Doubles vector_reciprocal(Doubles a) { return vector_set(1.0) / a; }
SYMFLOW_HD float vector_sum(Floats a) { return (a[0] + a[2]) + (a[1] + a[3]); }
SYMFLOW_HD double vector_sum(Doubles a) { return a[0] + a[1]; }

#endif

#undef SYMFLOW_REGISTER

template <class T>
struct Simd {
  using Scalar = T;
  using Value = typename Register<T>::Value;
  using Integer = typename Lanes<T>::Integer;
  typedef Integer Integers __attribute__((vector_size(SYMFLOW_SIMD_BYTES)));
  static constexpr int lanes = SYMFLOW_SIMD_BYTES / int(sizeof(T));

  SYMFLOW_HD static Value load(const T* p) {
    Value v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  SYMFLOW_HD static void store(T* p, Value v) { __builtin_memcpy(p, &v, sizeof v); }
  SYMFLOW_HD static Value set(T c) { return vector_set(c); }
  SYMFLOW_HD static Value fma(Value a, Value b, Value c) { return vector_fma(a, b, c); }
  SYMFLOW_HD static Value min(Value a, Value b) { return vector_min(a, b); }
  SYMFLOW_HD static Value max(Value a, Value b) { return vector_max(a, b); }
  SYMFLOW_HD static T sum(Value a) { return vector_sum(a); }
  SYMFLOW_HD static Integers truncate(Value a) { return __builtin_convertvector(a, Integers); }
  SYMFLOW_HD static Value whole(Integers a) { return __builtin_convertvector(a, Value); }
  // Both registers hold sums, each spread over `width` lanes; gives a's sums and then b's, each over half as many.
  template <int width>
  SYMFLOW_HD static Value fold(Value a, Value b) {
    return fold_halves<width>(a, b, std::make_integer_sequence<Integer, lanes>());
  }
  SYMFLOW_HD static Value reciprocal(Value a) { return vector_reciprocal(a); }
#if SYMFLOW_SIMD_BYTES == 64
  static constexpr int exp_parts = sizeof(T) == 4 ? 16 : 1;
  SYMFLOW_HD static Value root_of_two(Value t) { return vector_root_of_two(t); }
  SYMFLOW_HD static Value scale(Value a, Value shifted) { return vector_scale(a, shifted); }
#else
  static constexpr int exp_parts = 1;
  SYMFLOW_HD static Value scale(Value a, Value shifted) {
    return a * (Value)(((Integers)shifted << Lanes<T>::mantissa_bits) + Lanes<T>::one);
  }
#endif

 private:
  template <int width, Integer... i>
  SYMFLOW_HD static Value fold_halves(Value a, Value b, std::integer_sequence<Integer, i...>) {
    constexpr Integer half = width / 2;
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (i / half * width + i % half)...) +
           __builtin_shufflevector(a, b, (i / half * width + i % half + half)...);
#else
    return __builtin_shuffle(a, b, Integers{(i / half * width + i % half)...}) +
           __builtin_shuffle(a, b, Integers{(i / half * width + i % half + half)...});
#endif
  }
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
