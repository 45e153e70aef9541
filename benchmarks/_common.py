"""What the benchmarks share: timing, the machine, tables and result files."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

import symflow
from symflow.ops import _ext

RESULTS = Path(__file__).parent / "results"


def median_seconds(call: Callable[[], object], repeats: int = 5, warm_up: int = 1) -> tuple[float, float]:
    """The median time of a call and its spread, the largest deviation from the median, both in seconds."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    median = statistics.median(times)
    return median, max(abs(t - median) for t in times)


def machine() -> dict[str, Any]:
    """What the figures depend on, JSON-ready."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "symflow": symflow.__version__,
        "isa": _ext.build_info()["isa"],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table with columns as wide as they need to be, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for n, row in enumerate(cells):
        print(
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        )
        if n == 0:
            print("  ".join("-" * w for w in widths))


def replace_table(page: Path, name: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Puts a table between its two marks in a page of the documentation; what stands around them stays."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text()
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"`{page}` must have the marks {begin} and {end} once each")
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (header, ("---",) * len(header), *rows)]
    head, _, rest = text.partition(begin)
    page.write_text("\n".join([head + begin, *lines, end + rest.partition(end)[2]]))


def print_targets(targets: Sequence[tuple[str, float, float]]) -> list[dict[str, Any]]:
    """Prints each target as met or missed, and gives them JSON-ready: ``(what, measured, at least)``."""
    print_table(
        ("target", "measured", "at least", ""),
        [(what, f"{got:.3g}", f"{goal:.3g}", "met" if got >= goal else "MISSED") for what, got, goal in targets],
    )
    return [{"target": what, "measured": got, "at_least": goal, "met": got >= goal} for what, got, goal in targets]


def write_results(name: str, content: dict[str, Any], out: Path | None = None) -> Path:
    """Writes ``results/name.json``, or another path."""
    path = out or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {path}")
    return path
