"""Families against the literature, against other code for members of them, and against the count modulo a prime."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import sympy
import torch

from symflow.fields import Series, total_degree
from symflow.pde import Equation
from symflow.pde.counting import at_order
from symflow.pde.families import Functions, Spans, Whole, families, whole_algebra
from symflow.pde.symmetries import Symmetries, prolongation, symmetries
from symflow.pde.symmetries.superposition import superposition

x, y, t, u, v = sympy.symbols("x y t u v", real=True)

INFINITE = {
    # equation: arguments of the families, in the literature
    "u_xt - exp(u) = 0": [(x,), (t,)],  # Liouville
    "u_xx + u_yy - exp(u) = 0": [(x, y)],  # its elliptic form: conformal maps
    "u_xx + u_yy + Derivative(exp(u), t, t) = 0": [(x, y)],  # Boyer and Finley
    "u_t - u*u_x = 0": [(x, t, u), (u, t * u + x), (u, t * u + x)],
    "u_t = (u + u**3)*u_x": [(x, t, u), *[(u, t * u**3 + t * u + x)] * 2],
    "u_t = u_xx/u_x**2": [(t, u)],  # made linear by exchanging x and u
    "u_t + u*u_x + v_x = 0; v_t + u*v_x + v*u_x = 0": [(u, v)],  # shallow water: the hodograph
    "u_y*u_xy - u_x*u_yy - u_yyy = 0": [(x,)],  # boundary layer
    "u_y*u_xy - u_x*u_yy - u_yyy - sin(x) = 0": [(x,)],
    "3*u_yy + u_xxxx + 6*u_xx*u + 6*u_x**2 + 4*u_xt = 0": [(t,), (t,), (t,)],  # Kadomtsev and Petviashvili
    "u_xxt + u_yyt + u_y*(u_xxx + u_xyy) - u_x*(u_xxy + u_yyy) = 0": [(t,), (t,), (t,)],  # Euler's, by stream function
    "u_tt - u_xx = u_t**2 - u_x**2": [(x, t), (t + x,), (-t + x,)],
}


@cache
def found(text: str) -> tuple[Equation, Symmetries, Whole]:
    equation = Equation(text)
    known = symmetries(equation)
    return equation, known, whole_algebra(equation, known.forms, known.superposition)


@pytest.mark.parametrize("text", INFINITE)
def test_families_are_those_of_the_literature(text: str) -> None:
    several = found(text)[2].families
    assert all(family.verified for family in several)
    assert sorted(map(str, (f.functions.arguments for f in several))) == sorted(map(str, INFINITE[text]))


@pytest.mark.parametrize("text", ["u_xt - exp(u) = 0", "u_t - u*u_x = 0", "u_y*u_xy - u_x*u_yy - u_yyy = 0"])
@pytest.mark.parametrize("function", [lambda a: a**3, sympy.exp, lambda a: sympy.sin(2 * a)])
def test_members_are_symmetries_by_the_prolongation_formula(
    text: str, function: Callable[[sympy.Expr], sympy.Expr]
) -> None:
    """f is replaced by a function of one's own, and the proof is that of any closed form."""
    equation, _, whole = found(text)
    for family in whole.families:
        arguments = sympy.symbols(f"a:{len(family.functions.arguments)}", real=True)
        f = function(sum((n + 1) * a for n, a in enumerate(arguments)))
        values = {}
        for symbol, (_, index) in family.functions.located(family.order).items():
            value = f
            for a, n in zip(arguments, index, strict=True):
                value = sympy.diff(value, a, n) if n else value
            values[symbol] = value.subs(dict(zip(arguments, family.functions.arguments, strict=True)))
        member = {key: component.subs(values) for key, component in family.form.items()}
        assert any(member.values())
        assert prolongation.is_symmetry(equation, member)


@pytest.mark.parametrize("text", ["u_xt - exp(u) = 0", "u_xx + u_yy - exp(u) = 0", "u_t - u*u_x = 0", "u_t - u_xx = 0"])
def test_families_and_generators_have_all_taylor_polynomials_there_can_be(text: str) -> None:
    """The count knows nothing of families; that of an order is sharp well below it."""
    equation, known, whole = found(text)
    spans = Spans(equation)
    for family in whole.families:
        spans.add(spans.polynomials(family))
    for i in whole.finite:
        spans.add(spans.polynomial(known.forms[i]))
    assert spans.dimensions()[:4] == at_order(equation, equation.order + 6).dimensions[:4]
    assert whole.counted == 3


