// The seam of the exponential Runge-Kutta steps on the CPU: raw pointers and sizes, no torch. float64.
//
// The kernel of etdrk4_tile.h is compiled once per instruction set; it takes as many rows as a register has numbers.
#pragma once

#include <cstdint>

#include "isa.h"

namespace symflow {

constexpr std::int64_t etdrk4_weights = 9;  // whole, half, a, b, c_first, c_last, first, middle, last

// u_t = L u + c_0(t) d/dx^m p(u) + sum_i c_i(t) M_i u in Fourier space. Complex numbers are pairs (re, im).
struct Etdrk4 {
  std::int64_t rows, modes, points, degree, terms, stages;
  const double* weights;      // [tables, 9, modes, 2]: the multipliers of a step
  const std::int64_t* table;  // [rows]: whose multipliers a row takes
  const std::int64_t* steps;  // [rows], none larger than the one before
  const double* density;      // [degree + 1]: p, lowest power first
  const double* multipliers;  // [1 + terms, modes, 2]: of the transform of p(u), and the M_i
  const double* factors;      // [rows, stages, 1 + terms]: c_0 and c_i at the stages of all steps; null: ones
  const double* roots;        // [points, 2]: exp(-2 pi i k/points)
  const double* begin;        // [rows, modes, 2]
  double* end;                // [rows, modes, 2]
};

using Etdrk4Kernel = void (*)(const Etdrk4&);
SYMFLOW_PER_ISA(extern const Etdrk4Kernel etdrk4_kernel;)

}  // namespace symflow
