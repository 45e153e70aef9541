"""Closed forms do not depend on the basis of the span; structure constants obey the laws of an algebra."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.algebra.readout import (
    COARSE,
    SNAP,
    combination,
    exact_bracket,
    rational,
    sparse_basis,
    structure_constants,
)
from symflow.algebra.simplification import short_exponents, simplest
from symflow.formulas import expressions

x, y, z = sympy.symbols("x y z", real=True)


def forms(*texts: tuple[str, str, str]) -> list[dict[str, sympy.Expr]]:
    names = {"x": x, "y": y, "z": z}
    keys = ("dx", "dy", "dz")
    return [{k: expressions.parse(f, names) for k, f in zip(keys, row, strict=True)} for row in texts]


ROTATIONS = forms(("0", "-z", "y"), ("z", "0", "-x"), ("-y", "x", "0"))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_the_basis_does_not_depend_on_how_the_span_is_given(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor([[1, 0, 3, 0, -2], [0, 1, 0.5, 0, 0], [0, 0, 0, 1, 7]], dtype=torch.float64)
    mixing = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    if torch.linalg.cond(mixing) > 1e4:
        return
    noise = 1e-13 * torch.randn(3, 5, generator=generator, dtype=torch.float64)
    size = torch.tensor([1.0, 10.0, 0.1, 1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(sparse_basis(mixing @ (rows + noise), size), rows, rtol=1e-6, atol=1e-6)


@given(st.integers(-1000, 1000), st.integers(1, 300), st.floats(-1e-10, 1e-10))
def test_rational_finds_the_fraction_that_was_meant(p: int, q: int, error: float) -> None:
    assert rational(p / q * (1 + error)) == sympy.Rational(p, q)


@given(st.floats(1e-4, 1e4), st.sampled_from([(1e-9, 300), (1e-4, 24), (1e-8, 100)]))
def test_rational_is_the_first_denominator_that_is_near(value: float, bounds: tuple[float, int]) -> None:
    """Against all of them, one after the other."""
    tolerance, largest = bounds
    found = rational(value, tolerance, largest)
    near = (
        sympy.Rational(round(value * q), q)
        for q in range(1, largest + 1)
        if abs(Fraction(round(value * q), q) - Fraction(value)) <= Fraction(tolerance) * Fraction(value)
    )
    assert found == next(near, None)
    assert rational(-value, tolerance, largest) == (None if found is None else -found)


def test_rational_refuses_what_is_none() -> None:
    assert rational(2**0.5) is None


def test_combination_has_integer_coefficients() -> None:
    rows = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.02, 0.0]], dtype=torch.float64)
    form = combination(rows, [sympy.Integer(1), sympy.exp(x)], ("dx", "dy", "dz"))
    assert form == {"dx": 50 * sympy.exp(x), "dy": 0, "dz": 1}


def test_combination_keeps_numbers_that_are_not_rational() -> None:
    form = combination(torch.tensor([[1.0], [2**0.5]]), [x], ("dx", "dy"))
    assert float(form["dy"].coeff(x)) == pytest.approx(2**0.5, rel=1e-6)


def test_rotations_have_the_constants_of_so3() -> None:
    constants = structure_constants(ROTATIONS)
    assert constants is not None
    for i, j, k in itertools.product(range(3), repeat=3):
        assert constants[i][j][k] == -sympy.LeviCivita(i, j, k)  # vector fields: the opposite of the matrices


@pytest.mark.parametrize(
    "algebra",
    [
        ROTATIONS,
        forms(("1", "0", "0"), ("x", "0", "0"), ("x**2", "0", "0")),
        forms(("exp(y)", "1", "0"), ("x", "0", "0")),
    ],
)
def test_jacobi_identity_and_antisymmetry(algebra: list[dict[str, sympy.Expr]]) -> None:
    c = structure_constants(algebra)
    if c is None:
        # not closed: the bracket of the last two is indeed outside the span
        bracket = exact_bracket(algebra[0], algebra[1])
        assert any(sympy.simplify(f) != 0 for f in bracket.values())
        return
    n = range(len(algebra))
    for i, j, k in itertools.product(n, repeat=3):
        assert c[i][j][k] == -c[j][i][k]
        for m in n:
            assert sum(c[i][j][l] * c[l][k][m] + c[j][k][l] * c[l][i][m] + c[k][i][l] * c[l][j][m] for l in n) == 0


def test_fields_that_exist_on_an_interval_have_constants() -> None:
    """``[sqrt(1 - x) d, (1 - x) d] = -sqrt(1 - x) d/2``."""
    constants = structure_constants(forms(("sqrt(1 - x)", "0", "0"), ("1 - x", "0", "0")))
    assert constants is not None
    assert constants[0][1] == [sympy.Rational(-1, 2), 0]
    assert structure_constants(forms(("sqrt(-4 - x)", "0", "0"))) is None  # nowhere that is looked at


def test_a_span_that_is_not_closed_has_no_constants() -> None:
    assert structure_constants(forms(("0", "x", "0"), ("0", "0", "y"))) is None


def test_exact_bracket_of_a_scaling_and_a_translation() -> None:
    (scaling, translation) = forms(("x", "2*y", "0"), ("0", "1", "0"))
    assert exact_bracket(translation, scaling) == {"dx": 0, "dy": 2, "dz": 0}


def test_simplest_prefers_what_is_shorter_to_read() -> None:
    assert str(simplest(x**2 / sympy.sqrt(x**2 + 1) + 1 / sympy.sqrt(x**2 + 1))) == "sqrt(x**2 + 1)"


def test_what_is_hardly_independent_still_has_a_basis_of_numbers() -> None:
    """A leading entry may be far smaller than what it leads to."""
    vectors = torch.tensor([[1.0, 0.0, 1e9], [0.0, 1.0, 1e9]], dtype=torch.float64)
    basis = sparse_basis(vectors, torch.ones(3))
    assert torch.isfinite(basis).all()


def test_awkward_exponents_are_not_multiplied_out() -> None:
    """2.718281828 is 679570457/250000000: as a power of exp(t/250000000) it would fill the memory."""
    t = sympy.Symbol("t", real=True)
    fast = sympy.exp(sympy.Rational("2.718281828") * t)
    short, values = short_exponents(fast + fast.diff(t))
    assert len(values) == 1
    assert short.subs(values) == fast + fast.diff(t)
    assert simplest(fast * fast.diff(t)) == fast * fast.diff(t)


def test_numbers_in_units_of_the_equation_are_exact() -> None:
    t = sympy.Symbol("t", real=True)
    unit = sympy.Rational("3.14159265")
    row = torch.tensor([[1.5 * 3.14159265], [1.0]], dtype=torch.float64)
    form = combination(row, [t], ["dx", "dt"], [unit])
    assert form == {"dx": 3 * unit * t, "dt": 2 * t}
    decimal, root = sympy.Rational("0.823"), sympy.sqrt(3)
    row = torch.tensor([[1.0], [float(decimal * (1 + root))]], dtype=torch.float64)
    form = combination(row, [t], ["dx", "dt"], [decimal, 1 / decimal, root])
    assert sympy.expand(form["dt"] / form["dx"] - decimal * (1 + root)) == 0


def test_numbers_that_mean_nothing_are_not_read_among_many_units() -> None:
    """Each alone is near some multiple of a small one; that six of a field are says nothing."""
    root = sympy.sqrt(314)
    rationals = (sympy.Rational(p, q) for p, q in ((314, 1), (25, 98_596), (314, 25), (5, 1)))
    units = [a * b for a in rationals for b in (1, root, 1 / root)]
    functions = [x**n for n in range(7)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        row = torch.cat([torch.ones(1), 1e4 + 1e4 * torch.rand(6, generator=generator)]).double()[None]
        assert any(f.atoms(sympy.Float) for f in combination(row, functions, ["dx"], units).values())
    meant = torch.tensor([[1.0, *(float(n * units[n]) for n in range(1, 7))]], dtype=torch.float64)
    assert not combination(meant, functions, ["dx"], units)["dx"].atoms(sympy.Float)


def test_fewer_digits_are_read_by_a_coarser_tolerance() -> None:
    row = torch.tensor([[1.0, 0.5 + 2e-8, -2 / 3 + 1e-8]], dtype=torch.float64)
    fine, coarse = (combination(row, [1, x, x**2], ["dx"], tolerance=tolerance)["dx"] for tolerance in (SNAP, COARSE))
    assert fine.atoms(sympy.Float)
    assert coarse == 6 + 3 * x - 4 * x**2
