"""Trajectories: named fields over named axes; and what is asked of those on a line: jets, residuals, their units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError, check_integer
from symflow.runs import one_thread

from ..equations import Equation, Jets
from .axes import UNIFORM, Axis, period_of, real_array
from .derivatives import filtered, interpolated
from .shown import Shown
from .sides import BothSides

MISLABELLED = 0.1  # residual(): data of another equation are above, good data below or with u_t in doubt
MOST_JETS = 1 << 24
HIGHEST_JET = 64
LINE = (Axis("x", torch.arange(8.0, dtype=torch.float64), 8.0),)  # of which `x` replaces the nodes


def _version() -> str:
    try:
        return metadata.version("symflow")
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, repr=False)
class Trajectories(Shown):
    """Solutions of one equation or system on one grid: named fields over named axes.

    On a line ``u[s, i, j] = u_s(t[i], x[j])``; in general the values are ``u[sample, t, axes..., field]``, without the
    last dimension where there is one field. Orbits of ordinary equations have no axes: ``u[sample, t, field]``.

    Convention: physical units; t increasing, not necessarily uniform; an axis of space that is periodic is uniform, its
    left end included and its right end not; an open one (walls, a window) has any increasing nodes; float64.

    Args:
        equation: what the data solve; its unknowns are among the fields and its variables among the axes.
        x: ``[X]``, the nodes of the first axis of space; an empty tensor where `axes` say it.
        t: ``[T]``.
        u: the values.
        name: of the equation in the catalogue, when it is there.
        seed: of `generate`, when made by it.
        settings: the arguments of `generate`, or what is known of the origin; JSON values.
        version: of the package that made the data.
        fields: names of the fields, in the order of the last dimension of u.
        axes: of space; by default x, periodic. `x`, if given, are the nodes of the first.
        missing: ``[sample, t, axes...]``, True where nothing was measured; values there are 0.

    Raises:
        UserError: shapes that do not match, a periodic axis that is not uniform, times that do not increase, values
            that are not finite, names that are not those of the equation; the sentence says which and where.

    >>> from symflow.pde import generate
    >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=5, end=2.0)
    >>> data.u.shape, data.length
    (torch.Size([2, 5, 512]), 128.0)
    >>> t = torch.linspace(0, 1, 11, dtype=torch.float64)
    >>> orbit = torch.stack([t.cos(), -t.sin()], -1)
    >>> spring = Equation("u_t - v = 0; v_t + u = 0")
    >>> Trajectories(spring, torch.zeros(0), t, orbit[None], fields=("u", "v"), axes=()).values.shape
    torch.Size([1, 11, 2])
    """

    equation: Equation
    x: Tensor
    t: Tensor
    u: Tensor
    name: str | None = None
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str = field(default_factory=_version)
    fields: tuple[str, ...] = ("u",)
    axes: tuple[Axis, ...] = LINE
    missing: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.equation, Equation):
            raise UserError(f"`equation` must be a pde.Equation, got {type(self.equation).__name__}")
        line = self.axes is LINE and self.fields == ("u",)
        object.__setattr__(self, "fields", tuple(self.fields))
        for name in ("t", "u"):
            object.__setattr__(self, name, real_array(getattr(self, name), name))
        if self.t.ndim != 1:
            raise UserError(f"`t` must have shape [T], got {list(self.t.shape)}")
        object.__setattr__(self, "axes", self._placed_axes())
        object.__setattr__(self, "x", self.axes[0].nodes if self.axes else torch.zeros(0, dtype=torch.float64))
        self._check_shapes(line)
        if not bool(torch.isfinite(self.t).all()):
            raise UserError("`t` must be finite, got a value that is not")
        if bool((self.t.diff() <= 0).any()):
            i = int((self.t.diff() <= 0).nonzero()[0])
            first, second = float(self.t[i]), float(self.t[i + 1])
            raise UserError(f"`t` must increase, got {first:g} and then {second:g} in place {i + 1}")
        self._check_values()
        self._check_names()

    def _placed_axes(self) -> tuple[Axis, ...]:
        """Those that were given, the nodes of the first those of `x`."""
        given = tuple(self.axes)
        if not given or self.x is given[0].nodes:
            return given
        x = real_array(self.x, "x")
        if x.numel() == 0 and self.axes is not LINE:
            return given
        if x.ndim != 1:
            raise UserError(f"`x` must have shape [X], got {list(x.shape)}")
        if given[0].period is None:
            return (replace(given[0], nodes=x), *given[1:])
        if len(x) < 8:
            raise UserError(f"`x` must have at least 8 points, got {len(x)}")
        if not bool(torch.isfinite(x).all()):
            raise UserError("`x` must be finite, got a value that is not")
        steps = x.diff()
        if not bool((steps > 0).all()) or float((steps / steps.mean() - 1).abs().max()) > UNIFORM:
            raise UserError(
                "`x` must be increasing and uniform over one period without its right end, "
                f"got spacings from {float(steps.min()):g} to {float(steps.max()):g}"
            )
        return (Axis(given[0].name, x, period_of(x)), *given[1:])

    def _check_shapes(self, line: bool) -> None:
        wanted = [len(self.t), *map(len, self.axes), *([len(self.fields)] if len(self.fields) > 1 else [])]
        if list(self.u.shape[1:]) == wanted and self.u.shape[0] > 0:
            if self.missing is not None and self.missing.shape != self._at_nodes(self.u).shape:
                raise UserError(
                    f"`missing` must have shape {list(self._at_nodes(self.u).shape)}, got {list(self.missing.shape)}"
                )
            return
        if line and self.u.ndim != 3:
            raise UserError(f"`u` must have shape [samples, T, X], got {list(self.u.shape)}")
        names = ["T", *(axis.name.upper() for axis in self.axes), *(["fields"] if len(self.fields) > 1 else [])]
        sizes = [f"{n} = {w} {'times' if n == 'T' else ''}".strip() for n, w in zip(names, wanted, strict=True)]
        sizes = [f"T = {len(self.t)} times and X = {len(self.x)} points"] if line else sizes
        got = f"{list(self.u.shape)}{'; are t and x swapped?' if list(self.u.shape[1:]) == wanted[1::-1] else ''}"
        raise UserError(f"`u` must have shape [samples, {', '.join(names)}] with {', '.join(sizes)}, got {got}")

    def _at_nodes(self, values: Tensor) -> Tensor:
        """``[sample, t, axes...]``: the first of the fields."""
        return values[..., 0] if len(self.fields) > 1 else values

    def _check_values(self) -> None:
        if self.missing is not None:
            missing = torch.as_tensor(self.missing, dtype=torch.bool)
            object.__setattr__(self, "missing", missing if bool(missing.any()) else None)
        if self.missing is not None:
            gone = self.missing[..., None] if len(self.fields) > 1 else self.missing
            object.__setattr__(self, "u", torch.where(gone, torch.zeros((), dtype=torch.float64), self.u))
        finite = torch.isfinite(self.u)
        if not bool(finite.all()):
            place = [int(n) for n in (~finite).nonzero()[0]]
            at = [f"{a.name} = {float(a.nodes[j]):g}" for a, j in zip(self.axes, place[2:], strict=False)]
            which = self.fields[place[-1]] if len(self.fields) > 1 else self.fields[0]
            raise UserError(
                f"`{which}` must be finite, got {float(self.u[tuple(place)])} first in trajectory {place[0]} "
                f"at {', '.join([f't = {float(self.t[place[1]]):g}', *at])}"
            )

    def _check_names(self) -> None:
        space = self.equation.space
        for what, wanted, held in (
            ("unknowns", space.dependent, self.fields),
            ("variables", space.independent, ("t", *(axis.name for axis in self.axes))),
        ):
            if not set(wanted) <= set(held) or len(set(held)) < len(held):
                raise UserError(
                    f"{self.equation.text!r} has the {what} {', '.join(wanted)}, the data have {', '.join(held)}"
                )

    @property
    def values(self) -> Tensor:
        """``[sample, t, axes..., field]``, for one field as for several."""
        return self.u if len(self.fields) > 1 else self.u[..., None]

    def field(self, name: str) -> Tensor:
        """The values of one field, ``[sample, t, axes...]``.

        Raises:
            UserError: there is none of this name.
        """
        if name not in self.fields:
            raise UserError(f"`name` must be one of the fields {', '.join(self.fields)}, got {name!r}")
        return self.values[..., self.fields.index(name)]

    @property
    def on_line(self) -> bool:
        """Whether these are values of u on a periodic line, none of them missing."""
        one = self.fields == ("u",) and self.missing is None and [a.name for a in self.axes] == ["x"]
        return one and self.axes[0].period is not None

    def require_line(self, what: str) -> None:
        """Refuses data of another shape than u on a periodic line, which `what` does not know.

        Raises:
            UserError: the sentence says what the data are.
        """
        if self.on_line:
            return
        raise UserError(f"{what} needs one unknown u on a periodic line, got {self.laid_out}")

    def require_evolution(self, what: str) -> None:
        """Refuses data that are not of ``u_t = ...`` on a periodic line, which `what` does not know.

        Raises:
            UserError: the sentence says what the data, or the equation, are.
        """
        self.require_line(what)
        if not self.equation.evolutionary:
            raise UserError(f"{what} needs an equation u_t = ... in x, t and u, got {self.equation.text!r}")

    @property
    def length(self) -> float:
        """The period in x.

        Raises:
            UserError: there is none.
        """
        if not self.axes or self.axes[0].period is None:
            self.require_line("a length")
        return period_of(self.x)

    def __len__(self) -> int:
        return self.u.shape[0]

    def __getitem__(self, which: int | slice | Sequence[int] | Tensor) -> Trajectories:
        """Some of the trajectories; one index keeps the dimension."""
        if isinstance(which, int):
            if not -len(self) <= which < len(self):
                raise IndexError(f"trajectory {which} of {len(self)}")
            which = [which]
        return replace(self, u=self.u[which], missing=None if self.missing is None else self.missing[which])

    def to_xarray(self) -> Any:
        """A Dataset of xarray with all that `save` writes; `load` reads it again.

        Raises:
            UserError: xarray is not installed.
        """
        from .layouts.labelled import to_xarray

        return to_xarray(self)

    def split(self, *sizes: int) -> tuple[Trajectories, ...]:
        """Consecutive parts of the given sizes.

        >>> from symflow.pde import generate
        >>> data = generate("ckdv", samples=4, seed=0, steps=20, keep=5, end=2.0)
        >>> [len(part) for part in data.split(3, 1)]
        [3, 1]
        """
        if min(sizes, default=0) < 1 or sum(sizes) > len(self):
            raise UserError(f"`sizes` must be positive with a sum of at most {len(self)} trajectories, got {sizes}")
        ends = np.cumsum(sizes)
        return tuple(self[int(end - size) : int(end)] for size, end in zip(sizes, ends, strict=True))

    def coarsen(self, points: int) -> Trajectories:
        """Every n-th node of every axis of space, so that `points` remain along the first: the paper's 256.

        Values are kept as they are; derivatives on the coarser grid are only as good as it resolves the data.

        Raises:
            UserError: an axis is open, or its nodes are no multiple of what remains; or there is none.
        """
        if not self.axes or any(axis.period is None for axis in self.axes):
            self.require_line("`coarsen`")
        stride = len(self.x) // points if type(points) is int and points > 0 else 0
        if points < 8 or len(self.x) % points or any(len(axis) % stride for axis in self.axes):
            raise UserError(
                f"`points` must be at least 8 and divide the {len(self.x)} points in {self.axes[0].name}"
                + "".join(f", and the stride the {len(a)} in {a.name}" for a in self.axes[1:])
                + f", got {points}"
            )
        every = (slice(None), slice(None), *[slice(None, None, stride)] * len(self.axes))
        return replace(
            self,
            x=torch.zeros(0),
            axes=tuple(replace(a, nodes=a.nodes[::stride].contiguous()) for a in self.axes),
            u=self.u[every].contiguous(),
            missing=None if self.missing is None else self.missing[every].contiguous(),
        )

    def tail(self) -> Tensor:
        """The last eighth of the spectrum over its largest mode, ``[S]``: small where the grid resolves the data."""
        self.require_line("the tail of a spectrum")
        result = []
        for u in self.u:
            size = torch.fft.rfft(u, norm="forward").abs()
            largest = size.max(-1).values.clamp_min(torch.finfo(torch.float64).tiny)
            result.append((size[:, -max(size.shape[1] // 8, 1) :].max(-1).values / largest).max())
        return torch.stack(result)

    def derivatives(self, order: int) -> Tensor:
        """x-derivatives 0 ... order on the grid, ``[order + 1, S, T, X]``, spectral, round-off modes left out."""
        self.require_line("a spectral derivative")
        check_integer("order", order, 0, HIGHEST_JET)
        v = filtered(self.u)
        ik = 1j * self._wavenumbers()
        return torch.stack([torch.fft.irfft(v * ik**m, len(self.x), norm="forward") for m in range(order + 1)])

    def _wavenumbers(self) -> Tensor:
        """``2 pi k / L`` of the modes of `filtered`."""
        return torch.arange((len(self.x) + 1) // 2, dtype=torch.float64) * (2 * math.pi / self.length)

    @one_thread()
    def jets(self, count: int, order: int, seed: int = 0) -> Jets:
        """x-derivatives of the data at random points.

        Trajectory and output time are drawn uniformly from those stored and x uniformly from the period: u there is
        the trigonometric interpolant of its row, of which modes at the round-off plateau are left out, so that
        derivatives of any order are those of one smooth function.

        Args:
            count: number of points N.
            order: the highest x-derivative.
            seed: of the draw; the same seed gives the same points.

        Returns:
            ``Jets`` with ``x [N]``, ``t [N]``, ``u [order + 1, N]``.

        >>> from symflow.pde import generate
        >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=5, end=2.0)
        >>> data.jets(100, order=3, seed=1).u.shape
        torch.Size([4, 100])
        """
        self.require_line("a jet")
        check_integer("count", count, 1, MOST_JETS)
        check_integer("order", order, 0, HIGHEST_JET)
        rows, at = self.drawn(count, seed)
        (u,) = interpolated([self.u], rows, at, self.length, order)
        return Jets(self.x[0] + at, self.t[rows % len(self.t)], u)

    def drawn(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Rows ``[N]`` of ``[S T, X]`` and places in the period ``[N]``, those of `jets`."""
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(self.u.shape[0] * self.u.shape[1], (count,), generator=generator)
        return rows, torch.rand(count, generator=generator, dtype=torch.float64) * self.length

    def residual(self, order: int = 8) -> float:
        """How far the data are from solving their equation: relative RMS of ``u_t + K``.

        ``|u_t + K| / sqrt(|u_t|^2 + |K|^2)`` over interior times, u_t by central differences of the given order, K
        with spectral x-derivatives. `docs/data.md` has the values for all pairs of data and equation; they are only as
        good as the output times resolve the data.

        Raises:
            UserError: `order` is odd, or there are not enough times for it.
        """
        return self._residual(order)[0]

    def check_equation(self) -> None:
        """Raise if the data certainly do not solve their equation.

        Nothing is concluded from data that have too few times, are too coarse in t for u_t to be known, or too noisy
        or coarse in x for K: where differences of another order, or K without the highest third of the modes, come
        out differently by more than a third of `residual`.

        Raises:
            UserError: `residual` is above `MISLABELLED` although u_t and K are known.
        """
        if len(self.t) < 9 or not (self.on_line and self.equation.evolutionary):
            return
        residual, doubt = self._residual(8)
        if residual > MISLABELLED and doubt < residual / 3:
            values = "".join(f", {name} = {value:g}" for name, value in self.equation.parameters.items())
            raise UserError(
                f"the data do not solve {self.equation.text!r}{values}: u_t and the equation differ by {residual:.2g} "
                f"(relative RMS; at most {MISLABELLED} for data of the equation)"
            )

    @one_thread()
    def _residual(self, order: int) -> tuple[float, float]:
        """The relative RMS of ``u_t + K``, and the relative uncertainty of u_t and K."""
        sides = BothSides(self, order)
        smooth = torch.arange((len(self.x) + 1) // 2) < 2 * ((len(self.x) + 1) // 2) / 3
        sums = torch.zeros(5, dtype=torch.float64)
        for u in self.u[:: max(1, len(self) // 32)]:
            u_t, v = sides.u_t(u), filtered(u[sides.inside])
            K = sides.K(v)
            parts = (u_t + K, u_t, K, u_t - sides.simple_u_t(u), K - sides.K(v * smooth))
            sums += torch.stack([part.square().mean() for part in parts])
            round_off = sides.round_off(u)
            sums[1:3] += round_off * round_off
        if not bool(sums[1:3].all()):
            return 0.0, 0.0
        if not bool(sums.isfinite().all()):
            return math.inf, math.inf
        miss, size_t, size_x, doubt_t, doubt_x = sums.tolist()
        return math.sqrt(miss / (size_t + size_x)), math.sqrt(doubt_t / size_t + doubt_x / size_x)
