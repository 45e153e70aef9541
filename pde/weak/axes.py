"""The axes of data and the test functions on one of them: bumps, quadrature, and the same on every second node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError

POWER = 10  # p of the bump: at ten grid steps of half-width and more its sums are exact to 1e-4 and better
OVERLAP = 4  # centres per half-width
UNIFORM = 1e-6  # relative deviation of a spacing from the mean one
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


def quadrature_weights(times: Tensor) -> Tensor:
    """Weights ``[T]`` of an integral over all times, exact for polynomials of degree 7 between neighbours.

    Each interval integrates Lagrange's polynomial through the 8 nearest times; inside uniform times this is the
    trapezoidal rule, which is what smooth functions that vanish at their ends want.

    Raises:
        UserError: some times cannot be told apart beside the distance of the others.
    """
    nodes = times.numpy()
    q = min(8, len(nodes))
    weights = np.zeros(len(nodes))
    moments = np.array([2.0 / (j + 1) if j % 2 == 0 else 0.0 for j in range(q)])
    for i in range(len(nodes) - 1):
        first = min(max(i + 1 - q // 2, 0), len(nodes) - q)
        half = (nodes[i + 1] - nodes[i]) / 2
        s = (nodes[first : first + q] - nodes[i] - half) / half
        try:
            weights[first : first + q] += half * np.linalg.solve(np.vander(s, increasing=True).T, moments)
        except np.linalg.LinAlgError:  # beside -1e30 in place of a missing time the others are one
            raise UserError(
                "`t` must have times that are apart beside the distance of the others, "
                f"got spacings from {np.diff(nodes).min():g} to {np.diff(nodes).max():g}"
            ) from None
    return torch.from_numpy(weights)


@dataclass(frozen=True)
class Axis:
    """The nodes of one axis of data, physical.

    Args:
        name: ``"t"``, ``"x"`` or ``"y"``.
        nodes: ``[n]``, increasing; uniform, without the right end, on a periodic axis.
        period: of a periodic axis; ``None`` for an open one (time, walls, a window).

    Raises:
        UserError: nodes that do not increase, or a periodic axis that is not uniform.

    >>> Axis("t", torch.linspace(0, 1, 11, dtype=torch.float64)).step
    0.1
    """

    name: str
    nodes: Tensor
    period: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", torch.as_tensor(self.nodes, dtype=torch.float64))
        steps = self.nodes.diff()
        if self.nodes.ndim != 1 or len(self.nodes) < 2 or not bool((steps > 0).all() and self.nodes.isfinite().all()):
            raise UserError(f"the axis {self.name} must have at least two increasing nodes, got {len(self.nodes)}")
        if self.period is not None and not self.uniform:
            raise UserError(
                f"the periodic axis {self.name} must be uniform, "
                f"got spacings from {float(steps.min()):g} to {float(steps.max()):g}"
            )

    def __len__(self) -> int:
        return len(self.nodes)

    @cached_property
    def uniform(self) -> bool:
        """Whether all spacings are the mean one."""
        steps = self.nodes.diff()
        return float((steps / steps.mean() - 1).abs().max()) <= UNIFORM

    @cached_property
    def step(self) -> float:
        """The mean spacing."""
        if self.period is not None:
            return self.period / len(self)
        return float(self.nodes[-1] - self.nodes[0]) / (len(self) - 1)

    def widths(self, *fractions: int) -> list[int]:
        """Half-widths in steps, the given fractions of the axis, as far as there is room: from narrow to wide."""
        room = (len(self) - 1) // 2
        return sorted({min(len(self) // n, room) for n in fractions if min(len(self) // n, room) >= FEWEST_STEPS})

    def half(self) -> Axis | None:
        """Every second node; ``None`` where those do not close the period."""
        if self.period is not None:
            return None if len(self) % 2 else Axis(self.name, self.nodes[::2], self.period)
        return Axis(self.name, self.nodes[::2]) if len(self) > 2 else None

    @cached_property
    def measure(self) -> Tensor:
        """The weights of an integral over the axis, ``[n]``."""
        # of functions that vanish at the ends of their supports: the trapezoidal rule, wherever the nodes are even
        return torch.full_like(self.nodes, self.step) if self.uniform else quadrature_weights(self.nodes)

    def centres(self, width: int) -> Tensor:
        """Of test functions whose half-width is so many steps: `OVERLAP` a half-width; inside, on an open axis."""
        stride = max(width // OVERLAP, 1)
        count = len(self) if self.period is not None else max(len(self) - 2 * width, 1)
        first = 0 if self.period is not None else width
        return self.nodes[0] + self.step * (first + torch.arange(0, count, stride, dtype=torch.float64))

    def offsets(self, centres: Tensor, width: int) -> Tensor:
        """Nodes in half-widths from each centre, ``[c, n]``."""
        away = self.nodes - centres[:, None]
        if self.period is not None:
            away = away - self.period * torch.round(away / self.period)
        return away / (width * self.step)

    def functions(self, centres: Tensor, width: int, derivative: int) -> Tensor:
        """``(-1)^k`` times the k-th derivative of the bumps and the measure, over the half-width: ``[c, n]``.

        Summed over the nodes against f this is the integral of ``D^k f`` against the bump, in units of the half-width.
        """
        h = width * self.step
        return bump(self.offsets(centres, width), derivative) * (self.measure / h * (-1 / h) ** derivative)


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
        centres = axis.centres(width)
        plain = axis.functions(centres, width, derivative)
        half = axis.half()
        if half is None:  # the sign starts anew at the left end of each support: no seam meets it
            first = torch.round(axis.offsets(centres, width) * width).long() + len(axis)
            return TestFunctions(plain, plain * (1 - 2 * (first % 2)), None)
        coarse = _coarse(half, axis, centres, width, derivative)
        change = plain.clone()
        change[:, ::2] -= coarse
        return TestFunctions(plain, change, coarse)


def _coarse(half: Axis, axis: Axis, centres: Tensor, width: int, derivative: int) -> Tensor:
    h = width * axis.step
    away = half.nodes - centres[:, None]
    if axis.period is not None:
        away = away - axis.period * torch.round(away / axis.period)
    return bump(away / h, derivative) * (half.measure / h * (-1 / h) ** derivative)
