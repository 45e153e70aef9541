"""Works side by side: what they return, and how their failures reach the caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from symflow.errors import UserError
from symflow.runs import Budget, together


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


def test_a_budget_ends_what_does_not_end():
    budget = Budget(1.5)
    begun = time.process_time()
    assert budget.spend(lambda: 6 * 7) == 42
    assert budget.spend(lambda: sum(iter(int, 1))) is None  # an endless sum, in C
    assert budget.left <= 0
    assert budget.spend(lambda: 6 * 7) is None  # nothing is left
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("work", [lambda: bytes(1 << 40), lambda: nested(0)], ids=["memory", "depth"])
def test_a_budget_ends_what_grows_without_bound(work):
    assert Budget(5.0).spend(work) is None


def nested(n):
    return nested(n + 1)


def test_a_budget_raises_what_the_work_raises():
    def fails():
        raise UserError("`x` must be a number, got none")

    with pytest.raises(UserError, match="`x` must be a number"):
        Budget(5.0).spend(fails)


ORPHAN = """
import os, signal, sys, time
from symflow.runs import processes
processes.available = lambda: 2
def child():
    print(os.getpid(), flush=True)
    time.sleep(60)
def parent():
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
processes.together([child, parent])
"""


def test_forks_end_with_the_process_that_made_them():
    """A killed run leaves nobody behind who writes into its directory."""
    answer = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == -signal.SIGKILL
    child = int(answer.stdout)
    for _ in range(100):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {child} goes on")
