"""Kinds of equations by rule: members drawn at random, and their number of symmetries counted modulo a prime.

The count has no code in common with the search but the reading of the equation.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import sympy

from symflow.formulas import expressions
from symflow.pde import Equation, count_symmetries, discover
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


def rates_of_decimals(draw: Random) -> tuple[str, dict[str, float]]:
    """The same with numbers of two digits."""
    return "u_t = Derivative(u**(-4/3)*u_x, x) + a*u**(-1/3)", {"a": round(draw.uniform(0.2, 1.9), 2)}


def sources_in_systems(draw: Random) -> tuple[str, dict[str, float]]:
    """Free motion beside a given one: fifteen, of which some are of high degree in t."""
    return f"x_tt = {draw.randint(1, 5)}; y_tt = {draw.randint(1, 5)}*t", {}


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


def logarithms_of_derivatives(draw: Random) -> tuple[str, dict[str, float]]:
    return "u_tt = k*log(u_xx)", {"k": _decimal(draw)}


def numbers_that_nearly_vanish(draw: Random) -> tuple[str, dict[str, float]]:
    """What is small is not absent."""
    small = draw.choice(["1e-6", "1e-9", "1e-11", "0.000123"])
    return draw.choice(["u_t = u_xx + {}*u**2", "u_tt = u_xx + {}*u**3", "u_t = u_xx + {}*u*u_x"]).format(small), {}


RULES: list[Rule] = [
    powers_across_a_gap,
    powers_that_are_parameters,
    irrational_rates,
    rates_of_decimals,
    sources_in_systems,
    cubic_rates,
    integrals_of_coefficients,
    roots_of_derivatives,
    polar_coordinates,
    linear_odes,
    central_forces,
    logarithms_of_derivatives,
    numbers_that_nearly_vanish,
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_all_that_are_counted_are_found_and_proved(rule: Rule, seed: int) -> None:
    text, parameters = rule(Random(f"{rule.__name__} {seed}"))
    equation = Equation(text, **parameters)
    found = symmetries(equation)
    counted = count_symmetries(equation, len(found.forms)).at_most
    if counted is not None and counted > len(found.forms):  # as a discovery does: what is counted is looked for
        found = symmetries(equation, at_least=counted)
    assert all(found.verified), text
    assert counted == len(found.forms), text
    assert all(is_read_back(form, found) for form in found.forms)


def is_read_back(form: dict[str, sympy.Expr], found: Symmetries) -> bool:
    """Whether an answer, written as text, is the same to the parser."""
    names = {v.name: v for v in found.equation.space.variables}
    return all(sympy.simplify(expressions.parse(str(f), names) - f) == 0 for f in form.values())


Infinite = Callable[[Random], tuple[str, dict[str, float], int, int]]
"""An equation, its parameters, the dimension of its finite part, and how many families it has at least."""


def waves_in_disguise(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """``w_xt = a b w`` for ``w = exp(-a u)``."""
    return f"u_xt = {draw.randint(1, 4)}*u_x*u_t - {draw.randint(1, 4)}", {}, 4, 1


def potentials_in_disguise(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """``w_t = w_xx - c x^2 w`` for ``w = exp(u)``."""
    return f"u_t = u_xx + u_x**2 - {draw.choice([1, 4, 9])}*x**2", {}, 6, 1


def systems_that_are_linear_in_part(draw: Random) -> tuple[str, dict[str, float], int, int]:
    return f"u_t = u_xx + u**{draw.choice([2, 3])}; v_t = v_xx - {draw.randint(1, 4)}*x**2*v", {}, 2, 1


def waves_on_a_curved_surface(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """Of any mass: sl(2) beside ``u du``."""
    return f"u_tt = u_xx - {draw.choice([1, 2, 3, 6])}*u/sin(x)**2", {}, 4, 1


def heat_in_another_time(draw: Random) -> tuple[str, dict[str, float], int, int]:
    return f"u_t = u_xx/(1 + {draw.choice([1, 4])}*t**2)", {}, 6, 1


def conformal_maps(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """Liouville's equation in other units of x."""
    return f"u_xt = {draw.choice(['exp(x)', 'exp(2*x)', '(1 + x**2)', 'exp(-x)*t'])}*exp(u)", {}, 0, 2


