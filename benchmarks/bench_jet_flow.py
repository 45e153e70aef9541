"""The flow of jets: compiled kernels and plain torch, and what they do for the score of moved surfaces.

    python benchmarks/bench_jet_flow.py [--quick] [--out FILE.json]

N surfaces in three dimensions (one periodic) with C coefficients, those of KdV (total degree 3, C = 10) and of
Kuramoto-Sivashinsky (4, C = 15), 8 Runge-Kutta steps, one generator, head width 32, float32. Times are medians over
rounds that run every contestant in turn. Useful work is that of the affine layers, ``2 C (e W + W^2 + W H + H d)``
operations per point and evaluation, three times that with the backward pass, as a share of what torch's sgemm of
2048 x 2048 matrices does in the same rounds; the products of series come on top. Peak memory beyond the inputs is that
of a process of its own. Gradients are those of surfaces, weights and all parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import _common as common
import torch
from _common import BOTH, FORWARD, Call
from torch import Tensor

from symflow import Coordinates, NeuralField, jet_flow
from symflow.fields.series import Series, total_degree
from symflow.ops import jet_flow_ref
from symflow.pde import CATALOGUE, JetScore
from symflow.pde.equations.manifold import Manifold
from symflow.pde.scores import jets as scores

COORDINATES = Coordinates(("x", "t", "u"), periods=(1.0, None, None))
STEPS, HEAD_WIDTH, DIMENSION, EMBEDDING = 8, 32, 3, 4
KERNEL, EAGER = "kernel", "eager torch"
ORDERS = {"kdv": 3, "ks": 4}
SPEEDUPS = {(BOTH, 64): 2.5, (BOTH, 256): 1.8, (FORWARD, 64): 2.0, (FORWARD, 256): 2.0}

FLOWS: dict[str, Callable[[NeuralField, Series, Tensor], Series]] = {
    KERNEL: lambda field, surface, weights: jet_flow(field, surface, weights, steps=STEPS),
    EAGER: lambda field, surface, weights: jet_flow_ref(field, surface, weights, STEPS),
}


def problem(order: int, width: int, count: int) -> tuple[NeuralField, Series, Tensor]:
    truncation = total_degree(order)
    field = NeuralField(COORDINATES, 1, width=width, head_width=HEAD_WIDTH)
    sizes = torch.tensor([0.3 ** sum(m) for m in truncation.monomials])
    rng = torch.Generator().manual_seed(0)
    coefficients = torch.randn(len(truncation), 1, count, DIMENSION, generator=rng) * sizes[:, None, None, None]
    return field, Series(truncation, coefficients.requires_grad_()), torch.ones(1, 1, requires_grad=True)


def runner(contestant: str, kind: str, order: int, width: int, count: int) -> Call:
    """A call without arguments that does the work once."""
    field, surface, weights = problem(order, width, count)
    wanted = [surface.coefficients, weights, *field.parameters()]
    direction = torch.ones_like(surface.coefficients)
    return common.work(kind, lambda: FLOWS[contestant](field, surface, weights).coefficients, wanted, direction)


def operations(kind: str, order: int, width: int, count: int) -> float:
    per_line = 2 * (EMBEDDING * width + width**2 + width * HEAD_WIDTH + HEAD_WIDTH * DIMENSION)
    return per_line * len(total_degree(order)) * 4 * STEPS * count * (1 if kind == FORWARD else 3)


def check(order: int, width: int) -> None:
    """Before any timing: the kernel's values and gradients are those of plain torch in float64."""
    field, surface, weights = problem(order, width, 50)
    exact = NeuralField(COORDINATES, 1, width=width, head_width=HEAD_WIDTH).double()
    s = Series(surface.truncation, surface.coefficients.detach().double().requires_grad_())
    w = weights.detach().double().requires_grad_()

    def all_of(call: Callable, field: NeuralField, surface: Series, weights: Tensor) -> list[Tensor]:
        end = call(field, surface, weights).coefficients
        direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(1)).to(end.dtype)
        return [end, *torch.autograd.grad(end, [surface.coefficients, weights, *field.layers], direction)]

    pairs = zip(all_of(FLOWS[KERNEL], field, surface, weights), all_of(FLOWS[EAGER], exact, s, w), strict=True)
    for i, (found, expected) in enumerate(pairs):
        error = float((found - expected).detach().norm() / expected.detach().norm())
        if not error < 2e-6:
            raise SystemExit(f"order {order}, width {width}: output {i} is off by {error:.2g} of its size")


