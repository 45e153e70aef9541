"""The algebras of equations against the literature, and the laws that any algebra obeys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch

from symflow import SymbolicField, principal_angles
from symflow.algebra import readout
from symflow.formulas import expressions
from symflow.pde import Equation
from symflow.pde.equations.jets import JetSpace, derivative, variable
from symflow.pde.equations.manifold import Manifold
from symflow.pde.symmetries import prolongation
from symflow.pde.symmetries.algebra import Symmetries, symmetries
from symflow.pde.symmetries.prolongation import determining_coefficients, row_factors, solution_lines

KNOWN = json.loads((Path(__file__).parents[3] / "benchmarks" / "algebras.json").read_text())["equations"]
x, y, t, u, v = (variable(name) for name in "xytuv")

Form = Mapping[str, Any]


def exact(space: JetSpace, form: Form) -> dict[str, sympy.Expr]:
    names = dict(zip(space.names, space.variables, strict=True))
    return {f"d{name}": expressions.parse(str(form.get(f"d{name}", "0")), names) for name in space.names}


def angle(found: Symmetries, known: Sequence[Form]) -> float:
    """The largest principal angle between the closed forms found and known fields, on points not searched on."""
    generator = torch.Generator().manual_seed(11)
    points = torch.rand(400, len(found.coordinates.names), generator=generator, dtype=torch.float64)
    a, b = (
        SymbolicField(found.coordinates, [{k: str(f) for k, f in form.items()} for form in forms])
        for forms in (found.forms, known)
    )
    assert a.generators == b.generators
    return float(principal_angles(a, b, points).max())


# ---------------------------------------------------------------- known algebras


@pytest.mark.parametrize("entry", KNOWN, ids=[entry["name"] for entry in KNOWN])
def test_known_algebras(entry: dict[str, Any]) -> None:
    equation = Equation(entry["equation"], **entry.get("parameters", {}))
    found = symmetries(equation)
    assert len(found.forms) == entry["dimension"] == len(entry["generators"])
    assert found.stable
    assert all(found.verified)
    assert angle(found, entry["generators"]) < 1e-8
    if "superposition" in entry:
        assert found.superposition is not None
        assert str(found.superposition.factor) == entry["superposition"]["factor"]
        assert [str(e) for e in found.superposition.condition] == [entry["superposition"]["condition"]]
    else:
        assert found.superposition is None
    for form in entry.get("non_symmetries", []):
        assert not prolongation.is_symmetry(equation, exact(equation.space, form))


@pytest.mark.parametrize("entry", [e for e in KNOWN if "commutators" in e], ids=lambda entry: entry["name"])
def test_known_brackets(entry: dict[str, Any]) -> None:
    space = Equation(entry["equation"], **entry.get("parameters", {})).space
    forms = [exact(space, form) for form in entry["generators"]]
    symbols = {f"V{k + 1}": sympy.Symbol(f"V{k + 1}") for k in range(len(forms))}
    for i in range(len(forms)):
        for j in range(i + 1, len(forms)):
            combined = expressions.parse(entry["commutators"].get(f"[V{i + 1}, V{j + 1}]", "0"), symbols)
            bracket = readout.exact_bracket(forms[i], forms[j])
            for key, component in bracket.items():
                expected = sum(combined.coeff(s) * form[key] for s, form in zip(symbols.values(), forms, strict=True))
                assert sympy.simplify(component - expected) == 0


LITERATURE = [
    # water waves
    ("u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx", 3),  # Camassa-Holm: Clarkson, Mansfield, Priestley 1997
    ("u_t - u_xxt + 4*u*u_x = 3*u_x*u_xx + u*u_xxx", 3),  # Degasperis-Procesi: the same scaling u/t
    ("u_t - u_xxt + u_x + u*u_x = u*u_xxx + 3*u_x*u_xx", 3),  # Fornberg-Whitham: (1 - D^2)(u_t + u u_x) + u_x
    ("u_t + u_x + u*u_x - u_xxt = 0", 3),  # Benjamin-Bona-Mahony: Bruzon, Gandarias 2009
    ("u_tt = u_xx + Derivative(u**2, x, x) + u_xxxx", 3),  # Boussinesq: Levi, Winternitz 1989
    ("u_t + u*u_x + u_xxx - u_xxxxx = 0", 3),  # Kawahara: translations and boost
    ("u_t + 5*u**2*u_x + 5*u_x*u_xx + 5*u*u_xxx + u_xxxxx = 0", 3),  # Sawada-Kotera
    ("u_t + u*u_x + u_xxx = sin(t)", 4),  # u + cos(t) and a moving frame: KdV
    ("u_t + u*u_x + u_xxx + u/t = 0", 3),  # spherical KdV: Popovych, Vaneeva 2010, a/t with a other than 1/2
    ("u_t = u**3*u_xxx", 5),  # Harry Dym: Leo et al. 1983
    ("u_t = u_xxx - 3/2*u_xx**2/u_x", 6),  # Schwarzian KdV: sl(2) of Moebius maps of u, x, t and scaling
    ("u_t + u_x**2/2 + u_xxx = 0", 5),  # potential KdV
    # diffusion
    ("u_t = u_xx + u*log(u)", 4),  # Dorodnitsyn 1982
    ("u_t = u_xx + u**3", 3),  # Dorodnitsyn 1982
    ("u_t = Derivative(u**(-4/3)*u_x, x)", 5),  # Ovsiannikov 1959
    ("u_t = Derivative(exp(u)*u_x, x)", 4),  # Ovsiannikov 1959
    ("u_t = Derivative(u_x/u**2, x)", 4),  # point symmetries; the infinite ones are not local: Bluman, Kumei 1980
    ("u_t = u_xx/(1 + u_x**2)", 5),  # curve shortening: the Euclidean group of the plane, t and scaling
    ("u_t = exp(u_x)*u_xx", 5),  # Akhatov, Gazizov, Ibragimov 1991
    ("u_t = (1 + u_x**4)*u_xx", 4),  # the kernel of the same classification
    ("u_t = u_xx + u*u_x + u", 3),  # Cherniha, Serov 1998: the boost grows like exp(t)
    # waves
    ("u_tt = Derivative(u**2*u_x, x)", 4),  # Ames, Lohner, Adams 1981
    ("u_tt = Derivative(u_x/u**4, x)", 5),  # the same, special powers
    ("u_tt = Derivative(u**(-4/3)*u_x, x)", 5),
    ("u_xt = u + Derivative(u**3, x, x)/6", 3),  # short pulse: Liu, Li 2009
    ("u_xt = exp(u) - exp(-2*u)", 3),  # Tzitzeica: translations and boost
    # systems
    ("u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0", 5),  # cubic Schroedinger: Gagnon et al. 1988
    ("u_t + v_xx + (u**2 + v**2)**2*v = 0; v_t - u_xx - (u**2 + v**2)**2*u = 0", 6),  # quintic: critical in 1-D
    ("u_t = u_xx + u - u**3 - v; v_t = v_xx + u - v/2", 2),  # FitzHugh-Nagumo: translations
    ("u_t + u*u_x + v_x = 0; v_t + Derivative(u*v, x) + u_xxx = 0", 4),  # Kaup-Boussinesq: boost and scaling
    # explicit variables
    ("u_t + exp(t)*u*u_x + u_xxx = 0", 3),  # dt - u du beside dx and the boost
    ("u_t + cos(t)*u*u_x + u_xxx = 0", 2),  # dx and sin(t) dx + du
    ("u_t + tanh(t)*u*u_x + u_xxx = 0", 2),  # dx and log(cosh(t)) dx + du
    ("u_t + u*u_x = u_xx - x", 5),  # Burgers in a harmonic potential: still equivalent to heat
    ("u_t + u*u_x = u_xx + tanh(x)", 1),
]
LINEAR = [
    # finite parts: Bluman, Kumei, Symmetries and Differential Equations, section 4.2.4, and changes of variables
    ("u_t = u_xx + Derivative(x*u, x)", 6),  # Fokker-Planck, Ornstein-Uhlenbeck
    ("u_t + x**2*u_xx/2 + x*u_x - u = 0", 6),  # Black-Scholes: Gazizov, Ibragimov 1998
    ("u_t = u_xx - x**2*u", 6),  # harmonic oscillator
    ("u_t = u_xx + x*u", 6),
    ("u_t = u_xx + u/x**2", 4),
    ("u_t = u_xx + u_x/x", 4),  # radial in the plane; in three dimensions 6
    ("u_t = u_xx + 2*u_x/x", 6),
    ("u_t = x*u_xx + (1 - x)*u_x", 4),  # Cox-Ingersoll-Ross: Craddock, Platen 2004
    ("u_t = (1 + t)*u_xx", 6),  # the time t + t**2/2
    ("u_t = cos(t)*u_xx", 6),  # the time sin(t)
    ("u_t = u_xx + sin(x)*u", 2),
    ("u_t + u_xxx = 0", 4),
    ("u_tt = u_xx - u", 4),
    ("u_tt + u_t/t = u_xx", 4),  # Euler-Poisson-Darboux
    ("u_tt = x**2*u_xx", 4),  # log(x): a Klein-Gordon equation
    ("u_t + v_xx = 0; v_t - u_xx = 0", 7),  # Schroedinger: heat with complex factors
    ("u_tt = -u_xxxx", 4),
]
PLANE = [
    ("(1 + u_y**2)*u_xx - 2*u_x*u_y*u_xy + (1 + u_x**2)*u_yy = 0", 7),  # minimal surfaces: similarities of space
    ("u_xx*u_yy - u_xy**2 = 0", 15),  # developable surfaces: the projective group of space
    ("u_xx + u_yy = sin(u)", 3),
    ("u_t + u*u_x + u_xxx + u_xyy = 0", 5),  # Zakharov-Kuznetsov
    ("u_tt = u_xx + u_yy + u**5", 10),  # the conformal power in 2 + 1 dimensions
    ("u_tt = u_xx + u_yy + u**3", 7),  # another one: Poincare and scaling
    ("u_tt - u_xx - u_yy + sin(u) = 0", 6),  # Poincare
    ("u_t = Derivative(u*u_x, x) + Derivative(u*u_y, y)", 6),
    ("u_t = u_xx + u_yy + u*log(u)", 7),
    ("u_t = u_xx + u_yy + u_x**2 + u_y**2", 9),  # exp(u) solves the heat equation
    ("u_t = u_xx + u_yy", 9),
    ("u_tt = u_xx + u_yy", 11),  # the conformal group and u du
    ("u_t = u_xx + x*u_y", 8),  # Kolmogorov: Koval, Bihlo, Popovych 2022
    # vector Burgers and Schroedinger in the plane: the projective field is there
    ("u_t + u*u_x + v*u_y = u_xx + u_yy; v_t + u*v_x + v*v_y = v_xx + v_yy", 8),
    ("u_t + v_xx + v_yy + (u**2 + v**2)*v = 0; v_t - u_xx - u_yy - (u**2 + v**2)*u = 0", 9),
]
AWKWARD = [
    ("u_t + a*u*u_x + b*u_xxx = 0", {"a": 137.5, "b": 1e-3}, 4),
    ("u_t + u*u_x = nu*u_xx", {"nu": 1e-3}, 5),
    ("u_t + u*u_x + u_xxx = a*u", {"a": 137.5}, 3),
    ("u_tt = 3.14159265*u_xx - 2.5*u", {}, 4),
    ("u_t = 3/7*u_xx + 2.718281828*u*log(u)", {}, 4),
]


def check(equation: Equation, dimension: int) -> None:
    found = symmetries(equation)
    assert len(found.forms) == dimension
    assert found.stable
    assert all(found.verified)


@pytest.mark.parametrize(("text", "dimension"), LITERATURE)
def test_dimensions_of_the_literature(text: str, dimension: int) -> None:
    check(Equation(text), dimension)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "dimension"), LINEAR)
def test_finite_parts_of_linear_equations(text: str, dimension: int) -> None:
    check(Equation(text), dimension)
    assert symmetries(Equation(text)).superposition is not None


@pytest.mark.slow
@pytest.mark.parametrize(("text", "dimension"), PLANE)
def test_dimensions_in_two_space_dimensions(text: str, dimension: int) -> None:
    check(Equation(text), dimension)


@pytest.mark.parametrize(("text", "parameters", "dimension"), AWKWARD)
def test_awkward_numbers(text: str, parameters: dict[str, float], dimension: int) -> None:
    check(Equation(text, **parameters), dimension)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "u_xt + u_x**2 + u*u_xx + u_xxxx + u_yy = 0",  # Kadomtsev-Petviashvili: David et al. 1986
        "u_xt = exp(u)",  # Liouville
        "u_xx + u_yy = exp(u)",
        "u_t + u*u_x = 0",
        "u_tt + 2*u_t/t = u_xx",  # t*u solves the wave equation
        "u_t = u_xx/u_x**2",  # x as a function of u and t solves the heat equation
    ],
)
def test_infinite_algebras_never_look_complete(text: str) -> None:
    found = symmetries(Equation(text))
    assert not found.stable
    assert all(found.verified)


# ---------------------------------------------------------------- laws of the algebra


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("u_t + u*u_x + u_xxx = 0", "-7*u_t/3 - 7*u*u_x/3 = 7*u_xxx/3"),
        ("u_tt - u_xx + sin(u) = 0", "exp(x + t)*(sin(u) + u_tt) = exp(t + x)*u_xx"),
        ("u_t = u_xx + u*log(u)", "0 = Derivative(u, t) - D(u, (x, 2)) - log(u)*u"),
    ],
)
def test_the_span_is_that_of_the_equation_however_it_is_written(text: str, other: str) -> None:
    found = symmetries(Equation(text))
    assert angle(found, [{k: str(f) for k, f in form.items()} for form in symmetries(Equation(other)).forms]) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "changed", "back", "jacobian"),
    [  # new variables in terms of old ones by `back`; fields are pushed forward by `jacobian`
        # x = 2 X, t = 5 T, u = 3 U
        (
            "u_t + u*u_x + u_xxx = 0",
            "3*u_t/5 + 9*u*u_x/2 + 3*u_xxx/8 = 0",
            {"x": "2*x", "t": "5*t", "u": "3*u"},
            {"dx": "dx/2", "dt": "dt/5", "du": "du/3"},
        ),
        # u = U + T
        (
            "u_t + u*u_x = u_xx",
            "u_t + 1 + (u + t)*u_x = u_xx",
            {"u": "u + t"},
            {"dx": "dx", "dt": "dt", "du": "du - dt"},
        ),
        # u = exp(U)
        (
            "u_t = u_xx + u*log(u)",
            "u_t = u_xx + u_x**2 + u",
            {"u": "exp(u)"},
            {"dx": "dx", "dt": "dt", "du": "du*exp(-u)"},
        ),
        # x = X + T**2, moving faster and faster
        (
            "u_tt = u_xx - sin(u)",
            "u_tt - 4*t*u_xt + (4*t**2 - 1)*u_xx - 2*u_x + sin(u) = 0",
            {"x": "x + t**2"},
            {"dx": "dx - 2*t*dt", "dt": "dt", "du": "du"},
        ),
    ],
)
def test_a_change_of_variables_changes_the_generators_accordingly(
    text: str, changed: str, back: dict[str, str], jacobian: dict[str, str]
) -> None:
    names = {"x": x, "t": t, "u": u} | {key: sympy.Symbol(key) for key in ("dx", "dt", "du")}
    old = {variable(key): expressions.parse(f, names) for key, f in back.items()}
    pushed = []
    for form in symmetries(Equation(text)).forms:
        here = {sympy.Symbol(key): f.subs(old, simultaneous=True) for key, f in form.items()}
        pushed.append({key: sympy.expand(expressions.parse(f, names).subs(here)) for key, f in jacobian.items()})
    assert angle(symmetries(Equation(changed)), pushed) < 1e-9


def test_parameters_are_named_and_hold_for_all_values() -> None:
    found = symmetries(Equation("u_t + u*u_x + u_xxx + a*u = 0", a=0.1))
    a = sympy.Symbol("a", positive=True)
    assert any(form["du"].has(sympy.exp(-a * t)) for form in found.named)
    found = symmetries(Equation("u_tt + g*u_t = c**2*u_xx", g=0.3, c=2.0))
    assert {str(form["dx"]) for form in found.named} == {"1", "0", "2*c**2*t"}


def test_generators_without_a_variable_are_those_of_the_periodic_part() -> None:
    found = symmetries(Equation("u_t + u*u_x + u_xxx = 0"), without=("x",))
    assert angle(found, [{"dx": "1"}, {"dt": "1"}, {"dx": "t", "du": "1"}]) < 1e-12


def test_decimal_numbers_prove_nothing() -> None:
    """Rounded coefficients may cancel in floating point: 3.1415927 is not 3.14159265."""
    equation = Equation("u_tt = 3.14159265*u_xx")
    boost = {"dx": sympy.Float(3.1415927, 8) * t, "dt": sympy.Float(1.0, 8) * x, "du": sympy.Integer(0)}
    assert not prolongation.is_symmetry(equation, boost)


# ---------------------------------------------------------------- jets and prolongation


@pytest.mark.parametrize("letters", ["xt", "xy", "yt"])
def test_total_derivatives_commute(letters: str) -> None:
    space = JetSpace(("x", "y", "t"), ("u", "v"))
    i, j = (space.independent.index(name) for name in letters)
    f = x * sympy.exp(u) * derivative("u", "x") ** 2 + sympy.sin(t * v) * derivative("v", "yt") + y * u
    there, back = (space.total_derivative(space.total_derivative(f, a), b) for a, b in ((i, j), (j, i)))
    assert sympy.expand(there - back) == 0


def on_solution(space: JetSpace, solution: dict[str, sympy.Expr], expression: sympy.Expr) -> sympy.Expr:
    """An expression of jet space along given functions of the independent variables."""
    values = {}
    for s in expression.free_symbols:
        where = space.locate(s)
        if where is not None:
            f = solution[space.dependent[where[0]]]
            for name, n in zip(space.independent, where[1], strict=True):
                f = sympy.diff(f, variable(name), n) if n else f
            values[s] = f
    return expression.subs(values, simultaneous=True)


PROLONGED = [
    ("u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx", {"u": sympy.exp(x - 2 * t) + x * t}),
    ("u_t = u_xx + u_yy + u - u**3", {"u": sympy.sin(x + 2 * y) * sympy.exp(-t)}),
    ("u_tt - u_xx + sin(u) = 0", {"u": 4 * sympy.atan(sympy.exp((5 * x - 3 * t) / 4))}),
    (
        "u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0",
        {"u": sympy.cos(t / 2) / sympy.cosh(x), "v": sympy.sin(t / 2) / sympy.cosh(x)},
    ),
]


@pytest.mark.parametrize(("text", "functions"), PROLONGED)
def test_prolongation_is_the_linearisation_along_any_functions(text: str, functions: dict[str, sympy.Expr]) -> None:
    """``pr V(F) = dF[Q] + sum_i xi_i D_i F`` along functions that need not solve anything, by ordinary calculus."""
    equation = Equation(text)
    space = equation.space
    p = len(space.independent)
    fields = {"dx": t * x + u, "dy": x * y, "dt": x + t**2, "du": u**2 + x * t, "dv": u * v + t}
    form = {f"d{name}": fields[f"d{name}"] for name in space.names}
    at = dict(zip(space.variables[:p], (0.31, 0.47, 0.23), strict=False))
    along = {variable(name): f for name, f in functions.items()}
    xi = [form[f"d{name}"].subs(along, simultaneous=True) for name in space.independent]
    Q = {}
    for name in space.dependent:
        f = functions[name]
        phi = form[f"d{name}"].subs(along, simultaneous=True)
        Q[name] = phi - sum(c * sympy.diff(f, z) for c, z in zip(xi, space.variables[:p], strict=True))
    for F, prolonged in zip(equation.residuals, prolongation.prolonged(space, equation.residuals, form), strict=True):
        expected = sum(
            c * sympy.diff(on_solution(space, functions, F), z) for c, z in zip(xi, space.variables[:p], strict=True)
        )
        for a, index in space.indices(F):
            moved = Q[space.dependent[a]]
            for z, n in zip(space.variables[:p], index, strict=True):
                moved = sympy.diff(moved, z, n) if n else moved
            expected += on_solution(space, functions, sympy.diff(F, space.symbol(a, index))) * moved
        got = on_solution(space, functions, prolonged)
        assert float(got.subs(at)) == pytest.approx(float(expected.subs(at)), rel=1e-9, abs=1e-9)


MANIFOLDS = [
    "u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx",
    "u_tt - u_xx + sin(u) = 0",
    "u_t = u_xx + u*log(u)",
    "u_t = ((1 + u_y**2)*u_xx - 2*u_x*u_y*u_xy + (1 + u_x**2)*u_yy)/(1 + u_x**2 + u_y**2)",
    "u_t + u*u_x + v_x = 0; v_t + Derivative(u*v, x) + u_xxx = 0",
    "u_t = Derivative(u**(-4/3)*u_x, x)",
]


@pytest.mark.parametrize("text", MANIFOLDS)
def test_random_jets_lie_on_the_manifold_and_on_that_of_its_consequences(text: str) -> None:
    equation = Equation(text)
    space = equation.space
    sample = Manifold(equation).sample(50, seed=3)
    assert len(sample) == 50
    order = [max(sum(index) for _, index in space.indices(F)) for F in equation.residuals]
    for F, own in zip(equation.residuals, order, strict=True):
        for more in space.up_to(max(order) - own):
            derived = F
            for i, n in enumerate(more):
                for _ in range(n):
                    derived = space.total_derivative(derived, i)
            terms = [prolongation._on_jets(term, sample) for term in sympy.Add.make_args(sympy.expand(derived))]
            size = torch.stack([term.abs() for term in terms]).sum(0)
            assert float((torch.stack(terms).sum(0) / size).abs().max()) < 1e-12


@pytest.mark.parametrize("text", MANIFOLDS)
def test_the_numerical_condition_is_the_exact_one(text: str) -> None:
    """``sum A_bK D_K b`` on jets against ``pr V(F)`` by computer algebra, for a field that is no symmetry."""
    equation = Equation(text)
    space = equation.space
    sample = Manifold(equation).sample(20, seed=5)
    fields = {"dx": x**2 + u, "dy": x * y, "dt": u * t, "du": sympy.exp(u) + x * u, "dv": v**2 + t * u}
    form = {f"d{name}": fields[f"d{name}"] for name in space.names}
    field = SymbolicField(Manifold(equation).coordinates, [{k: str(f) for k, f in form.items()}])
    assert field.generators == 1
    lines = solution_lines(equation, sample)
    columns = [prolongation.series.Series(lines.truncation, c) for c in lines.coefficients.unbind(-1)]
    at = dict(zip(space.variables, columns, strict=True))
    zero = columns[0] * 0.0
    derivatives = torch.stack(
        [(zero + expressions.evaluate(f, at, prolongation.series.FUNCTIONS)).coefficients for f in form.values()]
    )
    derivatives = derivatives * torch.tensor(row_factors(lines.truncation), dtype=torch.float64)[:, None]
    numeric = torch.einsum("ecrn,crn->en", determining_coefficients(equation, sample), derivatives)
    values = dict(sample.values)
    for row, prolonged in zip(numeric, prolongation.prolonged(space, equation.residuals, form), strict=True):
        expected = torch.zeros(20, dtype=torch.float64) + expressions.evaluate(
            prolonged, values, prolongation.series.FUNCTIONS
        )
        torch.testing.assert_close(row, expected, rtol=1e-9, atol=1e-9)


def test_symmetries_whose_digits_elimination_loses_are_proved() -> None:
    """``u = w - sin(x)``, w'' = 0, has all eight; in the library they stand on sines that are nearly polynomials."""
    found = symmetries(Equation("u_xx + sin(x) = 0"), at_least=8)
    assert len(found.forms) == 8
    assert all(found.verified)
