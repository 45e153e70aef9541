"""Validity scores: how far the data, moved along a generator, are from solving their equation.

Every score is called with a field and gives one number per generator, differentiable, and has a ``floor``: the same
number for data that were not moved. The numbers are root mean squares over points of a residual relative to the size
of its own terms, so they mean the same for every equation and need no absolute threshold.

`InfinitesimalScore` is the limit of vanishing flow length: the determining condition on jets. `JetScore` moves the
Taylor polynomial of the solution surface through the flow. `pde.local.LocalScore` differentiates moved grid points by
the paper's local interpolation, for data whose derivatives are not available.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import sympy
import torch
from torch import Tensor

from symflow._jet_flow import jet_flow
from symflow.coordinates import Coordinates
from symflow.fields import Field
from symflow.series import Series, total_degree

from .data import Jets
from .equation import Equation
from .prolongation import determining_coefficients, row_factors, solution_lines, term_scale

SOFTENING = 1e-3  # of the median squared term size, added at every point: the median, because one soliton ruins a mean


class Score(Protocol):
    """What the three scores have in common."""

    @property
    def floor(self) -> float:
        """The score of data that are not moved."""

    def __call__(self, field: Field) -> Tensor:
        """The score of each generator, ``[K]``, differentiable."""


def points_of(jets: Jets, coordinates: Coordinates) -> Tensor:
    """The normalised points ``[N, 3]`` of jets."""
    return coordinates.to_normalised(torch.stack([jets.x, jets.t, jets.u[0]], -1))


def unit_weights(field: Field, points: Tensor) -> Tensor:
    """What makes each generator's root mean square over normalised points 1, ``[K]``; with its gradient."""
    return field(points).square().sum(-1).mean(0).rsqrt()


@dataclass(frozen=True)
class InfinitesimalScore:
    """``RMS (R/w)`` of each generator of unit size: the determining condition relative to its terms.

    R is the linearised condition ``D_F[Q]`` on solutions and w the `term_scale`, as in `pde.prolongation`. The floor
    is the rounding error of R: what is left of it when its exact value is 0, as for ``d/dx`` and ``d/dt`` in equations
    free of x and t.

    Args:
        equation: of the data.
        coordinates: of the fields.
        jets: points with derivatives up to `prolongation.jet_order`.
    """

    equation: Equation
    coordinates: Coordinates
    jets: Jets

    @cached_property
    def _relative(self) -> Tensor:
        """Coefficients ``[3, C, N]`` of normalised components in R/w, on derivatives."""
        C = determining_coefficients(self.equation, self.jets)
        scale = C.new_tensor(self.coordinates.scale)[:, None, None]
        return C * scale / term_scale(self.equation, self.jets, self.coordinates.scale)

    @cached_property
    def floor(self) -> float:
        """The rounding unit times the size of the terms that cancel."""
        return float(torch.finfo(torch.float64).eps * self._relative.square().sum((0, 1)).mean().sqrt())

    def __call__(self, field: Field) -> Tensor:
        """The score of each generator, ``[K]``."""
        lines = normalised(solution_lines(self.equation, self.jets), self.coordinates)
        vectors = field.series(lines).coefficients.double()  # [C, N, K, 3]
        factors = vectors.new_tensor(row_factors(lines.truncation))
        R = torch.einsum("crn,r,rnkc->nk", self._relative, factors, vectors)
        return R.square().mean(0).sqrt() * unit_weights(field, lines.coefficients[0])


def normalised(points: Series, coordinates: Coordinates) -> Series:
    """Truncated polynomials ``[C, ..., 3]`` of physical points in normalised units."""
    rows = coordinates.vectors_to_normalised(points.coefficients)
    return Series(points.truncation, torch.cat([coordinates.to_normalised(points.coefficients[:1]), rows[1:]]))


def physical(points: Series, coordinates: Coordinates) -> Series:
    """The inverse of `normalised`."""
    rows = coordinates.vectors_to_physical(points.coefficients)
    return Series(points.truncation, torch.cat([coordinates.to_physical(points.coefficients[:1]), rows[1:]]))


