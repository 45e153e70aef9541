"""Any fields, and closed forms, as what their brackets need: values, brackets and slopes on points."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy
import torch
from torch import Tensor, nn

from symflow.algebra import geometry
from symflow.algebra.readout import exact_bracket
from symflow.fields import Field, GridField, Network, Table
from symflow.runs import one_thread


@dataclass(frozen=True)
class Sample:
    """K generators and their brackets on N points, float64, all that this module needs of fields.

    ``values [N, K, d]``, ``brackets [N, K, K, d]`` antisymmetric, ``slopes [K]`` the RMS size of each generator's
    derivatives. ``coarse`` is the same with every other node of the tables among the fields, ``None`` without tables.
    """

    values: Tensor
    brackets: Tensor
    slopes: Tensor
    coarse: Sample | None = None

    @property
    def generators(self) -> int:
        """The number K."""
        return self.values.shape[1]

    @property
    def sizes(self) -> Tensor:
        """``[K]``: RMS size of each generator over the points."""
        return self.values.square().sum(-1).mean(0).sqrt()


Fields = Field | Sequence[Field]


@one_thread()
def sample_brackets(fields: Fields, points: Tensor) -> Sample:
    """The generators of one field or of several, in their order, and all their brackets.

    Derivatives are exact for neural and symbolic fields. A table is only piecewise smooth: its derivatives are central
    differences at the nodes, interpolated like its values, so that brackets are right to second order in the spacing
    (`Table.derivative`); the interpolation's own slopes would be right in the mean of a cell only.

    Args:
        fields: on the same coordinates, of any kinds.
        points: ``[N, d]``, normalised, drawn from the data: their distribution is the measure of all inner products.
            Where neighbours are alike (a trajectory), keep them together: errors come from consecutive points.

    Raises:
        ValueError: the fields differ in coordinates, the points do not fit them, or lie outside the box of a table.
    """
    parts = _parts(fields)
    if points.dim() != 2 or points.shape[1] != parts[0].coordinates.dimension or not len(points):
        raise ValueError(f"`points` must have shape [N, {parts[0].coordinates.dimension}], got {list(points.shape)}")
    points = points.detach().double()
    tables = [part for part in parts if isinstance(part, Table)]
    for table in tables:
        _inside(table, points)
    with torch.no_grad():
        fine = _sample(parts, points)
        if not tables:
            return fine
        coarse = _sample([part.coarse() if isinstance(part, Table) else part for part in parts], points)
    return Sample(fine.values, fine.brackets, fine.slopes, coarse)


def _parts(fields: Fields) -> list[Field]:
    parts = list(fields) if isinstance(fields, Sequence) else [fields]
    if not parts:
        raise ValueError("`fields` must hold at least one field, got none")
    for part in parts[1:]:
        if part.coordinates != parts[0].coordinates:
            raise ValueError(
                f"`fields` must be on the same coordinates, got {parts[0].coordinates} and {part.coordinates}"
            )
    return [part.table if isinstance(part, GridField) else part for part in parts]


def _inside(table: Table, points: Tensor) -> None:
    for axis, name in enumerate(table.coordinates.names):
        z, low, high = points[:, axis], table.lower[axis], table.upper[axis]
        slack = 1e-6 * (high - low)
        if table.coordinates.periods[axis] is None and not ((z >= low - slack) & (z <= high + slack)).all():
            raise ValueError(
                f"`points` must lie in the box of the table, {low:g} to {high:g} on {name}, "
                f"got {z.min().item():g} to {z.max().item():g}"
            )


def _sample(parts: Sequence[Field], points: Tensor) -> Sample:
    values, slopes = [], []
    for part in parts:
        own = points.to(_dtype(part))
        values.append(part(own).double())
        if isinstance(part, Table):
            columns = [part.derivative(axis)(own) for axis in range(points.shape[-1])]
            slopes.append(torch.stack(columns, -1).double())
        else:
            slopes.append(geometry.jacobian(part, own).double())
    v, derivatives = torch.cat(values, 1), torch.cat(slopes, 1)
    along = torch.einsum("nkj,nlij->nkli", v, derivatives)
    return Sample(v, along - along.transpose(1, 2), derivatives.square().sum((-1, -2)).mean(0).sqrt())


def _dtype(field: Field) -> torch.dtype:
    if isinstance(field, Network):
        return field.layers[0].dtype
    return next(iter(field.parameters())).dtype if isinstance(field, nn.Module) else torch.float64


def sample_forms(forms: Sequence[Mapping[str, sympy.Expr]]) -> Sample:
    """Closed forms and their exact brackets on fixed random points with coordinates in [0.5, 1.5].

    Symbols that are no coordinate are parameters and take one random value each. In physical units.

    Raises:
        ValueError: there is no form, or the forms have different components.
    """
    if not forms or any(list(form) != list(forms[0]) for form in forms):
        raise ValueError(f"`forms` must be at least one, all with the same components, got {[list(f) for f in forms]}")
    count, k, names = 8 * len(forms) + 8, len(forms), list(forms[0])
    values = _evaluate(forms, count)
    table = torch.zeros(count, k, k, len(names), dtype=torch.float64)
    brackets = [exact_bracket(forms[i], forms[j]) for i, j in _pairs(k)]
    for (i, j), v in zip(_pairs(k), _evaluate(brackets, count).unbind(1), strict=True):
        table[:, i, j], table[:, j, i] = v, -v
    slopes = torch.zeros(k, dtype=torch.float64)
    for name in names:
        derivative = [{n: sympy.diff(f, _symbol(f, name[1:])) for n, f in form.items()} for form in forms]
        slopes += _evaluate(derivative, count).square().sum(-1).mean(0)
    return Sample(values, table, slopes.sqrt())


def _symbol(expression: sympy.Expr, name: str) -> sympy.Symbol:
    return next((s for s in expression.free_symbols if s.name == name), sympy.Symbol(name))


def _evaluate(forms: Sequence[Mapping[str, sympy.Expr]], count: int) -> Tensor:
    """``[count, K, d]``; the same points for all calls with the same count and coordinates."""
    if not forms:
        return torch.zeros(count, 0, 0, dtype=torch.float64)
    coordinates = [name[1:] for name in forms[0]]
    symbols = sorted(  # strict: numbers become expressions, and a text is refused, never parsed
        {s for form in forms for f in form.values() for s in sympy.sympify(f, strict=True).free_symbols}, key=str
    )
    generator = torch.Generator().manual_seed(0)
    points = 0.5 + torch.rand(count, len(coordinates), generator=generator, dtype=torch.float64)

    def argument(symbol: sympy.Symbol) -> np.ndarray:
        if symbol.name in coordinates:
            return points[:, coordinates.index(symbol.name)].numpy()
        own = torch.Generator().manual_seed(zlib.crc32(symbol.name.encode()))
        return (0.5 + torch.rand(1, generator=own, dtype=torch.float64)).expand(count).numpy()

    arguments = [argument(s) for s in symbols]

    def column(expression: sympy.Expr) -> Tensor:
        return torch.as_tensor(sympy.lambdify(symbols, expression, "numpy")(*arguments), dtype=torch.float64).expand(
            count
        )

    return torch.stack([torch.stack([column(f) for f in form.values()], -1) for form in forms], 1)


def _pairs(k: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(k), 2))
