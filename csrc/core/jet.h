// Truncated Taylor polynomials (jets): composition with a function of one number, and its adjoint.
//
// The lists of jet_algebra.h are unrolled by the compiler for the truncations of solution surfaces, read from memory
// for any other.
#pragma once

#include <utility>

#include "elementary.h"
#include "jet_algebra.h"

namespace symflow {

template <class Ops>
SYMFLOW_HD void multiply_add(MultiplyAdd p, const typename Ops::Value* left, const typename Ops::Value* right,
                             typename Ops::Value& sum) {
  const auto factor = left[p.from], with = right[p.with];
  sum = p.begins ? factor * with : Ops::fma(factor, with, sum);
}

// Any truncation, by its lists.
struct AnyTruncation {
  static constexpr int most_monomials = max_monomials, most_degree = max_degree;
  const JetAlgebra& algebra;

  SYMFLOW_HD int size() const { return algebra.size; }
  SYMFLOW_HD int degree() const { return algebra.degree; }

  template <class Ops>
  SYMFLOW_HD void compose(const typename Ops::Value* taylor, const typename Ops::Value* a,
                          typename Ops::Value* y) const {
    y[0] = taylor[algebra.degree];
    for (int d = 1; d <= algebra.degree; ++d) {
      run<Ops>(algebra.compose + algebra.compose_begin[d], algebra.compose + algebra.compose_count, y, a, y);
      y[0] = taylor[algebra.degree - d];
    }
  }

  template <class Ops>
  SYMFLOW_HD void adjoint(const typename Ops::Value* f, typename Ops::Value* g) const {
    run<Ops>(algebra.adjoint, algebra.adjoint + algebra.adjoint_count, f, g, g);
  }

 private:
  // The sum stays in a register: through memory every addition would wait for the one before it.
  template <class Ops>
  SYMFLOW_HD static void run(const MultiplyAdd* step, const MultiplyAdd* end, const typename Ops::Value* left,
                             const typename Ops::Value* right, typename Ops::Value* out) {
    typename Ops::Value sum = Ops::set(0);
    for (; step != end; ++step) {
      multiply_add<Ops>(*step, left, right, sum);
      out[step->target] = sum;
    }
  }
};

// `total_degree(order)`, known to the compiler: with constant indices the coefficients stay in registers.
template <int order>
struct TotalDegree {
  static constexpr JetAlgebra lists = total_degree(order);
  static constexpr int most_monomials = lists.size, most_degree = order;

  TotalDegree() = default;
  SYMFLOW_HD explicit TotalDegree(const JetAlgebra&) {}
  SYMFLOW_HD static constexpr int size() { return most_monomials; }
  SYMFLOW_HD static constexpr int degree() { return order; }

  template <class Ops>
  SYMFLOW_HD static void compose(const typename Ops::Value* taylor, const typename Ops::Value* a,
                                 typename Ops::Value* y) {
    y[0] = taylor[order];
    all_levels<Ops>(taylor, a, y, std::make_integer_sequence<int, order>());
  }

  template <class Ops>
  SYMFLOW_HD static void adjoint(const typename Ops::Value* f, typename Ops::Value* g) {
    all_adjoint<Ops>(f, g, std::make_integer_sequence<int, lists.adjoint_count>());
  }

 private:
  template <class Ops, int begin, int... n>
  SYMFLOW_HD static void level(const typename Ops::Value* a, typename Ops::Value* y, std::integer_sequence<int, n...>) {
    (compose_step<Ops, begin + n>(a, y), ...);
  }
  template <class Ops, int... d>
  SYMFLOW_HD static void all_levels(const typename Ops::Value* taylor, const typename Ops::Value* a,
                                    typename Ops::Value* y, std::integer_sequence<int, d...>) {
    ((level<Ops, lists.compose_begin[d + 1]>(
          a, y, std::make_integer_sequence<int, lists.compose_count - lists.compose_begin[d + 1]>()),
      y[0] = taylor[order - 1 - d]),
     ...);
  }
  template <class Ops, int... n>
  SYMFLOW_HD static void all_adjoint(const typename Ops::Value* f, typename Ops::Value* g,
                                     std::integer_sequence<int, n...>) {
    (adjoint_step<Ops, n>(f, g), ...);
  }
  template <class Ops, int n>
  SYMFLOW_HD static void compose_step(const typename Ops::Value* a, typename Ops::Value* y) {
    constexpr MultiplyAdd step = lists.compose[n];
    multiply_add<Ops>(step, y, a, y[step.target]);
  }
  template <class Ops, int n>
  SYMFLOW_HD static void adjoint_step(const typename Ops::Value* f, typename Ops::Value* g) {
    constexpr MultiplyAdd step = lists.adjoint[n];
    multiply_add<Ops>(step, f, g, g[step.target]);
  }
};

// The Taylor coefficients f^(m)(x)/m!, m = 0 .. terms - 1, of silu(x) = x s(x), s the logistic function.
//
// With p = s (1 - s) and m = 1 - 2 s, p' = p m and m' = -2 p, so every derivative of s is p times a polynomial in p,
// times m when its order is even: no digit is lost where s is near 0 or 1. With e_k = s^(k)/k! the coefficients of
// x s are x e_k + e_(k-1). Beyond the limit of the exponent see `silu_of`.
template <class Ops, int terms>
SYMFLOW_HD void silu_taylor(typename Ops::Value x, typename Ops::Value* taylor) {
  static_assert(terms <= max_degree + 2, "the derivatives of the logistic function are listed to order 6");
  using T = typename Ops::Scalar;
  using Value = typename Ops::Value;
  const auto limit = ElementaryConstants<T>::exp_limit;
  const Value above = Ops::max(Ops::set(-limit), x);
  const Value within = Ops::min(Ops::set(limit), above);
  const Value e = exp_minus<Ops>(within);
  const Value s = Ops::reciprocal(Ops::set(1) + e), complement = e * s;
  const Value p = s * complement, m = complement - s;
  Value derivatives[7] = {s, p};
  if constexpr (terms > 2) derivatives[2] = p * m * Ops::set(T(0.5));
  if constexpr (terms > 3) derivatives[3] = p * (Ops::set(T(1) / 6) - p);
  if constexpr (terms > 4) derivatives[4] = p * m * Ops::fma(p, Ops::set(T(-0.5)), Ops::set(T(1) / 24));
  if constexpr (terms > 5) {
    derivatives[5] = p * Ops::fma(p, p - Ops::set(T(0.25)), Ops::set(T(1) / 120));
  }
  if constexpr (terms > 6) {
    derivatives[6] = p * m * Ops::fma(p, Ops::fma(p, Ops::set(T(0.5)), Ops::set(T(-1) / 12)), Ops::set(T(1) / 720));
  }
  taylor[0] = above * s;
  for (int k = 1; k < terms; ++k) taylor[k] = Ops::fma(within, derivatives[k], derivatives[k - 1]);
}

// Those of cos(rate z) and sin(rate z) from their values.
template <class Ops, class Truncation>
SYMFLOW_HD void turn_taylor(const Truncation& truncation, Turn<Ops> turn, typename Ops::Scalar rate,
                            typename Ops::Value* cos, typename Ops::Value* sin) {
  typename Ops::Scalar factor = 1;
  typename Ops::Value c = turn.cos, s = turn.sin;
  for (int m = 0; m <= truncation.degree(); ++m) {
    cos[m] = Ops::set(factor) * c;
    sin[m] = Ops::set(factor) * s;
    const auto next = -s;
    s = c;
    c = next;
    factor *= rate / typename Ops::Scalar(m + 1);
  }
}

}  // namespace symflow
