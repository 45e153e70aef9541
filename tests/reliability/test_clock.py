"""The clock of the machine set back: what is found does not depend on it, and no file is too new to go on with."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import pytest

from symflow.discovery import result as results
from symflow.errors import UserError
from symflow.learning import Ledger
from symflow.pde import discover, load_result
from symflow.runs import Run, read_metrics

YEAR = 365 * 86400.0


def set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds it an hour earlier than the one before."""
    now = iter(range(int(time.time()), 0, -3600))

    class Past(datetime.date):
        @classmethod
        def today(cls) -> datetime.date:
            return cls(1970, 1, 1)

    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(results, "date", Past)


def test_a_clock_that_runs_backwards_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = discover("kdv")
    set_back(monkeypatch)
    found = discover("kdv")
    found.save(tmp_path / "run")
    assert found.created == "1970-01-01"
    assert min(found.seconds.values()) >= 0
    assert found.generators == plain.generators
    assert load_result(tmp_path / "run").generators == plain.generators


def test_files_of_the_future_are_gone_on_with(tmp_path: Path) -> None:
    """After the clock was set back, everything that is there was written later than now."""
    path = tmp_path / "run"
    Ledger(path, {"command": "test"}, resume=False, replace=False).note("one", error=0.5)
    later = time.time() + YEAR
    for file in (path, *path.iterdir()):
        os.utime(file, (later, later))
    ledger = Ledger(path, {"command": "test"}, resume=True, replace=False)
    assert ledger.finished == {"one": {"error": 0.5}}
    ledger.note("two", error=0.25)
    assert [record["stage"] for record in read_metrics(path)] == ["one", "two"]
    with pytest.raises(UserError, match="begun with"):
        Run(path, {"command": "other"}, resume=True)
