"""Making trajectories: time, accuracy at the last time and memory for the five equations, and how they grow.

    python benchmarks/bench_data.py [--quick] [--peer PYTHON] [--out FILE.json]

The settings are the defaults of `generate`, seed 0. The error is the relative L2 error at the last time against a run
at a quarter of the step (the tolerance by 256, for a method of order four) that never leaves a grid twice as fine as
the stored one: the largest and the median over all trajectories. Peak memory is that of a process of its own with one
worker, beyond what it holds after a first small run. CPU time is that of all processes together: on a machine with
other work it says more than the wall.

`--peer` is the interpreter of an environment with exponax. For the three equations that it can state (no coefficient
depends on t) it solves the same initial values in the same run, with the fewest steps per output time, a power of two
or three halves of one, and the fewest points, of those in `PEER`, whose largest error is no more than ours on the
same trajectories.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import child, megabytes, options, peak_megabytes, print_peak, print_table, print_targets, write_results

from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.generation import solvers
from symflow.pde.generation.generation import generate, random_waves

# coefficients of u, u_x, u_xx, ...; points; the fewest and the most steps per output time that are tried
PEER = {
    "kdv": ((0.0, 0.0, 0.0, -1.0), (1024,), (8, 128)),
    "ks": ((0.0, 0.0, -1.0, 0.0, -1.0), (192,), (16, 96)),
    "burgers": ((0.0, 0.0, 0.01), (1024, 2048), (4, 64)),
}
CHECKED = 16  # the reference costs about a hundred times what it judges
PROMISED = {"nkdv": 1e-3}  # error at the last time, where it is not 1e-5


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
    """u at the last time by a quarter of the step on twice the grid."""
    settings = CATALOGUE[name].settings
    usual = solvers.FEWEST_MODES
    solvers.FEWEST_MODES = settings.get("resolution", 512)
    try:
        return generate(name, samples, 0, keep=1, tolerance=settings["tolerance"] / 256).u[:, -1]
    finally:
        solvers.FEWEST_MODES = usual


def errors(u: torch.Tensor, exact: torch.Tensor) -> dict[str, float]:
    """Of the first trajectories, as many as `exact` has."""
    each = (u[: exact.shape[0]] - exact).norm(dim=-1) / exact.norm(dim=-1)
    return {"largest_error": float(each.max()), "median_error": float(each.median())}


def peer(python: str, name: str, samples: int, exact: torch.Tensor, bound: float) -> dict[str, Any] | None:
    """exponax at no larger an error; settings that miss it on what is checked are not tried on all."""
    linear, grids, (fewest, most) = PEER[name]
    settings = CATALOGUE[name].settings
    length, steps = settings["length"], settings["steps"]

    def run(rows: int, points: int, substeps: int) -> tuple[dict[str, float], float]:
        u0 = random_waves(rows, 0, points, waves=settings["waves"], wavenumbers=settings["wavenumbers"])
        dt = settings["end"] / (steps - 1)
        job = {"u0": u0, "length": length, "dt": dt, "intervals": steps - 1, "linear": linear, "substeps": substeps}
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / "job.npz", Path(folder) / "result.npz"]
            np.savez(files[0], **job)
            subprocess.run([python, Path(__file__).with_name("peer_exponax.py"), *files], check=True)
            result = np.load(files[1])
            times = {key: float(result[key]) for key in ("seconds", "cpu_seconds")}
            v, version = np.fft.rfft(result["u"], norm="forward"), str(result["version"])
        stride = max(points // exact.shape[1], 1)
        u = torch.from_numpy(np.fft.irfft(v, stride * exact.shape[1], norm="forward")[:, ::stride])
        return times | {"version": version}, errors(u, exact)["largest_error"]

    candidates = sorted({n for k in range(12) for n in (2**k, 3 * 2**k // 2) if fewest <= n <= most})
    for points in grids:
        for substeps in candidates:
            if run(exact.shape[0], points, substeps)[1] <= bound:
                times, error = run(samples, points, substeps)
                return times | {"points": points, "steps_per_output": substeps, "largest_error": error}
    return None


def main() -> None:
    if what := child():
        name, samples = what[0], int(what[1])
        small = {"end": 0.1, "steps": 2, "resolution": 64}
        print_peak(lambda: generate(name, 1, 0, **small), lambda: lambda: generate(name, samples, 0, workers=1))
        return
    parser = options(__doc__, "8 trajectories, one repeat")
    parser.add_argument("--peer", help="the interpreter of an environment with exponax")
    arguments = parser.parse_args()
    samples, repeats = (8, 1) if arguments.quick else (64, 3)

    equations, exact = [], {}
    for name, entry in CATALOGUE.items():
        figures, u = timed(name, samples, repeats)
        exact[name] = reference(name, min(samples, CHECKED))
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

    peers = []
    if arguments.peer is None:
        print("\nexponax: not run; --peer names the interpreter of an environment that has it")
    else:
        for name in PEER:
            ours = next(e for e in equations if e["equation"] == name)
            found = peer(arguments.peer, name, samples, exact[name], ours["largest_error"])
            peers.append({"equation": name, "ours": ours["cpu_seconds"], "found": found})
            print(f"exponax {name}: {json.dumps(found)}", file=sys.stderr)
        print()
        print_table(
            ("exponax", "points", "steps per output", "seconds", "CPU seconds", "largest error", "CPU to ours"),
            [
                (p["equation"], *("not reached",) * 6)
                if (f := p["found"]) is None
                else (
                    p["equation"],
                    str(f["points"]),
                    str(f["steps_per_output"]),
                    f"{f['seconds']:.1f}",
                    f"{f['cpu_seconds']:.1f}",
                    f"{f['largest_error']:.1e}",
                    f"{f['cpu_seconds'] / p['ours']:.1f}",
                )
                for p in peers
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
    print()
    targets = print_targets(
        [
            (f"{p['equation']}: exponax's seconds of the processor to ours", p["found"]["cpu_seconds"] / p["ours"], 2.0)
            for p in peers
            if p["found"] is not None
        ],
        [
            (f"{e['equation']}: largest error at the last time", e["largest_error"], PROMISED.get(e["equation"], 1e-5))
            for e in equations
        ],
    )
    content = {"equations": equations, "exponax": peers, "growth": growth, "targets": targets}
    write_results("data", content, arguments.out)


if __name__ == "__main__":
    main()
