"""Kinds of equations by rule: members drawn at random, and their number of symmetries counted modulo a prime.

The count has no code in common with the search but the reading of the equation.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import sympy

from symflow.formulas import expressions
from symflow.pde import Equation, count_symmetries
from symflow.pde.symmetries.algebra import Symmetries, symmetries

Rule = Callable[[Random], tuple[str, dict[str, float]]]


def _decimal(draw: Random) -> float:
    return round(draw.uniform(0.3, 1.9), 3)


def powers_across_a_gap(draw: Random) -> tuple[str, dict[str, float]]:
    """``y^(k + 1) d/du``, far above the other degrees."""
    return f"u_yy - {draw.randint(3, 8)}*u_y/y + u_x*u_xx = 0", {}


def powers_that_are_parameters(draw: Random) -> tuple[str, dict[str, float]]:
    return "u_yy + a*u_y/y + b*u_x*u_xx = 0", {"a": _decimal(draw), "b": _decimal(draw)}


def irrational_rates(draw: Random) -> tuple[str, dict[str, float]]:
    """``exp(+- 2 x sqrt(c/3))``."""
    return f"u_t = Derivative(u**(-4/3)*u_x, x) + {draw.randint(1, 9)}/{draw.randint(2, 9)}*u**(-1/3)", {}


def cubic_rates(draw: Random) -> tuple[str, dict[str, float]]:
    """Solutions of ``f''' = c f``."""
    return f"u_tt = u_t**3 + u_xxx - {draw.choice([2, 3, 4, 5])}*u", {}


def integrals_of_coefficients(draw: Random) -> tuple[str, dict[str, float]]:
    g = draw.choice(["1/(1 + {c}*t**2)", "sqrt(1 + {c}*t**2)"]).format(c=draw.randint(1, 4))
    return f"u_t + {g}*u*u_x + u_xxx = 0", {}


def roots_of_derivatives(draw: Random) -> tuple[str, dict[str, float]]:
    return "u_t = u_x**n*u_xx", {"n": draw.choice([1.5, 2.5, 0.5, -1.5])}


def polar_coordinates(draw: Random) -> tuple[str, dict[str, float]]:
    return f"u_xx + u_x/x + u_yy/x**2 + u**{draw.choice([3, 4])} = 0", {}


def linear_odes(draw: Random) -> tuple[str, dict[str, float]]:
    """Eight of each, whatever the coefficients."""
    a, b = draw.choice([(0, 1), (0, -4), (3, 2), (2, 1), (2, 2)])
    return f"u_tt + {a}*u_t + {b}*u = 0", {}


def central_forces(draw: Random) -> tuple[str, dict[str, float]]:
    n = draw.choice(["3/2", "2", "5/2"])
    return f"x_tt + x/(x**2 + y**2)**({n}) = 0; y_tt + y/(x**2 + y**2)**({n}) = 0", {}


RULES: list[Rule] = [
    powers_across_a_gap,
    powers_that_are_parameters,
    irrational_rates,
    cubic_rates,
    integrals_of_coefficients,
    roots_of_derivatives,
    polar_coordinates,
    linear_odes,
    central_forces,
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_all_that_are_counted_are_found_and_proved(rule: Rule, seed: int) -> None:
    text, parameters = rule(Random(f"{rule.__name__} {seed}"))
    equation = Equation(text, **parameters)
    found = symmetries(equation)
    assert all(found.verified), text
    assert count_symmetries(equation, len(found.forms)).at_most == len(found.forms), text
    assert all(is_read_back(form, found) for form in found.forms)


def is_read_back(form: dict[str, sympy.Expr], found: Symmetries) -> bool:
    """Whether an answer, written as text, is the same to the parser."""
    names = {v.name: v for v in found.equation.space.variables}
    return all(sympy.simplify(expressions.parse(str(f), names) - f) == 0 for f in form.values())


@pytest.mark.parametrize(
    ("w", "factor"),
    [("exp(3*u)", "exp(-3*u)"), ("u**2 + u", "1/(2*u + 1)"), ("sin(u)", "1/cos(u)"), ("log(u)", "u")],
)
def test_solutions_superpose_in_disguise(w: str, factor: str) -> None:
    """The heat equation for w(u), written for u."""
    u = sympy.Symbol("u", real=True)
    W = expressions.parse(w, {"u": u})
    q = sympy.simplify(sympy.diff(W, u, 2) / sympy.diff(W, u))
    found = symmetries(Equation(f"u_t = u_xx + ({q})*u_x**2"))
    assert found.superposition is not None
    ratio = found.superposition.factor / expressions.parse(factor, {"u": u})
    assert sympy.simplify(sympy.diff(ratio, u)) == 0
    assert [str(e) for e in found.superposition.condition] == ["f_t - f_xx"]
    assert len(found.forms) == 6
    assert all(found.verified)


@pytest.mark.parametrize(
    ("text", "finite"),
    [("u_t = u_xx + {c}", 6), ("u_tt = u_xx + u_yy + {c}", 11), ("u_tt + u_xxxx = {c}*t", 4)],
)
def test_a_source_changes_no_number(text: str, finite: int) -> None:
    """Particular solutions are taken out of the finite part, whose brackets then close."""
    found = symmetries(Equation(text.format(c="5/3")))
    assert len(found.forms) == finite
    assert all(found.verified)
    assert found.superposition is not None


@pytest.mark.parametrize("number", ["1.11e-4", "0.123456789", "sqrt(2)", "pi", "3e5"])
def test_awkward_numbers_are_exact(number: str) -> None:
    found = symmetries(Equation(f"u_t = {number}*u_xx"))
    assert len(found.forms) == 6
    assert all(found.verified)
