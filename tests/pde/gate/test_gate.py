"""The gate says solves, refuted or cannot be told for the right reason, on data of every kind."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from jets_of_laws import noisy
from symflow.pde import Equation, Trajectories, generate
from symflow.pde.gate import gate


@pytest.fixture(scope="module")
def kdv() -> Trajectories:
    return generate("kdv", 8, 0, resolution=128, steps=80, keep=80, end=40.0)


@pytest.fixture(scope="module")
def ckdv() -> Trajectories:
    return generate("ckdv", 8, 0, resolution=128, steps=80, keep=80, end=40.0)


def called(data: Trajectories, text: str) -> Trajectories:
    return replace(data, equation=Equation(text), name=None)


@pytest.mark.parametrize("level", [0.0, 1e-3, 1e-2])
def test_right_data_solve_their_equation(kdv, level):
    found = gate(noisy(kdv, level))
    assert (found.verdict, found.word, found.exit_code) == ("solves", "measured", 0), found.sentence
    assert not found.outliers
    assert level > 1e-3 or not found.not_tested
    for c in found.coefficients:
        assert c.lower <= c.claimed <= c.upper or abs(c.estimate - c.claimed) < 1e-4


@pytest.mark.parametrize("level", [0.0, 1e-2])
@pytest.mark.parametrize(
    "text",
    ["u_t + u*u_x + 1.02*u_xxx = 0", "u_t + 0.98*u*u_x + u_xxx = 0", "u_t + u*u_x = 0", "u_t + u*u_x = u_xx/100"],
)
def test_wrong_labels_are_refuted(kdv, text, level):
    found = gate(noisy(called(kdv, text), level))
    assert (found.verdict, found.word, found.exit_code) == ("refuted", "refuted", 1), found.sentence


def test_a_term_that_the_equation_is_without_is_found(ckdv):
    """KdV with damping, 1 % noise: no coefficient of KdV is wrong by itself."""
    found = gate(noisy(called(ckdv, "u_t + u*u_x + u_xxx = 0"), 0.01))
    assert found.verdict == "refuted"


def test_scaled_data_are_refuted_and_the_sentence_says_by_what(kdv):
    found = gate(replace(kdv, u=1.02 * kdv.u))
    assert found.sentence.startswith("these data do not solve it (weak residual 0.01")
    assert "of 8 trajectories" in found.sentence
    (c,) = (c for c in found.coefficients if c.refused)
    assert c.term == "u*u_x"
    assert c.estimate == pytest.approx(1 / 1.02, rel=1e-4)


@pytest.mark.parametrize("axis", ["x", "t"])
def test_a_wrong_spacing_is_named(kdv, axis):
    n = len(getattr(kdv, axis))
    found = gate(replace(kdv, **{axis: getattr(kdv, axis) * n / (n + 1)}))
    assert found.verdict == "refuted"
    assert f"the spacing of {axis} were {(n + 1) / n:.6g} times" in found.reason


def test_waves_constants_and_noise_with_a_label(kdv):
    waves = torch.sin(2 * math.pi * 3 * kdv.x / kdv.length - kdv.t[:, None]).expand(8, -1, -1)
    assert gate(replace(kdv, u=waves)).verdict == "refuted"
    still = gate(replace(kdv, u=torch.ones_like(kdv.u)))
    assert (still.verdict, still.exit_code) == ("cannot be told", 3)
    assert "nothing changes" in still.sentence
    white = torch.randn(kdv.u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = gate(replace(kdv, u=white))
    assert found.verdict == "cannot be told"
    assert "too noisy" in found.reason


def test_a_travelling_wave_solves_its_equation_and_no_other():
    """``3 c sech^2(sqrt(c) (x - c t)/2)`` solves KdV; on a long period it is nearly periodic."""
    place = torch.arange(128, dtype=torch.float64) * (40.0 / 128)
    times = torch.linspace(0, 8, 70, dtype=torch.float64)
    away = (place - 10 - 2 * times[:, None] + 20) % 40 - 20
    u = 6 / torch.cosh(away / math.sqrt(2)) ** 2
    data = Trajectories(Equation("u_t + u*u_x + u_xxx = 0"), place, times, u[None])
    assert gate(data).verdict == "solves"
    assert gate(called(data, "u_t + u*u_x + 1.02*u_xxx = 0")).verdict == "refuted"
    assert gate(called(data, "u_t + u*u_x = u_xx/100")).verdict == "refuted"


def test_two_rows_are_judged_by_prediction(kdv):
    two = replace(kdv[:2], t=kdv.t[[10, 11]], u=kdv.u[:2, [10, 11]])
    found = gate(two)
    assert (found.verdict, found.method) == ("solves", "prediction by one row"), found.sentence
    assert gate(called(two, "u_t + 1.1*u*u_x + u_xxx = 0")).verdict == "refuted"
    assert gate(two, prediction=False).verdict == "cannot be told"


def test_one_trajectory(kdv):
    assert gate(kdv[0]).verdict == "solves"
    assert gate(called(kdv[0], "u_t + 1.02*u*u_x + u_xxx = 0")).verdict == "refuted"


@pytest.mark.parametrize("level", [0.0, 1e-2])
@pytest.mark.parametrize("kind", ["white", "louder", "scaled", "shuffled", "filled", "row"])
def test_ruined_trajectories_are_named(kdv, kind, level):
    data = noisy(kdv, level)
    u = data.u.clone()
    random = torch.Generator().manual_seed(1)
    for s in (2, 5):
        if kind == "white":
            u[s] = u.std() * torch.randn(u[s].shape, dtype=torch.float64, generator=random)
        elif kind == "louder":
            u[s] += 0.1 * u.std() * torch.randn(u[s].shape, dtype=torch.float64, generator=random)
        elif kind == "scaled":
            u[s] *= 1.5
        elif kind == "shuffled":
            u[s] = u[s, torch.randperm(len(u[s]), generator=random)]
        elif kind == "filled":
            u[s, 30:33, 10:20] = -999.0
        elif kind == "row":
            u[s, 40] = torch.roll(u[s, 40], 9)
    found = gate(replace(data, u=u))
    assert found.verdict == "outliers", found.sentence
    assert [t.trajectory for t in found.outliers] == [2, 5]


def test_the_record_is_json(kdv):
    record = json.loads(json.dumps(gate(kdv).to_dict(), allow_nan=False))
    assert record["word"] == "measured"
    assert len(record["trajectories"]) == 8
