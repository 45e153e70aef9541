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
from symflow.fields import SymbolicField
from symflow.grid import GridField
from symflow.runs import load_tensors, read_json, save_tensors, write_json

from .motions import MOTIONS
from .plane import PLANE

SCHEMA = 1
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
        seed: of everything drawn.
    """

    images: int
    shape: list[int]
    locality: float
    degree: int
    mu: float
    length: float
    seed: int


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
        count = self.gap[0] if count is None else count
        if self.field is None:
            raise UserError(f"the result must have its fields, in {FIELDS} beside it, got none")
        if not 1 <= count <= len(self.generators):
            raise UserError(f"`first` must take from 1 to {len(self.generators)} generators, got {count}")
        return GridField(PLANE, self.field.values.detach()[:count], self.field.lower, self.field.upper)

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
        return "\n".join([self._headline(), "", self._generators(), "", self._controls(), "", *self._remarks()])

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
    valid: bool


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
        "structure_constants": list[list[list[float]]],
        "controls": dict[str, _Span],
        "seconds": dict[str, float],
    },
)  # ``result.json`` of images, schema 1


def load_image_result(path: str | Path) -> ImageResult:
    """Reads ``result.json``, and ``fields.safetensors`` beside it where there is one.

    Raises:
        UserError: a file is missing, or holds no result of this schema.
    """
    content = read_json(path)
    try:
        d = check_type(content, _Record, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        _check_finite(content)
        if d["schema"] != SCHEMA or d["kind"] != KIND:
            raise UserError(
                f"{str(path)!r} must be of kind {KIND} and schema {SCHEMA}, got {d['kind']!r} and {d['schema']}"
            )
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
