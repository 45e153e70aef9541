"""Audits of transforms: exact finite symmetries pass, well-known mistakes are caught and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
import torch

from symflow.pde import CATALOGUE, Equation, audit_transform
from symflow.pde.equations.jets import derivative
from symflow.pde.symmetries.prolongation import is_symmetry
from symflow.pde.transforms.point_transform import Surfaces
from symflow.pde.transforms.user_function import as_transform
from transformations import (
    ALLEN_CAHN,
    KDV,
    NLS,
    SINE_GORDON,
    along_t,
    along_x,
    boost,
    ckdv_projective,
    nkdv_scaling,
    of,
    scaling,
    slow,
)

exp, sqrt, log = np.exp, np.sqrt, np.log
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


def test_report_and_record() -> None:
    audit, again = (audit_transform(boost, KDV, seed=5) for _ in range(2))
    assert json.dumps(audit.to_dict(), allow_nan=False) == json.dumps(again.to_dict(), allow_nan=False)
    assert audit.to_dict()["generator"]["closed_form"] == {"dx": "t", "dt": "0", "du": "1"}
    text = str(audit)
    assert text.startswith("boost: symmetry of u_t + u*u_x + u_xxx = 0, proven")
    assert all(len(line) <= 120 for line in text.splitlines()[:10])


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
