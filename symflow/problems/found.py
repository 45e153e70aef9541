"""The result of a discovery of one's own: the count, how sure it is and why, and the generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from symflow import discovery
from symflow.algebra import Description
from symflow.arrays import takes_arrays
from symflow.discovery import Result, lines, load_as
from symflow.errors import UserError
from symflow.fields import Coordinates, Field, SymbolicField
from symflow.fields.planes import plot
from symflow.formulas import text_table
from symflow.runs import ASIDE, save_tensors

from .augment import moved
from .count import Kind

FIELDS = "fields.safetensors"  # beside result.json
SHOWN = 40  # generators of a table


@dataclass(frozen=True, kw_only=True)
class Generator(discovery.Generator):
    """One vector field that keeps the data valid, as far as was measured.

    ``score`` is the RMS change of the residual when a finite flow of the field moves the data, and ``control`` the
    least change by a random affine flow of the same size, both relative to the RMS of those. ``closed_form`` is
    ``None`` where the class has none.

    Attributes:
        valid: whether the count that it belongs to is measured.
        rational: whether the coefficients of its closed form are rational numbers; else they are rounded to what is
            known.
        violation: RMS response of the residual to the field of unit size, in units of that to random affine fields;
            of the closed form as it is written, where there is one; on fresh data.
    """

    rational: bool
    violation: float
    score: float = attribute()  # without a default: here they always exist
    control: float = attribute()


@dataclass(frozen=True, kw_only=True, repr=False)
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
        algebra: what is known of their Lie algebra (`symflow.algebra.Description`), ``None`` where nothing is.
        coordinates: by the spaces that the residual moves.
        field: the generators as a field of unit size; ``None`` where none counts, and for a network read from a file.
        field_by_space: the same in every space that the residual moves.
    """

    kind: ClassVar[str] = "problem"

    generators: Sequence[Generator]
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
    algebra: Description | None
    coordinates: dict[str, Coordinates]
    field: Field | None = attribute(default=None, compare=False, repr=False, metadata=ASIDE)
    field_by_space: Mapping[str, Field] = attribute(default_factory=dict, compare=False, repr=False, metadata=ASIDE)

    @property
    def headline(self) -> str:
        """How many fields keep the data valid, and whether anything speaks against the count."""
        keeps = "field keeps" if self.rank == 1 else "fields keep"
        return f"{self.rank} {self.fields} {keeps} the data valid ({'clear' if self.clear else 'not clear'})."

    @takes_arrays
    def augment(self, data: Tensor, strength: float = 0.2, seed: int = 0, *, unproved: bool = False) -> Tensor:
        """Data of the problem, each moved along a random combination of the fields that keep them valid.

        Args:
            data: physical points ``[B, d]``, or data of several points ``[B, n, d]``; a numpy array gives one back.
            strength: the largest root mean square displacement of a point, in units in which each axis has a standard
                deviation of 1, to first order.
            seed: of the combinations.
            unproved: move them also where the count of fields cannot be told.

        Raises:
            UserError: there is no field, it cannot be told whether there is, the problem moves points of several
                spaces, the result was read without its fields, or an argument is out of range.

        >>> import torch, symflow
        >>> points = torch.randn(400, 2, dtype=torch.float64)
        >>> found = symflow.discover(symflow.invariance(lambda z: z.square().sum(-1), points))
        >>> more = found.augment(points, strength=0.5)
        >>> bool(torch.allclose(more.norm(dim=1), points.norm(dim=1)))
        True
        """
        if not self.rank or not (unproved or self.verdict == "measured"):
            raise UserError(
                f"the result must hold fields that keep the data valid to move them along, got "
                f"{self.rank} ({self.verdict}); `unproved=True` allows it where that cannot be told"
            )
        if len(self.coordinates) != 1 or self.field is None:
            got = "no field" if self.field is None else f"the spaces {', '.join(self.coordinates)}"
            raise UserError(f"the result must have its fields, in one space of points, to move them, got {got}")
        return moved(self.field, data, strength, seed)

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

    def plot(self, axes: Any = None) -> list[Any]:
        """Draws each field as arrows, in the plane that it fills most (`pde.Result.plot`).

        Raises:
            UserError: there is no field, or the problem moves points of several spaces.
        """
        if len(self.coordinates) != 1 or self.field is None:
            raise UserError("the result must have its fields, in one space of points, to draw them")
        return plot(self.field, axes)

    def check(self) -> None:
        """Refuses a file whose parts contradict each other.

        Raises:
            ValueError: they do.
        """
        if not len(self.generators) == len(self.coherence) == self.rank <= len(self.values):
            raise ValueError(
                f"a rank of {self.rank} with {len(self.generators)} generators, {len(self.coherence)} coherences and "
                f"{len(self.values)} values"
            )

    def beside(self, folder: Path) -> Found:
        """With the closed forms as a field, where there are any."""
        forms = [g.closed_form for g in self.generators]
        if not forms or any(form is None for form in forms) or len(self.coordinates) != 1:
            return self
        ((space, coordinates),) = self.coordinates.items()
        field = SymbolicField(coordinates, [form for form in forms if form is not None])
        return replace(self, field=field, field_by_space={space: field})

    def __str__(self) -> str:
        text = [self.headline, "", *lines(self.statements), ""]
        text += [f"  {sentence[0].upper()}{sentence[1:]}." for sentence in self.why]
        if self.algebra is not None:
            text.append(f"Algebra: {self.algebra.sentence}.")
        after = self.values[self.rank : self.rank + 1]
        last = f"{self.values[self.rank - 1]:.2g}" if self.rank else "none"
        text.append(
            f"Violation of the last that counts: {last}; of the next: {f'{after[0]:.2g}' if after else 'none'}; "
            f"resolution {self.floor:.2g}; unit: random affine fields."
        )
        if self.rank:
            text.append(f"Pointwise rank {self.pointwise_rank}; coherence up to {max(self.coherence):.2g}.")
            rows = [
                [g.name, g.formula or "-", *(f"{v:.2g}" for v in (g.violation, g.score, g.control))]
                for g in self.generators[:SHOWN]
            ]
            text.append(text_table(["", "closed form", ">violation", ">moved", ">control"], rows))
        return "\n".join(text)


def load_result(path: str | Path) -> Found:
    """The result of a discovery of one's own, from ``result.json`` or the run directory that holds it.

    Raises:
        UserError: there is none, or it is of another kind.
    """
    return load_as(path, Found)
