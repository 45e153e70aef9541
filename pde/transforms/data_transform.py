"""Transforms of gridded data as black boxes: does a transformed solution still solve its equation?

Trajectories of an evolution equation are made on a period and over a time in which all of its terms matter, and given
to the transform on grids of three spacings. The residual is taken with derivatives of local polynomials, fitted by
least squares on windows whose physical size is that of a fixed number of points of the coarsest grid: they need no
period, and what interpolation leaves between grid points does not grow with the order of the derivative. So the error
of a transform that is right but approximate falls with the spacing; what a wrong symmetry breaks stays.

A transform may spoil a part of the window, where it interpolates across its ends or beyond. The score is therefore a
median over points, and the share of points that are worse than a few times the median is reported beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError

from ..equations import BOXES, Equation, Manifold
from ..generation import generate, random_waves
from ..symmetries import SOFTENING
from ..trajectories import UNIFORM
from .user_function import GriddedSolution

PERIOD = 4 * math.pi  # of the trajectories, in units of the manifold's scale
WAVES, WAVENUMBERS, DEPTH = 4, (1, 2, 3), 0.15  # the initial values, DEPTH in units of the box of u
TRAJECTORIES = 3
REFINEMENTS = (1, 2, 4)
WIDTH = 6  # half a window, in points of the coarsest grid
SPARE_DEGREE = 7  # of the local polynomials, above the order of the derivative
COARSE_X, COARSE_T = 96, 48
REACH = 0.05  # how much a transform is to change the data, RMS relative to their spread
SMALLEST, LARGEST = 1e-4, 1e6  # parameters tried to that end
AT_FLOOR = 3.0  # times the residual of the data: as good as not transformed
SEEN = 10.0  # times the score: what the control must have for a transform to pass
OUTLIER = 30.0  # times the median: points that the transform spoiled
FALLS, STAYS = 0.6, 0.25  # orders of convergence

Change = Callable[[GriddedSolution, float], GriddedSolution]
"""Data and the parameter to data."""


@dataclass(frozen=True)
class Refined:
    """A transform of data at one parameter, on grids of decreasing spacing.

    Attributes:
        epsilon: as the function was given it.
        points: ``(T, X)`` of each grid.
        scores: median over points of the equation's relative residual of the transformed data, grid by grid.
        floors: the same for the data themselves.
        control: the score, on the finest grid, of the same transform followed by ``u -> u/(1 - c u)`` that changes the
            data as much, which must fail.
        spoiled: the share of points of the finest grid whose residual is more than `OUTLIER` times the median, above
            that in the data themselves.
    """

    epsilon: float
    points: tuple[tuple[int, int], ...]
    scores: tuple[float, ...]
    floors: tuple[float, ...]
    control: float
    spoiled: float

    @property
    def orders(self) -> tuple[float, float]:
        """Of convergence of the score in the spacing: over all grids, and between the last two."""
        first, middle, last = (max(s, 1e-300) for s in self.scores)
        return math.log2(first / last) / 2, math.log2(middle / last)

    @property
    def verdict(self) -> bool | None:
        """Whether the transformed data solve the equation; ``None`` where the grids do not tell."""
        overall, last = self.orders
        if self.scores[-1] <= AT_FLOOR * self.floors[-1] or (overall >= FALLS and last >= STAYS):
            return True if SEEN * self.scores[-1] <= self.control else None
        return False if overall < FALLS and last < STAYS else None


def trajectories(equation: Equation, seed: int) -> list[GriddedSolution]:
    """Solutions from random waves about the middle of the box in which the manifold is sampled, on the finest grid.

    Raises:
        UserError: the equation is no evolution equation, or cannot be solved on a period.
    """
    manifold = Manifold(equation)
    X, T, U = manifold.scale
    low, high = BOXES[manifold.box][1]
    finest = REFINEMENTS[-1]
    u0 = random_waves(TRAJECTORIES, seed, 64, waves=WAVES, wavenumbers=WAVENUMBERS, amplitude=1.0)
    u0 = U * ((low + high) / 2 + DEPTH * (high - low) * u0)
    for end in (T / 2, T / 8, T / 32):  # solutions of some equations do not live for long
        try:
            data = generate(
                equation,
                TRAJECTORIES,
                seed,
                length=PERIOD * X,
                end=end,
                steps=COARSE_T * finest + 1,
                keep=COARSE_T * finest + 1,
                initial=u0,
                resolution=COARSE_X * finest,
                tolerance=1e-9,
                workers=1,
            )
            return [GriddedSolution(data.x, data.t, u) for u in data.u]
        except UserError as error:
            failure = error
    raise UserError(f"a transform of data needs solutions on a period, but {failure}") from None


def coarsened(grid: GriddedSolution, stride: int) -> GriddedSolution:
    """Every n-th place and time."""
    return GriddedSolution(
        grid.x[::stride].contiguous(), grid.t[::stride].contiguous(), grid.u[::stride, ::stride].contiguous()
    )


def derivatives(grid: GriddedSolution, refinement: int, order: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, t, ``u[m]`` the m-th x-derivative and u_t inside a grid: ``[T', X']``, ``[order + 1, T', X']``.

    Raises:
        UserError: the grid has fewer points than a window, or x or t do not increase uniformly.
    """
    width = WIDTH * refinement
    steps = []
    for name, values in (("x", grid.x), ("t", grid.t)):
        if len(values) < 2 * width + 2:
            raise UserError(
                f"a transform of data must leave at least {2 * width + 2} points in {name}, got {len(values)}"
            )
        step = values.diff()
        if not bool((step > 0).all()) or float((step / step.mean() - 1).abs().max()) > UNIFORM:
            raise UserError(
                f"a transform of data must return a uniform, increasing {name}, "
                f"got spacings from {float(step.min()):g} to {float(step.max()):g}"
            )
        steps.append(float(step.mean()))
    along_x = smoothing_weights(width, order + SPARE_DEGREE, order, steps[0])
    along_t = smoothing_weights(width, 1 + SPARE_DEGREE, 1, steps[1])
    smooth = torch.einsum("txw,rw->rtx", grid.u.unfold(0, 2 * width + 1, 1), along_t)
    u_t = torch.einsum("txw,w->tx", smooth[1].unfold(1, 2 * width + 1, 1), along_x[0])
    u = torch.einsum("txw,mw->mtx", smooth[0].unfold(1, 2 * width + 1, 1), along_x)
    x, t = torch.broadcast_tensors(grid.x[width:-width], grid.t[width:-width, None])
    return x, t, u, u_t


