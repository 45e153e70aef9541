"""The defect of a field on data: how fast a flow along it spoils the equation.

With ``R = pr V(F)`` on solutions, at the jets of trajectory s,

    d_s(V) = RMS_s(R) / (T_s |V|),    T_s = RMS_s sqrt(sum of the squares of the terms of F),
    |V| = RMS over all points of the displacement in units of the box:  sqrt(sum_i (V_i/scale_i)^2).

Moved by a length h of flow in box units, data acquire the residual ``h d_s`` relative to the terms of their equation:
0 for a symmetry, 0.2 and more for fields that have nothing to do with one. Each trajectory has a T of its own, so that
the loudest does not speak for all; data are reported by the median over s. Unlike a norm of R relative to the terms of
R itself, it is not 1 for every field that the equation violates by one term alone (``d/dt`` where a coefficient depends
on t), and does not depend on how the box is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def displacement(vectors: Tensor, scale: Sequence[float]) -> Tensor:
    """|V|: the RMS displacement of physical vectors ``[N, ..., d]``, d axes of the given sizes; ``[...]``.

    >>> float(displacement(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), (3.0, 4.0)))
    1.0
    """
    return (vectors / vectors.new_tensor(scale)).square().sum(-1).mean(0).sqrt()


def by_trajectory(squares: Tensor, trajectory: Tensor) -> Tensor:
    """The root of the mean over the points of each trajectory, ``[..., N]`` to ``[..., S]``.

    Args:
        squares: values at points.
        trajectory: ``[N]``, integers from 0 to S - 1: where each point lies.
    """
    count = torch.bincount(trajectory)
    sums = squares.new_zeros(*squares.shape[:-1], len(count)).index_add_(-1, trajectory, squares)
    return (sums / count).sqrt()


def defects(violation: Tensor, squares: Tensor, size: Tensor | float, trajectory: Tensor) -> Tensor:
    """``d_s``, ``[..., S]``.

    Args:
        violation: R, ``[..., N]``, physical.
        squares: ``[N]``, at every point the sum of the squares of the terms of F.
        size: |V| of each field, ``[..., 1]`` or a number (`displacement`).
        trajectory: ``[N]``, where each point lies.

    >>> R, terms = torch.tensor([1.0, 1.0, 6.0, 6.0]), torch.tensor([100.0, 100.0, 900.0, 900.0])
    >>> defects(R, terms, 0.5, torch.tensor([0, 0, 1, 1]))
    tensor([0.2000, 0.4000])
    """
    return by_trajectory(violation.square(), trajectory) / by_trajectory(squares, trajectory) / size
