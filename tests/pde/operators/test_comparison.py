"""Comparisons of neural operators: arms, pairing, resumption, what is said of mistakes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from symflow import NeuralField, SymbolicField, pde, principal_angles
from symflow.errors import UserError
from symflow.pde.operators import arms
from symflow.pde.operators.arms import exact_field
from symflow.pde.operators.comparison import compare_operators
from symflow.pde.trajectories import data_coordinates
from symflow.runs import save_field

SMALL: dict[str, Any] = {
    "trajectories": 2,
    "seeds": 2,
    "points": 64,
    "width": 4,
    "modes": 4,
    "layers": 1,
    "steps": 5,
    "batch": 2,
    "copies": 2,
    "strengths": (0.1,),
    "validation": 1,
    "test": 2,
    "unproved": True,
}


def test_a_comparison_resumes_and_does_not_depend_on_processes(data: pde.Trajectories, tmp_path: Path) -> None:
    names = ("none", "exact", "wrong")
    whole = compare_operators(data, arms=names, **SMALL)
    part = compare_operators(data, tmp_path / "run", arms=names[:2], **SMALL)
    told: list[tuple[str, int, int]] = []
    rest = compare_operators(
        data, tmp_path / "run", arms=names, resume=True, progress=lambda *how: told.append(how), **SMALL
    )
    assert told == [("wrong 0.1, seed 0", 5, 6), ("wrong 0.1, seed 1", 6, 6)]
    assert rest == whole
    assert part.arms == whole.arms[:2]
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [arm["name"] for arm in content["arms"]] == list(names)
    assert not list((tmp_path / "run").glob("*seed-*.safetensors"))


def test_slots_are_learned_once_for_each_seed_and_moved_along(data: pde.Trajectories, tmp_path: Path) -> None:
    """Slots that lie in the run already: three constant fields, of which one is no symmetry."""
    run = tmp_path / "run"
    compare_operators(data, run, arms=("none",), **SMALL)
    slots = NeuralField(data_coordinates(data, periodic=True), 3, width=4, head_width=4).double()
    with torch.no_grad():
        slots.out_weight.zero_()
        slots.out_bias.copy_(torch.eye(3))
    for seed in range(SMALL["seeds"]):
        save_field(run / f"slots-{seed}.safetensors", slots)
    found = compare_operators(data, run, arms=("none", "slots"), resume=True, **SMALL)
    parts = data.split(SMALL["test"], SMALL["validation"], *[SMALL["trajectories"]] * SMALL["seeds"])[2:]
    angles = []
    for part in parts:
        truth = exact_field(part)
        constant = SymbolicField(truth.coordinates, [{"dx": "1"}, {"dt": "1"}, {"du": "1"}])
        points = truth.coordinates.to_normalised(part.jets(2_000, 0, seed=1).points)
        angles.append(float(principal_angles(truth, constant, points)[-1]))
    assert found.arms[1].angles == pytest.approx(angles)
    assert len(found.arms[1].errors) == 2


def test_a_later_seed_alone_is_what_it_is_beside_the_first(data: pde.Trajectories) -> None:
    both = compare_operators(data, arms=("none", "exact"), **SMALL)
    rest = data[[0, 1, 2, 5, 6]]  # without the group of the first seed
    second = compare_operators(rest, arms=("none", "exact"), first=1, **SMALL | {"seeds": 1})
    assert [arm.errors for arm in second.arms] == [arm.errors[1:] for arm in both.arms]


def test_where_the_route_finds_no_slot_nothing_is_moved(data: pde.Trajectories, monkeypatch) -> None:
    class Nothing:
        neural = None

    monkeypatch.setattr(arms, "discover", lambda *data, **how: Nothing)
    none, slots = compare_operators(data, arms=("none", "slots"), **SMALL).arms
    assert slots.errors == none.errors
    assert slots.angles == (math.pi / 2,) * 2
    with pytest.raises(UserError, match="show no symmetry to learn"):
        compare_operators(data, arms=("none", "learned"), **SMALL)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(data: pde.Trajectories) -> None:
    one = compare_operators(data, arms=("none", "learned", "penalty"), **SMALL)
    two = compare_operators(data, arms=("none", "learned", "penalty"), workers=2, **SMALL)
    assert one == two
    learned = one.arms[1]
    assert max(learned.angles) < 1e-2  # found in two trajectories
    assert one.arms[2].angles == learned.angles


def test_arms_along_what_is_not_valid_are_refused_unless_told(data: pde.Trajectories) -> None:
    asked = SMALL | {"unproved": False}
    for names in (("none", "learned"), ("wrong",), ("penalty", "exact")):
        with pytest.raises(
            UserError, match=rf"nothing proves the fields of {names[0] if len(names) == 1 else '(learned|penalty)'}"
        ):
            compare_operators(data, arms=names, **asked)
    scaled = replace(data, u=1.05 * data.u)
    with pytest.raises(UserError, match=r"`data` must solve u_t .* but these data do not solve it .*unproved=True"):
        compare_operators(scaled, arms=("none", "exact"), **asked)
    assert len(compare_operators(scaled, arms=("none",), **asked).arms) == 1  # nothing is moved
    assert len(compare_operators(data, arms=("none", "exact"), **asked | {"seeds": 1}).arms) == 2


WORKER = """
import json, sys, torch
sys.path.insert(0, sys.argv[1])
from test_comparison import SMALL
from symflow import pde

