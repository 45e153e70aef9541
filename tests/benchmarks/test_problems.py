"""The bench behind the thresholds: what is committed meets what is promised, and the cheap families still do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symflow.problems.count import MEASURED, error_rate

SCRIPT = "problems"
FOLDER = Path(__file__).parents[2] / "benchmarks"
RESULTS = json.loads((FOLDER / "results" / "problems.json").read_text())


def test_what_is_promised():
    figures = RESULTS["summary"]
    assert figures["all"]["problems"] >= 200
    for part in ("all", "families held out"):
        assert figures[part]["right"] >= 0.93
        assert figures[part]["clear_wrong_share"] <= 0.01


def test_figures_are_those_of_the_records(bench):
    records = RESULTS["problems"]
    assert bench.summary(records) == RESULTS["summary"]["all"]
    assert bench.summary([r for r in records if r["held_out"]]) == RESULTS["summary"]["families held out"]
    assert {r["family"] for r in records} == set(bench.FAMILIES)
    assert set(bench.HELD_OUT) <= set(bench.FAMILIES)


def test_stated_rates_are_those_of_the_records():
    for source, (clear, wrong) in MEASURED.items():
        own = [r for r in RESULTS["problems"] if r["source"] == source and r["clear"]]
        assert (len(own), sum(r["rank"] != r["truth"] for r in own)) == (clear, wrong)


def test_rates_are_upper_ends_of_intervals():
    for source, (clear, wrong) in MEASURED.items():
        rate = error_rate(source)
        assert wrong / clear < rate < 1.0
        if not wrong:
            assert rate == pytest.approx(1 - 0.05 ** (1 / clear), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    ["quadratic", "momenta", "no symmetry", "nearly so(p,q)", "partly broken", "symplectic", "monomials", "numpy"],
)
def test_families_again(bench, name):
    """The first draws, and that they are those of the record."""
    records = {(r["family"], r["draw"]): r for r in RESULTS["problems"]}
    make, _ = bench.FAMILIES[name]
    for draw in range(3):
        case = bench.draw_case(name, make, draw)
        found = bench.discover(case.problem, case.fields, derivative=case.derivative, seed=draw)
        record = records[name, draw]
        assert (case.truth, case.note) == (record["truth"], record["note"])
        assert (found.rank, found.clear) == (record["rank"], record["clear"])
