"""The page of a discovery of one's own: the count with its reasons, and each field in the plane that it fills most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from symflow.fields import Coordinates, SymbolicField
from symflow.report import Page, Picture, figures, open_run

from .found import Found, Generator, load_result

SIDE = 11  # arrows along an axis
PANELS = 4  # in a figure
MOST = 12  # fields that are drawn


@dataclass(frozen=True)
class FoundPage(Page[Found]):
    """The sections of a problem."""

    package: ClassVar[str] = "symflow.problems"
    template: ClassVar[str] = "found.html"

    def content(self) -> dict[str, Any]:
        return super().content() | {"pictures": self.pictures()}

    def pictures(self) -> list[Picture]:
        """The first fields that have a closed form, a few to a figure."""
        if len(self.result.coordinates) != 1:
            return []
        (coordinates,) = self.result.coordinates.values()
        drawn = [_panel(g, coordinates) for g in self.result.generators if g.closed_form is not None][:MOST]
        parts = [drawn[i : i + PANELS] for i in range(0, len(drawn), PANELS)]
        return [
            self.picture(
                f"fields-{k + 1}",
                figures.planes(part),
                "Vector fields as arrows: "
                + "; ".join(f"{title} over {' and '.join(names)}" for title, names, *_ in part),
            )
            for k, part in enumerate(parts)
        ]


def _panel(g: Generator, coordinates: Coordinates) -> tuple[str, tuple[str, str], np.ndarray, np.ndarray]:
    """A field in the plane of the two axes along which it is largest, through the middle of the data."""
    field = SymbolicField(coordinates, [g.closed_form or {}])
    d = coordinates.dimension
    cube = torch.rand(256, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5
    size = field(cube)[:, 0].square().mean(0)
    # what moves, and then what it depends on: a shear of one axis is seen beside the other
    depends = torch.stack(
        [(field(cube * (torch.arange(d) != i))[:, 0] - field(cube)[:, 0]).square().sum(-1).mean() for i in range(d)]
    )
    first = int(size.argmax())
    weight = size + depends
    weight[first] = -1.0
    second = int(weight.argmax()) if d > 1 else first
    i, j = sorted((first, second))
    line = torch.linspace(-0.5, 0.5, SIDE, dtype=torch.float64)
    points = torch.zeros(SIDE * SIDE, d, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    points[:, i], points[:, j] = grid[:, 0], grid[:, 1]
    physical = coordinates.to_physical(points)
    vectors = coordinates.vectors_to_physical(field(points))[:, 0]
    names = (coordinates.names[i], coordinates.names[j])
    return g.name, names, physical[:, [i, j]].numpy(), vectors[:, [i, j]].numpy()


def write_report(run: str | Path) -> Path:
    """Writes the page and figures of a run directory (`symflow.report.write_report`)."""
    folder, config = open_run(run)
    return FoundPage(folder, load_result(folder), config).write()
