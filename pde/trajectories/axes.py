"""The axes of data: where their nodes are, whether they close a period, and integrals over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError

UNIFORM = 1e-6  # relative deviation of a spacing from the mean one


def period_of(x: Tensor) -> float:
    """Of uniform nodes over one period without its right end."""
    return float(x[-1] - x[0]) * len(x) / (len(x) - 1)


def quadrature_weights(nodes: Tensor, name: str = "t") -> Tensor:
    """Weights ``[n]`` of an integral over all nodes, exact for polynomials of degree 7 between neighbours.

    Each interval integrates Lagrange's polynomial through the 8 nearest; inside uniform nodes this is the
    trapezoidal rule, which is what smooth functions that vanish at their ends want.

    Raises:
        UserError: some nodes cannot be told apart beside the distance of the others.
    """
    places = nodes.numpy()
    q = min(8, len(places))
    weights = np.zeros(len(places))
    moments = np.array([2.0 / (j + 1) if j % 2 == 0 else 0.0 for j in range(q)])
    for i in range(len(places) - 1):
        first = min(max(i + 1 - q // 2, 0), len(places) - q)
        half = (places[i + 1] - places[i]) / 2
        s = (places[first : first + q] - places[i] - half) / half
        try:
            weights[first : first + q] += half * np.linalg.solve(np.vander(s, increasing=True).T, moments)
        except np.linalg.LinAlgError:  # beside -1e30 in place of a missing time the others are one
            raise UserError(
                f"`{name}` must have {'times' if name == 't' else 'nodes'} that are apart beside the distance of the "
                f"others, got spacings from {np.diff(places).min():g} to {np.diff(places).max():g}"
            ) from None
    return torch.from_numpy(weights)


@dataclass(frozen=True)
class Axis:
    """The nodes of one axis of data, physical.

    Args:
        name: that of the variable, such as ``"t"`` or ``"x"``.
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

    def half(self) -> Axis | None:
        """Every second node; ``None`` where those do not close the period."""
        if self.period is not None:
            return None if len(self) % 2 else Axis(self.name, self.nodes[::2], self.period)
        return Axis(self.name, self.nodes[::2]) if len(self) > 2 else None

    @cached_property
    def measure(self) -> Tensor:
        """The weights of an integral over the axis, ``[n]``."""
        # of functions that vanish at the ends of their supports: the trapezoidal rule, wherever the nodes are even
        return torch.full_like(self.nodes, self.step) if self.uniform else quadrature_weights(self.nodes, self.name)


def real_array(value: Any, name: str) -> Tensor:
    """Real numbers of any kind as a tensor of doubles, or a `UserError` that names them."""
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"`{name}` must be an array of real numbers, got {type(value).__name__}") from None
    if tensor.is_complex():
        raise UserError(f"`{name}` must be an array of real numbers, got complex ones")
    return tensor.detach().to("cpu", torch.float64).contiguous()