def contest(orders: dict[str, int], widths: list[int], count: int, rounds: int) -> list[dict]:
    """Both contestants for every equation and width, forward and with the backward pass."""
    results = []
    for equation, order in orders.items():
        for width in widths:
            for kind in (FORWARD, BOTH):
                size = 2048
                runs = {name: runner(name, kind, order, width, count) for name in FLOWS}
                times = common.medians({"sgemm": common.sgemm(size), **runs}, rounds)
                rate = 2 * size**3 / times["sgemm"]
                for name in FLOWS:
                    results.append(
                        {
                            "contestant": name,
                            "equation": equation,
                            "coefficients": len(total_degree(order)),
                            "kind": kind,
                            "width": width,
                            "points": count,
                            "seconds": times[name],
                            "share_of_sgemm": operations(kind, order, width, count) / times[name] / rate,
                            "sgemm_gflops": rate / 1e9,
                            "speedup_of_kernel": times[name] / times[KERNEL],
                            "peak_mb": common.peak_megabytes(name, kind, order, width, count),
                        }
                    )
    return results


def growth(width: int, counts: list[int], rounds: int) -> list[dict]:
    """The kernel's time per point of KdV for more and more points."""
    results = []
    for count in counts:
        times = common.medians({kind: runner(KERNEL, kind, 3, width, count) for kind in (FORWARD, BOTH)}, rounds)
        results.append({"points": count, **{kind: times[kind] / count for kind in times}})
    return results


def score_of_networks(rounds: int) -> list[dict]:
    """The finite-flow score of four learned fields, float64, on 512 points, by the kernels and by plain torch."""
    results = []
    for name in ORDERS:
        equation = CATALOGUE[name].equation
        score = JetScore(equation, COORDINATES, Manifold(equation).sample(512, seed=0))
        field = NeuralField(COORDINATES, 4).double()

        def run(call: Callable, score: JetScore = score, field: NeuralField = field) -> Tensor:
            kept, scores.jet_flow = scores.jet_flow, call
            try:
                with torch.no_grad():
                    return score(field)
            finally:
                scores.jet_flow = kept

        def plain(field: NeuralField, surface: Series, weights: Tensor, *, steps: int) -> Series:
            return jet_flow_ref(field, surface, weights, steps)

        found, expected = run(jet_flow), run(plain)
        if not torch.allclose(found, expected, rtol=1e-9):
            raise SystemExit(f"{name}: the scores are {found.tolist()} and {expected.tolist()}")
        calls = {KERNEL: lambda run=run: run(jet_flow), EAGER: lambda run=run, plain=plain: run(plain)}
        results.append({"equation": name, **common.medians(calls, rounds)})
    return results


def main() -> None:
    if what := common.child():
        contestant, kind, (order, width, count) = what[0], what[1], map(int, what[2:])
        common.print_peak(
            runner(contestant, kind, order, width, 16), lambda: runner(contestant, kind, order, width, count)
        )
        return
    arguments = common.options(__doc__, "fewer points, equations, widths and rounds").parse_args()
    orders, widths, count, rounds = ({"kdv": 3}, [64], 512, 3) if arguments.quick else (ORDERS, [64, 256], 512, 3)
    counts = [64, 512] if arguments.quick else [16, 64, 256, 1_024]

    print(json.dumps(common.machine()))
    for order in orders.values():
        for width in widths:
            check(order, width)
    results = contest(orders, widths, count, rounds)
    common.print_contest(results, ("contestant", "coefficients", "width", "kind"), "sgemm")
    print()
    targets = common.print_targets(
        [
            (
                f"{r['equation']}, width {r['width']}, {r['kind']}: times eager torch",
                r["speedup_of_kernel"],
                SPEEDUPS[r["kind"], r["width"]],
            )
            for r in results
            if r["contestant"] == EAGER
        ]
    )
    grown = growth(64, counts, rounds)
    print()
    common.print_table(
        ("points, kdv, width 64", "forward us per point", "with backward"),
        [(g["points"], *(f"{1e6 * g[kind]:.2f}" for kind in (FORWARD, BOTH))) for g in grown],
    )
    scored = score_of_networks(rounds)
    print()
    common.print_table(
        ("score of 4 networks, 512 points", "kernel ms", "eager ms", "times faster"),
        [
            (s["equation"], f"{1e3 * s[KERNEL]:.0f}", f"{1e3 * s[EAGER]:.0f}", f"{s[EAGER] / s[KERNEL]:.1f}")
            for s in scored
        ],
    )
    content = {"contest": results, "targets": targets, "growth": grown, "score": scored}
    common.write_results("jet_flow", content, arguments.out)


if __name__ == "__main__":
    main()
