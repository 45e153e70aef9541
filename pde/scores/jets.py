"""Validity scores: how far the data, moved along a generator, are from solving their equation.

Every score is called with a field and gives one number per generator, differentiable, and has a ``floor``: the same
number for data that were not moved. The numbers are root mean squares over points of a residual relative to the size
of its own terms, so they mean the same for every equation and need no absolute threshold.

`InfinitesimalScore` is the limit of vanishing flow length: the determining condition on jets. `JetScore` moves the
Taylor polynomial of the solution surface through the flow. `pde.LocalScore` differentiates moved grid points by
the paper's local interpolation, for data whose derivatives are not available.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import sympy
import torch
from torch import Tensor

from symflow.fields import Coordinates, Field, Series, dtype_of, total_degree
from symflow.ops import jet_flow
from symflow.runs import one_thread

from ..equations import Equation, Index, Jets, JetSample
from ..symmetries import SOFTENING, relative_coefficients, row_factors, solution_lines


class Score(Protocol):
    """What the three scores have in common."""

    @property
    def floor(self) -> float:
        """The score of data that are not moved."""

    def __call__(self, field: Field) -> Tensor:
        """The score of each generator, ``[K]``, differentiable."""


def points_of(jets: Jets | JetSample, coordinates: Coordinates) -> Tensor:
    """The normalised points ``[N, d]`` of jets."""
    return coordinates.to_normalised(jets.points)


@one_thread()
def unit_weights(field: Field, points: Tensor) -> Tensor:
    """What makes each generator's root mean square over normalised points 1, ``[K]``; with its gradient."""
    return field(points).square().sum(-1).mean(0).rsqrt()


@dataclass(frozen=True)
class InfinitesimalScore:
    """``RMS (R/w)`` of each generator of unit size: the determining condition relative to its terms.

    R is ``pr V(F)`` on solutions and w the `term_scale`, as in `pde.symmetries.prolongation`. The floor
    is the rounding error of R: what is left of it when its exact value is 0, as for ``d/dx`` and ``d/dt`` in equations
    free of x and t.

    Args:
        equation: of the data.
        coordinates: of the fields.
        sample: points with the derivatives that are `prolongation.needed`.
    """

    equation: Equation
    coordinates: Coordinates
    sample: JetSample

    @cached_property
    def _relative(self) -> Tensor:
        """Coefficients ``[E, d, C, N]`` of normalised components in R/w, on derivatives."""
        return relative_coefficients(self.equation, self.sample, self.coordinates.scale)

    @cached_property
    @one_thread()
    def floor(self) -> float:
        """The rounding unit times the size of the terms that cancel."""
        return float(torch.finfo(torch.float64).eps * self._relative.square().sum((1, 2)).mean().sqrt())

    @one_thread()
    def __call__(self, field: Field) -> Tensor:
        """The score of each generator, ``[K]``; modules are evaluated in the type of their parameters."""
        lines = normalised(solution_lines(self.equation, self.sample), self.coordinates)
        lines = as_held(field, lines)
        vectors = field.series(lines).coefficients.double()  # [C, N, K, d]
        factors = vectors.new_tensor(row_factors(lines.truncation))
        R = torch.einsum("ecrn,rnkc->enk", self._relative * factors[:, None], vectors)
        return R.square().mean((0, 1)).sqrt() * unit_weights(field, lines.coefficients[0])


def as_held(field: Field, points: Series) -> Series:
    """Points in the type of a module's parameters, which it can be evaluated in."""
    held = dtype_of(field)
    return points if held is None else Series(points.truncation, points.coefficients.to(held))


def normalised(points: Series, coordinates: Coordinates) -> Series:
    """Truncated polynomials ``[C, ..., 3]`` of physical points in normalised units."""
    rows = coordinates.vectors_to_normalised(points.coefficients)
    return Series(points.truncation, torch.cat([coordinates.to_normalised(points.coefficients[:1]), rows[1:]]))


def physical(points: Series, coordinates: Coordinates) -> Series:
    """The inverse of `normalised`."""
    rows = coordinates.vectors_to_physical(points.coefficients)
    return Series(points.truncation, torch.cat([coordinates.to_physical(points.coefficients[:1]), rows[1:]]))


def surface_derivatives(surface: Series, unknowns: int, indices: Sequence[tuple[int, Index]]) -> list[Tensor]:
    """Derivatives of unknowns at the base points of surfaces ``(X_1 ... X_p, U_1 ... U_q)(s_1 ... s_p)``.

        D_i = sum_j (J^-1)_ji d/ds_j,    J_ij = dX_i/ds_j

    Args:
        surface: ``[C, N, p + q]`` over `series.total_degree` of at least the highest order.
        unknowns: q.
        indices: which unknown, and how often it is differentiated in each variable.

    Returns:
        ``[N]`` for each of the indices.
    """
    columns = [Series(surface.truncation, column) for column in surface.coefficients.unbind(-1)]
    X, U = columns[:-unknowns], columns[-unknowns:]
    p = len(X)
    inverse = _inverse([[X[i].derivative(j) for j in range(p)] for i in range(p)])
    known: dict[tuple[int, Index], Series] = {(a, (0,) * p): u for a, u in enumerate(U)}

    def derived(a: int, index: Index) -> Series:
        if (a, index) not in known:
            i = max(i for i, n in enumerate(index) if n)
            lower = derived(a, tuple(n - (j == i) for j, n in enumerate(index)))
            terms = [inverse[j][i] * lower.derivative(j) for j in range(p)]
            known[a, index] = sum(terms[1:], terms[0])
        return known[a, index]

    return [derived(a, index)[(0,) * p] for a, index in indices]


