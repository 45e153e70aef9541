"""The learning loop: a gradient method on an objective, with checkpoints from which a run continues bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from symflow.errors import UserError
from symflow.fields import NeuralField
from symflow.runs import Run

CHECKPOINT_EVERY = 25  # steps: a checkpoint costs milliseconds, a lost step up to seconds

Record = dict[str, float]
"""What is recorded of a step, by name."""

StepReport = Callable[[int, Record], None]
"""Called as a training goes on, with how many steps (or epochs) were taken and what was recorded of the last."""


Optimizer = Callable[..., torch.optim.Optimizer]
"""Makes one of ``(parameters, lr=...)``, whose state is tensors by parameter, of which ``step`` counts the steps."""


class Objective(Protocol):
    """What a run minimises, and how it goes about it."""

    @property
    def steps(self) -> int:
        """How many steps the run takes."""

    def rate(self, step: int) -> float:
        """The learning rate at a step, from 0."""

    def backward(self, field: NeuralField, step: int) -> dict[str, float]:
        """Adds the gradient of the loss at a step to the parameters and returns what to log, ``"loss"`` among it.

        Random numbers come from the seed and the step alone: a run that continues draws what it would have drawn.
        """


def cosine(rate: float, step: int, steps: int) -> float:
    """A learning rate that falls to zero along half a cosine."""
    return rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def learn(
    field: NeuralField,
    objective: Objective,
    *,
    stage: str = "learning",
    optimizer: Optimizer = torch.optim.Adam,
    run: Run | None = None,
    progress: StepReport | None = None,
) -> None:
    """Minimises an objective over the parameters of a field, in place.

    Adam (Kingma and Ba, 2015), or another method, with the objective's own learning rates. With a `run`, every step is
    a line of ``metrics.jsonl`` and every 25th leaves a checkpoint; if the run holds a checkpoint of this stage,
    learning continues there, and field and metrics end with the bits they would have had without the interruption.

    Args:
        field: what is learned.
        objective: what is minimised.
        stage: names the checkpoint and the lines of the metrics.
        optimizer: the method.
        run: where to keep both.
        progress: called after every step.

    Raises:
        UserError: the loss is not finite, or the checkpoint belongs to another field.
    """
    method = optimizer(field.parameters(), lr=0.0)
    first = _restore(field, method, stage, run)
    for step in range(first, objective.steps):
        for group in method.param_groups:
            group["lr"] = objective.rate(step)
        method.zero_grad(set_to_none=True)
        record = objective.backward(field, step)
        if not all(math.isfinite(value) for value in record.values()):
            raise UserError(f"the {stage} stage diverged: the loss must stay finite, got {record} at step {step}")
        method.step()
        if run is not None:
            run.log({"stage": stage, "step": step, **record})
            if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == objective.steps:
                _save(field, method, stage, run, step + 1)
        if progress is not None:
            progress(step + 1, record)


@dataclass(frozen=True)
class _Checkpoint:
    """What a checkpoint says beside its tensors: the step that comes next."""

    step: int


def _save(field: NeuralField, method: torch.optim.Optimizer, stage: str, run: Run, step: int) -> None:
    tensors = {f"field.{name}": p for name, p in field.named_parameters()}
    for name, p in field.named_parameters():
        # an objective may leave parameters out, of which a method then keeps nothing
        tensors |= {f"{kept}.{name}": value for kept, value in method.state.get(p, {}).items()}
    run.save_tensors(stage, tensors, _Checkpoint(step))


def _restore(field: NeuralField, method: torch.optim.Optimizer, stage: str, run: Run | None) -> int:
    """Puts the field and the method where the checkpoint left them, and returns the step that comes next."""
    if run is None:
        return 0
    saved = run.load_tensors(stage, _Checkpoint)
    if saved is None:
        run.rewind(stage, 0)
        return 0
    tensors, about = saved
    step: int = about.step
    with torch.no_grad():
        for name, p in field.named_parameters():
            own = {key.removesuffix(f".{name}"): value for key, value in tensors.items() if key.endswith(f".{name}")}
            kept = {key: value if key == "step" else value.to(p.device) for key, value in own.items()}
            try:
                p.copy_(kept.pop("field"))
            except (KeyError, RuntimeError):
                raise UserError(f"the checkpoint of the {stage} stage belongs to another field") from None
            if kept:
                method.state[p] = kept
    run.rewind(stage, step)
    return step
