"""A result on images in words, for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from symflow.discovery import lines
from symflow.formulas import text_table

if TYPE_CHECKING:
    from .result import Colours, ImageResult

SIX = 6  # affine fields on the plane
WIDTH = 120


def text(result: ImageResult) -> str:
    """All of it, as ``print`` shows it."""
    tables = [_generators(result), _controls(result)]
    if result.colours is not None:
        tables.insert(1, _colours(result.colours))
    return "\n\n".join([headline(result), "\n".join(lines(result.statements)), *tables, "\n".join(_remarks(result))])


def headline(result: ImageResult) -> str:
    """What was studied, and by what."""
    accuracy = "" if result.accuracy is None else f", {result.accuracy:.1%} right on unseen images"
    return (
        f"{len(result.generators)} generators of {result.data} ({result.setting.images:,} images), by the features of "
        f"{result.network}{accuracy}"
    )


def _generators(result: ImageResult) -> str:
    numeric = ("angle", "lambda", "images alone", "affine", "moved", "control")
    rows = []
    for g in result.generators:
        angle = "" if g.angle is None else f"{math.degrees(g.angle):.0f}°"
        numbers = (f"{v:.2f}" for v in (g.value, g.ratio, g.affineness, g.score, g.control))
        rows.append([g.name, g.motion or "", g.formula, angle, *numbers, "yes" if g.learned else "no"])
    return text_table(["", "motion", "closed form", *(f">{name}" for name in numeric), "learned"], rows, WIDTH)


def _controls(result: ImageResult) -> str:
    others = max(len(result.generators) - SIX, 0)
    rows = []
    for name, span in {"found": result.found, **result.controls}.items():
        shown = [f"{a:.2f}" for a in span.affineness]
        parts = " | ".join(" ".join(part) for part in (shown[:SIX], shown[SIX:]) if part)
        values = f"{span.values[0]:.2f} - {span.values[-1]:.2f}" if span.values else ""
        rows.append([name, parts, f"{span.largest_angle:.0f}°", values])
    columns = ["", f"affine-ness of the first six | the next {others}", ">largest angle", ">lambda"]
    return text_table(columns, rows, WIDTH)


def _colours(colours: Colours) -> str:
    rows = [
        [g.name, g.change or "", f"{g.value:.2f}", f"{g.control:.2f}", "yes" if g.learned else "no"]
        for g in colours.generators
    ]
    return text_table(["", "change of colour", ">lambda", ">random network", "learned"], rows, WIDTH)


def _remarks(result: ImageResult) -> list[str]:
    rank, quotient = result.gap
    closure = result.found.closure
    leave = "" if closure is None else f"; brackets of the first six leave their span by {closure:.2f}"
    remarks = [
        "lambda: what a motion changes in the features, and its roughness, over what its patches change out of",
        "step; images alone: without the roughness; 1 is no invariance. moved: RMS angle of the features after",
        f"flows of {result.setting.length:g}; control: the same with its patches out of step, which must be more.",
        "learned: moved/control, squared, is below what any motion reaches for a network that has learned nothing.",
        "affine: norm of the projection on the affine fields, under the weight omega of the pixels. largest",
        "angle: of the first six to the six affine fields. Smoothness or the losses alone give affine fields",
        "too: what the images add is seen with mu = 0, and in that a network which has learned nothing fails.",
        f"widest gap in lambda: after {rank}, a factor {quotient:.2f}{leave}",
    ]
    if result.seconds:
        remarks.append(f"all stages together: {sum(result.seconds.values()):.1f} s")
    return remarks
