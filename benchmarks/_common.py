"""What the benchmarks share: their options, timing, peak memory, the machine, tables and result files."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import symflow
from symflow.ops import _ext

RESULTS = Path(__file__).parent / "results"
FORWARD, BOTH = "forward", "forward + backward"
Call = Callable[[], object]


def options(description: str, quick: str) -> argparse.ArgumentParser:
    """The options that every benchmark has; ``quick`` says what its quick form leaves out."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    return parser


# ---- what is timed --------------------------------------------------------------------------------------------------


def work(kind: str, call: Callable[[], Tensor], wanted: Sequence[Tensor], direction: Tensor) -> Call:
    """The forward pass alone, without a graph, or with the gradients of the wanted tensors along a direction."""

    def forward() -> object:
        with torch.no_grad():
            return call()

    def both() -> object:
        return torch.autograd.grad(call(), wanted, direction)

    return forward if kind == FORWARD else both


def sgemm(size: int, dtype: torch.dtype = torch.float32) -> Call:
    """A product of square matrices, by which a machine is measured."""
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    return lambda: torch.mm(a, b)


def wall_seconds(call: Call) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def seconds(call: Call) -> float:
    """Wall time; of a single thread the time that it had a processor, which another load takes no share of."""
    if torch.get_num_threads() > 1:
        return wall_seconds(call)
    begun = time.process_time()
    call()
    return time.process_time() - begun


def medians(
    calls: dict[Any, Call], rounds: int, measure: Callable[[Call], float] = seconds, warm_up: int = 1
) -> dict[Any, float]:
    """The median time of each, over rounds that run all of them in turn, so that another load meets all alike."""
    times: dict[Any, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for i in range(rounds + warm_up):
        # Each follows each: what a call leaves behind in caches and in the allocator meets all alike too.
        for name in names[i % len(names) :] + names[: i % len(names)]:
            taken = measure(calls[name])
            if i >= warm_up:
                times[name].append(taken)
    return {name: statistics.median(t) for name, t in times.items()}


def median_seconds(call: Call, repeats: int = 5, warm_up: int = 1) -> tuple[float, float]:
    """The median time of a call and its spread, the largest deviation from the median, both in seconds."""
    for _ in range(warm_up):
        call()
    times = [wall_seconds(call) for _ in range(repeats)]
    median = statistics.median(times)
    return median, max(abs(t - median) for t in times)


# ---- peak memory, each in a process of its own ----------------------------------------------------------------------


def peak_megabytes(*what: object) -> float | None:
    """What `print_peak` prints when this script runs with ``--child`` and these words; None where the system does not
    tell."""
    command = [sys.executable, sys.argv[0], "--child", *map(str, what)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def child() -> list[str] | None:
    """The words of `peak_megabytes`, in the process that it starts."""
    return sys.argv[2:] if sys.argv[1:2] == ["--child"] else None


def print_peak(small: Call, prepare: Callable[[], Call]) -> None:
    """Prints the peak memory of the call that ``prepare`` gives, in MB beyond what is held before it. The small call
    comes first and loads what loads late."""
    small()
    run = prepare()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = memory_of_process("VmRSS")
    run()
    print(memory_of_process("VmHWM") - before)


def memory_of_process(key: str) -> float:
    """In MB: "VmRSS", what it holds, or "VmHWM", the most that it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def megabytes(peak: float | None, digits: int = 1) -> str:
    return "?" if peak is None else f"{peak:.{digits}f}"


# ---- results --------------------------------------------------------------------------------------------------------


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


def print_contest(
    results: Sequence[dict[str, Any]], labels: Sequence[str], share_of: str | None = None, digits: int = 1
) -> None:
    """The contestants' times, their shares of what the machine does otherwise, the kernel's lead, and peaks of memory.

    A result has what ``labels`` name, the contestant among them, "seconds", f"share_of_{share_of}", "speedup_of_kernel"
    and, where it was measured, "peak_mb".
    """
    with_peaks = any("peak_mb" in r for r in results)
    rows = []
    for r in results:
        row = [*(r[label] for label in labels), f"{1e3 * r['seconds']:.{digits}f}"]
        if share_of is not None:
            row.append(f"{100 * r[f'share_of_{share_of}']:.2g}")
        lead = r["speedup_of_kernel"]
        row.append("" if lead == 1 else f"{lead:.1f}x")
        if with_peaks:
            row.append(megabytes(r["peak_mb"]) if "peak_mb" in r else "")
        rows.append(row)
    share, peak = [] if share_of is None else [f"% of {share_of}"], ["peak MB"] if with_peaks else []
    print_table((*labels, "ms", *share, "kernel is faster", *peak), rows)


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
    """Writes ``results/name.json``, or another path: the machine, unless it is told, and the content."""
    path = out or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine()} | content, indent=1) + "\n")
    print(f"written: {path}")
    return path
