"""Bilinear sampling of images at many grids: compiled kernels and torch's `grid_sample` on repeated images.

    python benchmarks/bench_warp.py [--quick] [--out FILE.json]

Grids are affine maps near the identity, float32, zero padding. Times are medians over rounds that run every contestant
in turn, so that another load on the machine meets all of them. The traffic that cannot be avoided (images and grids in,
result out; with the backward pass also its gradient in, twice where images want gradients) is given as a share of the
rate at which the same rounds copy the result. Peak memory beyond the inputs is that of a process of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import NamedTuple

import _common as common
import torch
from _common import Call
from torch import Tensor

from symflow import warp

KERNEL, PEER = "kernel", "grid_sample"
FORWARD, GRIDS, ALL = "forward", "+ gradient of grids", "+ of images too"
KINDS = (FORWARD, GRIDS, ALL)


class Case(NamedTuple):
    batch: int
    channels: int
    side: int
    grids: int
    own: bool  # a set of grids per image
    at_least: float  # times faster than grid_sample, every kind

    def __str__(self) -> str:
        owner = "own" if self.own else "shared"
        return f"{self.batch} x {self.channels} x {self.side}^2, {self.grids} {owner}"


CIFAR = Case(128, 3, 32, 10, False, 3.0)
CASES = [
    CIFAR,
    CIFAR._replace(grids=1, at_least=1.0),
    CIFAR._replace(grids=1, own=True, at_least=1.0),
    Case(128, 1, 28, 10, False, 3.0),
    Case(128, 1, 28, 1, False, 1.0),
    Case(128, 1, 28, 1, True, 1.0),
    Case(64, 3, 224, 1, False, 1.0),
    Case(64, 3, 224, 1, True, 1.0),
]


def grid_sample(images: Tensor, grid: Tensor) -> Tensor:
    """The same by torch: images repeated for every grid, shared grids for every image."""
    batch, grids = images.shape[0], grid.shape[-4]
    repeated = images[:, None].expand(-1, grids, -1, -1, -1).flatten(0, 1)
    points = grid.expand(batch, -1, -1, -1, -1).flatten(0, 1)
    sampled = torch.nn.functional.grid_sample(repeated, points, align_corners=True)
    return sampled.unflatten(0, (batch, grids))


WARPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {KERNEL: warp, PEER: grid_sample}


def problem(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Images, grids, and a gradient of the result."""
    rng = torch.Generator().manual_seed(0)
    side = torch.linspace(-1, 1, case.side)
    y, x = torch.meshgrid(side, side, indexing="ij")
    sets = (case.batch,) if case.own else ()
    maps = torch.eye(2, 3) + 0.1 * torch.randn(*sets, case.grids, 2, 3, generator=rng)
    grid = torch.einsum("...gij,hwj->...ghwi", maps, torch.stack([x, y, torch.ones_like(x)], -1)).contiguous()
    images = torch.randn(case.batch, case.channels, case.side, case.side, generator=rng)
    result = (case.batch, case.grids, case.channels, case.side, case.side)
    return images, grid, torch.randn(result, generator=rng)


def runner(contestant: str, kind: str, case: Case) -> Call:
    """A call without arguments that does the work once."""
    images, grid, direction = problem(case)
    images.requires_grad_(kind == ALL)
    grid.requires_grad_(kind != FORWARD)
    wanted = [t for t in (images, grid) if t.requires_grad]

    def run() -> object:
        out = WARPS[contestant](images, grid)
        return torch.autograd.grad(out, wanted, direction) if wanted else out

    return run


