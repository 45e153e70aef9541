"""Curves as event files: read back by TensorBoard's own reader; and the sentence where it is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from command_line import symflow
from symflow.errors import UserError
from symflow.learning import Ledger
from symflow.runs import Run, write_events


def run_of(folder: Path) -> Path:
    """A stage that records every step, and a training whose end is known."""
    run = Run(folder, {"command": "test"})
    run.log(*({"stage": "network", "step": k, "loss": 2.0**-k} for k in range(3)))
    ledger = Ledger(folder, {"command": "test"}, resume=True, replace=False)
    ledger.note("affine+flip 0.2, seed 0", [{"step": 1, "loss": 2.0, "accuracy": 0.5}], accuracy=0.75)
    return folder


def test_the_figures_come_back_as_they_were(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is optional: `pip install tensorboard`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
        events = EventAccumulator(str(folder)).Reload()
        return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

    run = run_of(tmp_path / "run")
    for _ in range(2):  # the second call replaces what the first one wrote
        folder = write_events(run)
        assert read(folder / "network") == {"loss": [(0, 1.0), (1, 0.5), (2, 0.25)]}
        assert read(folder / "affine+flip-0.2-seed-0") == {
            "loss": [(1, 2.0)],
            "accuracy": [(1, 0.5)],
            "final/accuracy": [(1, 0.75)],
        }
    Run(run, {"command": "test"}, replace=True)
    assert not list(folder.rglob("events*"))


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        write_events(run_of(tmp_path / "run"))
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        with pytest.raises(UserError, match="a run that trained something"):
            write_events(tmp_path / name)
    answer = symflow("tensorboard", "empty", cwd=tmp_path)
    assert answer.returncode == 2
    assert "trained something" in answer.stderr


def test_a_name_of_a_stage_leads_nowhere_else(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is optional")
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text(
        '{"stage": "..", "step": 1, "loss": 0.5}\n{"stage": "../../x", "step": 1, "loss": 1}\n'
    )
    write_events(run)
    assert {path.parent.parent for path in tmp_path.rglob("events.out.*")} == {run / "tensorboard"}
