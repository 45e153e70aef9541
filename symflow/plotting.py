"""Axes of matplotlib for those who ask for them; it is loaded then, and its absence is one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symflow.errors import UserError

SIZE = 2.6  # inches of a panel
PER_ROW = 4


def subplots(count: int, axes: Any = None) -> list[Any]:
    """So many axes, in rows of four, of a new figure or as they were given.

    Args:
        count: how many panels there are.
        axes: matplotlib axes, one or an array of at least `count`; by default a new figure's.

    Raises:
        UserError: matplotlib is missing, or there are too few axes.
    """
    if axes is not None:
        given = list(np.asarray(axes, dtype=object).flat)
        if len(given) < count:
            raise UserError(f"`axes` must hold at least {count} axes, one for each panel, got {len(given)}")
        return given[:count]
    try:
        from matplotlib import pyplot
    except ImportError:
        raise UserError("`plot` needs matplotlib, which is not installed: `pip install matplotlib`") from None
    columns, rows = min(count, PER_ROW), -(-count // PER_ROW)
    figure, made = pyplot.subplots(
        rows, columns, figsize=(SIZE * columns, SIZE * rows), squeeze=False, layout="constrained"
    )
    for spare in made.flat[count:]:
        figure.delaxes(spare)
    return list(made.flat[:count])


def arrows(axes: Any, title: str, names: Sequence[str], points: np.ndarray, vectors: np.ndarray) -> None:
    """A vector field in a plane: vectors ``[N, 2]`` at points ``[N, 2]``, scaled to the longest."""
    spread = np.ptp(points, axis=0)
    shown = vectors / np.where(spread > 0, spread, 1.0)
    longest = np.hypot(*shown.T).max(initial=0.0) or 1.0
    axes.quiver(*points.T, *(shown / longest).T, angles="uv", pivot="middle", scale=12.0, color="C0")
    axes.set(title=title, xlabel=names[0], ylabel=names[1])