data = pde.load(sys.argv[2])
found = pde.compare_operators(data, sys.argv[3], arms=("none", "exact"), **(SMALL | {"steps": 120, "batch": 3}))
sys.stdout.write(json.dumps([arm.errors for arm in found.arms]) + "\\n")  # one write: two processes share the pipe
"""


@pytest.mark.slow
def test_two_workers_share_every_batch(data: pde.Trajectories, tmp_path: Path) -> None:
    """Two gloo processes under torchrun, with two and one windows of every batch of three, against one process."""
    script, file = tmp_path / "worker.py", tmp_path / "data.h5"
    script.write_text(WORKER)
    pde.save(data, file)
    errors = []
    for name, launcher in (("one", []), ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"])):
        command = [sys.executable, *launcher, str(script), str(Path(__file__).parent), str(file), str(tmp_path / name)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        answer = subprocess.run(command, check=True, env=environment, timeout=300, capture_output=True, text=True)
        errors.append([json.loads(line) for line in answer.stdout.splitlines() if line.startswith("[[")])
    (one,), (first, second) = errors
    assert first == second
    assert torch.allclose(torch.tensor(one), torch.tensor(first), rtol=1e-3)


def test_arms_that_move_nothing_start_alike(data: pde.Trajectories) -> None:
    """With a strength of nearly 0 the exact arm trains on the data themselves."""
    found = compare_operators(data, arms=("none", "exact"), **(SMALL | {"strengths": (1e-9,)}))
    for plain, moved in zip(found.arms[0].errors, found.arms[1].errors, strict=True):
        assert moved == pytest.approx(plain, rel=1e-3)


def test_the_strength_is_the_one_of_least_error_on_validation(data: pde.Trajectories) -> None:
    found = compare_operators(data, arms=("none", "exact"), **(SMALL | {"strengths": (0.01, 0.3)}))
    best = min(found.validation, key=lambda pair: pair[1])[0]
    assert found.arms[1].strength == best
    assert [strength for strength, _ in found.validation] == [0.01, 0.3]


def test_mistakes_are_sentences(data: pde.Trajectories, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`arms` must be some of none, fixed, exact, .*, got best"):
        compare_operators(data, arms=("best",), **SMALL)
    with pytest.raises(UserError, match=r"at least 15 trajectories .*, got 7"):
        compare_operators(data, **(SMALL | {"trajectories": 6}))
    with pytest.raises(UserError, match="`points` must be at least 8 and divide the 128 points"):
        compare_operators(data, **(SMALL | {"points": 50}))
    for name, value in (("strengths", (0.0,)), ("rate", -1.0), ("steps", 0), ("modes", 1), ("copies", 0)):
        with pytest.raises(UserError, match=f"`{name}` must be"):
            compare_operators(data, **(SMALL | {name: value}))
    field = SymbolicField(exact_field(data).coordinates, [{"du": "u"}])
    compare_operators(data, tmp_path / "run", arms=("none",), **SMALL)
    with pytest.raises(UserError, match="cannot be resumed: it was begun with field = None"):
        compare_operators(data, tmp_path / "run", arms=("none",), field=field, resume=True, **SMALL)
    with pytest.raises(UserError, match="holds a run already"):
        compare_operators(data, tmp_path / "run", arms=("none",), **SMALL)
