"""The noise of one array from what local polynomials leave, where test functions are too few to measure it.

The widest test functions on one short axis are three or four, and the square of the noise that their rows tell is off
by half: too much for the means of exponentials and powers. What polynomials of degree 6 leave in windows of 9 nodes has
a degree of freedom for every four nodes, but holds what of the solution they do not follow. It is white noise if
those of degree 4, which follow much less of a solution, leave no more, and if it is in all places alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ..trajectories import STENCIL, Axis, left_by_fits

DEGREE, LOWER = STENCIL - 3, STENCIL - 5
ALIKE = 2.5  # mean squares, or mean and median: of white noise 3 in 1,000 of 100 nodes are beyond, none of 4,000 of 201
MEDIAN = 0.4549  # of the square of a standard normal number
FEWEST = 4 * STENCIL  # nodes of an axis


def white_noise(values: Tensor, axes: Sequence[Axis]) -> float | None:
    """Its standard deviation; ``None`` where what is left is no white noise, or nodes are few.

    Args:
        values: ``[n_1, ..., n_d]``, finite.
        axes: where the nodes are.
    """
    if min(map(len, axes)) < FEWEST:
        return None
    left, more = (_left(values, axes, degree).square() for degree in (DEGREE, LOWER))
    energy, middle = float(left.mean()), float(left.median()) / MEDIAN
    if float(more.mean()) > ALIKE * energy or energy > ALIKE * middle:
        return None
    return math.sqrt(energy)


def _left(values: Tensor, axes: Sequence[Axis], degree: int) -> Tensor:
    """By polynomials along every axis, where windows lie on both sides."""
    for i, axis in enumerate(axes):
        half = STENCIL // 2
        values = left_by_fits(axis, STENCIL, degree).of(values, i).narrow(i, half, len(axis) - 2 * half)
    return values
