"""What discovery found in data or an equation: the record of its ``result.json``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from symflow import discovery
from symflow.algebra import Description
from symflow.discovery import OneSpaceResult, Spectrum, load_as
from symflow.errors import UserError
from symflow.fields import NeuralField, SymbolicField
from symflow.formulas import expressions
from symflow.runs import ASIDE, As, from_json

from ..augmentation import moved
from ..equations import Equation
from ..laws import Certificate
from ..settings import Domain
from ..symmetries import prolongation
from ..trajectories import Trajectories, data_coordinates
from . import schema2, words
from .verdicts import NOT_ASKED


@dataclass(frozen=True, kw_only=True)
class Generator(discovery.Generator):
    """One discovered symmetry.

    Beside what every generator has:

    Attributes:
        closed_form: physical coefficients of d/dx, d/dt, d/du (and d/dy, d/dv) as formulas in the coordinates.
        verified: whether the closed form satisfies the determining equations exactly, by symbolic computation.
        valid: whether the score is at the floor.
        score: the finite-flow check: RMS of the relative residual of the data moved along the generator, u_t from the
            equation.
        floor: the same for data that are not moved, plus what the flow's solver leaves, by comparison of step sizes.
        control: the score of the generator mixed in equal parts with ``u^2 d/du``: a transform that must fail.
        named: the closed form, up to a factor, with the parameters of the equation by name, where it is proven for any
            value of them; else as it is.
        multiplier: lambda with ``pr V(F) = lambda F``, an identity that anyone can check; ``None`` for systems.
        infinitesimal: relative violation of the determining condition on the data.
    """

    closed_form: dict[str, str]
    score: float = field()  # without a default: here they always exist
    floor: float = field()
    control: float = field()
    named: dict[str, str]
    multiplier: str | None
    infinitesimal: float


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
class NeuralSpan:
    """The span that a network found, before any closed form.

    Attributes:
        spectrum: its relative violations.
        field: the span as a field, ``None`` in a result read from a file without it.
        scores: the finite-flow score of each of its fields.
        principal_angles: to the known algebra, radians; empty when none is known.
        agreement: principal angles to the closed forms, radians; empty when there are none.
        closure: the largest part of a bracket that leaves the span, relative to the sizes of its two fields.
        jacobi: by how much the structure constants violate the Jacobi identity, relative to the sizes of three fields.
        word: *found* on jets of the equation, *measured* on jets of data with their own u_t; or *cannot be told*.
        reason: of the word, in a sentence.
        misfit: what jets of data leave of the equation, relative to its terms; ``None`` where u_t is the equation's.
    """

    spectrum: Spectrum
    scores: list[float]
    principal_angles: list[float]
    agreement: list[float]
    closure: float | None = None
    jacobi: float | None = None
    word: Literal["found", "measured", "cannot be told"] = "found"
    reason: str = ""
    misfit: float | None = None
    field: NeuralField | None = field(default=None, compare=False, repr=False, metadata=ASIDE)


@dataclass(frozen=True)
class Certified:
    """What the data certify of the generators, as `pde.certify` says it.

    Attributes:
        certificates: one for each generator, in order; all bounds hold at once.
        alpha: probability of error, for all together.
        reason: why nothing can be certified, or an empty text.
        law: the coefficients behind them and their intervals, ``None`` where they could not be fitted.
    """

    certificates: list[Certificate]
    alpha: float
    reason: str
    law: dict[str, Any] | None


@dataclass(frozen=True)
class _Formula:
    """How an equation is written."""

    text: str
    parameters: dict[str, float]


EQUATION = As(_Formula, lambda e: _Formula(e.text, e.parameters), lambda f: Equation(f.text, **f.parameters))
ALGEBRA = As(
    dict[str, Any],
    Description.to_dict,  # with what follows from it, for readers of the file
    lambda d: from_json({f.name: d[f.name] for f in fields(Description) if f.name in d}, Description),
)


@dataclass(frozen=True, kw_only=True)
class Result(OneSpaceResult):
    """The symmetries of a data set or an equation: how many, which, how sure.

    Beside what every result has:

    Attributes:
        equation: what the data solve.
        name: of the equation in the catalogue, or ``None``.
        domain: "periodic": fields with the period of the data; "plane": any.
        generators: a basis of the finite part in closed form.
        structure_constants: ``c[i][j][k]`` with ``[V_i, V_j] = sum_k c_ijk V_k``, or ``None`` where not exact.
        algebra: what follows from the structure constants, or ``None``.
        certificates: how far the generators can be from symmetries of the law that the data obey, given their noise;
            ``None`` without data.
        identified: whether the equation was fitted to the data and not given.
        nullspace: the spectrum on the jets of the data, with u_t from the equation; of the equation without data.
        observed: the null space with u_t from the data; ``None`` without data, or where they do not tell u_t.
        truth: principal angles of the null space, before it was rounded to closed forms, to the known algebra; ``None``
            when none is known.
        neural: what the network found without a library, or ``None``.
        residual: how far the data are from solving the equation (`Trajectories.residual`), or ``None``.
        samples: trajectories, 0 for an equation without data.
    """

    kind: ClassVar[str] = "pde"

    equation: Equation = field(metadata={"as": EQUATION})
    name: str | None
    domain: Domain
    generators: list[Generator]
    structure_constants: list[list[list[float]]] | None
    algebra: Description | None = field(metadata={"as": ALGEBRA})
    certificates: Certified | None
    identified: bool
    nullspace: Spectrum
    observed: Observed | None
    truth: list[float] | None
    neural: NeuralSpan | None
    residual: float | None
    samples: int

    @property
    def of_data(self) -> bool:
        """Whether data were studied beyond the equation: they solve it, or are trusted to."""
        said = self.verdicts.data
        shown = self.observed is not None or self.residual is not None
        return self.samples > 0 and (shown or said is None or said.word == "measured" or said.reason == NOT_ASKED)

    def check(self) -> None:
        """Refuses what does not belong together."""
        K, names = len(self.generators), {f"d{name}" for name in self.coordinates.names}
        if self.rank != K:
            raise ValueError(f"a rank of {self.rank} and {K} generators")
        if self.coordinates.names != tuple(self.equation.space.names):
            raise ValueError(f"the coordinates {self.coordinates.names} are not those of the equation")
        if any(form.keys() - names for g in self.generators for form in (g.closed_form, g.named)):
            raise ValueError(f"a closed form has other components than {', '.join(sorted(names))}")
        c = self.structure_constants
        if c is not None and (len(c) != K or any(len(m) != K or any(len(r) != K for r in m) for m in c)):
            raise ValueError(f"the structure constants are not those of {K} generators")
        if self.certificates is not None and not self.certificates.reason and len(self.certificates.certificates) != K:
            raise ValueError(f"there are not {K} certificates")

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

    def augment(
        self, data: Trajectories, strength: float = 0.2, seed: int = 0, *, unproved: bool = False
    ) -> Trajectories:
        """The data, each trajectory moved along a random combination of the generators.

        Used are the generators that have the period of the data, are proved, and are valid on moved data. A moved
        trajectory ends where its sources end: what is returned are the times that all of them have. One that keeps
        fewer than 3/7 of its times stays as it is, as in the paper.

        Args:
            data: on a uniform grid.
            strength: the largest root mean square displacement of a point, in units in which the data are of size 1
                (`pde.TrajectoryAugment`).
            seed: of the combinations.
            unproved: use all generators with the period, also those that are neither proved nor valid.

        Raises:
            UserError: no generator is left, or the data cannot be augmented.

        >>> from symflow import pde
        >>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
        >>> pde.discover(data, network="none").augment(data, strength=0.1, seed=1).u.shape[::2]
        torch.Size([2, 512])
        """
        used = [g.closed_form for g in self.generators if unproved or (g.verified and g.valid)]
        if not used:
            raise UserError("`result` must hold a generator that is proved and valid to move along, got none")
        axes = data_coordinates(data, data.length)
        field = SymbolicField(axes, used)
        periodic = [
            form
            for form, row in zip(used, field.components, strict=True)
            if not any(component.has(field.symbols[0]) for component in row)
        ]
        if not periodic:
            raise UserError("`result` must hold a generator with the period of the data to move along, got none")
        return moved(SymbolicField(axes, periodic), data, strength, seed)

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The content of a file of schema 2 as one of schema 3."""
        return schema2.upgraded(content)

    def __str__(self) -> str:
        return "\n".join([words.headline(self), "", words.table(self), *words.remarks(self)])


def load_result(path: str | Path) -> Result:
    """Reads ``result.json``.

    Args:
        path: of the file, or of the run directory that holds it.

    Raises:
        UserError: there is none, or it holds no result of this kind.
    """
    return load_as(path, Result)
