// ETDRK4 in Krogstad's form for as many rows at once as a register has numbers, for one instruction set.
//
// Every row takes steps of its own length and number; the register goes on until the last of its rows is done, and
// a row leaves what it has reached when its own steps are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "etdrk4_cpu.h"
#include "fourier_tile.h"
#include "parallel.h"

namespace symflow {
namespace SYMFLOW_ISA {

class Etdrk4Rows {
 public:
  explicit Etdrk4Rows(const Etdrk4& problem)
      : p_(problem),
        memory_(allocate<double>((problem.modes * (6 + etdrk4_weights) + problem.points) * 2 * Row::lanes)),
        v_(reinterpret_cast<Complex*>(memory_.get())),
        argument_(v_ + p_.modes),
        term_(argument_ + p_.modes),
        n_(term_ + p_.modes),
        weights_(n_ + 3 * p_.modes),
        fourier_(p_.points, p_.modes, p_.roots, weights_ + etdrk4_weights * p_.modes,
                 weights_ + etdrk4_weights * p_.modes + p_.points / 2) {}

  void march(std::int64_t first) {
    const std::int64_t count = std::min<std::int64_t>(Row::lanes, p_.rows - first);
    for (int lane = 0; lane < Row::lanes; ++lane) {
      row_[lane] = first + std::min<std::int64_t>(lane, count - 1);  // the last one fills the register
      take(p_.begin + 2 * p_.modes * row_[lane], p_.modes, lane, v_);
      take(p_.weights + 2 * p_.modes * etdrk4_weights * p_.table[row_[lane]], etdrk4_weights * p_.modes, lane,
           weights_);
    }
    for (std::int64_t done = 0;; ++done) {
      for (int lane = 0; lane < count; ++lane) {
        if (p_.steps[row_[lane]] == done) leave(lane);
      }
      if (done == p_.steps[first]) return;
      step(done);
    }
  }

 private:
  static void take(const double* from, std::int64_t count, int lane, Complex* to) {
    double* numbers = reinterpret_cast<double*>(to) + lane;
    for (std::int64_t i = 0; i < 2 * count; ++i) numbers[i * Row::lanes] = from[i];
  }
  void leave(int lane) const {
    const double* numbers = reinterpret_cast<const double*>(v_) + lane;
    double* to = p_.end + 2 * p_.modes * row_[lane];
    for (std::int64_t i = 0; i < 2 * p_.modes; ++i) to[i] = numbers[i * Row::lanes];
  }

  // Krogstad 2005, equation 51
  void step(std::int64_t done) {
    const std::int64_t modes = p_.modes;
    const Complex *whole = weights_, *half = whole + modes, *a = half + modes, *b = a + modes, *c_first = b + modes,
                  *c_last = c_first + modes, *first = c_last + modes, *middle = first + modes, *last = middle + modes;
    Complex *at_v = n_, *at_a = n_ + modes, *at_b = n_ + 2 * modes;
    nonlinear(v_, 2 * done, at_v);
    for (std::int64_t k = 0; k < modes; ++k) argument_[k] = half[k] * v_[k] + a[k] * at_v[k];
    nonlinear(argument_, 2 * done + 1, at_a);
    for (std::int64_t k = 0; k < modes; ++k) argument_[k] = argument_[k] + b[k] * (at_a[k] - at_v[k]);
    nonlinear(argument_, 2 * done + 1, at_b);
    for (std::int64_t k = 0; k < modes; ++k) {
      v_[k] = whole[k] * v_[k];
      argument_[k] = v_[k] + c_first[k] * at_v[k] + c_last[k] * at_b[k];
    }
    nonlinear(argument_, 2 * done + 2, term_);
    for (std::int64_t k = 0; k < modes; ++k) {
      v_[k] = v_[k] + first[k] * at_v[k] + middle[k] * (at_a[k] + at_b[k]) + last[k] * term_[k];
    }
  }

  void nonlinear(const Complex* v, std::int64_t stage, Complex* out) {
    Complex* u = fourier_.to_grid(v);
    for (std::int64_t j = 0; j < fourier_.half(); ++j) u[j] = {density(u[j].re), density(u[j].im)};
    const Real c = factor(stage, 0);
    fourier_.to_modes([&](std::int64_t k, const Complex& z) { out[k] = c * (spread(p_.multipliers + 2 * k) * z); });
    for (std::int64_t i = 1; i <= p_.terms; ++i) {
      const Real c = factor(stage, i);
      const double* multiplier = p_.multipliers + 2 * p_.modes * i;
      for (std::int64_t k = 0; k < p_.modes; ++k) out[k] = out[k] + c * (spread(multiplier + 2 * k) * v[k]);
    }
  }

  Real density(Real u) const {
    Real value = Row::set(p_.density[p_.degree]);
    for (std::int64_t i = p_.degree - 1; i >= 0; --i) value = Row::fma(value, u, Row::set(p_.density[i]));
    return value;
  }

  Real factor(std::int64_t stage, std::int64_t term) const {
    if (p_.factors == nullptr) return Row::set(1);
    double numbers[Row::lanes];
    for (int lane = 0; lane < Row::lanes; ++lane) {
      numbers[lane] = p_.factors[(row_[lane] * p_.stages + stage) * (1 + p_.terms) + term];
    }
    return Row::load(numbers);
  }

  const Etdrk4& p_;
  const Buffer<double> memory_;
  Complex *v_, *argument_, *term_, *n_, *weights_;
  Fourier fourier_;
  std::int64_t row_[Row::lanes];
};

void etdrk4_march(const Etdrk4& problem) {
  Etdrk4Rows rows(problem);
  for (std::int64_t first = 0; first < problem.rows; first += Row::lanes) rows.march(first);
}

extern const Etdrk4Kernel etdrk4_kernel = &etdrk4_march;

}  // namespace SYMFLOW_ISA
}  // namespace symflow
