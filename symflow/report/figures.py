"""The figures of a report, as `matplotlib.figure.Figure`: pyplot and its global state take no part."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BELOW, ABOVE, THIRD, GAP = "#2166ac", "#8c8c8c", "#b35806", "#f2e2b8"
VALUES, RESIDUALS = "viridis", "inferno"
CHANGES = LinearSegmentedColormap.from_list("changes", ["#5f97cf", "#f7f7f5", "#e58a6f"])  # light: arrows lie on it
WIDTH, DPI = 9.6, 120  # inches, dots per inch
# Inches around and between panels. Fixed, because finding them takes most of the time of drawing; and panels line up.
TOP, BOTTOM, LEFT, RIGHT, BETWEEN = 0.32, 0.52, 0.7, 0.15, 0.2
BAR, BAR_WIDTH = 1.05, 0.14  # of a colour bar: all of it, and the bar
LEAST = 1e-17  # residuals and angles below it are drawn at it
RESOLVED = 1e-5  # times the resolution of a spectrum: values below it are drawn at it
MOST_VALUES = 40  # of a spectrum
ARROWS = (9, 15)  # rows and columns
LONGEST_ARROW = 0.058  # of the size of the panel

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.usetex": False,
}


def png(figure: Figure) -> bytes:
    """A figure as a PNG file, with the same bytes whenever it is made by the same version of matplotlib."""
    buffer = io.BytesIO()
    with style():
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def style() -> AbstractContextManager[None]:
    """The settings under which figures are made, whatever the user's own are."""
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": matplotlib.rcParams["backend"], **STYLE})


def spectra(panels: Sequence[tuple[str, Sequence[float], int, float]]) -> Figure:
    """Relative violations in ascending order, with the gap shaded.

    Args:
        panels: title, values, how many are below the gap, resolution.
    """
    figure, axes = _row(len(panels), 3.2, left=0.85, between=0.65)
    for ax, (title, values, rank, resolution) in zip(axes, panels, strict=True):
        shown = np.asarray(values[:MOST_VALUES], dtype=float)
        shown = np.maximum(shown, RESOLVED * resolution)
        index = np.arange(1, len(shown) + 1)
        ax.set_yscale("log")
        if 0 < rank < len(shown):
            low, high = shown[rank - 1], shown[rank]
            ax.axhspan(low, high, color=GAP, lw=0)
            wide = f"the gap: {np.log10(high / low):.0f} orders of magnitude"
            place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
            ax.text(0.98, np.sqrt(low * high), wide, color="#6b5510", **place)
        ax.axhline(resolution, color=ABOVE, lw=0.8, ls=":")
        ax.plot(index[:rank], shown[:rank], "o", color=BELOW, ms=7)
        ax.plot(index[rank:], shown[rank:], "D", color=ABOVE, ms=4.5)
        bottom, top = min(shown.min(), resolution), max(shown.max(), 1e-2)
        margin = (top / bottom) ** 0.12
        ax.set_ylim(bottom / margin, top * margin**0.6)
        if rank:
            ax.annotate(
                f"{rank} below the gap",
                (rank, shown[rank - 1]),
                (8, -5),
                textcoords="offset points",
                va="top",
                color=BELOW,
            )
        ax.set_xlim(0.3, len(shown) + 0.7)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
        ax.set_title(title)
        ax.set_xlabel("vector field, from best to worst")
    axes[0].set_ylabel("relative violation")
    return figure


def angles(series: Mapping[str, Sequence[float]]) -> Figure:
    """Principal angles, each set in ascending order, between 0 and a right angle."""
    figure, (ax,) = _row(1, 0.75 + 0.55 * len(series), left=1.95, top=0.1)
    ax.set_xscale("log")
    for i, values in enumerate(series.values()):
        shown = np.maximum(np.asarray(values, dtype=float), LEAST)
        ax.plot(shown, np.full(len(shown), i), "o", color=(BELOW, THIRD, ABOVE)[i % 3], ms=8, alpha=0.75, mew=0)
    ax.axvline(np.pi / 2, color="black", lw=0.8)
    ax.text(1.2, -0.5, "right angle", ha="right", va="top", fontsize=8.5)
    ax.set_xlim(LEAST, 8.0)
    ax.set_ylim(len(series) - 0.4, -0.6)
    ax.set_yticks(range(len(series)), list(series))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#e5e5e5", lw=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel("principal angle in radians")
    return figure


