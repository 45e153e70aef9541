"""Is this installation right, and how fast: every kernel beside its reference, and beside what the machine does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from symflow._version import __version__
from symflow.console import Told
from symflow.fields import Coordinates, Field, GridField, NeuralField, Series, total_degree
from symflow.formulas import text_table
from symflow.ops import (
    _ext,
    flow,
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
    warp,
    warp_ref,
)

LIMITS = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Of the difference from the reference in float64, relative to its size: a hundred roundings and more, and far below
what a wrong kernel leaves."""
WIDTH, HEAD_WIDTH, STEPS, ORDER = 64, 32, 8, 3
SIDE = 2_048  # of the matrices of sgemm
COPIED = 1 << 26  # bytes of the copy: no cache holds them
ROUNDS = 5

Call = Callable[[], Tensor]


@dataclass(frozen=True)
class Kernel:
    """What was seen of one kernel.

    Attributes:
        name: of the operation.
        single, double: difference from the reference in float64, in the norm, relative to it, of the kernel in float32
            and in float64; ``None`` where it takes no such numbers.
        right: whether both are within `LIMITS`.
        seconds: of a call in float32, or in float64 where it takes nothing else.
        bound: "sgemm" or "copy", what its time is set beside.
        share: of the rate of that; what is useful is counted: multiplications, or bytes that must be read and written.
    """

    name: str
    single: float | None
    double: float | None
    right: bool
    seconds: float
    bound: str
    share: float


@dataclass(frozen=True)
class Checkup:
    """What `check` found.

    Attributes:
        version: of symflow.
        torch: its version.
        threads: that torch uses.
        build: how the kernels were compiled, and what of it runs here.
        sgemm: operations a second in a product of float32 matrices.
        copy: bytes a second, read and written, in a copy of memory.
        kernels: one for each operation.
    """

    version: str
    torch: str
    threads: int
    build: dict[str, Any]
    sgemm: float
    copy: float
    kernels: Sequence[Kernel]

    @property
    def right(self) -> bool:
        """Whether every kernel agrees with its reference."""
        return all(k.right for k in self.kernels)

    def to_dict(self) -> dict[str, Any]:
        """What ``symflow doctor --json`` prints."""
        return asdict(self) | {"right": self.right}

    def __str__(self) -> str:
        head = [f"symflow {self.version}, torch {self.torch}, {self.threads} threads"]
        head += [f"{name}: {value}" for name, value in self.build.items()]
        head += ["", f"this machine: sgemm {self.sgemm / 1e9:.0f} GFLOP/s, copy {self.copy / 1e9:.1f} GB/s"]
        rows = [
            [k.name, _figure(k.single), _figure(k.double), "right" if k.right else "WRONG"]
            + [f"{1e3 * k.seconds:.2f} ms", f"{k.share:.0%} of {k.bound}"]
            for k in self.kernels
        ]
        columns = ["kernel", ">float32", ">float64", "", ">time", ">rate"]
        end = "every kernel agrees with its reference in float64"
        return "\n".join([*head, text_table(columns, rows), end if self.right else "a kernel is WRONG"])


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.0e}"


@dataclass(frozen=True)
class _Trial:
    """An operation and its reference on the same numbers, of which a call of given size takes so much work."""

    name: str
    make: Callable[[torch.dtype, int], tuple[Call, Call]]  # (dtype, size) to kernel and reference
    sizes: tuple[int, int, int]  # compared, timed, and timed in full
    work: Callable[[int], float]  # operations, or bytes in float32
    bound: str
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)


