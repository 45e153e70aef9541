"""On a GPU: every kernel against plain torch, the flow of a network against torch.compile and torchdiffeq too,
and warp against a copy.

    python benchmarks/bench_cuda.py [--quick] [--only flow|warp|kernels] [--device cuda|cpu] [--out FILE.json]

TF32 is allowed for all. The flow has width 256, one head of 32 units, three coordinates of which one is periodic, 10
Runge-Kutta steps and 65,536 points; gradients are those of points, weights and all parameters. Times are medians over
rounds in which every contestant runs once in turn, measured by events of the GPU. Peak memory is what torch's allocator
held at most beyond what it held before the call. Useful work is counted as in bench_flow.py. warp samples 512 images of
3 x 224 x 224 at one grid of their size; what it must move at least is the images, the grid and the result, and that is
given as a share of the rate at which the GPU copies 1 GiB in the same rounds. The other kernels run beside their plain
references. On the CPU it is a rehearsal: that all runs and is right, not how fast.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import torch
from _common import (
    BOTH,
    FORWARD,
    Call,
    machine,
    medians,
    options,
    print_table,
    print_targets,
    wall_seconds,
    work,
    write_results,
)
from bench_flow import adjoint
from torch import Tensor, nn

import symflow
from symflow import Coordinates, GridField, NeuralField, flow
from symflow.fields import Series, total_degree
from symflow.ops import (
    _ext,
    flow_ref,
    flow_warp,
    flow_warp_ref,
    grid_flow_ref,
    jet_flow,
    jet_flow_ref,
    resample,
    resample_ref,
    scatter,
    scatter_ref,
)

COORDINATES = Coordinates(("x", "t", "u"), periods=(1.0, None, None))
WIDTH, HEAD_WIDTH, DIMENSION, EMBEDDING, STEPS = 256, 32, 3, 4, 10
KERNEL, EAGER, COMPILED, ADJOINT = "kernel", "eager torch", "torch.compile", "torchdiffeq adjoint"
Flow = Callable[[NeuralField, Tensor, Tensor], Tensor]
Targets = list[tuple[str, float, float]]
PERIOD, TIMES = 128.0, (0.0, 10.0)


class where:
    device = torch.device("cuda")


def flows() -> dict[str, Flow]:
    def plain(field: NeuralField, points: Tensor, weights: Tensor) -> Tensor:
        return flow_ref(field, points, weights, STEPS)

    return {
        KERNEL: lambda field, points, weights: flow(field, points, weights, steps=STEPS),
        EAGER: plain,
        COMPILED: torch.compile(plain),
        ADJOINT: lambda field, points, weights: adjoint(field, points, weights, STEPS),
    }


def problem(count: int, dtype: torch.dtype = torch.float32) -> tuple[NeuralField, Tensor, Tensor]:
    device = where.device
    field = NeuralField(COORDINATES, 1, width=WIDTH, head_width=HEAD_WIDTH).to(device, dtype)
    points = random(1, count, DIMENSION, dtype=dtype)
    return field, points.requires_grad_(), torch.ones(1, 1, device=where.device, dtype=dtype, requires_grad=True)


def random(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """The same numbers on any device."""
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(where.device, dtype)


def runner(call: Flow, kind: str, count: int) -> Call:
    """A call without arguments that does the work once."""
    field, points, weights = problem(count)
    wanted = [points, weights, *field.parameters()]
    return work(kind, lambda: call(field, points, weights), wanted, torch.ones_like(points))


def operations(kind: str, count: int) -> float:
    per_evaluation = 2 * (EMBEDDING * WIDTH + WIDTH**2 + WIDTH * HEAD_WIDTH + HEAD_WIDTH * DIMENSION)
    return per_evaluation * 4 * STEPS * count * (1 if kind == FORWARD else 3)


def errors(call: Flow) -> list[float]:
    """Of end points and all gradients, relative to plain torch in float64."""
    results = []
    for run, dtype in ((call, torch.float32), (flows()[EAGER], torch.float64)):
        field, points, weights = problem(1_000, dtype)
        end = run(field, points, weights)
        direction = random(*end.shape, dtype=dtype, seed=1)
        results.append([end, *torch.autograd.grad(end, [points, weights, *field.layers], direction)])
    return [float((a - b).detach().norm() / b.detach().norm()) for a, b in zip(*results, strict=True)]


def check() -> dict[str, float]:
    """Before any timing: values and gradients are those of plain torch in float64, with and without TF32."""
    worst = {}
    for name, tf32, bound in (("float32", False, 2e-6), ("tf32", True, 2e-3)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        worst[name] = max(errors(flows()[KERNEL]))
        if not worst[name] < bound:
            raise SystemExit(f"{name}: an output is off by {worst[name]:.2g} of its size; nothing is timed")
    return worst


def milliseconds_of(call: Call) -> float:
    if where.device.type == "cpu":
        return 1e3 * wall_seconds(call)
    torch.cuda.synchronize()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def milliseconds(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    return medians(calls, rounds, milliseconds_of, warm_up=2)  # the first rounds compile


def peak_megabytes(call: Call) -> float:
    if where.device.type == "cpu":
        return math.nan
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = call()
    torch.cuda.synchronize()
    del result
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def bench_flow(count: int, rounds: int) -> tuple[dict, Targets]:
    accuracy = check()
    torch.backends.cuda.matmul.allow_tf32 = True
    results = []
    for kind in (FORWARD, BOTH):
        calls = {name: runner(call, kind, count) for name, call in flows().items()}
        times = milliseconds(calls, rounds)
        torch.backends.cuda.matmul.allow_tf32 = False
        times["kernel, float32"] = milliseconds({KERNEL: calls[KERNEL]}, rounds)[KERNEL]
        torch.backends.cuda.matmul.allow_tf32 = True
        calls["kernel, float32"] = calls[KERNEL]
        for name, call in calls.items():
            results.append(
                {
                    "contestant": name,
                    "kind": kind,
                    "points": count,
                    "milliseconds": times[name],
                    "teraflops": operations(kind, count) / times[name] / 1e9,
                    "speedup_of_kernel": times[name] / times[KERNEL],
                    "peak_mb": peak_megabytes(call),
                }
            )
    print_table(
        ("contestant", "kind", "ms", "useful TFLOP/s", "kernel is faster", "peak MB"),
        [
            (
                r["contestant"],
                r["kind"],
                f"{r['milliseconds']:.2f}",
                f"{r['teraflops']:.1f}",
                "" if r["contestant"] == KERNEL else f"{r['speedup_of_kernel']:.1f}x",
                f"{r['peak_mb']:.0f}",
            )
            for r in results
        ],
    )
    both = {r["contestant"]: r for r in results if r["kind"] == BOTH}
    targets = [
        ("flow forward + backward, times torchdiffeq adjoint", both[ADJOINT]["speedup_of_kernel"], 5.0),
        ("flow forward + backward, times torch.compile", both[COMPILED]["speedup_of_kernel"], 2.0),
        ("peak memory of eager autograd over the kernel's", both[EAGER]["peak_mb"] / both[KERNEL]["peak_mb"], 20.0),
    ]
    return {"accuracy": accuracy, "contest": results}, targets


def bench_warp(batch: int, rounds: int) -> tuple[dict, Targets]:
    images = random(batch, 3, 224, 224)
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, 224, device=where.device)] * 2, indexing="ij")
    grid = torch.stack([columns * 0.9 + 0.1 * rows, rows * 0.9 - 0.1 * columns], -1)[None]
    expected = nn.functional.grid_sample(images[:2], grid.expand(2, -1, -1, -1), align_corners=True)
    error = float((symflow.warp(images[:2], grid)[:, 0] - expected).abs().max())
    if not error < 1e-4:
        raise SystemExit(f"warp is off by {error:.2g} from grid_sample; nothing is timed")
    source = torch.empty(2**28 if images.is_cuda else 2**24, device=where.device)
    target = torch.empty_like(source)
    times = milliseconds(
        {
            "warp": lambda: symflow.warp(images, grid),
            "grid_sample": lambda: nn.functional.grid_sample(
                images, grid.expand(batch, -1, -1, -1), align_corners=True
            ),
            "copy": lambda: target.copy_(source),
        },
        rounds,
    )
    copied = 2 * source.numel() * 4 / times["copy"] / 1e6
    moved = (2 * images.numel() + grid.numel()) * 4
    rates = {name: moved / times[name] / 1e6 for name in ("warp", "grid_sample")}
    print_table(
        ("contestant", "ms", "GB/s", "% of copy"),
        [
            *((name, f"{times[name]:.3f}", f"{r:.0f}", f"{100 * r / copied:.0f}") for name, r in rates.items()),
            ("copy", f"{times['copy']:.3f}", f"{copied:.0f}", "100"),
        ],
    )
    content = {"images": list(images.shape), "milliseconds": times, "gigabytes_per_second": {**rates, "copy": copied}}
    return content, [("warp, share of the copy bandwidth", rates["warp"] / copied, 0.8)]


def others(size: int) -> dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Tensor]]:
    """The kernels that have no contest of their own: each, plain torch in its place, and the tensor that both take."""
    plane = Coordinates(("x", "y"))
    device = where.device
    table = GridField.tabulate(
        NeuralField(plane, 6, width=64, head_width=HEAD_WIDTH), (32, 32), (-1.0, -1.0), (1.0, 1.0)
    )
    table, small = (
        table.to(device),
        NeuralField(COORDINATES, 1, width=64, head_width=HEAD_WIDTH).to(device, torch.float64),
    )
    weights, one = 0.2 * random(size, 6), torch.ones(1, 1, dtype=torch.float64, device=device)
    truncation = total_degree(3)

    def jets(call: Callable[..., Series], **steps: int) -> Callable[[Tensor], Tensor]:
        return lambda c: call(small, Series(truncation, c), one, **steps).coefficients

    shape = (64, 256) if size > 16 else (16, 64)
    t, x = torch.meshgrid(
        torch.linspace(*TIMES, shape[0], dtype=torch.float64),
        torch.arange(shape[1], dtype=torch.float64) * (PERIOD / shape[1]),
        indexing="ij",
    )
    moved = torch.stack([x + 0.4 * t, t + 0.3, torch.sin(x / PERIOD * 12.0)], -1).to(device)
    moved = moved.expand(max(size // 16, 1), *shape, 3)
    images = random(size, 3, 32, 32)
    return {
        "flow of a table": (
            lambda z: flow(table, z, weights, steps=4),
            lambda z: grid_flow_ref(table, z, weights, 4),
            random(size, 1024, 2).clamp(-1, 1),
        ),
        "jet_flow": (
            jets(jet_flow, steps=STEPS),
            jets(lambda field, surface, w, steps: jet_flow_ref(field, surface, w, steps), steps=STEPS),
            0.1 * random(len(truncation), 1, 32 * size, DIMENSION, dtype=torch.float64),
        ),
        "resample": (
            lambda p: resample(p, period=PERIOD, times=TIMES)[0],
            lambda p: resample_ref(p, PERIOD, TIMES)[0],
            moved.contiguous(),
        ),
        "scatter": (
            lambda p: scatter(p.flatten(1, 2), shape, period=PERIOD, times=TIMES)[0],
            lambda p: scatter_ref(p.flatten(1, 2), shape, PERIOD, TIMES)[0],
            moved.contiguous(),
        ),
        "flow_warp": (
            lambda i: flow_warp(table, i, weights[:, None], steps=4),
            lambda i: flow_warp_ref(table, i, weights[:, None], 4),
            images,
        ),
    }


def bench_others(size: int, rounds: int) -> tuple[dict, Targets]:
    results: list[dict] = []
    targets: Targets = []
    for name, (kernel, eager, inputs) in others(size).items():
        with torch.no_grad():
            found, expected = kernel(inputs), eager(inputs)
        error = float((found - expected).norm() / expected.norm())
        if not error < 1e-4:
            raise SystemExit(f"{name} is off by {error:.2g} from plain torch; nothing is timed")
        for kind in (FORWARD, BOTH):
            wanted = inputs.clone().requires_grad_()
            direction = torch.ones_like(kernel(wanted).detach())
            calls = {
                KERNEL: work(kind, lambda call=kernel, z=wanted: call(z), [wanted], direction),
                EAGER: work(kind, lambda call=eager, z=wanted: call(z), [wanted], direction),
            }
            times = milliseconds(calls, rounds)
            speedup = times[EAGER] / times[KERNEL]
            peaks = {which: peak_megabytes(call) for which, call in calls.items()}
            results.append(
                {
                    "kernel": name,
                    "kind": kind,
                    "error": error,
                    "milliseconds": times,
                    "speedup": speedup,
                    "peak_mb": peaks,
                }
            )
            targets.append((f"{name}, {kind}: times plain torch", speedup, 1.0))
    print_table(
        ("kernel", "kind", "ms", "plain torch, ms", "kernel is faster"),
        [
            (
                r["kernel"],
                r["kind"],
                f"{r['milliseconds'][KERNEL]:.3f}",
                f"{r['milliseconds'][EAGER]:.3f}",
                f"{r['speedup']:.1f}x",
            )
            for r in results
        ],
    )
    return {"contest": results}, targets


def facts() -> dict:
    if where.device.type == "cpu":
        return machine()
    properties = torch.cuda.get_device_properties(0)
    return {
        **machine(),
        "gpu": properties.name,
        "gpu_memory_gb": round(properties.total_memory / 2**30),
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
        "compiled_for": _ext.build_info()["cuda_architectures"],
    }


def main() -> None:
    parser = options(__doc__, "fewer points, images and rounds")
    parser.add_argument("--only", choices=("flow", "warp", "kernels"), help="one of the three")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("bench_cuda.py needs a GPU; torch finds none")
    if arguments.device == "cuda" and not _ext.cuda:
        raise SystemExit("symflow was built without its CUDA kernels; SYMFLOW_CUDA=1 pip install ... builds them")
    where.device = torch.device(arguments.device)
    machine_facts = facts()
    print(json.dumps(machine_facts))
    content: dict = {"machine": machine_facts}
    targets: Targets = []
    benches = {
        "flow": lambda: bench_flow(*(8_192, 3) if arguments.quick else (65_536, 10)),
        "warp": lambda: bench_warp(*(64, 5) if arguments.quick else (512, 20)),
        "kernels": lambda: bench_others(*(4, 3) if arguments.quick else (128, 10)),
    }
    for name, bench in benches.items():
        if arguments.only in (None, name):
            content[name], more = bench()
            targets += more
            print()
    content["targets"] = print_targets(targets)
    write_results("cuda", content, arguments.out)


if __name__ == "__main__":
    main()
