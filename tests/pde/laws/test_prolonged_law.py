"""The polynomial in the coefficients against the determining condition."""

from __future__ import annotations

import sympy
import torch

from jets_of_laws import random_jets
from symflow.pde import CATALOGUE, Equation
from symflow.pde.equations.equation import derivative_order, derivative_symbol, t, total_derivative_x, u, x
from symflow.pde.laws.certificates import dictionary
from symflow.pde.laws.prolonged_law import jet_order, prolong

KDV = CATALOGUE["kdv"]


def _condition(equation, form):
    """R by the definition: D_t Q + sum K_m D_x^m Q with u_t replaced, symbolically."""
    xi, tau, phi = form
    Q = phi - xi * derivative_symbol(1) + tau * equation.K
    rates, powers = [-equation.K], [Q]
    orders = [derivative_order(s) or 0 for s in Q.free_symbols]
    for _ in range(max(orders)):
        rates.append(total_derivative_x(rates[-1]))
    for _ in range(equation.order):
        powers.append(total_derivative_x(powers[-1]))
    R = sympy.diff(Q, t) + sum(sympy.diff(Q, derivative_symbol(m)) * r for m, r in enumerate(rates))
    return R + sum(s * p for s, p in zip(equation.sensitivities, powers, strict=True))


def test_the_polynomial_is_the_determining_condition():
    """At random laws and for a field that is no symmetry, against the symbolic determining equations."""
    terms = dictionary(KDV.equation)
    jets = random_jets(50, jet_order(terms), 1)
    points = prolong(terms, jets)
    form = (x * t + u**2, t**2 * u + x, x * u - sympy.sin(t))
    random = torch.Generator().manual_seed(0)
    for _ in range(2):
        theta = torch.randint(-3, 4, (len(terms),), generator=random).double()
        K = sum(int(a) * m for a, m in zip(theta, terms, strict=True))
        equation = Equation(f"u_t + {K} + 0*u_x = 0") if K.has(derivative_symbol(1)) else Equation(f"u_t + {K} = 0")
        value = points.polynomial(form)(theta)
        R = _condition(equation, form)
        at = {x: jets.x, t: jets.t} | {derivative_symbol(m): jets.u[m] for m in range(len(jets.u))}
        symbols = sorted(R.free_symbols, key=str)
        expected = sympy.lambdify(symbols, R, "numpy")(*(at[s].numpy() for s in symbols))
        torch.testing.assert_close(value, torch.as_tensor(expected), rtol=1e-9, atol=1e-9)
