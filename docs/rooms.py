"""Draws the rooms of the house, and which uses which, from the imports of the code: ``make rooms``.

An arrow runs from the room that imports to the one that is imported. Of a chain only the single steps are drawn: where
A uses B and B uses C, an arrow from A to C would say nothing new.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

import grimp

PICTURE = Path(__file__).with_name("rooms.svg")
ALONE = {
    "domains",
    "console",
    "settings",
    "errors",
    "arrays",
    "plotting",
}  # leaves that anyone may use; arrows to them would hide the others
WIDTH, BOX, HEIGHT, GAP, MARGIN = 1200, 250, 58, 26, 16
LETTER, CAPITAL = 5.6, 8.6  # mean width of a letter of the sentences, and of the names
LINES = 3  # of a sentence


@dataclass(frozen=True)
class Room:
    """A package or a module of its own, with the first sentence of its docstring."""

    name: str
    idea: str


def rooms(graph: grimp.ImportGraph, house: str, without: set[str]) -> list[Room]:
    """The rooms right under a package."""
    found = []
    for module in sorted(graph.find_children(house)):
        name = module.removeprefix(f"{house}.")
        if name not in without and not name.startswith("_"):
            text = (importlib.import_module(module).__doc__ or "").strip()
            found.append(
                Room(
                    name, re.split(r"[.;]\s", text.split("\n\n")[0].replace("\n", " ").replace("`", ""))[0].rstrip(".")
                )
            )
    return found


def uses(graph: grimp.ImportGraph, house: str, names: list[str]) -> dict[str, set[str]]:
    """Which room imports which."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for a in names:
        for b in names:
            if a != b and graph.direct_import_exists(
                importer=f"{house}.{a}", imported=f"{house}.{b}", as_packages=True
            ):
                found[a].add(b)
    return found


def depth(name: str, used: dict[str, set[str]]) -> int:
    """The longest chain below a room."""
    return 1 + max((depth(other, used) for other in used[name]), default=-1)


