"""What discovery found, as a person reads it and as `result.json` keeps it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from symflow.coordinates import Coordinates
from symflow.errors import UserError
from symflow.fields import NeuralField, SymbolicField

from .equation import Equation

SCHEMA = 1
COMPONENTS = ("dx", "dt", "du")

Domain = Literal["periodic", "plane"]


@dataclass(frozen=True)
class Generator:
    """One discovered symmetry.

    Attributes:
        name: ``V1, V2, ...``.
        closed_form: physical coefficients of d/dx, d/dt, d/du as formulas in x, t, u, or ``None`` when no closed form
            was found.
        score: the finite-flow check: RMS of the relative residual of the data moved along the generator.
        floor: the same for data that was not moved.
        valid: whether the score is at the floor.
        verified: whether the closed form satisfies the determining equations exactly, by symbolic computation.
        infinitesimal: relative violation of the determining condition on the data.
        control: the score of the same generator with its u-component reversed or, where that is zero, ``u d/du``
            added: a transform that must fail.
    """

    name: str
    closed_form: dict[str, str] | None
    score: float
    floor: float
    valid: bool
    verified: bool
    infinitesimal: float
    control: float

    @property
    def formula(self) -> str:
        """The generator on one line, for example ``t dx + du``."""
        if self.closed_form is None:
            return "(no closed form)"
        return format_generator(self.closed_form)


def format_generator(closed_form: dict[str, str]) -> str:
    """``{"dx": "t", "dt": "0", "du": "1"}`` as ``t dx + du``."""
    terms = []
    for component in COMPONENTS:
        coefficient = closed_form[component]
        if coefficient == "0":
            continue
        sign = "+"
        if coefficient.startswith("-") and not _is_sum(coefficient[1:]):
            sign, coefficient = "-", coefficient[1:]
        if _is_sum(coefficient):
            coefficient = f"({coefficient})"
        terms.append((sign, component if coefficient == "1" else f"{coefficient} {component}"))
    if not terms:
        return "0"
    first, *rest = terms
    return ("-" if first[0] == "-" else "") + first[1] + "".join(f" {sign} {term}" for sign, term in rest)


def _is_sum(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and c in "+-" and i > 0 and text[i - 1] not in "*/(":
            return True
    return False


@dataclass(frozen=True)
class Spectrum:
    """Ascending singular values of a discovery and the gap that decides the rank."""

    values: list[float]
    rank: int

    @property
    def gap(self) -> float:
        """First value above the gap over last value below it; infinite when nothing is below."""
        if self.rank == 0 or self.rank >= len(self.values):
            return math.inf
        return self.values[self.rank] / max(self.values[self.rank - 1], 1e-300)


@dataclass
class Result:
    """The symmetries of a data set: how many, which, how sure.

    ``print(result)`` shows a table; `save` writes ``result.json``; `load` reads it back.
    """

    equation: Equation
    name: str | None  # in the catalogue
    coordinates: Coordinates
    domain: Domain
    rank: int
    generators: list[Generator]
    structure_constants: list[list[list[float]]] | None  # c[i][j][k]: [V_i, V_j] = sum_k c_ijk V_k
    nullspace: Spectrum
    nullspace_angles: list[float] | None  # radians, to the known algebra, before rounding to closed forms
    neural: Spectrum | None
    neural_angles: list[float] | None  # radians, to the known algebra
    neural_agreement: list[float] | None  # radians, to the closed forms
    data_residual: float  # how far the data is from the equation it claims
    samples: int
    seed: int
    seconds: dict[str, float] = field(default_factory=dict)
    field: NeuralField | None = None  # the learned span, when the neural route ran

    @property
    def symbolic_field(self) -> SymbolicField:
        """The generators with a closed form, as a field."""
        forms = [g.closed_form for g in self.generators if g.closed_form is not None]
        if not forms:
            raise UserError("the result holds no closed form, so it has no symbolic field")
        return SymbolicField(self.coordinates, forms)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        known = self.nullspace_angles is not None
        return {
            "schema": SCHEMA,
            "equation": {"text": self.equation.text, "parameters": self.equation.parameters, "name": self.name},
            "coordinates": self.coordinates.to_dict(),
            "domain": self.domain,
            "rank": self.rank,
            "generators": [asdict(g) for g in self.generators],
            "structure_constants": self.structure_constants,
            "truth": {"known": known, "principal_angles": self.nullspace_angles or []},
            "nullspace": asdict(self.nullspace),
            "neural": None
            if self.neural is None
            else asdict(self.neural)
            | {"principal_angles": self.neural_angles or [], "agreement": self.neural_agreement or []},
            "data": {"residual": self.data_residual, "samples": self.samples, "seed": self.seed},
            "seconds": self.seconds,
        }
