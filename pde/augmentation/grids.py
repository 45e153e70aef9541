"""The grids of data, and solutions on them moved along fields and read at their nodes again.

On a line, u over a periodic x, moved points are resampled (`symflow.resample`), whatever moves them. On any other grid
a field must move the variables z = (t, x, ...) independently of the unknowns w, as nearly all symmetries do.
Then the moved solution is known at every node from its source,

    w~(z) = the unknowns of exp(V)(z*, w(z*)),    z* = exp(-V)(z),

and only values between nodes are interpolated: by polynomials of degree five through the six nearest nodes, on periodic
axes through the nodes of twice as fine a grid, on which the trigonometric interpolant is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from symflow.fields import Field, SymbolicField
from symflow.ops import flow, has_kernel, resample
from symflow.runs import one_thread

from ..trajectories import Axis, Trajectories
from .combination import Combination

CHUNK = 1 << 20  # points that are moved at a time: bounds the memory
TOGETHER = 2048  # nodes of a box whose sources are read at a time: what they take stays in the cache
TAPS = 6  # nodes of an interpolation along one axis
FINE = 2  # times the nodes of a periodic axis, of the grid that is interpolated on
OUTSIDE = 1e-9  # of the extent of an axis: a source so far beyond an end is rounding


class Grid(Protocol):
    """Where values are."""

    @property
    def sizes(self) -> dict[str, int]:
        """Of the dimensions of the values of one trajectory, by what they are called."""

    def moved(self, field: Field, values: Tensor, weights: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Values ``[B, T, ...]`` along ``sum_k weights[b, k] V_k`` for time 1, and where sources are, alike."""


def grid_of(data: Trajectories) -> Grid:
    """That of data: a line or a box."""
    if data.on_line:
        return Line(len(data.t), len(data.x), float(data.x[0]), data.length, (float(data.t[0]), float(data.t[-1])))
    return Box((Axis("t", data.t), *data.axes), data.fields)


