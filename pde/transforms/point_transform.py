"""Point transforms as black boxes: what they do to solutions, and whether they form a group.

A solution surface through each of many random jets on the manifold of the equation, a polynomial ``u(x + s)`` of the
equation's order, is evaluated on a small Chebyshev grid in s and transformed point by point. The Taylor coefficients
of the moved surface ``(X, T, U)(s)`` are those of its interpolant, and the derivatives there follow as for any moved
surface (`scores.surface_derivatives`). The function may be any code: nothing is differentiated through it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Coordinates, Series, total_degree

from ..equations import Equation, JetSample, Manifold
from ..scores import JetScore

RADII = tuple(
    2.0 ** (-k / 2) for k in range(8)
)  # of the grids, in units of the manifold's scale: the best is taken, point by point
SPARE_NODES = 9  # per direction, above the order of the equation
JETS, JETS_3D = 200, 60
UNSURE = 1e-8  # points where two radii disagree by more, in the relative residual, are left out;
WORST = 30.0  # where rounding is larger, those where they disagree by more than so many times the median
SMOOTH = 1e-2  # what the median must be below
LEAST_SHARE = 0.5  # of the points that must be left

STILL = 1e-13  # normalised: points that move less do not move

Move = Callable[[Tensor, float], Tensor]
"""Physical points ``[..., d]`` and the parameter to physical points."""


# ---------------------------------------------------------------- the finite transform


@dataclass(frozen=True)
class Surfaces:
    """Solution surfaces of an equation through random jets, to be moved by anything.

    Args:
        equation: any.
        seed: of the jets.
    """

    equation: Equation
    seed: int

    @cached_property
    def score(self) -> JetScore:
        """The jets with the relative residual of moved surfaces."""
        manifold = Manifold(self.equation)
        count = JETS if len(self.equation.space.independent) == 2 else JETS_3D
        return JetScore(self.equation, manifold.coordinates, manifold.sample(count, self.seed))

    @property
    def sample(self) -> JetSample:
        return self.score.sample

    @property
    def coordinates(self) -> Coordinates:
        return self.score.coordinates

    @cached_property
    def _lengths(self) -> list[float]:
        return list(Manifold(self.equation).scale[: len(self.equation.space.independent)])

    @cached_property
    def stencils(self) -> Tensor:
        """Points of the surfaces ``[radii, nodes, N, d]``, physical, for a transform to move."""
        surface, p = self.score.surface, len(self._lengths)
        nodes = chebyshev.chebpts1(self.equation.order + SPARE_NODES)
        grid = np.stack([g.ravel() for g in np.meshgrid(*[nodes] * p, indexing="ij")], -1)
        s = (
            torch.tensor(RADII, dtype=torch.float64)[:, None, None]
            * torch.from_numpy(grid)
            * torch.tensor(self._lengths, dtype=torch.float64)
        )
        powers = torch.stack([(s ** torch.tensor(m)).prod(-1) for m in surface.truncation.monomials])
        points = torch.einsum("crg,cnd->rgnd", powers, surface.coefficients)
        return self.coordinates.to_physical(points)

    def residual(self, after: Tensor) -> tuple[Tensor, Tensor]:
        """The relative residual on moved surfaces, and how unsure it is, ``[N]``; not finite where they are not.

        At each point two radii that follow one another are taken: those whose Taylor coefficients agree best. How much
        their residuals differ is how unsure the first is.

        Args:
            after: where the `stencils` went.
        """
        p, order = len(self._lengths), self.equation.order
        values = self.coordinates.to_normalised(after)
        count = order + SPARE_NODES
        fit = taylor_matrix(count, order)
        values = values.unflatten(1, (count,) * p)
        for _ in range(p):
            values = torch.tensordot(values, fit, dims=([1], [1]))  # the fitted axis goes last
        truncation = total_degree(order, p)
        rows = torch.stack([values[(Ellipsis,) + m] for m in truncation.monomials])  # [C, radii, N, d], of the radius
        degrees = torch.tensor([sum(m) for m in truncation.monomials])
        radii = torch.tensor(RADII, dtype=torch.float64)
        rows = rows / radii[None, :, None, None] ** degrees[:, None, None, None]
        apart = (rows[:, 1:] - rows[:, :-1]).abs() / (1.0 + rows[:, :-1].abs())
        apart = torch.where(torch.isfinite(apart), apart, math.inf).amax((0, 3))  # [radii - 1, N]
        best = apart.argmin(0)
        each = torch.arange(rows.shape[2])
        first, second = rows[:, best, each], rows[:, best + 1, each]
        residuals = [self.score.residual(Series(truncation, r)) for r in (first, second)]
        lost = torch.isinf(apart.amin(0))
        residual = torch.where(lost, math.nan, residuals[0])
        return residual, (residual - residuals[1]).abs()

    @cached_property
    def still(self) -> float:
        """The score of surfaces that are not moved."""
        return rms(self.residual(self.stencils)[0])


def taylor_matrix(count: int, order: int) -> Tensor:
    """From values at `count` Chebyshev points of [-1, 1] to the interpolant's Taylor coefficients at 0.

    Returns:
        ``[order + 1, count]``.

    >>> nodes = torch.from_numpy(chebyshev.chebpts1(6))
    >>> [round(c, 9) + 0.0 for c in (taylor_matrix(6, 2) @ (3.0 + nodes**2)).tolist()]
    [3.0, 0.0, 1.0]
    """
    nodes = chebyshev.chebpts1(count)
    to_series = chebyshev.chebvander(nodes, count - 1).T * (2.0 / count)  # discrete orthogonality
    to_series[0] /= 2.0
    to_powers = np.zeros((order + 1, count))
    for j in range(count):
        power = chebyshev.cheb2poly(np.eye(count)[j][: j + 1])[: order + 1]
        to_powers[: len(power), j] = power
    return torch.from_numpy(to_powers @ to_series)


@dataclass(frozen=True)
class Moved:
    """The finite transform at one parameter.

    Attributes:
        epsilon: as the function was given it.
        score: RMS over random jets of the equation's relative residual on the moved surfaces.
        floor: the same without a transform, or how far two stencils disagree, whichever is larger.
        control: the score of the same transform followed by ``u -> u/(1 - c u)`` of equal size, which must fail.
        share: of the jets that could be moved.
    """

    epsilon: float
    score: float
    floor: float
    control: float
    share: float


def _limit(unsure: Tensor) -> float:
    """How unsure a point may be."""
    finite = unsure[torch.isfinite(unsure)]
    median = float(finite.median()) if len(finite) else math.inf
    return max(UNSURE, WORST * median) if median < SMOOTH else -1.0


def rms(values: Tensor) -> float:
    """The root mean square."""
    return float(values.square().mean().sqrt()) if len(values) else math.nan


def moved(surfaces: Surfaces, transform: Move, epsilon: float, name: str) -> Moved:
    """What a transform does to solutions.

    Raises:
        UserError: it is not finite at most points.
    """
    points, coordinates = surfaces.sample.points, surfaces.coordinates
    shift = coordinates.vectors_to_normalised(transform(points, epsilon) - points).norm(dim=-1)
    length = float(shift[torch.isfinite(shift)].median()) if bool(torch.isfinite(shift).any()) else 0.0
    u = len(surfaces.equation.space.independent)
    c = length * coordinates.scale[u] / rms(points[:, u] ** 2)

    after = transform(surfaces.stencils, epsilon)
    residual, unsure = surfaces.residual(after)
    limit = _limit(unsure)
    kept = unsure <= limit
    share = float(kept.double().mean())
    if share < LEAST_SHARE:
        bad = ~torch.isfinite(residual)
        if float(bad.double().mean()) > 1.0 - LEAST_SHARE:
            where = ", ".join(
                f"{n} = {v:.3g}" for n, v in zip(surfaces.equation.space.names, points[bad][0].tolist(), strict=True)
            )
            raise UserError(
                f"{name!r} must have finite values near most points, got none at {where} for epsilon = {epsilon:g}"
            )
        raise UserError(
            f"{name!r} must be a smooth function of the points, got one without stable derivatives "
            f"for epsilon = {epsilon:g}"
        )
    spoiled = after.clone()
    spoiled[..., u] = after[..., u] / (1.0 - c * after[..., u])
    control, of_control = surfaces.residual(spoiled)
    unit = torch.finfo(torch.float64).eps
    return Moved(
        epsilon,
        rms(residual[kept]),
        max(surfaces.still, rms(unsure[kept]), unit),
        rms(control[of_control <= _limit(of_control)]),
        share,
    )


# ---------------------------------------------------------------- the group


@dataclass(frozen=True)
class GroupLaw:
    """Whether ``f(., 0)`` is the identity and ``f(f(., a), b) = f(., a + b)``.

    Attributes:
        identity: RMS distance that epsilon = 0 moves points, in units of the box they are in.
        composition: the same between the two sides, over how far ``a + b`` moves them.
    """

    identity: float
    composition: float


def group_law(transform: Move, points: Tensor, coordinates: Coordinates, lengths: Sequence[float]) -> GroupLaw:
    """Measured at points ``[N, d]``, physical, with parameters a and b."""
    a, b = lengths

    def distance(first: Tensor, second: Tensor) -> float:
        gap = coordinates.vectors_to_normalised(first - second).norm(dim=-1)
        return rms(gap[torch.isfinite(gap)])

    both = transform(points, a + b)
    apart = distance(transform(transform(points, a), b), both)
    return GroupLaw(distance(transform(points, 0.0), points), apart / max(distance(both, points), STILL))
