"""Neural operators with copies moved along the paper's slots, beside none and beside the exact symmetries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symflow.reproduction import Size, Tell
from symflow.runs import CONFIG

from ..generation import generate
from ..operators import compare_operators
from ..trajectories import load, save

ARMS = ("none", "exact", "slots")


@dataclass(frozen=True)
class Trainings:
    """How operators are trained and tested at one size.

    Attributes:
        validated: whether the strength of moves is chosen on validation trajectories, or given.
        validation, test, steps, width, modes, layers, rate, copies: of `pde.settings.OperatorTrainings`.
    """

    validated: bool
    validation: int
    test: int
    steps: int
    width: int
    modes: int
    layers: int
    rate: float
    copies: int


TRAININGS: Mapping[Size, Trainings] = {
    "small": Trainings(False, 1, 64, 500, 32, 24, 4, 3e-3, 16),
    "paper": Trainings(True, 64, 1_024, 11_200, 256, 32, 5, 1e-4, 16),
}


@dataclass(frozen=True)
class OperatorStudy:
    """One equation and one number of trajectories.

    Attributes:
        equation: of the catalogue.
        count: of trajectories to learn from.
        strength: of the moves where it is given: what was best on validation trajectories in docs/operators.md.
        candidates: where it is chosen.
        resolution: of the data, on which copies are moved.
        points: of the operator's grid.
    """

    equation: str
    count: int
    strength: float = 0.3
    candidates: tuple[float, ...] = (0.1, 0.2, 0.3)
    resolution: int = 256
    points: int = 128

    def __call__(self, size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
        """Trains every arm on the same data from the same start, as `pde.compare_operators` does."""
        trainings = vars(TRAININGS[size]).copy()
        strengths = self.candidates if trainings.pop("validated") else (self.strength,)
        tell(0.0, "data")
        path = folder / "data.h5"
        if not path.exists():
            samples = trainings["test"] + trainings["validation"] + self.count
            save(generate(self.equation, samples, seed, resolution=self.resolution), path)
        run = folder / "run"
        found = compare_operators(
            load(path, check=False),
            run,
            arms=ARMS,
            trajectories=self.count,
            seeds=1,
            first=seed,
            points=self.points,
            strengths=strengths,
            batch=16,
            unproved=True,
            resume=(run / CONFIG).exists(),
            progress=lambda what, done, total: tell(done / total, what),
            **trainings,
        )
        return {"comparison": found.to_dict()}


PAIRS = (("exact", "none"), ("slots", "none"), ("slots", "exact"))