def relative_residual(equation: Equation, grid: GriddedSolution, refinement: int) -> Tensor:
    """``F/sqrt(sum of squares of the terms of F)`` inside a grid, ``[T', X']`` (`derivatives`)."""
    F, squares = equation.residual_terms(*derivatives(grid, refinement, equation.order))
    return F / torch.sqrt(squares + SOFTENING * squares.median())


def smoothing_weights(width: int, degree: int, order: int, step: float = 1.0) -> Tensor:
    """Derivatives 0 ... order of the polynomial fitted to ``2 width + 1`` values a step apart, at their middle.

    Savitzky and Golay, *Analytical Chemistry* 36 (1964).

    Returns:
        ``[order + 1, 2 width + 1]``.

    >>> [round(w, 9) + 0.0 for w in smoothing_weights(2, 2, 1)[1].tolist()]
    [-0.2, -0.1, 0.0, 0.1, 0.2]
    """
    at = np.arange(-width, width + 1) / width
    basis = np.polynomial.legendre.legvander(at, degree)
    to_series = np.linalg.pinv(basis)
    rows = []
    for m in range(order + 1):
        slopes = [np.polynomial.legendre.legval(0.0, np.polynomial.legendre.legder(e, m)) for e in np.eye(degree + 1)]
        rows.append(np.asarray(slopes) @ to_series / (width * step) ** m)
    return torch.from_numpy(np.stack(rows)) + 0.0


def change(before: GriddedSolution, after: GriddedSolution) -> float:
    """How much a transform changed data, RMS, relative to the spread of u and to the extent of x and t."""
    if after.u.shape != before.u.shape:
        return math.inf
    spread = float(before.u.std()) or 1.0
    parts = [
        _rms(after.u - before.u) / spread,
        _rms(after.x - before.x) / float(before.x[-1] - before.x[0]),
        _rms(after.t - before.t) / float(before.t[-1] - before.t[0]),
    ]
    return max(parts) if all(math.isfinite(p) for p in parts) else math.inf


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def parameter(transform: Change, data: GriddedSolution) -> float:
    """A parameter at which the transform changes data by about `REACH`; the largest tried where it changes less.

    Functions may round their parameter, to whole grid points say, so small ones are not taken for the identity.
    """
    epsilon = last = SMALLEST
    while epsilon < LARGEST:
        moved = change(data, transform(data, epsilon))
        if moved >= REACH:
            return epsilon if moved < 3 * REACH or epsilon == SMALLEST else last
        if moved > REACH / 10:
            last = epsilon * REACH / moved
        epsilon *= 2.0
    return epsilon