def steps(used: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The arrows that no chain of others stands for."""

    def below(name: str) -> set[str]:
        return used[name] | {far for other in used[name] for far in below(other)}

    return [(a, b) for a in used for b in sorted(used[a]) if not any(b in below(other) for other in used[a] - {b})]


def lines(text: str, width: int) -> list[str]:
    """A sentence in lines of so many letters; what does not find room is an ellipsis."""
    out = [""]
    for word in text.split():
        if len(out[-1]) + len(word) + 1 > width and out[-1]:
            out.append("")
        out[-1] = f"{out[-1]} {word}".strip()
    if len(out) > LINES:
        last = out[LINES - 1]
        last = last if len(last) + 2 <= width else last.rpartition(" ")[0]
        out[LINES - 1 :] = [last.rstrip(" ,:") + " …"]
    return out


def rows(layer: list[Room], width: int) -> list[list[Room]]:
    """A layer in as few rows as leave room for the names."""
    widest = CAPITAL * max(len(room.name) for room in layer) + 14
    most = max(1, int(width / widest))
    count = -(-len(layer) // most)
    ends = [len(layer) * k // count for k in range(count + 1)]
    return [layer[a:b] for a, b in pairwise(ends)]


def block(title: str, found: list[Room], used: dict[str, set[str]], x: int, y: int, width: int) -> tuple[str, int]:
    """One house: its rooms in layers, what is used below what uses it; returns the drawing and its lower end."""
    names = [room.name for room in found]
    level = {name: depth(name, used) for name in names}
    layers = [[r for r in found if level[r.name] == k] for k in range(max(level.values()), -1, -1)]
    out = [f'<text class="title" x="{x + 12}" y="{y + 22}">{escape(title)}</text>']
    place: dict[str, tuple[float, float]] = {}
    box: dict[str, float] = {}
    top = y + 36
    for row in (row for layer in layers for row in rows(layer, width)):
        step = width / len(row)
        for i, room in enumerate(row):
            place[room.name] = (x + step * (i + 0.5), top)
            box[room.name] = min(BOX, step - 14)
        top += HEIGHT + GAP
    for a, b in steps(used):
        (xa, ya), (xb, yb) = place[a], place[b]
        bend = (ya + HEIGHT + yb) / 2
        out.append(
            f'<path class="arrow" d="M{xa:.0f} {ya + HEIGHT} C{xa:.0f} {bend:.0f} {xb:.0f} {bend:.0f} '
            f'{xb:.0f} {yb - 3}"/>'
        )
    for room in found:
        cx, cy = place[room.name]
        out.append(
            f'<g><title>{escape(room.idea)}</title><rect class="room" x="{cx - box[room.name] / 2:.0f}" y="{cy}" '
            f'width="{box[room.name]:.0f}" height="{HEIGHT}" rx="6"/>'
        )
        out.append(f'<text class="name" x="{cx:.0f}" y="{cy + 15}">{escape(room.name)}</text>')
        for k, line in enumerate(lines(room.idea, int(box[room.name] / LETTER))):
            out.append(f'<text class="idea" x="{cx:.0f}" y="{cy + 28 + 11 * k}">{escape(line)}</text>')
        out.append("</g>")
    end = top - GAP + 12
    frame = f'<rect class="house" x="{x}" y="{y}" width="{width}" height="{end - y}" rx="10"/>'
    return "\n".join([frame, *out]), end


def draw() -> str:
    """The picture as SVG."""
    graph = grimp.build_graph("symflow", exclude_type_checking_imports=True, cache_dir=None)
    half = (WIDTH - 3 * MARGIN) // 2
    parts, ends = [], []
    for i, (house, title) in enumerate(
        (("symflow.pde", "pde/  installed as symflow.pde"), ("symflow.vision", "vision/  installed as symflow.vision"))
    ):
        found = rooms(graph, house, set())
        drawing, end = block(
            title, found, uses(graph, house, [r.name for r in found]), MARGIN + i * (half + MARGIN), MARGIN, half
        )
        parts.append(drawing)
        ends.append(end)
    y = max(ends) + GAP
    found = rooms(graph, "symflow", {"pde", "vision", "cli", *ALONE})
    drawing, end = block(
        "symflow/  the core, which knows no domain",
        found,
        uses(graph, "symflow", [r.name for r in found]),
        MARGIN,
        y,
        WIDTH - 2 * MARGIN,
    )
    for i in range(2):
        x = MARGIN + i * (half + MARGIN) + half / 2
        parts.append(f'<path class="arrow" d="M{x:.0f} {ends[i]} L{x:.0f} {y - 3}"/>')
    alone = ", ".join(sorted(ALONE))
    note = (
        f'<text class="idea left" x="{MARGIN + 12}" y="{end + 18}">Not drawn: cli, which finds the commands of the '
        f"domains, and {alone}, which anyone may use. An arrow runs to what is used.</text>"
    )
    style = """
text{font-family:system-ui,sans-serif;fill:#1d2733} .title{font-size:14px;font-weight:600} .name{font-size:13px;
font-weight:600;text-anchor:middle} .idea{font-size:9.5px;text-anchor:middle;fill:#4a5a6a} .left{text-anchor:start}
.house{fill:#f6f8fa;stroke:#c9d3dc} .room{fill:#fff;stroke:#5b7a99}
.arrow{fill:none;stroke:#7d93a8;marker-end:url(#tip)}"""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {end + 30}" width="{WIDTH}" '
        f'height="{end + 30}" role="img" aria-label="The rooms of symflow and which uses which">\n'
        f'<style>{style}</style>\n<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#7d93a8"/></marker></defs>\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join([*parts, drawing, note]) + "\n</svg>\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the picture is that of the code")
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    picture = draw()
    if arguments.check:
        if not arguments.out.exists() or arguments.out.read_text() != picture:
            sys.exit(f"{arguments.out.name} is not that of the code; `make rooms` draws it again")
    else:
        arguments.out.write_text(picture)
