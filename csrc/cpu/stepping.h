// Runge-Kutta steps of a tile of points and their adjoint, for any field (see simd.h for how it is included).
//
// The points are columns: coordinate j of point p stands at [j stride + p].
#pragma once

#include "../core/rk4.h"
#include "blocks.h"
#include "simd.h"

namespace symflow {
namespace SYMFLOW_ISA {

struct Columns {
  Index dimension, stride, end;  // points up to `end`, a whole number of registers

  // body(place) for every register.
  template <class S, class Body>
  SYMFLOW_HD void each(Body body) const {
    for (Index j = 0; j < dimension; ++j) {
      for (Index p = 0; p < end; p += S::lanes) body(j * stride + p);
    }
  }
};

// out = z + c v
template <class T>
SYMFLOW_HD void move(const Columns& columns, const T* z, T c, const T* v, T* out) {
  using S = Simd<T>;
  columns.each<S>([&](Index i)
                      SYMFLOW_INLINE_LAMBDA { S::store(out + i, S::fma(S::set(c), S::load(v + i), S::load(z + i))); });
}

// Places for the columns of `flow_steps`.
template <class T>
struct FlowColumns {
  T *z, *moved, *velocity, *sum;
};

// Moves z to the end of the flow. `before(step)` sees z before each step; `evaluate(at, velocity)` is the field. The
// zero field, where nothing `moves`, does not move the sign of a zero either.
template <class T, class Before, class Evaluate>
SYMFLOW_HD void flow_steps(const Columns& columns, Index steps, bool moves, const FlowColumns<T>& x, Before before,
                           Evaluate evaluate) {
  using S = Simd<T>;
  const double dt = 1.0 / double(steps);
  if (!moves) {  // not inside the loop below: there the question costs a flow on a grid 7 %
    for (Index step = 0; step < steps; ++step) before(step);
    return;
  }
  for (Index step = 0; step < steps; ++step) {
    before(step);
    const T* at = x.z;
    for (int i = 0; i < Rk4::stages; ++i) {
      if (i > 0) {
        move(columns, x.z, T(dt * Rk4::a[i]), x.velocity, x.moved);
        at = x.moved;
      }
      evaluate(at, x.velocity);
      const auto b = S::set(T(dt * Rk4::b[i]));
      columns.each<S>([&](Index j) SYMFLOW_INLINE_LAMBDA {
        const auto term = b * S::load(x.velocity + j);
        S::store(x.sum + j, i == 0 ? term : S::load(x.sum + j) + term);
      });
    }
    move(columns, x.z, T(1), x.sum, x.z);
  }
}

// Places for the columns of `adjoint_steps`.
template <class T>
struct AdjointColumns {
  T *z, *moved, *grad, *grad_before, *grad_stage, *grad_velocity;
};

// Takes the gradient `grad` of the end points back to that of the start, the steps in reverse. With V_i = V(z_i),
// z_i = z + dt a_i V_{i-1}, z' = z + dt sum b_i V_i and g the gradient of z', the gradient of V_i is
// dt (b_i g + a_{i+1} grad z_{i+1}), and that of z is g + sum_i grad z_i. `load(step, z)` gives the points before a
// step, `evaluate(i, at)` computes stage i, keeps what its adjoint needs and returns its velocity, and
// `evaluate_backward(i, grad_velocity, grad_point)` is the adjoint of stage i.
template <class T, class Load, class Evaluate, class EvaluateBackward>
SYMFLOW_HD void adjoint_steps(const Columns& columns, Index steps, AdjointColumns<T>& x, Load load, Evaluate evaluate,
                              EvaluateBackward evaluate_backward) {
  using S = Simd<T>;
  const double dt = 1.0 / double(steps);
  for (Index step = steps - 1; step >= 0; --step) {
    load(step, x.z);
    const T* velocity = evaluate(0, x.z);
    for (int i = 1; i < Rk4::stages; ++i) {
      move(columns, x.z, T(dt * Rk4::a[i]), velocity, x.moved);
      velocity = evaluate(i, x.moved);
    }
    columns.each<S>([&](Index j) SYMFLOW_INLINE_LAMBDA { S::store(x.grad_before + j, S::load(x.grad + j)); });
    for (int i = Rk4::stages - 1; i >= 0; --i) {
      const auto b = S::set(T(dt * Rk4::b[i]));
      const auto a = S::set(i + 1 < Rk4::stages ? T(dt * Rk4::a[i + 1]) : T(0));
      columns.each<S>([&](Index j) SYMFLOW_INLINE_LAMBDA {
        auto g = b * S::load(x.grad + j);
        if (i + 1 < Rk4::stages) g = S::fma(a, S::load(x.grad_stage + j), g);
        S::store(x.grad_velocity + j, g);
      });
      evaluate_backward(i, x.grad_velocity, x.grad_stage);
      columns.each<S>([&](Index j) SYMFLOW_INLINE_LAMBDA {
        S::store(x.grad_before + j, S::load(x.grad_before + j) + S::load(x.grad_stage + j));
      });
    }
    T* swap = x.grad;
    x.grad = x.grad_before;
    x.grad_before = swap;
  }
}

}  // namespace SYMFLOW_ISA
}  // namespace symflow
