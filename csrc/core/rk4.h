// The classical Runge-Kutta method of order 4 (Kutta 1901) for an autonomous field, as data.
//
//   V_1 = V(z), V_i = V(z + dt a_i V_{i-1}), z' = z + dt sum_i b_i V_i
#pragma once

namespace symflow {

struct Rk4 {
  static constexpr int stages = 4;
  static constexpr double a[stages] = {0.0, 0.5, 0.5, 1.0};
  static constexpr double b[stages] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
};

}  // namespace symflow
