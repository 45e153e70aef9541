"""Integration by parts: the parts sum to the expression, and nothing that is a total derivative keeps one."""

from __future__ import annotations

import pytest
import sympy

from symflow.pde.equations import JetSpace, derivative_symbol, t, u, x
from symflow.pde.weak.parts import moved

PLANE = JetSpace(("t", "x"), ("u",))
u_x, u_xx, u_xxx = (derivative_symbol(m) for m in (1, 2, 3))


@pytest.mark.parametrize(
    "expression",
    [u * u_x, u_xxx, u * u_xx, u**2 * u_xxx, u_x * u_xx, sympy.exp(t / 50) * u * u_x, x * u_x, sympy.sin(u) * u_x, u**3]
    + [u * u_xxx + 2 * u_x * u_xx, u_xx**2, x**2 * u * u_xx],
)
def test_parts_sum_to_the_expression(expression):
    total = sympy.S.Zero
    for k, f in moved(expression, PLANE):
        for i, n in enumerate(k):
            for _ in range(n):
                f = PLANE.total_derivative(f, i)
        total += f
    assert sympy.expand(total - expression) == 0


def test_total_derivatives_leave_no_derivative():
    for expression, k in ((u * u_x, 1), (u_xxx, 3), (u_x * u_xx + u * u_xxx, None), (sympy.sin(u) * u_x, 1)):
        parts = moved(expression, PLANE)
        if k is not None:
            assert [p for p, _ in parts] == [(0, k)]
    assert moved(u * u_x, PLANE) == (((0, 1), u**2 / 2),)
    assert moved(u_x**2, PLANE) == (((0, 0), u_x**2),)  # no total derivative
