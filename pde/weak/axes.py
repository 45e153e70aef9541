"""The test functions on one axis of data: bumps, and the same on every second node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..trajectories import Axis

POWER = 10  # p of the bump: at ten grid steps of half-width and more its sums are exact to 1e-4 and better
OVERLAP = 4  # centres per half-width
FEWEST_STEPS = 4  # in a half-width


def bump(s: Tensor, derivative: int = 0) -> Tensor:
    """``(1 - s^2)^p`` for ``|s| < 1`` and 0 elsewhere, or a derivative of it."""
    polynomial = np.polynomial.Polynomial([1.0, 0.0, -1.0]) ** POWER
    if derivative:
        polynomial = polynomial.deriv(derivative)
    inside = np.abs(s.numpy()) < 1.0
    values = np.zeros(s.shape)
    values[inside] = polynomial(s.numpy()[inside])
    return torch.from_numpy(values)


def widths(axis: Axis, *fractions: int) -> list[int]:
    """Half-widths in steps, the given fractions of the axis, as far as there is room: from narrow to wide."""
    room = (len(axis) - 1) // 2
    return sorted({min(len(axis) // n, room) for n in fractions if min(len(axis) // n, room) >= FEWEST_STEPS})


def centres(axis: Axis, width: int) -> Tensor:
    """Of test functions whose half-width is so many steps: `OVERLAP` a half-width; inside, on an open axis."""
    stride = max(width // OVERLAP, 1)
    count = len(axis) if axis.period is not None else max(len(axis) - 2 * width, 1)
    first = 0 if axis.period is not None else width
    return axis.nodes[0] + axis.step * (first + torch.arange(0, count, stride, dtype=torch.float64))


def offsets(axis: Axis, centres: Tensor, h: float) -> Tensor:
    """Nodes in half-widths h from each centre, ``[c, n]``."""
    away = axis.nodes - centres[:, None]
    if axis.period is not None:
        away = away - axis.period * torch.round(away / axis.period)
    return away / h


def functions(axis: Axis, centres: Tensor, h: float, derivative: int) -> Tensor:
    """``(-1)^k`` times the k-th derivative of the bumps and the measure, over the half-width h: ``[c, n]``.

    Summed over the nodes against f this is the integral of ``D^k f`` against the bump, in units of the half-width.
    """
    return bump(offsets(axis, centres, h), derivative) * (axis.measure / h * (-1 / h) ** derivative)


@dataclass(frozen=True)
class TestFunctions:
    """The test functions of one axis, for one derivative: ``plain [c, n]``, and what every second node alone gives.

    ``change`` is plain less the sum over every second node: on a uniform axis the plain one with alternating signs. It
    sees the noise and the error of the coarser grid; its noise times ``loudness [c]``, 1 on a uniform axis, is that of
    the plain one. ``coarse [c, n/2]`` is the sum over every second node itself, ``None`` where they do not close the
    period.
    """

    __test__ = False  # no tests for pytest

    plain: Tensor
    change: Tensor
    coarse: Tensor | None

    @cached_property
    def count(self) -> int:
        """Of the test functions."""
        return len(self.plain)

    @cached_property
    def both(self) -> Tensor:
        """``plain`` above ``change``, ``[2 c, n]``."""
        return torch.cat([self.plain, self.change])

    @cached_property
    def loudness(self) -> Tensor:
        found: Tensor = self.plain.norm(dim=1) / self.change.norm(dim=1).clamp_min(1e-300)
        return found

    @staticmethod
    def of(axis: Axis, width: int, derivative: int) -> TestFunctions:
        """At the centres of the axis."""
        at, h = centres(axis, width), width * axis.step
        plain = functions(axis, at, h, derivative)
        half = axis.half()
        if half is None:  # the sign starts anew at the left end of each support: no seam meets it
            first = torch.round(offsets(axis, at, h) * width).long() + len(axis)
            return TestFunctions(plain, plain * (1 - 2 * (first % 2)), None)
        coarse = functions(half, at, h, derivative)
        change = plain.clone()
        change[:, ::2] -= coarse
        return TestFunctions(plain, change, coarse)
