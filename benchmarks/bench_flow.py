"""The flow of a network: compiled kernels, plain torch, and torchdiffeq's adjoint.

    python benchmarks/bench_flow.py [--quick] [--out FILE.json]

N points in three dimensions (one periodic), 8 Runge-Kutta steps, one generator, head width 32, float32. Times are
medians over rounds that run every contestant in turn, so that another load on the machine meets all of them. Useful
work is ``2 (e W + W^2 + W H + H d)`` operations per point and evaluation, three times that with the backward pass; it
is given as a share of what torch's sgemm of 2048 x 2048 matrices does in the same rounds. Peak memory beyond the
inputs is that of a process of its own. Gradients are those of points, weights and all parameters. The kernel also runs
with each narrower instruction set that the machine has, with a dense row of eight generators, whose trunk is shared,
and in float64, whose share is that of a product of float64 matrices. With OMP_NUM_THREADS=1 times are the processor's.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import _common as common
import torch
from _common import BOTH, FORWARD, Call
from torch import Tensor, nn
from torchdiffeq import odeint_adjoint

from symflow import Coordinates, NeuralField, flow
from symflow.ops import _ext, flow_ref

COORDINATES = Coordinates(("x", "t", "u"), periods=(1.0, None, None))
STEPS, HEAD_WIDTH, DIMENSION, EMBEDDING = 8, 32, 3, 4
KERNEL, EAGER, ADJOINT = "kernel", "eager torch", "torchdiffeq adjoint"
DENSE = 8  # generators of a dense row


def adjoint(field: NeuralField, points: Tensor, weights: Tensor, steps: int = STEPS) -> Tensor:
    """The same number of steps by ``odeint_adjoint``; its rk4 is the 3/8 rule, of the same order and cost."""

    class Velocity(nn.Module):
        def forward(self, _: Tensor, z: Tensor) -> Tensor:
            return torch.einsum("bk,bnkd->bnd", weights, field(z))

    return odeint_adjoint(
        Velocity(),
        points,
        torch.tensor([0.0, 1.0], device=points.device),
        method="rk4",
        options={"step_size": 1 / steps},
        adjoint_params=(weights, *field.parameters()),
    )[-1]


FLOWS: dict[str, Callable[[NeuralField, Tensor, Tensor], Tensor]] = {
    KERNEL: lambda field, points, weights: flow(field, points, weights, steps=STEPS),
    EAGER: lambda field, points, weights: flow_ref(field, points, weights, STEPS),
    ADJOINT: adjoint,
}


def problem(
    width: int, count: int, heads: int = 1, dtype: torch.dtype = torch.float32
) -> tuple[NeuralField, Tensor, Tensor]:
    field = NeuralField(COORDINATES, heads, width=width, head_width=HEAD_WIDTH).to(dtype)
    points = torch.randn(1, count, DIMENSION, generator=torch.Generator().manual_seed(0)).to(dtype)
    return field, points.requires_grad_(), torch.full((1, heads), 1 / heads, dtype=dtype, requires_grad=True)


def runner(
    contestant: str, kind: str, width: int, count: int, heads: int = 1, dtype: torch.dtype = torch.float32
) -> Call:
    """A call without arguments that does the work once."""
    field, points, weights = problem(width, count, heads, dtype)
    wanted = [points, weights, *field.parameters()]
    return common.work(kind, lambda: FLOWS[contestant](field, points, weights), wanted, torch.ones_like(points))


def operations(kind: str, width: int, count: int, heads: int = 1) -> float:
    per_head = width * HEAD_WIDTH + HEAD_WIDTH * DIMENSION
    per_evaluation = 2 * (EMBEDDING * width + width**2 + heads * per_head)
    return per_evaluation * 4 * STEPS * count * (1 if kind == FORWARD else 3)


def check(width: int) -> None:
    """Before any timing: the kernel's values and gradients are those of plain torch in float64."""
    field, points, weights = problem(width, 1_000)
    exact = NeuralField(COORDINATES, 1, width=width, head_width=HEAD_WIDTH).double()
    p, w = points.detach().double().requires_grad_(), weights.detach().double().requires_grad_()

    def all_of(call: Callable, field: NeuralField, points: Tensor, weights: Tensor) -> list[Tensor]:
        end = call(field, points, weights)
        direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(1)).to(end.dtype)
        return [end, *torch.autograd.grad(end, [points, weights, *field.layers], direction)]

    pairs = zip(all_of(FLOWS[KERNEL], field, points, weights), all_of(FLOWS[EAGER], exact, p, w), strict=True)
    for i, (found, expected) in enumerate(pairs):
        error = float((found - expected).detach().norm() / expected.detach().norm())
        if not error < 2e-6:
            raise SystemExit(f"width {width}: output {i} is off by {error:.2g} of its size; nothing is timed")


def contest(widths: list[int], count: int, rounds: int) -> list[dict]:
    """Every contestant at every width, forward and with the backward pass."""
    results = []
    for width in widths:
        for kind in (FORWARD, BOTH):
            names = (KERNEL, EAGER) if kind == FORWARD else (KERNEL, EAGER, ADJOINT)
            size = 2048
            calls = {"sgemm": common.sgemm(size), **{name: runner(name, kind, width, count) for name in names}}
            times = common.medians(calls, rounds)
            rate = 2 * size**3 / times["sgemm"]
            for name in names:
                results.append(
                    {
                        "contestant": name,
                        "kind": kind,
                        "width": width,
                        "points": count,
                        "seconds": times[name],
                        "share_of_sgemm": operations(kind, width, count) / times[name] / rate,
                        "sgemm_gflops": rate / 1e9,
                        "speedup_of_kernel": times[name] / times[KERNEL],
                        "peak_mb": common.peak_megabytes(name, kind, width, count),
                    }
                )
    return results


