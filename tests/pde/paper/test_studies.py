"""The studies of equations: interrupted and resumed, counted by the subspace, and, slowly, the boost of KS by slots."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symflow.pde import generate
from symflow.pde.paper import STUDIES, operators, slots, varied
from symflow.pde.paper.page import page
from symflow.pde.paper.slots import Ablation, Scale, SlotsStudy, subspace, true_field
from symflow.pde.settings import OperatorTrainings
from symflow.reproduction import Record


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty steps on two trajectories: enough for a checkpoint, not for a symmetry."""
    recipe = replace(slots.SCALES["small"].recipe, width=8, steps=30, batch=2)
    monkeypatch.setattr(slots, "SCALES", {"small": Scale(recipe, 2, 2)})


def silent(done: float, note: str) -> None: ...


def without_times(found: Any) -> Any:
    """A result without what a clock measured."""
    if isinstance(found, dict):
        return {k: without_times(v) for k, v in found.items() if "seconds" not in k}
    return [without_times(v) for v in found] if isinstance(found, list) else found


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("study", [SlotsStudy("ckdv", ({"dt": "1"},)), Ablation("ckdv", varied("sigma", 0.1, 0.2))])
def test_an_interrupted_study_ends_as_one_that_was_not(study: Any, tmp_path: Path) -> None:
    calls = 0
    for name in ("interrupted", "whole"):
        (tmp_path / name).mkdir()

    def stop(done: float, note: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 29:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study("small", 1, tmp_path / "interrupted", stop)
    resumed = study("small", 1, tmp_path / "interrupted", silent)
    whole = study("small", 1, tmp_path / "whole", silent)
    assert without_times(resumed) == without_times(whole)


def test_the_subspace_of_the_local_score_is_the_algebra_of_ks() -> None:
    data = generate("ks", 6, 3, tolerance=1e-9).coarsen(256)
    found = subspace(data, true_field(data), 3)
    assert found["rank"] == 3
    assert max(found["angles"]) < 0.02
    assert found["values"][3] > 10 * found["floor"]


def test_every_study_is_named_on_the_page_and_what_was_not_run_says_so() -> None:
    empty = page([])
    assert empty.count("not run") == 1 + 2 * 5 + 5 + 1 + 3 + 8
    table = {
        "products": [[1.0, 0.5]],
        "norms": [0.999],
        "scores": [0.02],
        "log_scores": [1.1],
        "floor": 0.01,
        "angles": [0.001, 0.002, 0.045],
    }
    about = {
        "symmetries": 1,
        "none": 0,
        "steps": 1_000,
        "processor_seconds_of_a_step": 0.18,
        "subspace": {"rank": 3, "angles": [0.0, 0.0, 0.01], "processor_seconds": 0.4},
    }
    record = Record("pde", "ks", "small", 2, 180.4, "0", about | {"slots": table})
    assert "| KS | small | 2 | 0.001 0.002 0.045 | 1 | 0 | 2.0 | 0.010 | 180 | 3: 0.000 0.000 0.010 | 0.4 |" in page(
        [record]
    )
    assert set(STUDIES) == {"pde", "operators"}


def operator(seed: int, none: float, exact: float, slots: float) -> Record:
    arms = [
        {"name": "none", "errors": [none], "angles": []},
        {"name": "exact", "errors": [exact], "angles": []},
        {"name": "slots", "errors": [slots], "angles": [0.02]},
    ]
    return Record("operators", "ks-16", "small", seed, 60.0, "0", {"comparison": {"arms": arms}})


def test_operators_are_compared_seed_by_seed() -> None:
    """Halves, in pairs: the interval is that of their ratios, whatever the errors are."""
    one = page([operator(0, 4e-3, 2e-3, 2e-3)])
    assert "| ks-16 | small | 1 | 4.00e-03 | -50 % | -50 % | +0 % | 0.02 |" in one
    three = page([operator(seed, 2e-3 * 2**seed, 1e-3 * 2**seed, 1e-3 * 4**seed) for seed in range(3)])
    line = next(line for line in three.splitlines() if line.startswith("| ks-16 | small | 3 | 4.00e-03 |"))
    against = line.split("|")[5:8]
    assert against[0].strip() == "-50 % (-50 to -50)"
    # logarithms 0, log 2, log 4: the mean log 2, the half width 4.3027 log 2 / sqrt 3
    half = 4.3027 * math.log(2) / math.sqrt(3)
    low, high = (100 * math.expm1(math.log(2) + sign * half) for sign in (-1, 1))
    assert against[2].strip() == f"+100 % ({low:+.0f} to {high:+.0f})"


@pytest.mark.parametrize(("size", "strengths"), [("small", [0.05]), ("paper", [0.02, 0.05, 0.1])])
def test_a_study_of_operators_asks_for_its_seed(size: Any, strengths: list[float], tmp_path: Path, monkeypatch) -> None:
    asked: dict[str, Any] = {}

    class Compared:
        to_dict = staticmethod(dict)

    def compare(data: Any, run: Path, **how: Any) -> type[Compared]:
        asked.update(how, samples=len(data))
        return Compared

    monkeypatch.setattr(operators, "compare_operators", compare)
    small = replace(operators.TRAININGS[size], test=2, validation=1)
    monkeypatch.setitem(operators.TRAININGS, size, small)
    study = STUDIES["operators"]["nkdv-16"].run
    assert isinstance(study, operators.OperatorStudy)
    study = replace(study, count=1, resolution=128)
    assert study(size, 2, tmp_path, silent) == {"comparison": {}}
    assert (asked["first"], asked["seeds"], asked["samples"]) == (2, 1, 4)
    assert list(asked["strengths"]) == strengths
    OperatorTrainings(**{k: v for k, v in asked.items() if k not in ("first", "samples", "resume", "progress")})


@pytest.mark.slow
def test_slots_find_all_of_ks_by_the_local_score_alone(tmp_path: Path) -> None:
    found = STUDIES["pde"]["ks"].run("small", 0, tmp_path, silent)
    assert max(found["slots"]["angles"]) < 0.05
    assert found["symmetries"] == 3
