"""What discovery found, as a person reads it and as `result.json` keeps it."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from rich import box
from rich.console import Console
from rich.table import Table
from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from symflow.errors import UserError
from symflow.fields import Coordinates, NeuralField, SymbolicField
from symflow.formulas import expressions, format_generator
from symflow.runs import read_json, write_json

from ..equations import Equation
from ..symmetries import prolongation

SCHEMA = 2

Domain = Literal["periodic", "plane"]


@dataclass(frozen=True)
class Generator:
    """One discovered symmetry.

    Attributes:
        name: ``V1, V2, ...``.
        closed_form: physical coefficients of d/dx, d/dt, d/du (and d/dy, d/dv) as formulas in the coordinates.
        named: the same, up to a factor, with the parameters of the equation by name, where it is proven for any value
            of them; else as it is.
        score: the finite-flow check: RMS of the relative residual of the data moved along the generator.
        floor: the same for data that are not moved, plus what the flow's solver leaves, by comparison of step sizes.
        valid: whether the score is at the floor.
        verified: whether the closed form satisfies the determining equations exactly, by symbolic computation.
        multiplier: lambda with ``pr V(F) = lambda F``, an identity that anyone can check; ``None`` for systems.
        infinitesimal: relative violation of the determining condition on the data.
        control: the score of the generator mixed in equal parts with ``u^2 d/du``: a transform that must fail.
    """

    name: str
    closed_form: dict[str, str]
    named: dict[str, str]
    score: float
    floor: float
    valid: bool
    verified: bool
    multiplier: str | None
    infinitesimal: float
    control: float

    @property
    def formula(self) -> str:
        """The generator on one line, for example ``t dx + du``."""
        return format_generator(self.closed_form)


@dataclass(frozen=True)
class Spectrum:
    """Ascending relative violations of a discovery and the gap that decides the rank.

    Attributes:
        values: singular values (null space) or roots of eigenvalues (network): the relative violation, RMS over the
            data, of fields of unit size.
        rank: how many lie below the gap.
        resolution: values below it are not told apart.
    """

    values: list[float]
    rank: int
    resolution: float

    @property
    def below(self) -> float:
        """The last value below the gap, 0 when there is none."""
        return self.values[self.rank - 1] if self.rank else 0.0

    @property
    def above(self) -> float:
        """The first value above the gap, infinite when there is none."""
        return self.values[self.rank] if self.rank < len(self.values) else math.inf


@dataclass(frozen=True)
class Observed:
    """The null space on jets with u_t from the data, off solutions.

    Attributes:
        spectrum: relative violations of ``pr V(F) = lambda F``.
        angles: principal angles of those below the gap to the generators, radians.
    """

    spectrum: Spectrum
    angles: list[float]


@dataclass(frozen=True)
class Levels:
    """One question at three levels: what the equation has, what the domain keeps, what the data show.

    Attributes:
        equation: symmetries of the equation on the plane; without solutions that can be superposed.
        stable: whether that number stopped growing with the library; if not, there may be infinitely many.
        domain: how many keep the period in space.
        lost: generators of the equation that do not, on one line each.
        data: the null space with u_t from the data; ``None`` without data.
    """

    equation: int
    stable: bool
    domain: int
    lost: list[str]
    data: Observed | None


@dataclass(frozen=True)
class NeuralSpan:
    """The span that the network learned, before any closed form.

    Attributes:
        spectrum: its relative violations.
        field: the span as a field, ``None`` in a result read from a file without it.
        scores: the finite-flow score of each of its fields.
        principal_angles: to the known algebra, radians; empty when none is known.
        agreement: principal angles to the closed forms, radians; empty when there are none.
        closure: the largest part of a bracket that leaves the span, relative to the sizes of its two fields.
        jacobi: by how much the structure constants violate the Jacobi identity, relative to the sizes of three fields.
    """

    spectrum: Spectrum
    scores: list[float]
    principal_angles: list[float]
    agreement: list[float]
    closure: float | None = None
    jacobi: float | None = None
    field: NeuralField | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Result:
    """The symmetries of a data set or an equation: how many, which, how sure.

    ``print(result)`` shows a table, `save` writes ``result.json`` and `load_result` reads it back.

    Attributes:
        equation: what the data solve.
        name: of the equation in the catalogue, or ``None``.
        coordinates: normalised units; closed forms and everything printed are physical.
        domain: "periodic": fields with the period of the data; "plane": any.
        rank: the number of symmetries, solutions that can be superposed left out.
        generators: a basis in closed form.
        structure_constants: ``c[i][j][k]`` with ``[V_i, V_j] = sum_k c_ijk V_k``, or ``None`` where not exact.
        certificates: how far the generators can be from symmetries of the law that the data obey, given their noise
            (`pde.certify`); ``None`` without data.
        identified: whether the equation was fitted to the data and not given.
        algebra: what follows from the structure constants (`symflow.algebra.description.Description`), or ``None``.
        superposition: ``{"factor": h, "condition": [...]}``: ``f h d/du`` is a symmetry for every solution f of the
            condition, so that there are infinitely many; ``None`` where there is no such family.
        levels: what the equation has, what the domain keeps, what the data show.
        nullspace: the spectrum on the jets of the data, with u_t from the equation; of the equation without data.
        truth: principal angles of the null space, before it was rounded to closed forms, to the known algebra; ``None``
            when none is known.
        neural: what the network found without a library, or ``None``.
        residual: how far the data are from solving the equation (`Trajectories.residual`), or ``None``.
        samples: trajectories, 0 for an equation without data.
        seed: of the discovery.
        seconds: by stage.
    """

    equation: Equation
    name: str | None
    coordinates: Coordinates
    domain: Domain
    rank: int
    generators: list[Generator]
    structure_constants: list[list[list[float]]] | None
    algebra: dict[str, Any] | None
    superposition: dict[str, Any] | None
    certificates: dict[str, Any] | None
    identified: bool
    levels: Levels
    nullspace: Spectrum
    truth: list[float] | None
    neural: NeuralSpan | None
    residual: float | None
    samples: int
    seed: int
    seconds: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def symbolic_field(self) -> SymbolicField:
        """The generators as a field.

        Raises:
            UserError: there is no generator.
        """
        forms = [g.closed_form for g in self.generators]
        if not forms:
            raise UserError("the result holds no generator, so it has no field")
        return SymbolicField(self.coordinates, forms)

    def verify(self) -> list[bool]:
        """Proves every generator again, from its text: exact computer algebra, nothing taken from the file on trust.

        Returns:
            For each generator whether ``pr V(F) = 0`` follows on solutions, and, where parameters have names, for every
            value of them.
        """
        symbols = {v.name: v for v in self.equation.space.variables}
        parameters = {s.name: s for F in self.equation.general for s in F.free_symbols}
        proven = []
        for g in self.generators:
            form = {key: expressions.parse(f, symbols) for key, f in g.closed_form.items()}
            named = {key: expressions.parse(f, parameters | symbols) for key, f in g.named.items()}
            general = g.named == g.closed_form or prolongation.is_symmetry(self.equation, named, general=True)
            proven.append(general and prolongation.is_symmetry(self.equation, form))
        return proven

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        neural = None
        if self.neural is not None:
            neural = {
                "rank": self.neural.spectrum.rank,
                "principal_angles": self.neural.principal_angles,
                "agreement": self.neural.agreement,
                "closure": self.neural.closure,
                "jacobi": self.neural.jacobi,
                "scores": self.neural.scores,
                "values": self.neural.spectrum.values,
                "resolution": self.neural.spectrum.resolution,
            }
        return {
            "schema": SCHEMA,
            "equation": {"name": self.name, "text": self.equation.text, "parameters": self.equation.parameters},
            "coordinates": self.coordinates.to_dict(),
            "domain": self.domain,
            "rank": self.rank,
            "generators": [asdict(g) for g in self.generators],
            "structure_constants": self.structure_constants,
            "algebra": self.algebra,
            "superposition": self.superposition,
            "certificates": self.certificates,
            "identified": self.identified,
            "levels": asdict(self.levels),
            "truth": {"known": self.truth is not None, "principal_angles": self.truth or []},
            "nullspace": asdict(self.nullspace),
            "neural": neural,
            "data": {"samples": self.samples, "residual": self.residual},
            "seed": self.seed,
            "seconds": self.seconds,
        }

    def save(self, path: str | Path) -> None:
        """Writes ``result.json`` to a path, whole or not at all; the learned field is not part of it."""
        write_json(path, self.to_dict())

    def __str__(self) -> str:
        return "\n".join([self._headline(), "", self._table(), *self._remarks()])

    def _headline(self) -> str:
        source = f"{self.samples} trajectories of " if self.samples else ""
        where = "with the period of the data" if self.domain == "periodic" else "on the plane"
        count = "no symmetry" if self.rank == 0 else f"{self.rank} symmetr{'y' if self.rank == 1 else 'ies'}"
        return f"{source}{self.equation.text}: {count} {where}"

    def _table(self) -> str:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        table.add_column("generator")
        for column in ("moved data", "floor", "control"):
            table.add_column(column, justify="right")
        table.add_column("valid")
        table.add_column("proof")
        for g in self.generators:
            numbers = [f"{v:.1e}" for v in (g.score, g.floor, g.control)]
            table.add_row(g.name, g.formula, *numbers, _yes(g.valid), "exact" if g.verified else "none")
        text = io.StringIO()
        Console(file=text, width=110, color_system=None).print(table)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())

    def _level_remarks(self) -> list[str]:
        levels, remarks = self.levels, []
        if self.algebra is not None:
            remarks.append(f"algebra: {self.algebra['sentence']}")
        if self.superposition is not None:
            factor = "" if self.superposition["factor"] == "1" else f"*({self.superposition['factor']})"
            remarks.append(
                f"and infinitely many more: f{factor} du for every solution f of "
                + "; ".join(self.superposition["condition"])
            )
        elif not levels.stable:
            remarks.append("the number of symmetries grows with the library: there may be infinitely many")
        if self.domain == "periodic" and levels.lost:
            remarks.append(f"symmetries of the equation that change the period: {'; '.join(levels.lost)}")
        if levels.data is not None:
            spectrum = levels.data.spectrum
            remarks.append(
                f"with u_t from the data: {spectrum.rank} fields, gap {spectrum.below:.0e} | {spectrum.above:.0e}"
                + "".join(f"; angle to these {a:.0e} rad" for a in levels.data.angles[-1:])
            )
            more = spectrum.rank > self.rank or self.nullspace.rank > self.rank
            if more and self.superposition is None and levels.stable:
                remarks.append("The data fill too little of jet space to exclude the fields beyond these.")
        named = [f"{g.name} = {format_generator(g.named)}" for g in self.generators if g.named != g.closed_form]
        if named:
            remarks.append(f"for any value of the parameters: {'; '.join(named)}")
        return remarks

    def _remarks(self) -> list[str]:
        remarks = [
            "",
            "moved data: relative residual of the equation after a flow along the generator; floor: the same without",
            "the flow, plus the solver's error; control: the generator mixed with u^2 du, which must fail.",
            f"null space: last value below the gap {self.nullspace.below:.0e}, first above {self.nullspace.above:.0e}",
        ]
        if self.truth is not None:
            remarks[-1] += f"; largest angle to the known algebra {max(self.truth, default=0.0):.0e} rad"
        remarks += self._level_remarks()
        if self.neural is not None:
            spectrum, neural = self.neural.spectrum, self.neural
            remarks.append(
                f"network, without a library: {spectrum.rank} symmetries, gap {spectrum.below:.0e} | "
                f"{spectrum.above:.0e}" + "".join(f"; angle to these {a:.0e} rad" for a in neural.agreement[-1:])
            )
            if spectrum.rank != self.rank:
                remarks.append(
                    "The two counts differ: a symmetry may lie outside the library, or learning is not done."
                )
        if self.residual is not None:
            remarks.append(f"the data solve the equation to {self.residual:.0e} (relative, u_t by differences)")
        if self.identified:
            remarks.append("the equation was not given: it was fitted to the data (PySINDy's weak form)")
        if self.certificates is not None:
            remarks += _certified(self.certificates)
        if self.seconds:
            remarks.append(f"{sum(self.seconds.values()):.1f} s")
        return remarks


def _certified(certificates: dict[str, Any]) -> list[str]:
    """What noisy, limited data certify, in a line or two."""
    if certificates["reason"]:
        return [certificates["reason"]]
    bounds = [c["delta"] for c in certificates["certificates"] if c["delta"] is not None]
    open_ = [c["sentence"] for c in certificates["certificates"] if c["delta"] is None]
    if not bounds:
        return open_
    share = f"probability {1 - certificates['alpha']:g}"
    return [f"certificate: by these data alone, with {share}, no defect is above {max(bounds):.0e}", *open_]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


class _Equation(TypedDict):
    name: str | None
    text: str
    parameters: dict[str, float]


class _Coordinates(TypedDict):
    names: list[str]
    periods: list[float | None]
    offset: list[float]
    scale: list[float]


class _Generator(TypedDict):
    name: str
    closed_form: dict[str, str]
    named: dict[str, str]
    score: float
    floor: float
    valid: bool
    verified: bool
    multiplier: str | None
    infinitesimal: float
    control: float


class _Truth(TypedDict):
    known: bool
    principal_angles: list[float]


class _Spectrum(TypedDict):
    values: list[float]
    rank: int
    resolution: float


class _Observed(TypedDict):
    spectrum: _Spectrum
    angles: list[float]


class _Levels(TypedDict):
    equation: int
    stable: bool
    domain: int
    lost: list[str]
    data: _Observed | None


class _Superposition(TypedDict):
    factor: str
    condition: list[str]


class _Certificate(TypedDict):
    generator: dict[str, str]
    delta: float | None
    defect: float | None
    sentence: str


class _Certificates(TypedDict):
    alpha: float
    reason: str
    certificates: list[_Certificate]
    law: dict[str, Any] | None


class _Neural(_Spectrum):
    principal_angles: list[float]
    agreement: list[float]
    closure: float | None
    jacobi: float | None
    scores: list[float]


class _Data(TypedDict):
    samples: int
    residual: float | None


class _Record(TypedDict):
    """``result.json``, schema 2."""

    schema: int
    equation: _Equation
    coordinates: _Coordinates
    domain: Domain
    rank: int
    generators: list[_Generator]
    structure_constants: list[list[list[float]]] | None
    algebra: dict[str, Any] | None
    superposition: _Superposition | None
    certificates: _Certificates | None
    identified: bool
    levels: _Levels
    truth: _Truth
    nullspace: _Spectrum
    neural: _Neural | None
    data: _Data
    seed: int
    seconds: dict[str, float]


def _plain(d: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if d is None else dict(d)


def _levels(d: _Levels) -> Levels:
    observed = d["data"]
    data = None if observed is None else Observed(Spectrum(**observed["spectrum"]), observed["angles"])
    return Levels(d["equation"], d["stable"], d["domain"], d["lost"], data)


def load_result(path: str | Path) -> Result:
    """Reads ``result.json``.

    Raises:
        UserError: the file is missing or holds no result of this schema.
    """
    content = read_json(path)
    try:
        d = check_type(content, _Record, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        if d["schema"] != SCHEMA:
            raise UserError(f"{str(path)!r} must have schema {SCHEMA}, got {d['schema']}")
        neural = None
        if (n := d["neural"]) is not None:
            spectrum = Spectrum(n["values"], n["rank"], n["resolution"])
            neural = NeuralSpan(spectrum, n["scores"], n["principal_angles"], n["agreement"], n["closure"], n["jacobi"])
        return Result(
            equation=Equation(d["equation"]["text"], **d["equation"]["parameters"]),
            name=d["equation"]["name"],
            coordinates=Coordinates(**d["coordinates"]),
            domain=d["domain"],
            rank=d["rank"],
            generators=[Generator(**g) for g in d["generators"]],
            structure_constants=d["structure_constants"],
            algebra=d["algebra"],
            certificates=_plain(d["certificates"]),
            identified=d["identified"],
            superposition=_plain(d["superposition"]),
            levels=_levels(d["levels"]),
            nullspace=Spectrum(**d["nullspace"]),
            truth=d["truth"]["principal_angles"] if d["truth"]["known"] else None,
            neural=neural,
            residual=d["data"]["residual"],
            samples=d["data"]["samples"],
            seed=d["seed"],
            seconds=d["seconds"],
        )
    except (TypeCheckError, TypeError, ValueError) as error:
        raise UserError(f"{str(path)!r} must be a result of symflow, got something else: {error}") from None
