"""What the stages of a discovery of one's own hand on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from symflow.algebra import Description
from symflow.fields import NeuralField

from .bases.classes import Basis, FieldClass
from .bases.forms import Forms
from .condition import Evidence, Null
from .count import Count
from .problem import Problem
from .residuals.linearise import Linearised
from .residuals.soundness import Derivative, Layout


@dataclass(frozen=True)
class Request:
    """How fields are looked for."""

    fields: str | Basis
    derivative: Derivative
    generators: int
    steps: int
    seed: int

    @property
    def name(self) -> str:
        """Of the class."""
        return self.fields if isinstance(self.fields, str) else type(self.fields).__name__


@dataclass(frozen=True)
class Half:
    """Half of the data, linearised: by the residual and its replicates, and once more with other rounding."""

    index: Tensor
    linears: tuple[Linearised, ...]
    again: Linearised


@dataclass(frozen=True)
class State:
    """Empty at first; each stage fills in what it found.

    Attributes:
        problem, request: what was asked.
        layout: how the residual uses its motion.
        halves: one to choose fields on, one to check them on.
        lesson: what a network learns on, for the class "network".
        network: the fields that were learned, for the class "network".
        classes: by space.
        basis: combinations of the class of unit size, ``[m, m']``.
        evidence: of the two halves.
        null: fields sorted by violation.
        count: the rank.
        coherence: of each field that counts.
        agreement: of replicates.
        generators: combinations of the class, ``[m, rank]``, of unit size.
        forms: the same in closed form.
        violations, moved, control: of the generators (`found.Generator`).
        pointwise: the pointwise rank.
        algebra: of the generators.
    """

    problem: Problem
    request: Request
    layout: Layout | None = None
    halves: tuple[Half, Half] | None = None
    lesson: Half | None = None
    network: NeuralField | None = None
    classes: dict[str, FieldClass] | None = None
    basis: Tensor | None = None
    evidence: tuple[Evidence, Evidence] | None = None
    null: Null | None = None
    count: Count | None = None
    coherence: tuple[float, ...] = ()
    agreement: float | None = None
    generators: Tensor | None = None
    forms: Forms | None = None
    violations: tuple[float, ...] = ()
    moved: tuple[float, ...] = ()
    control: float = 0.0
    pointwise: int = 0
    algebra: Description | None = None
