"""The laws that the means of a solution obey whatever the solution is: every trajectory is checked against them."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from ..equations import Equation, derivative_symbol, highest_derivative, t, total_derivative_x, u, x


@dataclass(frozen=True)
class Balance:
    """``d/dt mean(q) = -rate(t) mean(q)`` on solutions: a law every trajectory is checked against.

    ``decay`` is ``exp(-int_0 rate dt)``.
    """

    name: str
    power: int
    decay: sympy.Expr


def balances(equation: Equation) -> tuple[Balance, ...]:
    """The balances of the mean of u and of u^2 that the formula itself implies on a periodic line.

    ``K = lambda(t) u + D_x(...)`` exactly when the Euler operator gives ``E(K) = lambda(t)``, and then the mean decays
    like ``exp(-int lambda)``; ``E(u K) = 2 lambda(t) u`` does the same for the mean of u^2 (Olver, theorem 4.7).

    >>> [b.name for b in balances(Equation("u_t + u*u_x = nu*u_xx", nu=0.1))]
    ['mean of u']
    """
    found = []
    for name, power in (("mean of u", 1), ("mean of u^2", 2)):
        density = equation.K * u ** (power - 1)
        rate = sympy.simplify(_euler(density) / (1 if power == 1 else u))
        if x in equation.K.free_symbols or not rate.free_symbols <= {t}:
            continue
        decay = sympy.exp(-sympy.integrate(rate, (t, 0, t)))
        if not decay.has(sympy.Integral):
            found.append(Balance(name, power, sympy.simplify(decay)))
    return tuple(found)


def _euler(density: sympy.Expr) -> sympy.Expr:
    """The Euler operator ``sum_m (-D_x)^m d/du_m``, which vanishes on total derivatives and only there."""
    result = sympy.Integer(0)
    for m in range(highest_derivative(density) + 1):
        term = sympy.diff(density, derivative_symbol(m))
        for _ in range(m):
            term = -total_derivative_x(term)
        result += term
    return sympy.expand(result)
