"""Trajectories of a scalar equation on a periodic line, and what is asked of them: jets, residuals, their units."""

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
from symflow.fields import Coordinates
from symflow.runs import one_thread

from ..equations import Equation, Jets
from .derivatives import difference_weights, filtered, interpolated

UNIFORM = 1e-6  # relative deviation of a spacing from the mean spacing
MISLABELLED = 0.1  # residual(): data of another equation are above, good data below or with u_t in doubt
MOST_JETS = 1 << 24
HIGHEST_JET = 64
SPREAD = 0.5 / 3**0.5  # the standard deviation of a uniform variable on an interval of length 1


def _version() -> str:
    try:
        return metadata.version("symflow")
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class Trajectories:
    """Solutions ``u(x, t)`` of one equation, on one grid: ``u[s, i, j] = u_s(t[i], x[j])``.

    Convention: physical units; x uniform over one period, the left end included and the right end not; t increasing,
    not necessarily uniform; float64.

    Args:
        equation: what the data solve.
        x: ``[X]``.
        t: ``[T]``.
        u: ``[S, T, X]``.
        name: of the equation in the catalogue, when it is there.
        seed: of `generate`, when made by it.
        settings: the arguments of `generate`, or what is known of the origin; JSON values.
        version: of the package that made the data.

    Raises:
        UserError: shapes that do not match, a grid that is not uniform, times that do not increase, values that are
            not finite; the sentence says which and where.

    >>> from symflow.pde import generate
    >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=5, end=2.0)
    >>> data.u.shape, data.length
    (torch.Size([2, 5, 512]), 128.0)
    """

    equation: Equation
    x: Tensor
    t: Tensor
    u: Tensor
    name: str | None = None
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str = field(default_factory=_version)

    def __post_init__(self) -> None:
        for name, dimensions in (("x", 1), ("t", 1), ("u", 3)):
            value = _float64(getattr(self, name), name)
            object.__setattr__(self, name, value)
            if value.ndim != dimensions:
                shape = {"x": "[X]", "t": "[T]", "u": "[samples, T, X]"}[name]
                raise UserError(f"`{name}` must have shape {shape}, got {list(value.shape)}")
        if self.u.shape[1:] != (len(self.t), len(self.x)) or self.u.shape[0] == 0:
            raise UserError(
                f"`u` must have shape [samples, T, X] with T = {len(self.t)} times and X = {len(self.x)} points, "
                f"got {list(self.u.shape)}"
            )
        if len(self.x) < 8:
            raise UserError(f"`x` must have at least 8 points, got {len(self.x)}")
        for name in ("x", "t"):
            if not bool(torch.isfinite(getattr(self, name)).all()):
                raise UserError(f"`{name}` must be finite, got a value that is not")
        steps = self.x.diff()
        if not bool((steps > 0).all()) or float((steps / steps.mean() - 1).abs().max()) > UNIFORM:
            raise UserError(
                "`x` must be increasing and uniform over one period without its right end, "
                f"got spacings from {float(steps.min()):g} to {float(steps.max()):g}"
            )
        if bool((self.t.diff() <= 0).any()):
            i = int((self.t.diff() <= 0).nonzero()[0])
            first, second = float(self.t[i]), float(self.t[i + 1])
            raise UserError(f"`t` must increase, got {first:g} and then {second:g} in place {i + 1}")
        finite = torch.isfinite(self.u)
        if not bool(finite.all()):
            s, i, j = (int(n) for n in (~finite).nonzero()[0])
            raise UserError(
                f"`u` must be finite, got {float(self.u[s, i, j])} first in trajectory {s} "
                f"at t = {float(self.t[i]):g}, x = {float(self.x[j]):g}"
            )

    @property
    def length(self) -> float:
        """The period in x."""
        return float(self.x[-1] - self.x[0]) * len(self.x) / (len(self.x) - 1)

    def __len__(self) -> int:
        return self.u.shape[0]

    def __getitem__(self, which: int | slice | Sequence[int] | Tensor) -> Trajectories:
        """Some of the trajectories; one index keeps the dimension."""
        if isinstance(which, int):
            if not -len(self) <= which < len(self):
                raise IndexError(f"trajectory {which} of {len(self)}")
            which = [which]
        return replace(self, u=self.u[which])

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
        """Every n-th point in x, so that `points` remain: the paper's 256.

        Values are kept as they are; derivatives on the coarser grid are only as good as it resolves the data.
        """
        if points < 8 or len(self.x) % points:
            raise UserError(f"`points` must be at least 8 and divide the {len(self.x)} points in x, got {points}")
        stride = len(self.x) // points
        return replace(self, x=self.x[::stride].contiguous(), u=self.u[..., ::stride].contiguous())

    def tail(self) -> Tensor:
        """The last eighth of the spectrum over its largest mode, ``[S]``: small where the grid resolves the data."""
        result = []
        for u in self.u:
            size = torch.fft.rfft(u, norm="forward").abs()
            largest = size.max(-1).values.clamp_min(torch.finfo(torch.float64).tiny)
            result.append((size[:, -max(size.shape[1] // 8, 1) :].max(-1).values / largest).max())
        return torch.stack(result)

    def derivatives(self, order: int) -> Tensor:
        """x-derivatives 0 ... order on the grid, ``[order + 1, S, T, X]``, spectral, round-off modes left out."""
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
        if len(self.t) < 9:
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


class BothSides:
    """``u_t`` and ``K`` of values ``[T, X]`` on the grid of some data, at times that have enough on either side.

    u_t is by central differences of an even order, K by spectral x-derivatives; they cancel on solutions.

    Raises:
        UserError: the order is odd, or there are not enough times for it.
    """

    def __init__(self, data: Trajectories, order: int) -> None:
        times, half = len(data.t), order // 2
        if order < 2 or order % 2 or times < order + 1:
            raise UserError(f"`order` must be even and below the number of times {times}, got {order}")
        self.equation, self.points, self.order = data.equation, len(data.x), order
        self.inside, self._near = slice(half, times - half), slice(half - 1, times - half + 1)
        self.weights = difference_weights(data.t, order)
        self._simple = difference_weights(data.t[self._near], 2)
        self._x, self._t = torch.broadcast_tensors(data.x, data.t[self.inside, None])
        self._ik = 1j * data._wavenumbers()

    def u_t(self, u: Tensor) -> Tensor:
        """``[T, X]`` to ``[T - order, X]``."""
        return torch.einsum("txw,tw->tx", u.unfold(0, self.order + 1, 1), self.weights)

    def simple_u_t(self, u: Tensor) -> Tensor:
        """The same by differences of order 2."""
        return torch.einsum("txw,tw->tx", u[self._near].unfold(0, 3, 1), self._simple)

    def K(self, v: Tensor) -> Tensor:
        """From the coefficients ``[T - order, modes]`` of `filtered` at the times ``inside``."""
        orders = range(self.equation.order + 1)
        derivatives = [torch.fft.irfft(v * self._ik**m, self.points, norm="forward") for m in orders]
        return self.equation.residual(self._x, self._t, derivatives, torch.zeros_like(self._x))

    def round_off(self, u: Tensor) -> float:
        """What rounding may leave of u_t."""
        return 100 * torch.finfo(torch.float64).eps * float(u.abs().max() * self.weights.abs().max())


def _float64(value: Any, name: str) -> Tensor:
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"`{name}` must be an array of real numbers, got {type(value).__name__}") from None
    if tensor.is_complex():
        raise UserError(f"`{name}` must be an array of real numbers, got complex ones")
    return tensor.detach().to("cpu", torch.float64).contiguous()


def data_coordinates(data: Trajectories, period: float | None) -> Coordinates:
    """The axes in whose units data are of size 1."""
    unit = 2.0 ** math.frexp(float(data.u.abs().max()))[1]  # squares of any data are finite, and the bits are the same
    return Coordinates(
        ("x", "t", "u"),
        periods=(period, None, None),
        offset=(float(data.x[0]), float(data.t[0]), 0.0),
        scale=(data.length, float(data.t[-1] - data.t[0]) or 1.0, unit * float((data.u / unit).std()) / SPREAD or 1.0),
    )
