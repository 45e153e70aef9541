"""Symmetries to first order in a small parameter: the literature, exact deformations, and numbers on random jets."""

from __future__ import annotations

import pytest
import sympy
import torch

from symflow import SymbolicField
from symflow.errors import UserError
from symflow.formulas import expressions
from symflow.pde import Equation, FirstOrder, InfinitesimalScore, first_order_symmetries
from symflow.pde.equations.jets import JetSample, variable
from symflow.pde.equations.manifold import Manifold
from symflow.pde.symmetries.algebra import symmetries
from symflow.pde.symmetries.perturbation import Perturbation
from symflow.pde.symmetries.prolongation import is_symmetry

x, t, u = (variable(name) for name in "xtu")
eps = sympy.Symbol("eps", positive=True)


def parsed(form: dict[str, str]) -> dict[str, sympy.Expr]:
    return {key: expressions.parse(f, {"x": x, "t": t, "u": u}) for key, f in form.items()}


def has(found: FirstOrder, equation: Equation, V0: dict[str, str], V1: dict[str, str]) -> bool:
    """Whether a published V0 + eps V1 is among the combinations of what was found, modulo eps V0."""
    wanted0, wanted1 = parsed(V0), parsed(V1)
    leading, changes = ([parsed(part) for part in parts] for parts in zip(*parts_of(found), strict=True))
    weights = sympy.symbols(f"a:{len(leading)}")
    rest = {k: wanted0[k] - sum(a * V[k] for a, V in zip(weights, leading, strict=True)) for k in wanted0}
    equations = [c for e in rest.values() for c in sympy.Poly(sympy.expand(e), x, t, u).coeffs()]
    (solution,) = sympy.linsolve(equations, weights)
    change = {k: wanted1[k] - sum(a * V[k] for a, V in zip(solution, changes, strict=True)) for k in wanted1}
    return is_symmetry(Perturbation.of(equation, "eps").leading, {k: sympy.expand(f) for k, f in change.items()})


def parts_of(found: FirstOrder) -> list[tuple[dict[str, str], dict[str, str]]]:
    return [(s.leading, s.correction) for s in found.stable]


def form(dx: str = "0", dt: str = "0", du: str = "0") -> dict[str, str]:
    return {"dx": dx, "dt": dt, "du": du}


# ---------------------------------------------------------------- the literature

# u_tt + eps u_t = (phi(u) u_x)_x: Baikov, Gazizov and Ibragimov, Math. USSR Sbornik 64 (1989) 427; CRC Handbook of Lie
# Group Analysis of Differential Equations, vol. 3 (1996), chapter 2
WAVE = "u_tt + eps*u_t = Derivative(({})*u_x, x)"


def test_damped_wave_with_an_exponential() -> None:
    equation = Equation(WAVE.format("exp(u)"), eps=0.1)
    found = first_order_symmetries(equation, "eps")
    assert len(found.stable) == len(found.trivial) == 4
    assert all(s.verified for s in found.stable)
    assert has(found, equation, form("x", "t"), form("0", "t**2/2", "-2*t"))
    assert has(found, equation, form("x", "0", "2"), form())


@pytest.mark.parametrize("power", [1, 2, sympy.Rational(-4, 3), -2])
def test_damped_wave_with_a_power(power: sympy.Rational) -> None:
    equation = Equation(WAVE.format(f"u**({power})"), eps=0.1)
    found = first_order_symmetries(equation, "eps")
    assert found.unstable == []
    assert all(s.verified for s in found.stable)
    change = form("0", f"({power})*t**2/(2*({power}) + 8)", f"-2*t*u/(({power}) + 4)")
    assert has(found, equation, form("x", "t"), change)
    assert has(found, equation, form(f"({power})*x", "0", "2*u"), form())


def test_damped_wave_loses_the_dilation_where_the_formula_has_a_pole() -> None:
    found = first_order_symmetries(Equation(WAVE.format("u**(-4)"), eps=0.1), "eps")
    assert form("0", "2*t", "u") in found.unstable


def test_scaling_of_kdv_does_not_survive_viscosity_and_does_survive_damping() -> None:
    viscous = first_order_symmetries(Equation("u_t + u*u_x + u_xxx = eps*u_xx", eps=0.1), "eps")
    assert [s.exact for s in viscous.stable] == [True] * 3
    assert viscous.unstable == [form("x", "3*t", "-2*u")]
    damped = first_order_symmetries(Equation("u_t + u*u_x + u_xxx + eps*u = 0", eps=0.1), "eps")
    assert damped.unstable == []


def test_boost_of_damped_kdv_is_the_series_of_the_exact_one() -> None:
    equation = Equation("u_t + u*u_x + u_xxx + eps*u = 0", eps=0.5)
    found = first_order_symmetries(equation, "eps")
    boost = next(s for s in found.stable if s.leading == form("t", "0", "1"))
    exact = {"dx": (1 - sympy.exp(-eps * t)) / eps, "dt": sympy.Integer(0), "du": sympy.exp(-eps * t)}
    assert is_symmetry(equation, exact, general=True)
    for key, f in exact.items():
        order = sympy.series(f, eps, 0, 2).removeO()
        assert sympy.expand(order - parsed(boost.leading)[key] - eps * parsed(boost.correction)[key]) == 0
    assert not boost.exact


