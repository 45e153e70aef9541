"""The paper's losses for slots: generators that are learned side by side, the earlier ones first.

All act on values of fields, normalised, and know no domain. They take generators of unit norm: divide by the norm
over a fixed sample first, and let the gradient flow through the division.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ALMOST_PARALLEL = 1 - 1e-6  # where the arc cosine stops: its slope is infinite at 1


def orthonormality(values: Tensor, measure: Tensor | None = None) -> Tensor:
    """How far later slots are from orthogonal to earlier ones; the earlier ones do not feel it.

    ``sum_{a < b} pi/2 - arccos(min(|<sg(V_a), V_b>|, 1 - 1e-6))`` with ``<V, W> = sum_n measure_n V(z_n) . W(z_n)``
    and ``sg`` the stop-gradient (paper, section 4.3), so that the true symmetries, which cost nothing, fill the first
    slots. Where two slots are parallel the gradient ends; they part as soon as the score tells them apart.

    Args:
        values: ``[N, K, d]``, of generators with unit norm under the measure.
        measure: ``[N]`` with sum 1; uniform by default.

    Returns:
        a number, 0 for orthogonal generators and below ``pi/2`` per pair.

    >>> orthonormality(torch.eye(2).expand(3, 2, 2))
    tensor(0.)
    """
    weighted = values / values.shape[0] if measure is None else values * measure[:, None, None]
    products = torch.einsum("nad,nbd->ab", values.detach(), weighted)
    a, b = torch.triu_indices(values.shape[1], values.shape[1], 1)
    return (math.pi / 2 - torch.arccos(products[a, b].abs().clamp_max(ALMOST_PARALLEL))).sum()


def difference_quotients(values: Tensor, axis: int, spacing: float, period: int | None = None) -> Tensor:
    """``(V_{i+1} - V_i) / spacing`` along an axis of a regular grid; around the period when it has one.

    Args:
        values: field values on a grid.
        axis: of the grid.
        spacing: of the grid points along the axis, normalised.
        period: the number of points in a period; only a whole period is closed.
    """
    if period == values.shape[axis]:
        return (values.roll(-1, axis) - values) / spacing
    return values.diff(dim=axis) / spacing


def lipschitz(values: Tensor, spacing: tuple[float, ...], periods: tuple[int | None, ...], tau: float = 3.0) -> Tensor:
    """What the slopes of generators on a grid exceed a constant by: ``max(|V_i - V_j|/h - tau, 0)``.

    Mean over the pairs of neighbours along each axis, summed over axes and generators (paper, section 4.3; the
    quotient is that of its PDE experiments, for which tau is 3).

    Args:
        values: ``[..., G_1, ..., G_r, K, d]``, on r regular axes.
        spacing: along each axis, normalised.
        periods: points per period of each axis or None; an axis that holds its whole period is closed.
        tau: the slope that costs nothing, per unit of normalised length.

    Returns:
        a number.

    >>> values = torch.tensor([0.0, 1.0, 5.0])[:, None, None]
    >>> lipschitz(values, (1.0,), (None,), tau=3.0)
    tensor(0.5000)
    """
    total = values.new_zeros(())
    r = len(spacing)
    for axis, (h, period) in enumerate(zip(spacing, periods, strict=True)):
        quotients = difference_quotients(values, axis - r - 2, h, period)
        # the norm's slope at 0 is not defined; there the hinge is flat anyway
        squares = quotients.square().sum(-1)
        excess = torch.where(squares > tau**2, squares, squares.new_tensor(tau**2 or 1.0)).sqrt() - tau
        excess = torch.where(squares > tau**2, excess, torch.zeros_like(excess))
        total = total + excess.flatten(0, -2).mean(0).sum()
    return total


def sobolev(values: Tensor, axis: int, spacing: float, period: int | None = None, order: int = 2) -> Tensor:
    """The Sobolev seminorms of generators along one axis: ``sum_{j=1}^{order} mean |D^j V|^2``.

    D is the difference quotient along the axis; summed over generators. The paper adds order 2 in x to its loss in the
    last epochs, which smooths generators in the direction in which a symmetry of periodic data hardly varies; it
    prints no formula.

    Args:
        values: ``[..., K, d]``, with the grid axis among the leading ones.
        axis: of the grid.
        spacing: along it, normalised.
        period: points per period; an axis that holds its whole period is closed.
        order: the highest derivative.

    Returns:
        a number.

    >>> sobolev(torch.tensor([0.0, 1.0, 4.0])[:, None, None], 0, 1.0)
    tensor(9.)
    """
    total = values.new_zeros(())
    for _ in range(order):
        values = difference_quotients(values, axis, spacing, period)
        total = total + values.square().sum(-1).flatten(0, -2).mean(0).sum()
    return total
