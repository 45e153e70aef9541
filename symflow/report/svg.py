"""Drawings as SVG: axes, marks, lines and arrows, as text made from numbers.

A `Figure` is a row of panels. On a page each panel is a picture of its own, so that a row wraps on a narrow screen; as
a file it is one picture. Colours are names of `COLOURS`, which follow a light or a dark page. Nothing is loaded and
nothing runs, text is escaped, and the same numbers give the same bytes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from .scales import Scale

# By name, on light and on dark paper.
COLOURS = {
    "paper": ("#fdfdfb", "#15181c"),
    "ink": ("#1d2126", "#e4e6e8"),
    "quiet": ("#5b6570", "#a0a8b0"),
    "line": ("#d9dcdf", "#363c43"),
    "first": ("#1f66ab", "#6fb1f2"),
    "second": ("#7b8188", "#98a0a8"),
    "third": ("#b35806", "#f0a252"),
    "fourth": ("#5e3c99", "#b79ff0"),
    "fifth": ("#3f7d1c", "#8fce62"),
    "sixth": ("#b5176f", "#f284bf"),
    "gap": ("#f2e2b8", "#453b1d"),
    "gap-ink": ("#6b5510", "#e6cf8a"),
    "on-map": ("#000000", "#000000"),  # colour maps are the same on any paper
    "mark": ("#ffffff", "#ffffff"),
}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif'
SHEET = f".panel{{font:12px {FONT}}}" + "".join(f".panel .{n}{{color:var(--{n})}}" for n in COLOURS)

GROWTH = 1.2  # a panel on a page is at most so much larger than it was drawn
FARTHEST = 1e5  # pixels: what lies beyond is drawn there
LETTER = 0.6  # mean width of one, of the size of its font, in a wide font
SMALLEST = 9.0  # size of a title that would be too long; what is longer still is cut
SHORT = 8  # letters of a name that fits beside an axis
_TICK, _PAD = 4.0, 6.0
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # no XML may hold them


Numbers = np.ndarray | Sequence[float]


@dataclass(frozen=True)
class Panel:
    """A finished picture, in pixels."""

    width: float
    height: float
    body: str


@dataclass(frozen=True)
class Figure:
    """Panels side by side, `columns` to a row of the file; `least` pixels wide on a page, which scrolls if narrower."""

    panels: Sequence[Panel]
    columns: int = 4
    least: int = 0

    def html(self, alt: str) -> Markup:
        """For a page with `SHEET` and the variables of `COLOURS`."""
        parts = []
        for p in self.panels:
            width, height = number(p.width), number(p.height)
            style = f"flex:{width} 1 {width}px;max-width:{number(GROWTH * p.width)}px"
            style += f";min-width:{self.least}px" if self.least else ""
            parts.append(f'<svg class="panel" viewBox="0 0 {width} {height}" style="{style}">{p.body}</svg>')
        return Markup(f'<div class="panels" role="img" aria-label="{safe(alt)}">\n{chr(10).join(parts)}\n</div>')  # noqa: S704

    def inline(self, alt: str) -> str:
        """For a notebook: as a file, whose style would be that of all the notebook, inside an image."""
        content = base64.b64encode(self.file(alt).encode()).decode()
        return f'<img alt="{safe(alt)}" src="data:image/svg+xml;base64,{content}">'

    def file(self, alt: str) -> str:
        """An SVG file with a style of its own."""
        rows = [self.panels[i : i + self.columns] for i in range(0, len(self.panels), self.columns)]
        parts, y = [], 0.0
        for row in rows:
            x = 0.0
            for p in row:
                place = f'x="{number(x)}" y="{number(y)}" width="{number(p.width)}" height="{number(p.height)}"'
                parts.append(f'<svg class="panel" {place}>{p.body}</svg>')
                x += p.width
            y += max(p.height for p in row)
        width, height = number(max(sum(p.width for p in row) for row in rows)), number(y)
        light, dark = (
            re.sub(r"var\(--([a-z-]+)\)", lambda m: COLOURS[m[1]][i], f"svg{{background:var(--paper)}}{SHEET}")  # noqa: B023
            for i in (0, 1)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f' role="img" aria-label="{safe(alt)}">\n<title>{safe(alt)}</title>\n'
            f"<style>{light}@media (prefers-color-scheme: dark){{{dark}}}</style>\n{chr(10).join(parts)}\n</svg>\n"
        )


def safe(text: str) -> str:
    """Text as it may stand in a picture and in an attribute."""
    return str(escape(_UNPRINTABLE.sub("�", text)))


def number(value: float) -> str:
    """A length in pixels, to a tenth."""
    return f"{round(float(value), 1) + 0.0:.10g}"


def _path(places: np.ndarray) -> str:
    return "".join(f"{'L' if i else 'M'}{number(x)} {number(y)}" for i, (x, y) in enumerate(places))


def width_of(words: str, size: float = 12.0) -> float:
    """About how many pixels words take, rather more."""
    return LETTER * size * len(words)


def title(x: float, y: float, words: str, room: float) -> str:
    """Words in a larger size, or in what fits into so many pixels."""
    most = int(room / (LETTER * SMALLEST))
    words = words if len(words) <= most else words[: most - 1] + "…"
    return text(x, y, words, size=min(13.0, room / (LETTER * max(len(words), 1))))


def text(x: float, y: float, words: str, colour: str = "ink", anchor: str = "start", size: float = 0.0) -> str:
    """Words with the foot of the line at y; `anchor` is start, middle or end."""
    more = f' text-anchor="{anchor}"' if anchor != "start" else ""
    more += f' font-size="{number(size)}"' if size else ""
    return f'<text class="{colour}" fill="currentColor" x="{number(x)}" y="{number(y)}"{more}>{safe(words)}</text>'


@dataclass(frozen=True)
class Plot:
    """An area of so many pixels with two scales, and the margins around it."""

    x: Scale
    y: Scale
    width: float
    height: float
    left: float = 40.0
    right: float = 10.0
    top: float = 44.0
    bottom: float = 38.0

    def places(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Pixels ``[N, 2]`` from the upper left corner of the area."""
        found = np.stack([self.x(x) * self.width, (1 - self.y(y)) * self.height], -1)
        return np.where(np.isfinite(found), np.clip(found, -FARTHEST, FARTHEST), np.nan)

    def panel(self, *inside: str, around: Sequence[str] = ()) -> Panel:
        """Parts that end at the edge of the area, and parts that may leave it."""
        size = f'width="{number(self.width)}" height="{number(self.height)}"'
        body = f'<g transform="translate({number(self.left)} {number(self.top)})"><svg {size}>{"".join(inside)}</svg>'
        width, height = self.left + self.width + self.right, self.top + self.height + self.bottom
        return Panel(width, height, f"{body}{''.join(around)}</g>")


