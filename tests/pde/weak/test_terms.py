"""Terms of a law with their coefficients."""

from __future__ import annotations

from symflow.pde import Equation
from symflow.pde.equations import derivative_symbol, u
from symflow.pde.weak.terms import law

u_x, u_xx = derivative_symbol(1), derivative_symbol(2)


def test_the_law_of_an_equation():
    assert law(Equation("2*u_t + 6*u*u_x = nu*u_xx", nu=0.25)) == {u * u_x: 3.0, u_xx: -0.125}
