"""Augmentation along tabulated fields at the speed of training: flow on a grid and warp, against torchdiffeq.

    python benchmarks/bench_grid_flow.py [--quick] [--out FILE.json]

A batch of 128 images of 3 x 32 x 32 pixels, six random smooth fields on a grid of 32 x 32 nodes, a row of weights per
image, 4 Runge-Kutta steps, then bilinear sampling; float32. Contestants compute the same: torchdiffeq's rk4 with 4
steps of 1/4 (its 3/8 rule, of the same order and cost) and its dopri5 with its default tolerances, as in the paper,
both in the field as `grid_sample` of the table. (The network itself in its place takes a hundred times longer.) All
then sample by `torch.nn.functional.grid_sample`.

Times are medians over rounds that run every contestant in turn, so that another load on the machine meets all of them.
Useful work is 34 operations per evaluation of a point: 8 to find its cell, 18 to interpolate, 8 for the step; it is
given as a share of what torch's sgemm of 1024 x 1024 matrices does in the same rounds. Peak memory beyond the inputs is
that of a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import _common as common
import torch
from _common import BOTH, FORWARD, Call
from torch import Tensor
from torch.nn.functional import grid_sample
from torchdiffeq import odeint

from symflow import Coordinates, GridField, NeuralField, flow
from symflow.ops import grid_flow_ref

PLANE = Coordinates(("x", "y"))
GENERATORS, NODES, PIXELS, STEPS = 6, 32, 32, 4
STRENGTH = 0.2
KERNEL, RK4, DOPRI5 = "kernel", "torchdiffeq rk4", "torchdiffeq dopri5"


def table() -> GridField:
    """The table of a network of the paper's size."""
    network = NeuralField(PLANE, GENERATORS, width=256, head_width=32)
    return GridField.tabulate(network, (NODES, NODES), (-1.0, -1.0), (1.0, 1.0))


def sampled(field: GridField) -> Callable[[Tensor, Tensor], Tensor]:
    """The same function of points and weights by torch's own sampling of a table per row."""
    images = field.values.detach().permute(0, 3, 2, 1).flatten(1)  # x is the last axis of an image

    def velocity(points: Tensor, weights: Tensor) -> Tensor:
        table = (weights @ images).view(-1, 2, NODES, NODES)
        found = grid_sample(table, points[:, None], padding_mode="border", align_corners=True)
        return found[:, :, 0].transpose(1, 2)

    return velocity


def pixel_grid(batch: int) -> Tensor:
    axis = torch.linspace(-1, 1, PIXELS)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    return grid.reshape(1, -1, 2).expand(batch, -1, -1).contiguous()


def ends() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """End points of ``points [B, N, 2]`` with ``weights [B, K]``, per contestant."""
    field = table()
    velocity, times = sampled(field), torch.tensor([0.0, 1.0])

    def solve(points: Tensor, weights: Tensor, **options) -> Tensor:
        return odeint(lambda _, z: velocity(z, weights), points, times, **options)[-1]

    return {
        KERNEL: lambda p, w: flow(field, p, w, steps=STEPS),
        RK4: lambda p, w: solve(p, w, method="rk4", options={"step_size": 1 / STEPS}),
        DOPRI5: lambda p, w: solve(p, w, method="dopri5"),
    }


