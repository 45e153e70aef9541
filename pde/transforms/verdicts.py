"""What an audit of a user's function says: of every generator, and of the whole."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from symflow.console import CANNOT_TELL, HOLDS, REFUTED
from symflow.formulas import Rows, Tabled, text_table

from ..equations import Equation
from .data_transform import Refined
from .point_transform import GroupLaw, Moved

Verdict = Literal["symmetry", "not a symmetry", "undecided"]


@dataclass(frozen=True)
class GeneratorAudit:
    """The generator of a transform: what it is, and what it should be.

    Attributes:
        closed_form: ``{"dx": ..., "dt": ..., "du": ...}``; ``None`` where it is no combination of the library.
        factor: what it is to be multiplied by, where its coefficients are rational only up to a common factor.
        accuracy: relative, of the velocity it was read from.
        verified: whether it satisfies the determining equations exactly; ``None`` where that cannot be asked, because
            there is no closed form with rational coefficients.
        leftover: what it leaves of the determining equations, which must be 0, as text.
        nearest: the symmetry it should be: one that agrees with it in as many components as any, or else the nearest
            generator of a basis; ``None`` where the equation has none, or where the generator is a symmetry.
        agrees: whether the nearest symmetry agrees with it in a component that is not 0.
        angle: to the span of the symmetries found, radians, in the box of the jets; 0 where it is proven to be one.
            Solutions that can be superposed are not in the span.
    """

    closed_form: dict[str, str] | None
    factor: float
    accuracy: float
    verified: bool | None
    leftover: tuple[str, ...]
    nearest: dict[str, str] | None
    agrees: bool
    angle: float | None


@dataclass(frozen=True)
class TransformAudit(Tabled):
    """Whether a function is a symmetry of an equation, and why.

    ``print(audit)`` shows a table and what was found; `to_dict` is for files.

    Attributes:
        name: of the function.
        equation: that it should be a symmetry of.
        kind: "point" or "data".
        arrays: what the function was called with, "numpy" or "torch".
        verdict: "symmetry", "not a symmetry", or "undecided" where the numbers do not tell.
        proven: whether the function's generator is proven to be a symmetry, and the function found to be its flow.
        group: the group law, ``None`` where no parameter gives the identity.
        moved: the finite transform of solution surfaces (kind "point").
        refined: the residual of transformed data on three grids (kind "data").
        generator: ``None`` where the function has none or, of a data transform, where it cannot be read.
        findings: what is to be said, sentence by sentence.
        seed: of the jets and of the data.
    """

    name: str
    equation: Equation
    kind: Literal["point", "data"]
    arrays: str
    verdict: Verdict
    proven: bool
    group: GroupLaw | None
    moved: tuple[Moved, ...]
    refined: tuple[Refined, ...]
    generator: GeneratorAudit | None
    findings: tuple[str, ...]
    seed: int

    @property
    def passed(self) -> bool:
        """Whether the verdict is "symmetry"."""
        return self.verdict == "symmetry"

    @property
    def exit_code(self) -> int:
        """Of the command: 0 for a symmetry, 1 where it is none, 3 where the numbers do not tell."""
        return {"symmetry": HOLDS, "undecided": CANNOT_TELL}.get(self.verdict, REFUTED)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; numbers that are not finite are ``None``."""
        content = {
            "function": self.name,
            "equation": {"text": self.equation.text, "parameters": self.equation.parameters},
            "kind": self.kind,
            "arrays": self.arrays,
            "verdict": self.verdict,
            "proven": self.proven,
            "group": None if self.group is None else asdict(self.group),
            "moved": [asdict(m) for m in self.moved],
            "refined": [asdict(r) for r in self.refined],
            "generator": None if self.generator is None else asdict(self.generator),
            "findings": list(self.findings),
            "seed": self.seed,
        }
        cleaned: dict[str, Any] = _json(content)
        return cleaned

    def table(self) -> Rows:
        """What was seen at each size of the transformation."""
        rows = [asdict(entry) for entry in (self.moved or self.refined)]
        return Rows(list(rows[0]) if rows else [], [list(row.values()) for row in rows])

    def __str__(self) -> str:
        proof = ", proven" if self.proven else ""
        values = "".join(f", {name} = {value:g}" for name, value in self.equation.parameters.items())
        headline = f"{self.name}: {self.verdict} of {self.equation.text}{values}{proof}"
        return "\n".join([headline, "", self._table(), "", *self._legend(), *self.findings])

    def _table(self) -> str:
        if self.kind == "point":
            return text_table(
                [">epsilon", ">moved surfaces", ">floor", ">control", ">judged"],
                (
                    [f"{m.epsilon:.3g}", *(f"{v:.1e}" for v in (m.score, m.floor, m.control)), f"{m.share:.0%}"]
                    for m in self.moved
                ),
            )
        sizes = [f">{points[0]} x {points[1]}" for points in self.refined[0].points]
        return text_table(
            [">epsilon", *sizes, ">data alone", ">control", ">spoiled"],
            (
                [f"{r.epsilon:.3g}", *(f"{v:.1e}" for v in (*r.scores, r.floors[-1], r.control)), f"{r.spoiled:.0%}"]
                for r in self.refined
            ),
        )

    def _legend(self) -> list[str]:
        if self.kind == "point":
            return [
                "moved surfaces: relative residual of the equation on solution surfaces through random jets, moved;",
                "floor: what rounding leaves; control: the transform followed by u -> u/(1 - c u), which must fail.",
            ]
        return [
            "columns: relative residual of transformed solutions (median), by size of the grid (times x places): it",
            "falls where only the discretisation errs; data alone: the same without the transform, on the last grid;",
            "control: the transform followed by u -> u/(1 - c u), which must fail; spoiled: points far above it.",
        ]


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
