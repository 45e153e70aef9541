"""What discovery found in images, as a person reads it and as `result.json` keeps it."""

from __future__ import annotations

import io
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor
from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from symflow.errors import UserError
from symflow.fields import GridField, SymbolicField
from symflow.runs import load_tensors, read_json, save_tensors, write_json

from ..augmentation import ColourAugment, GeneratorAugment, balanced
from ..search import CHANGES, MOTIONS, PLANE

SCHEMA = 2
KIND = "images"
FIELDS = "fields.safetensors"  # beside result.json
AFFINE_RANK = 6


@dataclass(frozen=True)
class Generator:
    """One vector field on the pixel plane.

    Attributes:
        name: ``V1, V2, ...``.
        motion: in words, for example "rotation"; ``None`` when it is near none that has a name.
        closed_form: coefficients of d/dx and d/dy, affine in x and y with simple rational numbers, or ``None``.
        angle: between the field and its closed form, radians; ``None`` without one.
        value: lambda, what it was sorted by: cost of the motion and of its roughness over that of its patches.
        ratio: the same without roughness: what the images alone say.
        affineness: norm of its orthogonal projection on the affine fields, from 0 to 1, under omega.
        moved: RMS angle, radians, by which a finite flow of it turns the features of an image.
        control: the same with the patches of the motion out of step.
        turned: RMS angles, radians, by which the features of an image turn when the generator moves its pixels by the
            ``displacements`` of the setting, as `GeneratorAugment` does.
        valid: whether ``(moved/control)^2`` is below the lowest ratio of any field for the untrained network.
    """

    name: str
    motion: str | None
    closed_form: dict[str, str] | None
    angle: float | None
    value: float
    ratio: float
    affineness: float
    moved: float
    control: float
    turned: list[float]
    valid: bool

    @property
    def formula(self) -> str:
        """The closed form on one line, for example ``-y dx + x dy``; empty without one."""
        if self.closed_form is None:
            return ""
        terms = []
        for component, coefficient in self.closed_form.items():
            if coefficient == "0":
                continue
            several = any(sign in coefficient[1:] for sign in "+-")
            text = f"({coefficient})" if several else coefficient
            terms.append(component if text == "1" else f"-{component}" if text == "-1" else f"{text} {component}")
        return " + ".join(terms).replace("+ -", "- ")


@dataclass(frozen=True)
class Span:
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
        seed: of everything drawn.
    """

    images: int
    shape: list[int]
    locality: float
    degree: int
    mu: float
    length: float
    displacements: list[float]
    seed: int


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
    """

    name: str
    change: str | None
    matrix: list[list[float]]
    value: float
    control: float
    turned: list[float]

    @property
    def valid(self) -> bool:
        """Whether it was learned: it costs less than for the untrained network."""
        return self.value < self.control


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

    @property
    def valid(self) -> list[Colour]:
        """Those that were learned."""
        return [g for g in self.generators if g.valid]