def light_cones(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """Functions of ``x + c t`` and ``x - c t`` beside superposition."""
    return f"u_tt = {draw.choice(['4', '9', '1/4'])}*u_xx", {}, 1, 3


def light_cones_of_irrational_slopes(draw: Random) -> tuple[str, dict[str, float], int, int]:
    return f"u_tt = {draw.choice([1, 2, 4])}*u_xt + {draw.choice([1, 3])}*u_xx", {}, 1, 3


def media_of_powers(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """sl(2) and ``u du``; the squared time to x, ``x^(2 - a)``, is needed."""
    return f"{draw.choice(['u_t', 'u_tt'])} = x**({draw.choice(['6/5', '4/5', '1/2', '5/2'])})*u_xx", {}, 4, 1


def media_with_horizons(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """Klein and Gordon's equation in the time to x, a logarithm or an arc tangent."""
    return f"u_tt = (1 {draw.choice('+-')} {draw.choice([1, 4])}*x**2)**2*u_xx", {}, 4, 1


def linear_with_awkward_numbers(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """Translations and ``u du``."""
    a, b, c = draw.randint(11, 2999), draw.randint(11, 99), draw.randint(11, 99)
    return f"u_t + {a}*u_x - {b}*u_xx - u_xxx/{c} + 3*u_xxxx/40000 = 0", {}, 3, 1


def interest_rates(draw: Random) -> tuple[str, dict[str, float], int, int]:
    return "u_t + x*u_xx/2 + (a - x)*u_x - x*u = 0", {"a": _decimal(draw)}, 4, 1


def media_that_grow(draw: Random) -> tuple[str, dict[str, float], int, int]:
    return "u_t = Derivative(exp(mu*x)*u_x, x)", {"mu": _decimal(draw)}, 4, 1


def powers_without_a_scaling(draw: Random) -> tuple[str, dict[str, float], int, int]:
    """``(1 + t)^r`` with ``r^2 - r = c``, irrational, which are looked for where the count leaves room; no family."""
    return f"u_t + u*u_x + u_xxx = {draw.choice([1, 3, 4, 5])}*x/(1 + t)**2", {}, 3, 0


INFINITE: list[Infinite] = [
    powers_without_a_scaling,
    waves_in_disguise,
    potentials_in_disguise,
    systems_that_are_linear_in_part,
    waves_on_a_curved_surface,
    heat_in_another_time,
    conformal_maps,
    light_cones,
    light_cones_of_irrational_slopes,
    media_of_powers,
    media_with_horizons,
    linear_with_awkward_numbers,
    interest_rates,
    media_that_grow,
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("rule", INFINITE, ids=lambda rule: rule.__name__)
def test_families_and_what_is_beside_them_are_all_that_are_counted(rule: Infinite, seed: int) -> None:
    text, parameters, finite, families = rule(Random(f"{rule.__name__} {seed}"))
    found = discover(Equation(text, **parameters))
    said = found.verdicts.equation
    assert said is not None
    assert (said.word, said.dimension) == ("proved", finite), text
    assert len(found.families) >= families, text
    assert said.complete, text  # the Taylor polynomials at a point are all there can be, modulo a prime


@pytest.mark.slow
@pytest.mark.parametrize("power", [0.7, 0.3])
def test_a_medium_on_an_interval_is_answered_whole_or_not_called_whole(power: float) -> None:
    """Four beside superposition, Bluman and Anco 2002; the fourth of 0.3 nearly is a polynomial on the interval."""
    found = discover(Equation("u_tt - (1 + x)**(2 + A)*(1 - x)**(2 - A)*u_xx = 0", A=power))
    said = found.verdicts.equation
    assert said is not None
    assert len(found.families) == 1
    assert found.verify() == [True] * said.dimension
    assert said.dimension == 4 if said.complete else said.dimension < 4


@pytest.mark.slow
def test_a_search_that_is_too_long_says_where_it_ended() -> None:
    """A linear equation with a source of products: what superposes is known, the rest is said not to be."""
    found = discover(Equation("u_xx + u_yy = 64*u - 10*(17 + x**2 + y**2)*sin(p*x)*sin(4*p*y)", p=3.14))
    said = found.verdicts.equation
    assert said is not None
    assert len(found.families) == 1
    assert said.complete or "its budget was spent" in said.reach


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