def check(full: bool = False, told: Told = lambda job, done, note: None) -> Checkup:
    """Compares every kernel with its reference, and times it.

    Numbers are drawn from a fixed seed. Times are medians of calls that take turns with a product of matrices and a
    copy of memory, so that another load on the machine meets all of them; without gradients.

    Args:
        full: larger problems, which take about a second each.
        told: is given a name, the share that is done, and a note.

    >>> found = check()
    >>> found.right, [k.name for k in found.kernels][:2]
    (True, ['flow of a network', 'flow of a table'])
    """
    with torch.no_grad():
        differences = {}
        for i, trial in enumerate(TRIALS):
            told("kernels beside their references", i / len(TRIALS), trial.name)
            differences[trial.name] = {dtype: _difference(trial, dtype) for dtype in trial.dtypes}
        told("kernels beside their references", 1.0, "done")
        calls = {t.name: t.make(t.dtypes[0], t.sizes[1 + full])[0] for t in TRIALS}
        a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
        source, target = torch.zeros(COPIED // 4), torch.zeros(COPIED // 4)
        machine: dict[str, Call] = {"sgemm": lambda: a @ b, "copy": lambda: target.copy_(source)}
        seconds = _medians(machine | calls, told)
    rates = {"sgemm": 2 * SIDE**3 / seconds["sgemm"], "copy": 2 * COPIED / seconds["copy"]}
    kernels = []
    for t in TRIALS:
        found = differences[t.name]
        size = t.sizes[1 + full]
        work = t.work(size) * (t.dtypes[0].itemsize / 4 if t.bound == "copy" else 1)
        kernels.append(
            Kernel(
                t.name,
                found.get(torch.float32),
                found.get(torch.float64),
                all(value <= LIMITS[dtype] for dtype, value in found.items()),
                seconds[t.name],
                t.bound,
                work / seconds[t.name] / rates[t.bound],
            )
        )
    threads = torch.get_num_threads()
    return Checkup(__version__, torch.__version__, threads, _ext.build_info(), rates["sgemm"], rates["copy"], kernels)


def _difference(trial: _Trial, dtype: torch.dtype) -> float:
    found = trial.make(dtype, trial.sizes[0])[0]().double()
    exact = trial.make(torch.float64, trial.sizes[0])[1]()
    return float((found - exact).norm() / exact.norm())


def _medians(calls: dict[str, Call], told: Told) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(ROUNDS + 1):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            if i:  # the first warms up
                times[name].append(time.perf_counter() - begun)
        told("times", (i + 1) / (ROUNDS + 1), "")
    return {name: statistics.median(t) for name, t in times.items()}


# ---- the operations -------------------------------------------------------------------------------------------------

SPACE = Coordinates(("x", "t", "u"), periods=(1.0, None, None))
PLANE = Coordinates(("x", "y"))
PERIOD, TIMES, COLUMNS = 128.0, (44.0, 100.0), 256


def _drawn(*shape: int, dtype: torch.dtype) -> Tensor:
    """Numbers that are the same in both precisions, up to rounding."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(dtype)


def _network(dtype: torch.dtype) -> NeuralField:
    return NeuralField(SPACE, 1, width=WIDTH, head_width=HEAD_WIDTH).to(dtype)


def _table(dtype: torch.dtype) -> GridField:
    return GridField(PLANE, 0.3 * _drawn(2, 16, 16, 2, dtype=dtype), (-2.0, -2.0), (2.0, 2.0))


def _flow(dtype: torch.dtype, count: int) -> tuple[Call, Call]:
    field, points, weights = _network(dtype), _drawn(1, count, 3, dtype=dtype), torch.ones(1, 1, dtype=dtype)
    return _both(flow, flow_ref, field, points, weights)


def _grid_flow(dtype: torch.dtype, count: int) -> tuple[Call, Call]:
    field = _table(dtype)
    points, weights = 0.5 * _drawn(1, count, 2, dtype=dtype), torch.full((1, 2), 0.2, dtype=dtype)
    return _both(flow, grid_flow_ref, field, points, weights)


def _both(
    kernel: Callable[..., Tensor], reference: Callable[..., Tensor], field: Field, *rest: Tensor
) -> tuple[Call, Call]:
    return lambda: kernel(field, *rest, steps=STEPS), lambda: reference(field, *rest, STEPS)


def _jet_flow(dtype: torch.dtype, count: int) -> tuple[Call, Call]:
    truncation = total_degree(ORDER)
    sizes = torch.tensor([0.3 ** sum(m) for m in truncation.monomials], dtype=dtype)
    drawn = _drawn(len(truncation), 1, count, 3, dtype=dtype) * sizes[:, None, None, None]
    field, surface, weights = _network(dtype), Series(truncation, drawn), torch.ones(1, 1, dtype=dtype)
    return (
        lambda: jet_flow(field, surface, weights, steps=STEPS).coefficients,
        lambda: jet_flow_ref(field, surface, weights, STEPS).coefficients,
    )


def _warp(dtype: torch.dtype, count: int) -> tuple[Call, Call]:
    images = _drawn(count, 3, 32, 32, dtype=dtype)
    line = torch.linspace(-1, 1, 32, dtype=torch.float64)
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    turns = torch.linspace(-0.3, 0.3, 10, dtype=torch.float64)
    grids = torch.stack(
        [pixels @ torch.tensor([[1.0, float(a)], [-float(a), 1.0]], dtype=torch.float64) for a in turns]
    )
    grids = grids.to(dtype)
    return lambda: warp(images, grids), lambda: warp_ref(images, grids[None])


def _flow_warp(dtype: torch.dtype, count: int) -> tuple[Call, Call]:
    images, weights, field = _drawn(count, 3, 32, 32, dtype=dtype), _drawn(4, 2, dtype=dtype) * 0.1, _table(dtype)
    return (
        lambda: flow_warp(field, images, weights, steps=STEPS),
        lambda: flow_warp_ref(field, images, weights[None], STEPS),
    )


def _moved_rows(rows: int) -> Tensor:
    """Rows ``[1, T, X, 3]`` moved by a boost, in float64: the inverse map takes nothing else."""
    t = torch.linspace(*TIMES, rows, dtype=torch.float64)[:, None].expand(rows, COLUMNS)
    x = torch.arange(COLUMNS, dtype=torch.float64).expand(rows, COLUMNS) * (PERIOD / COLUMNS)
    u = torch.sin(2 * torch.pi * x / PERIOD - 0.1 * t)
    return torch.stack([x + 0.05 * t, t + 0.01 * torch.sin(2 * torch.pi * x / PERIOD), u + 0.05], -1)[None]


def _scatter(dtype: torch.dtype, rows: int) -> tuple[Call, Call]:
    points = _moved_rows(rows).to(dtype)
    return (
        lambda: scatter(points.flatten(1, 2), (rows, COLUMNS), period=PERIOD, times=TIMES)[0],
        lambda: scatter_ref(points.flatten(1, 2), (rows, COLUMNS), PERIOD, TIMES)[0],
    )


def _resample(dtype: torch.dtype, rows: int) -> tuple[Call, Call]:
    points = _moved_rows(rows).to(dtype)
    return (
        lambda: resample(points, period=PERIOD, times=TIMES)[0],
        lambda: resample_ref(points, PERIOD, TIMES)[0],
    )


_LINE = 2 * (4 * WIDTH + WIDTH**2 + WIDTH * HEAD_WIDTH + HEAD_WIDTH * 3) * 4 * STEPS  # operations of a point's flow
TRIALS = (
    _Trial("flow of a network", _flow, (500, 10_000, 200_000), lambda n: _LINE * n, "sgemm"),
    _Trial("flow of a table", _grid_flow, (500, 100_000, 1_000_000), lambda n: 4 * 2 * 2 * n, "copy"),
    _Trial("flow of jets", _jet_flow, (50, 1_000, 20_000), lambda n: _LINE * len(total_degree(ORDER)) * n, "sgemm"),
    _Trial("warp", _warp, (4, 64, 1_024), lambda n: 4 * 3 * 1024 * 11 * n, "copy"),
    _Trial("flow and warp", _flow_warp, (4, 64, 1_024), lambda n: 4 * 3 * 1024 * 5 * n, "copy"),
    _Trial("resample by scattering", _scatter, (16, 140, 560), lambda n: 4 * 4 * COLUMNS * n, "copy", (torch.float64,)),
    _Trial(
        "resample by the inverse map",
        _resample,
        (16, 140, 560),
        lambda n: 4 * 4 * COLUMNS * n,
        "copy",
        (torch.float64,),
    ),
)