def surface_derivatives(surface: Series, order: int) -> tuple[list[Tensor], Tensor]:
    """``U, U_X, ..., U_X^order`` and ``U_T`` at the base points of surfaces ``(X, T, U)(s, r)``.

        D_X = (T_r d_s - T_s d_r)/J,    D_T = (X_s d_r - X_r d_s)/J,    J = X_s T_r - X_r T_s

    Args:
        surface: ``[C, N, 3]`` over `series.total_degree` of at least `order`.
        order: of the highest x-derivative.
    """
    X, T, U = (Series(surface.truncation, column) for column in surface.coefficients.unbind(-1))
    X_s, X_r, T_s, T_r = X.derivative(0), X.derivative(1), T.derivative(0), T.derivative(1)
    inverse = (X_s * T_r - X_r * T_s) ** -1
    along_s, along_r = T_r * inverse, T_s * inverse
    derivatives = [U]
    for _ in range(order):
        last = derivatives[-1]
        derivatives.append(along_s * last.derivative(0) - along_r * last.derivative(1))
    U_T = (X_s[0, 0] * U[0, 1] - X_r[0, 0] * U[1, 0]) * inverse[0, 0]
    return [d[0, 0] for d in derivatives], U_T


def both_ways(field: Field, surface: Series, weight: Tensor, steps: int) -> Series:
    """Surfaces ``[C, N, d]`` moved along the single generator of a field, every second one against it."""
    count = surface.coefficients.shape[1]
    even = surface.coefficients[:, [*range(count), *[-1] * (count % 2)]]  # an odd one out goes twice
    rows = Series(surface.truncation, even.unflatten(1, (-1, 2)).transpose(1, 2).contiguous())
    moved = jet_flow(field, rows, torch.stack([weight, -weight])[:, None], steps=steps).coefficients
    return Series(surface.truncation, moved.transpose(1, 2).flatten(1, 2)[:, :count])


@dataclass(frozen=True)
class JetScore:
    """``RMS F/|terms of F|`` of the solution surface moved along each generator.

    The surface ``(s, r) -> (x + s, t + r, u(x + s, t + r))`` through each point, a Taylor polynomial to the order of
    the equation, is carried through the flow to ``(X, T, U)(s, r)``, and ``U_X, U_XX, ..., U_T`` at the moved point
    follow exactly (`surface_derivatives`): no stencil, no grid. Half of the points move by `length` and half by
    ``-length``, in units in which the generator has unit size on the points.

    Args:
        equation: of the data.
        coordinates: of the fields.
        jets: points with derivatives up to ``equation.jet_order(total_degree(equation.order))``.
        length: of the flow.
        steps: of RK4.
    """

    equation: Equation
    coordinates: Coordinates
    jets: Jets
    length: float = 0.2
    steps: int = 16

    @cached_property
    def surface(self) -> Series:
        """The solution surface through each point, ``[C, N, 3]``, normalised."""
        truncation = total_degree(self.equation.order)
        u = self.equation.surface(self.jets.x, self.jets.t, self.jets.u, truncation).coefficients
        points = torch.zeros(*u.shape, 3, dtype=u.dtype)
        points[..., 2] = u
        points[0, :, 0], points[0, :, 1] = self.jets.x, self.jets.t
        points[truncation.index[1, 0], :, 0] = 1.0
        points[truncation.index[0, 1], :, 1] = 1.0
        return normalised(Series(truncation, points), self.coordinates)

    @cached_property
    def floor(self) -> float:
        """The score of the surface where it is, at least the rounding unit.

        Terms that happen to cancel to the last bit where the surface is need not do so where it moves.
        """
        unit = torch.finfo(self.surface.coefficients.dtype).eps
        return max(float(self.residual(self.surface).square().mean().sqrt()), unit)

    def residual(self, surface: Series) -> Tensor:
        """``F/sqrt(sum of squares of the terms of F)`` at the base points of moved surfaces ``[C, N, 3]``, normalised.

        Between 0 and the root of the number of terms, point by point, ``[N]``.
        """
        residual, squares = self._terms(surface)
        relative = residual / torch.sqrt(squares + self.softening)
        return torch.where(torch.isfinite(relative), relative, self.worst)

    @property
    def worst(self) -> float:
        """The largest relative residual; points that a flow carries to infinity or folds count as this bad."""
        return math.sqrt(1 + len(sympy.Add.make_args(self.equation.K)))

    def _terms(self, surface: Series) -> tuple[Tensor, Tensor]:
        moved = physical(surface, self.coordinates)
        X, T = moved.coefficients[0, :, :2].unbind(-1)
        u, u_t = surface_derivatives(moved, self.equation.order)
        return self.equation.residual_terms(X, T, u, u_t)

    @cached_property
    def softening(self) -> float:
        """What is added to the squared terms: a constant of the data, so that no point depends on those beside it."""
        return SOFTENING * float(self._terms(self.surface)[1].median())

    def __call__(self, field: Field) -> Tensor:
        """The score of each generator, ``[K]``."""
        weights = unit_weights(field, self.surface.coefficients[0]) * self.length
        scores = []
        for k in range(field.generators):
            moved = both_ways(field.slot(k), self.surface, weights[k], self.steps)
            scores.append(self.residual(moved).square().mean().sqrt())
        return torch.stack(scores)
