"""The figures of a report: what is drawn of spectra, angles, learning, trajectories and vector fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from .maps import BAR, CHANGES, RESIDUALS, VALUES, Colours, bar, deformed, regular
from .scales import Scale, spanning
from .svg import DIAMOND, Figure, Panel, Plot, arrows, axes, band, line, pixels, points, text

LEAST = 1e-17  # residuals and angles below it are drawn at it
RESOLVED = 1e-5  # times the resolution of a spectrum: values below it are drawn at it
MOST_VALUES = 40  # of a spectrum
ARROWS, ARROWS_OF_MAP = (8, 11), (9, 9)  # rows and columns
LONGEST_ARROW = 12.5  # pixels
ON_EDGE = 1e-3  # of a plot: a line so near to its edge is its edge
SPACE_TIME, MAP = (208.0, 160.0), (172.0, 172.0)  # pixels of a plot of x and t, of one of x and y

Grid = tuple[np.ndarray, np.ndarray]
Names = tuple[str, str, str]  # of the axes of a plane, and of the unknown on it
XTU = ("x", "t", "u")
Periods = tuple[float | None, float | None]


def spectra(panels: Sequence[tuple[str, Sequence[float], int, float]]) -> Figure:
    """Relative violations in ascending order, with the gap shaded.

    Args:
        panels: title, values, how many are below the gap, resolution.
    """
    drawn = []
    for title, values, rank, resolution in panels:
        shown = np.maximum(np.asarray(values[:MOST_VALUES], dtype=float), RESOLVED * resolution)
        index = np.arange(1, len(shown) + 1)
        bottom, top = min(shown.min(initial=resolution), resolution), max(shown.max(initial=resolution), 1e-2)
        margin = (top / bottom) ** 0.17
        scales = Scale(0.3, len(shown) + 0.7, whole=True), Scale(bottom / margin, top * margin**0.4, log=True)
        plot = Plot(*scales, 300, 190, left=46)
        parts = []
        if 0 < rank < len(shown):
            low, high = shown[rank - 1], shown[rank]
            parts.append(band(plot, low, high, "gap"))
            top, foot, dotted = plot.places(np.ones(3), np.array([high, low, resolution]))[:, 1]
            middle = (top + foot) / 2
            middle = dotted + 14 if abs(middle - dotted) < 14 else middle
            if middle + 8 < foot:  # in the gap, or nowhere: its ends say how wide it is
                wide = f"the gap: {np.log10(high / low):.0f} orders of magnitude"
                parts.append(text(plot.width - 6, middle + 4, wide, "gap-ink", "end"))
        parts.append(line(plot, [scales[0].low, scales[0].high], [resolution] * 2, "second", 1.0, "2 3"))
        parts.append(points(plot, index[:rank], shown[:rank], "first", size=4.5))
        parts.append(points(plot, index[rank:], shown[rank:], "second", DIAMOND, 4.5))
        if rank:
            x, y = plot.places(np.array([min(rank, len(shown))]), shown[min(rank, len(shown)) - 1 :][:1])[0]
            right = x > plot.width - 100
            parts.append(text(x, y + 18, f"{rank} below the gap", "first", "end" if right else "start"))
        part = f" ({MOST_VALUES} of {len(values)})" if len(values) > MOST_VALUES else ""
        around = axes(plot, title, f"vector field, from best to worst{part}", "relative violation", ticks=(10, 6))
        drawn.append(plot.panel(*parts, around=[around]))
    return Figure(drawn)


def angles(series: Mapping[str, Sequence[float]]) -> Figure:
    """Principal angles, each set in ascending order, between 0 and a right angle."""
    plot = Plot(Scale(LEAST, 8.0, log=True), Scale(len(series), 0.0), 330, 44 * len(series), left=12, right=24, top=20)
    right = [np.pi / 2] * 2
    parts, names = [line(plot, right, [0, len(series)], "ink", 1.0)], []
    for i, (name, values) in enumerate(series.items()):
        shown = np.maximum(np.asarray(values, dtype=float), LEAST)
        colour = ("first", "third", "second")[i % 3]
        parts.append(points(plot, shown, np.full(len(shown), i + 0.7), colour, size=4.5))
        names.append(text(4, 44 * i + 16, name, colour))
    at = float(plot.x(np.pi / 2)) * plot.width
    around = [axes(plot, x="principal angle in radians", ticks=(6, 0), grid=True), *names]
    return Figure([plot.panel(*parts, around=[*around, text(at + 24, -6, "right angle", anchor="end", size=11)])])


def learning(steps: Sequence[int], violations: np.ndarray, rank: int) -> Figure:
    """Relative violations ``[steps, K]`` of the learned fields as learning goes on."""
    shown = np.maximum(violations, violations[violations > 0].min(initial=1.0))  # an exact zero is luck, not progress
    low, high = float(shown.min()), float(shown.max())
    scale = Scale(low / 1.5, high * 1.5, log=True)
    plot = Plot(Scale(min(steps), max(max(steps), min(steps) + 1), whole=True), scale, 380, 190, left=46, right=62)
    parts, names = [], []
    for k in reversed(range(shown.shape[1])):
        colour, width = ("first", 1.4) if k < rank else ("second", 1.0)
        parts.append(line(plot, steps, shown[:, k], colour, width))
    labels = [(0, "kept", "first")] * (rank > 0) + [(rank, "left out", "second")] * (rank < shown.shape[1])
    for k, name, colour in labels:
        y = (1 - float(scale(shown[-1, k]))) * plot.height
        names.append(text(plot.width + 6, y + 4, name, colour))
    return Figure([plot.panel(*parts, around=[axes(plot, x="step of learning", y="relative violation"), *names])])


def trajectory(
    grid: tuple[np.ndarray, np.ndarray, np.ndarray],
    moved: Sequence[tuple[str, np.ndarray]],
    periods: Periods = (None, None),
    names: Names = XTU,
) -> Figure:
    """A trajectory in a plane, such as space-time, before and after.

    Args:
        grid: ``x [X]``, ``t [T]``, ``u [T, X]``.
        moved: titles and end points ``[T, X, 3]``.
        periods: of x and t, when the moved trajectory is to be continued with them; the panels then show one period.
        names: of x, t and u.
    """
    x, t, u = grid
    X, T = np.meshgrid(x, t)
    panels = [("before", np.stack([X, T, u], -1)), *moved]
    everything = np.concatenate([points[np.isfinite(points).all(-1)] for _, points in panels])
    colours = Colours(spanning(everything[:, 2]), VALUES)
    across, up = scales = [
        Scale(float(nodes[0]), float(nodes[0]) + period) if period else spanning(everything[:, i])
        for i, (nodes, period) in enumerate(zip((x, t), periods, strict=True))
    ]
    inner = slice(len(t) // 4, max(len(t) * 3 // 4, 1))  # the highest point of the middle times
    row, column = np.unravel_index(np.argmax(u[inner]), u[inner].shape)
    drawn = []
    for title, ends in panels:
        plot = _plane(across, up, names, last=title == panels[-1][0])
        copies = [ends]
        for i, (scale, period) in enumerate(zip(scales, periods, strict=True)):
            if period:
                copies = [shifted for copy in copies for shifted in _repeated(copy, i, scale, period)]
        dots = np.stack([copy[inner][row, column] for copy in copies])
        parts = [deformed(plot, copies, colours)]
        if title != "before":
            parts += _frame(plot, x, t, periods)
        parts += [
            points(plot, dots[:, 0], dots[:, 1], colour, size=size) for colour, size in (("on-map", 4.5), ("mark", 3.2))
        ]
        drawn.append((plot, title, parts))
    return Figure([_finish(*panel, colours, names) for panel in drawn])


def _repeated(ends: np.ndarray, axis: int, scale: Scale, period: float) -> list[np.ndarray]:
    """End points ``[T, X, 3]`` closed over the period of an axis, and shifted by it until they cover the scale."""
    shift = np.zeros(3)
    shift[axis] = period
    finite = ends[..., axis][np.isfinite(ends[..., axis])]
    if axis == 0:
        around = np.concatenate([ends, ends[:, :1] + shift], 1)
    else:
        around = np.concatenate([ends, ends[:1] + shift], 0)
    shifts = _copies(finite.min(), finite.max(), scale, period) if finite.size else range(1)
    return [around + n * shift for n in shifts]


def _frame(plot: Plot, x: np.ndarray, t: np.ndarray, periods: Periods) -> list[str]:
    """Where a trajectory was, but for sides that a period joins or that are the plot's own."""
    parts = []
    corners = [(x[0], t[0]), (x[-1], t[0]), (x[-1], t[-1]), (x[0], t[-1]), (x[0], t[0])]
    for (x1, t1), (x2, t2) in pairwise(corners):
        joined = periods[0] if x1 == x2 else periods[1]
        share = float(plot.x(x1) if x1 == x2 else plot.y(t1))
        own = any(periods) and min(share, 1.0 - share) < ON_EDGE
        if not joined and not own:
            # black and white in turn, to be seen on every colour
            parts.append(line(plot, [x1, x2], [t1, t2], "on-map", 1.2, "4 4"))
            parts.append(line(plot, [x1, x2], [t1, t2], "mark", 1.2, "0 4 4 0"))
    return parts