@dataclass(frozen=True)
class ImageResult:
    """The generators of a set of images: how cheap, how affine, which, beside what would come out anyway.

    ``print(result)`` shows a table, `save` writes ``result.json`` and the fields beside it, `load_image_result` reads
    them back.

    Attributes:
        data: the name of the images.
        network: the name of the architecture whose features were used.
        accuracy: of that network on images that took no part in anything else, or ``None``.
        setting: how generators were looked for.
        generators: sorted by what they cost.
        found: the same as a span.
        gap: after how many generators the relative gap in lambda is widest, and the quotient of the two values.
        controls: spans by the name of what is missing: "mu = 0" (no smoothness), "random network", "random network,
            mu = 0", "no score", "smoothness only".
        affineness_uniform: of the generators under the uniform measure on the pixels in place of omega, under which
            everything else here is measured.
        colours: changes of colour, of images with three channels.
        structure_constants: ``c[i][j][k]`` of the first six, by least squares: ``[V_i, V_j] = sum_k c_ijk V_k``.
        seconds: by stage.
        omega: the paper's weight of the pixels, ``[H, W]`` with sum 1.
        field: the generators on the pixel grid. Both are ``None`` in a result read from a file without them.
    """

    data: str
    network: str
    accuracy: float | None
    setting: Setting
    generators: list[Generator]
    found: Span
    gap: tuple[int, float]
    controls: dict[str, Span]
    affineness_uniform: list[float]
    colours: Colours | None
    structure_constants: list[list[list[float]]]
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    omega: Tensor | None = field(default=None, compare=False, repr=False)
    field: GridField | None = field(default=None, compare=False, repr=False)

    @property
    def symbolic_field(self) -> SymbolicField:
        """The generators that have a closed form, as a field.

        Raises:
            UserError: none has.
        """
        forms = [g.closed_form for g in self.generators if g.closed_form is not None]
        if not forms:
            raise UserError("the result holds no generator in closed form")
        return SymbolicField(PLANE, forms)

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

    def augment(self, strength: float, count: int | None = None) -> GeneratorAugment:
        """Augmentation of batches along the cheapest generators, each as far as it is as valid as the others.

        Args:
            strength: root mean square displacement by all of them, as for `GeneratorAugment`.
            count: of generators, as for `first`.

        Raises:
            UserError: there are not so many, the result was read without its fields, or the angles by which features
                turn were not measured so far (`augmentation.balanced`).
        """
        turned = [g.turned for g in self.generators[: self._count(count)]]
        return GeneratorAugment(self.first(count), _balanced(self.setting.displacements, turned, strength))

    def augment_colours(self, strength: float) -> ColourAugment:
        """Augmentation of batches along the valid changes of colour, each as far as it is as valid as the others.

        For images that are normalised as those of the discovery were, by `Colours.mean` and `Colours.std`.

        Args:
            strength: root mean square change of a colour by all of them, in units in which colours go from 0 to 1.

        Raises:
            UserError: no change of colour is valid, or the angles were not measured so far.
        """
        c = self.colours
        if c is None or not c.valid:
            raise UserError("the result must have valid changes of colour, of images with three channels, got none")
        strengths = _balanced(c.displacements, [g.turned for g in c.valid], strength)
        return ColourAugment(torch.tensor([g.matrix for g in c.valid], dtype=torch.float64), strengths, c.mean, c.std)

    def _count(self, count: int | None) -> int:
        count = self.gap[0] if count is None else count
        if not 1 <= count <= len(self.generators):
            raise UserError(f"`count` of the first generators must be from 1 to {len(self.generators)}, got {count}")
        return count

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "data": self.data,
            "network": {"architecture": self.network, "accuracy": self.accuracy},
            "coordinates": PLANE.to_dict(),
            "setting": asdict(self.setting),
            "measure": "omega",
            "generators": [asdict(g) for g in self.generators],
            "lambda": self.found.values,
            "gap": {"rank": self.gap[0], "quotient": self.gap[1]},
            "affineness": self.found.affineness,
            "affineness_uniform": self.affineness_uniform,
            "principal_angles": self.found.principal_angles,
            "closure": self.found.closure,
            "colours": None if self.colours is None else asdict(self.colours),
            "structure_constants": self.structure_constants,
            "controls": {name: asdict(span) for name, span in self.controls.items()},
            "seconds": self.seconds,
        }

    def save(self, path: str | Path) -> None:
        """Writes ``result.json`` and, beside it, the fields and omega as ``fields.safetensors``."""
        if self.field is not None and self.omega is not None:
            tensors = {"values": self.field.values, "omega": self.omega}
            save_tensors(Path(path).parent / FIELDS, tensors, {"kind": KIND})
        write_json(path, self.to_dict())

    def __str__(self) -> str:
        tables = [self._generators(), self._controls()]
        if self.colours is not None:
            tables.insert(1, _colour_table(self.colours))
        return "\n\n".join([self._headline(), *tables, "\n".join(self._remarks())])

    def _headline(self) -> str:
        accuracy = "" if self.accuracy is None else f", {self.accuracy:.1%} right on unseen images"
        return (
            f"{len(self.generators)} generators of {self.data} ({self.setting.images:,} images), by the features of "
            f"{self.network}{accuracy}"
        )

    def _generators(self) -> str:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        table.add_column("motion")
        table.add_column("closed form")
        for column in ("angle", "lambda", "images alone", "affine", "moved", "control"):
            table.add_column(column, justify="right")
        table.add_column("valid")
        for g in self.generators:
            angle = "" if g.angle is None else f"{math.degrees(g.angle):.0f}°"
            numbers = (f"{v:.2f}" for v in (g.value, g.ratio, g.affineness, g.moved, g.control))
            table.add_row(g.name, g.motion or "", g.formula, angle, *numbers, "yes" if g.valid else "no")
        return _plain(table)

    def _controls(self) -> str:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        table.add_column(f"affine-ness of the first six | the next {max(len(self.generators) - AFFINE_RANK, 0)}")
        table.add_column("largest angle", justify="right")
        table.add_column("lambda", justify="right")
        for name, span in {"found": self.found, **self.controls}.items():
            shown = [f"{a:.2f}" for a in span.affineness]
            row = " | ".join(" ".join(part) for part in (shown[:AFFINE_RANK], shown[AFFINE_RANK:]) if part)
            values = f"{span.values[0]:.2f} - {span.values[-1]:.2f}" if span.values else ""
            table.add_row(name, row, f"{span.largest_angle:.0f}°", values)
        return _plain(table)

    def _remarks(self) -> list[str]:
        rank, quotient = self.gap
        closure = self.found.closure
        leave = "" if closure is None else f"; brackets of the first six leave their span by {closure:.2f}"
        remarks = [
            "lambda: what a motion changes in the features, and its roughness, over what its patches change out of",
            "step; images alone: without the roughness; 1 is no invariance. moved: RMS angle of the features after",
            f"flows of {self.setting.length:g}; control: the same with its patches out of step, which must be more.",
            "affine: norm of the projection on the affine fields, under the weight omega of the pixels. largest",
            "angle: of the first six to the six affine fields. Smoothness or the losses alone give affine fields",
            "too: what the images add is seen with mu = 0, and in that a network which has learned nothing fails.",
            f"widest gap in lambda: after {rank}, a factor {quotient:.2f}{leave}",
        ]
        if self.seconds:
            remarks.append(f"{sum(self.seconds.values()):.1f} s")
        return remarks