CIRCLE, DIAMOND, SQUARE = "circle", "diamond", "square"
_SHAPES = {
    DIAMOND: "m-{0} 0l{0}-{0}l{0} {0}l-{0} {0}z",
    SQUARE: "m-{0}-{0}h{1}v{1}h-{1}z",
    "down": "m-{0}-{0}h{1}l-{0} {1}z",
    "up": "m-{0} {0}h{1}l-{0}-{1}z",
    "plus": "m-{0} 0h{1}m-{0}-{0}v{1}",
}
SHAPES = (CIRCLE, *_SHAPES)


def points(plot: Plot, x: Numbers, y: Numbers, colour: str, shape: str = CIRCLE, size: float = 4.0) -> str:
    """Marks where both numbers are finite, one ``M`` of a path for each."""
    places = plot.places(np.asarray(x, float), np.asarray(y, float))
    places = places[np.isfinite(places).all(-1)]
    if not len(places):
        return ""
    if shape == CIRCLE:
        drawn = "".join(f"M{number(a)} {number(b)}h0" for a, b in places)
        style = f'stroke="currentColor" stroke-width="{number(2 * size)}" stroke-linecap="round"'
    else:
        outline = _SHAPES[shape].format(number(size), number(2 * size))
        drawn = "".join(f"M{number(a)} {number(b)}{outline}" for a, b in places)
        style = 'stroke="currentColor" stroke-width="1.5"' if shape == "plus" else 'fill="currentColor"'
    return f'<path class="{colour}" {style} d="{drawn}"/>'


