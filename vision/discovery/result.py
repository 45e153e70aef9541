"""What discovery found in images: the record of its ``result.json``, and the fields beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from symflow.discovery import DataVerdict, OneSpaceResult, Statement, load_as
from symflow.errors import UserError
from symflow.fields import GridField
from symflow.runs import ASIDE, load_tensors, save_tensors

from ..augmentation import ColourAugment, GeneratorAugment, balanced
from ..search import PLANE
from ..validity import AffineClaim
from . import schema2, words
from .entries import (
    AFFINE_MOTIONS,
    AFFINE_RANK,
    AffineMotion,
    Colours,
    ComparedSpan,
    Generator,
    Setting,
    Trial,
    check_turned,
)
from .verdicts import UNLESS

KIND = "images"
FIELDS = "fields.safetensors"  # beside result.json


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
        check_turned(self.setting.displacements, [g.turned for g in self.generators])
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
