"""The figures of a report on images, in the style of `symflow.report.figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from symflow.report.figures import ABOVE, BELOW, CHANGES, DPI, THIRD, WIDTH

ARROWS = 9  # per side
PER_ROW = 5
SERIES = (BELOW, THIRD, "#5e3c99", "#4d9221", ABOVE, "#c51b7d")
MARKS = "osD^vP"


def vector_fields(values: np.ndarray, titles: Sequence[str]) -> Figure:
    """Vector fields ``[K, H, W, 2]`` on the pixel plane; y points down, as in images.

    Arrows have one scale within a panel, and the longest ones of all panels the same length.
    """
    K, height, width = values.shape[:3]
    rows = -(-K // PER_ROW)
    panel = (WIDTH - 0.3) / PER_ROW
    figure = Figure(figsize=(WIDTH, rows * (panel + 0.42) + 0.1), dpi=DPI)
    axes = figure.subplots(rows, PER_ROW, squeeze=False)
    figure.subplots_adjust(
        0.1 / WIDTH,
        0.1 / figure.get_figheight(),
        1 - 0.1 / WIDTH,
        1 - 0.42 / figure.get_figheight(),
        0.08,
        0.42 / panel,
    )
    places = [np.linspace(0, n - 1, min(ARROWS, n)).round().astype(int) for n in (height, width)]
    for k, ax in enumerate(axes.flat):
        if k >= K:
            ax.set_axis_off()
            continue
        x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in (width, height)))
        grid = np.ix_(*places)
        arrows = values[k][grid]
        longest = np.hypot(*np.moveaxis(arrows, -1, 0)).max() or 1.0
        arrows = arrows * (0.3 / longest)
        ax.quiver(
            x[grid], y[grid], arrows[..., 0], arrows[..., 1], angles="xy", scale_units="xy", scale=1.0,
            width=0.009, headwidth=4, minlength=0.2, pivot="mid", color=BELOW,
        )  # fmt: skip
        _plane(ax)
        ax.set_title(titles[k], fontsize=9.5, pad=4, linespacing=1.15)
    return figure


def _plane(ax: Axes) -> None:
    ax.set_xlim(-1.2, 1.2)
    ax.set_ylim(1.2, -1.2)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color("#c8c8c8")


def image_rows(images: np.ndarray, lengths: Sequence[float], labels: Sequence[str]) -> Figure:
    """One image ``[K, S, C, H, W]``, from 0 to 1 or cut off there, at S lengths along each of K generators."""
    K, S, C, height, width = images.shape
    left, top, gap = 1.35, 0.3, 0.05
    side = (WIDTH - left - 0.1 - (S - 1) * gap) / S
    tall = side * height / width
    total = top + K * (tall + gap) + 0.05
    figure = Figure(figsize=(WIDTH, total), dpi=DPI)
    for k in range(K):
        for s in range(S):
            corner = (left + s * (side + gap)) / WIDTH, (total - top - (k + 1) * (tall + gap) + gap) / total
            ax = figure.add_axes((*corner, side / WIDTH, tall / total))
            picture = np.clip(images[k, s].transpose(1, 2, 0), 0.0, 1.0)
            ax.imshow(picture if C == 3 else picture[..., 0], cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            for spine in ax.spines.values():
                spine.set_visible(lengths[s] == 0)
                spine.set_linewidth(1.6)
                spine.set_color(THIRD)
            if k == 0:
                ax.set_title("the image" if lengths[s] == 0 else f"{lengths[s]:+.1f}", pad=4)
            if s == 0:
                ax.set_ylabel(labels[k], rotation=0, ha="right", va="center", labelpad=6)
    return figure


def products(own: np.ndarray, affine: np.ndarray, names: Sequence[str], weight: np.ndarray) -> Figure:
    """Inner products of K generators with each other and with the affine fields ``[K, 6]``, and the weight."""
    K = len(own)
    bottom, top, cell = 0.36, 0.35, 0.27
    side = K * cell
    figure = Figure(figsize=(WIDTH, bottom + top + side), dpi=DPI)
    height = figure.get_figheight()

    def add(left: float, wide: float) -> Axes:
        return figure.add_axes((left / WIDTH, bottom / height, wide / WIDTH, side / height))

    gap = (WIDTH - 0.5 - side - 6 * cell * 1.35 - side - 0.75) / 2
    first = add(0.5, side)
    second = add(0.5 + side + gap, 6 * cell * 1.35)
    third = add(WIDTH - 0.75 - side, side)
    labels = [f"$V_{{{k + 1}}}$" for k in range(K)]
    for ax, table, columns in ((first, own, labels), (second, affine, names)):
        ax.imshow(table, cmap=CHANGES, norm=Normalize(-1, 1), aspect="auto")
        for i, row in enumerate(table):
            for j, value in enumerate(row):
                if abs(value) >= 0.095:
                    ax.text(
                        j,
                        i,
                        f"{value:.1f}".replace("0.", ".").replace("-", "−"),
                        ha="center",
                        va="center",
                        fontsize=7.5,
                    )
        ax.set_xticks(range(len(columns)), columns, fontsize=8.5)
        ax.set_yticks(range(K), labels, fontsize=8.5)
        ax.tick_params(length=0)
    first.set_title("with each other")
    second.set_title("with the affine fields")
    shown = third.imshow(weight / weight.mean(), cmap="viridis", vmin=0.0)
    third.set_xticks([])
    third.set_yticks([])
    third.set_title("weight of the pixels")
    box = third.get_position()
    bar = figure.colorbar(shown, cax=figure.add_axes((box.x1 + 0.1 / WIDTH, box.y0, 0.1 / WIDTH, box.height)))
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    bar.ax.tick_params(labelsize=8)
    return figure


def beside_controls(panels: Sequence[tuple[str, Mapping[str, Sequence[float]]]], six: int) -> Figure:
    """Numbers of each generator, 1 to K, by where the generators come from; a line after the first six.

    Args:
        panels: the label of the vertical axis, and the series by name.
        six: how many affine fields there are.
    """
    figure = Figure(figsize=(WIDTH, 3.3), dpi=DPI)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    height = figure.get_figheight()
    figure.subplots_adjust(0.7 / WIDTH, 0.85 / height, 1 - 0.15 / WIDTH, 1 - 0.15 / height, 0.22)
    names = list(dict.fromkeys(name for _, series in panels for name in series))
    drawn = {}
    for ax, (label, series) in zip(axes, panels, strict=True):
        count = 1
        for name, values in series.items():
            index, count = names.index(name), max(count, len(values))
            style = {"color": SERIES[index % len(SERIES)], "marker": MARKS[index % len(MARKS)]}
            wide = {"lw": 1.6, "ms": 6.5, "zorder": 3} if index == 0 else {"lw": 0.8, "ms": 4.5}
            (drawn[name],) = ax.plot(np.arange(1, len(values) + 1), values, **style, **wide)
        if count > six:
            ax.axvline(six + 0.5, color="#c8c8c8", lw=0.9, ls="--", zorder=0)
        ax.set_ylim(0.0, max(1.03, *(max(v) * 1.05 for v in series.values())))
        ax.set_xlim(0.5, count + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
        ax.set_xlabel("generator, from cheap to dear")
        ax.set_ylabel(label)
    labels = [name.replace("$", r"\$") for name in names]  # no formulas from files
    handles = [drawn[name] for name in names]
    figure.legend(handles, labels, loc="lower center", ncols=len(names), frameon=False, fontsize=8.5)
    return figure
