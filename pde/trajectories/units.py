"""The units in which data are of size 1."""

from __future__ import annotations

import math

from torch import Tensor

from symflow.fields import Coordinates

from .data import Trajectories

SPREAD = 0.5 / 3**0.5  # the standard deviation of a uniform variable on an interval of length 1


def data_coordinates(data: Trajectories, *, periodic: bool) -> Coordinates:
    """The variables of the equation, in units of the extents of the data and of the deviations of their fields.

    Args:
        data: of any shape.
        periodic: keep the periods of the axes; else all are open.
    """
    space = data.equation.space
    axes = {axis.name: axis for axis in data.axes}
    periods: list[float | None] = []
    offset, scale = [], []
    for name in space.independent:
        nodes = data.t if name == "t" else axes[name].nodes
        period = None if name == "t" else axes[name].period
        periods.append(period if periodic else None)
        offset.append(float(nodes[0]))
        scale.append(period or float(nodes[-1] - nodes[0]) or 1.0)
    for name in space.dependent:
        periods.append(None)
        offset.append(0.0)
        scale.append(_deviation(data.field(name)) or 1.0)
    return Coordinates(space.names, periods, offset, scale)


def _deviation(u: Tensor) -> float:
    """That of a uniform variable on an interval of length 1 is 1."""
    unit = 2.0 ** math.frexp(float(u.abs().max()))[1]  # squares of any data are finite, and the bits are the same
    return unit * float((u / unit).std()) / SPREAD