def inputs(batch: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    weights = STRENGTH * torch.randn(batch, GENERATORS, generator=rng)
    return pixel_grid(batch), weights, torch.randn(batch, 3, PIXELS, PIXELS, generator=rng)


def augmentation(contestant: str, batch: int) -> Callable[[], Tensor]:
    """A call without arguments that moves a batch of images once."""
    points, weights, images = inputs(batch)
    end = ends()[contestant]

    def run() -> Tensor:
        with torch.no_grad():
            grid = end(points, weights).view(batch, PIXELS, PIXELS, 2)
            return grid_sample(images, grid, align_corners=True)

    return run


def kernel(kind: str, batch: int, count: int, nodes: int = NODES) -> Call:
    """The flow alone, of ``count`` points per row, with the gradients of points, weights and values or without."""
    rng = torch.Generator().manual_seed(0)
    values = STRENGTH * torch.randn(GENERATORS, nodes, nodes, 2, generator=rng)
    field = GridField(PLANE, values, (-1.0, -1.0), (1.0, 1.0))
    points = (2 * torch.rand(batch, count, 2, generator=rng) - 1).requires_grad_()
    weights = (STRENGTH * torch.randn(batch, GENERATORS, generator=rng)).requires_grad_()
    wanted = [points, weights, field.values]
    return common.work(kind, lambda: flow(field, points, weights, steps=STEPS), wanted, torch.ones_like(points))


def check(batch: int) -> None:
    """Before any timing: the kernel is the reference, and the contestants compute the same to their own errors."""
    points, weights, _ = inputs(batch)
    field = table()
    exact = GridField(PLANE, field.values.double(), field.lower, field.upper)
    expected = grid_flow_ref(exact, points.double(), weights.double(), STEPS) - points
    for name, bound in ((KERNEL, 1e-5), (RK4, 1e-3), (DOPRI5, 1e-2)):
        with torch.no_grad():
            error = float((ends()[name](points, weights) - points - expected).norm() / expected.norm())
        if not error < bound:
            raise SystemExit(f"{name} is off by {error:.2g} of the displacement; nothing is timed")


def flows(batch: int, rounds: int) -> list[dict]:
    """The kernel alone on the batch."""
    points, size = PIXELS**2, 1024
    calls = {kind: kernel(kind, batch, points) for kind in (FORWARD, BOTH)}
    times = common.medians({"sgemm": common.sgemm(size), **calls}, rounds)
    rate = 2 * size**3 / times["sgemm"]
    work = 34 * 4 * STEPS * batch * points
    return [
        {
            "kind": kind,
            "seconds": times[kind],
            "evaluations_per_second": 4 * STEPS * batch * points / times[kind],
            "share_of_sgemm": work / times[kind] / rate if kind == FORWARD else None,
        }
        for kind in (FORWARD, BOTH)
    ]


def growth(points: list[int], nodes: list[int], rounds: int) -> list[dict]:
    """The kernel's time per point for more and more points in 8 rows, and for larger and larger grids."""
    results = []
    for count, side in [(n, NODES) for n in points] + [(points[-1], n) for n in nodes]:
        times = common.medians({kind: kernel(kind, 8, count, side) for kind in (FORWARD, BOTH)}, rounds)
        results.append({"points": count, "nodes": side, **{kind: times[kind] / (8 * count) for kind in times}})
    return results


def main() -> None:
    if what := common.child():
        common.print_peak(augmentation(what[0], 2), lambda: augmentation(what[0], int(what[1])))
        return
    arguments = common.options(__doc__, "fewer images, rounds and sizes").parse_args()
    batch, rounds = (16, 3) if arguments.quick else (128, 9)
    counts, sides = ([64, 1_024], [64]) if arguments.quick else ([64, 256, 1_024, 4_096, 16_384], [8, 64, 128, 256])

    print(json.dumps(common.machine()))
    check(batch)
    names = (KERNEL, RK4, DOPRI5)
    times = common.medians({name: augmentation(name, batch) for name in names}, rounds)
    peaks = {name: common.peak_megabytes(name, batch) for name in names}
    ours = times[KERNEL]
    common.print_table(
        (f"flow and sampling, {batch} images", "ms", "kernel is faster", "peak MB"),
        [
            (
                name,
                f"{1e3 * times[name]:.2f}",
                "" if name == KERNEL else f"{times[name] / ours:.1f}x",
                common.megabytes(peaks[name]),
            )
            for name in peaks
        ],
    )
    print()
    alone = flows(batch, rounds)
    common.print_table(
        ("kernel alone", "ms", "10^9 evaluations/s", "% of sgemm"),
        [
            (
                r["kind"],
                f"{1e3 * r['seconds']:.2f}",
                f"{r['evaluations_per_second'] / 1e9:.2f}",
                "" if r["share_of_sgemm"] is None else f"{100 * r['share_of_sgemm']:.0f}",
            )
            for r in alone
        ],
    )
    print()
    grown = growth(counts, sides, rounds)
    common.print_table(
        ("points", "nodes", "forward ns per point", "with backward"),
        [(g["points"], f"{g['nodes']}^2", *(f"{1e9 * g[kind]:.1f}" for kind in (FORWARD, BOTH))) for g in grown],
    )
    print()
    targets = common.print_targets(
        [
            (f"augmentation, times faster than {DOPRI5}", times[DOPRI5] / ours, 20),
            (f"augmentation, times faster than {RK4}", times[RK4] / ours, 4),
        ]
    )
    common.write_results(
        "grid_flow",
        {
            "augmentation": times,
            "peak_mb": peaks,
            "flow": alone,
            "growth": grown,
            "targets": targets,
        },
        arguments.out,
    )


if __name__ == "__main__":
    main()
