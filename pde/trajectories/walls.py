"""What data keep at the ends of an open axis: a value, or a slope of zero.

At an end of an axis of space that is not periodic, an unknown u keeps

    u = c      if its values there are one number, for all trajectories, times and places along the end,
    u_x = 0    if the slope there is zero as far as its error tells, and the error is small beside the slope inside.

An end where every unknown keeps something is a wall; where one keeps nothing, the axis is a window of something larger,
and nothing is said of it. What noise hides is not found: a condition is claimed where it is exact up to rounding, or up
to the error of a derivative that is known to a hundredth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .axes import Axis
from .data import Trajectories
from .differentiation import differentiate
from .stencils import STENCIL

EVEN = 1e-9  # of the deviation of an unknown: values that differ by less are one number
KNOWN = 1e-2  # of the slope inside: a slope at an end whose error is larger is not known
SURE = 3.0  # times the error


@dataclass(frozen=True)
class Condition:
    """What one unknown keeps at one end.

    Attributes:
        axis, place: of the end.
        unknown: whose condition it is.
        order: 0 for a value, 1 for a slope.
        value: that is kept.
    """

    axis: str
    place: float
    unknown: str
    order: int
    value: float

    @property
    def sentence(self) -> str:
        """``u = 0 at x = 1``."""
        left = f"{self.unknown}_{self.axis}" if self.order else self.unknown
        return f"{left} = {self.value:.6g} at {self.axis} = {self.place:.6g}"


def boundary_of(data: Trajectories) -> str | None:
    """What solutions keep at the walls of data, and the periods beside them, as text; ``None`` without a wall.

    Places are in the order of the variables of the equation.

    >>> from symflow.pde.equations import Equation
    >>> t, x = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (21, 33))
    >>> u = torch.exp(-(torch.pi**2) * t)[:, None] * torch.cos(torch.pi * x)
    >>> boundary_of(Trajectories(Equation("u_t = u_xx"), x, t, u[None], axes=(Axis("x", x),)))
    'u_x(0, t) = 0; u_x(1, t) = 0'
    """
    found = walls(data)
    if not found:
        return None
    names = data.equation.space.independent

    def at(axis: str, place: str) -> str:
        return ", ".join(place if name == axis else name for name in names)

    parts = []
    for c in found:
        left = f"{c.unknown}_{c.axis}" if c.order else c.unknown
        parts.append(f"{left}({at(c.axis, f'{c.place:.12g}')}) = {c.value:.12g}")
    for axis in data.axes:
        if axis.period is not None and axis.name in names:
            shifted, here = at(axis.name, f"{axis.name} + {axis.period:.12g}"), ", ".join(names)
            parts += [f"{u}({shifted}) = {u}({here})" for u in data.equation.space.dependent[:1]]
    return "; ".join(parts)


def walls(data: Trajectories) -> list[Condition]:
    """The conditions at the walls of data, end by end.

    >>> from symflow.pde.equations import Equation
    >>> t, x = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (21, 33))
    >>> u = torch.exp(-(torch.pi**2) * t)[:, None] * torch.sin(torch.pi * x)
    >>> heat = Trajectories(Equation("u_t = u_xx"), x, t, u[None], axes=(Axis("x", x),))
    >>> [c.sentence for c in walls(heat)]
    ['u = 0 at x = 0', 'u = 0 at x = 1']
    """
    if data.missing is not None:
        return []
    found = []
    for i, axis in enumerate(data.axes):
        if axis.period is not None or len(axis) < STENCIL or axis.name not in data.equation.space.independent:
            continue
        for end in (0, -1):
            kept = [_kept(data.field(name), axis, i + 2, end, name) for name in data.equation.space.dependent]
            if None not in kept:
                found += [c for c in kept if c is not None]
    return found


def _kept(u: Tensor, axis: Axis, dim: int, end: int, name: str) -> Condition | None:
    place = float(axis.nodes[end])
    values = u.select(dim, end)
    size = float(u.std())
    if float(values.max() - values.min()) <= EVEN * size:
        middle = float((values.max() + values.min()) / 2)
        return Condition(axis.name, place, name, 0, 0.0 if abs(middle) <= EVEN * size else middle)
    slope = differentiate(u, axis, 1, dim)
    inside = float(slope.values.square().mean().sqrt())
    there, error = (float(torch.amax(w.select(dim, end).abs())) for w in (slope.values, slope.error))
    if error <= KNOWN * inside and there <= SURE * error:
        return Condition(axis.name, place, name, 1, 0.0)
    return None
