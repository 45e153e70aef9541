"""Trajectories of a scalar equation on a periodic line: made by a solver or loaded, and sampled as jets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Coordinates
from symflow.runs import one_thread, processes

from ..equations import Equation, Jets, entry, lookup
from . import solvers

UNIFORM = 1e-6  # relative deviation of a spacing from the mean spacing
PLATEAU = 1e-14  # modes below this, relative to the largest, are round-off and take no part in derivatives
RESOLVED = 1e-6  # the tail of the spectrum above which generated data do not go on a grid unasked
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
        _check_order(order)
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

        >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=5, end=2.0)
        >>> data.jets(100, order=3, seed=1).u.shape
        torch.Size([4, 100])
        """
        if not isinstance(count, int) or not 1 <= count <= MOST_JETS:
            raise UserError(f"`count` must be an integer from 1 to {MOST_JETS}, got {count!r}")
        _check_order(order)
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(self.u.shape[0] * self.u.shape[1], (count,), generator=generator)
        at = torch.rand(count, generator=generator, dtype=torch.float64) * self.length
        u = torch.empty(order + 1, count, dtype=torch.float64)
        k = self._wavenumbers()
        flat = self.u.reshape(-1, len(self.x))
        for part in torch.arange(count).split(1024):  # bounds the memory: 1,024 rows of phases
            v = filtered(flat[rows[part]])
            used = int(v.abs().amax(0).nonzero().max()) + 1 if bool(v.any()) else 1
            v, ik = v[:, :used], 1j * k[:used]
            v = v * torch.exp(ik * at[part, None])
            v[:, 1:] *= 2
            for m in range(order + 1):
                u[m, part] = v.real.sum(-1)
                v = v * ik
        return Jets(self.x[0] + at, self.t[rows % len(self.t)], u)

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
        balance = Balance(self, order)
        smooth = torch.arange((len(self.x) + 1) // 2) < 2 * ((len(self.x) + 1) // 2) / 3
        sums = torch.zeros(5, dtype=torch.float64)
        for u in self.u[:: max(1, len(self) // 32)]:
            u_t, v = balance.u_t(u), filtered(u[balance.inside])
            K = balance.K(v)
            parts = (u_t + K, u_t, K, u_t - balance.simple_u_t(u), K - balance.K(v * smooth))
            sums += torch.stack([part.square().mean() for part in parts])
            round_off = balance.round_off(u)
            sums[1:3] += round_off * round_off
        if not bool(sums[1:3].all()):
            return 0.0, 0.0
        if not bool(sums.isfinite().all()):
            return math.inf, math.inf
        miss, size_t, size_x, doubt_t, doubt_x = sums.tolist()
        return math.sqrt(miss / (size_t + size_x)), math.sqrt(doubt_t / size_t + doubt_x / size_x)


class Balance:
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


def _check_order(order: int) -> None:
    if not isinstance(order, int) or not 0 <= order <= HIGHEST_JET:
        raise UserError(f"`order` must be an integer from 0 to {HIGHEST_JET}, got {order!r}")


def _float64(value: Any, name: str) -> Tensor:
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"`{name}` must be an array of real numbers, got {type(value).__name__}") from None
    if tensor.is_complex():
        raise UserError(f"`{name}` must be an array of real numbers, got complex ones")
    return tensor.detach().to("cpu", torch.float64).contiguous()


def filtered(u: Tensor) -> Tensor:
    """Fourier coefficients of rows ``[..., X]`` below the highest cosine, zero where only round-off is left."""
    points = u.shape[-1]
    v = torch.fft.rfft(u, norm="forward")[..., : (points + 1) // 2]
    size = v.abs()
    meaningful = size > PLATEAU * size.amax(-1, keepdim=True)
    # from the last meaningful mode on, nothing is kept: a smooth function, not one with gaps
    return v * meaningful.to(torch.uint8).flip(-1).cummax(-1).values.flip(-1)


def difference_weights(t: Tensor, order: int) -> Tensor:
    """Weights ``[T - order, order + 1]`` of d/dt at the middle of each window of ``order + 1`` times.

    Lagrange's polynomial through the window, differentiated; for uniform times the central differences.
    """
    windows = t.unfold(0, order + 1, 1)
    middle = windows[:, order // 2]
    offsets = windows - middle[:, None]
    weights = torch.zeros_like(offsets)
    for w in range(order + 1):
        if w == order // 2:
            continue
        others = [n for n in range(order + 1) if n not in (w, order // 2)]
        value = 1.0 / offsets[:, w]
        for n in others:
            value = value * offsets[:, n] / (offsets[:, n] - offsets[:, w])
        weights[:, w] = value
    weights[:, order // 2] = -weights.sum(1)
    return weights


def random_waves(
    samples: int, seed: int, points: int, *, waves: int, wavenumbers: Sequence[int], amplitude: float = 0.5
) -> np.ndarray:
    """Initial values ``sum_i A_i sin(2 pi l_i x/L + phi_i)`` on a uniform grid, ``[samples, points]``.

    ``A ~ U(-amplitude, amplitude)``, l from `wavenumbers`, ``phi ~ U(0, 2 pi)``. Row i depends on (seed, i) alone.
    """
    u = np.empty((samples, points))
    theta = 2 * np.pi * np.arange(points) / points
    for i in range(samples):
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, i))))
        A = amplitude * (2 * random.random(waves) - 1)
        which = np.minimum((random.random(waves) * len(wavenumbers)).astype(int), len(wavenumbers) - 1)
        phase = 2 * np.pi * random.random(waves)
        angle = np.asarray(wavenumbers)[which, None] * theta + phase[:, None]
        u[i] = sum(a * np.sin(row) for a, row in zip(A, angle, strict=True))
    return u


def generate(
    equation: str | Equation,
    samples: int,
    seed: int = 0,
    *,
    length: float | None = None,
    end: float | None = None,
    steps: int | None = None,
    keep: int | None = None,
    waves: int | None = None,
    wavenumbers: Sequence[int] | None = None,
    amplitude: float = 0.5,
    initial: Any = None,
    resolution: int | None = None,
    tolerance: float | None = None,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trajectories:
    """Trajectories of an equation from random initial waves, at the paper's settings unless told otherwise.

    ``u0 = sum_i A_i sin(2 pi l_i x/L + phi_i)``, ``A ~ U(-amplitude, amplitude)``, ``phi ~ U(0, 2 pi)``; solved from
    t = 0 to `end` (`pde.solvers`), of which the last `keep` of `steps` equidistant times, 0 and `end` included, are
    kept.

    Convention: trajectory i of a seed is the same, bit for bit, whatever `samples` and `workers` are; shards of a
    large data set take different seeds.

    Args:
        equation: a name of the catalogue, or any evolution equation whose highest x-derivative is linear.
        samples: number of trajectories.
        seed: of the initial waves.
        length, end, steps, keep, waves, wavenumbers: from the catalogue by default; an equation that is not there
            needs `length` and `end`, and takes 250 steps, the last 140 kept, and 10 waves of l in {1, 2}.
        initial: u at t = 0 instead of random waves, ``[samples, any number of points]`` on the uniform grid from 0.
        resolution: points of the stored grid; by default the catalogue's, on which the data are resolved.
        tolerance: relative error per output interval that the step is chosen for; by default the catalogue's, and
            1e-9 for other equations.
        workers: processes, at most one per 8 trajectories; by default one per available processor.
        progress: called with the fraction that is done.

    Raises:
        UserError: an argument out of range, or a trajectory that cannot be solved or does not fit the grid.

    >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=5, end=2.0)
    >>> data.t.tolist()[-1]
    2.0
    """
    if isinstance(equation, str) and "=" not in equation:
        name: str | None = equation.lower()
        known = entry(equation)
        equation = known.equation
        defaults = dict(known.settings)
    else:
        equation = Equation(equation) if isinstance(equation, str) else equation
        if not isinstance(equation, Equation):
            raise UserError(f"`equation` must be a name or an Equation, got {type(equation).__name__}")
        found = lookup(equation)
        name, defaults = (found[0], dict(found[1].settings)) if found else (None, {})
    given = {"length": length, "end": end, "steps": steps, "keep": keep, "waves": waves, "tolerance": tolerance}
    for key, value in given.items():
        if value is not None:
            defaults[key] = value
    if wavenumbers is not None:
        defaults["wavenumbers"] = tuple(int(n) for n in wavenumbers)
    for key in ("length", "end"):
        if key not in defaults:
            raise UserError(f"`{key}` must be given for {equation.text!r}, which is not in the catalogue")
    chosen: dict[str, Any] = {
        "steps": 250,
        "waves": 10,
        "wavenumbers": (1, 2),
        "resolution": 512,
        "tolerance": solvers.TOLERANCE,
    } | defaults
    if keep is None and isinstance(chosen["steps"], int):
        chosen["keep"] = min(chosen.get("keep", 140), chosen["steps"])
    asked = resolution is not None
    if asked:
        chosen["resolution"] = resolution
    for key in ("length", "end", "tolerance"):
        chosen[key] = _number(key, chosen[key], 0.0)
    _number("amplitude", amplitude, 0.0)
    _integer("samples", samples, 1)
    _integer("seed", seed, 0)
    if workers is not None:
        _integer("workers", workers, 1)
    _integer("steps", chosen["steps"], 2)
    _integer("waves", chosen["waves"], 1)
    _integer("resolution", chosen["resolution"], 8, 2 * solvers.MOST_MODES)
    _integer("keep", chosen["keep"], 1, chosen["steps"])
    if not chosen["wavenumbers"] or not 0 <= min(chosen["wavenumbers"]) <= max(chosen["wavenumbers"]) <= 4096:
        raise UserError(f"`wavenumbers` must be integers from 0 to 4096, got {chosen['wavenumbers']}")

    size = 8.0 * samples * chosen["keep"] * chosen["resolution"]
    if size > processes.memory():
        raise UserError(
            f"{samples} trajectories take {size / 1e9:.3g} GB, more than the memory; "
            "make them in parts with other seeds"
        )
    if initial is None:
        points = 2 * max(solvers.FEWEST_MODES, max(chosen["wavenumbers"]) + 1)
        u0 = random_waves(
            samples, seed, points, waves=chosen["waves"], wavenumbers=chosen["wavenumbers"], amplitude=amplitude
        )
    else:
        u0 = _float64(initial, "initial").numpy()
        if u0.ndim != 2 or u0.shape[0] != samples or u0.shape[1] < 4 or not np.isfinite(u0).all():
            raise UserError(f"`initial` must be finite with shape [samples = {samples}, points], got {list(u0.shape)}")
    times = np.linspace(0.0, chosen["end"], chosen["steps"])
    u = solvers.solve(
        equation,
        u0,
        times,
        length=chosen["length"],
        resolution=chosen["resolution"],
        keep=chosen["keep"],
        tolerance=chosen["tolerance"],
        workers=workers,
        progress=progress,
    )
    settings = chosen | {"wavenumbers": list(chosen["wavenumbers"]), "amplitude": amplitude}
    if initial is not None:
        settings = {k: v for k, v in settings.items() if k not in ("waves", "wavenumbers", "amplitude")}
    data = Trajectories(
        equation=equation,
        x=torch.arange(chosen["resolution"], dtype=torch.float64) * (chosen["length"] / chosen["resolution"]),
        t=torch.from_numpy(times[-chosen["keep"] :].copy()),
        u=torch.from_numpy(u),
        name=name,
        seed=seed if initial is None else None,
        settings=settings,
    )
    tail = data.tail()
    if not asked and float(tail.max()) > RESOLVED:
        raise UserError(
            f"{chosen['resolution']} points do not resolve trajectory {int(tail.argmax())}: its spectrum ends at "
            f"{float(tail.max()):.1g} of the largest mode; give `resolution` a larger value"
        )
    return data


def _number(name: str, value: Any, above: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > above):
        raise UserError(f"`{name}` must be a number above {above:g}, got {value!r}")
    return float(value)


def _integer(name: str, value: Any, least: int, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UserError(f"`{name}` must be an integer {limits}, got {value!r}")


def data_coordinates(data: Trajectories, period: float | None) -> Coordinates:
    """The axes in whose units data are of size 1."""
    return Coordinates(
        ("x", "t", "u"),
        periods=(period, None, None),
        offset=(float(data.x[0]), float(data.t[0]), 0.0),
        scale=(data.length, float(data.t[-1] - data.t[0]) or 1.0, float(data.u.std()) / SPREAD),
    )
