// Real Fourier transforms of several rows at once, one row per number of a register, for one instruction set (see
// simd.h for how it is included). A row's bits do not depend on the others.
//
// Stockham's form of the mixed-radix algorithm (Van Loan, Computational Frameworks for the FFT, 1992, section 1.7) on
// half as many complex numbers as there are points.
#pragma once

#include <cstdint>
#include <utility>

#include "simd.h"

namespace symflow {
namespace SYMFLOW_ISA {

using Row = Simd<double>;
using Real = Row::Value;

struct Complex {
  Real re, im;
};

SYMFLOW_HD Complex operator+(const Complex& a, const Complex& b) { return {a.re + b.re, a.im + b.im}; }
SYMFLOW_HD Complex operator-(const Complex& a, const Complex& b) { return {a.re - b.re, a.im - b.im}; }
SYMFLOW_HD Complex operator*(Real c, const Complex& a) { return {c * a.re, c * a.im}; }
SYMFLOW_HD Complex operator*(const Complex& a, const Complex& b) {
  return {Row::fma(a.re, b.re, -(a.im * b.im)), Row::fma(a.re, b.im, a.im * b.re)};
}
SYMFLOW_HD Complex conjugate(const Complex& a) { return {a.re, -a.im}; }
SYMFLOW_HD Complex times_i(const Complex& a) { return {-a.im, a.re}; }
SYMFLOW_HD Complex spread(const double* pair) { return {Row::set(pair[0]), Row::set(pair[1])}; }

// The transform of `radix` numbers in place; the other direction is that of the conjugates.
template <int radix>
SYMFLOW_HD void small_transform(Complex (&a)[radix]) {
  if constexpr (radix == 2) {
    const Complex sum = a[0] + a[1];
    a[1] = a[0] - a[1];
    a[0] = sum;
  } else if constexpr (radix == 3) {
    const Complex sum = a[1] + a[2], middle = a[0] - Row::set(0.5) * sum;
    const Complex turned = times_i(Row::set(0.86602540378443864676) * (a[1] - a[2]));
    a[0] = a[0] + sum;
    a[1] = middle - turned;
    a[2] = middle + turned;
  } else if constexpr (radix == 4) {
    const Complex even = a[0] + a[2], even_less = a[0] - a[2], odd = a[1] + a[3], turned = times_i(a[1] - a[3]);
    a[0] = even + odd;
    a[1] = even_less - turned;
    a[2] = even - odd;
    a[3] = even_less + turned;
  } else {
    static_assert(radix == 5);
    const Real c1 = Row::set(0.30901699437494742410), c2 = Row::set(-0.80901699437494742410);
    const Real s1 = Row::set(0.95105651629515357212), s2 = Row::set(0.58778525229247312917);
    const Complex outer = a[1] + a[4], inner = a[2] + a[3], outer_less = a[1] - a[4], inner_less = a[2] - a[3];
    const Complex one = a[0] + c1 * outer + c2 * inner, two = a[0] + c2 * outer + c1 * inner;
    const Complex turned_one = times_i(s1 * outer_less + s2 * inner_less);
    const Complex turned_two = times_i(s2 * outer_less - s1 * inner_less);
    a[0] = a[0] + outer + inner;
    a[1] = one - turned_one;
    a[2] = two - turned_two;
    a[3] = two + turned_two;
    a[4] = one + turned_one;
  }
}

// Real transforms of `points` numbers, an even product of 2, 3 and 5, of which the lowest `modes` are wanted.
class Fourier {
 public:
  // roots: exp(-2 pi i k/points); both buffers hold points/2 numbers.
  Fourier(std::int64_t points, std::int64_t modes, const double* roots, Complex* one, Complex* two)
      : half_(points / 2), modes_(modes), roots_(roots), values_(one), other_(two) {}

  std::int64_t half() const { return half_; }

  // u on the grid, two neighbouring points in each number: sum_k v_k exp(2 pi i k x) and its conjugate, k > 0.
  Complex* to_grid(const Complex* v) {
    // The conjugates of the numbers whose transform this is: the passes know one direction only.
    for (std::int64_t k = 0; k < half_; ++k) {
      Complex low{Row::set(0), Row::set(0)}, high = low;
      if (k < modes_) low = v[k];
      if (k > 0 && half_ - k < modes_) high = conjugate(v[half_ - k]);
      if (k == 0) low.im = Row::set(0);
      values_[k] = conjugate(low + high + times_i(conjugate(spread(roots_ + 2 * k)) * (low - high)));
    }
    transform();
    for (std::int64_t k = 0; k < half_; ++k) values_[k] = conjugate(values_[k]);
    return values_;
  }

  // The transform of what `to_grid` returned a pointer to, mode by mode: use(k, sum_x u(x) exp(-2 pi i k x)).
  template <class Use>
  void to_modes(const Use& use) {
    transform();
    const Real one_half = Row::set(0.5);
    for (std::int64_t k = 0; k < modes_; ++k) {
      const Complex z = values_[k], mirrored = conjugate(values_[k == 0 ? 0 : half_ - k]);
      const Complex even = z + mirrored, odd = times_i(mirrored - z);
      use(k, one_half * (even + spread(roots_ + 2 * k) * odd));
    }
  }

 private:
  void transform() {
    std::int64_t rest = half_, stride = 1;
    while (rest > 1) {
      const int radix = rest % 4 == 0 ? 4 : rest % 2 == 0 ? 2 : rest % 3 == 0 ? 3 : 5;
      rest /= radix;
      if (radix == 4) pass<4>(rest, stride);
      if (radix == 2) pass<2>(rest, stride);
      if (radix == 3) pass<3>(rest, stride);
      if (radix == 5) pass<5>(rest, stride);
      stride *= radix;
      std::swap(values_, other_);
    }
  }

  template <int radix>
  void pass(std::int64_t blocks, std::int64_t stride) {
    for (std::int64_t p = 0; p < blocks; ++p) {
      Complex root[radix];
      for (int j = 1; j < radix; ++j) root[j] = spread(roots_ + 4 * stride * j * p);
      for (std::int64_t q = 0; q < stride; ++q) {
        Complex a[radix];
        for (int j = 0; j < radix; ++j) a[j] = values_[q + stride * (p + blocks * j)];
        small_transform(a);
        Complex* to = other_ + q + stride * radix * p;
        to[0] = a[0];
        for (int j = 1; j < radix; ++j) to[stride * j] = p == 0 ? a[j] : root[j] * a[j];
      }
    }
  }

  std::int64_t half_, modes_;
  const double* roots_;
  Complex *values_, *other_;
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