def line(plot: Plot, x: Numbers, y: Numbers, colour: str, width: float = 1.2, dash: str = "") -> str:
    """A line through the points, broken where they are not finite."""
    places = plot.places(np.asarray(x, float), np.asarray(y, float))
    whole = np.isfinite(places).all(-1)
    pieces = np.split(places, np.flatnonzero(whole[1:] != whole[:-1]) + 1)
    drawn = "".join(_path(piece) for piece in pieces if len(piece) > 1 and np.isfinite(piece).all())
    more = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path class="{colour}" fill="none" stroke="currentColor" stroke-width="{number(width)}"{more} d="{drawn}"/>'
    )


def band(plot: Plot, low: float, high: float, colour: str) -> str:
    """The full width between two values of y."""
    top, foot = sorted(plot.places(np.zeros(2), np.array([low, high]))[:, 1])
    return (
        f'<rect class="{colour}" fill="currentColor" x="0" y="{number(top)}" width="{number(plot.width)}" '
        f'height="{number(foot - top)}"/>'
    )


def pixels(plot: Plot, vectors: np.ndarray) -> np.ndarray:
    """Vectors ``[..., 2]`` in units of the axes as pixels."""
    scale = plot.width / (plot.x.high - plot.x.low), -plot.height / (plot.y.high - plot.y.low)
    return np.asarray(vectors * np.array(scale))


def arrows(plot: Plot, x: np.ndarray, y: np.ndarray, shafts: np.ndarray, colour: str, width: float = 1.1) -> str:
    """Arrows ``[N, 2]``, in pixels, with their middles at the points; those too short to have a head are dots."""
    drawn = []
    for middle, shaft in zip(plot.places(x, y), shafts, strict=True):
        if not np.isfinite([middle, shaft]).all():
            continue
        length = float(np.hypot(*shaft))
        a, tip = middle - shaft / 2, middle + shaft / 2
        if length < 1.0:
            drawn.append(f"M{number(middle[0])} {number(middle[1])}h0")
            continue
        back = shaft / length * min(0.45 * length, 4.0)
        side = np.array([-back[1], back[0]]) * 0.6
        drawn.append(_path(np.stack([a, tip])) + _path(np.stack([tip - back + side, tip, tip - back - side])))
    style = f'fill="none" stroke="currentColor" stroke-width="{number(width)}" stroke-linecap="round"'
    return f'<path class="{colour}" {style} stroke-linejoin="round" d="{"".join(drawn)}"/>'


def axes(
    plot: Plot, name: str = "", x: str = "", y: str = "", *, ticks: tuple[int, int] = (5, 5), grid: bool = False
) -> str:
    """The lines on the left and below, at most so many marks on them, their names, a title; the name of y on top."""
    w, h = plot.width, plot.height
    marks, words, lines = [f"M0 0V{number(h)}H{number(w)}"], [], []
    for place, label in plot.x.ticks(ticks[0]) if ticks[0] else ():
        at = float(plot.x(place)) * w
        marks.append(f"M{number(at)} {number(h)}v{_TICK:g}")
        lines.append(f"M{number(at)} 0V{number(h)}")
        words.append(text(at, h + 17, label, "quiet", "middle", 11))
    for place, label in plot.y.ticks(ticks[1]) if ticks[1] else ():
        at = float(1 - plot.y(place)) * h
        marks.append(f"M0 {number(at)}h-{_TICK:g}")
        words.append(text(-_PAD, at + 4, label, "quiet", "end", 11))
    words += [text(w / 2, h + 33, x, anchor="middle")] if x else []
    words += [text(-_PAD, -8, y, anchor="end" if len(y) < SHORT else "start")] if y else []
    start = -_PAD if len(y) >= SHORT else 0
    words += [title(start, -25 if y else -8, name, w + plot.right - start)] if name else []
    under = f'<path class="line" stroke="currentColor" d="{"".join(lines)}"/>' if grid else ""
    return f'{under}<path class="quiet" fill="none" stroke="currentColor" d="{"".join(marks)}"/>{"".join(words)}'
