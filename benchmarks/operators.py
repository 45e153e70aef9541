"""Neural operators with and without the symmetries of their data: the table of ``docs/operators.md``.

Every setting is a run of ``pde.compare_operators`` in a directory of its own, so that an interrupted benchmark goes on
where it stopped. Data are generated once. ``--quick`` shows in two minutes that everything runs; its figures mean
nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from _common import print_table, replace_table, write_results

from symflow.pde import OperatorComparison, Trajectories, compare_operators, generate, load, save
from symflow.pde.settings import OperatorTrainings

SEEDS, VALIDATION, TEST = 5, 64, 128
COLUMNS = ("data", "trajectories", "arm", "error", "against none", "against exact", "angle", "shifted u")


@dataclass(frozen=True)
class Setting:
    """One equation and one number of trajectories."""

    equation: str
    resolution: int  # of the data
    trainings: OperatorTrainings

    @property
    def trajectories(self) -> int:
        return self.trainings.trajectories

    @property
    def name(self) -> str:
        return f"{self.equation}-{self.trajectories}"


def of(
    equation: str, trajectories: int, resolution: int, points: int, steps: int, *arms: str, **others: Any
) -> Setting:
    """One of the table."""
    trainings = OperatorTrainings(arms=arms, trajectories=trajectories, points=points, steps=steps, **others)
    return Setting(equation, resolution, trainings)


SETTINGS = (
    of("kdv", 16, 256, 128, 2_000, "none", "fixed", "exact", "learned", "wrong", "penalty"),
    of("ks", 16, 128, 64, 2_000, "none", "exact", "learned", "wrong"),
    # Its windows all begin at one time, so that moves lead away from what is tested: short ones are candidates.
    of("nkdv", 16, 256, 128, 2_000, "none", "exact", "learned", "wrong", strengths=(0.02, 0.05, 0.1)),
    of("kdv", 64, 256, 128, 2_000, "none", "exact", "learned", copies=16),
    of("ks", 64, 128, 64, 6_000, "none", "exact", "learned", copies=16),
)
QUICK = (of("kdv", 2, 256, 64, 20, "none", "exact", "learned"),)


def data_of(setting: Setting, samples: int, folder: Path) -> Trajectories:
    """Trajectories at the paper's settings; made once for all settings of an equation."""
    path = folder / f"{setting.equation}-{samples}.h5"
    if not path.exists():
        save(generate(setting.equation, samples, resolution=setting.resolution), path)
    return load(path, check=False)


def rows(setting: Setting, found: OperatorComparison) -> list[list[str]]:
    """A line of the table for every arm."""
    lines = []
    for arm in found.arms:
        if not arm.errors:
            continue
        lines.append(
            [
                setting.equation,
                str(setting.trajectories),
                arm.name,
                f"{geometric(arm.errors):.2e}",
                *(
                    percent(found, arm.name, other) if any(a.name == other for a in found.arms) else ""
                    for other in ("none", "exact")
                ),
                f"{max(arm.angles):.0e}" if arm.angles else "",
                f"{geometric(arm.shifted):.2e}" if arm.shifted else "",
            ]
        )
    return lines


def geometric(values: tuple[float, ...]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).log().mean().exp())


def percent(found: OperatorComparison, arm: str, against: str) -> str:
    if arm == against:
        return ""
    mean, low, high = (100 * v for v in found.change(arm, against))
    return f"{mean:+.0f} % ({low:+.0f} to {high:+.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes, figures without meaning")
    parser.add_argument("--runs", type=Path, help="where runs and data are kept; default: runs/operators")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="some settings: kdv-16 ks-16 nkdv-16 kdv-64 ks-64")
    parser.add_argument("--table", type=Path, help="a page between whose marks the table is put")
    parser.add_argument("--out", type=Path, help="JSON file; default: benchmarks/results/operators.json")
    arguments = parser.parse_args()

    settings = QUICK if arguments.quick else SETTINGS
    seeds, validation, test = (2, 2, 2) if arguments.quick else (SEEDS, VALIDATION, TEST)
    folder = arguments.runs or Path("runs") / ("operators-quick" if arguments.quick else "operators")
    folder.mkdir(parents=True, exist_ok=True)
    table: list[list[str]] = []
    content: dict[str, Any] = {"settings": {}}
    for setting in settings:
        if arguments.only and setting.name not in arguments.only:
            continue
        samples = validation + test + seeds * max(s.trajectories for s in settings if s.equation == setting.equation)
        data = data_of(setting, samples, folder)
        run = folder / setting.name
        begun = time.perf_counter()

        def progress(what: str, done: int, total: int, setting: Setting = setting, begun: float = begun) -> None:
            print(f"{setting.name}: {done} of {total}, {what}, {time.perf_counter() - begun:.0f} s", flush=True)

        found = compare_operators(
            data,
            run,
            settings=replace(setting.trainings, seeds=seeds, validation=validation, test=test),
            workers=None,
            resume=(run / "config.json").exists(),
            progress=progress,
        )
        print(found)
        table += rows(setting, found)
        content["settings"][setting.name] = found.to_dict()
    print_table(COLUMNS, table)
    if arguments.table:
        replace_table(arguments.table, "operators", COLUMNS, table)
    write_results("operators", content, arguments.out)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
