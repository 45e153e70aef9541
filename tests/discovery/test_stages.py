"""Stages run in order, are timed and shown, and an interrupted run ends with the bits of one that was not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from symflow.discovery.stages import Kept, Stage, one_thread, run_stages
from symflow.runs import Run


@dataclass(frozen=True)
class Sum:
    value: torch.Tensor
    calls: tuple[str, ...] = ()


def noise(state: Sum, context) -> Sum:
    context.tell(0.5, {"half": 1.0})
    draw = torch.randn(3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return Sum(state.value + draw, (*state.calls, "noise"))


def fails(state: Sum, context) -> Sum:
    raise KeyboardInterrupt


def square(state: Sum, context) -> Sum:
    return Sum(state.value.square(), (*state.calls, "square"))


KEPT = Kept[Sum](
    write=lambda state: ({"value": state.value}, {"steps": 3}),
    read=lambda state, tensors, about: replace(state, value=tensors["value"], calls=(*state.calls, "read")),
)
START = Sum(torch.zeros(3, dtype=torch.float64))


def test_progress_is_told_in_order_and_every_stage_is_timed():
    told = []
    stages = [Stage("noise", noise), Stage("never", fails, when=lambda s: False), Stage("square", square)]
    state, seconds = run_stages(stages, START, progress=lambda *what: told.append(what))
    assert state.calls == ("noise", "square")
    assert list(seconds) == ["noise", "square"]
    assert told == [
        ("noise", 0.0, {}),
        ("noise", 0.5, {"half": 1.0}),
        ("noise", 1.0, {}),
        ("square", 0.0, {}),
        ("square", 1.0, {}),
    ]


def test_an_interrupted_run_ends_with_the_bits_of_one_that_was_not(tmp_path):
    whole, _ = run_stages([Stage("a stage", noise, kept=KEPT), Stage("square", square)], START)
    run = Run(tmp_path / "run", {})
    with pytest.raises(KeyboardInterrupt):
        run_stages([Stage("a stage", noise, kept=KEPT), Stage("square", fails)], START, run=run)
    run = Run(tmp_path / "run", {}, resume=True)
    resumed, seconds = run_stages([Stage("a stage", fails, kept=KEPT), Stage("square", square)], START, run=run)
    assert torch.equal(resumed.value, whole.value)
    assert resumed.calls == ("read", "square")
    assert set(seconds) == {"a stage", "square"}


def test_names_are_distinct():
    with pytest.raises(ValueError, match="distinct names, got square, square"):
        run_stages([Stage("square", square)] * 2, START)


def test_one_thread_restores_the_number_of_threads():
    before = torch.get_num_threads()
    with one_thread():
        inside = torch.get_num_threads()
    assert (inside, torch.get_num_threads()) == (1, before)
