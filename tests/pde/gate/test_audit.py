"""Audits: clean data pass at any noise; wrong labels and corrupted trajectories are caught, whatever the kind."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch

from symflow.pde import Equation, audit_data, generate

SIX = Equation("u_t + 6*u*u_x + u_xxx = 0")


@pytest.fixture(scope="module")
def kdv():
    return generate("kdv", 64, 0, resolution=256, keep=80)


def noise(u, level, seed=0):
    return level * u.std() * torch.randn(u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def corrupt(data, kind, s):
    u = data.u.clone()
    if kind == "wrong coefficient":  # u/2 solves u_t + 2 u u_x + u_xxx = 0
        u[s] = u[s] / 2
    elif kind == "noise burst":
        u[s, 30:40] += noise(u[s, 30:40], 0.1)
    elif kind == "another noise":
        u[s] += noise(u[s], 0.1)
    elif kind == "shifted row":
        u[s, 40] = torch.roll(u[s, 40], 3)
    elif kind == "swapped rows":
        u[s, [40, 44]] = u[s, [44, 40]]
    return replace(data, u=u)


@pytest.mark.parametrize("level", [0.0, 1e-3, 1e-2])
def test_clean_data_pass(kdv, level):
    audit = audit_data(replace(kdv, u=kdv.u + noise(kdv.u, level)))
    assert audit.verdict == "solves", str(audit)
    assert audit.passed
    assert not audit.outliers
    assert not any(c.refused for c in audit.claims)


@pytest.mark.parametrize("name", ["ks", "burgers", "nkdv", "ckdv"])
def test_clean_data_of_other_equations_pass(name):
    data = generate(name, 12, 3, keep=80, resolution=512 if name == "burgers" else 256)
    audit = audit_data(replace(data, u=data.u + noise(data.u, 1e-3)))
    assert audit.verdict == "solves", str(audit)


@pytest.mark.parametrize("level", [0.0, 1e-2])
def test_a_wrong_label_is_refused(kdv, level):
    data = replace(kdv[:16], equation=SIX)
    audit = audit_data(replace(data, u=data.u + noise(data.u, level)))
    assert audit.verdict == "refuted"
    assert [c.term for c in audit.claims if c.refused] == ["u*u_x"]
    found = re.fullmatch(
        r"the data have u\*u_x with coefficient (\S+) ± (\S+), the equation says 6", audit.sentences[0]
    )
    assert found, audit.sentences[0]
    assert abs(float(found[1]) - 1) <= float(found[2]) + 1e-4
    assert float(found[2]) < 0.01
    assert "6" in str(audit)


@pytest.mark.parametrize("kind", ["wrong coefficient", "noise burst", "another noise", "shifted row", "swapped rows"])
@pytest.mark.parametrize("level", [0.0, pytest.param(1e-3, marks=pytest.mark.slow)])
def test_one_corrupted_trajectory_in_64_is_caught(kdv, kind, level):
    s = 17
    data = corrupt(replace(kdv, u=kdv.u + noise(kdv.u, level)), kind, s)
    audit = audit_data(data)
    assert [o.trajectory for o in audit.outliers] == [s], str(audit)
    assert audit.verdict == "outliers"
    assert "trajectory 17 is unlike the others" in str(audit)
    if kind in ("noise burst", "shifted row", "swapped rows"):
        near = audit.outliers[0].t
        assert float(kdv.t[24]) <= near <= float(kdv.t[56])


def test_data_of_a_law_that_no_coefficient_mends_are_refused():
    data = generate("u_t + u**2*u_x = u_xx/10", 12, 0, length=12.0, end=4.0, steps=60, keep=60, resolution=128)
    audit = audit_data(replace(data, equation=Equation("u_t + u*u_x = u_xx/10")))
    assert audit.verdict == "refuted"


def test_the_record_is_json(kdv):
    audit = audit_data(kdv[:8])
    record = json.loads(json.dumps(audit.to_dict(), allow_nan=False))
    assert record["verdict"] == record["gate"]["verdict"] == "solves"
    assert audit.map.shape == (8, len(audit.t), len(audit.x))


def test_alpha_is_checked(kdv):
    with pytest.raises(ValueError, match="`alpha`"):
        audit_data(kdv[:8], alpha=0)