def _colour_table(colours: Colours) -> str:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "change of colour"):
        table.add_column(column)
    for column in ("lambda", "random network"):
        table.add_column(column, justify="right")
    table.add_column("valid")
    for g in colours.generators:
        table.add_row(g.name, g.change or "", f"{g.value:.2f}", f"{g.control:.2f}", "yes" if g.valid else "no")
    return _plain(table)


def _plain(table: Table) -> str:
    text = io.StringIO()
    Console(file=text, width=120, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())


class _Network(TypedDict):
    architecture: str
    accuracy: float | None


class _Coordinates(TypedDict):
    names: list[str]
    periods: list[float | None]
    offset: list[float]
    scale: list[float]


class _Setting(TypedDict):
    images: int
    shape: list[int]
    locality: float
    degree: int
    mu: float
    length: float
    displacements: list[float]
    seed: int


class _Generator(TypedDict):
    name: str
    motion: str | None
    closed_form: dict[str, str] | None
    angle: float | None
    value: float
    ratio: float
    affineness: float
    moved: float
    control: float
    turned: list[float]
    valid: bool


class _Colour(TypedDict):
    name: str
    change: str | None
    matrix: list[list[float]]
    value: float
    control: float
    turned: list[float]


class _Colours(TypedDict):
    generators: list[_Colour]
    displacements: list[float]
    mean: list[float]
    std: list[float]


class _Gap(TypedDict):
    rank: int
    quotient: float


class _Span(TypedDict):
    values: list[float]
    affineness: list[float]
    principal_angles: list[float]
    closure: float | None


