"""Derivatives of the surface through moved grid points, by interpolation on neighbours (paper, appendix D.1).

**Sub-stencils.** For a derivative of order k in x, ``m = k + 1`` neighbours in the point's own row and the same m in
the row before or after it; all windows of m columns whose middle is nearest the point (two for even m, one for odd),
times two rows. The interpolant ``P(x, t) = p_0(x) + t p_1(x)`` of degree ``m - 1`` in x solves the square system
``P(x_i, t_i) = u_i``. ``u_x`` and ``u_t`` come from 2 x 2 points, ``u_xx`` from 3 x 2, ``u_xxx`` from 4 x 2,
``u_xxxx`` from 5 x 2.

**Closed form.** On one row the interpolants of u and t are polynomials ``q(x)`` and ``tau(x)`` by Newton's divided
differences, and multiplication by t followed by interpolation on the row's nodes is the matrix ``tau(C)``, C the
companion matrix of the node polynomial. With 0 the point's own row and 1 the other, the system of size 2m becomes
``(tau_1(C_1) - tau_0(C_0)) p_1 = q_1 - q_0`` and ``p_0 = q_0 - tau_0(C_0) p_1``: one elimination of size m, without
pivots, since the matrix is near ``dt`` times the identity for any flow that does not turn rows into columns.
Coordinates are relative to the point and in units of the untransformed spacing.

**Blending.** The nonlinear weights of Dumbser and Kaeser (J. Comput. Phys. 221, 2007), ``w_s`` proportional to
``(eps + sigma_s)^-r`` with equal linear weights. Their oscillation indicator is the quadratic form of all derivatives
of the polynomial over a cell; ours is its diagonal in monomials, the sum of squares of all coefficients but the
constant, over the mean square difference of neighbours in the untransformed data, a constant. In this unit we take
eps = 1 and r = 1: a sub-stencil loses weight where it varies more than the data do on average. Their eps = 1e-5 and
r = 4 give the floors that are published for the paper's code (mean log of KdV -5.5, KS -3.7), but they drop to first
order at every extremum of a smooth solution: the relative residual of untransformed KdV and KS data is then 3 and 7
times as large, and a generator is told from a symmetry that much later.

float32 is enough on grids like the paper's, 256 points: third differences then carry noise of 1e-5 where the residual
of untransformed KdV data is 1e-3. The noise grows as ``h^-order``: on grids much finer than the data need, use float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

SMALLEST_PIVOT = 1e-6  # 1 where nothing has moved; folds of the surface pass through 0


def windows(order: int) -> list[int]:
    """The first columns, relative to the point, of the windows of ``order + 1`` columns."""
    return [-((order + 1) // 2)] if order % 2 == 0 else [-(order + 1) // 2, -(order + 1) // 2 + 1]


def margin(order: int) -> int:
    """How many columns at either side of a patch serve as neighbours only: the paper's 2, and 3 for order 5."""
    return max(2, (order + 1) // 2)


@dataclass(frozen=True)
class GridScales:
    """What the stencils know of the untransformed grid, in the units of the points."""

    spacing: tuple[float, float]  # in x and t
    period: float | None  # of x
    variation: float  # mean square difference of u between neighbours in x and in t


def derivatives(points: Tensor, orders: tuple[int, ...], grid: GridScales) -> tuple[dict[int, Tensor], Tensor]:
    """Derivatives of the surface through moved points, at the interior points of each patch.

    Args:
        points: ``[..., T, X, 3]``, columns x, t, u; x may jump by a period anywhere.
        orders: the orders in x that are wanted, from 1 to 5; u_x and u_t always come along.
        grid: of the points before they moved.

    Returns:
        the x-derivatives by order, and u_t, ``[..., T - 2, X - 2 margin]`` each.
    """
    h, dt = grid.spacing
    x, t = points[..., 0] / h, points[..., 1] / dt
    period = None if grid.period is None else grid.period / h
    values = torch.stack([points[..., 2], t])
    m = margin(max(orders))
    along = _wrapped(x.diff(dim=-1), period)  # [..., T, X - 1]
    across = _wrapped(x.diff(dim=-2), period)  # [..., T - 1, X]
    # divided[j][field, ..., n, i]: of u and t, over columns i ... i + j of row n
    divided, span = [values], along
    for j in range(1, max(orders) + 1):
        if j > 1:
            span = span[..., :-1] + along[..., j - 1 :]
        divided.append(divided[-1].diff(dim=-1) / _nonzero(span))
    position: dict[int, Tensor] = {}  # [..., T, X - 2m]: of column i + k relative to column i, within a row
    width = x.shape[-1] - 2 * m
    zero = torch.zeros_like(x[..., m : m + width])
    for side in (1, -1):
        total = zero
        for k in range(m):
            column = m + k if side > 0 else m - 1 - k
            total = torch.add(total, along[..., column : column + width], alpha=side)
            position[side * (k + 1)] = total
    position[0] = zero

    results: dict[int, Tensor] = {}
    u_t = zero
    for order in sorted({1, *orders}):
        p0, p1 = _interpolant(order, m, values, divided, position, across)
        squares = [c.square() for c in (*p0[1:], *p1)]
        weights = 1.0 / torch.stack(squares).sum(0).add(grid.variation)
        weights = weights / weights.sum((0, 1))
        results[order] = (weights * p0[order]).sum((0, 1)) * (math.factorial(order) / h**order)
        if order == 1:
            u_t = (weights * p1[0]).sum((0, 1)) / dt
    return results, u_t


def _interpolant(
    order: int, m: int, values: Tensor, divided: list[Tensor], position: dict[int, Tensor], across: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """The coefficients of ``p_0`` and ``p_1`` on all sub-stencils, ``[2 rows, windows, ..., T - 2, X - 2m]`` each.

    Relative to the value at the point: ``p_0[0] = 0``.
    """
    starts, count = windows(order), order + 1
    T, X = values.shape[-2:]
    width = X - 2 * m

    def inner(tensor: Tensor, row: int, column: int) -> Tensor:  # the neighbour at an offset, for every interior point
        return tensor[..., 1 + row : T - 1 + row, m + column : m + column + width]

    centre = inner(values, 0, 0)

    def of_rows(rows: tuple[int, ...]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """q, tau and the node polynomial of rows at the given offsets, ascending, stacked over rows and windows."""

        def stack(entry: Callable[[int, int], Tensor], dim: int) -> Tensor:
            return torch.stack([torch.stack([entry(r, s) for s in starts], dim) for r in rows], dim)

        def shift(r: int) -> Tensor | float:
            if r == 0:
                return 0.0
            step = across[..., 1:, :] if r > 0 else -across[..., :-1, :]
            return step[..., m : m + width]

        def node(k: int, r: int, s: int) -> Tensor:
            return position[s + k][..., 1 + r : T - 1 + r, :] + shift(r)

        def coefficient(j: int, r: int, s: int) -> Tensor:
            return inner(divided[j], r, s) - centre if j == 0 else inner(divided[j], r, s)

        nodes = [stack(partial(node, k), 0) for k in range(count)]
        newton = [stack(partial(coefficient, j), 1) for j in range(count)]
        both = [newton[-1]]  # Newton's form to monomials, u and t together
        for a, c in zip(nodes[-2::-1], newton[-2::-1], strict=True):
            both = _times_node(both, a, c)
        product: list[Tensor] = []  # all but the leading coefficient 1
        for a in nodes:
            product = [-a] if not product else [*_times_node(product, a, None)[:-1], product[-1] - a]
        return [c[0] for c in both], [c[1] for c in both], product

    q0, tau0, nodes0 = of_rows((0,))
    q1, tau1, nodes1 = of_rows((1, -1))
    times0, times1 = _multiplication(tau0, nodes0), _multiplication(tau1, nodes1)
    # both matrices by columns; the first row of times0 is zero, as the point itself is a node with t = 0
    matrix = [
        [b if i == 0 else b - a for i, (a, b) in enumerate(zip(c0, c1, strict=True))]
        for c0, c1 in zip(times0, times1, strict=True)
    ]
    right = [b if i == 0 else b - a for i, (a, b) in enumerate(zip(q0, q1, strict=True))]
    p1 = _eliminate(matrix, right)
    p0 = [torch.zeros_like(p1[0])]
    for i in range(1, count):
        row = q0[i]
        for column, c in zip(times0, p1, strict=True):
            row = torch.addcmul(row, column[i], c, value=-1)
        p0.append(row)
    return p0, p1


def _times_node(polynomial: list[Tensor], node: Tensor, constant: Tensor | None) -> list[Tensor]:
    """``polynomial * (x - node) + constant``."""
    first = -node * polynomial[0] if constant is None else torch.addcmul(constant, node, polynomial[0], value=-1)
    middle = [torch.addcmul(a, node, b, value=-1) for a, b in itertools.pairwise(polynomial)]
    return [first, *middle, polynomial[-1]]


def _multiplication(tau: list[Tensor], nodes: list[Tensor]) -> list[list[Tensor]]:
    """The columns of ``tau(C)``: ``x^i tau(x)`` modulo the node polynomial, i = 0 ... m - 1."""
    columns = [tau]
    for _ in range(len(tau) - 1):
        last, top = columns[-1], columns[-1][-1]
        columns.append(
            [-top * nodes[0], *(torch.addcmul(a, top, n, value=-1) for a, n in zip(last[:-1], nodes[1:], strict=True))]
        )
    return columns


def _eliminate(columns: list[list[Tensor]], right: list[Tensor]) -> list[Tensor]:
    """Gaussian elimination without pivoting of one system per point; ``columns[j][i]`` is the entry in row i."""
    n = len(right)
    columns, right = [list(c) for c in columns], list(right)
    inverse = []
    for k in range(n):
        inverse.append(1.0 / _nonzero(columns[k][k]))
        for i in range(k + 1, n):
            factor = columns[k][i] * inverse[k]
            for j in range(k + 1, n):
                columns[j][i] = torch.addcmul(columns[j][i], factor, columns[j][k], value=-1)
            right[i] = torch.addcmul(right[i], factor, right[k], value=-1)
    solution: list[Tensor] = [right[0]] * n
    for k in range(n - 1, -1, -1):
        value = right[k]
        for j in range(k + 1, n):
            value = torch.addcmul(value, columns[j][k], solution[j], value=-1)
        solution[k] = value * inverse[k]
    return solution


def _nonzero(divisor: Tensor) -> Tensor:
    return torch.where(divisor.abs() < SMALLEST_PIVOT, torch.full_like(divisor, SMALLEST_PIVOT), divisor)


def _wrapped(difference: Tensor, period: float | None) -> Tensor:
    return difference if period is None else difference - period * torch.round(difference.detach() / period)
