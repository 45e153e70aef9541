// Short runs of numbers at unrelated places, one place per lane of a register (see simd.h for how it is included).
//
// A piece is 16 bytes, four floats or two doubles: the unit that is loaded at once and transposed in registers, much
// faster than the gather instructions.
#pragma once

#include <cstdint>
#include <utility>

#include "blocks.h"
#include "simd.h"

namespace symflow {
namespace SYMFLOW_ISA {

template <class T>
constexpr int piece = 16 / int(sizeof(T));
constexpr int pieces = SYMFLOW_SIMD_BYTES / 16;  // in a register

template <class T>
struct Piece {
  typedef T Value __attribute__((vector_size(16)));
};

// Of each pair of pieces of a and b, the lower or upper halves with their units of `unit` numbers alternating: where
// the number of a lane comes from, the lanes of b counted after those of a.
template <class T, int unit, bool upper>
constexpr int interleaved(int lane) {
  constexpr int lanes = pieces * piece<T>;
  const int p = lane % piece<T>, block = p / unit;
  return lane - p + (upper ? piece<T> / 2 : 0) + block / 2 * unit + p % unit + (block % 2 == 0 ? 0 : lanes);
}

template <class T, int unit, bool upper, class Value, int... lane>
SYMFLOW_HD Value interleave_pieces(Value a, Value b, std::integer_sequence<int, lane...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, interleaved<T, unit, upper>(lane)...);
#else
  return __builtin_shuffle(a, b, typename Simd<T>::Integers{interleaved<T, unit, upper>(lane)...});
#endif
}

// Transposes the squares of piece x piece numbers that stand above each other; its own inverse.
template <class S>
SYMFLOW_HD void transpose_pieces(typename S::Value (&r)[piece<typename S::Scalar>]) {
  using T = typename S::Scalar;
  constexpr auto lanes = std::make_integer_sequence<int, S::lanes>();
  if constexpr (piece<T> == 2) {
    const auto a = r[0], b = r[1];
    r[0] = interleave_pieces<T, 1, false>(a, b, lanes);
    r[1] = interleave_pieces<T, 1, true>(a, b, lanes);
  } else {
    const auto a = interleave_pieces<T, 1, false>(r[0], r[1], lanes),
               b = interleave_pieces<T, 1, true>(r[0], r[1], lanes);
    const auto c = interleave_pieces<T, 1, false>(r[2], r[3], lanes),
               d = interleave_pieces<T, 1, true>(r[2], r[3], lanes);
    r[0] = interleave_pieces<T, 2, false>(a, c, lanes);
    r[1] = interleave_pieces<T, 2, true>(a, c, lanes);
    r[2] = interleave_pieces<T, 2, false>(b, d, lanes);
    r[3] = interleave_pieces<T, 2, true>(b, d, lanes);
  }
}

// A register of the pieces at from[at[0]], from[at[step]], from[at[2 step]], ...
template <class S>
SYMFLOW_HD typename S::Value load_pieces(const typename S::Scalar* from, const typename S::Integer* at,
                                         [[maybe_unused]] int step) {
#if SYMFLOW_SIMD_BYTES == 16
  return S::load(from + at[0]);
#else
  const auto load = [&](int i) SYMFLOW_INLINE_LAMBDA {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at[i * step]));
  };
  const auto pair = [&](int i) SYMFLOW_INLINE_LAMBDA {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load(i)), load(i + 1), 1);
  };
#if SYMFLOW_SIMD_BYTES == 32
  return typename S::Value(pair(0));
#else
  return typename S::Value(_mm512_inserti64x4(_mm512_castsi256_si512(pair(0)), pair(2), 1));
#endif
#endif
}

// out[w] holds from[at[lane] + w], w < piece.
template <class S>
SYMFLOW_HD void gather(const typename S::Scalar* from, const typename S::Integer* at,
                       typename S::Value (&out)[piece<typename S::Scalar>]) {
  constexpr int n = piece<typename S::Scalar>;
  SYMFLOW_UNROLL
  for (int r = 0; r < n; ++r) out[r] = load_pieces<S>(from, at + r, n);
  transpose_pieces<S>(out);
}

// to[at[lane] + w] += in[w] for the first `lanes` lanes, one lane after the other.
template <class S>
SYMFLOW_HD void scatter_add(typename S::Scalar* to, const typename S::Integer* at, int lanes,
                            typename S::Value (&in)[piece<typename S::Scalar>]) {
  using T = typename S::Scalar;
  using Part = typename Piece<T>::Value;
  constexpr int n = piece<T>;
  transpose_pieces<S>(in);
  T lines[n][S::lanes];
  for (int r = 0; r < n; ++r) S::store(lines[r], in[r]);
  for (int lane = 0; lane < lanes; ++lane) {
    Part sum, term;
    T* place = to + at[lane];
    __builtin_memcpy(&sum, place, sizeof sum);
    __builtin_memcpy(&term, lines[lane % n] + lane / n * n, sizeof term);
    sum += term;
    __builtin_memcpy(place, &sum, sizeof sum);
  }
}

}  // namespace SYMFLOW_ISA
}  // namespace symflow
