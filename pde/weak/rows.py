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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symflow.errors import UserError

from ..equations import Index
from .axes import TestFunctions
from .parts import Parts
from .samples import Samples
from .smoothing import SIGNAL

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

    def of(self, columns: Sequence[int]) -> WeakRows:
        """With some of the columns only."""
        pick = list(columns)
        return replace(
            self,
            plain=self.plain[..., pick],
            noise=self.noise[..., pick],
            change=tuple(c[..., pick] for c in self.change),
        )

    def only(self, which: Sequence[int]) -> WeakRows:
        """Of some of the trajectories."""
        pick = list(which)
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
    for axis, width in zip(samples.axes, widths, strict=True):
        if 2 * width >= len(axis):
            raise UserError(
                f"test functions of {2 * width + 1} nodes need more than the {len(axis)} nodes of the axis {axis.name}"
            )
    d = len(widths)
    orders = [{0} | {k[i] for parts in columns for k, _ in parts} for i in range(d)]
    functions = [
        {n: TestFunctions.of(axis, width, n) for n in sorted(found)}
        for axis, width, found in zip(samples.axes, widths, orders, strict=True)
    ]
    coarse = [samples.every_second(i) for i in range(d)]
    plain, noise, sigmas = [], [], []
    change: list[list[Tensor]] = [[] for _ in range(d)]
    for s in range(len(samples)):
        sigma = _noise(samples, s, functions)
        done = [_column(samples, coarse, s, parts, sigma, functions, signal) for parts in columns]
        plain.append(torch.stack([column[0] for column in done], -1))
        noise.append(torch.stack([column[1] for column in done], -1))
        for i in range(d):
            change[i].append(torch.stack([column[2 + i] for column in done], -1))
        sigmas.append(sigma)
    valid = _valid(samples, widths, plain[0].shape[:-1])
    mask = valid[..., None]
    return WeakRows(
        torch.stack(plain) * mask,
        torch.stack(noise) * mask,
        tuple(torch.stack(c) * mask for c in change),
        valid,
        tuple(axis.centres(width) for axis, width in zip(samples.axes, widths, strict=True)),
        torch.stack(sigmas),
        widths,
        torch.ones(len(samples), dtype=torch.float64),
    )


Functions = Sequence[Mapping[int, TestFunctions]]


def _contract(f: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """``sum_j f[j_1, ..., j_d] M_1[c_1, j_1] ... M_d[c_d, j_d]``."""
    for i, matrix in enumerate(matrices):
        f = torch.tensordot(matrix, f, dims=([1], [i])).movedim(0, i)
    return f


def _both(f: Tensor, functions: Functions, k: Index) -> list[Tensor]:
    """Plain, noise, and the change on each axis, from one pass with the matrices stacked."""
    chosen = [along[n] for along, n in zip(functions, k, strict=True)]
    rows = _contract(f, [torch.cat([c.plain, c.change]) for c in chosen])
    counts = [len(c.plain) for c in chosen]

    def part(which: Sequence[int]) -> Tensor:
        out = rows
        for i, (w, n) in enumerate(zip(which, counts, strict=True)):
            out = out.narrow(i, w * n, n)
        return out

    d = len(counts)
    noise = part([1] * d)
    for i, c in enumerate(chosen):
        noise = noise * c.loudness.reshape([-1 if i == j else 1 for j in range(d)])
    return [part([0] * d), noise, *(part([int(i == j) for j in range(d)]) for i in range(d))]


def _column(
    samples: Samples,
    coarse: Sequence[Samples | None],
    s: int,
    parts: Parts,
    sigma: Tensor,
    functions: Functions,
    signal: float,
) -> list[Tensor]:
    """The rows of one column: plain, noise, changes."""
    total: list[Any] = [0.0] * (2 + len(functions))
    for k, f in parts:
        rows = _both(samples.evaluate(f, s, sigma, signal), functions, k)
        if any(sum(index) for _, index in samples.space.indices(f)):
            # the derivatives in f are those of the half grid, too: its error is theirs and that of the sum
            for i, half in enumerate(coarse):
                chosen = [along[n] for along, n in zip(functions, k, strict=True)]
                matrix = chosen[i].coarse
                if half is not None and matrix is not None:
                    matrices = [matrix if i == j else c.plain for j, c in enumerate(chosen)]
                    rows[2 + i] = rows[0] - _contract(half.evaluate(f, s, sigma, signal), matrices)
        total = [a + b for a, b in zip(total, rows, strict=True)]
    return total


def _noise(samples: Samples, s: int, functions: Functions) -> Tensor:
    """Standard deviations of the noise of the unknowns, from their own noise rows."""
    matrices = [along[0].change for along in functions]
    energy = float(torch.stack([m.square().sum() for m in matrices]).prod())
    seen = [float(_contract(v, matrices).square().sum()) for v in samples.values[s]]
    return torch.tensor([(e / energy) ** 0.5 if energy else 0.0 for e in seen], dtype=torch.float64)


def _valid(samples: Samples, widths: HalfWidths, shape: Sequence[int]) -> Tensor:
    if samples.missing is None:
        return torch.ones((len(samples), *shape), dtype=torch.bool)
    inside = [
        (axis.offsets(axis.centres(width), width).abs() < 1).to(torch.float64)
        for axis, width in zip(samples.axes, widths, strict=True)
    ]
    return torch.stack([_contract(m.to(torch.float64), inside) for m in samples.missing]) < 0.5
