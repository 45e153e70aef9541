"""The entries of a result on images: generators, motions, changes of colour, and what stands beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from symflow import discovery
from symflow.discovery import DataVerdict

from ..search import CHANGES, MOTIONS
from ..validity import HeldOut

AFFINE_RANK = 6
AFFINE_MOTIONS = ("translation x", "translation y", "rotation", "scale", "shear", "squeeze")
"""A basis of the affine fields, of which each gets a word whether it was found or not."""


@dataclass(frozen=True, kw_only=True)
class Generator(discovery.Generator):
    """One vector field on the pixel plane.

    Beside what every generator has:

    Attributes:
        closed_form: coefficients of d/dx and d/dy, affine in x and y with simple rational numbers, or ``None``.
        valid: whether it was measured on held-out images that what an image shows tolerates it (`vision.validity`).
            How far it may be moved along is no part of that.
        data: the word, and the figures behind it.
        held_out: these figures; ``None`` where nothing was tested.
        score: RMS angle, radians, by which a finite flow of it turns the features of an image.
        control: the same with the patches of the motion out of step.
        motion: in words, for example "rotation"; ``None`` when it is near none that has a name.
        angle: between the field and its closed form, radians; ``None`` without one.
        value: lambda, what it was sorted by: cost of the motion and of its roughness over that of its patches.
        ratio: the same without roughness: what the images alone say.
        affineness: norm of its orthogonal projection on the affine fields, from 0 to 1, under omega.
        turned: RMS angles, radians, by which the features of an image turn when the generator moves its pixels by the
            ``displacements`` of the setting, as `GeneratorAugment` does.
    """

    score: float = field()  # without a default: here they always exist
    control: float = field()
    data: DataVerdict = field()
    held_out: HeldOut | None
    motion: str | None
    angle: float | None
    value: float
    ratio: float
    affineness: float
    turned: list[float]

    def __post_init__(self) -> None:
        if self.motion is not None and self.motion not in MOTIONS:
            raise ValueError(f"there is no motion {self.motion!r}")
        if self.valid != (self.data.word == "measured"):
            raise ValueError(f"`valid` is {self.valid} of a motion that is {self.data.word}")

    @property
    def moved(self) -> float:
        """The score, as tables and pages of images call it."""
        return self.score


@dataclass(frozen=True)
class AffineMotion:
    """One of `AFFINE_MOTIONS` as it is, on held-out images.

    Attributes:
        name: of `AFFINE_MOTIONS`.
        data: the word.
        held_out: the figures behind it; ``None`` where nothing was tested.
    """

    name: str
    data: DataVerdict
    held_out: HeldOut | None


@dataclass(frozen=True)
class Trial:
    """On what the words for motions and colours rest.

    Attributes:
        images: how many were held out from the networks and from the search.
        judges: two classifiers that were trained apart; or, without labels, the features.
        accuracies: of them on these images; ``None`` without labels.
        at_least: how many independent motions there are at least; no gap tells how many there are, and the number
            grows with the images.
        untrained: the same number for untrained networks, without labels.
    """

    images: int
    judges: list[str]
    accuracies: list[float | None]
    at_least: int
    untrained: list[int]

    def __post_init__(self) -> None:
        if len(self.judges) not in (1, 2) or len(self.accuracies) != len(self.judges):
            raise ValueError("there are not one or two judges, each with an accuracy or null")


@dataclass(frozen=True)
class ComparedSpan:
    """K fields from one way to find them, and how affine they are.

    Attributes:
        values: what they were sorted by, ascending; empty where they were not.
        affineness: of each, from 0 to 1.
        principal_angles: of the first six to the six affine fields, radians, ascending.
        closure: norm of what the brackets of the first six have outside their span, over the norm of the brackets.
    """

    values: list[float]
    affineness: list[float]
    principal_angles: list[float]
    closure: float | None

    @property
    def largest_angle(self) -> float:
        """In degrees."""
        return math.degrees(max(self.principal_angles, default=math.pi / 2))


@dataclass(frozen=True)
class Setting:
    """How generators were looked for.

    Attributes:
        images: how many were moved.
        shape: ``[C, H, W]`` of an image.
        locality: l, the size of a patch, in units of the plane.
        degree: of the polynomials of the basis.
        mu: the weight of smoothness.
        length: of the finite flows, in units in which a generator has unit norm.
        displacements: root mean squares over the pixels, at which the generators were compared; ascending.
    """

    images: int
    shape: list[int]
    locality: float
    degree: int
    mu: float
    length: float
    displacements: list[float]

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"an image has no shape {self.shape}")


@dataclass(frozen=True)
class Colour:
    """One affine change of colour, ``V(c) = A c + b`` for c = (r, g, b) from 0 to 1.

    Attributes:
        name: ``C1, C2, ...``.
        change: in words, for example "contrast"; ``None`` when it is near none that has a name.
        matrix: rows of ``(A | b)``; the field has a root mean square of 1 over the colours of the images.
        value: lambda, what it was sorted by: cost of the change over that of the same with its patches out of step.
        control: the same for the untrained network.
        turned: RMS angles, radians, by which features turn when it changes colours by the ``displacements``.
        data: the word, as of a `Generator`.
        held_out: the figures behind it.
    """

    name: str
    change: str | None
    matrix: list[list[float]]
    value: float
    control: float
    turned: list[float]
    data: DataVerdict
    held_out: HeldOut | None

    def __post_init__(self) -> None:
        if self.change is not None and self.change not in CHANGES:
            raise ValueError(f"there is no change of colour {self.change!r}")
        if len(self.matrix) != 3 or any(len(row) != 4 for row in self.matrix):
            raise ValueError("a change of colour has no matrix of 3 x 4 numbers")

    @property
    def valid(self) -> bool:
        """Whether it was measured on held-out images."""
        return self.data.word == "measured"


@dataclass(frozen=True)
class Colours:
    """Changes of colour that cost less than with their patches out of step, cheapest first.

    Attributes:
        generators: those of the twelve affine changes with lambda below 1.
        displacements: root mean square changes of a colour, at which they were compared; ascending.
        mean: with which the images were normalised, by channel.
        std: the same.
    """

    generators: list[Colour]
    displacements: list[float]
    mean: list[float]
    std: list[float]

    def __post_init__(self) -> None:
        if (len(self.mean), len(self.std)) != (3, 3) or min(self.std) <= 0:
            raise ValueError("images with colours have no mean and positive deviation of 3 channels")
        check_turned(self.displacements, [g.turned for g in self.generators])


def check_turned(displacements: list[float], turned: list[list[float]]) -> None:
    """Refuses displacements that do not ascend, and generators without an angle for each."""
    if not displacements or any(b <= a for a, b in zip([0.0, *displacements], displacements, strict=False)):
        raise ValueError(f"displacements are not positive and ascending: {displacements}")
    if not turned or any(len(angles) != len(displacements) or min(angles) < 0 for angles in turned):
        raise ValueError("a generator has not one angle for every displacement")
