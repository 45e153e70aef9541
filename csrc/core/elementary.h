// exp, silu and (cos, sin) of a turn, written once for a scalar, a vector register and a GPU thread.
//
// `Ops` names the arithmetic: Ops::Value holds one or many numbers, Ops::Scalar is the number itself, and Ops offers
//   set(c)          c in every lane
//   fma(a, b, c)    a b + c, rounded once where the machine can
//   min, max        of two values, the second one if either is NaN
//   exp_parts       1, or 16 where a table of 2^(j/16) costs one operation: exp then splits 2^n at n = j/16
//   root_of_two(t)  2^(j/16), where j stands in the low 4 bits of t; only if exp_parts is 16
//   scale(a, t)     a 2^floor(n) for t = n + round_shift/exp_parts: n exp_parts stands in the low bits of t
//   reciprocal(a)   1/a to a unit in the last place, for 1 <= a <= e^exp_limit
// Every polynomial is a minimax fit (Remez) on the reduced interval; its error before rounding stands beside it.
#pragma once

#include "hd.h"

namespace symflow {

template <class T>
struct ElementaryConstants;

template <>
struct ElementaryConstants<float> {
  static constexpr float round_shift = 12582912.0f;  // 1.5 2^23: adding it rounds to an integer
  static constexpr float log2_e = 1.44269504088896341f;
  static constexpr float ln2_high = 0.693359375f;  // few digits, so that n ln2_high is exact without an fma
  static constexpr float ln2_low = -2.12194440054690583e-4f;
  static constexpr float exp_limit = 87.0f;  // 2^n stays normal
  // (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2: e^r to 3.1e-9
  static constexpr int exp_terms = 5;
  static constexpr float exp[exp_terms] = {0.49999993447796486827f, 0.16666520631709496887f, 0.041668388045313996659f,
                                           0.0083687168797281399469f, 0.0013814598646664034453f};
  // The same on |r| <= ln(2) / 32: 1.6e-9
  static constexpr int exp_near_terms = 2;
  static constexpr float exp_near[exp_near_terms] = {0.5000161955f, 0.1666696f};
  // (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 in r^2 on |r| <= pi / 4: 3.6e-9 and 9.5e-11
  static constexpr int turn_terms = 3;
  static constexpr float sin[turn_terms] = {-0.16666654940199489085f, 0.0083321779163583814776f,
                                            -0.00019517266840902504659f};
  static constexpr float cos[turn_terms] = {0.041666646860525502874f, -0.0013887367212940056655f,
                                            0.000024438415517795540033f};
};

template <>
struct ElementaryConstants<double> {
  static constexpr double round_shift = 6755399441055744.0;  // 1.5 2^52
  static constexpr double log2_e = 1.44269504088896341;
  static constexpr double ln2_high = 0.693145751953125;
  static constexpr double ln2_low = 1.42860682030941723e-6;
  static constexpr double exp_limit = 708.0;
  // e^r to 3.6e-18
  static constexpr int exp_terms = 10;
  static constexpr double exp[exp_terms] = {
      0.50000000000000106271,   0.16666666666666412523,    0.041666666666530158494,    0.0083333333334944616639,
      0.0013888888943630134161, 0.00019841269506578723932, 0.000024801493098887391545, 2.7557586373785180954e-6,
      2.763024838532302056e-7,  2.5000061625531279587e-8};
  // 3.4e-18 and 4.7e-20
  static constexpr int turn_terms = 6;
  static constexpr double sin[turn_terms] = {-0.16666666666666632048,    0.0083333333333224191027,
                                             -0.00019841269829812394094, 2.7557313693577104872e-6,
                                             -2.5050758384975980438e-8,  1.5896811829081789746e-10};
  static constexpr double cos[turn_terms] = {0.041666666666666599516,    -0.0013888888888874131293,
                                             0.000024801587289487015915, -2.7557314353790694089e-7,
                                             2.0875723479336175962e-9,   -1.1359658863275222247e-11};
};

// sum_j c[j] x^j, Horner. The table is a template argument: on a GPU its numbers exist in the instructions only.
template <class Ops, const auto& c, int j = 0>
SYMFLOW_HD typename Ops::Value polynomial(typename Ops::Value x) {
  constexpr typename Ops::Scalar term = c[j];
  if constexpr (j + 1 == sizeof(c) / sizeof(c[0])) {
    return Ops::set(term);
  } else {
    return Ops::fma(polynomial<Ops, c, j + 1>(x), x, Ops::set(term));
  }
}

// The nearest integer, ties to even, for |a| < 2^21.
template <class Ops>
SYMFLOW_HD typename Ops::Value nearest(typename Ops::Value a) {
  const auto shift = Ops::set(ElementaryConstants<typename Ops::Scalar>::round_shift);
  return (a + shift) - shift;
}

// A NaN stays one: `min` and `max` of a machine give back their second operand when either is NaN.
template <class Ops>
SYMFLOW_HD typename Ops::Value clamp(typename Ops::Value a, typename Ops::Scalar limit) {
  return Ops::max(Ops::set(-limit), Ops::min(Ops::set(limit), a));
}

// e^-x for |x| <= exp_limit, where neither it nor its reciprocal overflows.
template <class Ops>
SYMFLOW_HD typename Ops::Value exp_minus(typename Ops::Value x) {
  using C = ElementaryConstants<typename Ops::Scalar>;
  const auto shift = Ops::set(C::round_shift / Ops::exp_parts);
  const auto shifted = Ops::fma(x, Ops::set(-C::log2_e), shift);
  const auto n = shifted - shift;
  auto r = Ops::fma(n, Ops::set(-C::ln2_high), -x);
  r = Ops::fma(n, Ops::set(-C::ln2_low), r);
  if constexpr (Ops::exp_parts == 1) {
    const auto tail = polynomial<Ops, C::exp>(r);
    return Ops::scale(Ops::fma(r * r, tail, r + Ops::set(1)), shifted);
  } else {
    const auto tail = polynomial<Ops, C::exp_near>(r), root = Ops::root_of_two(shifted);
    return Ops::scale(Ops::fma(root, Ops::fma(r * r, tail, r), root), shifted);
  }
}

template <class Ops>
struct Silu {
  typename Ops::Value value;       // x s, s = 1 / (1 + e^-x)
  typename Ops::Value derivative;  // s + x s (1 - s)
};

// Beyond the limit of the exponent x is replaced by the limit, where s is 0 or 1 to rounding, except in x s for
// large x. 1 - s is taken as e^-x s, which loses no digits where s is near 1.
template <class Ops, bool with_derivative>
SYMFLOW_HD Silu<Ops> silu_of(typename Ops::Value x) {
  const auto limit = ElementaryConstants<typename Ops::Scalar>::exp_limit;
  const auto above = Ops::max(Ops::set(-limit), x);
  const auto within = Ops::min(Ops::set(limit), above);
  const auto e = exp_minus<Ops>(within);
  const auto s = Ops::reciprocal(Ops::set(1) + e);
  Silu<Ops> result;
  result.value = above * s;
  if constexpr (with_derivative) result.derivative = Ops::fma(within * s, e * s, s);
  return result;
}

template <class Ops>
SYMFLOW_HD typename Ops::Value silu(typename Ops::Value x) {
  return silu_of<Ops, false>(x).value;
}

template <class Ops>
SYMFLOW_HD Silu<Ops> silu_with_derivative(typename Ops::Value x) {
  return silu_of<Ops, true>(x);
}

template <class Ops>
struct Turn {
  typename Ops::Value cos, sin;
};

// (cos 2 pi z/p, sin 2 pi z/p). The whole turns are taken off z before it is divided by p, so that a shift of z by
// periods costs no accuracy beyond that of z itself.
template <class Ops>
SYMFLOW_HD Turn<Ops> turn(typename Ops::Value z, typename Ops::Scalar period) {
  using T = typename Ops::Scalar;
  using C = ElementaryConstants<T>;
  const auto inverse = Ops::set(T(1) / period);
  const auto whole = nearest<Ops>(z * inverse);
  const auto part = clamp<Ops>(Ops::fma(whole, Ops::set(-period), z) * inverse, T(0.5));  // turns
  const auto quarter = nearest<Ops>(part * Ops::set(4));                                  // -2 .. 2
  const auto r = Ops::fma(quarter, Ops::set(T(-0.25)), part) * Ops::set(T(6.28318530717958647693));
  const auto r2 = r * r;
  const auto s = Ops::fma(r * r2, polynomial<Ops, C::sin>(r2), r);
  const auto c = Ops::fma(r2 * r2, polynomial<Ops, C::cos>(r2), Ops::fma(r2, Ops::set(T(-0.5)), Ops::set(1)));
  // Turning by `quarter` right angles, whose cos and sin are polynomials in it that take the values 0 and +-1 only.
  const auto q2 = quarter * quarter;
  const auto cos_quarter = nearest<Ops>(Ops::set(1) - q2 * (Ops::set(7) - q2) * Ops::set(T(1) / T(6)));
  const auto sin_quarter = nearest<Ops>(quarter * (Ops::set(4) - q2) * Ops::set(T(1) / T(3)));
  return {c * cos_quarter - s * sin_quarter, s * cos_quarter + c * sin_quarter};
}

}  // namespace symflow
