"""The result of a discovery of one's own: the count, how sure it is and why, and the generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from symflow.fields import Field
from symflow.runs import save_tensors

from .count import Kind
from .result import Result

FIELDS = "fields.safetensors"  # beside result.json
SHOWN = 40  # generators of a table


@dataclass(frozen=True)
class Generator:
    """One vector field that keeps the data valid, as far as was measured.

    Attributes:
        name: ``V1, V2, ...``.
        closed_form: the physical coefficient of each ``d/d name`` as a formula; ``None`` where the class has none.
        rational: whether its coefficients are rational numbers; else they are rounded to what is known.
        violation: RMS response of the residual to the field of unit size, in units of that to random affine fields;
            of the closed form as it is written, where there is one; on fresh data.
        moved: the RMS change of the residual when a finite flow of the field moves the data, relative to `control`'s.
        control: the least change by a random affine flow of the same size, relative to their RMS.
    """

    name: str
    closed_form: dict[str, str] | None
    rational: bool
    violation: float
    moved: float
    control: float

    @property
    def formula(self) -> str:
        """The closed form on one line, for example ``-x2 dx1 + x1 dx2``; empty without one."""
        terms = []
        for component, coefficient in (self.closed_form or {}).items():
            if coefficient == "0":
                continue
            text = f"({coefficient})" if any(sign in coefficient[1:] for sign in "+-") else coefficient
            terms.append({"1": component, "-1": f"-{component}"}.get(text, f"{text} {component}"))
        return " + ".join(terms).replace("+ -", "- ")


@dataclass(frozen=True, kw_only=True)
class Found(Result):
    """What `discover` found.

    ``print(result)`` shows the verdict and a table, `save` writes ``result.json`` and the fields beside it.

    Attributes:
        fields: the class that was searched.
        clear: whether nothing speaks against the count.
        why: what speaks against the count, a sentence each.
        source: where the noise comes from that violations are compared with: "rounding", "floor" (the residual of valid
            data), "replicates", "sampling", or "network" (what learning leaves).
        error_rate: at most this share of clear counts of this kind is wrong, with 95 % confidence, as measured on a
            bench (docs/problems.md); ``None`` where none was measured.
        values: violations of fields of unit size, ascending, in units of random affine fields; those that count first.
        noise: of each, how large the violation of a true symmetry would be.
        fresh: violations of the same fields on data that had no part in choosing them.
        floor: the resolution: the noise of the last field that counts, or of the first where none does.
        coherence: of each field that counts, its violation over that of the same displacements with independent signs:
            0 when the parts of a datum cancel, 1 when each point is kept by itself.
        pointwise_rank: the dimension that the fields span at a point; the dimension of the space minus that is the
            number of independent invariants.
        agreement: the largest angle between the spans of any two replicates, radians; ``None`` without replicates.
        generators: the fields that count.
        algebra: what is known of their Lie algebra (`liealgebra.Description`), ``None`` where nothing is.
        field: the same as a field of unit size; ``None`` where none counts.
        field_by_space: the same in every space that the residual moves.
    """

    fields: str
    clear: bool
    why: tuple[str, ...]
    source: Kind
    error_rate: float | None
    values: list[float]
    noise: list[float]
    fresh: list[float]
    floor: float
    coherence: list[float]
    pointwise_rank: int
    agreement: float | None
    generators: list[Generator]
    algebra: dict[str, Any] | None
    coordinates: Mapping[str, dict[str, Any]]
    field: Field | None = attribute(default=None, compare=False, repr=False)
    field_by_space: Mapping[str, Field] = attribute(default_factory=dict, compare=False, repr=False)

    def generator_records(self) -> Sequence[Mapping[str, Any]]:
        """The generators as JSON values."""
        word = "measured" if self.clear else "cannot be told"
        return [
            {
                "name": g.name,
                "closed_form": g.closed_form,
                "verified": False,  # numbers prove nothing
                "rational": g.rational,
                "data": {"word": word, "score": g.moved, "violation": g.violation, "control": g.control},
            }
            for g in self.generators
        ]

    def details(self) -> Mapping[str, Any]:
        """The figures behind the count."""
        return {
            "fields": self.fields,
            "coordinates": dict(self.coordinates),
            "clear": self.clear,
            "why": list(self.why),
            "source": self.source,
            "error_rate": self.error_rate,
            "values": self.values,
            "noise": self.noise,
            "fresh": self.fresh,
            "floor": self.floor,
            "coherence": self.coherence,
            "pointwise_rank": self.pointwise_rank,
            "agreement": self.agreement,
            "algebra": self.algebra,
        }

    def save(self, path: str | Path) -> None:
        """Writes ``result.json`` and, beside it, the combinations of the class as ``fields.safetensors``."""
        tensors: dict[str, Tensor] = {}
        for space, found in self.field_by_space.items():
            combinations = getattr(found, "combinations", None)
            if isinstance(combinations, Tensor):
                tensors[f"{space}.combinations"] = combinations
            elif isinstance(found, torch.nn.Module):
                tensors |= {f"{space}.{name}": p for name, p in found.named_parameters()}
        if tensors:
            save_tensors(Path(path).parent / FIELDS, tensors, {"kind": self.kind})
        super().save(path)

    def __str__(self) -> str:
        sure = "clear" if self.clear else "not clear"
        lines = [
            f"{self.rank} {self.fields} {'field keeps' if self.rank == 1 else 'fields keep'} the data valid ({sure})."
        ]
        lines += [f"  {sentence[0].upper()}{sentence[1:]}." for sentence in self.why]
        if self.algebra is not None:
            lines.append(f"Algebra: {self.algebra['sentence']}.")
        after = self.values[self.rank : self.rank + 1]
        last = f"{self.values[self.rank - 1]:.2g}" if self.rank else "none"
        lines.append(
            f"Violation of the last that counts: {last}; of the next: {f'{after[0]:.2g}' if after else 'none'}; "
            f"resolution {self.floor:.2g}; unit: random affine fields."
        )
        if self.rank:
            lines.append(f"Pointwise rank {self.pointwise_rank}; coherence up to {max(self.coherence):.2g}.")
            lines.append(self._table())
        return "\n".join(lines)

    def _table(self) -> str:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        table.add_column("closed form")
        for column in ("violation", "moved", "control"):
            table.add_column(column, justify="right")
        for g in self.generators[:SHOWN]:
            table.add_row(g.name, g.formula or "-", *(f"{v:.2g}" for v in (g.violation, g.moved, g.control)))
        console = Console(width=120, color_system=None, record=False)
        with console.capture() as capture:
            console.print(table)
        return "\n".join(line.rstrip() for line in capture.get().strip("\n").splitlines())
