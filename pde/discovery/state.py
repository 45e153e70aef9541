"""What the stages of a discovery hand on: the question, the algebra, the jets, and all that was found so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from symflow.algebra import ClosedForm, Description
from symflow.discovery import Spectrum
from symflow.fields import SymbolicField

from ..approximation import Approximate, Search
from ..equations import Equation, JetSample
from ..families import Family
from ..gate import Gate
from ..laws import Certificates, Drift, OverConfidenceSet
from ..scores import JetScore
from ..settings import Domain, Network
from ..symmetries import FirstOrder, Symmetries
from ..trajectories import Trajectories
from .result import Certified, Generator, NeuralSpan, Observed
from .sources import Source


@dataclass(frozen=True)
class Request:
    """What was asked, every default filled in (`discover`)."""

    data: Trajectories | Equation | str
    domain: Domain
    boundary: str | None
    seed: int
    network: Network
    generators: int
    steps: int
    degree: int | None
    tolerance: float | None
    trust: bool
    small: str | None


@dataclass(frozen=True)
class Algebra:
    """What the equation has.

    Attributes:
        plane: its symmetries.
        asked: those that the domain asks for: the same, those with the period, or combinations that keep the boundary.
        constants, description: what the brackets of these say.
        families: symmetries that depend on arbitrary functions.
        counted: the order up to which these and the generators are all, by a count (`Whole`).
    """

    plane: Symmetries
    asked: Symmetries
    constants: list[Any] | None
    description: Description | None
    families: tuple[Family, ...] = ()
    counted: int | None = None

    @property
    def texts(self) -> list[dict[str, str]]:
        """The closed forms that were asked for, as text."""
        return as_text(self.asked.forms)


def as_text(forms: Sequence[ClosedForm]) -> list[dict[str, str]]:
    """Closed forms as people read them."""
    return [{key: str(f) for key, f in form.items()} for form in forms]


@dataclass(frozen=True)
class Jets:
    """Jets of the source, and what the null space on them shows.

    Attributes:
        sample: for the null space and the network.
        fresh: other points, normalised, on which spans are compared.
        truth: the known algebra, if any.
        closed: values of the closed forms at the fresh points, if there are any.
        spectrum, angles, observed: as of `Result`.
    """

    sample: JetSample
    fresh: Tensor
    truth: SymbolicField | None
    closed: Tensor | None
    spectrum: Spectrum
    angles: list[float] | None
    observed: Observed | None


@dataclass(frozen=True)
class State:
    """What was asked, and what the stages so far have found."""

    request: Request
    source: Source | None = None
    judged: Gate | None = None
    algebra: Algebra | None = None
    at_most: int | None = None
    endless: bool = False
    jets: Jets | None = None
    moved: JetScore | None = None
    generators: tuple[Generator, ...] = ()
    certified: Certified | None = None
    fitted: Certificates | None = None
    sought: Search | None = None
    approximate: tuple[Approximate, ...] = ()
    neural: NeuralSpan | None = None
    first_order: FirstOrder | None = None
    drifting: tuple[Drift, ...] = ()
    over: OverConfidenceSet | None = None
