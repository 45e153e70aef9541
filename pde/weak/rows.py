"""The weak form of data on any axes: terms against tensor products of bumps, with the noise and every half grid.

For a test function ``psi = prod_a b((x_a - c_a)/h_a)``, ``b(s) = (1 - s^2)^10``, a term ``sum_k D^k f_k``, k a
multi-index over the axes, has the entry ``sum_k (-1)^|k| <f_k, D^k psi>``: no derivative of the data is taken where all
can be moved (`parts`). Time is an axis like the others. Periodic axes wrap; on open ones the supports lie inside; the
nodes may be anywhere (`axes`).

Along every axis the sum is also taken over every second node, with weights of its own. What changes then, on all axes
at once, is the noise and nothing else, u being smooth; on one axis alone, it is the error that a grid twice as coarse
would make.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.runs import available, together

from .axes import OVERLAP, TestFunctions, centres, offsets
from .parts import Parts
from .samples import Samples
from .smoothing import SIGNAL
from .white import white_noise

ALONE = math.sqrt(math.pi / 10)  # half-widths
FEW = 10.0  # independent test functions: the noise that they measure is off by a sixth and more
LARGE = 1_000_000  # values: trajectories that hold more are shared among the processors

HalfWidths = tuple[int, ...]
"""Half-widths in steps, one for each axis."""


@dataclass(frozen=True)
class WeakRows:
    """Rows of all test functions, ``[S, c_1, ..., c_d, columns]``, 0 where a support meets missing values.

    Attributes:
        plain: on the full grid.
        noise: what changes on every second node of all axes at once: the noise alone, of the same size as in `plain`.
        change: for each axis, plain less the rows of every second node of it.
        valid: ``[S, c_1, ..., c_d]``, supports that meet no missing value.
        centres: of the test functions, physical, for each axis.
        sigma: ``[S, unknowns]``, standard deviations of the noise.
        widths: half-widths in steps.
        unit: ``[S]``, what the rows of each trajectory are divided by.
    """

    plain: Tensor
    noise: Tensor
    change: tuple[Tensor, ...]
    valid: Tensor
    centres: tuple[Tensor, ...]
    sigma: Tensor
    widths: HalfWidths
    unit: Tensor

    @property
    def independent(self) -> Tensor:
        """``[S]``, the degrees of freedom of the mean square of noise over the valid test functions; 1 at least.

        Bumps d half-widths apart have the correlation ``exp(-5 d^2)``, the integral of whose square is `ALONE`.
        """
        apart = _apart(self.valid.shape[1:])
        share = self.valid.flatten(1).double().mean(1)
        return (share * apart).clamp_min(1.0)

    def of(self, columns: Sequence[int]) -> WeakRows:
        """With some of the columns only."""
        pick = _slice(columns)
        return replace(
            self,
            plain=self.plain[..., pick],
            noise=self.noise[..., pick],
            change=tuple(c[..., pick] for c in self.change),
        )

    def only(self, which: Sequence[int]) -> WeakRows:
        """Of some of the trajectories."""
        pick = _slice(which)
        return replace(
            self,
            plain=self.plain[pick],
            noise=self.noise[pick],
            change=tuple(c[pick] for c in self.change),
            valid=self.valid[pick],
            sigma=self.sigma[pick],
            unit=self.unit[pick],
        )

    def over(self, units: Tensor) -> WeakRows:
        """The rows of each trajectory divided by a unit of its own, ``[S]``."""
        each = units.reshape(-1, *[1] * (self.plain.ndim - 1))
        return replace(
            self,
            plain=self.plain / each,
            noise=self.noise / each,
            change=tuple(c / each for c in self.change),
            unit=self.unit * units,
        )

    def rms(self, rows: Tensor) -> Tensor:
        """The root mean square over the valid test functions of ``[S, c_1, ..., c_d]``, as ``[S]``."""
        count = self.valid.flatten(1).sum(1).clamp_min(1)
        return (rows.square().flatten(1).sum(1) / count).sqrt()


def _apart(places: Sequence[int]) -> float:
    """How many of so many test functions on each axis are independent."""
    return math.prod(max(n / (OVERLAP * ALONE), 1.0) for n in places)


def _slice(numbers: Sequence[int]) -> slice | list[int]:
    """Neighbours as a slice, which is a view: copies of all rows took longer than what was asked of them."""
    found = list(numbers)
    if found and found == list(range(found[0], found[-1] + 1)):
        return slice(found[0], found[-1] + 1)
    return found


def rows_on_axes(samples: Samples, columns: Sequence[Parts], widths: HalfWidths, signal: float = SIGNAL) -> WeakRows:
    """The rows of every test function on the lattice of centres.

    Convention: the rows of a trajectory depend on it alone, bit for bit.

    Args:
        samples: data on axes.
        columns: for each, what `parts.moved` makes of a term.
        widths: half-widths of the test functions in steps of each axis.
        signal: modes above so many times the noise are kept in factors that need derivatives.

    Raises:
        UserError: an axis has too few nodes for the widths.
    """
    return rows_on_ladder(samples, columns, [widths], signal)[0]


def rows_on_ladder(
    samples: Samples,
    columns: Sequence[Parts],
    ladder: Sequence[HalfWidths],
    signal: float = SIGNAL,
    *,
    changes: bool = True,
) -> list[WeakRows]:
    """The same for several widths, the last of which measure the noise; factors are evaluated once for all.

    Without ``changes`` the rows have none, and take half the memory.
    """
    for axis, widths in zip(samples.axes, zip(*ladder, strict=True), strict=True):
        if 2 * max(widths) >= len(axis):
            nodes = 2 * max(widths) + 1
            raise UserError(
                f"test functions of {nodes} nodes need more than the {len(axis)} nodes of the axis {axis.name}"
            )
    processes = min(available(), len(samples)) if samples.values.numel() > LARGE else 1
    ends = [len(samples) * n // processes for n in range(processes + 1)]
    parts = [samples[slice(*some)] for some in pairwise(ends)]
    found = together([partial(_rows, part, columns, ladder, signal, changes) for part in parts])
    return [
        _masked(samples, widths, [torch.cat(some) for some in zip(*rung, strict=True)])
        for widths, rung in zip(ladder, zip(*found, strict=True), strict=True)
    ]


def _masked(samples: Samples, widths: HalfWidths, rows: Sequence[Tensor]) -> WeakRows:
    plain, noise, sigma, *change = rows
    valid = _valid(samples, widths, plain.shape[1:-1])
    if samples.missing is not None:
        plain, noise, *change = (rows * valid[..., None] for rows in (plain, noise, *change))
    return WeakRows(
        plain,
        noise,
        tuple(change),
        valid,
        tuple(centres(axis, width) for axis, width in zip(samples.axes, widths, strict=True)),
        sigma,
        widths,
        torch.ones(len(samples), dtype=torch.float64),
    )


def _rows(
    samples: Samples, columns: Sequence[Parts], ladder: Sequence[HalfWidths], signal: float, changes: bool
) -> list[list[Tensor]]:
    """Plain, noise, sigma and the change on each axis, of all trajectories, for each rung of the ladder."""
    orders = [{0} | {k[i] for parts in columns for k, _ in parts} for i in range(len(samples.axes))]
    functions = [
        {(width, n): TestFunctions.of(axis, width, n) for width in dict.fromkeys(widths) for n in sorted(found)}
        for axis, widths, found in zip(samples.axes, zip(*ladder, strict=True), orders, strict=True)
    ]
    differentiated = any(sum(index) for parts in columns for _, f in parts for _, index in samples.space.indices(f))
    coarse = [samples.every_second(i) if differentiated else None for i in range(len(samples.axes))]
    found: list[list[list[Tensor]]] = [[] for _ in ladder]
    for s in range(len(samples)):
        sigma = _noise(samples, s, [along[width, 0] for along, width in zip(functions, ladder[-1], strict=True)])
        sums = _Sums(samples, coarse, s, sigma, functions, signal, changes)
        for widths, rung in zip(ladder, found, strict=True):
            kept = [sums.column(parts, widths) for parts in columns]
            plain, noise, *change = (torch.stack(some, -1) for some in zip(*kept, strict=True))
            rung.append([plain, noise, sigma, *change])
    return [[torch.stack(some) for some in zip(*rung, strict=True)] for rung in found]


Rung = tuple[int, int]
"""The half-width of test functions on one axis, and the derivative of them."""

Functions = Sequence[Mapping[Rung, TestFunctions]]
"""For each axis."""


def _along(i: int, matrix: Tensor, f: Tensor) -> Tensor:
    """``sum_j M[c, j] f[..., j, ...]``, j in place i."""
    found: Tensor = torch.tensordot(matrix, f, dims=([1], [i])).movedim(0, i)
    return found


def _contract(f: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """``sum_j f[j_1, ..., j_d] M_1[c_1, j_1] ... M_d[c_d, j_d]``."""
    for i, matrix in enumerate(matrices):
        f = _along(i, matrix, f)
    return f


class _Sums:
    """The factors of one trajectory against the test functions; what columns share is made once.

    Factors are few and columns many: ``u``, ``u_x``, ``u_xx`` and ``u_t`` are one factor under four derivatives of the
    test functions, and their sums over the first axis are two.
    """

    def __init__(
        self,
        samples: Samples,
        coarse: Sequence[Samples | None],
        s: int,
        sigma: Tensor,
        functions: Functions,
        signal: float,
        changes: bool,
    ) -> None:
        self.samples, self.coarse, self.functions = samples, coarse, functions
        self.s, self.sigma, self.signal, self.changes = s, sigma, signal, changes
        self.stacked: dict[tuple[sympy.Expr, tuple[Rung, ...]], Tensor] = {}
        self.halved: dict[tuple[sympy.Expr, int, tuple[Rung, ...]], Tensor] = {}

    def column(self, parts: Parts, widths: HalfWidths) -> list[Tensor]:
        """The rows of one column: plain, noise, and the change on each axis where changes are wanted."""
        total: list[Tensor] = []
        for k, whole in parts:
            number, f = whole.as_coeff_Mul()  # u^2/2 and -u^2 are one factor
            which = tuple(zip(widths, k, strict=True))
            rows = self.rows(f, which)
            if self.changes and any(sum(index) for _, index in self.samples.space.indices(f)):
                # the derivatives in f are those of the half grid, too: its error is theirs and that of the sum
                for i, half in enumerate(self.coarse):
                    if half is not None and self.functions[i][which[i]].coarse is not None:
                        rows[2 + i] = rows[0] - self.half(half, f, i, which)
            rows = [float(number) * r for r in rows] if number != 1 else rows
            total = [a + b for a, b in zip(total, rows, strict=True)] if total else rows
        return total

    def rows(self, f: sympy.Expr, which: tuple[Rung, ...]) -> list[Tensor]:
        """Plain, noise and changes of a factor, from one sum with the matrices of plain and change stacked.

        Without changes the last axis, the longest sum, is asked for no more than the two that are wanted.
        """
        chosen = [along[rung] for along, rung in zip(self.functions, which, strict=True)]
        d = len(which)
        rows = self.sums(f, which if self.changes else which[:-1])
        halves = [(slice(c.count), slice(c.count, None)) for c in chosen]

        def part(places: Sequence[int]) -> Tensor:
            if self.changes:
                return rows[tuple(half[p] for half, p in zip(halves, places, strict=True))]
            some = rows[tuple(half[p] for half, p in zip(halves[:-1], places[:-1], strict=True))]
            return _along(d - 1, chosen[-1].change if places[-1] else chosen[-1].plain, some)

        noise = part([1] * d)
        for i, c in enumerate(chosen):
            noise = noise * c.loudness.reshape([-1 if i == j else 1 for j in range(d)])
        changed = range(d) if self.changes else ()
        return [part([0] * d), noise, *(part([int(i == j) for j in range(d)]) for i in changed)]

    def sums(self, f: sympy.Expr, which: tuple[Rung, ...]) -> Tensor:
        """Over the first axes, as many as are told."""
        if (f, which) not in self.stacked:
            i = len(which) - 1
            self.stacked[f, which] = (
                _along(i, self.functions[i][which[i]].both, self.sums(f, which[:i]))
                if which
                else self.samples.evaluate(f, self.s, self.sigma, self.signal)
            )
        return self.stacked[f, which]

    def half(self, samples: Samples, f: sympy.Expr, axis: int, which: tuple[Rung, ...]) -> Tensor:
        """The same over every second node of an axis."""
        if (f, axis, which) not in self.halved:
            i = len(which) - 1
            if which:
                chosen = self.functions[i][which[i]]
                matrix = chosen.coarse if i == axis and chosen.coarse is not None else chosen.plain
                self.halved[f, axis, which] = _along(i, matrix, self.half(samples, f, axis, which[:i]))
            else:
                self.halved[f, axis, which] = samples.evaluate(f, self.s, self.sigma, self.signal)
        return self.halved[f, axis, which]


def _noise(samples: Samples, s: int, functions: Sequence[TestFunctions]) -> Tensor:
    """Standard deviations of the noise of the unknowns, from their own noise rows; where these are few, from fits."""
    matrices = [along.change for along in functions]
    energy = float(torch.stack([m.square().sum() for m in matrices]).prod())
    seen = [float(_contract(v, matrices).square().sum()) for v in samples.values[s]]
    found = [(e / energy) ** 0.5 if energy else 0.0 for e in seen]
    if samples.missing is None and _apart([along.count for along in functions]) < FEW:
        local = [white_noise(v, samples.axes) for v in samples.values[s]]
        found = [wide if near is None else near for wide, near in zip(found, local, strict=True)]
    return torch.tensor(found, dtype=torch.float64)


def _valid(samples: Samples, widths: HalfWidths, shape: Sequence[int]) -> Tensor:
    if samples.missing is None:
        return torch.ones((len(samples), *shape), dtype=torch.bool)
    inside = [
        (offsets(axis, centres(axis, width), width * axis.step).abs() < 1).to(torch.float64)
        for axis, width in zip(samples.axes, widths, strict=True)
    ]
    return torch.stack([_contract(m.to(torch.float64), inside) for m in samples.missing]) < 0.5