def _inverse(J: list[list[Series]]) -> list[list[Series]]:
    """The inverse of a matrix, by its adjugate."""
    p = range(len(J))
    adjugate = [[_cofactor(J, j, i) for j in p] for i in p]
    products = [J[0][k] * adjugate[k][0] for k in p]
    reciprocal = sum(products[1:], products[0]) ** -1
    return [[entry * reciprocal for entry in row] for row in adjugate]


def _cofactor(J: list[list[Series]], i: int, j: int) -> Series | float:
    """The signed minor without the i-th row and the j-th column; 1 of a single entry."""
    minor = [[entry for b, entry in enumerate(row) if b != j] for a, row in enumerate(J) if a != i]
    return 1.0 if not minor else -_determinant(minor) if (i + j) % 2 else _determinant(minor)


def _determinant(J: list[list[Series]]) -> Series:
    """By its first row."""
    if len(J) == 1:
        return J[0][0]
    terms = [J[0][k] * _cofactor(J, 0, k) for k in range(len(J))]
    return sum(terms[1:], terms[0])


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

    The surface ``s -> (x + s, u(x + s))`` through each point, a Taylor polynomial to the order of the equation, is
    carried through the flow, and the derivatives of the moved surface at the moved point follow exactly
    (`surface_derivatives`): no stencil, no grid. Half of the points move by `length` and half by ``-length``, in units
    in which the generator has unit size on the points.

    Args:
        equation: of the data.
        coordinates: of the fields.
        sample: points with all derivatives up to the order of the equation.
        length: of the flow.
        steps: of RK4.
    """

    equation: Equation
    coordinates: Coordinates
    sample: JetSample
    length: float = 0.2
    steps: int = 16

    @cached_property
    def surface(self) -> Series:
        """The solution surface through each point, ``[C, N, d]``, normalised."""
        space = self.equation.space
        p = len(space.independent)
        truncation = total_degree(self.equation.order, p)
        points = torch.zeros(len(truncation), len(self.sample), len(space.names), dtype=torch.float64)
        points[0] = self.sample.points
        for i, unit in enumerate(space.units):
            points[truncation.index[unit], :, i] = 1.0
        for k, index in enumerate(truncation.monomials):
            for a in range(len(space.dependent)):
                value = self.sample.values[space.symbol(a, index)]
                points[k, :, p + a] = value / math.prod(map(math.factorial, index))
        return normalised(Series(truncation, points), self.coordinates)

    @cached_property
    @one_thread()
    def floor(self) -> float:
        """The score of the surface where it is, at least the rounding unit.

        Terms that happen to cancel to the last bit where the surface is need not do so where it moves.
        """
        unit = torch.finfo(self.surface.coefficients.dtype).eps
        return max(float(self.residual(self.surface).square().mean().sqrt()), unit)

    def residual(self, surface: Series) -> Tensor:
        """``F/sqrt(sum of squares of the terms of F)`` at the base points of moved surfaces ``[C, N, d]``, normalised.

        Between 0 and the root of the number of terms, point by point, ``[N]``; for a system the root mean square.
        """
        residual, squares = self._terms(surface)
        relative = residual / torch.sqrt(squares + self.softening)
        relative = torch.where(torch.isfinite(relative), relative, self.worst)
        return relative[0] if len(relative) == 1 else relative.square().mean(0).sqrt()

    @property
    def worst(self) -> float:
        """The largest relative residual; points that a flow carries to infinity or folds count as this bad."""
        return max(math.sqrt(len(sympy.Add.make_args(F))) for F in self.equation.residuals)

    def _terms(self, surface: Series) -> tuple[Tensor, Tensor]:
        """Residuals and squared sizes, ``[E, N]``."""
        space = self.equation.space
        moved = physical(surface, self.coordinates)
        indices = sorted({entry for F in self.equation.residuals for entry in space.indices(F)})
        values = dict(zip(space.variables, moved.coefficients[0].unbind(-1), strict=True))
        derivatives = surface_derivatives(moved, len(space.dependent), indices)
        values |= {space.symbol(*entry): value for entry, value in zip(indices, derivatives, strict=True)}
        residuals, squares = zip(*self.equation.terms(values), strict=True)
        return torch.stack(residuals), torch.stack(squares)

    @cached_property
    def softening(self) -> Tensor:
        """What is added to the squared terms: a constant of the data, so that no point depends on those beside it."""
        return SOFTENING * self._terms(self.surface)[1].median(-1, keepdim=True).values

    @one_thread()
    def __call__(self, field: Field) -> Tensor:
        """The score of each generator, ``[K]``; modules are evaluated in the type of their parameters."""
        surface = as_held(field, self.surface)
        weights = unit_weights(field, surface.coefficients[0]) * self.length
        scores = []
        for k in range(field.generators):
            moved = both_ways(field.slot(k), surface, weights[k], self.steps)
            scores.append(self.residual(moved).square().mean().sqrt())
        return torch.stack(scores)