def test_an_equation_of_a_finite_algebra_has_no_family() -> None:
    equation = Equation("u_t + u*u_x + u_xxx = 0")
    assert families(equation, symmetries(equation).forms) == []


def test_systems_of_more_equations_than_unknowns_superpose() -> None:
    """Maxwell's in the plane, with the constraint."""
    maxwell = Equation("h_t = e_y - f_x; e_t = h_y; f_t = -h_x; e_x + f_y = 0")
    superposed = superposition(maxwell, [sympy.Integer(1)])
    assert superposed is not None
    assert len(superposed.condition) == 4


def test_generators_of_which_every_order_brings_more_are_not_called_all() -> None:
    """Cauchy and Riemann: what is left belongs to holomorphic functions of both x + i y and u + i v."""
    _, _, whole = found("u_x + v_y = 0; u_y - v_x = 0")
    assert whole.finite
    assert whole.counted is None


def test_generators_that_are_members_of_families_are_taken_out() -> None:
    _, known, whole = found("u_xt = 0")
    assert [known.forms[i] for i in whole.finite] == [{"dx": 0, "dt": 0, "du": u}]


FUNCTIONS = [
    Functions((t,)),
    Functions((x, t)),
    Functions((u, x + t * u)),
    Functions((x, t), ("f", "g")),
    Functions((x, t), ("f", "g"), sympy.Rational(3, 2)),
]


@pytest.mark.parametrize("functions", FUNCTIONS, ids=str)
def test_the_chain_rule_is_that_of_a_function_of_ones_own(functions: Functions) -> None:
    formula = sum(
        (n + 2) * (x + u) ** (n % 3) * s for n, s in enumerate(functions.symbols(1))
    )  # linear in the derivatives
    for z in (x, t, u):
        derived = functions.along(formula, z, 1)
        difference = sympy.diff(_with_values(functions, formula), z) - _with_values(functions, derived)
        assert sympy.simplify(difference) == 0


@pytest.mark.parametrize("functions", FUNCTIONS, ids=str)
def test_values_on_series_are_those_of_a_function_of_ones_own(functions: Functions) -> None:
    truncation = total_degree(3, 3)
    point = {x: 0.7, t: 0.4, u: 1.1}
    coefficients = torch.zeros(len(truncation), 1, 3, dtype=torch.float64)
    coefficients[0, 0] = torch.tensor(list(point.values()), dtype=torch.float64)
    for i in range(3):
        coefficients[truncation.index[tuple(int(i == j) for j in range(3))], 0, i] = 1.0
    at = {s: float(_with_values(functions, s).subs(point)) for s in functions.symbols(1 + 3)}
    rows = [[at[functions.symbol(k, p)] for k in functions.indices(4)] for p in range(len(functions.names))]
    jets = torch.tensor(rows, dtype=torch.float64)
    got = functions.on_series(Series(truncation, coefficients), (x, t, u), 1, jets[..., None])
    for symbol, series in zip(functions.symbols(1), got, strict=True):
        for index in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 2), (2, 1, 0)):
            expected = _with_values(functions, symbol)
            for z, n in zip((x, t, u), index, strict=True):
                expected = sympy.diff(expected, z, n) if n else expected
            assert float(series.derivative_at_origin(index)) == pytest.approx(float(expected.subs(point)), abs=1e-9)


def _with_values(functions: Functions, formula: sympy.Expr) -> sympy.Expr:
    """With ``f = sin(a + 2 b)``, ``g = exp(a - b)``, or the parts of ``F = exp(a + i c b)``."""
    order = 5
    values = {}
    if functions.turn is not None:
        a, b = functions.arguments
        parts = (sympy.exp(a) * sympy.cos(functions.turn * b), sympy.exp(a) * sympy.sin(functions.turn * b))
        values = {s: parts[p] for s, (p, _) in functions.located(order).items()}
        return formula.subs(values)
    letters = sympy.symbols(f"a:{len(functions.arguments)}", real=True)
    wholes = (
        sympy.sin(sum((n + 1) * a for n, a in enumerate(letters))),
        sympy.exp(sum((-1) ** n * a for n, a in enumerate(letters))),
    )
    for symbol, (part, index) in functions.located(order).items():
        value = wholes[part]
        for a, n in zip(letters, index, strict=True):
            value = sympy.diff(value, a, n) if n else value
        values[symbol] = value.subs(dict(zip(letters, functions.arguments, strict=True)))
    return formula.subs(values)