def values(name: str, axis: str, grid: Grid, u: np.ndarray) -> Figure:
    """A field ``[T, X]`` in space-time.

    Args:
        name: of the field.
        axis: of space.
        grid: ``x [X]``, ``t [T]``.
        u: its values.
    """
    x, t = grid
    colours = Colours(spanning(u), VALUES)
    plot = _plane(spanning(x), spanning(t), XTU, last=True)
    around = [axes(plot, "", axis, "t", ticks=(4, 5)), bar(plot, colours, name)]
    return Figure([plot.panel(regular(plot, x, t, u, colours), around=around)])


def residuals(grid: Grid, fields: Sequence[tuple[str, np.ndarray]], names: Names = XTU) -> Figure:
    """Relative residuals ``[T, X]`` on one logarithmic colour scale; what is not finite counts as 1."""
    x, t = grid
    colours = Colours(Scale(LEAST, 1.0, log=True), RESIDUALS)
    drawn = []
    for i, (title, values) in enumerate(fields):
        plot = _plane(spanning(x), spanning(t), names, last=i == len(fields) - 1)
        shown = np.clip(np.nan_to_num(values.astype(float), nan=1.0, posinf=1.0), LEAST, 1.0)
        drawn.append(
            _finish(plot, title, [regular(plot, x, t, shown, colours)], colours, (*names[:2], "relative residual"))
        )
    return Figure(drawn)


