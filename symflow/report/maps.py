"""Colour maps in the plots of `symflow.report.svg`: numbers as paletted PNGs inside the drawing."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .scales import Scale
from .svg import SHORT, Plot, number, text

# Anchors with even steps of lightness in OKLCH, so that order shows without hue; between them sRGB is linear.
VALUES = ("#24155d", "#153777", "#015780", "#067589", "#069390", "#2bb18c", "#73ca7b", "#badd62", "#ffea6b")
RESIDUALS = ("#060606", "#201433", "#481c63", "#851b75", "#b7376b", "#e25b56", "#fd8b44", "#fec46e", "#fff4b1")
CHANGES = ("#6095d7", "#a5c4eb", "#f7f7f4", "#e7b3a2", "#cd785a")  # light: arrows lie on it

FINE = 1.5  # pixels of a picture to one of the drawing
AT_ONCE = 1 << 20  # pixels that are tested together
LAYERS = 64  # times the pixels of a picture that are tested at most
BAR = 64.0  # of a plot's margin for a colour bar
_LEVELS = 255  # of the palette; its first entry is nothing


@dataclass(frozen=True)
class Colours:
    """Numbers as colours: a scale, and the colours at even shares of it."""

    scale: Scale
    anchors: tuple[str, ...]

    def png(self, values: np.ndarray) -> bytes:
        """``[H, W]``, the first row on top; what is not finite is transparent, what is off the scale at its end."""
        shares = self.scale(values)
        shown = np.isfinite(shares)
        indices = np.where(
            shown, 1 + np.rint(np.clip(np.where(shown, shares, 0.0), 0.0, 1.0) * (_LEVELS - 1)), 0
        ).astype(np.uint8)
        anchors = np.array([[int(a[i : i + 2], 16) for i in (1, 3, 5)] for a in self.anchors])
        at = np.linspace(0.0, 1.0, _LEVELS)
        table = np.stack([np.interp(at, np.linspace(0.0, 1.0, len(anchors)), channel) for channel in anchors.T], -1)
        picture = Image.fromarray(indices)
        picture.putpalette([0, 0, 0, *np.rint(table).astype(int).flatten().tolist()])
        return _encoded(picture, transparency=0)


def _encoded(picture: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def image(content: bytes, x: float, y: float, width: float, height: float, *, smooth: bool = True) -> str:
    """A PNG in a rectangle of the drawing."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    style = "" if smooth else ' style="image-rendering:pixelated"'
    data = base64.b64encode(content).decode()
    return f'<image {place} preserveAspectRatio="none"{style} href="data:image/png;base64,{data}"/>'


def photograph(values: np.ndarray, x: float, y: float, width: float, height: float) -> str:
    """An image ``[H, W]`` or ``[H, W, 3]`` with values from 0 to 1, pixel by pixel."""
    picture = Image.fromarray(np.rint(255 * np.clip(values, 0.0, 1.0)).astype(np.uint8))
    return image(_encoded(picture), x, y, width, height, smooth=False)


def table(plot: Plot, values: np.ndarray, colours: Colours) -> str:
    """One colour for each entry ``[rows, columns]``, the first row on top, over the whole plot."""
    return image(colours.png(values), 0, 0, plot.width, plot.height, smooth=False)


def regular(plot: Plot, x: np.ndarray, y: np.ndarray, values: np.ndarray, colours: Colours) -> str:
    """Values ``[Y, X]`` on evenly spaced axes, each sample at its place."""
    left, right = (plot.places(x, np.full(len(x), y[0]))[[0, -1], 0]).tolist()
    foot, top = (plot.places(np.full(len(y), x[0]), y)[[0, -1], 1]).tolist()
    half_x, half_y = (right - left) / max(len(x) - 1, 1) / 2, (foot - top) / max(len(y) - 1, 1) / 2
    half_x, half_y = half_x or plot.width / 2, half_y or plot.height / 2
    place = left - half_x, top - half_y, right - left + 2 * half_x, foot - top + 2 * half_y
    return image(colours.png(values[::-1]), *place)


