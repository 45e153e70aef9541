"""Works side by side: what they return, and how their failures reach the caller."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from symflow.errors import UserError
from symflow.runs import together


def works(*values):
    return [lambda v=v: v for v in values]


def test_results_come_in_order_and_whole():
    tensor = torch.arange(1e5, dtype=torch.float64)  # more than a pipe holds at once
    first, second, third = together([lambda: tensor.sqrt(), lambda: {"pid": os.getpid()}, os.getpid])
    assert torch.equal(first, tensor.sqrt())
    assert third == os.getpid() != second["pid"] or len(os.sched_getaffinity(0)) == 1


def test_one_processor_works_in_turn(monkeypatch):
    monkeypatch.setattr("symflow.runs.processes.available", lambda: 1)
    assert set(together([os.getpid, os.getpid])) == {os.getpid()}


@pytest.mark.parametrize("processors", [1, 2])
@pytest.mark.parametrize("place", [0, 1])
def test_errors_reach_the_caller(processors, place, monkeypatch):
    monkeypatch.setattr("symflow.runs.processes.available", lambda: processors)

    def fails():
        raise UserError("`x` must be a number, got none")

    parts = works(1, 2)
    parts[place] = fails
    with pytest.raises(UserError, match="`x` must be a number"):
        together(parts)


def test_a_fork_that_is_killed_or_cannot_hand_over_is_named(monkeypatch):
    monkeypatch.setattr("symflow.runs.processes.available", lambda: 2)
    with pytest.raises(RuntimeError, match="exit code -9"):
        together([lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1])
    with pytest.raises(RuntimeError, match="cannot hand over"):
        together([lambda: lambda: 1, lambda: 1])


def test_a_fork_may_have_works_of_its_own(monkeypatch):
    monkeypatch.setattr("symflow.runs.processes.available", lambda: 2)
    assert together([lambda: together(works(1, 2)), lambda: 3]) == [[1, 2], 3]
