"""The page of a discovery of one's own: the count with its reasons, and each field in the plane that it fills most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from symflow.fields import Coordinates, SymbolicField
from symflow.fields.planes import plane, sheet
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

    @property
    def coordinates(self) -> Coordinates | None:
        return next(iter(self.result.coordinates.values())) if len(self.result.coordinates) == 1 else None

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
    i, j = plane(field)
    points = sheet(coordinates, i, j, SIDE)
    physical = coordinates.to_physical(points)
    vectors = coordinates.vectors_to_physical(field(points))[:, 0]
    names = (coordinates.names[i], coordinates.names[j])
    return g.name, names, physical[:, [i, j]].numpy(), vectors[:, [i, j]].numpy()


def write_report(run: str | Path) -> Path:
    """Writes the page and figures of a run directory (`symflow.report.write_report`)."""
    folder, config = open_run(run)
    return FoundPage(folder, load_result(folder), config).write()


PAGE = FoundPage
