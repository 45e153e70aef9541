"""Orbits as text and as arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symflow.errors import UserError
from symflow.pde import Equation, audit_data, describe, load

SPRING = Equation("u_t - v = 0; v_t + u = 0")
T = np.linspace(0, 6, 121)
ORBITS = np.stack([np.stack([a * np.cos(T), -a * np.sin(T)], -1) for a in (1.0, 2.0, 3.0)])


def table(path, head="time,u,v", orbits=ORBITS, mark=",", times=T):
    rows = [
        mark.join(map(repr, map(float, (t, *row)))) for orbit in orbits for t, row in zip(times, orbit, strict=True)
    ]
    path.write_text("\n".join([head.replace(",", mark), *rows]) + "\n")
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
def test_runs_follow_each_other(mark, tmp_path):
    data = load(table(tmp_path / "a.csv", mark=mark), SPRING)
    assert torch.equal(data.u, torch.from_numpy(ORBITS))
    assert data.axes == ()
    assert audit_data(data).verdict == "solves"


def test_the_audit_names_the_equation_that_fails(tmp_path):
    data = load(table(tmp_path / "a.csv"), Equation("u_t - v = 0; v_t + 1.02*u = 0"))
    audit = audit_data(data)
    assert audit.verdict == "refuted"
    assert any("u in the equation of v_t" in sentence for sentence in audit.sentences)
    assert not any("in the equation of u_t" in sentence for sentence in audit.sentences)


def test_columns_by_other_names(tmp_path):
    path = table(tmp_path / "a.csv", "hours,position,speed")
    with pytest.raises(UserError, match=r"no column is the time, .* found hours, position, speed"):
        load(path, SPRING)
    data = load(path, SPRING, fields={"u": "position", "v": "speed"}, axes={"t": "hours"})
    assert torch.equal(data.u, torch.from_numpy(ORBITS))
    assert [f.name for f in describe(path, axes={"t": "hours"}).fields] == ["position", "speed"]


def test_an_empty_cell_is_missing(tmp_path):
    path = table(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    lines[5] = lines[5].rsplit(",", 1)[0] + ","
    path.write_text("\n".join(lines))
    data = load(path, SPRING)
    assert data.missing is not None
    assert data.missing.nonzero().tolist() == [[0, 4]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("t,u,v\n", "names and no numbers"),
        ("t,u,v\n0,1,2\n1,2\n", "line 3 must hold 3 numbers, got '1,2'"),
        ("t,u,v\n0,1,2\n1,x,2\n", "line 3 must hold 3 numbers"),
        ("t,u,v\n0,1,2\n1,1,2\n0,1,2\n", "every run must have the same times; they have from 1 to 2"),
        ("just a letter", "is no HDF5, npz or MATLAB 5 file"),
    ],
)
def test_bad_tables(text, sentence, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        load(tmp_path / "a.csv", SPRING)
    assert sentence in str(caught.value)


def test_orbits_in_an_archive(tmp_path):
    np.savez(tmp_path / "a.npz", t=T, u=ORBITS[..., 0], v=ORBITS[..., 1])
    assert torch.equal(load(tmp_path / "a.npz", SPRING).u, torch.from_numpy(ORBITS))
    arrays = {"u": ORBITS[..., 0], "v": ORBITS[..., 1]}
    assert torch.equal(load(fields=arrays, axes={"t": T}, equation=SPRING).u, torch.from_numpy(ORBITS))
