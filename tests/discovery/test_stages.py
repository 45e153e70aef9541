"""Stages run in order, are timed and shown, and an interrupted run ends with the bits of one that was not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from symflow.discovery.stages import Beside, Kept, Stage, every, replaced, run_stages
from symflow.errors import UserError
from symflow.runs import Run, one_thread


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


@dataclass(frozen=True)
class Sides:
    start: float = 2.0
    left: torch.Tensor | None = None
    right: torch.Tensor | None = None
    calls: int = 0


def left(state: Sides, context) -> Sides:
    context.tell(0.5, {})
    return replace(state, left=torch.full((3,), state.start).sqrt())


def right(state: Sides, context) -> Sides:
    context.tell(0.5, {})
    return replace(state, right=torch.full((3,), state.start).exp(), calls=state.calls + 1)


def refuse(state: Sides, context) -> Sides:
    raise UserError("`left` must be told, got nothing")


BESIDE = (Beside(((Stage("left", left),), (Stage("right", right), Stage("again", right)))),)


@pytest.mark.parametrize("processors", [1, 2])
def test_stages_beside_each_other_fill_one_state(processors, monkeypatch):
    monkeypatch.setattr("symflow.runs.processes.available", lambda: processors)
    told = []
    state, seconds = run_stages(BESIDE, Sides(), progress=lambda *what: told.append(what))
    in_turn, _ = run_stages(every(BESIDE), Sides())
    assert torch.equal(state.left, in_turn.left)
    assert torch.equal(state.right, in_turn.right)
    assert state.calls == 2
    assert set(seconds) == {"left", "right", "again"}
    assert [t for t in told if t[0] == "right"] == [("right", 0.0, {}), ("right", 0.5, {}), ("right", 1.0, {})]
    assert [t for t in told if t[0] == "left"] == [("left", 0.0, {}), ("left", 1.0, {})]


def test_a_list_with_nothing_to_do_is_left_out():
    never = Stage("never", refuse, when=lambda state: False)
    state, seconds = run_stages([Beside(((never,), (Stage("right", right),)))], Sides())
    assert state.left is None
    assert set(seconds) == {"right"}
    assert run_stages([Beside(((never,),))], Sides()) == (Sides(), {})


def test_what_a_stage_beside_others_raises_is_raised():
    with pytest.raises(UserError, match="`left` must be told"):
        run_stages([Beside(((Stage("left", refuse),), (Stage("right", right),)))], Sides())


def test_a_stage_is_replaced_wherever_it_stands():
    others = replaced(BESIDE, Stage("again", left))
    assert [s.function for s in every(others)] == [left, right, left]
