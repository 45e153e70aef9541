"""Approximate symmetries in words, for a terminal and a page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from symflow.fields import Coordinates
from symflow.formulas import format_generator
from symflow.formulas.notation import number

from .approximate import PARTS, Approximate, Search

MOST_PARTS = 3  # eighths that hold half of a violation: there it sits
HALF = 0.5


def sentences(search: Search, found: Sequence[Approximate], coordinates: Coordinates) -> list[str]:
    """What was found, and how well these data can tell.

    >>> untold = Search(None, None, 0.05, 0.02, None, "cannot be told: too few data")
    >>> sentences(untold, [], Coordinates(("x", "t", "u")))
    ['approximate symmetries cannot be told: too few data']
    """
    if search.tolerance is None or search.reason:
        return [f"approximate symmetries {search.reason}"]
    within = f"with a defect within {number(search.tolerance)}"
    if not found:
        above = f" (the next polynomial field has {number(search.spectrum.above)})" if search.spectrum else ""
        return [f"approximate symmetries {within}: none{above}"]
    sure = f"the residual that moved data acquire per unit of length; intervals hold with {1 - search.alpha:.0%}"
    lines = [f"approximate symmetries {within} ({sure}):"]
    for near in found:
        lines.append(f"  {near.formula}: {figures(near)}")
        lines += [f"    {part}" for part in (kind(near), reached(near, search.delta), *places(near, coordinates))]
    return lines


def figures(near: Approximate) -> str:
    """The defect with its interval and range."""
    low, high = near.interval
    return (
        f"defect {number(near.defect)}, true one in [{number(low)}, {number(high)}], "
        f"{number(near.smallest)} to {number(near.largest)} by trajectory"
    )


def kind(near: Approximate) -> str:
    """Which of the two kinds of near it is, and whether it keeps the period."""
    if near.independent or near.nearest is None or near.angle is None:
        said = f"independent of what is proved ({number(near.beside)} beside it)"
    else:
        close = f"near the proved {format_generator(near.nearest)}"
        said = f"{close}, {math.degrees(near.angle):.1g} degrees from what is proved, to which it adds nothing"
    turns = any(re.search(r"\bx\b", text) for text in near.closed_form.values())
    return f"{said}, changes the period" if turns else said


def reached(near: Approximate, delta: float) -> str:
    """How far data can be moved."""
    if near.reach is None or near.parameter is None:
        return near.note
    length = f"{number(near.parameter)} ({number(near.reach)} of the box)"
    return f"moved data miss the equation by {number(delta)} after {length}"


def places(near: Approximate, coordinates: Coordinates) -> list[str]:
    """Where in t and x half of the violation sits, if that is a small part of them."""
    across = [sum(column) for column in zip(*near.where, strict=True)]
    found = []
    for name, portions in (("t", [sum(row) for row in near.where]), ("x", across)):
        i = coordinates.names.index(name)
        for length in range(1, MOST_PARTS + 1):
            first = max(range(PARTS - length + 1), key=lambda k: sum(portions[k : k + length]))
            held = sum(portions[first : first + length])
            if held >= HALF:
                low, high = (coordinates.offset[i] + coordinates.scale[i] * k / PARTS for k in (first, first + length))
                found.append(f"{held:.0%} of the violation lies in {name} from {low:.3g} to {high:.3g}")
                break
    return found
