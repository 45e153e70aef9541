"""The loop: what it minimises, and that an interruption leaves no trace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from symflow import Coordinates, NeuralField, UserError
from symflow.learning.loop import CHECKPOINT_EVERY, cosine, learn
from symflow.runs import Run


@dataclass
class Target:
    """The mean square distance to the field (y, -x) at points drawn from the step."""

    steps: int
    stop_at: int | None = None

    def rate(self, step: int) -> float:
        return cosine(1e-2, step, 4 * CHECKPOINT_EVERY)

    def backward(self, field: NeuralField, step: int) -> dict[str, float]:
        if step == self.stop_at:
            raise KeyboardInterrupt
        z = torch.rand(64, 2, generator=torch.Generator().manual_seed(step))
        loss = (field(z)[:, 0] - torch.stack([z[:, 1], -z[:, 0]], -1)).square().mean()
        loss.backward()
        return {"loss": loss.item()}


def field() -> NeuralField:
    return NeuralField(Coordinates(("x", "y")), 1, width=8, head_width=8, seed=5)


def test_the_loss_falls() -> None:
    losses = []
    learn(field(), Target(100), progress=lambda step, record: losses.append(record["loss"]))
    assert len(losses) == 100
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("stop", [3, CHECKPOINT_EVERY, 2 * CHECKPOINT_EVERY + 7])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    steps = 3 * CHECKPOINT_EVERY + 1
    whole, part = field(), field()
    run = Run(tmp_path / "whole", {})
    learn(whole, Target(steps), run=run)

    with pytest.raises(KeyboardInterrupt):
        learn(part, Target(steps, stop_at=stop), run=Run(tmp_path / "part", {}))
    resumed = field()
    learn(resumed, Target(steps), run=Run(tmp_path / "part", {}, resume=True))

    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    for name in ("metrics.jsonl", "learning.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "part" / name).read_bytes()


def test_a_finished_stage_is_not_repeated(tmp_path: Path) -> None:
    steps = CHECKPOINT_EVERY
    learn(field(), Target(steps), run=Run(tmp_path / "run", {}))
    calls = []
    again = field()
    learn(again, Target(steps), run=Run(tmp_path / "run", {}, resume=True), progress=lambda *a: calls.append(a))
    assert calls == []


def test_divergence_is_a_sentence() -> None:
    class Diverging(Target):
        def backward(self, field: NeuralField, step: int) -> dict[str, float]:
            return {"loss": float("nan")}

    with pytest.raises(UserError, match=r"the learning stage diverged.*at step 0"):
        learn(field(), Diverging(10))


def test_a_checkpoint_of_another_field_is_refused(tmp_path: Path) -> None:
    learn(field(), Target(CHECKPOINT_EVERY), run=Run(tmp_path / "run", {}))
    other = NeuralField(Coordinates(("x", "y")), 1, width=9, head_width=8)
    with pytest.raises(UserError, match="belongs to another field"):
        learn(other, Target(CHECKPOINT_EVERY), run=Run(tmp_path / "run", {}, resume=True))
