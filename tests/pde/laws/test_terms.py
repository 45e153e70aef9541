"""Terms of a law and their total derivatives."""

from __future__ import annotations

import pytest
import sympy

from symflow.pde import Equation
from symflow.pde.equations.equation import derivative_symbol, t, total_derivative_x, u, x
from symflow.pde.laws.terms import by_parts, law

u_x, u_xx, u_xxx = (derivative_symbol(m) for m in (1, 2, 3))


@pytest.mark.parametrize(
    "expression",
    [u * u_x, u_xxx, u * u_xx, u**2 * u_xxx, u_x * u_xx, sympy.exp(t / 50) * u * u_x, x * u_x, sympy.sin(u) * u_x, u**3]
    + [u * u_xxx + 2 * u_x * u_xx, u_xx**2, x**2 * u * u_xx],
)
def test_parts_sum_to_the_expression(expression):
    total = sympy.S.Zero
    for k, f in by_parts(expression):
        for _ in range(k):
            f = total_derivative_x(f)
        total += f
    assert sympy.expand(total - expression) == 0


def test_total_derivatives_leave_no_derivative():
    for expression, k in ((u * u_x, 1), (u_xxx, 3), (u_x * u_xx + u * u_xxx, None), (sympy.sin(u) * u_x, 1)):
        parts = by_parts(expression)
        if k is not None:
            assert [p for p, _ in parts] == [k]
    assert by_parts(u * u_x) == ((1, u**2 / 2),)
    assert by_parts(u_x**2) == ((0, u_x**2),)  # no total derivative


def test_the_law_of_an_equation():
    assert law(Equation("2*u_t + 6*u*u_x = nu*u_xx", nu=0.25)) == {u * u_x: 3.0, u_xx: -0.125}