@dataclass(frozen=True)
class Line:
    """Uniform times and a periodic x.

    Attributes:
        rows, columns: how many.
        left, period: of x.
        times: the first and the last.
    """

    rows: int
    columns: int
    left: float
    period: float
    times: tuple[float, float]

    @property
    def sizes(self) -> dict[str, int]:
        """Rows and columns."""
        return {"T": self.rows, "X": self.columns}

    def moved(self, field: Field, values: Tensor, weights: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """By resampling, a few trajectories at a time."""
        each = max(1, CHUNK // (self.rows * self.columns))
        if values.device.type == "cpu" and not has_kernel(field, values):
            each = 1  # elementwise functions of a processor may round by the place in the batch
        starts = range(0, max(len(values), 1), each)
        parts = [self._moved(field, values[i : i + each], weights[i : i + each], steps) for i in starts]
        return torch.cat([v for v, _ in parts]), torch.cat([s for _, s in parts])

    def _moved(self, field: Field, u: Tensor, weights: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        c = field.coordinates
        exact: dict[str, Any] = {"dtype": torch.float64, "device": u.device}
        x = torch.arange(self.columns, **exact) * (self.period / self.columns)
        t = torch.arange(self.rows, **exact) * ((self.times[1] - self.times[0]) / (self.rows - 1)) + self.times[0]
        grid = torch.stack(torch.broadcast_tensors(x, t[:, None], torch.zeros((), **exact)), -1)  # [T, X, 3]
        origin = torch.tensor([self.left, 0.0, 0.0], **exact)
        # of the points' own normalised values, only u's depend on the trajectory
        start = c.to_normalised(grid + origin).to(u.dtype).expand(len(u), -1, -1, -1).clone()
        start[..., 2] = (u - c.offset[2]) / c.scale[2]
        if isinstance(field, SymbolicField):
            field, weights = Combination(field, weights), torch.ones_like(weights[:, :1])
        end = flow(field, start.flatten(1, 2), weights, steps=steps).view_as(start)
        # Displacements, not end points, are converted: what does not move is not rounded.
        points = c.vectors_to_physical((end - start).double()) + grid
        points[..., 2] += u
        return resample(points, period=self.period, times=self.times)


@dataclass(frozen=True)
class Box:
    """Any axes, the times first, and one field or several.

    Attributes:
        axes: periodic or open.
        fields: their names.
    """

    axes: tuple[Axis, ...]
    fields: tuple[str, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Of the axes, and of the fields where there are several."""
        found = {axis.name.upper(): len(axis) for axis in self.axes}
        return found | ({"fields": len(self.fields)} if len(self.fields) > 1 else {})

    @one_thread()
    def moved(self, field: Field, values: Tensor, weights: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """From the source of every node, trajectory by trajectory."""
        if not isinstance(field, SymbolicField):
            raise TypeError(f"`field` must be closed forms on such a grid, got {type(field).__name__}")
        parts = [self._moved(field, v, w, steps) for v, w in zip(values, weights, strict=True)]
        if not parts:
            return values, torch.ones(values.shape, dtype=torch.bool, device=values.device)
        return torch.stack([v for v, _ in parts]), torch.stack([s for _, s in parts])

    def _moved(self, field: SymbolicField, own: Tensor, weights: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        c, names = field.coordinates, field.coordinates.names
        variables, unknowns = names[: len(self.axes)], names[len(self.axes) :]
        by_name = {axis.name: axis for axis in self.axes}
        places = [[axis.name for axis in self.axes].index(n) for n in variables]
        values = own.double().reshape(*map(len, self.axes), len(self.fields))
        values = values[..., [self.fields.index(n) for n in unknowns]]
        axes = [by_name[n] for n in variables]
        values = values.permute(*places, -1)
        nodes = torch.stack(torch.meshgrid(*(a.nodes.to(own.device) for a in axes), indexing="ij"), -1).flatten(0, -2)
        one = torch.ones(1, 1, dtype=torch.float64, device=own.device)
        forth = Combination(field, weights.double()[None])
        back = Combination(field, -weights.double()[None], len(variables))
        between = Interpolant.of(values, axes, [any(row[i] != 0 for row in field.components) for i in range(len(axes))])
        parts = []
        for part in nodes.split(TOGETHER):
            at = c.to_normalised(torch.cat([part, part.new_zeros(len(part), len(unknowns))], -1))[None]
            away = c.vectors_to_physical(flow(back, at, one, steps=steps) - at)[0, :, : len(variables)]
            held, found = between.at(part + away)
            sources = part + away.where(found[:, None], torch.zeros_like(away))
            start = c.to_normalised(torch.cat([sources, held], -1))[None]
            gone = c.vectors_to_physical(flow(forth, start, one, steps=steps) - start)[0, :, len(variables) :]
            parts.append((held + gone, found))
        moved, found = (torch.cat(several) for several in zip(*parts, strict=True))
        support = (found & moved.isfinite().all(-1)).view(values.shape[:-1])
        back_in_order = [places.index(i) for i in range(len(places))]
        moved = moved.view(values.shape).permute(*back_in_order, -1)
        moved = moved[..., [unknowns.index(n) for n in self.fields]].reshape(own.shape)
        support = support.permute(*back_in_order)
        if own.ndim > support.ndim:
            support = support[..., None].expand(own.shape)
        return moved, support


@dataclass(frozen=True)
class Interpolant:
    """Values between the nodes of a grid.

    Attributes:
        values: ``[M, F]``, float64, at the nodes of the grid, finer along periodic axes that are asked between nodes.
        axes: of the grid as it was given.
        counts: of the nodes along each axis.

    >>> x = torch.arange(32, dtype=torch.float64) * (2 * torch.pi / 32)
    >>> wave = Interpolant.of(x.sin()[:, None], [Axis("x", x, 2 * torch.pi)])
    >>> found, within = wave.at(torch.tensor([[0.1], [7.0]], dtype=torch.float64))
    >>> torch.allclose(found[:, 0], torch.tensor([0.1, 7.0], dtype=torch.float64).sin(), atol=1e-7), within.tolist()
    (True, [True, True])
    """

    values: Tensor
    axes: tuple[Axis, ...]
    counts: tuple[int, ...]

    @staticmethod
    def of(values: Tensor, axes: Sequence[Axis], between: Sequence[bool] | None = None) -> Interpolant:
        """Of values ``[n_1, ..., n_d, F]``, of which some axes are asked between their nodes; by default all."""
        for i, axis in enumerate(axes):
            if axis.period is not None and (between is None or between[i]):
                values = _refined(values, i)
        return Interpolant(values.flatten(0, -2), tuple(axes), tuple(values.shape[:-1]))

    def at(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """At ``[N, d]``: the values ``[N, F]``, and ``[N]``, whether a place is within the open axes; 0 elsewhere."""
        within = places.isfinite().all(-1)
        index = torch.zeros(len(places), 1, dtype=torch.int64, device=places.device)
        spread = []
        for i, (axis, count) in enumerate(zip(self.axes, self.counts, strict=True)):
            nodes = axis.nodes.to(places.device)
            at = places[:, i].where(within, nodes[0])
            if axis.period is None:
                slack = OUTSIDE * float(nodes[-1] - nodes[0])
                within = within & (at >= nodes[0] - slack) & (at <= nodes[-1] + slack)
            here = torch.searchsorted(nodes, at.contiguous()).clamp(max=len(nodes) - 1)
            if bool((nodes[here] == at).all()):  # nothing moves along this axis
                which, weights = here[:, None] * (count // len(nodes)), torch.ones_like(at)[:, None]
            else:
                which, weights = _taps(nodes, axis.period, count, at)
            index = (index[:, :, None] * count + which[:, None, :]).flatten(1)
            spread.append(weights)
        taken = self.values[index]
        for weights in reversed(spread):
            taken = torch.einsum("nmqf,nq->nmf", taken.unflatten(1, (-1, weights.shape[1])), weights)
        return taken[:, 0].where(within[:, None], torch.zeros((), dtype=taken.dtype, device=taken.device)), within


def _refined(values: Tensor, dim: int) -> Tensor:
    """The trigonometric interpolant of one period at `FINE` times the nodes."""
    n = values.shape[dim]
    spectrum = torch.fft.rfft(values, dim=dim)
    if n % 2 == 0:  # the highest cosine is two modes on a finer grid
        spectrum.select(dim, n // 2).mul_(0.5)
    fine: Tensor = torch.fft.irfft(spectrum, FINE * n, dim=dim) * FINE
    return fine


def _taps(nodes: Tensor, period: float | None, count: int, at: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest nodes of each place, ``[N, q]``, and the weights of Lagrange's polynomial through them.

    Args:
        nodes: of the axis.
        period: of a periodic one, whose values are at `count` nodes from the first of these on.
        count: of the values along the axis.
        at: ``[N]``.
    """
    q = min(TAPS, count)
    if period is not None:
        s = (at - nodes[0]) * (count / period)
        first = s.floor().long() - (q // 2 - 1)
        index = first[:, None] + torch.arange(q, device=at.device)
        windows, s = (index - first[:, None]).double(), s - first
        index = index % count
    else:
        first = (torch.searchsorted(nodes, at.contiguous()) - q // 2).clamp(0, count - q)
        index = first[:, None] + torch.arange(q, device=at.device)
        windows, s = nodes[index], at
    weights = torch.ones_like(windows)
    for j in range(q):
        for m in range(q):
            if m != j:
                weights[:, j] *= (s - windows[:, m]) / (windows[:, j] - windows[:, m])
    return index, weights
