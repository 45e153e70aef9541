// ETDRK4 in Krogstad's form for as many rows at once as a register has numbers, for one instruction set.
//
// Every row takes steps of its own length and number, and makes room for the next when they are done.
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

  void march() {
    std::int64_t next = 0;
    for (int lane = 0; lane < Row::lanes; ++lane) {
      if (lane < p_.rows) {
        begin(lane, next++);
      } else {  // a copy of the first row fills the register
        begin(lane, 0);
        remaining_[lane] = idle;
      }
    }
    for (;;) {
      bool busy = false;
      for (int lane = 0; lane < Row::lanes; ++lane) {
        while (remaining_[lane] == 0) {
          leave(lane);
          if (next < p_.rows) {
            begin(lane, next++);
          } else {
            remaining_[lane] = idle;
          }
        }
        busy = busy || remaining_[lane] > 0;
      }
      if (!busy) return;
      step();
      for (int lane = 0; lane < Row::lanes; ++lane) {
        if (remaining_[lane] > 0) --remaining_[lane];
      }
    }
  }

 private:
  static constexpr std::int64_t idle = -1;

  void begin(int lane, std::int64_t row) {
    row_[lane] = row;
    remaining_[lane] = p_.steps[row];
    take(p_.begin + 2 * p_.modes * row, p_.modes, lane, v_);
    take(p_.weights + 2 * p_.modes * etdrk4_weights * p_.table[row], etdrk4_weights * p_.modes, lane, weights_);
  }
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
  void step() {
    const std::int64_t modes = p_.modes;
    const Complex *whole = weights_, *half = whole + modes, *a = half + modes, *b = a + modes, *c_first = b + modes,
                  *c_last = c_first + modes, *first = c_last + modes, *middle = first + modes, *last = middle + modes;
    Complex *at_v = n_, *at_a = n_ + modes, *at_b = n_ + 2 * modes;
    nonlinear(v_, 0, at_v);
    for (std::int64_t k = 0; k < modes; ++k) argument_[k] = half[k] * v_[k] + a[k] * at_v[k];
    nonlinear(argument_, 1, at_a);
    for (std::int64_t k = 0; k < modes; ++k) argument_[k] = argument_[k] + b[k] * (at_a[k] - at_v[k]);
    nonlinear(argument_, 1, at_b);
    for (std::int64_t k = 0; k < modes; ++k) {
      v_[k] = whole[k] * v_[k];
      argument_[k] = v_[k] + c_first[k] * at_v[k] + c_last[k] * at_b[k];
    }
    nonlinear(argument_, 2, term_);
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

  // Of a row that is done, those of its first step: they are there, and nobody looks at the result.
  Real factor(std::int64_t stage, std::int64_t term) const {
    if (p_.factors == nullptr) return Row::set(1);
    double numbers[Row::lanes];
    for (int lane = 0; lane < Row::lanes; ++lane) {
      const std::int64_t done = remaining_[lane] == idle ? 0 : p_.steps[row_[lane]] - remaining_[lane];
      numbers[lane] = p_.factors[(row_[lane] * p_.stages + 2 * done + stage) * (1 + p_.terms) + term];
    }
    return Row::load(numbers);
  }

  const Etdrk4& p_;
  const Buffer<double> memory_;
  Complex *v_, *argument_, *term_, *n_, *weights_;
  Fourier fourier_;
  std::int64_t row_[Row::lanes], remaining_[Row::lanes];
};

inline void etdrk4_march(const Etdrk4& problem) { Etdrk4Rows(problem).march(); }

extern const Etdrk4Kernel etdrk4_kernel = &etdrk4_march;

}  // namespace SYMFLOW_ISA
}  // namespace symflow