_Record = TypedDict(
    "_Record",
    {
        "schema": int,
        "kind": str,
        "data": str,
        "network": _Network,
        "coordinates": _Coordinates,
        "setting": _Setting,
        "measure": str,
        "generators": list[_Generator],
        "lambda": list[float],
        "gap": _Gap,
        "affineness": list[float],
        "affineness_uniform": list[float],
        "principal_angles": list[float],
        "closure": float | None,
        "colours": _Colours | None,
        "structure_constants": list[list[list[float]]],
        "controls": dict[str, _Span],
        "seconds": dict[str, float],
    },
)  # ``result.json`` of images, schema 2


def load_image_result(path: str | Path) -> ImageResult:
    """Reads ``result.json``, and ``fields.safetensors`` beside it where there is one.

    Raises:
        UserError: a file is missing, or holds no result of this schema.
    """
    content = read_json(path)
    if isinstance(content, dict) and (content.get("kind"), content.get("schema")) != (KIND, SCHEMA):
        got = f"{content.get('kind')!r} and {content.get('schema')!r}"
        raise UserError(f"{str(path)!r} must be a result of symflow of kind {KIND!r} and schema {SCHEMA}, got {got}")
    try:
        d = check_type(content, _Record, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        _check_finite(content)
        generators = [Generator(**g) for g in d["generators"]]
        if unknown := {g.motion for g in generators} - {None, *MOTIONS}:
            raise ValueError(f"there are no motions {unknown}")
        K, six = len(generators), min(len(generators), AFFINE_RANK)
        spans = [d, *d["controls"].values()]
        counts = {len(s["affineness"]) for s in spans} | {len(d["lambda"]), len(d["affineness_uniform"])}
        if not generators or counts != {K}:
            raise ValueError("generators, lambda and affine-ness differ in number")
        if len(d["setting"]["shape"]) != 3 or min(d["setting"]["shape"]) < 1:
            raise ValueError(f"an image has no shape {d['setting']['shape']}")
        _check_turned(d["setting"]["displacements"], [g.turned for g in generators])
        colours = None if d["colours"] is None else _colours(d["colours"])
        c = d["structure_constants"]
        if len(c) != six or any(len(m) != six or any(len(r) != six for r in m) for m in c):
            raise ValueError("the structure constants are not those of the first six generators")
        tables = _load_tables(Path(path).parent / FIELDS, K)
        result = ImageResult(
            data=d["data"],
            network=d["network"]["architecture"],
            accuracy=d["network"]["accuracy"],
            setting=Setting(**d["setting"]),
            generators=generators,
            found=Span(d["lambda"], d["affineness"], d["principal_angles"], d["closure"]),
            gap=(d["gap"]["rank"], d["gap"]["quotient"]),
            controls={name: Span(**span) for name, span in d["controls"].items()},
            affineness_uniform=d["affineness_uniform"],
            colours=colours,
            structure_constants=c,
            seconds=d["seconds"],
            omega=None if tables is None else tables[1],
            field=None if tables is None else tables[0],
        )
        if any(g.closed_form is not None for g in generators):
            result.symbolic_field.generators  # noqa: B018  (formulas are checked by parsing them)
    except (TypeCheckError, TypeError, ValueError, UserError) as error:
        raise UserError(f"{str(path)!r} must be a result of symflow, got something else: {error}") from None
    return result


def _colours(d: _Colours) -> Colours:
    generators = [Colour(**g) for g in d["generators"]]
    if unknown := {g.change for g in generators} - {None, *CHANGES}:
        raise ValueError(f"there are no changes of colour {unknown}")
    if any(len(g.matrix) != 3 or any(len(row) != 4 for row in g.matrix) for g in generators):
        raise ValueError("a change of colour has no matrix of 3 x 4 numbers")
    if (len(d["mean"]), len(d["std"])) != (3, 3) or min(d["std"]) <= 0:
        raise ValueError("images with colours have no mean and positive deviation of 3 channels")
    _check_turned(d["displacements"], [g.turned for g in generators])
    return Colours(generators, d["displacements"], d["mean"], d["std"])


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


def _check_finite(content: Any) -> None:
    """JSON as Python reads it has numbers that are none."""
    if isinstance(content, float) and not math.isfinite(content):
        raise ValueError(f"a number must be finite, got {content}")
    for entry in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        _check_finite(entry)


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
