"""Closed forms of polynomial fields: the simplest basis of a span, with rational coefficients where there are any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy
import torch
from torch import Tensor

from symflow.algebra.readout import rational
from symflow.fields import Coordinates

from ..condition import DEPENDENT
from ..residuals.frames import Frame
from .classes import Polynomials, exponents, monomials, orthonormal_triangle

EXACT = 1e-9  # violations below it belong to coefficients known to enough digits to be taken for rational numbers
PIVOT = 1e-6  # relative size below which a coefficient of an exact span is zero
COARSEST = 0.1  # pivot of a span that is hardly known
DIGITS = 3  # of a coefficient that is measured

Space = tuple[Coordinates, Frame, Polynomials]


def substitution(matrix: Tensor, shift: Tensor, degree: int) -> Tensor:
    """Monomials of ``y = matrix x + shift`` as combinations of those of x, ``[F, F]``.

    >>> substitution(torch.eye(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64), 2).tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 2.0, 1.0]]
    """
    d = len(shift)
    powers = exponents(d, degree)
    place = {p: i for i, p in enumerate(powers)}
    times = torch.zeros(d + 1, len(powers), len(powers), dtype=torch.float64)  # by 1, x_1, ..., x_d
    times[0] = torch.eye(len(powers), dtype=torch.float64)
    for axis in range(d):
        for power, i in place.items():
            higher = tuple(p + (k == axis) for k, p in enumerate(power))
            if higher in place:
                times[axis + 1, i, place[higher]] = 1.0
    rows = torch.zeros(len(powers), len(powers), dtype=torch.float64)
    for power, i in place.items():
        if not any(power):
            rows[i, 0] = 1.0
            continue
        axis = max(k for k, p in enumerate(power) if p)
        lower = rows[place[tuple(p - (k == axis) for k, p in enumerate(power))]]
        linear = torch.cat([shift[axis : axis + 1], matrix[axis]])
        rows[i] = torch.einsum("k,f,kfg->g", linear, lower, times)
    return rows


def echelon(vectors: Tensor, pivot: float) -> Tensor:
    """The reduced row echelon basis ``[K, n]`` of a span of rows, its zeros at a relative size of `pivot`.

    Columns go from simple to complex, so the rows are the simplest representatives there are.
    """
    rows = torch.linalg.qr(vectors.T)[0].T.clone()
    lead = 0
    for column in range(rows.shape[1]):
        if lead == len(rows):
            break
        best = lead + int(rows[lead:, column].abs().argmax())
        if rows[best, column].abs() <= pivot:
            rows[lead:, column] = 0.0
            continue
        rows[[lead, best]] = rows[[best, lead]]
        rows[lead] /= rows[lead, column].clone()
        others = torch.arange(len(rows)) != lead
        rows[others] -= rows[others, column : column + 1] * rows[lead]
        lead += 1
    if lead < len(rows) and pivot > PIVOT:  # a span so uncertain that some row is all zero at this size
        return echelon(vectors, max(PIVOT, pivot / 10))
    return torch.where(rows.abs() > pivot * rows.abs().amax(1, keepdim=True), rows, 0.0)


@dataclass(frozen=True)
class Forms:
    """A basis of the span in closed form.

    Attributes:
        closed_forms: by generator, the physical coefficient of each ``d/d name``, over the names of all spaces.
        coefficients: by space the same as numbers, ``[K, d, F]`` of physical monomials.
        exact: whether all coefficients are rational.
    """

    closed_forms: list[dict[str, str]]
    coefficients: dict[str, Tensor]
    exact: bool


def closed_forms(
    spaces: Mapping[str, Space], combinations: Tensor, points: Mapping[str, Tensor], error: float
) -> Forms:
    """The span of K combinations of polynomial fields, ``[m, K]``, written as simply as possible.

    Args:
        spaces: coordinates, frame and class of each space, in the order of the columns.
        combinations: of the columns of all spaces.
        points: of the data, ``[N, d]`` by space; monomials that coincide with simpler ones there are not used.
        error: of the span, relative; coefficients are zero below three times as much, and rational where it is under
            `EXACT`.
    """
    physical, sizes = {}, {}
    for (space, (_, frame, fields)), part in zip(
        spaces.items(), combinations.split([s[2].columns for s in spaces.values()]), strict=True
    ):
        change = substitution(frame.inverse, -frame.inverse @ frame.mean, fields.degree)
        physical[space] = torch.einsum("ce,kef,fg->kcg", frame.root, fields.coefficients(part), change)
        sizes[space] = _sizes(frame, fields)
    order = [
        (fields.powers[f], space, c, f)
        for space, (_, frame, fields) in spaces.items()
        for f in range(len(fields.powers))
        for c in range(frame.dimension)
    ]
    order.sort(key=lambda item: sum(item[0]))
    for space, own in spaces.items():
        physical[space] = physical[space] @ _supported(own, points[space])
    flat = torch.stack([physical[s][:, c, f] * sizes[s][c, f] for _, s, c, f in order], 1)
    rows = echelon(flat, min(max(PIVOT, 3 * error), COARSEST))
    size = torch.stack([sizes[s][c, f] for _, s, c, f in order])
    rows = rows / size
    rows = rows / torch.stack([row[row != 0][0] for row in rows])[:, None]
    values = [_simple(row.tolist()) if error <= EXACT else None for row in rows]
    exact = all(v is not None for v in values)
    coefficients = {space: torch.zeros_like(table) for space, table in physical.items()}
    forms = []
    for k, row in enumerate(rows):
        numbers: Sequence[sympy.Expr]
        snapped = values[k]
        if exact and snapped is not None:
            numbers = snapped
        else:
            numbers = [_rounded(v) for v in row.tolist()]
        components = {f"d{name}": sympy.Integer(0) for c, *_ in spaces.values() for name in c.names}
        for value, (power, space, c, f) in zip(numbers, order, strict=True):
            if value == 0:
                continue
            names = spaces[space][0].names
            monomial = sympy.prod([sympy.Symbol(n, real=True) ** p for n, p in zip(names, power, strict=True)])
            components[f"d{names[c]}"] += value * monomial
            coefficients[space][k, c, f] = float(value)
        forms.append({name: str(component) for name, component in components.items()})
    return Forms(forms, coefficients, exact)


def combinations_of(spaces: Mapping[str, Space], coefficients: Mapping[str, Tensor]) -> Tensor:
    """Physical coefficients as combinations of all whitened polynomial fields, ``[sum of d F, K]``."""
    parts = []
    for space, (_, frame, fields) in spaces.items():
        change = substitution(frame.root, frame.mean, fields.degree)
        whitened = torch.einsum("ec,kcf,fg->keg", frame.inverse, coefficients[space], change)
        parts.append(whitened.flatten(1).T)
    return torch.cat(parts)


def _supported(space: Space, points: Tensor) -> Tensor:
    """Coefficients of all monomials to those of monomials that are independent on the data, ``[F, F]``."""
    _, _, fields = space
    table = monomials(points, fields.powers)
    size = table.square().mean(0).sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    triangle = orthonormal_triangle(table / size)
    kept: list[int] = []
    for f in range(len(size)):  # Gram-Schmidt, simple ones first
        column = triangle[:, f : f + 1]
        rest = column
        if kept:
            known = torch.linalg.qr(triangle[:, kept])[0]
            rest = column - known @ (known.T @ column)
        if rest.norm() > DEPENDENT * column.norm():
            kept.append(f)
    change = torch.zeros(len(size), len(size), dtype=torch.float64)
    solution = torch.linalg.lstsq(triangle[:, kept], triangle, driver="gelsd").solution  # [kept, F]
    change[:, kept] = solution.T
    for k in kept:
        change[k] = 0.0
        change[k, k] = 1.0
    return size[:, None] * change / size


def _sizes(frame: Frame, fields: Polynomials) -> Tensor:
    """The typical size of a physical coefficient 1 in whitened units, ``[d, F]``."""
    spread = frame.root.square().sum(1).sqrt()
    reach = (spread.square() + frame.mean.square()).sqrt()
    monomial = torch.stack([torch.prod(reach ** torch.tensor(p, dtype=torch.float64)) for p in fields.powers])
    return monomial / spread[:, None]


def _rounded(value: float) -> sympy.Expr:
    """A measured coefficient with as many digits as are worth reading."""
    short = float(f"{value:.{DIGITS}g}")
    return sympy.Integer(int(short)) if short == int(short) else sympy.Float(short, DIGITS)


def _simple(row: Sequence[float]) -> list[sympy.Rational] | None:
    """Coefficients as integers without a common factor, the first one positive; ``None`` where one is not rational."""
    numbers = [rational(v, tolerance=1e-8, largest=1000) if v else sympy.Integer(0) for v in row]
    if any(n is None for n in numbers):
        return None
    found = [n for n in numbers if n is not None]
    factor = sympy.Rational(math.lcm(*(int(n.q) for n in found)))
    factor /= math.gcd(*(int(n * factor) for n in found)) or 1
    return [n * factor for n in found]
