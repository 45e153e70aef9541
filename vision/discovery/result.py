"""What discovery found in images: the record of its ``result.json``, and the fields beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from symflow import discovery
from symflow.discovery import DataVerdict, OneSpaceResult, Statement, load_as
from symflow.errors import UserError
from symflow.fields import GridField
from symflow.runs import ASIDE, load_tensors, save_tensors

from ..augmentation import ColourAugment, GeneratorAugment, balanced
from ..search import CHANGES, MOTIONS, PLANE
from ..validity import AffineClaim, HeldOut
from . import schema2, words
from .verdicts import UNLESS

KIND = "images"
FIELDS = "fields.safetensors"  # beside result.json
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
        _check_turned(self.displacements, [g.turned for g in self.generators])


@dataclass(frozen=True, kw_only=True, repr=False)
class ImageResult(OneSpaceResult):
    """The generators of a set of images: how cheap, how affine, which, beside what would come out anyway.

    ``print(result)`` shows a table, `save` writes ``result.json`` and the fields beside it, `load_image_result` reads
    them back.

    Beside what every result has:

    Attributes:
        rank: how many independent motions there are at least (`Trial.at_least`).
        data: the name of the images.
        network: the name of the architecture whose features were used.
        accuracy: of that network on images that took no part in anything else, or ``None``.
        setting: how generators were looked for.
        generators: sorted by what they cost.
        found: the same as a span.
        trial: on what the words rest; ``None`` where nothing was tested.
        motions: the affine ones, with their words.
        affine: the claim that the generators are affine; ``None`` for fewer than six, and in older files.
        gap: after how many generators the relative gap in lambda is widest, and the quotient of the two values. It
            moves with mu and says nothing of how many there are.
        controls: spans by the name of what is missing: "mu = 0" (no smoothness), "mu = 0.05" (little), "random
            network", the same with these mu, "no score", "smoothness only".
        affineness_uniform: of the generators under the uniform measure on the pixels in place of omega, under which
            everything else here is measured.
        colours: changes of colour, of images with three channels.
        structure_constants: ``c[i][j][k]`` of the first six, by least squares: ``[V_i, V_j] = sum_k c_ijk V_k``.
        omega: the paper's weight of the pixels, ``[H, W]`` with sum 1.
        field: the generators on the pixel grid. Both are ``None`` in a result read from a file without them.
    """

    kind: ClassVar[str] = KIND

    data: str
    network: str
    accuracy: float | None
    setting: Setting
    generators: list[Generator]
    found: ComparedSpan
    trial: Trial | None
    motions: list[AffineMotion]
    affine: AffineClaim | None
    gap: tuple[int, float]
    controls: dict[str, ComparedSpan]
    affineness_uniform: list[float]
    colours: Colours | None
    structure_constants: list[list[list[float]]]
    omega: Tensor | None = field(default=None, compare=False, repr=False, metadata=ASIDE)
    field: GridField | None = field(default=None, compare=False, repr=False, metadata=ASIDE)

    def check(self) -> None:
        """Refuses what does not belong together."""
        K, six = len(self.generators), min(len(self.generators), AFFINE_RANK)
        counts = {len(s.affineness) for s in (self.found, *self.controls.values())}
        if not K or counts | {len(self.found.values), len(self.affineness_uniform)} != {K}:
            raise ValueError("generators, lambda and affine-ness differ in number")
        if self.coordinates != PLANE:
            raise ValueError("the coordinates are not those of the pixel plane")
        if not 1 <= self.gap[0] <= K:
            raise ValueError(f"the widest gap of {K} generators is not after {self.gap[0]}")
        if self.rank != (0 if self.trial is None else self.trial.at_least) or not 0 <= self.rank <= K:
            raise ValueError(f"the number of motions is not {self.rank}")
        if self.trial is not None and tuple(m.name for m in self.motions) != AFFINE_MOTIONS:
            raise ValueError("the affine motions are not those with a name")
        c = self.structure_constants
        if len(c) != six or any(len(m) != six or any(len(r) != six for r in m) for m in c):
            raise ValueError("the structure constants are not those of the first six generators")
        _check_turned(self.setting.displacements, [g.turned for g in self.generators])
        if any(g.closed_form is not None for g in self.generators):
            self.symbolic_field.generators  # noqa: B018  (formulas are checked by parsing them)

    def first(self, count: int | None = None) -> GridField:
        """The cheapest generators as a field; by default those before the widest gap in lambda.

        Args:
            count: how many, at least 1.

        Raises:
            UserError: there are not so many, or the result was read without its fields.
        """
        count = self._count(count)
        if self.field is None:
            raise UserError(f"the result must have its fields, in {FIELDS} beside it, got none")
        return GridField(PLANE, self.field.values.detach()[:count], self.field.lower, self.field.upper)

    def augment(self, strength: float, count: int | None = None, *, unproved: bool = False) -> GeneratorAugment:
        """Augmentation of batches along the cheapest valid generators, each as far as turns features equally.

        Those that are refuted are never used.

        Args:
            strength: root mean square displacement by all of them, as for `GeneratorAugment`.
            count: of generators among which are used those that are valid, as for `first`.
            unproved: use those of which it cannot be told, too.

        Raises:
            UserError: none is valid; there are not so many, the result was read without its fields, or the angles by
                which features turn were not measured so far (`augmentation.balanced`).
        """
        first = self.generators[: self._count(count)]
        used = [k for k, g in enumerate(first) if usable(g.data, unproved)]
        if not used:
            got = ", ".join(dict.fromkeys(g.data.word for g in first))
            raise UserError(f"the first {len(first)} motions must hold a valid one to move along, got {got}; {UNLESS}")
        turned = [self.generators[k].turned for k in used]
        field = self.first(used[-1] + 1)
        chosen = GridField(PLANE, field.values[used], field.lower, field.upper)
        return GeneratorAugment(chosen, _balanced(self.setting.displacements, turned, strength))

    def augment_colours(self, strength: float, *, unproved: bool = False) -> ColourAugment:
        """Augmentation of batches along the changes of colour that are valid, each as far as the others.

        For images that are normalised as those of the discovery were, by `Colours.mean` and `Colours.std`.

        Args:
            strength: root mean square change of a colour by all of them, in units in which colours go from 0 to 1.
            unproved: use those of which it cannot be told, too.

        Raises:
            UserError: none is valid; or the angles were not measured so far.
        """
        c = self.colours
        used = [] if c is None else [g for g in c.generators if usable(g.data, unproved)]
        if c is None or not used:
            raise UserError(f"the result must hold a valid change of colour, got none; {UNLESS}")
        strengths = _balanced(c.displacements, [g.turned for g in used], strength)
        matrices = torch.tensor([g.matrix for g in used], dtype=torch.float64)
        return ColourAugment(matrices, strengths, c.mean, c.std)

    def _count(self, count: int | None) -> int:
        count = self.gap[0] if count is None else count
        if not 1 <= count <= len(self.generators):
            raise UserError(f"`count` of the first generators must be from 1 to {len(self.generators)}, got {count}")
        return count

    def save(self, path: str | Path) -> None:
        """Writes ``result.json`` and, beside it, the fields and omega as ``fields.safetensors``."""
        if self.field is not None and self.omega is not None:
            tensors = {"values": self.field.values, "omega": self.omega}
            save_tensors(Path(path).parent / FIELDS, tensors, {"kind": KIND})
        super().save(path)

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The content of a file of schema 2 as one of schema 3."""
        return schema2.upgraded(content)

    @classmethod
    def completed(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Of motions in files from before they were judged on held-out images, it cannot be told."""
        return content if "trial" in content else schema2.untested(content)

    def beside(self, folder: Path) -> ImageResult:
        """With the fields and omega of ``fields.safetensors``, where it is there."""
        tables = _load_tables(folder / FIELDS, len(self.generators))
        return self if tables is None else replace(self, field=tables[0], omega=tables[1])

    @property
    def statements(self) -> list[Statement]:
        """What is said of the motions, and whether they are affine."""
        affine = self.affine
        return [*super().statements, *([] if affine is None else [Statement("affine", affine.word, affine.reason)])]

    @property
    def headline(self) -> str:
        """What was studied, and by what."""
        return words.headline(self)

    def __str__(self) -> str:
        return words.text(self)


def usable(said: DataVerdict, unproved: bool) -> bool:
    """Whether images may be moved along it: what is measured, or what cannot be told where that is asked for."""
    return said.word == "measured" or (unproved and said.word != "refuted")


def load_image_result(path: str | Path) -> ImageResult:
    """Reads ``result.json``, and ``fields.safetensors`` beside it where there is one.

    Args:
        path: of the file, or of the run directory that holds it.

    Raises:
        UserError: a file is missing, or holds no result of this kind.
    """
    return load_as(path, ImageResult)


def _check_turned(displacements: list[float], turned: list[list[float]]) -> None:
    if not displacements or any(b <= a for a, b in zip([0.0, *displacements], displacements, strict=False)):
        raise ValueError(f"displacements are not positive and ascending: {displacements}")
    if not turned or any(len(angles) != len(displacements) or min(angles) < 0 for angles in turned):
        raise ValueError("a generator has not one angle for every displacement")


def _balanced(displacements: list[float], turned: list[list[float]], strength: float) -> list[float]:
    try:
        return balanced(displacements, turned, strength)
    except ValueError as error:
        raise UserError(str(error)) from None


def _load_tables(path: Path, generators: int) -> tuple[GridField, Tensor] | None:
    saved = load_tensors(path)
    if saved is None:
        return None
    values, omega = (saved[0].get(name) for name in ("values", "omega"))
    if (
        values is None
        or omega is None
        or values.dim() != 4
        or (values.shape[0], values.shape[3]) != (generators, 2)
        or omega.shape != (values.shape[2], values.shape[1])
        or not all(t.is_floating_point() and torch.isfinite(t).all() for t in (values, omega))
    ):
        raise UserError(f"{str(path)!r} must hold the values of {generators} fields and a weight, got something else")
    return GridField(PLANE, values.float(), (-1.0, -1.0), (1.0, 1.0)), omega
