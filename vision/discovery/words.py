"""A result on images in words, for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from symflow.discovery import lines
from symflow.formulas import text_table

if TYPE_CHECKING:
    from ..validity import HeldOut
    from .entries import Colours, Trial
    from .result import ImageResult

HELD = ("held out", "beside")  # lambda on held-out images, and what it stands beside
SIX = 6  # affine fields on the plane
WIDTH = 120


def text(result: ImageResult) -> str:
    """All of it, as ``print`` shows it."""
    tables = [_generators(result), _controls(result)]
    if result.colours is not None:
        tables.insert(1, _colours(result.colours))
    if result.trial is not None:
        tables.insert(1, _judged(result))
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
        rows.append([g.name, g.motion or "", g.formula, angle, *numbers])
    return text_table(["", "motion", "closed form", *(f">{name}" for name in numeric)], rows, WIDTH)


def held_out_figures(held_out: HeldOut | None) -> tuple[str, str]:
    """lambda on held-out images, and beside it rho, or lambda of untrained networks."""
    if held_out is None:
        return "", ""
    beside = ""
    if held_out.agreement is not None:
        beside = _pair(held_out.agreement)
    elif held_out.untrained:
        beside = f"{min(held_out.untrained):.2f}"
    return _pair(held_out.ratio), beside


def _pair(figure: tuple[float, float]) -> str:
    return f"{figure[0]:.2f} ± {figure[1]:.2f}"


def _judged(result: ImageResult) -> str:
    """What held-out images say of the generators, and of the affine motions as they are."""
    said = [(g.name, g.motion or "", g.held_out, g.data) for g in result.generators]
    said += [("", m.name, m.held_out, m.data) for m in result.motions]
    rows = [[name, motion, *held_out_figures(figures), word.word] for name, motion, figures, word in said]
    return text_table(["", "motion", *(f">{name}" for name in HELD), ""], rows, WIDTH)


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
        [g.name, g.change or "", f"{g.value:.2f}", f"{g.control:.2f}", *held_out_figures(g.held_out), g.data.word]
        for g in colours.generators
    ]
    heads = ["", "change of colour", ">lambda", ">random network", *(f">{name}" for name in HELD), ""]
    return text_table(heads, rows, WIDTH)


def _remarks(result: ImageResult) -> list[str]:
    rank, quotient = result.gap
    closure = result.found.closure
    leave = "" if closure is None else f"; brackets of the first six leave their span by {closure:.2f}"
    remarks = [
        "lambda: what a motion changes in the features, and its roughness, over what its patches change out of",
        "step; images alone: without the roughness; 1 is no invariance. moved: RMS angle of the features after",
        f"flows of {result.setting.length:g}; control: the same with its patches out of step, which must be more.",
        *_rule(result.trial),
        "affine: norm of the projection on the affine fields, under the weight omega of the pixels. largest",
        "angle: of the first six to the six affine fields. Smoothness or the losses alone give affine fields",
        "too: what the images add is seen with mu = 0, and in that a network which has learned nothing fails.",
        f"widest gap in lambda: after {rank}, a factor {quotient:.2f}, which moves with mu and is no number of",
        f"generators{leave}",
    ]
    if result.seconds:
        remarks.append(f"all stages together: {sum(result.seconds.values()):.1f} s")
    return remarks


def _rule(trial: Trial | None) -> list[str]:
    """What the words for motions rest on."""
    if trial is None:
        return []
    judges = ", ".join(
        name if accuracy is None else f"{name} ({accuracy:.1%})"
        for name, accuracy in zip(trial.judges, trial.accuracies, strict=True)
    )
    if len(trial.judges) == 1:
        controls = ", ".join(map(str, trial.untrained))
        return [
            f"held out: lambda on {trial.images:,} images for {judges}; beside: the lowest of untrained networks.",
            "measured: below 1 and below these by 2.58 standard errors; refuted: above 1 by 3. Untrained networks",
            f"have at least {controls} motions.",
        ]
    return [
        f"held out: lambda between {judges} on {trial.images:,} images;",
        "beside: rho, how much less they agree on the motion than on its patches. measured: both below 1 by 2.58",
        "standard errors; refuted: either above by 3.",
    ]
