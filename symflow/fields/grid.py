"""Vector fields tabulated on a regular grid, for flows at the speed of training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symflow.arrays import as_tensor, takes_arrays
from symflow.fields.coordinates import Coordinates
from symflow.fields.field import Field
from symflow.fields.planes import Plotted
from symflow.fields.series import Series


@dataclass(frozen=True)
class Table:
    """The function of a `GridField`: what it computes, apart from who owns the values.

    ``values`` are ``[K, n_1, ..., n_d, d]``; ``lower`` and ``upper`` are the ends of the box the nodes span, on a
    periodic axis those of one period.
    """

    coordinates: Coordinates
    values: Tensor
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    def generators(self) -> int:
        """The number K of vector fields."""
        return self.values.shape[0]

    def __call__(self, points: Tensor) -> Tensor:
        """``points [..., d]`` to ``vectors [..., K, d]``, both normalised."""
        places = [self._place(axis, z) for axis, z in enumerate(points.unbind(-1))]
        total = points.new_zeros(())
        for corner, share in self._corners([cell for _, cell in places], [s - cell for s, cell in places]):
            total = total + share[..., None, None] * corner
        return total

    def series(self, points: Series) -> Series:
        """The same on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, d]``, by the cell of each point."""
        places = [self._place(axis, z) for axis, z in enumerate(points.coefficients[0].unbind(-1))]
        fractions = []
        for axis, (s, cell) in enumerate(places):
            count = self.values.shape[1 + axis]
            # Beyond the box the polynomial is constant, like the field.
            moves = self._rate(axis) * (torch.ones_like(s) if self._periodic(axis) else (s >= 0) & (s < count - 1))
            rows = [s - cell, *(moves * points.coefficients[1:, ..., axis])]
            fractions.append(Series(points.truncation, torch.stack(rows)))
        total = points.coefficients.new_zeros(())
        for corner, share in self._corners([cell for _, cell in places], fractions):
            total = total + share.coefficients[..., None, None] * corner
        return Series(points.truncation, total)

    def slot(self, k: int) -> Table:
        """The k-th vector field alone, with the same values."""
        return Table(self.coordinates, self.values[k : k + 1], self.lower, self.upper)

    def derivative(self, axis: int) -> Table:
        """The table of the derivative along an axis, by differences of second order at the nodes.

        Central ones, at the ends of a box one-sided ones over three nodes. The error falls with the square of the
        spacing everywhere, where the slopes within the cells (the derivative of the interpolation) are wrong by half a
        cell's change. With two nodes it is their difference, with one zero.
        """
        values, dim = self.values, 1 + axis
        count = values.shape[dim]
        if count == 1:
            rate = torch.zeros_like(values)
        elif self._periodic(axis):
            rate = (values.roll(-1, dim) - values.roll(1, dim)) / 2
        else:
            (rate,) = torch.gradient(values, dim=dim, edge_order=2 if count > 2 else 1)
        return Table(self.coordinates, rate * self._rate(axis), self.lower, self.upper)

    def coarse(self) -> Table:
        """The table of every other node, for an estimate of what the spacing costs.

        An axis on which this leaves out an end of the box or breaks the period, or leaves fewer than three nodes, stays
        as it is.
        """
        values = self.values
        for axis in range(self.coordinates.dimension):
            intervals = values.shape[1 + axis] - (not self._periodic(axis))
            if intervals % 2 == 0 and intervals >= 4:
                values = values[(slice(None),) * (1 + axis) + (slice(None, None, 2),)]
        return Table(self.coordinates, values, self.lower, self.upper)

    def _periodic(self, axis: int) -> bool:
        return self.coordinates.periods[axis] is not None

    def _rate(self, axis: int) -> float:
        """Nodes per normalised unit."""
        intervals = self.values.shape[1 + axis] - (not self._periodic(axis))
        return intervals / (self.upper[axis] - self.lower[axis])

    def _place(self, axis: int, z: Tensor) -> tuple[Tensor, Tensor]:
        """Where a coordinate lies in units of nodes, and the lower node of its cell, both as real numbers."""
        count = self.values.shape[1 + axis]
        s = (z - self.lower[axis]) * self._rate(axis)
        if self._periodic(axis):
            s = torch.remainder(s, count)
            # A place just below the first node may have been rounded up to a whole period.
            s = torch.where(s < count, s, s - count)
        else:
            # From one cell below the box to the last node, which has the constant continuation above it.
            s = s.clamp(-1.0, count - 1.0)
        return s, s.detach().floor()

    def _corners(self, cells: Sequence[Tensor], fractions: Sequence[Any]) -> Iterator[tuple[Tensor, Any]]:
        """The vectors ``[..., K, d]`` at each corner of the cells, and their shares as products of fractions."""
        d = self.coordinates.dimension
        nodes = self.values.flatten(1, d)
        for upper in itertools.product((0, 1), repeat=d):
            index, share = torch.zeros_like(cells[0], dtype=torch.long), 1.0
            for axis, (up, cell, fraction) in enumerate(zip(upper, cells, fractions, strict=True)):
                count = self.values.shape[1 + axis]
                node = cell.nan_to_num().long() + up
                node = node.remainder(count) if self._periodic(axis) else node.clamp(0, count - 1)
                index = index * count + node
                share = share * (fraction if up else 1.0 - fraction)
            yield nodes[:, index].movedim(0, -2), share


class GridField(nn.Module, Plotted):
    """K vector fields on R^d tabulated on a regular grid, with multilinear interpolation.

    On every axis the nodes are equally spaced: from ``lower`` to ``upper``, both included, and beyond them the field
    is constant along that axis; on a periodic axis they cover one period from ``lower`` without its end, and the table
    wraps. The field is continuous and smooth within the cells. On a node its derivatives are those of the cell above
    (towards larger coordinates), so from the last node on they are zero on an axis that is not periodic.

    Points and vectors are in normalised units. ``values`` is the one parameter.

    Args:
        coordinates: the axes of the space.
        values: the vectors at the nodes ``[K, n_1, ..., n_d, d]``, floating point, every size at least 1; copied.
        lower: normalised position of the first node of each axis; None, on a periodic axis only, is 0.
        upper: of the last node; on a periodic axis None or ``lower`` plus the normalised period.

    Raises:
        TypeError: ``values`` is no floating-point tensor.
        ValueError: a shape or a length does not fit, or the ends of an axis are not finite and ascending or not one
            period apart.

    >>> field = GridField(Coordinates(("x", "y")), torch.ones(1, 5, 9, 2), (-1.0, -1.0), (1.0, 1.0))
    >>> field(torch.tensor([0.3, 7.0])).tolist()
    [[1.0, 1.0]]
    """

    def __init__(
        self,
        coordinates: Coordinates,
        values: Tensor,
        lower: Sequence[float | None] | None = None,
        upper: Sequence[float | None] | None = None,
    ) -> None:
        super().__init__()
        d, values = coordinates.dimension, as_tensor(values)
        if not isinstance(values, Tensor) or not values.is_floating_point():
            got = values.dtype if isinstance(values, Tensor) else type(values).__name__
            raise TypeError(f"`values` must be a floating-point tensor, got {got}")
        if values.dim() != d + 2 or values.shape[-1] != d or 0 in values.shape:
            sizes = ", ".join(f"n_{i + 1}" for i in range(d))
            raise ValueError(f"`values` must have shape [K, {sizes}, {d}], none empty, got {list(values.shape)}")
        self.coordinates = coordinates
        self.lower, self.upper = _box(coordinates, lower, upper)
        self.values = nn.Parameter(values.detach().clone())

    @classmethod
    def tabulate(
        cls,
        field: Field,
        sizes: Sequence[int],
        lower: Sequence[float | None] | None = None,
        upper: Sequence[float | None] | None = None,
    ) -> GridField:
        """The table of any field at the nodes of a grid; it owns its values and no longer depends on the field.

        For a field with continuous second derivatives the interpolation error falls with the square of the spacing.

        Args:
            field: the K vector fields to evaluate.
            sizes: the number of nodes on each axis.
            lower: as for the class.
            upper: as for the class.

        Raises:
            ValueError: a size is below 1, or the box does not fit, as for the class.

        >>> from symflow import SymbolicField
        >>> rotation = SymbolicField(Coordinates(("x", "y")), [{"dx": "-y", "dy": "x"}])
        >>> table = GridField.tabulate(rotation, (33, 33), (-1.0, -1.0), (1.0, 1.0))
        >>> table(torch.tensor([0.25, 0.5])).tolist()
        [[-0.5, 0.25]]
        """
        coordinates = field.coordinates
        lower, upper = _box(coordinates, lower, upper)
        sizes = tuple(sizes)
        if len(sizes) != coordinates.dimension or min(sizes) < 1:
            raise ValueError(f"`sizes` must be {coordinates.dimension} numbers of nodes, at least 1, got {sizes}")
        like: Tensor = next(field.parameters()) if isinstance(field, nn.Module) else torch.zeros(())
        axes = []
        for size, low, high, period in zip(sizes, lower, upper, coordinates.periods, strict=True):
            spacing = (high - low) / max(size - (period is None), 1)
            axes.append(torch.arange(size, dtype=torch.float64) * spacing + low)
        nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).to(like)
        with torch.no_grad():
            # A slice of the first axis at a time: the activations of a network at all nodes may be large.
            values = torch.stack([field(slab) for slab in nodes])
        return cls(coordinates, values.movedim(-2, 0), lower, upper)

    @property
    def generators(self) -> int:
        """The number K of vector fields."""
        return self.values.shape[0]

    @property
    def table(self) -> Table:
        """The function these values give."""
        return Table(self.coordinates, self.values, self.lower, self.upper)

    @takes_arrays
    def forward(self, points: Tensor) -> Tensor:
        """``points [..., d]`` to ``vectors [..., K, d]``, both normalised."""
        return self.table(points)

    def series(self, points: Series) -> Series:
        """`forward` on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, d]``, by the cell of each point."""
        return self.table.series(points)

    def slot(self, k: int) -> Table:
        """The k-th vector field alone, with the same values."""
        return self.table.slot(k)


def _box(
    coordinates: Coordinates, lower: Sequence[float | None] | None, upper: Sequence[float | None] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both ends of every axis, those of a periodic one completed from its period."""
    d = coordinates.dimension
    lower, upper = ((None,) * d if ends is None else tuple(ends) for ends in (lower, upper))
    for argument, ends in (("lower", lower), ("upper", upper)):
        if len(ends) != d:
            raise ValueError(f"`{argument}` must have one entry for each of the {d} axes, got {len(ends)}")
    box = []
    for name, low, high, period in zip(coordinates.names, lower, upper, coordinates.normalised_periods, strict=True):
        if period is not None:
            low = 0.0 if low is None else float(low)
            if high is not None and not math.isclose(high - low, period, rel_tol=1e-6):
                raise ValueError(f"`lower` and `upper` must be one period {period} apart on {name}, got {low}, {high}")
            high = low + period
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"`lower` and `upper` must be finite and ascending on {name}, got {low} and {high}")
        box.append((float(low), float(high)))
    return tuple(low for low, _ in box), tuple(high for _, high in box)
