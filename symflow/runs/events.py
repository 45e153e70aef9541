"""The curves of a run for TensorBoard, which need not be installed for anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from symflow.errors import UserError

from .directory import METRICS, read_metrics
from .records import refusing

EVENTS = "tensorboard"
"""The folder in a run directory."""

_FILES = "events.out.tfevents.*"


def write_events(run: str | Path) -> Path:
    """Writes what a run recorded of its trainings as event files, which ``tensorboard --logdir RUN`` shows.

    Every stage or training of ``metrics.jsonl`` has a folder of its own, so that their curves lie over each other; its
    figures are scalars at their steps, and what is known at its end alone is called ``final/...``, at the last step.
    The run may be of any kind, finished or still at work; event files of an earlier call are replaced.

    Args:
        run: the directory.

    Returns:
        The folder in it that holds them.

    Raises:
        UserError: TensorBoard is not installed, or nothing was trained in the run.
    """
    folder = Path(run)
    curves: dict[str, list[Mapping[str, Any]]] = {}
    for record in read_metrics(folder):
        curves.setdefault(str(record.get("stage", "training")), []).append(record)
    if not curves:
        raise UserError(
            f"`run` must be the directory of a run that trained something, got {str(run)!r} without {METRICS}"
        )
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("event files are written by TensorBoard, which is missing: `pip install tensorboard`") from None
    for stage, records in curves.items():
        place = folder / EVENTS / (re.sub(r"[^\w.+=]+", "-", stage).lstrip(".") or "training")  # not the folder above
        for earlier in place.glob(_FILES):
            earlier.unlink()
        with SummaryWriter(str(place)) as writer, refusing(folder / METRICS, "be the metrics of a run"):
            for name, step, value in _scalars(records):
                writer.add_scalar(name, value, step)
    return folder / EVENTS


def _scalars(records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, int, float]]:
    """Names, steps and values."""
    last = 0
    for record in records:
        ended = not isinstance(record.get("step"), int)
        last = last if ended else record["step"]
        for name, value in record.items():
            if name != "step" and isinstance(value, int | float):
                yield (f"final/{name}" if ended else name), last, float(value)
