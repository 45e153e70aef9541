"""Data without an equation: what it is fitted to is not what it is judged on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from symflow import pde
from symflow.pde.discovery.verdicts import data_verdict
from symflow.pde.gate import gate
from symflow.pde.laws import Drift, held_out, parts
from symflow.pde.laws.held_out import split


def labelled(data: pde.Trajectories) -> pde.Trajectories:
    """As `pde.load_identified` leaves them."""
    return replace(data, name=None, settings={"identified": True})


def kdv(samples: int) -> pde.Trajectories:
    return pde.generate("kdv", samples, seed=0, steps=100, keep=80, end=40.0, resolution=128)


def test_what_is_held_out_is_not_fitted_to() -> None:
    for samples in (1, 2, 5):
        data = labelled(kdv(samples))
        fitted, held = split(data)
        assert len(fitted.u.flatten()) + len(held.u.flatten()) == len(data.u.flatten())
        assert held_out(data).u.equal(held.u)
        assert held_out(replace(data, settings={})).u.equal(data.u)
        seen = {tuple(row.tolist()) for row in fitted.u.flatten(0, 1)}
        assert not any(tuple(row.tolist()) in seen for row in held.u.flatten(0, 1))
    assert parts(labelled(kdv(1))).startswith("fitted to the times up to")


def test_all_that_is_said_rests_on_the_data_held_out() -> None:
    data = labelled(kdv(4))
    spoiled = data.u.clone()
    spoiled[:2] = torch.randn(spoiled[:2].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = pde.discover(data, network="none")
    assert found == pde.discover(replace(data, u=spoiled), network="none")
    assert found.identified
    assert found.verdicts.data is not None
    assert found.verdicts.data.word == "measured"
    assert found.identification is not None
    assert found.identification.over is not None
    assert [bool(c) for c in found.identification.over.conditions] == [False, False, True]
    assert "t dx + du only if the coefficients of u and u**2 are 0" in str(found)
    swapped = replace(data, u=spoiled.flip(0))
    assert pde.discover(swapped, network="none").verdict != "measured"


def test_a_coefficient_that_drifts_refutes() -> None:
    judged = gate(kdv(4))
    drift = Drift("u_xxx", "x", [10.0, 60.0], [1.0, 1.04], [1e-5, 1e-5])
    said, refuted = data_verdict(4, judged), data_verdict(4, judged, [drift])
    assert said is not None
    assert refuted is not None
    assert (said.word, refuted.word) == ("measured", "refuted")
    assert "the coefficient of u_xxx rises from 1 at x = 10 to 1.04 at x = 60" in refuted.reason


def test_a_law_with_constant_coefficients_gets_no_exact_shift_in_time_from_ckdv() -> None:
    data = pde.generate("ckdv", 4, seed=0, resolution=128)
    data = labelled(replace(data, equation=pde.Equation("u_t + 0.0073*u + u*u_x + u_xxx = 0")))
    result = pde.discover(data, network="none")
    assert result.verdict == "refuted"
    assert not any(g.valid for g in result.generators)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kdv", "ks", "burgers", "ckdv"])
def test_files_without_an_equation(name: str, tmp_path: Path) -> None:
    data = pde.generate(name, 4, seed=0, resolution=256 if name == "burgers" else 128)
    np.savez(tmp_path / "data.npz", x=data.x.numpy(), t=data.t.numpy(), u=data.u.numpy())
    found = pde.load_identified(tmp_path / "data.npz")
    assert found.equation.K.equals(data.equation.K), found.equation.text
    result = pde.discover(found, network="none", domain="plane")
    assert result.verdict == "measured"
    assert result.identification is not None
    assert result.identification.drifts == []
    assert result.rank == len(pde.CATALOGUE[name].symmetries)
    shifts = [g for g in result.generators if g.closed_form == {"dx": "0", "dt": "1", "du": "0"}]
    assert bool(shifts) == (name != "ckdv")
