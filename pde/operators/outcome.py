"""What training with and without symmetries came to: errors of every arm and what each saves."""

from __future__ import annotations

import math
import statistics as numbers
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from symflow.formulas import Rows, Tabled, text_table
from symflow.learning import mean_interval


@dataclass(frozen=True)
class Arm:
    """What was measured with one arm.

    Attributes:
        name: of `ARMS`.
        strength: of its augmentation, or the weight of its penalty.
        errors: normalised mean square errors on the test trajectories, one per seed from 0.
        bootstraps: for each an interval over the test trajectories.
        shifted: errors on the test trajectories moved along the exact boost, out of the distribution; may be empty.
        angles: the largest principal angle between the generators and the exact ones, radians, one per seed.
    """

    name: str
    strength: float | None = None
    errors: tuple[float, ...] = ()
    bootstraps: tuple[tuple[float, float], ...] = ()
    shifted: tuple[float, ...] = ()
    angles: tuple[float, ...] = ()


@dataclass(frozen=True)
class OperatorComparison(Tabled):
    """Errors of a neural operator, arm by arm, with intervals over seeds.

    ``str`` gives a table, `to_dict` the same for a program.
    """

    equation: str
    trajectories: int
    test: int
    rows: tuple[int, int]  # inputs and outputs of the task
    points: int
    width: int
    modes: int
    layers: int
    steps: int
    batch: int
    validation: tuple[tuple[float, float], ...] = ()  # strengths and their errors
    arms: tuple[Arm, ...] = ()

    def change(self, arm: str, against: str) -> tuple[float, float, float]:
        """The change of the error relative to another arm: the geometric mean over seeds and its 95 % interval.

        ``exp(mean log(error / error')) - 1`` with the interval of Student's t for the mean of the logarithms, paired by
        seed: -0.6 means that the error is 60 % less.
        """
        values = [math.log(a / b) for a, b in zip(self._arm(arm).errors, self._arm(against).errors, strict=False)]
        mean, half = mean_interval(values)
        return math.expm1(mean), math.expm1(mean - half), math.expm1(mean + half)

    def _arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; a change is its mean and the ends of its interval, null where one seed gives none."""
        content = asdict(self)
        for entry, arm in zip(content["arms"], self.arms, strict=True):
            entry["mean"] = _geometric(arm.errors)
            entry["changes"] = {
                other.name: [v if math.isfinite(v) else None for v in self.change(arm.name, other.name)]
                for other in self.arms
                if other.name != arm.name and arm.errors and other.errors
            }
        return content

    def table(self) -> Rows:
        """The arms: the error, a geometric mean over seeds, and its change relative to the first."""
        first = self.arms[0].name if self.arms else ""
        rows = [
            [a.name, a.strength, len(a.errors), _geometric(a.errors)]
            + (list(self.change(a.name, first)) if a.errors and a.name != first else [None] * 3)
            + [_geometric(a.shifted)]
            for a in self.arms
        ]
        return Rows(["arm", "strength", "seeds", "error", "change", "lower", "upper", "error, shifted u"], rows)

    def __str__(self) -> str:
        first = self.arms[0].name if self.arms else ""
        columns = ["arm", ">strength", ">seeds", ">error", f">against {first}", ">angle to exact", ">error, shifted u"]
        rows = []
        for arm in self.arms:
            change = "" if arm.name == first or not arm.errors else _percent(*self.change(arm.name, first))
            rows.append(
                [
                    arm.name,
                    "" if arm.strength is None else f"{arm.strength:g}",
                    str(len(arm.errors)),
                    _number(_geometric(arm.errors)),
                    change,
                    f"{max(arm.angles):.0e}" if arm.angles else "",
                    _number(_geometric(arm.shifted)),
                ]
            )
        lines = text_table(columns, rows, 120)
        headline = (
            f"{self.equation}: {self.rows[0]} times to {self.rows[1]} on {self.points} points in x, "
            f"{self.trajectories} trajectories, FNO of width {self.width}, {self.modes} modes, {self.layers} layers, "
            f"{self.steps} steps"
        )
        note = (
            "Error: normalised mean square error on the test trajectories, geometric mean over seeds.\n"
            "Intervals: 95 %, Student's t on logarithms of ratios, seed by seed."
        )
        return "\n".join([headline, "", lines, "", note])


def _geometric(values: Sequence[float]) -> float | None:
    return math.exp(numbers.mean(map(math.log, values))) if values else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2e}"


def _percent(mean: float, low: float, high: float) -> str:
    text = f"{100 * mean:+.0f} %"
    return f"{text} ({100 * low:+.0f} to {100 * high:+.0f})" if math.isfinite(high) else text
