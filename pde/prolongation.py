"""The determining condition of a point symmetry: numerically on jets, and exactly on formulas.

A field ``xi d/dx + tau d/dt + phi d/du`` is a symmetry of ``F = u_t + K = 0`` if its characteristic
``Q = phi - xi u_x - tau u_t`` solves the linearised equation on solutions (Olver, theorem 2.31 and section 5.1):

    R = D_F[Q] = D_t Q + sum_m (dK/du_m) D_x^m Q = 0   wherever F = 0.

R is linear in the field: with ``b`` running over xi, tau, phi,

    R = sum_b ( sum_{j=0}^{n} C_bj D_x^j b + C_bt D_t b ),

and the coefficients C depend on the jet of the solution alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import sympy
import torch
from torch import Tensor

from symflow.series import Series, Truncation, line_and_time

from .data import Jets
from .equation import Equation, derivative_order, derivative_symbol, t, total_derivative_x, x


def jet_order(equation: Equation) -> int:
    """The highest x-derivative of u that `determining_coefficients` and `term_scale` need."""
    return 2 * equation.order


def determining_coefficients(equation: Equation, jets: Jets) -> Tensor:
    """The coefficients C of the determining condition on jets.

    Returns:
        ``[3, n + 2, N]`` float64, physical units: components x, t, u; rows ``D_x^0 ... D_x^n, D_t`` in the order of
        ``line_and_time(n)``.
    """
    n = equation.order
    S = _sensitivities(equation, jets)
    rate = equation.rate(jets.x, jets.t, jets.u, n)
    zero = torch.zeros_like(jets.x)
    u_x, u_t = jets.u[1], rate[0]
    C = torch.stack([zero] * (3 * (n + 2))).view(3, n + 2, -1)
    C[0, 0] = zero + equation.evaluate(sympy.diff(equation.K, x), jets.x, jets.t, jets.u)
    C[1, 0] = zero + equation.evaluate(sympy.diff(equation.K, t), jets.x, jets.t, jets.u)
    C[2, : n + 1] = S
    for j in range(1, n + 1):
        for m in range(j, n + 1):
            C[0, j] -= math.comb(m, j) * S[m] * jets.u[m - j + 1]
            C[1, j] -= math.comb(m, j) * S[m] * rate[m - j]
    C[0, -1], C[1, -1], C[2, -1] = -u_x, -u_t, 1.0
    return C


def term_scale(equation: Equation, jets: Jets, scale: Sequence[float]) -> Tensor:
    """The size of the terms that must cancel in R for the three unit fields, ``[N]``.

    ``sqrt(sum of squares of the terms of R for scale_x dx, scale_t dt, scale_u du + 1e-3 median)``; ``R`` divided by
    it is relative. The median, not the mean: one tall soliton would hide the rest of the data.
    """
    n = equation.order
    S = _sensitivities(equation, jets)
    rate = equation.rate(jets.x, jets.t, jets.u, n + 1)
    # u_tt = -(K_t + sum_m S_m D_x^m u_t)
    K_t = equation.evaluate(sympy.diff(equation.K, t), jets.x, jets.t, jets.u)
    u_tt = -(K_t + (S * rate).sum(0))
    squares = scale[0] ** 2 * (rate[1] ** 2 + (S * jets.u[1 : n + 2]).square().sum(0))
    squares = squares + scale[1] ** 2 * (u_tt**2 + (S * rate).square().sum(0))
    squares = squares + scale[2] ** 2 * S[0] ** 2
    return torch.sqrt(squares + 1e-3 * squares.median())


def _sensitivities(equation: Equation, jets: Jets) -> Tensor:
    zero = torch.zeros_like(jets.x)
    return torch.stack([zero + equation.evaluate(s, jets.x, jets.t, jets.u) for s in equation.sensitivities])


def solution_lines(equation: Equation, jets: Jets) -> Series:
    """The points ``(x + s, t + r, u(x + s, t + r))`` as polynomials ``[C, N, 3]``, physical, over `line_and_time`."""
    truncation: Truncation = line_and_time(equation.order)
    coefficients = torch.zeros((len(truncation), *jets.x.shape, 3), dtype=jets.x.dtype)
    coefficients[0] = torch.stack([jets.x, jets.t, jets.u[0]], -1)
    for j in range(1, equation.order + 1):
        coefficients[j, :, 2] = jets.u[j] / math.factorial(j)
    coefficients[1, :, 0] = 1.0
    coefficients[-1, :, 1] = 1.0
    coefficients[-1, :, 2] = equation.rate(jets.x, jets.t, jets.u, 1)[0]
    return Series(truncation, coefficients)


def row_factors(truncation: Truncation) -> list[int]:
    """What turns Taylor coefficients into derivatives, row by row."""
    return [math.prod(map(math.factorial, m)) for m in truncation.monomials]


def determining_equations(equation: Equation, closed_form: Mapping[str, sympy.Expr]) -> list[sympy.Expr]:
    """The determining equations of a closed form: expressions in x, t, u that vanish for a symmetry and only then.

    R of the field, with ``u_t`` and its x-derivatives replaced by the equation, is a polynomial in (functions of) the
    jet variables ``u_x, u_xx, ...``, which are free on solutions; its coefficients must vanish one by one.

    Args:
        equation: an evolution equation.
        closed_form: ``{"dx": xi, "dt": tau, "du": phi}``, expressions in x, t, u.
    """
    xi, tau, phi = (closed_form[k] for k in ("dx", "dt", "du"))
    rate = -equation.K
    Q = phi - xi * derivative_symbol(1) - tau * rate
    powers = [Q]  # D_x^m Q
    for _ in range(equation.order):
        powers.append(total_derivative_x(powers[-1]))
    rates = [rate]  # D_x^m u_t
    for _ in range(_order(Q)):
        rates.append(total_derivative_x(rates[-1]))
    R = sympy.diff(Q, t) + sum(sympy.diff(Q, derivative_symbol(m)) * rates[m] for m in range(_order(Q) + 1))
    R += sum(s * d for s, d in zip(equation.sensitivities, powers, strict=True))
    R = sympy.expand(R)
    jet_variables = sorted((s for s in R.free_symbols if (derivative_order(s) or 0) > 0), key=lambda s: s.name)
    if not jet_variables or not R.is_polynomial(*jet_variables):
        return [R]
    return sympy.Poly(R, *jet_variables).coeffs()


def is_symmetry(equation: Equation, closed_form: Mapping[str, sympy.Expr]) -> bool:
    """Whether a closed form satisfies the determining equations exactly, by symbolic computation.

    ``False`` also when the computer algebra cannot decide: a proof is claimed only when it exists.
    """
    return all(_is_zero(e) for e in determining_equations(equation, closed_form))


def _is_zero(expression: sympy.Expr) -> bool:
    if expression == 0:
        return True
    # powers and exponentials of the variables become independent symbols, so that rational arithmetic decides
    reduced = sympy.cancel(sympy.together(sympy.powsimp(sympy.expand(expression))))
    return reduced == 0 or sympy.simplify(expression) == 0


def _order(expression: sympy.Expr) -> int:
    return max((derivative_order(s) or 0 for s in expression.free_symbols), default=0)