# ---------------------------------------------------------------- laws

KDV = "Derivative({w}, t) + ({w})*Derivative({w}, x) + Derivative({w}, x, 3) = 0"
HEAT = "Derivative({w}, t) - Derivative({w}, x, 2) = 0"
BURGERS = "Derivative({w}, t) + ({w})*Derivative({w}, x) - Derivative({w}, x, 2) = 0"


@pytest.mark.parametrize("text", [KDV, HEAT, BURGERS], ids=["kdv", "heat", "burgers"])
@pytest.mark.parametrize("g", ["u**2", "x*u", "t**2"])
def test_what_a_change_of_variables_brings_about_keeps_every_symmetry(text: str, g: str) -> None:
    """``w = u + eps g`` solves an unperturbed equation: its symmetries are those of u, transformed."""
    found = first_order_symmetries(Equation(text.format(w=f"(u + eps*{g})"), eps=0.1), "eps")
    assert found.unstable == []
    assert all(s.verified for s in found.stable)


PERTURBED = [
    "u_t + u*u_x + u_xxx + eps*u = 0",
    "u_t + u*u_x + u_xxx + eps*u**2*u_x = 0",
    "u_t + u*u_x - u_xx + eps*u = 0",
    "u_t = u_xx + eps*u_x**2",
    "u_t + u*u_x + u_xxx + eps*x*u_x = 0",
]


@pytest.mark.parametrize("text", PERTURBED)
def test_violations_on_random_jets_are_of_second_order(text: str) -> None:
    """The numerical determining condition at two values of eps: V0 alone leaves eps, V0 + eps V1 leaves eps^2."""
    found = first_order_symmetries(Equation(text, eps=0.1), "eps")
    changed = [s for s in found.stable if not s.exact]
    assert changed

    manifold = Manifold(Perturbation.of(Equation(text, eps=0.1), "eps").leading)
    jets = manifold.sample(400, 5)

    def left(value: float, forms: list[dict[str, str]]) -> list[float]:
        equation = Equation(text, eps=value)
        (rule,) = (sympy.lambdify(list(jets.values), r, "numpy") for r in equation.rules.values())
        u_t = torch.as_tensor(rule(*(v.numpy() for v in jets.values.values())))
        sample = JetSample(jets.space, {**jets.values, equation.principal[0]: u_t})
        return InfinitesimalScore(equation, manifold.coordinates, sample)(
            SymbolicField(manifold.coordinates, forms)
        ).tolist()

    ratios = []
    for value in (1e-3, 1e-4):
        forms = [{key: f"({s.leading[key]}) + {value!r}*({s.correction[key]})" for key in s.leading} for s in changed]
        ratios.append((left(value, forms), left(value, [s.leading for s in changed])))
    for k in range(len(changed)):
        assert ratios[0][0][k] / ratios[1][0][k] == pytest.approx(100.0, rel=0.1)
        assert ratios[0][1][k] / ratios[1][1][k] == pytest.approx(10.0, rel=0.1)


def test_exact_symmetries_of_the_whole_equation_are_among_the_stable() -> None:
    text = "u_t + u*u_x + u_xxx + eps*u**2*u_x = 0"
    found = first_order_symmetries(Equation(text, eps=0.25), "eps")
    whole = symmetries(Equation(text, eps=0.25))
    assert len(found.stable) >= len(whole.forms)


def test_order_one_needs_what_follows_from_the_equation_by_differentiation() -> None:
    """``F1 = D_x F0`` vanishes on solutions of F0: nothing is perturbed."""
    found = first_order_symmetries(
        Equation("u_t + u*u_x + u_xxx + eps*(u_xt + u_x**2 + u*u_xx + u_xxxx) = 0", eps=0.1), "eps"
    )
    assert [s.correction for s in found.stable] == [form()] * 4
    assert found.unstable == []


def test_a_wrong_change_is_not_proved() -> None:
    split = Perturbation.of(Equation(WAVE.format("exp(u)"), eps=0.1), "eps")
    right, wrong = parsed(form("0", "t**2/2", "-2*t")), parsed(form("0", "t**2/2", "-3*t"))
    assert split.is_symmetry(parsed(form("x", "t")), right)
    assert not split.is_symmetry(parsed(form("x", "t")), wrong)
    assert not split.is_symmetry(parsed(form("x", "t", "u")), right)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("u_t = eps*u_xx", "keep its variables x, t, u"),
        ("u = eps*u_xt", "at eps = 0 there must be an equation"),
        ("u_t + u_x/eps = 0", "smooth in 'eps' at 0"),
        ("u_t = u_xx + sqrt(eps)*u", "smooth in 'eps' at 0"),
        ("u_t = u_xx + eps**2*u", "depend on 'eps' to first order"),
        ("u_t = u_xx + eps*u_yy", "keep its variables x, y, t, u"),
    ],
)
def test_what_is_no_perturbation_is_refused(text: str, part: str) -> None:
    with pytest.raises(UserError, match=part):
        first_order_symmetries(Equation(text, eps=0.1), "eps")


def test_a_parameter_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"one of the parameters of the equation \(nu\), got 'eps'"):
        first_order_symmetries(Equation("u_t = nu*u_xx + u*u_x", nu=0.1), "eps")
