"""Augmentation of KdV trajectories: seconds beside the eager route, memory, and how both grow.

    python benchmarks/bench_augment_pde.py [--quick] [--out FILE.json]

Trajectories of 140 rows of 256 points (`--quick`: fewer of them) are moved along the three generators of KdV with the
period, in closed form (float64), along a network of width 64 with three fields, and along a table of that network,
which is how the command moves along learned fields (both float32), by `TrajectoryAugment`.
The eager route is the same in plain torch: `flow_ref` followed by `resample_ref`, or by `scatter_ref`, the paper's
spreading, a trajectory at a time, under `no_grad`, with the same steps. Times are medians over rounds that run every
contestant in turn. 512 trajectories 16-fold are extrapolated from the rate per trajectory, 7,680 that are moved.
Peak memory is that of a process of its own beyond what it holds after one trajectory.
"""

from __future__ import annotations

import _common as common
import torch
from _common import Call
from torch import Tensor

from symflow import NeuralField
from symflow.ops import flow_ref, resample_ref, scatter_ref
from symflow.pde import Trajectories, TrajectoryAugment, generate
from symflow.pde.augmentation.files import generators_of
from symflow.pde.augmentation.residuals import residuals
from symflow.pde.augmentation.trajectories import tabulated

MOVED = 512 * 15  # 512 trajectories 16-fold: one of 16 copies is the original
CLOSED, LEARNED, TABLE, RESIDUALS = "closed forms", "network, width 64", "table of the network", "residuals"
MEANS = (CLOSED, LEARNED, TABLE)


def kdv(samples: int) -> Trajectories:
    return generate("kdv", samples, 0).coarsen(256)


def augmentations(data: Trajectories) -> dict[str, TrajectoryAugment]:
    forms = generators_of("kdv", data)
    network = NeuralField(forms.coordinates, 3, width=64)
    table = tabulated(network, data)
    fields = {CLOSED: (forms, 0.1), LEARNED: (network, 0.02), TABLE: (table, 0.02)}
    return {name: TrajectoryAugment(field, data, strength) for name, (field, strength) in fields.items()}


def eager(augment: TrajectoryAugment, data: Trajectories, u: Tensor, weights: Tensor, back: str) -> None:
    """One trajectory at a time in plain torch."""
    field, rows = augment.field, len(data.t)
    t, x = torch.meshgrid(data.t, data.x, indexing="ij")
    for one, row in zip(u, weights, strict=True):
        points = torch.stack([x.to(one), t.to(one), one], -1).flatten(0, 1)[None]
        start = field.coordinates.to_normalised(points)
        moved = field.coordinates.to_physical(flow_ref(field, start, row[None], augment.steps))
        extent = (data.length, augment.times)
        if back == "scatter":
            scatter_ref(moved, (rows, len(data.x)), *extent)
        else:
            resample_ref(moved.view(1, rows, -1, 3), *extent)


def on(data: Trajectories, name: str, size: int) -> Call:
    """An augmentation of so many trajectories, by its name."""
    augment = augmentations(data)[name]
    u = data.u.to(augment.whitener).repeat(-(-size // len(data)), 1, 1)[:size]
    return lambda: augment(u)


@torch.no_grad()
def main() -> None:
    if what := common.child():
        data = kdv(2)
        common.print_peak(on(data, what[0], 1), lambda: on(data, what[0], int(what[1])))
        return
    arguments = common.options(__doc__, "fewer trajectories and rounds").parse_args()
    batch, rounds, sizes = (4, 1, (4, 8)) if arguments.quick else (16, 5, (16, 32, 64))
    few = 1 if arguments.quick else 2  # trajectories of the eager route
    data = kdv(batch)
    torch.manual_seed(0)
    calls: dict[str, Call] = {}
    per: dict[str, int] = {}
    for name, augment in augmentations(data).items():
        u, weights = data.u.to(augment.whitener), augment.draw(batch)
        calls[name], per[name] = lambda a=augment, u=u, w=weights: a.move(u, w), batch
        for back in ("resample", "scatter"):
            label = f"{name}, eager, {back}"
            calls[label] = lambda a=augment, u=u, w=weights, b=back: eager(a, data, u[:few], w[:few], b)
            per[label] = few
    valid = torch.ones(data.u.shape[:2], dtype=torch.bool)
    calls[RESIDUALS], per[RESIDUALS] = lambda: residuals(data, data.u, valid), batch
    rate = {name: seconds / per[name] for name, seconds in common.medians(calls, rounds).items()}

    print(f"{batch} trajectories of 140 x 256, {torch.get_num_threads()} threads\n")
    rows = [[name, f"{1e3 * s:.1f}", f"{1 / s:.1f}", f"{MOVED * s / 60:.1f}"] for name, s in rate.items()]
    common.print_table(("", "ms per trajectory", "per second", "512 x 16, minutes"), rows)

    growth: dict[str, dict[int, dict[str, float | None]]] = {name: {} for name in MEANS}
    for size in sizes:
        grown = {name: on(data, name, size) for name in MEANS}
        for name, seconds in common.medians(grown, 1 if arguments.quick else 3).items():
            growth[name][size] = {"seconds": seconds, "megabytes": common.peak_megabytes(name, size)}
    print()
    common.print_table(
        ("", *(f"{size}: seconds, MB" for size in sizes)),
        [
            [n, *(f"{g['seconds']:.2f}, {common.megabytes(g['megabytes'], 0)}" for g in found.values())]
            for n, found in growth.items()
        ],
    )
    print()
    ratios = [
        (f"{name}: eager {back} / TrajectoryAugment", rate[f"{name}, eager, {back}"] / rate[name], 1.0)
        for name in MEANS
        for back in ("resample", "scatter")
    ]
    targets = common.print_targets(ratios)
    found = {
        "batch": batch,
        "seconds_per_trajectory": rate,
        "growth": growth,
        "ratios": targets,
    }
    common.write_results("augment_pde", found, arguments.out)


if __name__ == "__main__":
    main()
