"""Student's t against SciPy, the choice of a strength, and the ledger that a comparison continues from."""

from __future__ import annotations

import json
import math

import pytest
import scipy.stats

from symflow.errors import UserError
from symflow.learning.comparison import Ledger, choose_strength, mean_interval, student_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 29])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_quantiles_against_scipy(freedom, confidence):
    expected = scipy.stats.t.ppf((1 + confidence) / 2, freedom)
    assert student_quantile(confidence, freedom) == pytest.approx(expected, rel=1e-9)


def test_intervals_against_scipy():
    values = [0.71, 0.74, 0.69, 0.72]
    mean, half = mean_interval(values)
    low, high = scipy.stats.t.interval(0.95, 3, loc=mean, scale=scipy.stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-9)
    assert mean_interval([0.5]) == (0.5, math.inf)
    assert all(map(math.isnan, mean_interval([])))


def test_the_best_strength_and_the_smallest_of_equals():
    scores = {0.1: 0.7, 0.2: 0.8, 0.3: 0.8, 0.4: 0.75}
    best, measured = choose_strength(scores.__getitem__, (0.4, 0.3, 0.2, 0.1))
    assert best == 0.2
    assert dict(measured) == scores


def test_a_ledger_is_what_was_noted(tmp_path):
    """Figures come back exactly; a line cut short does not count; a finished training needs no checkpoint."""
    out = tmp_path / "run"
    ledger = Ledger(out, {"command": "test"}, resume=False, replace=False)
    path = ledger.checkpoint("Affine 0.1, seed 0")
    path.touch()
    ledger.note("none, seed 0", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}], error=0.1, one_step=1 / 3)
    ledger.note("Affine 0.1, seed 0", error=math.inf)
    assert not path.exists()
    with open(out / "metrics.jsonl", "a") as file:
        file.write('{"stage": "none, seed 1", "err')
    again = Ledger(out, {"command": "test"}, resume=True, replace=False)
    assert again.finished == ledger.finished
    assert again.finished["none, seed 0"] == {"error": 0.1, "one_step": 1 / 3}
    assert again.checkpoint("Affine 0.1, seed 0") == path
    again.note("none, seed 1", error=0.2)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines[:2] == [{"stage": "none, seed 0", "step": k, "loss": 3.0 - k} for k in (1, 2)]
    assert lines[2] == {"stage": "none, seed 0", "error": 0.1, "one_step": 1 / 3}
    assert [line["stage"] for line in lines[2:]] == ["none, seed 0", "Affine 0.1, seed 0", "none, seed 1"]
    again.publish({"arms": []})
    assert json.loads((out / "result.json").read_text()) == {"arms": []}


def test_the_clock_is_not_in_a_ledger(tmp_path):
    for name, seconds in (("one", 1.5), ("another", 2.5)):
        ledger = Ledger(tmp_path / name, {"command": "test"}, resume=False, replace=False)
        ledger.note("none", [{"step": 1, "loss": 0.25, "seconds": seconds}], error=0.5)
    one, another = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("one", "another"))
    assert one == another
    assert b"loss" in one


def test_a_ledger_of_another_run(tmp_path):
    Ledger(tmp_path / "run", {"epochs": 1}, resume=False, replace=False).note("none", error=1.0)
    with pytest.raises(UserError, match=r"epochs = 1 \(now 2\)"):
        Ledger(tmp_path / "run", {"epochs": 2}, resume=True, replace=False)
    with pytest.raises(UserError, match="holds a run"):
        Ledger(tmp_path / "run", {"epochs": 1}, resume=False, replace=False)
    assert Ledger(tmp_path / "run", {"epochs": 2}, resume=False, replace=True).finished == {}


def test_a_ledger_without_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(None, {}, resume=False, replace=False)
    ledger.note("none", error=1.0)
    ledger.publish({})
    assert ledger.finished == {"none": {"error": 1.0}}
    assert ledger.checkpoint("none") is None
    assert not list(tmp_path.iterdir())
