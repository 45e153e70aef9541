"""Two commits beside each other on this machine: ratios of the seconds of a benchmark, with intervals.

``python benchmarks/compare.py BASE [HEAD] --bench flow [--rounds 7] [--quick]``. Each commit is built into a folder of
its own; its own form of the benchmark runs in turn with the other's, round by round, so that another load meets both.
For every figure that both have, the ratio HEAD/BASE of each round is taken: the median of these, and an interval that
holds the true median with at least 95 % by the signs of the rounds (no distribution assumed; below 6 rounds it is the
whole range, whose confidence is smaller and said). Exit code 1 when the interval of a figure lies above 1.02.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _common import print_table, write_results

ROOT = Path(__file__).parent.parent
SLOWER = 1.02


def built(commit: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A checkout of a commit, and the environment in which its package is imported."""
    tree, installed = folder / commit / "tree", folder / commit / "installed"
    subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--detach", "--quiet", str(tree), commit], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    subprocess.run([*install, "--target", str(installed), str(tree)], check=True)
    return tree, os.environ | {"PYTHONPATH": str(installed)}


def run(tree: Path, environment: dict[str, str], bench: str, quick: bool, out: Path) -> dict[str, float]:
    """The seconds of one run, by where they stand in its JSON."""
    command = [sys.executable, str(tree / "benchmarks" / f"bench_{bench}.py"), "--out", str(out)]
    subprocess.run([*command, *["--quick"] * quick], check=True, env=environment, stdout=subprocess.DEVNULL)
    return dict(seconds(json.loads(out.read_text())))


def seconds(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """What is called seconds, named by the words beside it and by where it stands."""
    if isinstance(value, dict):
        words = " ".join(str(v) for v in value.values() if isinstance(v, str))
        for key, inner in value.items():
            if "seconds" in key and isinstance(inner, int | float):
                yield f"{name} {words} {key}".strip(), float(inner)
            else:
                yield from seconds(inner, f"{name} {key}".strip())
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from seconds(inner, f"{name} {i + 1}")


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """The ends of an interval that holds the median, and its confidence: ``1 - 2 P(Binomial(n, 1/2) < k)``."""
    ordered, n = sorted(values), len(values)
    k, covered = 1, 1 - 2.0 ** (1 - n)
    while k < n / 2:
        wider = 1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n
        if wider < confidence:
            break
        k, covered = k + 1, wider
    return ordered[k - 1], ordered[n - k], covered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("head", nargs="?", default="HEAD")
    parser.add_argument("--bench", required=True, help="the name of a benchmark: flow is bench_flow.py")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="the benchmark's quick form")
    parser.add_argument("--out", type=Path, help="where to write the JSON; nowhere unless given")
    arguments = parser.parse_args()
    commits = [
        subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", c], check=True, capture_output=True, text=True
        ).stdout.strip()
        for c in (arguments.base, arguments.head)
    ]
    with tempfile.TemporaryDirectory() as folder:
        try:
            trees = [built(c, Path(folder, side)) for side, c in zip(("base", "head"), commits, strict=True)]
            rounds: list[list[dict[str, float]]] = []
            for i in range(arguments.rounds):
                out = Path(folder, "out.json")
                order = (0, 1) if i % 2 == 0 else (1, 0)
                done = {n: run(*trees[n], arguments.bench, arguments.quick, out) for n in order}
                rounds.append([done[0], done[1]])
                print(f"round {i + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        finally:
            for side, c in zip(("base", "head"), commits, strict=True):
                tree = Path(folder, side, c, "tree")
                subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(tree)], check=False)
    names = [n for n in rounds[0][0] if all(n in figures for pair in rounds for figures in pair)]
    if not names:
        raise SystemExit(f"bench_{arguments.bench} has no seconds that both commits measure")
    records = []
    for name in names:
        ratios = [head[name] / base[name] for base, head in rounds]
        low, high, covered = median_interval(ratios)
        middle = sorted(ratios)[len(ratios) // 2]
        records.append({"figure": name, "ratio": middle, "low": low, "high": high, "confidence": covered})
    print_table(
        ("seconds of", "head/base", f"interval ({100 * records[0]['confidence']:.1f} %)", ""),
        [
            (r["figure"], f"{r['ratio']:.3f}", f"{r['low']:.3f} to {r['high']:.3f}", _word(r["low"], r["high"]))
            for r in records
        ],
    )
    if arguments.out is not None:
        content = {"base": commits[0], "head": commits[1], "rounds": arguments.rounds, "ratios": records}
        write_results("compare", content, arguments.out)
    raise SystemExit(int(any(r["low"] > SLOWER for r in records)))


def _word(low: float, high: float) -> str:
    if low > SLOWER:
        return "SLOWER"
    return "faster" if high < 1 / SLOWER else ""


if __name__ == "__main__":
    main()
