"""The first screen of a page: what was asked, and what each generator does to a surface u(x, t), as it moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from symflow.report import motion

from .discovery import Result

TIMES, PLACES = 6, 64  # lines of the picture, and points of a line
CAPTION = (
    "Each line is {}, u over x at one time, later ones higher: grey as it is, blue as the generator moves it. "
    "Pictures play twice, and again when pointed at."
)


@dataclass(frozen=True)
class Surface:
    """A surface to be moved.

    Attributes:
        points: ``(x, t, u)``, physical, ``[T X, 3]``.
        shape: ``(T, X)``.
        measured: whether it is of the data.
    """

    points: Tensor
    shape: tuple[int, int]
    measured: bool

    @property
    def caption(self) -> str:
        """What the pictures show."""
        return CAPTION.format("the first trajectory" if self.measured else "a hump, which solves nothing")


def question(result: Result, equation: Markup) -> Markup:
    """What was asked, in a sentence.

    Args:
        result: of a discovery.
        equation: in mathematics.
    """
    what = Markup("the equation ") + equation
    if result.samples:
        count = "this trajectory" if result.samples == 1 else f"these {result.samples} trajectories"
        what = Markup("{}{}{}").format(count, " of " if result.of_data else ", said to solve ", equation)
    does = "do" if result.samples > 1 else "does"
    name = Markup(" (<b>{}</b>)").format(result.name) if result.name else ""
    return Markup("Which continuous symmetries {} {}{} have?").format(does, what, name)


def surface(result: Result, arrays: Mapping[str, np.ndarray]) -> Surface | None:
    """The first trajectory, or a hump that travels where the run holds none; ``None`` in other coordinates.

    Args:
        result: whose generators move it.
        arrays: of `pde.discovery.collect`; may be empty.
    """
    c = result.coordinates
    if c.names != ("x", "t", "u"):
        return None
    measured = bool(result.samples) and "u" in arrays
    if measured:
        rows, columns = (
            np.linspace(0, len(arrays[name]) - 1, min(most, len(arrays[name]))).round().astype(int)
            for name, most in (("t", TIMES), ("x", PLACES))
        )
        x, t, u = arrays["x"][columns], arrays["t"][rows], arrays["u"][np.ix_(rows, columns)]
    else:
        across, along = np.linspace(0, 1, PLACES), np.linspace(0, 1, TIMES)
        x, t = c.offset[0] + c.scale[0] * across, c.offset[1] + c.scale[1] * along
        hump = np.exp(-(((across - 0.35 - 0.3 * along[:, None]) / 0.09) ** 2))
        u = c.offset[2] + c.scale[2] * (0.2 + hump)
    X, T = np.meshgrid(x, t)
    points = np.stack([X, T, u], -1).reshape(-1, 3).astype(float)
    return Surface(torch.from_numpy(points), (len(t), len(x)), measured)


def moved(name: str, result: Result, k: int, of: Surface) -> Markup | None:
    """The picture of a generator, or nothing where its flow leaves the domain of its formula.

    Args:
        name: of the picture on its page.
        result: of a discovery.
        k: number of the generator.
        of: what is moved.
    """
    c = result.coordinates
    frames = motion.carried(result.symbolic_field.slot(k), c.to_normalised(of.points))
    if frames is None:
        return None
    frames = frames.reshape(-1, *of.shape, 3)
    first = float(of.points[0, 0])
    window = first, first + c.scale[0]
    if of.measured and (period := c.periods[0]):  # what leaves on one side comes back on the other
        half, shift = of.shape[1] // 2, np.array([period, 0.0, 0.0])
        frames = np.concatenate([frames[:, :, half:] - shift, frames, frames[:, :, : half + 1] + shift], 2)
        window = first, first + period
    alt = f"{'A trajectory' if of.measured else 'A surface'} moved along {result.generators[k].formula}."
    return motion.ridges(name, frames, window, ("x", "t"), alt)