def variants(widths: list[int], count: int, rounds: int) -> list[dict]:
    """The kernel's share of sgemm in the same rounds: one generator, a dense row, float64, narrower registers."""
    info = _ext.build_info()
    best = info["isa"]
    cases = {
        "one generator": (best, 1, torch.float32),
        "dense row": (best, DENSE, torch.float32),
        "float64": (best, 1, torch.float64),
        **{isa: (isa, 1, torch.float32) for isa in reversed(info["available_isas"]) if isa != best},
    }
    size = 2048
    results = []
    for width in widths:
        for kind in (FORWARD, BOTH):

            def on(isa: str, heads: int, dtype: torch.dtype, kind: str = kind, width: int = width) -> Call:
                run = runner(KERNEL, kind, width, count, heads, dtype)

                def call() -> None:
                    _ext._C.select_isa(isa)
                    run()

                return call

            products = {dtype: common.sgemm(size, dtype) for dtype in (torch.float32, torch.float64)}
            times = common.medians({**products, **{name: on(*case) for name, case in cases.items()}}, rounds)
            _ext._C.select_isa(best)
            for name, (isa, heads, dtype) in cases.items():
                share = operations(kind, width, count, heads) / times[name] * times[dtype] / (2 * size**3)
                row = {"variant": name, "isa": isa, "kind": kind, "width": width, "share_of_sgemm": share}
                results.append(row)
    return results


# Shares of sgemm by width and kind, and speedups; the shares are those of a machine with AVX-512.
SHARES = {
    (64, FORWARD): (0.90, 0.75),
    (64, BOTH): (0.80, 0.60),
    (256, FORWARD): (1.05, 0.95),
    (256, BOTH): (0.85, 0.62),
}
SPEEDUPS = {
    (64, FORWARD, EAGER): 2.0,
    (64, BOTH, EAGER): 2.5,
    (64, BOTH, ADJOINT): 3.0,
    (256, FORWARD, EAGER): 2.0,
    (256, BOTH, EAGER): 1.6,
    (256, BOTH, ADJOINT): 2.4,
}


def targets(results: list[dict], variants: list[dict], count: int) -> list[tuple[str, float, float]]:
    """What is asked of the kernel, measured, and at least how much."""
    rows = []
    share = {(v["variant"], v["width"], v["kind"]): v["share_of_sgemm"] for v in variants}
    for (width, kind), (all_registers, avx2) in SHARES.items():
        for variant, goal in (("one generator", all_registers), ("avx2", avx2)):
            if (variant, width, kind) in share:
                rows.append((f"W={width} {kind}, {variant}: share of sgemm", share[variant, width, kind], goal))
        if ("dense row", width, kind) in share:
            ratio = share["dense row", width, kind] / share["one generator", width, kind]
            rows.append((f"W={width} {kind}: a dense row's share over one generator's", ratio, 1.0))
    for r in results:
        goal = SPEEDUPS.get((r["width"], r["kind"], r["contestant"]))
        if goal is not None:
            rows.append((f"W={r['width']} {r['kind']}: x {r['contestant']}", r["speedup_of_kernel"], goal))
        if r["contestant"] == KERNEL and r["peak_mb"] is not None:
            states = 4 * DIMENSION * count * (STEPS + 1) / 2**20  # and one more array, the end or the gradient
            rows.append((f"W={r['width']} {r['kind']}: states + 8 MB over peak", (states + 8) / r["peak_mb"], 1.0))
    return rows


def growth(width: int, counts: list[int], rounds: int) -> list[dict]:
    """The kernel's time per point for more and more points."""
    results = []
    for count in counts:
        times = common.medians({kind: runner(KERNEL, kind, width, count) for kind in (FORWARD, BOTH)}, rounds)
        results.append({"points": count, **{kind: times[kind] / count for kind in times}})
    return results


def main() -> None:
    if what := common.child():
        contestant, kind, width, count = what[0], what[1], int(what[2]), int(what[3])
        common.print_peak(runner(contestant, kind, width, 64), lambda: runner(contestant, kind, width, count))
        return
    arguments = common.options(__doc__, "fewer points, widths and rounds").parse_args()
    widths, count, rounds = ([64], 4_096, 3) if arguments.quick else ([64, 256], 4_096, 5)
    counts = [256, 1_024, 4_096] if arguments.quick else [64, 256, 1_024, 4_096, 16_384]

    print(json.dumps(common.machine()))
    for width in widths:
        check(width)
    results = contest(widths, count, rounds)
    common.print_contest(results, ("contestant", "width", "kind"), "sgemm")
    others = variants(widths, count, rounds)
    print()
    common.print_table(
        ("kernel", "registers", "width", "kind", "% of sgemm"),
        [(v["variant"], v["isa"], v["width"], v["kind"], f"{100 * v['share_of_sgemm']:.0f}") for v in others],
    )
    grown = growth(64, counts, rounds)
    print()
    common.print_table(
        ("points, width 64", "forward ns per point", "with backward"),
        [(g["points"], *(f"{1e9 * g[kind]:.0f}" for kind in (FORWARD, BOTH))) for g in grown],
    )
    print()
    checked = common.print_targets(targets(results, others, count))
    content = {"contest": results, "variants": others, "growth": grown, "targets": checked}
    common.write_results("flow", content, arguments.out)


if __name__ == "__main__":
    main()
