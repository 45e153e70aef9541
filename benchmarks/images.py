"""Generators of images on several seeds, from the training of the network on: the tables of ``docs/vision.md``.

``python benchmarks/images.py cifar-10-batches-py`` takes about ten minutes of one core for a seed. Every seed is a run
of ``symflow discover-images`` in a directory of its own; runs that are there already are only read.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

from _common import print_table, print_targets, replace_table, write_results

COLUMNS = ("seed", "network", "", "affine-ness of the first six", "of the next four", "largest angle", "lambda")
COLOURS = ("seed", "change of colour, lambda (untrained network)")
FIRST = 6  # as many as there are affine fields


def run_of(images: Path, folder: Path, seed: int) -> dict[str, Any]:
    """The result of a seed, found now where it is not there."""
    out = folder / f"seed{seed}"
    if not (out / "result.json").exists():
        begun = ["--resume"] if (out / "config.json").exists() else []
        command = [sys.executable, "-m", "symflow", "discover-images", str(images), "--out", str(out)]
        subprocess.run([*command, "--seed", str(seed), *begun], check=True)
    return json.loads((out / "result.json").read_text())


def line(seed: str, network: str, name: str, found: dict[str, Any]) -> list[str]:
    values = found["values"]
    measured = bool(values) and not math.isclose(values[0], 0.0, abs_tol=1e-9)
    return [
        seed,
        network,
        name,
        " ".join(f"{a:.2f}" for a in found["affineness"][:FIRST]),
        " ".join(f"{a:.2f}" for a in found["affineness"][FIRST:]),
        f"{math.degrees(found['principal_angles'][-1]):.0f}°",
        f"{values[0]:.2f} to {values[-1]:.2f}" if measured else "",
    ]


def changes(colours: dict[str, Any] | None) -> str:
    """The changes of colour of a result, those that the untrained network likes as much in brackets."""
    cells = []
    for g in [] if colours is None else colours["generators"]:
        text = f"{g['change'] or g['name']} {g['value']:.2f} ({g['control']:.2f})"
        cells.append(text if g["value"] < g["control"] else f"[{text}]")
    return ", ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="the folder cifar-10-batches-py")
    parser.add_argument("--runs", type=Path, default=Path("runs/images"), help="where runs are kept")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--table", type=Path, help="a page between whose marks the table is put")
    parser.add_argument("--out", type=Path, help="JSON file; default: benchmarks/results/images.json")
    arguments = parser.parse_args()

    arguments.runs.mkdir(parents=True, exist_ok=True)
    results = [run_of(arguments.images, arguments.runs, seed) for seed in range(arguments.seeds)]
    table = []
    for seed, result in enumerate(results):
        table.append(line(str(seed), f"{result['accuracy']:.1%}", "found", result["found"]))
        table += [line("", "", name, control) for name, control in result["controls"].items()]
    print_table(COLUMNS, table)
    colours = [[str(seed), changes(result["colours"])] for seed, result in enumerate(results)]
    print_table(COLOURS, colours)

    def angle(found: dict[str, Any]) -> float:
        return math.degrees(found["principal_angles"][-1])

    without = [sum(a * a for a in r["controls"]["mu = 0"]["affineness"][:FIRST]) for r in results]
    targets = print_targets(
        [
            ("network, worst seed", min(r["accuracy"] for r in results), 0.84),
            ("affine-ness of the first six", min(min(r["found"]["affineness"][:FIRST]) for r in results), 0.94),
            ("1 - affine-ness of the next four", 1 - max(max(r["found"]["affineness"][FIRST:]) for r in results), 0.70),
            ("90 - largest angle, degrees", 90 - max(angle(r["found"]) for r in results), 65),
            ("largest angle, random network", min(angle(r["controls"]["random network"]) for r in results), 60),
            ("mu = 0: sum of squares of the first six", min(without), 4.5),
        ]
    )
    if arguments.table:
        replace_table(arguments.table, "images", COLUMNS, table)
        replace_table(arguments.table, "colours", COLOURS, colours)
    kept = ("network", "accuracy", "setting", "found", "gap", "controls", "colours")
    seeds = [{key: result[key] for key in (*kept, "seconds")} for result in results]
    write_results("images", {"targets": targets, "seeds": seeds}, arguments.out)


if __name__ == "__main__":
    main()
