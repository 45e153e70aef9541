"""Generators of images on several seeds, from the training of the network on: the tables of ``docs/vision.md``.

``python benchmarks/images.py cifar-10-batches-py`` takes about fifteen minutes of a core for a seed. Every seed is a
run of ``symflow discover-images`` in a directory of its own, judged with a ridge classifier; then each network is
judged with that of the next seed. Runs that are there already are only read, and networks of ``image_classifier.py``
that lie in ``--networks`` as ``net0.safetensors`` and so on are taken.
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

from symflow.console import CANNOT_TELL, HOLDS, REFUTED

COLUMNS = ("seed", "network", "", "affine-ness of the first six", "of the next four", "largest angle", "lambda")
COLOURS = ("seed", "change of colour, lambda (untrained network), word")
SHORT = {"measured": "m", "refuted": "r", "cannot be told": "?"}
FIRST = 6  # as many as there are affine fields


def run_of(images: Path, out: Path, seed: int, *others: str) -> dict[str, Any]:
    """The result of a seed, found now where it is not there."""
    if not (out / "result.json").exists():
        begun = ["--resume"] if (out / "config.json").exists() else []
        command = [sys.executable, "-m", "symflow", "discover-images", str(images), "--out", str(out)]
        code = subprocess.run([*command, "--seed", str(seed), *others, *begun], check=False).returncode
        if code not in (HOLDS, REFUTED, CANNOT_TELL):
            sys.exit(code)
    return json.loads((out / "result.json").read_text())


def verdict(said: dict[str, Any]) -> str:
    """The word for a motion and its figures."""
    held = said["held_out"]
    if held is None:
        return said["data"]["word"]
    figures = " ".join(f"{value:.2f} ± {error:.2f}" for value, error in (held["ratio"], held["agreement"]))
    return f"{said['data']['word']}: {figures}"


def verdicts(judged: list[dict[str, Any]]) -> list[list[str]]:
    """A row for every affine motion, and one for what is said of the generators together."""
    rows = [
        [motion["name"], *(verdict(r["motions"][k]) for r in judged)] for k, motion in enumerate(judged[0]["motions"])
    ]
    words = [[g["data"]["word"] for g in r["generators"]] for r in judged]
    rows.append(["of the generators measured", *(f"{w.count('measured')} of {len(w)}" for w in words)])
    rows.append(["of the generators refuted", *(refused(r["generators"]) for r in judged)])
    return [*rows, ["at least", *(str(r["rank"]) for r in judged)]]


def refused(generators: list[dict[str, Any]]) -> str:
    return ", ".join(g["motion"] or g["name"] for g in generators if g["data"]["word"] == "refuted") or "none"


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
    """The changes of colour of a result, with their words."""
    cells = []
    for g in [] if colours is None else colours["generators"]:
        text = f"{g['change'] or g['name']} {g['value']:.2f} ({g['control']:.2f})"
        cells.append(f"{text} {SHORT[g['data']['word']]}")
    return ", ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="the folder cifar-10-batches-py")
    parser.add_argument("--runs", type=Path, default=Path("runs/images"), help="where runs are kept")
    parser.add_argument("--networks", type=Path, help="where networks that are trained already lie")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--table", type=Path, help="a page between whose marks the table is put")
    parser.add_argument("--out", type=Path, help="JSON file; default: benchmarks/results/images.json")
    arguments = parser.parse_args()

    arguments.runs.mkdir(parents=True, exist_ok=True)
    seeds = range(arguments.seeds)
    given = {seed: arguments.networks / f"net{seed}.safetensors" for seed in seeds} if arguments.networks else {}
    results = [
        run_of(
            arguments.images,
            arguments.runs / f"seed{seed}",
            seed,
            *(["--network", str(given[seed])] if seed in given else []),
        )
        for seed in seeds
    ]
    networks = [given.get(seed, arguments.runs / f"seed{seed}" / "network.safetensors") for seed in seeds]
    pairs = []
    for seed in seeds if len(seeds) > 1 else ():
        other = (seed + 1) % len(seeds)
        files = ["--network", str(networks[seed]), "--second", str(networks[other])]
        pairs.append(run_of(arguments.images, arguments.runs / f"pair{seed}{other}", seed, *files))
    table = []
    for seed, result in enumerate(results):
        table.append(line(str(seed), f"{result['accuracy']:.1%}", "found", result["found"]))
        table += [line("", "", name, control) for name, control in result["controls"].items()]
    print_table(COLUMNS, table)
    colours = [[str(seed), changes(result["colours"])] for seed, result in enumerate(results)]
    print_table(COLOURS, colours)
    judges = [
        f"{r['trial']['judges'][0]} {a:.1%}, {b:.1%}" for r in [*results, *pairs] for a, b in [r["trial"]["accuracies"]]
    ]
    heads = ("motion", *judges)
    print_table(heads, verdicts([*results, *pairs]))

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
        replace_table(arguments.table, "verdicts", heads, verdicts([*results, *pairs]))
    kept = ("network", "accuracy", "setting", "found", "gap", "controls", "colours", "affine")
    said = ("verdicts", "rank", "trial", "motions", "generators")
    content = {
        "targets": targets,
        "seeds": [{key: result[key] for key in (*kept, *said, "seconds")} for result in results],
        "pairs": [{key: result[key] for key in said} for result in pairs],
    }
    write_results("images", content, arguments.out)


if __name__ == "__main__":
    main()