def refined(
    transform: Change, equation: Equation, data: Sequence[GriddedSolution], epsilons: Sequence[float], name: str
) -> list[Refined]:
    """The residual of transformed data beside that of the data, on grids of decreasing spacing.

    Raises:
        UserError: transformed data are not finite at most points, or on no grid that can be judged.
    """
    grids = [[coarsened(grid, REFINEMENTS[-1] // r) for grid in data] for r in REFINEMENTS]
    alone = [[relative_residual(equation, grid, r) for grid in row] for r, row in zip(REFINEMENTS, grids, strict=True)]
    floors = tuple(max(_median(residuals), torch.finfo(torch.float64).eps) for residuals in alone)
    own = _outliers(alone[-1], floors[-1])
    results = []
    for epsilon in epsilons:
        scores, points = [], []
        for r, row in zip(REFINEMENTS, grids, strict=True):
            after = [transform(grid, epsilon) for grid in row]
            residuals = [relative_residual(equation, grid, r) for grid in after]
            finite = sum(int(torch.isfinite(residual).sum()) for residual in residuals)
            if 2 * finite < sum(residual.numel() for residual in residuals):
                raise UserError(
                    f"{name!r} must return finite data, got others at most points for epsilon = {epsilon:g}"
                )
            scores.append(_median(residuals))
            points.append((len(row[0].t), len(row[0].x)))
        spoiled = max(_outliers(residuals, max(scores[-1], floors[-1])) - own, 0.0)
        finest = grids[-1]
        c = REACH * float(finest[0].u.std()) / _rms(finest[0].u ** 2)
        spoilt = [GriddedSolution(g.x, g.t, g.u / (1.0 - c * g.u)) for g in after]
        control = _median([relative_residual(equation, grid, REFINEMENTS[-1]) for grid in spoilt])
        results.append(Refined(epsilon, tuple(points), tuple(scores), floors, control, spoiled))
    return results


def _outliers(residuals: Sequence[Tensor], score: float) -> float:
    values = torch.cat([r.abs().flatten() for r in residuals])
    return float((~(values <= OUTLIER * score)).double().mean())  # what is not finite is one


def _median(residuals: Sequence[Tensor]) -> float:
    values = torch.cat([r.abs().flatten() for r in residuals])
    return float(values[torch.isfinite(values)].median())


# ---------------------------------------------------------------- the generator


@dataclass(frozen=True)
class Rates:
    """What a transform of data does to first order: ``Q = du - u_x dx - u_t dt`` at points of solutions.

    Attributes:
        points: ``(x, t, u)``, ``[N, 3]``.
        columns: ``(-u_x, -u_t, 1)``, ``[N, 3]``: Q is their product with the generator.
        values: Q, ``[N]``.
    """

    points: Tensor
    columns: Tensor
    values: Tensor


def rates(transform: Change, data: Sequence[GriddedSolution], epsilon: float) -> Rates | None:
    """By central differences at a parameter; ``None`` where a transform changes the number of points.

    A grid that is moved counts by what happens to its points one by one.
    """
    refinement = REFINEMENTS[-1]
    width = WIDTH * refinement
    inside = (slice(width, -width, width // 4), slice(width, -width, width // 4))
    parts = []
    for grid in data:
        ahead, behind = transform(grid, epsilon), transform(grid, -epsilon)
        if ahead.u.shape != grid.u.shape or behind.u.shape != grid.u.shape:
            return None
        x, t, u, u_t = (v[..., :: width // 4, :: width // 4] for v in derivatives(grid, refinement, 1))
        speed = GriddedSolution(
            *((a - b) / (2 * epsilon) for a, b in zip(_arrays(ahead), _arrays(behind), strict=True))
        )
        Q = speed.u[inside] - u[1] * speed.x[inside[1]] - u_t * speed.t[inside[0], None]
        points, columns = torch.stack([x, t, u[0]], -1), torch.stack([-u[1], -u_t, torch.ones_like(u_t)], -1)
        parts.append((points.flatten(0, 1), columns.flatten(0, 1), Q.flatten()))
    result = Rates(*(torch.cat(p) for p in zip(*parts, strict=True)))
    return result if bool(torch.isfinite(result.values).all()) and bool(result.values.any()) else None


def _arrays(grid: GriddedSolution) -> tuple[Tensor, Tensor, Tensor]:
    return grid.x, grid.t, grid.u
