"""Making trajectories: time, accuracy at the last time and memory for the five equations, and how they grow.

    python benchmarks/bench_data.py [--quick] [--out FILE.json]

The settings are the defaults of `generate`, seed 0. The error is the relative L2 error at the last time against a run
at half the step (a sixteenth of the tolerance, for a method of order four) that never leaves a grid twice as fine as
the stored one: the largest and the median over all trajectories. Peak memory is that of a process of its own with one
worker, beyond what it holds after a first small run. CPU time is that of all processes together: on a machine with
other work it says more than the wall.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from typing import Any

import torch
from _common import child, megabytes, options, peak_megabytes, print_peak, print_table, write_results

from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.trajectories import solvers
from symflow.pde.trajectories.generation import generate


def cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def timed(name: str, samples: int, repeats: int, **settings: Any) -> tuple[dict[str, float], torch.Tensor]:
    """Median times, and u at the last time."""
    wall, cpu = [], []
    for _ in range(repeats):
        begun, used = time.perf_counter(), cpu_seconds()
        data = generate(name, samples, 0, **settings)
        wall.append(time.perf_counter() - begun)
        cpu.append(cpu_seconds() - used)
    return {"seconds": statistics.median(wall), "cpu_seconds": statistics.median(cpu)}, data.u[:, -1]


def reference(name: str, samples: int) -> torch.Tensor:
    """u at the last time by half the step on twice the grid."""
    settings = CATALOGUE[name].settings
    usual = solvers.FEWEST_MODES
    solvers.FEWEST_MODES = settings.get("resolution", 512)
    try:
        return generate(name, samples, 0, keep=1, tolerance=settings["tolerance"] / 16).u[:, -1]
    finally:
        solvers.FEWEST_MODES = usual


def errors(u: torch.Tensor, exact: torch.Tensor) -> dict[str, float]:
    each = (u - exact).norm(dim=-1) / exact.norm(dim=-1)
    return {"largest_error": float(each.max()), "median_error": float(each.median())}


def main() -> None:
    if what := child():
        name, samples = what[0], int(what[1])
        small = {"end": 0.1, "steps": 2, "resolution": 64}
        print_peak(lambda: generate(name, 1, 0, **small), lambda: lambda: generate(name, samples, 0, workers=1))
        return
    arguments = options(__doc__, "8 trajectories, one repeat").parse_args()
    samples, repeats = (8, 1) if arguments.quick else (64, 3)

    equations, exact = [], {}
    for name, entry in CATALOGUE.items():
        figures, u = timed(name, samples, repeats)
        exact[name] = reference(name, samples)
        figures |= errors(u, exact[name]) | {"megabytes": peak_megabytes(name, samples)}
        equations.append({"equation": name, "tolerance": entry.settings["tolerance"]} | figures)
        print(f"{name}: {json.dumps(figures)}", file=sys.stderr)
    print_table(
        (f"{samples} trajectories", "tolerance", "seconds", "CPU seconds", "largest error", "median error", "MB"),
        [
            (
                e["equation"],
                f"{e['tolerance']:.0e}",
                f"{e['seconds']:.1f}",
                f"{e['cpu_seconds']:.1f}",
                f"{e['largest_error']:.1e}",
                f"{e['median_error']:.1e}",
                megabytes(e["megabytes"], 0),
            )
            for e in equations
        ],
    )

    growth = []
    for count in (samples // 4, samples // 2, samples):
        growth.append(
            {"samples": count, "tolerance": CATALOGUE["kdv"].settings["tolerance"]} | timed("kdv", count, 1)[0]
        )
    for tolerance in (1e-6, 1e-7, 1e-9):
        figures, u = timed("kdv", samples, 1, tolerance=tolerance)
        growth.append({"samples": samples, "tolerance": tolerance} | figures | errors(u, exact["kdv"]))
    print()
    print_table(
        ("kdv", "tolerance", "seconds", "CPU seconds", "largest error"),
        [
            (
                f"{g['samples']} trajectories",
                f"{g['tolerance']:.0e}",
                f"{g['seconds']:.1f}",
                f"{g['cpu_seconds']:.1f}",
                f"{g['largest_error']:.1e}" if "largest_error" in g else "",
            )
            for g in growth
        ],
    )
    write_results("data", {"equations": equations, "growth": growth}, arguments.out)


if __name__ == "__main__":
    main()
