"""Every spelling of an equation is the same equation; other texts are refused in a sentence."""

from __future__ import annotations

import pytest
import sympy

from symflow.errors import UserError
from symflow.pde.equations.equation import (
    Equation,
    derivative_symbol,
    u,
)

u_x, u_xx = (derivative_symbol(m) for m in (1, 2))


@pytest.mark.parametrize(
    "text",
    [
        "u_t + Derivative(u**2/2, x) + Derivative(u, x, x, x) = 0",
        "Derivative(u(x, t), t) + u(x, t)*Derivative(u(x, t), x) + Derivative(u(x, t), (x, 3)) = 0",
        "D(u, t) = -u*D(u, x) - diff(u, x, 3)",
        "u_t + u*u_x + Derivative(u_x, x, 2) = 0",
    ],
)
def test_derivatives_have_several_spellings(text):
    assert Equation(text).residuals == Equation("u_t + u*u_x + u_xxx = 0").residuals


def test_a_coefficient_of_diffusion_may_be_called_d():
    """``D`` is a derivative only where it is called."""
    assert sympy.expand(-u_xx / 2 - 2 * u * u_x) == Equation("u_t = D*u_xx + D(u**2, x)", D=0.5).K


def test_sympy_objects_are_equations():
    X, T = sympy.symbols("x t")
    U = sympy.Function("u")(X, T)
    kdv = sympy.Eq(U.diff(T) + U * U.diff(X), -U.diff(X, 3))
    assert Equation(kdv).residuals == Equation("u_t + u*u_x + u_xxx = 0").residuals
    nu = sympy.Symbol("nu")
    assert -u_xx / 2 == Equation(U.diff(T) - nu * U.diff(X, 2), nu=0.5).K
    with pytest.raises(UserError, match="a derivative must be one of u or v in x, y and t, got Derivative"):
        Equation(sympy.Function("w")(X, T).diff(T) + sympy.Function("w")(X, T))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (5, "`text` must be an equation such as"),
        ("u_x + u = 0", "derivatives in two variables at least"),
        ("u_t**2 + u_x**2 = 1", "linear in a derivative that it can be solved for"),
        ("u_t + u = 0", "must contain an x-derivative of u"),
        ("u_t + u_x*0 = 0", "must contain an x-derivative of u"),
        ("u_t + nu*u_xx = 0", "unknown name 'nu'"),
        ("u_t + u_xxxxxx = 0", "unknown name 'u_xxxxxx'"),
        ("u_t + u_ttt + u_x = 0", "unknown name 'u_ttt'"),
        ("u_t + v*u_x = 0", "2 unknowns (u, v) need as many equations, got 1"),
        ("v_t + v_x = 0", "the first unknown must be called u"),
        ("u_t + Derivative(u, z) = 0", "unknown name 'z'"),
        ("u_t + Derivative(u, u) = 0", "Derivative is in x, y or t, got u"),
        ("u_t + Derivative(u, x, 9) = 0", "order of a derivative must be from 1 to 5"),
        ("u_t + Derivative(u) = 0", "Derivative takes an expression and the variables"),
        ("u_t + u(x, 3) = 0", "u(...) takes the names of the independent variables"),
        ("u_t + u_x = 0 = 1", "unexpected '='"),
        ("u_t + u_x(2) = 0", "unexpected '('"),
        ("u_t + u_x/0 = 0", "division by zero"),
        ("u_t + __import__('os').system('true')*u_x = 0", "unexpected"),
        ("u_t + 9**9**9*u_x = 0", "exponent beyond"),
        ("u_t + " + "(" * 100 + "u_x" + ")" * 100 + " = 0", "nested levels"),
        ("", "unexpected end"),
    ],
)
def test_other_texts_are_refused_in_a_sentence(text, sentence):
    with pytest.raises(UserError) as caught:
        Equation(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