def vectors(grid: Grid, fields: Sequence[tuple[str, np.ndarray]], names: Names = XTU) -> Figure:
    """Vector fields ``[T, X, 3]``: arrows for dx and dt, colour for du, on one scale; the first sets it."""
    x, t = grid
    counts = ARROWS if names[1] == "t" else ARROWS_OF_MAP
    rows, columns = (_every(len(axis), count) for axis, count in zip((t, x), counts, strict=True))
    T, X = (a.flatten() for a in np.meshgrid(t[rows], x[columns], indexing="ij"))
    exact = fields[0][1]
    finite = exact[np.isfinite(exact).all(-1)]
    largest = float(np.abs(finite[:, 2]).max(initial=0.0))
    colours = Colours(Scale(-(largest or 1.0), largest or 1.0), CHANGES)
    drawn = []
    for i, (title, values) in enumerate(fields):
        plot = _plane(spanning(x), spanning(t), names, last=largest > 0 and i == len(fields) - 1)
        longest = np.hypot(*pixels(plot, finite[:, :2]).T).max(initial=0.0)
        parts = [regular(plot, x, t, values[..., 2], colours)]
        if longest > 0:
            shafts = pixels(plot, values[np.ix_(rows, columns)][..., :2].reshape(-1, 2)) * (LONGEST_ARROW / longest)
            parts.append(arrows(plot, X, T, shafts, "on-map"))
        drawn.append(_finish(plot, title, parts, colours, (*names[:2], f"change of {names[2]}")))
    return Figure(drawn)


def planes(panels: Sequence[tuple[str, tuple[str, str], np.ndarray, np.ndarray]]) -> Figure:
    """Vector fields in planes of two axes, as arrows.

    Args:
        panels: a title, the names of the axes, points ``[N, 2]`` and the vectors there ``[N, 2]``, one for each panel.
    """
    drawn = []
    for title, names, places, values in panels:
        x, y = places.T
        plot = Plot(spanning(x, margin=0.06), spanning(y, margin=0.06), 168, 168, left=38, right=8)
        shafts = pixels(plot, values)
        longest = np.hypot(*shafts[np.isfinite(shafts).all(-1)].T).max(initial=0.0) or 1.0
        parts = arrows(plot, x, y, shafts * (LONGEST_ARROW / longest), "first", 1.3)
        drawn.append(plot.panel(parts, around=[axes(plot, title, names[0], names[1], ticks=(4, 4))]))
    return Figure(drawn)


def _plane(x: Scale, t: Scale, names: Names, *, last: bool) -> Plot:
    """A plot of space-time, or of two axes of space; the last of a row leaves room for the colour bar."""
    return Plot(x, t, *(SPACE_TIME if names[1] == "t" else MAP), left=36, right=8 + BAR * last)


def _finish(plot: Plot, title: str, parts: Sequence[str], colours: Colours, names: Names) -> Panel:
    """A panel of a plane, with a colour bar where there is room for it."""
    around = [axes(plot, title, *names[:2], ticks=(4, 5))]
    return plot.panel(*parts, around=[*around, bar(plot, colours, names[2])] if plot.right > BAR else around)


def _every(size: int, count: int) -> np.ndarray:
    """`count` evenly spaced indices around the middle, fewer when there are fewer."""
    step = max(1, size // count)
    count = min(count, size)
    return (size - 1 - step * (count - 1)) // 2 + step * np.arange(count)


def _copies(first: float, last: float, across: Scale, period: float) -> range:
    """By which multiples of the period ``[first, last]`` has to be shifted to cover an axis."""
    return range(int(np.ceil((across.low - last) / period)) - 1, int(np.floor((across.high - first) / period)) + 2)
