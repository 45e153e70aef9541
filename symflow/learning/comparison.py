"""What comparisons of trainings share: intervals over seeds, the choice of a strength, and a ledger of what is done."""

from __future__ import annotations

import math
import os
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist

from symflow.runs import METRICS, RESULT, Figure, Run, from_json, read_metrics, refusing, write_json

from .loop import Record

JobReport = Callable[[str, int, int], None]
"""Called as a comparison goes on, with what is trained, how far it is, and how far it will be."""


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The mean and half the width of its interval by Student's t; infinite for one value, NaN for none.

    >>> mean_interval([0.7, 0.71, 0.72])
    (0.71, 0.024841377...)
    """
    if not values:
        return math.nan, math.nan
    if len(values) == 1:
        return values[0], math.inf
    error = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), student_quantile(confidence, len(values) - 1) * error


def student_quantile(confidence: float, freedom: int) -> float:
    """The t with ``P(|T| <= t) = confidence`` for Student's distribution, by bisection.

    The probability is a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4).

    >>> round(student_quantile(0.95, 2), 4)
    4.3027
    """
    low, high = 0.0, math.pi / 2  # of the angle arctan(t / sqrt(freedom))
    for _ in range(60):
        angle = (low + high) / 2
        if _student_probability(angle, freedom) < confidence:
            low = angle
        else:
            high = angle
    return math.tan(low) * math.sqrt(freedom)


def _student_probability(angle: float, freedom: int) -> float:
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = cosine if odd else 1.0, 0.0
    for j in range(1, freedom // 2 + 1):
        total += term
        term *= cosine**2 * ((2 * j) / (2 * j + 1) if odd else (2 * j - 1) / (2 * j))
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def choose_strength(
    evaluate: Callable[[float], float], candidates: Sequence[float]
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """The candidate of the highest score, the smallest of equals, and the pairs (candidate, score).

    Args:
        evaluate: the score of a network trained with a strength, such as its accuracy, on data that neither train nor
            test it.
        candidates: at least one.

    >>> choose_strength({0.1: 0.7, 0.2: 0.8, 0.3: 0.8}.get, (0.1, 0.2, 0.3))[0]
    0.2
    """
    measured = tuple((strength, evaluate(strength)) for strength in sorted(candidates))
    best, _ = max(measured, key=lambda pair: pair[1])  # of equals the first
    return best, measured


class Ledger:
    """The trainings that are finished, with their figures: lines of a run's metrics, after those of the way there.

    Worker 0 writes them, and all workers read them at the start; without ``out`` nothing is written.

    Attributes:
        finished: the figures of every finished training, by its key.

    Args:
        out: the run directory, or ``None``.
        config: what the run is asked to do, as for `symflow.runs.Run`.
        resume: continue the run in ``out``.
        replace: remove an earlier run there first.

    Raises:
        UserError: as `symflow.runs.Run`.

    >>> ledger = Ledger(None, {}, resume=False, replace=False)
    >>> ledger.note("none, seed 0", accuracy=0.5)
    >>> ledger.finished
    {'none, seed 0': {'accuracy': 0.5}}
    """

    def __init__(
        self, out: str | os.PathLike[str] | None, config: Mapping[str, Any], resume: bool, replace: bool
    ) -> None:
        self.finished: dict[str, dict[str, float]] = {}
        self._path = None if out is None else Path(out)
        self._run: Run | None = None
        if self._path is None:
            return
        if not dist.is_initialized() or dist.get_rank() == 0:
            self._run = Run(self._path, config, resume=resume, replace=replace)
            self._run.rewind("", 0)  # a line cut short goes
        if dist.is_initialized():
            dist.barrier()
        with refusing(self._path / METRICS, "be the ledger of a comparison"):
            for record in read_metrics(self._path):
                if "step" in record:  # on the way
                    continue
                key = from_json(record.pop("stage", None), str)
                self.finished[key] = from_json(record, dict[str, Figure])
        if dist.is_initialized():
            dist.barrier()

    def checkpoint(self, key: str) -> Path | None:
        """Where a training that is not finished continues; ``None`` without a run directory."""
        return None if self._path is None else self._path / f"{re.sub('[^a-z0-9.+]+', '-', key)}.safetensors"

    def note(self, key: str, history: Sequence[Record] = (), **figures: float) -> None:
        """A training is finished, with these figures; its checkpoint goes.

        ``history`` holds what was recorded on the way, each with its ``"step"``; what a part of it took by the clock
        (``"seconds"``) is not written, for a run that was killed and resumed ends in the same bits.
        """
        self.finished[key] = figures
        if self._run is not None:
            way = ({"stage": key, **{k: v for k, v in r.items() if k != "seconds"}} for r in history)
            self._run.log(*way, {"stage": key, **figures})
            checkpoint = self.checkpoint(key)
            if checkpoint is not None:
                checkpoint.unlink(missing_ok=True)

    def publish(self, content: Mapping[str, Any]) -> None:
        """Writes ``result.json``: what is known so far, JSON values."""
        if self._run is not None:
            write_json(self._run.path / RESULT, content)
