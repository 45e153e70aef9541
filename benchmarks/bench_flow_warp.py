"""Images moved along flows: one operation, its two parts in sequence, and plain torch.

    python benchmarks/bench_flow_warp.py [--quick] [--out FILE.json]

128 images of 3 x 32 x 32 pixels, each moved along the flows of ten generators (one-hot rows of weights, shared) or by
two rows of its own; fields on a grid of 32 x 32 nodes or a network of width 64; 8 Runge-Kutta steps; float32. Plain
torch is the flow by eager operations, with `torch.nn.functional.grid_sample` of each row's table, and `grid_sample` on
images and coordinates repeated for every pair; in sequence are `symflow.flow` and `symflow.warp`. Gradients are those
of weights and field.

Times are medians over rounds that run every contestant in turn, so that another load on the machine meets all of them.
Peak memory beyond the inputs is that of a process of its own, with the backward pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import _common as common
import torch
from _common import BOTH, FORWARD, Call
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from symflow import Coordinates, GridField, NeuralField, flow, flow_warp, warp
from symflow.ops import pixel_points

PLANE = Coordinates(("x", "y"))
GENERATORS, NODES, PIXELS, STEPS = 10, 32, 32, 8
KERNEL, SEQUENCE, TORCH = "flow_warp", "flow, then warp", "plain torch"
GRID, NETWORK = "grid", "network"
SHARED, OWN = "shared by all", "own rows"
Warp = Callable[[nn.Module, Tensor, Tensor], Tensor]


def moved(flow_of: Callable, field: nn.Module, images: Tensor, weights: Tensor) -> Tensor:
    """The coordinates ``[S, G, H, W, 2]`` of the pixels at the end of each row's flow."""
    points = pixel_points(images)
    rows = weights.flatten(0, -2)
    ends = flow_of(field, points.view(1, -1, 2).repeat(len(rows), 1, 1), rows, steps=STEPS)
    return ends.view(-1, weights.shape[-2], *points.shape)


def in_sequence(field: nn.Module, images: Tensor, weights: Tensor) -> Tensor:
    return warp(images, moved(flow, field, images, weights).view(*weights.shape[:-1], *images.shape[2:], 2))


def eager_flow(field: GridField, points: Tensor, weights: Tensor, steps: int) -> Tensor:
    tables = torch.einsum("bk,kijd->bdji", weights, field.values)  # x is the last axis of an image

    def velocity(z: Tensor) -> Tensor:
        found = grid_sample(tables, z[:, None], padding_mode="border", align_corners=True)
        return found[:, :, 0].transpose(1, 2)

    dt = 1 / steps
    for _ in range(steps):
        v1 = velocity(points)
        v2 = velocity(points + dt / 2 * v1)
        v3 = velocity(points + dt / 2 * v2)
        v4 = velocity(points + dt * v3)
        points = points + dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    return points


def plain(field: nn.Module, images: Tensor, weights: Tensor) -> Tensor:
    grids = moved(eager_flow, field, images, weights)
    pairs = (images.shape[0], grids.shape[1])
    repeated = images[:, None].expand(*pairs, *images.shape[1:]).flatten(0, 1)
    coordinates = grids.expand(pairs[0], -1, -1, -1, -1).flatten(0, 1)
    return grid_sample(repeated, coordinates, align_corners=True).unflatten(0, pairs)


# Plain torch for the grid only: for networks bench_flow.py has it, and it takes seconds here.
CONTESTANTS: dict[str, Warp] = {
    KERNEL: lambda field, images, weights: flow_warp(field, images, weights, steps=STEPS),
    SEQUENCE: in_sequence,
    TORCH: plain,
}


