"""Equations: what the text means, and the Taylor polynomials of exact solutions that follow from it."""

from __future__ import annotations

import math

import mpmath
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.errors import UserError
from symflow.fields.series import total_degree
from symflow.pde.equations.catalogue import ENTRIES
from symflow.pde.equations.equation import (
    Equation,
    derivative_order,
    derivative_symbol,
    t,
    total_derivative_x,
    u,
    u_t,
    x,
)

u_x, u_xx, u_xxx = (derivative_symbol(m) for m in (1, 2, 3))


# ---------------------------------------------------------------- text


def test_the_formula_is_read_exactly():
    equation = Equation("u_t + u*u_x = nu*u_xx", nu=0.01)
    assert u * u_x - sympy.Rational(1, 100) * u_xx == equation.K
    assert equation.order == 2
    assert equation.sensitivities == (u_x, u, sympy.Rational(-1, 100))
    assert u_xxx == Equation("0 = -2*u_t - 2*u_xxx").K
    assert Equation("u_t = -u_xxxxx + sin(x)*u").order == 5


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
    ("text", "principal", "order"),
    [
        ("u_tt - u_xx + sin(u) = 0", ["u_tt"], 2),
        (
            "u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx",
            ["u_xxt"],
            3,
        ),  # u_t is not solved for: u_xxt differentiates it
        ("u_xt = exp(u)", ["u_xt"], 2),
        ("u_t = u_xx + u_yy + u - u**3", ["u_t"], 2),
        ("u_tx + u*u_xx = 0", ["u_xt"], 2),
        ("u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0", ["u_t", "v_t"], 2),
    ],
)
def test_equations_are_solved_for_a_principal_derivative(text, principal, order):
    equation = Equation(text)
    assert [s.name for s in equation.principal] == principal
    assert equation.order == order
    for F in equation.residuals:
        assert sympy.expand(F.subs(equation.rules)) == 0


def test_a_system_of_two_orders_is_differentiated_to_the_higher_one():
    equation = Equation("v_x = u; v_t = u_xx")
    names = {s.name for s in equation.rules}
    assert {"v_x", "v_xx", "v_xt", "v_t"} <= names


def test_equality_and_hash_are_those_of_text_and_parameters():
    assert Equation("u_t + u_x = 0") == Equation("u_t + u_x = 0")
    assert Equation("u_t + c*u_x = 0", c=1) != Equation("u_t + c*u_x = 0", c=2)


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


@pytest.mark.parametrize("name", ["x", "u", "u_x", "u_t", "exp", "a b", ""])
def test_parameters_have_names_of_their_own(name):
    with pytest.raises(UserError, match="a parameter cannot be called"):
        Equation("u_t + u_x = 0", **{name: 1.0})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_parameters_are_finite(value):
    with pytest.raises(UserError, match="must be a finite number"):
        Equation("u_t + c*u_x = 0", c=value)


def test_symbols():
    assert [derivative_order(derivative_symbol(m)) for m in range(6)] == list(range(6))
    assert derivative_order(u_t) is None
    assert derivative_order(x) is None
    assert derivative_order(sympy.Symbol("u_xt", real=True)) is None


def test_total_derivative():
    assert sympy.expand(total_derivative_x(x * u * u_xx)) == sympy.expand(u * u_xx + x * u_x * u_xx + x * u * u_xxx)
    assert total_derivative_x(t) == 0


# ---------------------------------------------------------------- exact solutions

KAPPA = mpmath.sqrt(mpmath.mpf(11) / 19)


def kdv(x, t):
    """A soliton of speed 0.8."""
    return 3 * mpmath.mpf("0.8") / mpmath.cosh(mpmath.sqrt(mpmath.mpf("0.2")) * (x - mpmath.mpf("0.8") * t)) ** 2


def ks(x, t):
    h = mpmath.tanh(KAPPA / 2 * (x - 2 * t))
    return 2 + mpmath.mpf(15) / 19 * KAPPA * (11 * h**3 - 9 * h)


def burgers(x, t):
    nu, k = mpmath.mpf("0.01"), 3
    return 1 - 2 * nu * k * mpmath.tanh(k * (x - t))


def nkdv(x, t):
    return kdv(x, 50 * mpmath.expm1(t / 50))


def ckdv(x, t):
    T = t + 1
    return kdv(x / mpmath.sqrt(T), -2 / mpmath.sqrt(T)) / T + x / (2 * T)


SOLUTIONS = {"kdv": kdv, "ks": ks, "burgers": burgers, "nkdv": nkdv, "ckdv": ckdv}


def taylor(solution, point, i, j):
    """The coefficient of ``s**i r**j`` at a point, to more digits than float64 has."""
    with mpmath.workdps(60):
        at = tuple(mpmath.mpf(c) for c in point)
        return float(mpmath.diff(solution, at, (i, j)) / mpmath.factorial(i) / mpmath.factorial(j))


@pytest.mark.parametrize("name", list(SOLUTIONS))
@settings(max_examples=2, deadline=None)
@given(x0=st.integers(-8, 8), t0=st.integers(0, 12))
def test_surface_is_the_taylor_polynomial_of_the_solution(name, x0, t0):
    point, equation = (x0 / 4, t0 / 4), ENTRIES[name].equation
    truncation = total_degree(2)
    count = equation.jet_order(truncation) + 1
    derivatives = torch.tensor(
        [taylor(SOLUTIONS[name], point, m, 0) * math.factorial(m) for m in range(count)], dtype=torch.float64
    )
    at = [torch.tensor(c, dtype=torch.float64) for c in point]
    surface = equation.surface(*at, derivatives, truncation)
    # the derivatives given to it are of size max|derivatives| and enter with round-off
    tolerance = 1e-13 * float(derivatives.abs().max()) + 1e-13
    for i, j in truncation.monomials:
        assert float(surface[i, j]) == pytest.approx(taylor(SOLUTIONS[name], point, i, j), rel=1e-11, abs=tolerance)


@pytest.mark.parametrize("name", list(SOLUTIONS))
def test_rate_is_the_derivative_of_u_t(name):
    equation, point = ENTRIES[name].equation, (0.7, 1.3)
    derivatives = torch.tensor(
        [[taylor(SOLUTIONS[name], point, m, 0) * math.factorial(m)] for m in range(equation.order + 3)],
        dtype=torch.float64,
    )
    at = [torch.tensor([c], dtype=torch.float64) for c in point]
    rate = equation.rate(*at, derivatives, 3)
    for j in range(3):
        expected = taylor(SOLUTIONS[name], point, j, 1) * math.factorial(j)
        assert float(rate[j]) == pytest.approx(expected, rel=1e-11, abs=1e-13 * float(derivatives.abs().max()))
    residual = equation.residual(*at, list(derivatives), rate[0])
    assert abs(float(residual)) < 1e-13 * float(derivatives.abs().max())


def test_points_do_not_see_each_other():
    """Row by row or all at once: the same bits."""
    equation = ENTRIES["ckdv"].equation
    random = torch.Generator().manual_seed(0)
    jets = torch.randn(10, 7, generator=random, dtype=torch.float64)
    at = torch.rand(2, 7, generator=random, dtype=torch.float64)
    together = equation.surface(at[0], at[1], jets, total_degree(2)).coefficients
    for i in range(7):
        alone = equation.surface(at[0, i], at[1, i], jets[:, i], total_degree(2)).coefficients
        assert torch.equal(together[:, i], alone)
