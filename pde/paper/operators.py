"""Neural operators with copies moved along the paper's slots, beside none and beside the exact symmetries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symflow.reproduction import Size, Tell
from symflow.runs import CONFIG

from ..operators import compare_operators
from ..settings import OperatorTrainings
from ..trajectories import generate, load, save

ARMS = ("none", "exact", "slots")


@dataclass(frozen=True)
class Trainings:
    """How operators are trained and tested at one size."""

    seeds: int
    validation: int
    test: int
    steps: int
    width: int
    modes: int
    layers: int
    rate: float
    copies: int


TRAININGS: Mapping[Size, Trainings] = {
    "small": Trainings(3, 32, 64, 1_000, 32, 24, 4, 3e-3, 16),
    "paper": Trainings(3, 64, 1_024, 11_200, 256, 32, 5, 1e-4, 16),
}


@dataclass(frozen=True)
class OperatorStudy:
    """One equation and one number of trajectories.

    Attributes:
        equation: of the catalogue.
        count: of trajectories to learn from.
        resolution: of the data, on which copies are moved.
        points: of the operator's grid.
        strengths: candidates; where the equation depends on time, moves lead away from what is tested, and are short.
    """

    equation: str
    count: int
    resolution: int = 256
    points: int = 128
    strengths: tuple[float, ...] = (0.1, 0.2, 0.3)

    def __call__(self, size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
        """Trains every arm with several seeds on the same data, as `pde.compare_operators` does."""
        chosen = TRAININGS[size]
        tell(0.0, "data")
        path = folder / "data.h5"
        samples = chosen.test + chosen.validation + chosen.seeds * self.count
        if not path.exists():
            save(generate(self.equation, samples, seed, resolution=self.resolution), path)
        settings = OperatorTrainings(
            arms=ARMS,
            trajectories=self.count,
            points=self.points,
            strengths=self.strengths,
            batch=16,
            unproved=True,
            **vars(chosen),
        )
        run = folder / "run"
        found = compare_operators(
            load(path, check=False),
            run,
            settings=settings,
            resume=(run / CONFIG).exists(),
            progress=lambda what, done, total: tell(done / total, what),
        )
        changes = {f"{arm} against {other}": list(found.change(arm, other)) for arm, other in PAIRS}
        return {"comparison": found.to_dict(), "changes": changes}


PAIRS = (("exact", "none"), ("slots", "none"), ("slots", "exact"))
