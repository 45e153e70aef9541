"""Each step's number depends on the one before it, and is kept: only a study that goes on ends with the same sum."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

from symflow.reproduction import NOT_RUN, Record, Size, Study, Tell, results
from symflow.runs import read_json, write_json

STEPS = {"small": 40, "paper": 80}


def walk(size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, float]:
    kept = folder / "walk.json"
    step, place = read_json(kept) if kept.exists() else (0, 0.0)
    with open(folder / "calls", "a") as calls:
        calls.write(f"{step}\n")
    while step < STEPS[size]:
        place += random.Random(f"{seed} {step} {place}").random()
        step += 1
        write_json(kept, [step, place])
        tell(step / STEPS[size], f"place {place:.1f}")
        time.sleep(0.02)
    return {"place": place}


def point(size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, float]:
    return {"x": float(seed)}


STUDIES = {
    "pde": {"walk": Study("a walk", 1.0, walk)},
    "operators": {"point": Study("a point", 0.1, point)},
}


def figures(records: Sequence[Record]) -> dict[str, str]:
    return {"walks": f"<svg>{len(results(records, 'pde', 'walk'))}</svg>"}


def page(records: Sequence[Record]) -> str:
    found = [f"{r['place']:.3f}" for r in results(records, "pde", "walk").values()]
    return "\n".join(["## Walks", *(found or [NOT_RUN]), ""])
