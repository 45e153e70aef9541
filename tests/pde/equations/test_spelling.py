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
    w, r, s = sympy.Function("w"), *sympy.symbols("r s")
    assert Equation(w(r, s).diff(r, s) - w(r, s)).space.names == ("r", "s", "w")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (5, "`text` must be an equation such as"),
        ("u_t**5 + u_t + u_x**5 + u_x = 1", "linear or quadratic in a derivative that it can be solved for"),
        ("u_t**2 = u_x**2", "must be no product of others"),
        ("u_t = v_x; v_t = u_x; u_x = 1; v_x = x", "must not contradict each other"),
        ("u + x = 0", "each hold a derivative"),
        ("u_r + u_s = 0", "must contain a derivative of an unknown"),
        ("u_x + u_y + u_z + u_t + u_x1 = 0", "at most 4 independent variables, got 5 (x, x1, y, z, t)"),
        ("u_x = 0; u_x = 1", "must not contradict each other"),
        ("u_xy = u; u_x = 1; u_y = x", "must not contradict each other"),
        ("x_y + y_x = 0", "'x' must be an independent variable or an unknown, got both"),
        ("u_t + nu*u_xx = 0", "unknown name 'nu'"),
        ("u_t + v*u_x = 0", "unknown name 'v'"),
        ("u_t = u_x + v_x", "2 unknowns (u, v) need as many equations, got 1"),
        ("u_t + Derivative(u, q) = 0", "Derivative is in t, got q"),
        ("u_t + Derivative(u, u) = 0", "Derivative is in t, got u"),
        ("u_t + Derivative(u, x, 0) = 0", "order of a derivative must be a number from 1 on"),
        ("u_t + u_" + 80 * "x" + " = 0", "unknown name"),
        ("u_t + Derivative(u) = 0", "Derivative takes an expression and the variables"),
        ("u_t = laplace(u)", "laplace is in the variables of space, of which the text shows none"),
        ("u_t = div(u*grad(u))", "grad is in the variables of space, of which the text shows none"),
        ("u_t + 0*u_x = grad(u)", "a sum of vectors of different lengths, or of a vector and a number"),
        ("u_t + u_x = div(u)", "div takes one vector"),
        ("u_t + u_x = curl((u, u))", "curl takes a vector of as many components"),
        ("u_t + u_x = grad(u)*grad(u)", "a product of vectors"),
        ("u_t + u_x = exp(grad(u))", "a vector where a number is expected"),
        ("u_t + |u_x = 0", "expected '|'"),
        ("u_t + p_x = 0; p = u**2", "each hold a derivative"),
        ("u_t + u(x, 3) = 0", "u(...) takes the names of the independent variables"),
        ("u_t + u_x = 0 = 1", "unexpected '='"),
        ("u_t + u_x(2) = 0", "unexpected '('"),
        ("u_t + u_x/0 = 0", "division by zero"),
        ("u_t + __import__('os').system('true')*u_x = 0", "unexpected"),
        ("u_t + 9**9**9*u_x = 0", "exponent beyond"),
        ("u_t + " + "(" * 100 + "u_x" + ")" * 100 + " = 0", "nested levels"),
        ("", "must contain a derivative of an unknown"),
    ],
)
def test_other_texts_are_refused_in_a_sentence(text, sentence):
    with pytest.raises(UserError) as caught:
        Equation(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("u_t = laplace(u) + u_x*u_y", "u_t = u_xx + u_yy + u_x*u_y"),
        ("u_t = div(u*grad(u)) + 0*u_xy", "u_t = u*u_xx + u_x**2 + u*u_yy + u_y**2"),
        ("u_t = |grad(u)|**2 + 0*u_xy", "u_t = u_x**2 + u_y**2"),
        ("dot(curl(curl((u, u_y, u_z))), (1, 0, 0)) = u_t + 0*u_x", "u_yxy + u_zxz - u_yy - u_zz = u_t"),
        ("curl((u_x, u_y)) + u_t = u_xx + 0*u_y", "u_t = u_xx + 0*u_y"),
        ("i*psi_t + psi_xx = |psi|**2*psi", "p_t + q_xx = (p**2 + q**2)*q; -q_t + p_xx = (p**2 + q**2)*p"),
        ("psi_t = conj(psi) + re(psi) + i*im(psi)", "p_t = 2*p; q_t = 0"),
        ("u_t = cot(x)*u_x + coth(x) + sec(x)*csc(x)", "u_t = cos(x)/sin(x)*u_x + cosh(x)/sinh(x) + 1/(cos(x)*sin(x))"),
        ("u_t = ln(u)*u_x + pi*E", "u_t = log(u)*u_x + pi*exp(1)"),
    ],
)
def test_vectors_complex_numbers_and_functions_mean_what_they_stand_for(text, same):
    found, expected = Equation(text), Equation(same)
    back = dict(zip(expected.space.dependent, found.space.dependent, strict=True))

    def renamed(F):
        space = expected.space
        return F.subs({s: found.space.symbol(*space.locate(s)) for s in F.free_symbols if space.locate(s)})

    assert len(back) == len(found.space.dependent)
    assert all(
        any(sympy.expand(F - renamed(G)) == 0 or sympy.expand(F + renamed(G)) == 0 for G in expected.residuals)
        for F in found.residuals
    )
