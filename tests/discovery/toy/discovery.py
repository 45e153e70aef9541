"""Its stages, its result, and how that is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from symflow import Coordinates
from symflow.discovery import DataVerdict, Generator, OneSpaceResult, Stage, Verdicts, load_as, run_stages

TURN = {"dx": "-y", "dy": "x"}


@dataclass(frozen=True, kw_only=True)
class Turns(OneSpaceResult):
    """What keeps a cloud of points.

    Attributes:
        points: how many there are.
    """

    kind: ClassVar[str] = "toy"

    points: int


@dataclass(frozen=True)
class State:
    points: Tensor
    score: float = 1.0


def move(state: State, context) -> State:
    """The relative change of the radii when each point moves a little along the turn."""
    turn = Generator(name="V1", closed_form=TURN)
    moved = state.points + 1e-4 * turn(state.points)
    change = (moved.norm(dim=1) - state.points.norm(dim=1)).abs().max() / 1e-4
    return replace(state, score=float(change))


STAGES = (Stage("finite flow", move),)


def discover(points: Tensor) -> Turns:
    """Whether the turn about the origin keeps the radii, which it does."""
    state, seconds = run_stages(STAGES, State(points))
    turn = Generator(name="V1", closed_form=TURN, valid=state.score < 1e-3, score=state.score)
    return Turns(
        verdicts=Verdicts(data=DataVerdict("measured", figure=state.score)),
        rank=1,
        generators=[turn],
        coordinates=Coordinates(("x", "y")),
        seed=0,
        seconds=seconds,
        points=len(points),
    )


def example() -> Turns:
    """Of points that are always the same."""
    return discover(torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))


def load_result(path: str | Path) -> Turns:
    """Reads ``result.json``."""
    return load_as(path, Turns)
