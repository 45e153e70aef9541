"""Damaged files of every kind, a few of each: a sentence or what is in them. `make soak` reads many more."""

from __future__ import annotations

import pytest

from hostile import case
from targets import ALL

QUICK, CASES = 400, 12


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=[pytest.mark.slow] if t.often < QUICK else [], id=t.name) for t in ALL]
)
def test_damage_is_read_or_refused_in_a_sentence(target, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    target.make(whole)
    outcomes = [case(target, whole, tmp_path / "damaged", 1, n) for n in range(CASES)]
    faults = [f"case {n}: {o.text}" for n, o in enumerate(outcomes) if o.word == "fault"]
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize("target", [t for t in ALL if t.often >= QUICK], ids=lambda t: t.name)
def test_whole_files_are_read(target, tmp_path):
    """What is damaged above is read while it is whole: the tests are of the readers, not of a first refusal."""
    whole = tmp_path / "whole"
    whole.mkdir()
    target.make(whole)
    if target.name == "npy":  # has no coordinates
        return
    target.use(whole)
