"""Fields of many dimensions in the plane that they fill most, where people look at them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symflow import plotting
from symflow.fields.coordinates import Coordinates
from symflow.fields.field import Field, dtype_of

SIDE = 11  # arrows along an axis


def plane(field: Field, k: int = 0) -> tuple[int, int]:
    """The two axes that generator k of a field fills most, by what moves and then by what that depends on.

    A shear of one axis is so seen beside the other.
    """
    d = field.coordinates.dimension
    cube = _like(field, torch.rand(256, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5)
    with torch.no_grad():
        whole = field(cube)[:, k]
        size = whole.square().mean(0)
        depends = torch.stack(
            [(field(cube * (torch.arange(d) != i))[:, k] - whole).square().sum(-1).mean() for i in range(d)]
        )
    first = int(size.argmax())
    weight = size + depends
    weight[first] = -1.0
    second = int(weight.argmax()) if d > 1 else first
    return min(first, second), max(first, second)


def _like(field: Field, points: Tensor) -> Tensor:
    """Points in the precision of a field that has one."""
    return points.to(dtype_of(field) or points.dtype)


def sheet(coordinates: Coordinates, i: int, j: int, side: int) -> Tensor:
    """Points ``[side^2, d]`` of the plane of two axes through the middle of the data, normalised."""
    line = torch.linspace(-0.5, 0.5, side, dtype=torch.float64)
    points = torch.zeros(side * side, coordinates.dimension, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    points[:, i], points[:, j] = grid[:, 0], grid[:, 1]
    return points


def plot(field: Field, axes: Any = None, titles: list[str] | None = None) -> list[Any]:
    """Draws each generator of a field as arrows, in the plane that it fills most, in physical units.

    Args:
        field: K vector fields.
        axes: of matplotlib, at least K; by default those of a new figure.
        titles: of the panels; V1, V2, ... by default.

    Returns:
        The axes, to go on with.

    Raises:
        UserError: matplotlib is missing, or there are too few axes.
    """
    panels = plotting.subplots(field.generators, axes)
    for k, panel in enumerate(panels):
        i, j = plane(field, k)
        points = _like(field, sheet(field.coordinates, i, j, SIDE))
        with torch.no_grad():
            vectors = field.coordinates.vectors_to_physical(field(points))[:, k]
        physical = field.coordinates.to_physical(points)
        names = [field.coordinates.names[n] for n in (i, j)]
        title = f"V{k + 1}" if titles is None else titles[k]
        plotting.arrows(panel, title, names, physical[:, [i, j]].numpy(), vectors[:, [i, j]].numpy())
    return panels


class Plotted:
    """A field that draws itself."""

    def plot(self: Any, axes: Any = None) -> list[Any]:
        """Draws each generator as arrows in the plane that it fills most; matplotlib's axes come back.

        Args:
            axes: at least one for each generator; by default those of a new figure.

        Raises:
            UserError: matplotlib is missing, or there are too few axes.
        """
        return plot(self, axes)