def test_jets_of_functions_that_solve_an_equation_are_those_of_solutions() -> None:
    f_t, f_xx = sympy.symbols("f_t f_xx", real=True)
    heat = Functions((x, t), ("f",), None, (f_t - f_xx,))
    jets = heat.jets(4, {x: 0.3, t: 0.8})
    assert jets.shape[-1] == 5 + 4  # f ... f_xxxx and f_t ... f_xxxt, of which two follow: 9 are free to order 4
    place = {k: n for n, k in enumerate(heat.indices(4))}
    for k in ((0, 0), (1, 0), (2, 0), (0, 1)):
        higher = (k[0] + 2, k[1]), (k[0], k[1] + 1)
        difference = jets[0, place[higher[0]]] - jets[0, place[higher[1]]]
        assert float(difference.abs().max()) < 1e-12


@pytest.mark.parametrize("factor", ["sin(x)", pytest.param("exp(x)*cosh(x)", marks=pytest.mark.slow)])
def test_a_factor_before_an_exponential_is_taken_into_the_unknown(factor: str) -> None:
    """``u_xy = a(x) exp(u)`` is Liouville's for ``u + log a``: two families, of which one has ``a'/a`` beside f."""
    equation = Equation(f"u_xy = {factor}*exp(u)")
    several = families(equation)
    assert sorted(str(f.functions.arguments) for f in several) == ["(x,)", "(y,)"]
    a = sympy.sympify(factor, {"x": x})
    (of_x,) = (f for f in several if f.functions.arguments == (x,))
    along = of_x.form["dx"]
    due = of_x.functions.along(along, x, 1) + along * sympy.diff(a, x) / a
    assert sympy.simplify(of_x.form["du"] + due) == 0


@pytest.mark.parametrize(("b", "c"), [(2, 1), (1, 1), (3, -1), (0, 3)])
def test_characteristics_with_irrational_slopes(b: int, c: int) -> None:
    """``u_tt = b u_xt + c u_xx`` has a family along each characteristic, whatever the roots of its symbol are."""
    equation = Equation(f"u_tt = {b}*u_xt + {c}*u_xx")
    slopes = sympy.Poly(t**2 - b * t - c, t).all_roots()
    several = [family for family in families(equation) if family.form["dx"] != 0]  # the others are solutions
    assert len(several) == 2
    for family in several:
        (argument,) = family.functions.arguments
        slope = -sympy.diff(argument, t) / sympy.diff(argument, x)
        assert any(sympy.simplify(slope + root) == 0 for root in slopes)  # x + root t


@pytest.mark.parametrize("c", ["2", "3", "1/2"])
def test_complex_arguments_with_irrational_axes(c: str) -> None:
    """``u_xx + c u_yy = 0`` is Laplace's equation in y/sqrt(c)."""
    (family,) = (f for f in families(Equation(f"u_xx + {c}*u_yy = 0")) if f.form["dx"] != 0)
    assert family.functions.turn is not None
    assert family.functions.turn**2 in (sympy.Rational(c), 1 / sympy.Rational(c))


def test_free_derivatives_of_solutions_of_a_system() -> None:
    """Of ``f_t = g_x, g_t = f_x`` the jets up to order r are those of f and g on a line: 2 (r + 1) for each order."""
    f_t, g_t, f_x, g_x = sympy.symbols("f_t g_t f_x g_x", real=True)
    functions = Functions((x, t), ("f", "g"), None, (f_t - g_x, g_t - f_x))
    assert [functions.jets(r, {x: 0.3, t: 0.7}).shape[-1] for r in range(5)] == [2, 4, 6, 8, 10]


def test_families_that_are_not_all_there_leave_the_answer_open() -> None:
    """Functions of two complex arguments are not found: what brings more order by order is not counted as finite."""
    _, _, whole = found("u_x - v_y = u; u_y + v_x = v")
    assert whole.families
    assert whole.counted is None
