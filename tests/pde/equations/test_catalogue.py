"""The equations known by name. That each field is a symmetry is proven in the tests of prolongation and read-out."""

from __future__ import annotations

import pytest
import sympy

from symflow.errors import UserError
from symflow.formulas import expressions
from symflow.pde.equations.catalogue import CATALOGUE, entry, lookup
from symflow.pde.equations.equation import Equation, t, u, x


def fields(name):
    symbols = {"x": x, "t": t, "u": u}
    return [[expressions.parse(f[k], symbols) for k in ("dx", "dt", "du")] for f in entry(name).symmetries]


def bracket(a, b):
    """``[A, B]^i = A(B^i) - B(A^i)``."""
    z = (x, t, u)
    return [
        sum(a[j] * sympy.diff(b[i], z[j]) - b[j] * sympy.diff(a[i], z[j]) for j in range(3)) for i in range(3)
    ]  # fmt: skip


def rank(vectors):
    """Of fields as functions: at enough rational points, exactly."""
    points = [(sympy.Rational(p), sympy.Integer(q) ** 2 - 1, sympy.Rational(r)) for p, q, r in POINTS]
    rows = [[c.subs(dict(zip((x, t, u), p, strict=True))) for p in points for c in v] for v in vectors]
    return sympy.Matrix(rows).rank(simplify=True)


POINTS = [(0, 1, 0), (1, 2, "1/3"), ("-2/5", 3, 2)]


@pytest.mark.parametrize(("name", "dimension"), [("kdv", 4), ("ks", 3), ("burgers", 5), ("nkdv", 4), ("ckdv", 4)])
def test_the_algebras_are_independent_and_closed(name, dimension):
    basis = fields(name)
    assert len(basis) == dimension
    assert rank(basis) == dimension
    for i, a in enumerate(basis):
        for b in basis[:i]:
            assert rank([*basis, bracket(a, b)]) == dimension


@pytest.mark.parametrize(
    ("name", "periodic"),
    [
        ("kdv", [("1", "0", "0"), ("0", "1", "0"), ("t", "0", "1")]),
        ("ks", [("1", "0", "0"), ("0", "1", "0"), ("t", "0", "1")]),
        ("burgers", [("1", "0", "0"), ("0", "1", "0"), ("t", "0", "1")]),
        ("nkdv", [("1", "0", "0"), ("0", "exp(-t/50)", "0"), ("50*(exp(t/50) - 1)", "0", "1")]),
        ("ckdv", [("1", "0", "0"), ("sqrt(t + 1)", "0", "1/(2*sqrt(t + 1))")]),
    ],
)
def test_the_fields_that_do_not_depend_on_x_are_those_of_the_periodic_box(name, periodic):
    symbols = {"t": t}
    expected = [[expressions.parse(c, symbols) for c in f] for f in periodic]
    own = [f for f in fields(name) if not any(c.has(x) for c in f)]
    assert len(own) == len(expected)
    assert rank(own + expected) == len(expected)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_lookup_finds_an_equation_however_it_is_written(name):
    assert entry(name.upper()) is CATALOGUE[name]
    assert lookup(entry(name).equation) == (name, CATALOGUE[name])
    K = sympy.expand(3 * entry(name).equation.K)
    assert lookup(Equation(f"0 = 3*u_t + {K}"))[0] == name


def test_lookup_knows_no_others():
    assert lookup(Equation("u_t + u*u_x = nu*u_xx", nu=0.1)) is None
    assert lookup(Equation("u_t + 6*u*u_x + u_xxx = 0")) is None


@pytest.mark.parametrize("name", ["heat", "", None, 3])
def test_unknown_names(name):
    with pytest.raises(UserError, match="known by name are kdv, ks, burgers, nkdv, ckdv"):
        entry(name)
