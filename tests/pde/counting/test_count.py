"""Upper bounds of algebras against dimensions from the literature, and the arithmetic under them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sympy
from sympy.polys.matrices import DomainMatrix

from symflow import pde
from symflow.errors import UserError
from symflow.pde.counting.count import at_order
from symflow.pde.counting.echelon import Echelon
from symflow.pde.counting.modular import PRIME, NoValue, Ring, rational

x, t, u = sympy.symbols("x t u", real=True)

KNOWN = [
    ("u_t + u*u_x + u_xxx = 0", 4),  # Olver 1993, chapter 2
    ("u_t + u*u_x - u_xx = 0", 5),  # the same
    ("u_tt - u_xx + sin(u) = 0", 3),  # Ibragimov (ed.), CRC Handbook 1
    ("u_t - u**3*u_xxx = 0", 5),  # Harry Dym, Baumann 2000
    ("u_t*u_x - u = 0", 10),
    ("u_t - Derivative(u**2*u_x, x) = 0", 4),  # Ovsiannikov 1982
    ("u_t - Derivative(u**(-4/3)*u_x, x) = 0", 5),  # the same
    ("u_t - Derivative(exp(u)*u_x, x) = 0", 4),
    ("u_t - u_xx - u*log(u) = 0", 4),  # Arrigo 2015
    ("u_t - u_x**3 = 0", 5),  # Hydon 2000, exercise 8.2
    ("u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0", 4),  # Ko, Kim and Lee 2024
    ("u_t + exp(t/50)*(u*u_x + u_xxx) = 0", 4),  # the same
    ("u_t + u*u_x + u_xxx + x*t*u**2 = 0", 0),
]


@pytest.mark.parametrize(("text", "dimension"), KNOWN)
def test_the_bound_is_the_dimension_of_the_literature(text: str, dimension: int) -> None:
    assert pde.count_symmetries(pde.Equation(text), dimension).at_most == dimension


def test_a_parameter_that_breaks_a_symmetry_counts() -> None:
    """A near-symmetry is none: 1e-9 of another term is another equation.

    With ``e u`` and ``e x u_x`` the scaling is lost, and dt, ``c dx + b du`` stay: ``c' = b, b' = -e b`` and
    ``c' = e c + b, b' = 0``.
    """
    for term in ("u", "x*u_x"):
        near = pde.Equation(f"u_t + u*u_x + u_xxx + e*{term} = 0", e=1e-9)
        assert pde.count_symmetries(near, 3).at_most == 3


def test_seeds_agree_and_repeat() -> None:
    burgers = pde.Equation("u_t + u*u_x - u_xx = 0")
    counts = [at_order(burgers, 7, seed) for seed in range(3)]
    assert len({c.dimensions for c in counts}) == 1
    assert at_order(burgers, 7, 0) == counts[0]


def test_an_infinite_algebra_has_no_bound_and_grows_by_its_functions() -> None:
    """One solution of the heat equation: its r-jets have 2 r + 1 parameters."""
    heat = at_order(pde.Equation("u_t - u_xx = 0"), 9)
    assert heat.at_most is None
    assert [d - (2 * r + 1) for r, d in enumerate(heat.dimensions)][1:4] == [5, 6, 6]


def test_dimensions_fall_with_the_order() -> None:
    kdv = pde.Equation("u_t + u*u_x + u_xxx = 0")
    low, high = at_order(kdv, 6).dimensions, at_order(kdv, 7).dimensions
    assert all(b <= a for a, b in zip(low, high, strict=False))


def test_a_result_says_that_there_are_no_others_or_how_many() -> None:
    verdict = pde.discover("burgers", domain="plane").verdicts.equation
    assert verdict is not None
    assert (verdict.word, verdict.complete, verdict.missing) == ("proved", True, 0)
    none = pde.discover("u_t + u*u_x + u_xxx + x*t*u**2 = 0").verdicts.equation
    assert none is not None
    assert (none.word, none.dimension, none.complete) == ("proved", 0, True)


def test_a_function_without_values_modulo_a_prime_is_refused() -> None:
    ring = Ring(1, 2, 0)
    with pytest.raises(UserError, match="modulo a prime"):
        ring.value(sympy.gamma(x), {x: ring.variable(0, 5)})


# ---------------------------------------------------------------- arithmetic


def taylor(f: sympy.Expr, at: int, degree: int) -> list[int]:
    return [rational(sympy.diff(f, x, n).subs(x, at) / sympy.factorial(n)) for n in range(degree + 1)]


@pytest.mark.parametrize("f", [x**3 - x / 3, 1 / (x + 2), (x**2 + 1) ** -3, x / (1 + x) ** 2])
def test_series_are_those_of_taylor(f: sympy.Expr) -> None:
    ring = Ring(1, 6, 0)
    assert ring.value(f, {x: ring.variable(0, 7)}).tolist() == taylor(f, 7, 6)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (sympy.exp(x / 2 + t) ** 2, sympy.exp(x) * sympy.exp(2 * t)),
        (sympy.sin(x + t), sympy.sin(x) * sympy.cos(t) + sympy.cos(x) * sympy.sin(t)),
        (sympy.cos(2 * x), 1 - 2 * sympy.sin(x) ** 2),
        (sympy.cosh(x) ** 2 - sympy.sinh(x) ** 2, sympy.Integer(1)),
        (sympy.tan(x) * sympy.cos(x), sympy.sin(x)),
        (x ** sympy.Rational(2, 3) * x ** sympy.Rational(1, 3), x),
        (sympy.sqrt(x * t), sympy.sqrt(x) * sympy.sqrt(t)),
    ],
)
def test_functions_keep_their_laws(left: sympy.Expr, right: sympy.Expr) -> None:
    ring = Ring(2, 4, 3)
    at = {x: ring.variable(0, 49), t: ring.variable(1, 121)}
    assert ring.value(left, at).tolist() == ring.value(right, at).tolist()


def test_the_derivative_of_a_logarithm() -> None:
    ring = Ring(1, 5, 0)
    at = {x: ring.variable(0, 9)}
    logarithm, reciprocal = ring.value(sympy.log(x), at), ring.value(1 / x, at)
    assert [(n + 1) * int(c) % PRIME for n, c in enumerate(logarithm[1:])] == reciprocal[:-1].tolist()


def test_a_pole_is_no_value() -> None:
    ring = Ring(1, 2, 0)
    with pytest.raises(NoValue):
        ring.value(1 / (x - 3), {x: ring.variable(0, 3)})


def test_echelon_forms_have_the_pivots_of_another_library() -> None:
    draw = random.Random(0)
    for _ in range(10):
        rows, columns, rank = draw.randrange(1, 12), draw.randrange(1, 12), draw.randrange(1, 6)
        a = np.array([[draw.randrange(PRIME) for _ in range(rank)] for _ in range(rows)], dtype=object)
        b = np.array([[draw.randrange(3) for _ in range(columns)] for _ in range(rank)], dtype=object)
        matrix = (a @ b % PRIME).astype(np.int64)
        form = Echelon(columns)
        new = form.add(matrix[: rows // 2]) + form.add(matrix[rows // 2 :])
        field = sympy.GF(PRIME, symmetric=False)
        exact = DomainMatrix([[field(int(v)) for v in row] for row in matrix], matrix.shape, field)
        pivots = list(exact.rref()[1])
        assert sorted(form.pivots.tolist()) == pivots
        assert new == len(pivots)
