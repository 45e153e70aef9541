"""What a generator does, as a small picture that moves: where it takes points, step by step.

Without a script: SVG's own animation, twice through and then at rest, again when a pointer or the keyboard comes to it.
Beside it stands the same at rest, which a page shows in its place on paper and to those who want no motion (`MOTION`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from symflow.fields import Coordinates, Field, SymbolicField
from symflow.fields.planes import plane, sheet
from symflow.ops.flow import flow
from symflow.runs import one_thread

from .maps import photograph
from .scales import Scale, spanning
from .svg import safe, text

FRAMES = 5
REACH = 0.22  # root mean square displacement at the end, the space being 1 across
SECONDS = 2.4  # once through; twice is below the five seconds that need a button to stop
WIDE, TALL = 480.0, 300.0
SIDE = 6  # points along an axis of a lattice

MOTION = (
    ".motion{display:block;width:100%;height:auto;border-radius:6px}.motion .still{display:none}"
    "@media (prefers-reduced-motion: reduce){.motion .still{display:inline}.motion .moving{display:none}}"
    "@media print{.motion .still{display:inline}.motion .moving{display:none}}"
)


def ridges(name: str, frames: np.ndarray, window: tuple[float, float], axes: tuple[str, str], alt: str) -> Markup:
    """Surfaces over space and time as lines, one for each time, later ones higher.

    Args:
        name: of the picture, one of its own on a page.
        frames: points ``(x, t, u)``, ``[frames, times, places, 3]``, of the surface before and ever farther moved.
        window: the ends of x.
        axes: what stands at the foot and on the left.
        alt: what it shows, for those who do not see it.
    """
    first = frames[0]
    time, height = spanning(first[..., 1]), spanning(first[..., 2])
    across = Scale(*window)
    x = across(frames[..., 0]) * WIDE
    y = TALL * (0.93 - 0.6 * time(frames[..., 1]) - 0.26 * height(frames[..., 2]))
    return _lines(name, np.stack([x, y], -1), axes, alt)


def lattice(name: str, frames: np.ndarray, axes: tuple[str, str], alt: str) -> Markup:
    """Points of a plane, ``[frames, rows, columns, 2]``, joined as a net that is carried along."""
    horizontal, vertical = (spanning(frames[0, ..., i], margin=0.28) for i in range(2))
    net = np.stack([horizontal(frames[..., 0]) * WIDE, TALL * (1 - vertical(frames[..., 1]))], -1)
    # rows and columns of the net are the lines
    lines = np.concatenate([net, net.swapaxes(1, 2)], 1) if net.shape[1] == net.shape[2] else net
    return _lines(name, lines, axes, alt)


def film(name: str, images: np.ndarray, alt: str) -> Markup:
    """Images ``[frames, C, H, W]`` with values from 0 to 1, one after the other."""
    F, C, height, width = images.shape
    tall = WIDE * height / width
    shown = [
        photograph(i.transpose(1, 2, 0) if C == 3 else i[0], 0, 0, WIDE, tall)  # one channel is grey
        for i in images
    ]
    moving = []
    for f, image in enumerate(shown):
        times = [0.0, f / F, (f + 1) / F] if f else [0.0, 1 / F]
        values = ["0", "1", "0"] if f else ["1", "0"]
        values[-1] = "1" if f == F - 1 else "0"
        keys = dict(zip(times, values, strict=True)) | ({} if f < F - 1 else {1.0: "1"})
        opacity = _animate(name, "opacity", list(keys.values()), list(keys), discrete=True)
        moving.append(f'<g opacity="{values[0]}">{image}{opacity}</g>')
    body = f'<g class="moving">{"".join(moving)}</g><g class="still">{shown[-1]}</g>'
    return _svg(name, body, alt, tall)


def _lines(name: str, frames: np.ndarray, axes: tuple[str, str], alt: str) -> Markup:
    """Lines ``[frames, lines, points, 2]`` in pixels: as they were, and moving; what is not finite is left out."""
    whole = np.isfinite(frames).all((0, 2, 3))
    frames = np.clip(frames[:, whole], -4 * WIDE, 5 * WIDE)
    paths = ["".join(_path(row) for row in frame) for frame in frames]
    style = 'fill="none" stroke="currentColor" stroke-linejoin="round" stroke-width'
    body = (
        f'<path class="second" opacity=".55" {style}="1.8" d="{paths[0]}"/>'
        f'<path class="first still" {style}="2.6" d="{paths[-1]}"/>'
        f'<path class="first moving" {style}="2.6" d="{paths[-1]}">{_animate(name, "d", paths)}</path>'
        + text(WIDE - 8, TALL - 8, axes[0], "quiet", "end", 22)
        + text(8, 24, axes[1], "quiet", size=22)
    )
    return _svg(name, body, alt, TALL)


def _path(points: np.ndarray) -> str:
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points)


def _animate(name: str, what: str, values: Sequence[str], times: Sequence[float] = (), discrete: bool = False) -> str:
    more = f' keyTimes="{";".join(f"{t:.4g}" for t in times)}"' if times else ""
    more += ' calcMode="discrete"' if discrete else ""
    return (
        f'<animate attributeName="{what}" begin="0s;{name}.mouseover;{name}.focusin" dur="{SECONDS}s" repeatCount="2" '
        f'fill="freeze" values="{";".join(values)}"{more}/>'
    )


def _svg(name: str, body: str, alt: str, tall: float) -> Markup:
    return Markup(  # noqa: S704  text is escaped where it is put in
        f'<svg class="panel motion" id="{safe(name)}" viewBox="0 0 {WIDE:g} {tall:g}" role="img" tabindex="0" '
        f'aria-label="{safe(alt)}">{body}</svg>'
    )


# ---- where points are taken -----------------------------------------------------------------------------------------


def carried(field: Field, points: Tensor, reach: float = REACH) -> np.ndarray | None:
    """Normalised points ``[N, d]`` on their way along a field of one generator, physical, ``[FRAMES, N, d]``.

    The last frame is displaced by `reach`, root mean square over the points, to first order; ``None`` where the field
    has no finite size there.
    """
    with one_thread(), torch.no_grad():
        size = field(points)[:, 0].square().sum(-1).mean().sqrt()
        if not (torch.isfinite(size) and size > 0):
            return None
        shares = torch.linspace(0, 1, FRAMES, dtype=points.dtype) * (reach / size)
        ends = flow(field, points.expand(FRAMES, -1, -1), shares[:, None], steps=12)
        return np.asarray(field.coordinates.to_physical(ends))


def in_plane(name: str, form: dict[str, str], coordinates: Coordinates, alt: str) -> Markup | None:
    """A closed form in the plane that it fills most; ``None`` where it cannot be drawn there."""
    field = SymbolicField(coordinates, [form])
    i, j = plane(field)
    frames = carried(field, sheet(coordinates, i, j, SIDE))
    if frames is None or not np.isfinite(frames).all():
        return None
    net = frames[..., [i, j]].reshape(FRAMES, SIDE, SIDE, 2)
    return lattice(name, net, (coordinates.names[i], coordinates.names[j]), alt)