def traffic(kind: str, case: Case) -> int:
    """Bytes."""
    images, grid, result = (t.numel() * t.element_size() for t in problem(case))
    forward = images + grid + result
    return {FORWARD: forward, GRIDS: 2 * (forward + grid // 2), ALL: 2 * (forward + grid // 2) + result + images}[kind]


def check(case: Case) -> None:
    """Before any timing: values and gradients are those of grid_sample in float64."""
    images, grid, direction = problem(case._replace(batch=min(case.batch, 16)))

    def all_of(call: Callable, dtype: torch.dtype) -> list[Tensor]:
        i, g = images.to(dtype).requires_grad_(), grid.to(dtype).requires_grad_()
        out = call(i, g)
        return [out.detach(), *torch.autograd.grad(out, [i, g], direction.to(dtype))]

    for i, (found, expected) in enumerate(
        zip(all_of(warp, torch.float32), all_of(grid_sample, torch.float64), strict=True)
    ):
        error = float((found - expected).norm() / expected.norm())
        # A coordinate is rounded by 6e-8 side/2 pixels. On either side of a pixel's lines that puts it into the next
        # cell, whose slope is another one: this fraction of the points has a gradient that is off by its own size.
        rounding = 6e-8 * case.side / 2
        if not error < (2 * math.sqrt(4 * rounding) if i == 2 else 2 * rounding):
            raise SystemExit(f"{case}: output {i} is off by {error:.2g} of its size; nothing is timed")


def contest(cases: list[Case], rounds: int) -> list[dict]:
    results = []
    for case in cases:
        copied = problem(case)[2]
        calls: dict[str, Call] = {"copy": copied.clone}
        calls |= {f"{name} {kind}": runner(name, kind, case) for kind in KINDS for name in (KERNEL, PEER)}
        times = common.medians(calls, rounds)
        rate = 2 * copied.numel() * copied.element_size() / times["copy"]
        for kind in KINDS:
            for name in (KERNEL, PEER):
                taken = times[f"{name} {kind}"]
                results.append(
                    {
                        "contestant": name,
                        "case": str(case),
                        "kind": kind,
                        "seconds": taken,
                        "share_of_copy": traffic(kind, case) / taken / rate,
                        "copy_gb_per_second": rate / 1e9,
                        "speedup_of_kernel": taken / times[f"{KERNEL} {kind}"],
                    }
                )
    return results


def memory(cases: list[Case]) -> list[dict]:
    """Peaks beyond the inputs, with the gradients of grids and images."""
    peaks = [{name: common.peak_megabytes(name, ALL, *case[:5]) for name in (KERNEL, PEER)} for case in cases]
    return [{"case": str(case), **peak} for case, peak in zip(cases, peaks, strict=True)]


def growth(batches: list[int], grids: list[int], rounds: int) -> list[dict]:
    """The kernel's time per number of the result, with more images and with more grids."""
    cases = [CIFAR._replace(batch=b) for b in batches] + [CIFAR._replace(grids=g) for g in grids]
    results = []
    for case in cases:
        times = common.medians({kind: runner(KERNEL, kind, case) for kind in KINDS}, rounds)
        numbers = case.batch * case.grids * case.channels * case.side**2
        results.append({"case": str(case), **{kind: taken / numbers for kind, taken in times.items()}})
    return results


def main() -> None:
    if what := common.child():
        contestant, kind, *sizes, own = what
        case = Case(*map(int, sizes), own == "True", 0)
        common.print_peak(runner(contestant, kind, case._replace(batch=1)), lambda: runner(contestant, kind, case))
        return
    arguments = common.options(__doc__, "fewer cases and rounds").parse_args()
    cases, rounds = (CASES[:3], 5) if arguments.quick else (CASES, 11)
    batches, grids = ([8, 128], [1, 10]) if arguments.quick else ([1, 8, 32, 128, 512], [1, 2, 5, 20])

    print(json.dumps(common.machine()))
    for case in cases:
        check(case)
    results = contest(cases, rounds)
    common.print_contest(results, ("case", "kind", "contestant"), "copy", digits=2)
    peaks = memory([CIFAR] if arguments.quick else [CIFAR, CASES[-2]])
    print()
    common.print_table(
        ("peak MB, all gradients", KERNEL, PEER),
        [(p["case"], *(common.megabytes(p[name]) for name in (KERNEL, PEER))) for p in peaks],
    )
    grown = growth(batches, grids, rounds)
    print()
    common.print_table(
        ("ns per number of the result", *KINDS),
        [(g["case"], *(f"{1e9 * g[kind]:.2f}" for kind in KINDS)) for g in grown],
    )
    print()
    speedups = {(r["case"], r["kind"]): r["speedup_of_kernel"] for r in results if r["contestant"] == PEER}
    targets = common.print_targets(
        [
            (f"{case}, {kind}: x grid_sample", speedups[str(case), kind], case.at_least)
            for case in cases
            for kind in KINDS
        ]
    )
    content = {"contest": results, "memory": peaks, "growth": grown, "targets": targets}
    common.write_results("warp", content, arguments.out)


if __name__ == "__main__":
    main()