def problem(kind: str, rows: str, batch: int) -> tuple[nn.Module, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    network = NeuralField(PLANE, GENERATORS, width=64, head_width=32)
    field = GridField.tabulate(network, (NODES, NODES), (-1.0, -1.0), (1.0, 1.0)) if kind == GRID else network
    images = torch.randn(batch, 3, PIXELS, PIXELS, generator=rng)
    if rows == SHARED:
        weights = 0.5 * torch.eye(GENERATORS)
    else:
        weights = 0.2 * torch.randn(batch, 2, GENERATORS, generator=rng)
    return field, images, weights.requires_grad_()


def runner(contestant: str, kind: str, rows: str, way: str, batch: int) -> Call:
    """A call without arguments that does the work once."""
    field, images, weights = problem(kind, rows, batch)
    call, wanted = CONTESTANTS[contestant], [weights, *field.parameters()]
    with torch.no_grad():
        direction = torch.ones_like(call(field, images[:1], weights[:1] if rows == OWN else weights))
        direction = direction.expand(batch, -1, -1, -1, -1).contiguous()
    return common.work(way, lambda: call(field, images, weights), wanted, direction)


def check(kind: str, rows: str) -> None:
    """Before any timing: all contestants compute the same."""
    field, images, weights = problem(kind, rows, 5)

    def all_of(name: str) -> list[Tensor]:
        result = CONTESTANTS[name](field, images, weights)
        direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
        return [result, *torch.autograd.grad(result, [weights, *field.parameters()], direction)]

    expected = all_of(TORCH if kind == GRID else SEQUENCE)
    for name in (KERNEL, SEQUENCE):
        for i, (found, exact) in enumerate(zip(all_of(name), expected, strict=True)):
            error = float((found - exact).detach().norm() / exact.detach().norm())
            # Coordinates on a pixel line fall to either side of it, where the gradient jumps.
            if not error < (1e-4 if i == 0 else 5e-2):
                raise SystemExit(f"{name}, {kind}: output {i} is off by {error:.2g} of its size; nothing is timed")


def contest(cases: list[tuple[str, str]], batch: int, rounds: int) -> list[dict]:
    """Every contestant in every case, forward and with the backward pass."""
    results = []
    for kind, rows in cases:
        for way in (FORWARD, BOTH):
            names = [name for name in CONTESTANTS if name != TORCH or kind == GRID]
            times = common.medians({name: runner(name, kind, rows, way, batch) for name in names}, rounds)
            for name in names:
                found = {
                    "contestant": name,
                    "field": kind,
                    "weights": rows,
                    "way": way,
                    "seconds": times[name],
                    "speedup_of_kernel": times[name] / times[KERNEL],
                }
                if way == BOTH:
                    found["peak_mb"] = common.peak_megabytes(name, kind, rows, batch)
                results.append(found)
    return results


def growth(batches: list[int], rounds: int) -> list[dict]:
    """The kernel's time per image for more and more of them, shared rows of a grid."""
    results = []
    for batch in batches:
        times = common.medians({way: runner(KERNEL, GRID, SHARED, way, batch) for way in (FORWARD, BOTH)}, rounds)
        results.append({"images": batch, **{way: times[way] / batch for way in times}})
    return results


def main() -> None:
    if what := common.child():
        *case, batch = what
        common.print_peak(runner(*case, BOTH, 2), lambda: runner(*case, BOTH, int(batch)))
        return
    arguments = common.options(__doc__, "fewer images and rounds").parse_args()
    batch, rounds = (16, 3) if arguments.quick else (128, 12)
    batches = [1, 16] if arguments.quick else [1, 8, 32, 128]
    cases = [(GRID, SHARED), (GRID, OWN), (NETWORK, SHARED)]

    print(json.dumps(common.machine()))
    for kind, rows in cases:
        check(kind, rows)
    results = contest(cases, batch, rounds)
    common.print_contest(results, ("contestant", "field", "weights", "way"), digits=2)
    print()
    grown = growth(batches, rounds)
    common.print_table(
        ("images", "forward us per image", "with backward"),
        [(g["images"], *(f"{1e6 * g[way]:.0f}" for way in (FORWARD, BOTH))) for g in grown],
    )
    print()
    speedups = {(r["contestant"], r["field"], r["weights"], r["way"]): r["speedup_of_kernel"] for r in results}
    targets = common.print_targets(
        [
            (f"times faster than {name}, {GRID}, {way}", speedups[name, GRID, SHARED, way], goal)
            for name, goal in ((TORCH, 3.0), (SEQUENCE, 1.0))
            for way in (FORWARD, BOTH)
        ]
    )
    common.write_results("flow_warp", {"contest": results, "growth": grown, "targets": targets}, arguments.out)


if __name__ == "__main__":
    main()
