"""Two runs side by side, and which generators they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from symflow._version import __version__
from symflow.algebra import principal_angles
from symflow.fields import Coordinates, SymbolicField
from symflow.runs import command, replacing

from .page import Page, environment

SAME = 1e-6  # radians: a direction of both spans
POINTS = 512


@dataclass(frozen=True)
class SideBySide:
    """Two pages as one.

    Attributes:
        first, second: of the runs.
    """

    first: Page[Any]
    second: Page[Any]

    def write(self, out: Path) -> Path:
        """Writes the page, whole or not at all."""
        sides = [
            page.content_of_card()
            | {"name": page.run.name or str(page.run), "command": command(page.config, page.run.name)}
            for page in (self.first, self.second)
        ]
        html = (
            environment("symflow.report")
            .get_template("comparison.html")
            .render(sides=sides, shared=self.shared(), version=__version__)
        )
        with replacing(out) as temporary:
            temporary.write_text(html, encoding="utf-8")
        return out

    def shared(self) -> str:
        """What the spans of the closed forms have in common, in a sentence."""
        forms = [[g.closed_form for g in p.result.generators if g.closed_form is not None] for p in self.pages]
        if not all(forms):
            return "One of the two has no generator in closed form, so there is nothing to compare."
        names = [tuple(key[1:] for key in f[0]) for f in forms]
        if names[0] != names[1]:
            return f"They are about different spaces, {', '.join(names[0])} and {', '.join(names[1])}."
        common = shared_dimension(names[0], forms[0], forms[1])
        if common == len(forms[0]) == len(forms[1]):
            return f"They span the same: all {common} directions are shared."
        shared = f"{common or 'no'} direction{'' if common == 1 else 's'}"
        return f"Their spans share {shared}, of {len(forms[0])} and {len(forms[1])}."

    @property
    def pages(self) -> tuple[Page[Any], Page[Any]]:
        """Both of them."""
        return self.first, self.second


def shared_dimension(names: tuple[str, ...], a: list[dict[str, str]], b: list[dict[str, str]]) -> int:
    """How many directions two spans of closed forms share, from their principal angles at random points.

    >>> shared_dimension(("x", "u"), [{"dx": "1"}, {"du": "1"}], [{"dx": "2", "du": "1"}, {"du": "u"}])
    1
    """
    coordinates = Coordinates(names)
    points = 0.5 + torch.rand(POINTS, len(names), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = principal_angles(SymbolicField(coordinates, a), SymbolicField(coordinates, b), points)
    return int((found <= SAME).sum())