def deformed(plot: Plot, copies: list[np.ndarray], colours: Colours) -> str:
    """Points with values ``[R, C, 3]`` of moved grids, as surfaces; later ones lie on top."""
    shape = round(FINE * plot.height), round(FINE * plot.width)
    shown = np.full(shape, np.nan)
    for grid in copies:
        places = plot.places(grid[..., 0], grid[..., 1]) * FINE
        drawn = rasterise(places[..., 0], places[..., 1], grid[..., 2], shape)
        shown = np.where(np.isfinite(drawn), drawn, shown)
    return image(colours.png(shown), 0, 0, plot.width, plot.height)


def rasterise(x: np.ndarray, y: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The values of a deformed grid at the middles of pixels.

    Each cell is two triangles, on which values are linear. Cells with a corner that is not finite are left out, and so
    are the largest of a grid so torn that its cells would cover the picture many times. Where none lies, the result is
    not finite.

    Args:
        x: ``[R, C]``, in pixels from the left.
        y: ``[R, C]``, in pixels from the top.
        values: ``[R, C]``.
        shape: ``(H, W)`` of the result.
    """
    grid = np.stack([x, y, values], -1)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    cells = np.stack([a, b, c, d], 2).reshape(-1, 4, 3)
    cells = cells[np.isfinite(cells).all((1, 2))]
    triangles = cells[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    shown = np.full(shape, np.nan)
    limits = np.array(shape[::-1]) - 1
    low = np.clip(np.ceil(triangles[:, :, :2].min(1) - 0.5), 0, limits + 1).astype(int)
    high = np.clip(np.floor(triangles[:, :, :2].max(1) - 0.5), -1, limits).astype(int)
    keep = (high >= low).all(-1)
    triangles, low, size = triangles[keep], low[keep], (high - low + 1)[keep]
    order = np.argsort(size.prod(-1), kind="stable")
    few = np.sort(order[np.cumsum(size.prod(-1)[order]) <= LAYERS * shown.size])
    triangles, low, size = triangles[few], low[few], size[few]
    ends = np.cumsum(size.prod(-1))
    first = 0
    while first < len(triangles):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + AT_ONCE)))
        _fill(shown, triangles[first:last], low[first:last], size[first:last])
        first = last
    return shown


def _fill(shown: np.ndarray, triangles: np.ndarray, low: np.ndarray, size: np.ndarray) -> None:
    """Tests each pixel in the box of each triangle, and writes the values of those inside."""
    counts = size.prod(-1)
    owner = np.repeat(np.arange(len(triangles)), counts)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = low[owner, 1] + rank // size[owner, 0], low[owner, 0] + rank % size[owner, 0]
    (x0, y0, v0), (x1, y1, v1), (x2, y2, v2) = triangles.transpose(1, 2, 0)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (1.0 / area)[owner]
        dx, dy = column + 0.5 - x0[owner], row + 0.5 - y0[owner]
        p = (dx * (y2 - y0)[owner] - dy * (x2 - x0)[owner]) * inverse
        q = (dy * (x1 - x0)[owner] - dx * (y1 - y0)[owner]) * inverse
        inside = (p >= -1e-9) & (q >= -1e-9) & (p + q <= 1 + 1e-9)
    p, q, owner = p[inside], q[inside], owner[inside]
    shown[row[inside], column[inside]] = v0[owner] + p * (v1 - v0)[owner] + q * (v2 - v0)[owner]


def bar(plot: Plot, colours: Colours, label: str, most: int = 6) -> str:
    """A colour bar in the margin on the right of a plot, which has to leave `BAR` for it."""
    x, wide = plot.width + 12, 11.0
    shares = np.linspace(1.0, 0.0, 128)[:, None]
    parts = [image(Colours(Scale(0.0, 1.0), colours.anchors).png(shares), x, 0, wide, plot.height)]
    for place, words in colours.scale.ticks(most):
        at = (1 - float(colours.scale(place))) * plot.height
        parts.append(text(x + wide + 5, at + 4, words, "quiet", size=11))
    short = len(label) < SHORT
    return "".join([*parts, text(x if short else plot.width + BAR, -8, label, anchor="start" if short else "end")])
