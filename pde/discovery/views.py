"""Where each generator is shown: two axes of the data and one unknown, those that it moves most.

A *map* has two axes of space at the middle time, a *slice* one of them and time; other axes are at their middle nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from symflow.fields import Field

from ..equations import JetSpace
from ..trajectories import Trajectories

TIMES, PLACES = 32, 64  # about as many rows and columns as a slice shows; a map has that many places either way
SAME = 1e-6  # relative: what moves two views alike, and what is no motion


@dataclass(frozen=True)
class View:
    """A plane through the middle of a trajectory.

    Attributes:
        columns, rows: its axes, to the right and upwards.
        unknown: whose values are shown on it.
    """

    columns: str
    rows: str
    unknown: str

    def nodes(self, data: Trajectories) -> tuple[Tensor, Tensor]:
        """Which nodes of its axes are shown, columns and rows."""
        sizes = {axis.name: len(axis) for axis in data.axes}
        if self.rows != "t":
            return _every(sizes[self.columns], whole=True), _every(sizes[self.rows], whole=True)
        rows = torch.linspace(0, len(data.t) - 1, min(TIMES, len(data.t))).round().long()
        return _every(sizes[self.columns]), rows


def _every(size: int, whole: bool = False) -> Tensor:
    """Every n-th of so many nodes; `whole` for no more than `PLACES` of them."""
    return torch.arange(0, size, max(1, -(-size // PLACES) if whole else size // PLACES))


def planes(data: Trajectories) -> list[tuple[str, str]]:
    """Pairs of axes of data that their equation knows: maps, then slices; none of orbits."""
    known = data.equation.space.independent
    space = [axis.name for axis in data.axes if axis.name in known]
    return [*combinations(space, 2), *((name, "t") for name in space if "t" in known)]


def standard(data: Trajectories) -> View | None:
    """The first axis over time and the first unknown; without time in the equation the first map."""
    pairs = planes(data)
    slices = [pair for pair in pairs if pair[1] == "t"]
    return View(*(slices or pairs)[0], data.equation.space.dependent[0]) if pairs else None


def chosen(field: Field, points: Tensor, space: JetSpace, pairs: Sequence[tuple[str, str]]) -> list[View]:
    """The view of each generator.

    Of a plane that it takes to a plane, points stay together: what they show is a slice of the moved solution. Such
    planes come first, then those whose axes it moves, or depends on, most, then maps.

    Args:
        field: K generators.
        points: of data, normalised, ``[N, d]``.
        space: of the equation.
        pairs: of axes, as `planes` has them.
    """
    names = space.names

    def values(at: Tensor) -> Tensor:  # [N, K, d]; nothing where a formula has no value
        return torch.nan_to_num(field(at), posinf=0.0, neginf=0.0)

    whole, middle = values(points), points.mean(0)
    size = whole.square().mean(0).sqrt()  # [K, d]
    depends = torch.stack(
        [
            (values(torch.where(torch.arange(len(names)) == i, middle, points)) - whole).square().mean(0).sqrt()
            for i in range(len(names))
        ]
    )  # [d, K, d]: by how much each component changes along each coordinate
    views = []
    for k in range(field.generators):
        least = SAME * float(size[k].norm())

        def merit(pair: tuple[str, str], k: int = k, least: float = least) -> tuple[bool, float]:
            seen = [names.index(n) for n in pair]
            hidden = [i for i, n in enumerate(space.independent) if i not in seen]
            moving = [*seen, *range(len(space.independent), len(names))]
            keeps = not hidden or bool((depends[moving][:, k][:, hidden] <= least).all())
            return keeps, float(size[k, seen].sum() + depends[seen, k].norm(dim=-1).sum())

        best = max(merit(pair) for pair in pairs)
        alike = [p for p in pairs if merit(p)[0] == best[0] and merit(p)[1] >= best[1] - least]
        changes = size[k, len(space.independent) :]
        unknown = int((changes >= changes.max() - least).nonzero()[0])
        views.append(View(*alike[0], space.dependent[unknown]))
    return views