def learning(steps: Sequence[int], violations: np.ndarray, rank: int) -> Figure:
    """Relative violations ``[steps, K]`` of the learned fields as learning goes on."""
    figure, (ax,) = _row(1, 2.8, left=0.85, right=1.15, top=0.1)
    shown = np.maximum(violations, violations[violations > 0].min(initial=1.0))  # an exact zero is luck, not progress
    ax.set_yscale("log")
    for k in reversed(range(shown.shape[1])):
        label = {0: "kept", rank: "left out"}.get(k)
        ax.plot(steps, shown[:, k], color=BELOW if k < rank else ABOVE, lw=1.3 if k < rank else 0.9, label=label)
    ax.set_xlim(min(steps), max(max(steps), min(steps) + 1))
    ax.set_xlabel("step of learning")
    ax.set_ylabel("relative violation")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def trajectory(
    grid: tuple[np.ndarray, np.ndarray, np.ndarray], moved: Sequence[tuple[str, np.ndarray]], period: float | None
) -> Figure:
    """A trajectory in space-time, before and after.

    Args:
        grid: ``x [X]``, ``t [T]``, ``u [T, X]``.
        moved: titles and end points ``[T, X, 3]``.
        period: of x, when the moved trajectory is to be continued with it; the panels then show one period.
    """
    x, t, u = grid
    X, T = np.meshgrid(x, t)
    panels = [("before", np.stack([X, T, u], -1)), *moved]
    everything = np.concatenate([points[np.isfinite(points).all(-1)] for _, points in panels])
    norm = Normalize(*_range(everything[..., 2]))
    inner = slice(len(t) // 4, max(len(t) * 3 // 4, 1))  # the highest point of the middle times
    row, column = np.unravel_index(np.argmax(u[inner]), u[inner].shape)
    figure, axes = _row(len(panels), 2.9, right=BAR, sharey=True)
    left, right = (x[0], x[0] + period) if period else _range(everything[..., 0])
    low, high = _range(everything[..., 1])
    for ax, (title, points) in zip(axes, panels, strict=True):
        shifts = [0.0]
        if period:
            finite = points[..., 0][np.isfinite(points[..., 0])]
            if finite.size:
                shifts = [n * period for n in range(*_copies(finite.min(), finite.max(), left, right, period))]
            points = np.concatenate([points, points[:, :1] + np.array([period, 0, 0])], 1)
        for shift in shifts:
            _mesh(ax, points[..., 0] + shift, points[..., 1], points[..., 2], norm, VALUES)
            place = points[inner][row, column] + np.array([shift, 0, 0])
            ax.plot(place[0], place[1], "o", color="white", mec="black", ms=7, clip_on=True)
        if title != "before":
            corners = [(x[0], t[0]), (x[-1], t[0]), (x[-1], t[-1]), (x[0], t[-1])]
            for (x1, t1), (x2, t2) in zip(corners, corners[1:] + corners[:1], strict=True):
                if not period or (t1 == t2 and t1 not in (low, high)):
                    ax.plot([x1, x2], [t1, t2], color="black", lw=1.0, ls="--")
        ax.set_xlim(left, right)
        ax.set_ylim(low, high)
        ax.set_title(title)
    _label(axes)
    _bar(figure, norm, VALUES, "u", rotation=0)
    return figure


def residuals(grid: tuple[np.ndarray, np.ndarray], maps: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Relative residuals ``[T, X]`` on one logarithmic colour scale; what is not finite counts as 1."""
    x, t = grid
    X, T = np.meshgrid(x, t)
    figure, axes = _row(len(maps), 2.9, right=BAR, sharey=True)
    norm = LogNorm(LEAST, 1.0)
    for ax, (title, values) in zip(axes, maps, strict=True):
        shown = np.clip(np.nan_to_num(values.astype(float), nan=1.0, posinf=1.0), LEAST, 1.0)
        _mesh(ax, X, T, shown, norm, RESIDUALS)
        ax.set_title(title)
    _label(axes)
    bar = _bar(figure, norm, RESIDUALS, "relative residual")
    bar.set_ticks([1e-16, 1e-12, 1e-8, 1e-4, 1.0])
    return figure


def vectors(grid: tuple[np.ndarray, np.ndarray], fields: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Vector fields ``[T, X, 3]``: arrows for dx and dt, colour for du, on one scale."""
    x, t = grid
    X, T = np.meshgrid(x, t)
    figure, axes = _row(len(fields), 2.9, right=BAR, sharey=True)
    exact = fields[0][1]
    size = np.array([np.ptp(x) or 1.0, np.ptp(t) or 1.0])
    finite = exact[np.isfinite(exact).all(-1)]
    longest = np.hypot(*(finite[:, :2] / size).T).max(initial=0.0)
    largest = np.abs(finite[:, 2]).max(initial=0.0)
    norm = Normalize(-(largest or 1.0), largest or 1.0)
    rows, columns = (_every(len(axis), count) for axis, count in zip((t, x), ARROWS, strict=True))
    for ax, (title, values) in zip(axes, fields, strict=True):
        _mesh(ax, X, T, np.nan_to_num(values[..., 2]), norm, CHANGES)
        if longest > 0:
            arrows = values[np.ix_(rows, columns)][..., :2] * (LONGEST_ARROW / longest)
            ax.quiver(
                X[np.ix_(rows, columns)],
                T[np.ix_(rows, columns)],
                arrows[..., 0],
                arrows[..., 1],
                angles="xy",
                scale_units="xy",
                scale=1.0,
                width=0.004,
                minlength=0.2,
                pivot="mid",
            )
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(t[0], t[-1])
        ax.set_title(title)
    _label(axes)
    if largest > 0:
        _bar(figure, norm, CHANGES, "change of u")
    return figure


def _row(
    panels: int,
    height: float,
    *,
    left: float = LEFT,
    right: float = RIGHT,
    top: float = TOP,
    between: float = BETWEEN,
    sharey: bool = False,
) -> tuple[Figure, Sequence[Axes]]:
    """A figure with a row of panels; lengths in inches."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    axes = figure.subplots(1, panels, squeeze=False, sharey=sharey)[0]
    width = (WIDTH - left - right - (panels - 1) * between) / panels
    figure.subplots_adjust(left / WIDTH, BOTTOM / height, 1 - right / WIDTH, 1 - top / height, between / width)
    return figure, axes


def _bar(figure: Figure, norm: Normalize, cmap: str | Colormap, label: str, rotation: float = 90) -> Colorbar:
    """A colour bar in the margin `BAR` on the right."""
    height = figure.get_figheight()
    ax = figure.add_axes((1 - (BAR - 0.12) / WIDTH, BOTTOM / height, BAR_WIDTH / WIDTH, 1 - (BOTTOM + TOP) / height))
    bar = figure.colorbar(ScalarMappable(norm, cmap), cax=ax)
    bar.set_label(label, rotation=rotation)
    return bar


def _label(axes: Sequence[Axes]) -> None:
    """The axes of space-time."""
    axes[0].set_ylabel("t", rotation=0, labelpad=9)
    for ax in axes:
        ax.set_xlabel("x")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4, prune="upper"))


def _every(size: int, count: int) -> np.ndarray:
    """`count` evenly spaced indices around the middle, fewer when there are fewer."""
    step = max(1, size // count)
    count = min(count, size)
    return (size - 1 - step * (count - 1)) // 2 + step * np.arange(count)


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.max(values))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _copies(first: float, last: float, left: float, right: float, period: float) -> tuple[int, int]:
    """By which multiples of the period ``[first, last]`` has to be shifted to cover ``[left, right]``."""
    return int(np.ceil((left - last) / period)) - 1, int(np.floor((right - first) / period)) + 2


def _mesh(ax: Axes, X: np.ndarray, T: np.ndarray, C: np.ndarray, norm: Normalize, cmap: str | Colormap) -> None:
    """Colours on a deformed grid; cells with a corner that is not finite stay empty."""
    finite = np.isfinite(X) & np.isfinite(T) & np.isfinite(C)
    if finite.all():
        ax.pcolormesh(X, T, C, norm=norm, cmap=cmap, shading="gouraud")
        return
    X, T = np.where(finite, X, 0.0), np.where(finite, T, 0.0)
    corners = np.where(finite, C, np.nan)
    cells = np.ma.masked_invalid((corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4)
    ax.pcolormesh(X, T, cells, norm=norm, cmap=cmap, shading="flat")


def planes(panels: Sequence[tuple[str, tuple[str, str], np.ndarray, np.ndarray]]) -> Figure:
    """Vector fields in planes of two axes, as arrows.

    Args:
        panels: a title, the names of the axes, points ``[N, 2]`` and the vectors there ``[N, 2]``, one for each panel.
    """
    figure, axes = _row(max(len(panels), 4), 2.6, between=0.7)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, (title, names, points, vectors) in zip(axes, panels, strict=False):
        size = np.ptp(points, axis=0)
        longest = np.hypot(*(vectors / size).T).max(initial=0.0) or 1.0
        arrows = vectors * (2 * LONGEST_ARROW / longest)
        ax.quiver(*points.T, *arrows.T, angles="xy", scale_units="xy", scale=1.0, width=0.006, pivot="mid", color=BELOW)
        ax.set_title(title)
        ax.set_xlabel(names[0])
        ax.set_ylabel(names[1], rotation=0, labelpad=5)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=4))
    return figure
