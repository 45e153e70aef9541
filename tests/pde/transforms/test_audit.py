"""Audits of transforms: exact finite symmetries pass, well-known mistakes are caught and named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch

from symflow.errors import UserError
from symflow.pde import CATALOGUE, Equation, audit_transform, load_function
from symflow.pde.equations.jets import derivative
from symflow.pde.equations.manifold import Manifold
from symflow.pde.symmetries.prolongation import is_symmetry
from symflow.pde.transforms.data_transform import (
    REFINEMENTS,
    coarsened,
    derivatives,
    relative_residual,
    smoothing_weights,
)
from symflow.pde.transforms.infinitesimal import closed_form, velocity
from symflow.pde.transforms.point_transform import Surfaces, group_law, moved, taylor_matrix
from symflow.pde.transforms.user_function import DataTransform, Grid, PointTransform, as_transform

exp, sqrt, log = np.exp, np.sqrt, np.log
SINE_GORDON = Equation("u_tt - u_xx + sin(u) = 0")
ALLEN_CAHN = Equation("u_t = u_xx + u_yy + u - u**3")
NLS = Equation("u_t + v_xx + (u**2+v**2)*v = 0; v_t - u_xx - (u**2+v**2)*u = 0")
KDV = CATALOGUE["kdv"].equation


def of(name: str | Equation) -> Equation:
    return CATALOGUE[name].equation if isinstance(name, str) else name


def ckdv_projective(x: Any, t: Any, u: Any, e: float) -> Any:
    """``x sqrt(T)/2 dx + T^(3/2) dt + (x - 4 T u)/(4 sqrt(T)) du``, T = t + 1.

    In ``q = T^(-1/2)``: q goes to q - e/2, and x q stays.
    """
    q = (t + 1) ** -0.5
    r = q - e / 2
    return x * q / r, r**-2 - 1, (u - x * q**2 / 2) * (r / q) ** 2 + x * q * r / 2


def slow(t: Any) -> Any:
    return 50 * (exp(t / 50) - 1)


def nkdv_scaling(x: Any, t: Any, u: Any, e: float) -> Any:
    return x * exp(e), 50 * log(1 + slow(t) * exp(3 * e) / 50), u * exp(-2 * e)


def along_x(x: Any, t: Any, u: Any, e: float) -> Any:
    return x + e, t, u


def along_t(x: Any, t: Any, u: Any, e: float) -> Any:
    return x, t + e, u


def boost(x: Any, t: Any, u: Any, e: float) -> Any:
    return x + e * t, t, u + e


def scaling(n: int, m: int) -> Callable[..., Any]:
    return lambda x, t, u, e: (x * exp(e), t * exp(n * e), u * exp(m * e))


# exact finite forms, all true symmetries of the catalogue and of three equations beyond it
SYMMETRIES: list[tuple[str | Equation, Callable[..., Any]]] = [
    ("kdv", along_x),
    ("kdv", along_t),
    ("kdv", boost),
    ("kdv", scaling(3, -2)),
    ("ks", along_x),
    ("ks", along_t),
    ("ks", boost),
    ("burgers", along_x),
    ("burgers", along_t),
    ("burgers", boost),
    ("burgers", scaling(2, -1)),
    ("burgers", lambda x, t, u, e: (x / (1 - e * t), t / (1 - e * t), u * (1 - e * t) + e * x)),
    ("nkdv", along_x),
    ("nkdv", lambda x, t, u, e: (x, 50 * log(exp(t / 50) + e / 50), u)),
    ("nkdv", lambda x, t, u, e: (x + e * slow(t), t, u + e)),
    ("nkdv", nkdv_scaling),
    ("ckdv", along_x),
    ("ckdv", lambda x, t, u, e: (x + 2 * e * sqrt(t + 1), t, u + e / sqrt(t + 1))),
    ("ckdv", lambda x, t, u, e: (x * exp(e), (t + 1) * exp(3 * e) - 1, u * exp(-2 * e))),
    ("ckdv", ckdv_projective),
    (SINE_GORDON, lambda x, t, u, e: (x * np.cosh(e) + t * np.sinh(e), x * np.sinh(e) + t * np.cosh(e), u)),
    (ALLEN_CAHN, lambda x, y, t, u, e: (x * np.cos(e) - y * np.sin(e), x * np.sin(e) + y * np.cos(e), t, u)),
    (NLS, lambda x, t, u, v, e: (x, t, u * np.cos(e) - v * np.sin(e), u * np.sin(e) + v * np.cos(e))),
]


@pytest.mark.parametrize(("name", "function"), SYMMETRIES)
def test_true_symmetries_pass_with_proof(name: str | Equation, function: Callable[..., Any]) -> None:
    audit = audit_transform(function, of(name))
    assert audit.verdict == "symmetry", str(audit)
    assert audit.proven
    assert audit.kind == "point"
    assert all(m.score < 1e-8 < 0.05 < m.control for m in audit.moved)
    assert audit.generator is not None
    assert audit.generator.angle == 0.0


# what is wrong, and what the report must say of it
MISTAKES: list[tuple[str, Callable[..., Any], str]] = [
    ("kdv", lambda x, t, u, e: (x + e * t, t, u - e), "t dx + du: du is -1, it must be 1."),
    ("kdv", scaling(3, -1), "the weight of u is -1, it must be -2."),
    ("kdv", scaling(2, -2), "the weight of t is 2, it must be 3."),
    ("burgers", lambda x, t, u, e: (x, t, u * exp(e)), "of the determining equations u is left"),
    ("ckdv", along_t, "of the determining equations -u is left"),
    ("nkdv", lambda x, t, u, e: (x, -50 * log(exp(-t / 50) - e / 50), u), "The generator is exp(t/50) dt"),
]


@pytest.mark.parametrize(("name", "function", "said"), MISTAKES)
def test_mistakes_are_caught_and_named(name: str, function: Callable[..., Any], said: str) -> None:
    audit = audit_transform(function, of(name))
    assert audit.verdict == "not a symmetry"
    assert not audit.proven
    assert said in str(audit)
    assert all(m.score > 1e-3 for m in audit.moved)
    assert audit.generator is not None
    assert audit.generator.verified is False
    assert audit.generator.leftover
    assert audit.generator.angle > 1e-2


def test_nearest_symmetry_is_one() -> None:
    audit = audit_transform(scaling(3, -1), KDV)
    assert audit.generator is not None
    assert audit.generator.nearest is not None
    x, t, u = sympy.symbols("x t u", real=True)
    assert audit.generator.nearest == {"dx": "x", "dt": "3*t", "du": "-2*u"}
    assert is_symmetry(KDV, {"dx": x, "dt": 3 * t, "du": -2 * u})


# ---------------------------------------------------------------- the finite transform, against formulas


def test_defect_of_a_scaling_of_u_is_that_of_the_formula() -> None:
    """``u -> a u`` turns ``u_t + u u_x + u_xxx`` into ``a (u_t + a u u_x + u_xxx)``, at every jet."""
    surfaces = Surfaces(KDV, 3)
    a = 1.3
    after = surfaces.stencils.clone()
    after[..., 2] *= a
    residual, unsure = surfaces.residual(after)
    u, u_x, u_t, u_xxx = (surfaces.sample.values[derivative("u", n)] for n in ("", "x", "t", "xxx"))
    terms = torch.stack([a * u_t, a * a * u * u_x, a * u_xxx])
    expected = terms.sum(0) / torch.sqrt(terms.square().sum(0) + surfaces.score.softening[0])
    torch.testing.assert_close(residual, expected, rtol=0, atol=1e-10)
    assert float(unsure.max()) < 1e-10


@pytest.mark.parametrize(
    ("text", "floor"),
    [
        ("u_t = u_xx", 1e-11),
        ("u_t + u*u_x + u_xxx = 0", 1e-11),
        ("u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx", 1e-11),
        ("u_t + u*u_x + u_xx + u_xxxx = 0", 1e-9),
        ("u_t + u*u_x + u_xxxxx = 0", 1e-8),
    ],
)
def test_floor(text: str, floor: float) -> None:
    surfaces = Surfaces(Equation(text), 0)
    result = moved(surfaces, lambda z, e: z + e * torch.tensor([1.0, 1.0, 0.0]), 0.1, "shift")
    assert result.score <= 3 * result.floor
    assert result.floor < floor
    assert result.share == 1.0


def test_taylor_matrix_differentiates_what_is_analytic() -> None:
    nodes = torch.from_numpy(np.polynomial.chebyshev.chebpts1(16))
    coefficients = taylor_matrix(16, 5) @ torch.exp(nodes)
    expected = torch.tensor([1 / math.factorial(k) for k in range(6)], dtype=torch.float64)
    rounding = 1e-14 * 16 ** torch.arange(6.0, dtype=torch.float64) * expected  # what a k-th derivative makes of 1e-16
    assert bool(((coefficients - expected).abs() < rounding).all())


@pytest.mark.parametrize(("precision", "accuracy"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_velocity_and_its_closed_form(precision: torch.dtype, accuracy: float) -> None:
    """A flow that is no polynomial in epsilon, against the field it is the flow of."""
    manifold = Manifold(KDV)
    points = manifold.sample(500, 1).points

    def flow(z: torch.Tensor, e: float) -> torch.Tensor:
        x, t, u = z.to(precision).unbind(-1)
        return torch.stack([x / (1 - e * t), t / (1 - e * t), u * (1 - e * t) + e * x], -1).double()

    speed = velocity(flow, points, manifold.coordinates)
    assert speed is not None
    x, t, u = speed.points.unbind(-1)
    expected = torch.stack([t * x, t * t, x - t * u], -1)
    torch.testing.assert_close(speed.values, expected, rtol=accuracy, atol=10 * accuracy)
    assert speed.accuracy < accuracy
    generator = closed_form(KDV, speed, manifold.coordinates, [sympy.Integer(1)])
    assert generator is not None
    X, T, U = sympy.symbols("x t u", real=True)
    assert generator.exact
    assert [sympy.expand(a - b) for a, b in zip(generator.form.values(), (T * X, T**2, X - T * U), strict=True)] == [
        0,
        0,
        0,
    ]


def test_group_law() -> None:
    surfaces = Surfaces(KDV, 0)
    points, coordinates = surfaces.sample.points, surfaces.coordinates
    exact = PointTransform(scaling(3, -2), ("x", "t", "u"), "numpy", "f")
    law = group_law(exact, points, coordinates, (0.2, 0.1))
    assert law.identity == 0.0
    assert law.composition < 1e-14
    square = PointTransform(lambda x, t, u, e: (x + e * e, t, u), ("x", "t", "u"), "numpy", "f")
    law = group_law(square, points, coordinates, (0.2, 0.1))
    assert law.composition == pytest.approx(0.04 / 0.09, rel=1e-9)  # (a + b)^2 - a^2 - b^2 over (a + b)^2


# ---------------------------------------------------------------- families that are no plain groups


def test_right_to_first_order_only() -> None:
    audit = audit_transform(lambda x, t, u, e: (x * (1 + e), t * (1 + 3 * e), u * (1 - 2 * e)), KDV)
    assert audit.verdict == "not a symmetry"
    assert audit.generator is not None
    assert audit.generator.verified
    assert "Its generator is a symmetry, but it is right to first order in epsilon only." in audit.findings
    assert any("no one-parameter group" in said for said in audit.findings)


def test_parameter_that_multiplies() -> None:
    audit = audit_transform(lambda x, t, u, a: (a * x, a**3 * t, u * a**-2), KDV)
    assert (audit.verdict, audit.proven) == ("symmetry", True)
    assert audit.findings[0].startswith("epsilon = 1 is the identity")
    assert min(m.epsilon for m in audit.moved) > 0.5


def test_discrete_symmetry_and_its_half() -> None:
    both = audit_transform(lambda x, t, u, e: (-x, -t, u), KDV)
    assert (both.verdict, both.proven, both.generator) == ("symmetry", False, None)
    assert audit_transform(lambda x, t, u, e: (-x, t, u), KDV).verdict == "not a symmetry"


def test_parameter_squared_is_judged_anyway() -> None:
    audit = audit_transform(lambda x, t, u, e: (x + e * e * t, t, u + e * e), KDV)
    assert audit.verdict == "symmetry"
    assert any("derivative in epsilon" in said for said in audit.findings)
    assert any("no one-parameter group" in said for said in audit.findings)


def test_solutions_can_be_superposed() -> None:
    """x^2 + 2 t solves the heat equation, so it can be added, though no finite library of symmetries holds it."""
    audit = audit_transform(lambda x, t, u, e: (x, t, u + e * (x * x + 2 * t)), Equation("u_t = u_xx"))
    assert (audit.verdict, audit.proven) == ("symmetry", True)


def test_field_outside_every_library() -> None:
    audit = audit_transform(lambda x, t, u, e: (x + e * np.tanh(x), t, u), KDV)
    assert audit.verdict == "not a symmetry"
    assert audit.generator is not None
    assert audit.generator.closed_form is None
    assert audit.generator.verified is None


def test_small_mistakes_are_seen() -> None:
    audit = audit_transform(lambda x, t, u, e: (x * exp(e), t * exp(3 * e), u * exp(-1.999 * e)), KDV)
    assert audit.verdict == "not a symmetry"
    assert "the weight of u is -1999/1000, it must be -2." in str(audit)


def test_transform_that_is_solved_numerically() -> None:
    """RK4 leaves 1e-10 or so, far above rounding: it is the symmetry all the same."""

    def solved(x: Any, t: Any, u: Any, e: float) -> Any:
        for _ in range(8):
            h = e / 8
            growth = [1 + w * h + (w * h) ** 2 / 2 + (w * h) ** 3 / 6 + (w * h) ** 4 / 24 for w in (1, 3, -2)]
            x, t, u = (g * z for g, z in zip(growth, (x, t, u), strict=True))
        return x, t, u

    audit = audit_transform(solved, KDV)
    assert audit.verdict == "symmetry"
    assert max(m.score for m in audit.moved) > 1e-12


# ---------------------------------------------------------------- kinds of functions


def test_torch_numpy_and_single_precision() -> None:
    def of_torch(x: Any, t: Any, u: Any, e: float) -> Any:
        return [x * torch.tensor(e).exp().double(), t.clone(), u]

    def in_place(x: Any, t: Any, u: Any, e: float) -> Any:
        x += e * t
        u += e
        return x, t, u

    def single(x: Any, t: Any, u: Any, e: float) -> Any:
        x, t, u = (np.float32(z) for z in (x, t, u))
        return x + np.float32(e) * t, t, u + np.float32(e)

    assert as_transform(of_torch, KDV).arrays == "torch"
    assert audit_transform(in_place, KDV).proven
    audit = audit_transform(single, KDV)
    assert audit.verdict == "symmetry"
    assert 1e-9 < max(m.floor for m in audit.moved) < 1e-2
    assert any("single precision" in said for said in audit.findings)


def test_kinds_are_told_apart() -> None:
    assert isinstance(as_transform(boost, KDV), PointTransform)
    assert isinstance(as_transform(lambda x, t, u, e: u + e, KDV), DataTransform)
    assert isinstance(as_transform(lambda x, t, u, e: (x, t, np.roll(u, 1, -1)), KDV), DataTransform)
    assert isinstance(as_transform(lambda x, t, u, e: torch.roll(u, 1, -1), KDV), DataTransform)


FAULTS: list[tuple[Equation, Callable[..., Any], str]] = [
    (KDV, lambda x, t, u: (x, t, u), r"must take \(x, t, u, epsilon\), got a function of \(x, t, u\)"),
    (KDV, lambda x, t, u, e: (x, t), "returned 2 values instead of"),
    (KDV, lambda x, t, u, e: (x, t, u[:3]), r"returned u of shape \[3\]"),
    (KDV, lambda x, t, u, e: (x, t, "u"), "returned str instead of an array for u"),
    (KDV, lambda x, t, u, e: (x, t, u * 1j), "returned complex numbers for u"),
    (KDV, lambda x, t, u, e: u[0] / 0 + [][0], "raised IndexError"),
    (KDV, lambda x, t, u, e: (x, t, u * np.nan), "must have finite values near most points"),
    (KDV, lambda x, t, u, e: (x, t, u), "must move points"),
    (KDV, lambda x, t, u, e: u + np.random.default_rng().normal(), "gave different answers to the same call"),
    (KDV, lambda x, t, u, e: u * (np.nan if e else 1.0), "must return finite data"),
    (SINE_GORDON, lambda x, t, u, e: u, r"must map \(x, t, u\) elementwise, but at points it returned one value"),
    (Equation("u_t + u_xx = 0"), lambda x, t, u, e: np.roll(u, 1, -1), "needs solutions on a period, but cannot solve"),
]


@pytest.mark.parametrize(("equation", "function", "sentence"), FAULTS)
def test_faults_of_functions_are_sentences(equation: Equation, function: Callable[..., Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        audit_transform(function, equation)
    assert "\n" not in str(caught.value)


def test_load_function(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("RATE = 2.0\n")
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from beside import RATE\n"
        "@dataclass\nclass Point:\n    x: float\n"
        "def shift(x, t, u, epsilon):\n    return x + RATE * epsilon, t, u\n"
        "number = 3\n"
    )
    assert audit_transform(load_function(f"{file}:shift"), KDV).proven
    broken = tmp_path / "broken.py"
    broken.write_text("1/0\n")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f(:\n")
    leaves = tmp_path / "leaves.py"
    leaves.write_text("import sys\nsys.exit(3)\n")
    for reference, sentence in {
        "mine": "must be given as 'path.py:function', got 'mine'",
        f"{file}": "must be given as",
        f"{tmp_path / 'none.py'}:f": "there is no file",
        f"{file}:absent": "must define 'absent'",
        f"{file}:number": "must be a function, got int",
        f"{broken}:f": "must run without an error, got ZeroDivisionError: division by zero",
        f"{wrong}:f": "must run without an error, got SyntaxError",
        f"{leaves}:f": "must run without an error, got SystemExit: 3",
    }.items():
        with pytest.raises(UserError, match=sentence) as caught:
            load_function(reference)
        assert "\n" not in str(caught.value)


def test_report_and_record() -> None:
    audit, again = (audit_transform(boost, KDV, seed=5) for _ in range(2))
    assert json.dumps(audit.to_dict(), allow_nan=False) == json.dumps(again.to_dict(), allow_nan=False)
    assert audit.to_dict()["generator"]["closed_form"] == {"dx": "t", "dt": "0", "du": "1"}
    text = str(audit)
    assert text.startswith("boost: symmetry of u_t + u*u_x + u_xxx = 0, proven")
    assert all(len(line) <= 120 for line in text.splitlines()[:10])


# ---------------------------------------------------------------- data transforms


def fourier_boost(sign: float) -> Callable[..., Any]:
    def boosted(x: Any, t: Any, u: Any, e: float) -> Any:
        k = 2 * np.pi * np.fft.rfftfreq(len(x), x[1] - x[0])
        return np.fft.irfft(np.exp(-1j * k * e * t[:, None]) * np.fft.rfft(u), len(x)) + sign * e

    return boosted


def linear_boost(sign: float) -> Callable[..., Any]:
    def boosted(x: Any, t: Any, u: Any, e: float) -> Any:
        period = len(x) * (x[1] - x[0])
        rows = [np.interp(x - e * s, x, row, period=period) + sign * e for s, row in zip(t, u, strict=True)]
        return np.stack(rows)

    return boosted


def cropped_scaling(x: Any, t: Any, u: Any, e: float) -> Any:
    return x[5:-5] * exp(e), t[4:] * exp(3 * e), u[4:, 5:-5] * exp(-2 * e)


@pytest.mark.parametrize("function", [fourier_boost(1.0), linear_boost(1.0)])
def test_right_data_transforms_pass(function: Callable[..., Any]) -> None:
    audit = audit_transform(function, KDV)
    assert (audit.kind, audit.verdict, audit.proven) == ("data", "symmetry", False)
    assert audit.generator is not None
    assert audit.generator.closed_form == {"dx": "t", "dt": "0", "du": "1"}
    for r in audit.refined:
        assert r.scores[-1] < r.control / 10
        assert r.floors[-1] < 1e-4
    json.dumps(audit.to_dict(), allow_nan=False)


@pytest.mark.parametrize("function", [fourier_boost(-1.0), linear_boost(-1.0)])
def test_wrong_data_transforms_are_caught_however_fine_the_grid(function: Callable[..., Any]) -> None:
    audit = audit_transform(function, KDV)
    assert audit.verdict == "not a symmetry"
    assert "du is -1, it must be 1." in str(audit)
    for r in audit.refined:
        assert max(r.scores) < 1.1 * min(r.scores)


def test_discretisation_is_told_from_a_wrong_symmetry() -> None:
    audit = audit_transform(linear_boost(1.0), CATALOGUE["burgers"].equation)
    assert audit.verdict == "symmetry"
    assert any("the transform's discretisation" in said for said in audit.findings)
    assert all(r.scores[0] > 3 * r.scores[-1] > 30 * r.floors[-1] for r in audit.refined)


def test_data_on_a_grid_of_their_own_with_rows_lost() -> None:
    audit = audit_transform(cropped_scaling, KDV)
    assert audit.kind == "data"
    assert audit.verdict == "symmetry"


def test_boost_of_another_equation_is_caught_on_data() -> None:
    """KdV's boost is none of cKdV's, whose u decays."""
    assert audit_transform(fourier_boost(1.0), CATALOGUE["ckdv"].equation).verdict == "not a symmetry"


def test_smoothing_weights_are_exact_on_polynomials() -> None:
    weights = smoothing_weights(6, 8, 5, 0.1)
    at = 0.1 * torch.arange(-6, 7, dtype=torch.float64)
    for degree in range(9):
        found = weights @ at**degree
        expected = torch.tensor([math.factorial(degree) if m == degree else 0.0 for m in range(6)], dtype=torch.float64)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-6)


def test_residual_of_an_exact_solution() -> None:
    """A soliton, on grids of three spacings: derivatives against sympy, and a residual near rounding."""
    x, t = sympy.symbols("x t", real=True)
    soliton = 3 * sympy.sech((x - t) / 2) ** 2
    X, T = torch.linspace(-2, 2, 385, dtype=torch.float64), torch.linspace(0, 1, 193, dtype=torch.float64)

    def value(expression: sympy.Expr, at: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(sympy.lambdify((x, t), expression, "numpy")(at.numpy(), time.numpy()))

    fine = Grid(X, T, value(soliton, *torch.broadcast_tensors(X, T[:, None])))
    for r in REFINEMENTS:
        grid = coarsened(fine, REFINEMENTS[-1] // r)
        at, time, u, u_t = derivatives(grid, r, 3)
        torch.testing.assert_close(u_t, value(sympy.diff(soliton, t), at, time), rtol=0, atol=1e-7)
        torch.testing.assert_close(u[3], value(sympy.diff(soliton, x, 3), at, time), rtol=0, atol=1e-5)
        assert float(relative_residual(KDV, grid, r).abs().max()) < 1e-4
