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
from symflow.pde.equations.catalogue import CATALOGUE
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


def test_the_formula_is_read_exactly():
    equation = Equation("u_t + u*u_x = nu*u_xx", nu=0.01)
    assert u * u_x - sympy.Rational(1, 100) * u_xx == equation.K
    assert equation.order == 2
    assert equation.sensitivities == (u_x, u, sympy.Rational(-1, 100))
    assert u_xxx == Equation("0 = -2*u_t - 2*u_xxx").K
    assert Equation("u_t = -u_xxxxx + sin(x)*u").order == 5


def test_equality_and_hash_are_those_of_text_and_parameters():
    assert Equation("u_t + u_x = 0") == Equation("u_t + u_x = 0")
    assert Equation("u_t + c*u_x = 0", c=1) != Equation("u_t + c*u_x = 0", c=2)


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
    point, equation = (x0 / 4, t0 / 4), CATALOGUE[name].equation
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
    equation, point = CATALOGUE[name].equation, (0.7, 1.3)
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
    equation = CATALOGUE["ckdv"].equation
    random = torch.Generator().manual_seed(0)
    jets = torch.randn(10, 7, generator=random, dtype=torch.float64)
    at = torch.rand(2, 7, generator=random, dtype=torch.float64)
    together = equation.surface(at[0], at[1], jets, total_degree(2)).coefficients
    for i in range(7):
        alone = equation.surface(at[0, i], at[1, i], jets[:, i], total_degree(2)).coefficients
        assert torch.equal(together[:, i], alone)
