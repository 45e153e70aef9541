"""The figures of a report on images, in the style of `symflow.report.figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from symflow.formulas import notation
from symflow.report.maps import BAR, CHANGES, VALUES, Colours, bar, photograph, table
from symflow.report.scales import Scale
from symflow.report.svg import (
    SHAPES,
    Figure,
    Panel,
    Plot,
    arrows,
    axes,
    line,
    number,
    pixels,
    points,
    text,
    title,
    width_of,
)

ARROWS = 9  # per side
PER_ROW = 5
SIDE = 136.0  # pixels of a plane of pixels
LONGEST_ARROW = 13.0
SERIES = ("first", "third", "fourth", "fifth", "second", "sixth")
CELL = 24.0  # of a table
SHOWN = 0.095  # products below it are not written
ROW = 640.0  # pixels of a row of pictures


def vector_fields(values: np.ndarray, titles: Sequence[tuple[str, str]]) -> Figure:
    """Vector fields ``[K, H, W, 2]`` on the pixel plane, each with a title of two lines; y points down, as in images.

    Arrows have one scale within a panel, and the longest ones of all panels the same length.
    """
    _, height, width = values.shape[:3]
    places = [np.linspace(0, n - 1, min(ARROWS, n)).round().astype(int) for n in (height, width)]
    y, x = np.meshgrid(
        *(np.linspace(-1, 1, n)[at] for n, at in zip((height, width), places, strict=True)), indexing="ij"
    )
    plot = Plot(Scale(-1.2, 1.2), Scale(1.2, -1.2), SIDE, SIDE, left=2, right=8, top=38, bottom=6)
    panels = []
    for field, (name, value) in zip(values, titles, strict=True):
        shafts = pixels(plot, field[np.ix_(*places)].reshape(-1, 2))
        longest = np.hypot(*shafts.T).max(initial=0.0) or 1.0
        drawn = arrows(plot, x.flatten(), y.flatten(), shafts * (LONGEST_ARROW / longest), "first", 1.3)
        words = [title(0, -23, name, SIDE + plot.right), text(0, -8, value, "quiet")]
        panels.append(plot.panel(drawn, around=[_frame(SIDE, SIDE), *words]))
    return Figure(panels, PER_ROW)


def _frame(width: float, height: float, colour: str = "line", weight: float = 1.0, x: float = 0, y: float = 0) -> str:
    size = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect class="{colour}" fill="none" stroke="currentColor" stroke-width="{number(weight)}" {size}/>'


def image_rows(images: np.ndarray, lengths: Sequence[float], labels: Sequence[str]) -> Figure:
    """One image ``[K, S, C, H, W]``, from 0 to 1 or cut off there, at S lengths along each of K generators."""
    K, S, C, height, width = images.shape
    gap, top, above = 4.0, 20.0, 22.0
    side = (ROW - (S - 1) * gap) / S
    tall = side * height / width
    parts = []
    for s, length in enumerate(lengths):
        words = "the image" if length == 0 else f"{length:+.1f}".replace("-", "−")
        parts.append(text(s * (side + gap) + side / 2, 14, words, "quiet", "middle", 14))
    for k in range(K):
        y = top + k * (tall + gap + above) + above
        parts.append(text(0, y - 6, labels[k], size=14))
        for s in range(S):
            x, picture = s * (side + gap), images[k, s].transpose(1, 2, 0)
            parts.append(photograph(picture if C == 3 else picture[..., 0], x, y, side, tall))
            if lengths[s] == 0:
                parts.append(_frame(side, tall, "third", 2.0, x, y))
    return Figure([Panel(ROW, top + K * (tall + gap + above), "".join(parts))], least=480)


def products(own: np.ndarray, affine: np.ndarray, names: Sequence[str], weight: np.ndarray) -> Figure:
    """Inner products of K generators with each other and with the affine fields ``[K, 6]``, and the weight."""
    labels = [f"V{notation.subscript(k + 1)}" for k in range(len(own))]
    tables = [
        _table("with each other", own, labels, labels, CELL),
        _table("with the affine fields", affine, labels, names, 1.4 * CELL),
    ]
    relative = weight / weight.mean()
    colours = Colours(Scale(0.0, float(relative.max()) or 1.0), VALUES)
    side = max(len(own) * CELL, 110.0)
    plot = Plot(Scale(0, 1), Scale(0, 1), side, side * weight.shape[0] / weight.shape[1], left=8, right=BAR, top=26)
    around = [text(0, -8, "weight of the pixels", size=13), bar(plot, colours, "", 4)]
    return Figure([*tables, plot.panel(table(plot, relative, colours), around=around)])


def _table(name: str, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], wide: float) -> Panel:
    """Numbers from -1 to 1 as colours, written where they are not small."""
    plot = Plot(Scale(0, 1), Scale(0, 1), wide * len(columns), CELL * len(rows), left=30, right=12, top=26)
    plot = replace(plot, right=max(12.0, width_of(name, 13) - plot.width))
    inside = [table(plot, values, Colours(Scale(-1.0, 1.0), CHANGES))]
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if abs(value) >= SHOWN:
                words = f"{value:.1f}".replace("0.", ".").replace("-", "−")
                inside.append(text((j + 0.5) * wide, (i + 0.5) * CELL + 4, words, "on-map", "middle", 10.5))
    names = [text(-6, (i + 0.5) * CELL + 4, row, "quiet", "end", 11) for i, row in enumerate(rows)]
    names += [
        text((j + 0.5) * wide, plot.height + 15, column, "quiet", "middle", 11) for j, column in enumerate(columns)
    ]
    return plot.panel(*inside, around=[*names, title(0, -8, name, plot.width + plot.right)])


def beside_controls(panels: Sequence[tuple[str, Mapping[str, Sequence[float]]]], six: int) -> Figure:
    """Numbers of each generator, 1 to K, by where the generators come from; a line after the first six.

    Args:
        panels: the label of the vertical axis, and the series by name.
        six: how many affine fields there are.
    """
    names = list(dict.fromkeys(name for _, series in panels for name in series))
    style = {name: (SERIES[i % len(SERIES)], SHAPES[i % len(SHAPES)], i == 0) for i, name in enumerate(names)}
    drawn = []
    for label, series in panels:
        count = max(map(len, series.values()), default=1)
        top = max(1.03, *(max(values, default=0.0) * 1.05 for values in series.values()))
        plot = Plot(Scale(0.5, max(count, 1) + 0.5, whole=True), Scale(0.0, top), 290, 210, left=36)
        parts = [line(plot, [six + 0.5] * 2, [0.0, top], "line", 1.2, "4 3")] if count > six else []
        for name, values in reversed(list(series.items())):
            colour, shape, main = style[name]
            x = np.arange(1, len(values) + 1)
            parts.append(line(plot, x, values, colour, 2.0 if main else 1.0))
            parts.append(points(plot, x, values, colour, shape, 4.5 if main else 3.5))
        drawn.append(plot.panel(*parts, around=[axes(plot, "", "generator, from cheap to dear", label, ticks=(9, 6))]))
    key = Plot(
        Scale(0, 1),
        Scale(len(names), 0),
        14,
        22.0 * len(names),
        left=8,
        right=16 + max(map(width_of, names)),
        top=8,
        bottom=8,
    )
    rows = []
    for i, name in enumerate(names):
        colour, shape, main = style[name]
        rows.append(points(key, np.array([0.5]), np.array([i + 0.5]), colour, shape, 4.5 if main else 3.5))
        rows.append(text(24, 22 * i + 15, name))
    return Figure([*drawn, key.panel(around=rows)])
