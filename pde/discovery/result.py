"""What discovery found in data or an equation: the record of its ``result.json``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from symflow import discovery
from symflow.algebra import Description
from symflow.discovery import OneSpaceResult, Spectrum, Statement, load_as
from symflow.errors import UserError
from symflow.fields import NeuralField, SymbolicField
from symflow.formulas import expressions, format_generator
from symflow.runs import ASIDE, As, Budget, from_json

from ..approximation import Approximate, Search
from ..augmentation import UNLESS, check_solve, keeping_grid, moved
from ..equations import Equation
from ..families import family_of, proved
from ..gate import Gate
from ..laws import Certificate, Drift, OverConfidenceSet
from ..settings import Domain
from ..symmetries import FirstOrder, prolongation
from ..trajectories import Trajectories
from . import schema2, words
from .verdicts import NOT_ASKED

AT_FLOOR = 10.0  # times the floor
PROOF_SECONDS = 60.0  # of processor time, for all proofs of a result that is read from a file


@dataclass(frozen=True, kw_only=True)
class Generator(discovery.Generator):
    """One discovered symmetry.

    Beside what every generator has:

    Attributes:
        closed_form: physical coefficients of d/dx, d/dt, d/du (and d/dy, d/dv) as formulas in the coordinates.
        verified: whether the closed form satisfies the determining equations exactly, by symbolic computation.
        valid: whether it is proved and the data solve the equation or are trusted to; without data, whether it is
            proved.
        score: the finite-flow check: RMS of the relative residual of the data moved along the generator, u_t from the
            equation. Of a generator that is proved it checks the code, for ``F[moved]`` is a factor times ``F[u]``.
        floor: the same for data that are not moved, plus what the flow's solver leaves, by comparison of step sizes.
        control: the score of the generator mixed in equal parts with ``u^2 d/du``: a transform that must fail.
        named: the closed form, up to a factor, with the parameters of the equation by name, where it is proven for any
            value of them; else as it is.
        multiplier: lambda with ``pr V(F) = lambda F``, an identity that anyone can check; ``None`` for systems.
        infinitesimal: relative violation of the determining condition on the data.
        in_complex: the closed form with the complex unknowns as they are written; ``None`` without any.
    """

    closed_form: dict[str, str]
    score: float = field()  # without a default: here they always exist
    floor: float = field()
    control: float = field()
    named: dict[str, str]
    multiplier: str | None
    infinitesimal: float
    in_complex: dict[str, str] | None = None

    @property
    def formula(self) -> str:
        """The closed form on one line, in the unknowns as they are written."""
        return super().formula if self.in_complex is None else format_generator(self.in_complex)

    @property
    def at_floor(self) -> bool:
        """Whether moved data are as near to solving the equation as data that are not moved."""
        return self.score <= AT_FLOOR * self.floor


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
        left_out: the share of the energy of u that smoothing leaves out of the points at which the bounds hold.
        noise: the share that the noise alone has.
    """

    certificates: list[Certificate]
    alpha: float
    reason: str
    law: dict[str, Any] | None
    left_out: float | None = None
    noise: float | None = None


@dataclass(frozen=True)
class Identified:
    """What rests on what, where the equation was fitted to a part of the data.

    Attributes:
        parts: which data it was fitted to, and which all else rests on, in words.
        drifts: coefficients that change with t or x over the second part; the data then do not solve the equation.
        over: the symmetries over all equations that the second part allows; ``None`` where it does not solve this one,
            or does not know the coefficients.
    """

    parts: str
    drifts: list[Drift]
    over: OverConfidenceSet | None


@dataclass(frozen=True)
class _Formula:
    """How an equation is written."""

    text: str
    parameters: dict[str, float]
    independent: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()


