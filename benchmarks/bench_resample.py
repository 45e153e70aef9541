"""Moved points back on the grid: both routes against plain torch, and their accuracy against exact transforms.

    python benchmarks/bench_resample.py [--quick] [--out FILE.json]

One trajectory of 140 x 256 points in float64, moved by a boost with rows stretched by 1 % and a shift of time that
varies along the row. The references are Fourier sums in plain torch: `scatter_ref` over all points, `resample_ref` over
the modes of six rows per node and step of Newton's method. Times are medians over rounds that run every contestant in
turn. The share of the copy bandwidth sets the time against that of copying the points to new memory, measured in the
same rounds. Peak memory beyond the points is that of a process of its own. Accuracy is the largest error against the
exact transform, relative to the largest value, of a wave of modes and a soliton; the scatter is also given as it is
without division by the weight, on rows whose smallest weight exceeds .8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import _common as common
import torch
from _common import BOTH, FORWARD, Call
from torch import Tensor

from symflow import resample, scatter
from symflow.ops import resample_ref, scatter_ref

PERIOD, TIMES, ROWS, COLUMNS = 128.0, (44.177, 100.0), 140, 256
INVERSE, SCATTER = "inverse map", "scatter"
KERNEL, EAGER = "kernel", "eager torch"
Route = Callable[[Tensor], Tensor]
Function = Callable[[Tensor, Tensor], Tensor]


def nodes(rows: int = ROWS, columns: int = COLUMNS) -> tuple[Tensor, Tensor]:
    t = torch.linspace(*TIMES, rows, dtype=torch.float64)
    x = torch.arange(columns, dtype=torch.float64) * (PERIOD / columns)
    return x.expand(rows, columns), t[:, None].expand(rows, columns)


def wave(x: Tensor, t: Tensor) -> Tensor:
    modes = [(0.5, 1, 0.3, 0.1), (0.3, 2, 0.2, 1.0), (0.1, 7, -0.4, 2.0), (0.01, 20, 0.5, 0.4)]
    return torch.stack([a * torch.sin(2 * math.pi * n / PERIOD * x - w * t + p) for a, n, w, p in modes]).sum(0)


def soliton(x: Tensor, t: Tensor, k: float = 0.3) -> Tensor:
    """Of the KdV equation, on a period that is long against its width."""
    distance = torch.remainder(x - 4 * k**2 * t, PERIOD) - PERIOD / 2
    return 12 * k**2 / torch.cosh(k * distance) ** 2


# ---- accuracy -------------------------------------------------------------------------------------------------------


def _stretched(x: Tensor, t: Tensor, share: float) -> Tensor:
    """Columns denser by up to a share here and sparser there."""
    k = 2 * math.pi * 3 / PERIOD
    return x + share / k * torch.sin(k * x - 0.2 * t)


def _source(x: Tensor, t: Tensor, share: float) -> Tensor:
    source = x
    for _ in range(20):
        source = source + x - _stretched(source, t, share)
    return source


def transforms() -> dict[str, tuple[Callable, Callable]]:
    """How points move, and the exact result on the grid."""
    gap = (TIMES[1] - TIMES[0]) / (ROWS - 1)
    cases: dict[str, tuple[Callable, Callable]] = {
        "boost by 0.4": (lambda x, t, u: (x + 0.4 * t, t, u + 0.4), lambda x, t, u: u(x - 0.4 * t, t) + 0.4),
        "time shift by 0.37 rows": (lambda x, t, u: (x, t + 0.37 * gap, u), lambda x, t, u: u(x, t - 0.37 * gap)),
        "exp(t / 50) += 0.2": (
            lambda x, t, u: (x, 50 * torch.log(torch.exp(t / 50) + 0.2), u),
            lambda x, t, u: u(x, 50 * torch.log(torch.exp(t / 50) - 0.2)),
        ),
    }
    for share in (0.001, 0.003, 0.01):
        cases[f"rows stretched by {100 * share:g} %"] = (
            lambda x, t, u, share=share: (_stretched(x, t, share), t, u),
            lambda x, t, u, share=share: u(_source(x, t, share), t),
        )
    return cases


def accuracy() -> list[dict]:
    """The largest relative errors of both routes, and of the scatter without division."""
    x, t = nodes()
    results = []
    for name, (move, exact) in transforms().items():
        for function in (wave, soliton):
            points, expected = torch.stack(move(x, t, function(x, t)), -1)[None], exact(x, t, function)
            values, support = resample(points, period=PERIOD, times=TIMES)
            mean, weight = scatter(points.flatten(1, 2), (ROWS, COLUMNS), period=PERIOD, times=TIMES)
            rows = weight[0].amin(-1) > 0.8

            def error(found: Tensor, where: Tensor, expected: Tensor = expected) -> float:
                return float((found - expected)[where].abs().max() / expected.abs().max())

            results.append(
                {
                    "transform": name,
                    "function": function.__name__,
                    INVERSE: error(values[0], support[0]),
                    SCATTER: error(mean[0], rows),
                    "scatter, not divided": error((mean * weight)[0], rows),
                }
            )
    return results


# ---- time and memory ------------------------------------------------------------------------------------------------


def problem(rows: int, columns: int, trajectories: int = 1) -> Tensor:
    x, t = nodes(rows, columns)
    shifted = t + 0.3 + 0.2 * torch.sin(2 * math.pi / PERIOD * x)
    points = torch.stack([_stretched(x + 0.4 * t, t, 0.01), shifted, wave(x, t) + 0.4], -1)
    return points.expand(trajectories, *points.shape).clone()


def routes(rows: int, columns: int) -> dict[tuple[str, str], Route]:
    shape = (rows, columns)
    return {
        (INVERSE, KERNEL): lambda p: resample(p, period=PERIOD, times=TIMES)[0],
        (INVERSE, EAGER): lambda p: resample_ref(p, PERIOD, TIMES)[0],
        (SCATTER, KERNEL): lambda p: scatter(p.flatten(1, 2), shape, period=PERIOD, times=TIMES)[0],
        (SCATTER, EAGER): lambda p: scatter_ref(p.flatten(1, 2), shape, PERIOD, TIMES)[0],
    }


def runner(route: Route, kind: str, points: Tensor) -> Call:
    """A call without arguments that does the work once."""
    wanted, direction = points.clone().requires_grad_(), torch.ones(points.shape[:3], dtype=points.dtype)
    return common.work(kind, lambda: route(wanted), [wanted], direction)


def check(rows: int, columns: int) -> None:
    """Before any timing: values and gradients of the kernels are those of plain torch."""
    points = problem(rows, columns)
    calls = routes(rows, columns)
    for route in (INVERSE, SCATTER):
        for kind in (FORWARD, BOTH):
            found, expected = (runner(calls[route, who], kind, points)() for who in (KERNEL, EAGER))
            found, expected = (a if isinstance(a, Tensor) else a[0] for a in (found, expected))
            error = float((found - expected).norm() / expected.norm())
            if not error < 1e-11:
                raise SystemExit(f"{route}, {kind}: off by {error:.2g} of its size; nothing is timed")


def contest(rounds: int) -> list[dict]:
    points = problem(ROWS, COLUMNS)
    results = []
    for kind in (FORWARD, BOTH):
        calls: dict = {key: runner(route, kind, points) for key, route in routes(ROWS, COLUMNS).items()}
        if kind == BOTH:
            del calls[INVERSE, EAGER]  # its graph holds the waves of every node: 140 rows of it take gigabytes
        times = common.medians({**calls, "copy": points.clone}, rounds)
        for route, contestant in calls:
            results.append(
                {
                    "route": route,
                    "contestant": contestant,
                    "kind": kind,
                    "seconds": times[route, contestant],
                    "share_of_copy": times["copy"] / times[route, contestant],
                    "speedup_of_kernel": times[route, contestant] / times[route, KERNEL],
                    "peak_mb": common.peak_megabytes(route, contestant, kind, 1),
                }
            )
    return results


def growth(sizes: list[tuple[int, int]], rounds: int) -> list[dict]:
    """The kernels' time per point on larger and larger grids."""
    results = []
    for rows, columns in sizes:
        points = problem(rows, columns)
        calls = {r: runner(routes(rows, columns)[r, KERNEL], FORWARD, points) for r in (INVERSE, SCATTER)}
        times = common.medians(calls, rounds)
        results.append({"rows": rows, "columns": columns, **{r: times[r] / (rows * columns) for r in times}})
    return results


