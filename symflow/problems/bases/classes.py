"""Classes of vector fields, as linear combinations of finitely many: what a count is a count of.

In whitened units a class gives the values of its fields at points, their response to sensitivities, and a triangle T
with ``|T a|`` the RMS size of the combination a. Affine and polynomial fields have a product structure that makes all
three cheap; the others are asked point by point.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from symflow.fields import Coordinates

from ..residuals.frames import Frame

CHUNK = 4_000_000  # numbers of a table of fields at points that are held at once
MOST_COLUMNS = 2_000


@runtime_checkable
class Basis(Protocol):
    """Any vector fields whose combinations are looked at: every `symflow.Field` is one."""

    @property
    def coordinates(self) -> Coordinates:
        """The axes of the space."""

    @property
    def generators(self) -> int:
        """How many fields there are."""

    def __call__(self, points: Tensor) -> Tensor:
        """Normalised points ``[..., d]`` to vectors ``[..., K, d]``."""


class FieldClass(Protocol):
    """Fields on one space, in whitened units."""

    @property
    def columns(self) -> int:
        """The number m of fields."""

    def fields(self, points: Tensor) -> Tensor:
        """Whitened points ``[N, d]`` to whitened vectors ``[N, m, d]``, float64."""

    def rows(self, points: Tensor, gradients: Tensor) -> Tensor:
        """Responses ``sum_n g_n . V(w_n)``: ``[B, n, d]`` and ``[P, B, n, d]`` to ``[P, B, m]``."""

    def triangle(self, points: Tensor) -> Tensor:
        """T ``[m, m]`` with ``|T a|^2`` the mean square of a combination over points ``[N, d]``."""


def exponents(dimension: int, degree: int) -> list[tuple[int, ...]]:
    """The monomials up to a degree, simple ones first.

    >>> exponents(2, 1)
    [(0, 0), (1, 0), (0, 1)]
    """
    found = []
    for total in range(degree + 1):
        for chosen in itertools.combinations_with_replacement(range(dimension), total):
            found.append(tuple(chosen.count(i) for i in range(dimension)))
    return found


def monomials(points: Tensor, powers: Sequence[tuple[int, ...]]) -> Tensor:
    """Monomials at points ``[..., d]``, ``[..., F]``."""
    known: dict[tuple[int, ...], Tensor] = {}
    for power in powers:
        if not any(power):
            known[power] = torch.ones_like(points[..., 0])
            continue
        axis = max(i for i, p in enumerate(power) if p)
        lower = tuple(p - (i == axis) for i, p in enumerate(power))
        known[power] = known[lower] * points[..., axis]
    return torch.stack([known[power] for power in powers], -1)


def orthonormal_triangle(columns: Tensor) -> Tensor:
    """The triangle of a QR factorisation, square also where there are fewer rows than columns."""
    short = columns.shape[1] - columns.shape[0]
    if short > 0:
        columns = torch.cat([columns, columns.new_zeros(short, columns.shape[1])])
    triangle: Tensor = torch.linalg.qr(columns, mode="r")[1]
    return triangle


@dataclass(frozen=True)
class Polynomials:
    """Polynomial fields up to a degree, or the combinations ``[m, d, F]`` of them that a class allows."""

    dimension: int
    degree: int
    combine: Tensor | None = None

    @cached_property
    def powers(self) -> list[tuple[int, ...]]:
        """The monomials F."""
        return exponents(self.dimension, self.degree)

    @property
    def columns(self) -> int:
        """The number m of fields; component by component when all are allowed."""
        return self.dimension * len(self.powers) if self.combine is None else len(self.combine)

    def _combined(self, table: Tensor) -> Tensor:
        return table if self.combine is None else table @ self.combine.flatten(1).T

    def coefficients(self, combination: Tensor) -> Tensor:
        """Combinations ``[m, K]`` as coefficients of monomials, ``[K, d, F]``."""
        full = combination.T if self.combine is None else combination.T @ self.combine.flatten(1)
        return full.reshape(-1, self.dimension, len(self.powers))

    def fields(self, points: Tensor) -> Tensor:
        """Whitened vectors ``[N, m, d]``."""
        h = monomials(points, self.powers)
        if self.combine is not None:
            return torch.einsum("nf,mdf->nmd", h, self.combine)
        return torch.einsum("nf,cd->ncfd", h, torch.eye(self.dimension, dtype=h.dtype)).flatten(1, 2)

    def rows(self, points: Tensor, gradients: Tensor) -> Tensor:
        """``[P, B, m]``."""
        h = monomials(points, self.powers)
        return self._combined(torch.einsum("pbnd,bnf->pbdf", gradients, h).flatten(2))

    def triangle(self, points: Tensor) -> Tensor:
        """``[m, m]``."""
        one = orthonormal_triangle(monomials(points, self.powers)).contiguous() / len(points) ** 0.5
        whole = torch.kron(torch.eye(self.dimension, dtype=one.dtype), one)
        return whole if self.combine is None else orthonormal_triangle(self._combined(whole))


@dataclass(frozen=True)
class Given:
    """Somebody's own fields, evaluated in the units of their coordinates."""

    basis: Basis
    frame: Frame

    @property
    def columns(self) -> int:
        """The number of fields."""
        return self.basis.generators

    def fields(self, points: Tensor) -> Tensor:
        """Whitened vectors ``[N, m, d]``."""
        physical = self.frame.mean + points @ self.frame.root.T
        coordinates = self.basis.coordinates
        parameters = getattr(self.basis, "parameters", None)
        own = next(iter(parameters()), None) if callable(parameters) else None
        normalised = coordinates.to_normalised(physical)
        with torch.no_grad():
            values = self.basis(normalised if own is None else normalised.to(own)).double().cpu()
        return self.frame.whiten_vectors(coordinates.vectors_to_physical(values))

    def rows(self, points: Tensor, gradients: Tensor) -> Tensor:
        """``[P, B, m]``."""
        n, d = points.shape[1:]
        size = max(1, CHUNK // (n * d * self.columns))
        parts = []
        for start in range(0, len(points), size):
            some = points[start : start + size]
            values = self.fields(some.flatten(0, 1)).unflatten(0, some.shape[:2])
            parts.append(torch.einsum("pbnd,bnmd->pbm", gradients[:, start : start + size], values))
        return torch.cat(parts, 1)

    def triangle(self, points: Tensor) -> Tensor:
        """``[m, m]``, chunk by chunk."""
        size = max(self.columns, CHUNK // (points.shape[1] * self.columns))
        triangle = torch.zeros(0, self.columns, dtype=torch.float64)
        for some in points.split(size):
            columns = self.fields(some).transpose(1, 2).flatten(0, 1)
            triangle = orthonormal_triangle(torch.cat([triangle, columns]))
        root: float = len(points) ** 0.5
        return triangle / root


def field_class(fields: str | Basis, frame: Frame, coordinates: Coordinates) -> FieldClass:
    """The class of a name on one space.

    "affine" and "polynomial:k" are all polynomial fields up to the degree; "linear" are those that vanish at the origin
    of the physical coordinates; "isometric" are translations and rotations of the normalised ones, those that keep
    distances there.

    Raises:
        ValueError: there is no class of this name.
    """
    d = frame.dimension
    if not isinstance(fields, str):
        return Given(fields, frame)
    if fields == "affine":
        return Polynomials(d, 1)
    if fields == "linear":
        return Polynomials(d, 1, _affine(frame, [(unit(d, a, b), torch.zeros(d)) for a in range(d) for b in range(d)]))
    if fields == "isometric":
        scale = torch.tensor(coordinates.scale, dtype=torch.float64)
        shifts = [(torch.zeros(d, d), scale * torch.eye(d)[a]) for a in range(d)]
        turns = []
        for a, b in itertools.combinations(range(d), 2):
            turn = (unit(d, b, a) - unit(d, a, b)) * scale[:, None] / scale
            turns.append((turn, -turn @ torch.tensor(coordinates.offset, dtype=torch.float64)))
        return Polynomials(d, 1, _affine(frame, [*shifts, *turns]))
    name, _, degree = fields.partition(":")
    if name == "polynomial" and degree.isdecimal() and 1 <= int(degree) <= 9:
        return Polynomials(d, int(degree))
    raise ValueError(
        "`fields` must be 'linear', 'affine', 'isometric', 'polynomial:k' with k from 1 to 9, 'network' or fields to "
        f"combine, got {fields!r}"
    )


def unit(dimension: int, row: int, column: int) -> Tensor:
    """The matrix with one entry 1, float64."""
    matrix = torch.zeros(dimension, dimension, dtype=torch.float64)
    matrix[row, column] = 1.0
    return matrix


def _affine(frame: Frame, maps: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Fields ``z -> M z + b`` as combinations ``[m, d, 1 + d]`` of the whitened 1, w_1, ..., w_d."""
    rows = []
    for matrix, shift in maps:
        matrix, shift = matrix.double(), shift.double()
        constant = frame.inverse @ (matrix @ frame.mean + shift)
        rows.append(torch.cat([constant[:, None], frame.inverse @ matrix @ frame.root], 1))
    return torch.stack(rows)