EQUATION = As(
    _Formula,
    lambda e: _Formula(e.text, e.parameters, e.independent, e.unknowns),
    lambda f: Equation(f.text, f.independent, f.unknowns, **f.parameters),
)
ALGEBRA = As(
    dict[str, Any],
    Description.to_dict,  # with what follows from it, for readers of the file
    lambda d: from_json({f.name: d[f.name] for f in fields(Description) if f.name in d}, Description),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Result(OneSpaceResult):
    """The symmetries of a data set or an equation: how many, which, how sure.

    Beside what every result has:

    Attributes:
        equation: what the data solve.
        name: of the equation in the catalogue, or ``None``.
        domain: "periodic": fields with the period of the data; "plane": any.
        boundary: the walls, conditions and periods that the generators keep, or ``None``.
        generators: a basis of the finite part in closed form.
        approximate: fields on the plane that nearly are symmetries of what the data show.
        approximation: how they were looked for; ``None`` where they were not.
        structure_constants: ``c[i][j][k]`` with ``[V_i, V_j] = sum_k c_ijk V_k``, or ``None`` where not exact.
        algebra: what follows from the structure constants, or ``None``.
        certificates: how far the generators can be from symmetries of the law that the data obey, given their noise;
            ``None`` without data.
        identified: whether the equation was fitted to the data and not given.
        identification: to which part of the data, and what the other part says; ``None`` where it was given.
        nullspace: the spectrum on the jets of the data, with u_t from the equation; of the equation without data.
        observed: the null space with u_t from the data; ``None`` without data, or where they do not tell u_t.
        truth: principal angles of the null space, before it was rounded to closed forms, to the known algebra; ``None``
            when none is known.
        first_order: which symmetries of the equation without its small parameter survive to first order in it; ``None``
            where it was not asked.
        neural: what the network found without a library, or ``None``.
        residual: how far the data are from solving the equation (`Trajectories.residual`), or ``None``.
        samples: trajectories, 0 for an equation without data.
        trusted: whether the data were taken at their word: whether they solve the equation was not asked.
        gate: what they said when they were asked, trajectory by trajectory and coefficient by coefficient.
    """

    kind: ClassVar[str] = "pde"

    equation: Equation = field(metadata={"as": EQUATION})
    name: str | None
    domain: Domain
    generators: list[Generator]
    boundary: str | None = None
    approximate: list[Approximate] = field(default_factory=list)
    approximation: Search | None = None
    structure_constants: list[list[list[float]]] | None
    algebra: Description | None = field(metadata={"as": ALGEBRA})
    certificates: Certified | None
    identified: bool
    nullspace: Spectrum
    observed: Observed | None
    truth: list[float] | None
    first_order: FirstOrder | None = None
    identification: Identified | None = None
    neural: NeuralSpan | None
    residual: float | None
    samples: int
    trusted: bool = False
    gate: Gate | None = None

    @property
    def of_data(self) -> bool:
        """Whether data were studied beyond the equation: most of them solve it, or are trusted to."""
        said = self.verdicts.data
        shown = self.observed is not None or self.residual is not None
        return self.samples > 0 and (shown or self.trusted or (said is not None and said.word == "measured"))

    @property
    def headline(self) -> str:
        """What was studied, how many symmetries it has, and whether they are those of the data."""
        return words.headline(self)

    @property
    def statements(self) -> list[Statement]:
        """What is said of the equation, of the period and of the data, and on what it rests."""
        return words.said(self)

    def check(self) -> None:
        """Refuses what does not belong together."""
        K, names = len(self.generators), {f"d{name}" for name in self.coordinates.names}
        if self.rank != K:
            raise ValueError(f"a rank of {self.rank} and {K} generators")
        if self.coordinates.names != tuple(self.equation.space.names):
            raise ValueError(f"the coordinates {self.coordinates.names} are not those of the equation")
        if any(form.keys() - names for g in self.generators for form in (g.closed_form, g.named)):
            raise ValueError(f"a closed form has other components than {', '.join(sorted(names))}")
        if any(near.closed_form.keys() - names for near in self.approximate):
            raise ValueError(f"an approximate symmetry has other components than {', '.join(sorted(names))}")
        deformed = self.first_order
        if deformed is not None and any(
            form.keys() != names for s in deformed.stable for form in (s.leading, s.correction)
        ):
            raise ValueError(f"a symmetry to first order must have the components {', '.join(sorted(names))}")
        c = self.structure_constants
        if c is not None and (len(c) != K or any(len(m) != K or any(len(r) != K for r in m) for m in c)):
            raise ValueError(f"the structure constants are not those of {K} generators")
        if self.certificates is not None and not self.certificates.reason and len(self.certificates.certificates) != K:
            raise ValueError(f"there are not {K} certificates")
        over = None if self.identification is None else self.identification.over
        if over is not None and (len(over.conditions) != K or not over.dimensions):
            raise ValueError(f"the symmetries over the confidence set are not {K}")

    def verify(self, seconds: float = PROOF_SECONDS) -> list[bool | None]:
        """Proves every generator again, from its text: exact computer algebra, nothing taken from the file on trust.

        Args:
            seconds: of processor time for all of them.

        Returns:
            For each generator whether ``pr V(F) = 0`` follows on solutions, and, where parameters have names, for every
            value of them; ``None`` where that was not decided in time.
        """
        budget, keys = Budget(seconds), [f"d{name}" for name in self.coordinates.names]
        symbols = {v.name: v for v in self.equation.space.variables}
        parameters = {s.name: s for F in self.equation.general for s in F.free_symbols}

        def proven(g: Generator) -> bool:
            form = {key: expressions.parse(g.closed_form.get(key, "0"), symbols) for key in keys}
            named = {key: expressions.parse(g.named.get(key, "0"), parameters | symbols) for key in keys}
            general = g.named == g.closed_form or prolongation.is_symmetry(self.equation, named, general=True)
            return general and prolongation.is_symmetry(self.equation, form)

        return [budget.spend(partial(proven, g)) for g in self.generators]

    def verify_families(self) -> list[bool]:
        """Proves every family again, from its text, for all its functions."""
        again = (family_of(self.equation, f.closed_form, f.functions, f.conditions) for f in self.families)
        return [proved(self.equation, family) for family in again]

    def augment(
        self, data: Trajectories, strength: float = 0.2, seed: int = 0, *, unproved: bool = False
    ) -> Trajectories:
        """The data, each trajectory moved along a random combination of the generators.

        Used are the generators that are valid and have the period of the data, on data that solve the equation
        (`along`). A moved trajectory ends where its sources end: what is returned are the times that all of them have.
        One that keeps fewer than 3/7 of its times stays as it is, as in the paper.

        Args:
            data: on a uniform grid.
            strength: the largest root mean square displacement of a point, in units in which the data are of size 1
                (`pde.TrajectoryAugment`).
            seed: of the combinations.
            unproved: use all generators with the period, and ask nothing of the data.

        Raises:
            UserError: no generator is left, the data do not solve the equation or cannot tell, or they cannot be
                augmented.

        >>> from symflow import pde
        >>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
        >>> pde.discover(data, network="none").augment(data, strength=0.1, seed=1).u.shape[::2]
        torch.Size([2, 512])
        """
        return moved(self.along(data, unproved), data, strength, seed)

    def along(self, data: Trajectories, unproved: bool = False) -> SymbolicField:
        """What data may be moved along: the generators with their period that are valid for them.

        Valid is what is proved, for data that solve the equation; they are asked, unless the result trusts them.

        Args:
            data: whose units the field has.
            unproved: all generators with the period, and ask nothing.

        Raises:
            UserError: there is none, or the data do not solve the equation or cannot tell.
        """
        forms = self.allowed(unproved)
        if not isinstance(data, Trajectories):
            raise UserError(f"`data` must be trajectories, got {type(data).__name__}")
        if not (unproved or self.trusted):
            check_solve(data, self.equation)
        return keeping_grid(forms, data)

    def allowed(self, unproved: bool = False) -> list[dict[str, str]]:
        """The closed forms that data may be moved along, if they solve the equation: the valid ones, or all.

        Raises:
            UserError: there is none.
        """
        used = [g.closed_form for g in self.generators if unproved or g.valid]
        if not used:
            got = f"got none ({self.headline})"
            raise UserError(
                f"`result` must hold a generator that is valid for data to move them along, {got}; {UNLESS}"
            )
        return used

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The content of a file of schema 2 as one of schema 3."""
        return schema2.upgraded(content)

    @classmethod
    def completed(cls, content: dict[str, Any]) -> dict[str, Any]:
        """With whether the data were trusted, which earlier versions said by the reason of the verdict alone."""
        if "trusted" in content:
            return content
        said = content["verdicts"].get("data")
        return content | {"trusted": said is not None and said.get("reason") == NOT_ASKED}

    def __str__(self) -> str:
        return words.text(self)


def load_result(path: str | Path) -> Result:
    """Reads ``result.json``.

    Args:
        path: of the file, or of the run directory that holds it.

    Raises:
        UserError: there is none, or it holds no result of this kind.
    """
    return load_as(path, Result)