def on_one_core(rounds: int) -> dict[str, float]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        points = problem(ROWS, COLUMNS)
        calls = {r: runner(routes(ROWS, COLUMNS)[r, KERNEL], FORWARD, points) for r in (INVERSE, SCATTER)}
        return common.medians(calls, rounds)
    finally:
        torch.set_num_threads(threads)


def targets(results: list[dict], errors: list[dict], one_core: dict[str, float]) -> list[dict]:
    def worst(transform: str) -> float:
        return max(e[INVERSE] for e in errors if e["transform"] == transform)

    lines = [
        (f"{r['route']}, {r['kind']}: times faster than eager", r["speedup_of_kernel"], 10.0)
        for r in results
        if r["contestant"] == EAGER
    ]
    lines += [(f"{r}: trajectories per second and core", 1 / s, 1 / 0.03) for r, s in one_core.items()]
    lines += [
        ("inverse map, boost: digits", -math.log10(worst("boost by 0.4")), 10.0),
        ("inverse map, time shift: digits", -math.log10(worst("time shift by 0.37 rows")), 5.0),
        ("inverse map, rows stretched by 1 %: digits", -math.log10(worst("rows stretched by 1 %")), 4.0),
    ]
    return common.print_targets(lines)


def main() -> None:
    if what := common.child():
        route, contestant, kind, trajectories = what
        common.print_peak(
            runner(routes(8, 16)[route, contestant], kind, problem(8, 16)),
            lambda: runner(routes(ROWS, COLUMNS)[route, contestant], kind, problem(ROWS, COLUMNS, int(trajectories))),
        )
        return
    arguments = common.options(__doc__, "fewer rounds and sizes").parse_args()
    rounds = 3 if arguments.quick else 5
    sizes = [(140, 64), (140, 256)] if arguments.quick else [(140, n) for n in (64, 256, 1024)] + [(560, 256)]

    print(json.dumps(common.machine()))
    check(24, 40)
    errors = accuracy()
    columns = (INVERSE, SCATTER, "scatter, not divided")
    common.print_table(
        ("largest relative error", "function", *columns),
        [(e["transform"], e["function"], *(f"{e[c]:.1e}" for c in columns)) for e in errors],
    )
    results = contest(rounds)
    print()
    print(f"one trajectory, {ROWS} x {COLUMNS}")
    common.print_contest(results, ("route", "contestant", "kind"), "copy")
    many = {r: common.peak_megabytes(r, KERNEL, FORWARD, 64) for r in (INVERSE, SCATTER)}
    one_core = on_one_core(rounds)
    for route in (INVERSE, SCATTER):
        memory = common.megabytes(many[route], 0)
        print(f"{route}: {1e3 * one_core[route]:.1f} ms on one core; 64 trajectories at once: {memory} MB at the peak")
    grown = growth(sizes, rounds)
    print()
    common.print_table(
        ("grid", f"{INVERSE}, ns per point", SCATTER),
        [(f"{g['rows']} x {g['columns']}", *(f"{1e9 * g[r]:.0f}" for r in (INVERSE, SCATTER))) for g in grown],
    )
    print()
    met = targets(results, errors, one_core)
    content = {"accuracy": errors, "contest": results, "one_core": one_core, "peak_mb_of_64": many, "growth": grown}
    common.write_results("resample", {**content, "targets": met}, arguments.out)


if __name__ == "__main__":
    main()
