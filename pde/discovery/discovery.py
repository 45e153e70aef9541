"""The main job: from trajectories, or an equation alone, to named and proven symmetries.

Three questions, one after the other. Which symmetries has the *equation*? Random jets on its manifold tell, nothing is
simulated (`pde.symmetries`); closed forms and proofs come from there. Which of them keep the *domain*, that is, the
period? And what do the *data* show? Their jets are asked again, once with u_t from the equation and once from the data;
a network without a library learns the span from the same condition; and the data are moved along every generator by a
finite flow, beside a control that must fail.

With u_t from the equation the determining condition holds at any jet, and off solutions ``pr V(F) = lambda F`` is an
identity: the data choose the points at which it is asked. That the data solve the equation is a statement of its own,
checked first (`Trajectories.residual`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from symflow.algebra import (
    ClosedForm,
    describe,
    measured_structure_constants,
    sample_brackets,
    structure_constants,
    subspace_angles,
)
from symflow.errors import UserError
from symflow.fields import Coordinates, Field, NeuralField, SymbolicField, total_degree
from symflow.formulas import format_generator
from symflow.learning import RESOLUTION, Objective, Subspace, eigenfields, learn, span_field
from symflow.runs import Run, one_thread

from ..equations import Equation, Index, JetSample, Manifold, entry, lookup, variable
from ..laws import certify
from ..scores import InfinitesimalScore, JetForms, JetScore, LocalScore, Slots, observed, points_of, unit_weights
from ..symmetries import (
    Library,
    NullSpace,
    Symmetries,
    condition,
    gap_rank,
    polynomial_library,
    prolongation,
    symmetries,
)
from ..trajectories import Trajectories, data_coordinates
from .result import Domain, Generator, Levels, NeuralSpan, Observed, Result, Spectrum

POINTS = 4_000  # of the null space
POOL = 20_000  # from which the network draws
CHECKED = 512  # moved by the finite flow
FRESH = 3_000  # on which angles are measured
FEWEST_ROWS = 16
CEILING = 1e-6  # of a null space that is exact up to rounding
OBSERVED_CEILING = 1e-4  # of one with u_t from the data, which the differences in time limit
NEURAL_CEILING = 1e-4  # of one that is learned; nearly symmetric fields of the five equations are above 3e-4
NULL_RESOLUTION = 1e-12
DATA_DEGREE = 2  # of the library on data, and more where the generators have more
VALID = 10.0  # times the floor
WIDTH, FEATURES = 96, 48  # of the network
MOST_GENERATORS = 32
MOST_DEGREE = 6
PAPER_GRID, PAPER_WIDTH = 256, 256  # the paper's points in x and its network
NEAR = 2.0  # times the floor of the local score: a slot that is a symmetry
DEFAULTS = {"infinitesimal": (7, 150), "local": (4, Slots.steps)}  # generators and steps of the two routes

Route = Literal["infinitesimal", "local"]
Progress = Callable[[str, float, dict[str, float]], None]
"""Called with the stage, the fraction of it that is done, and figures worth showing."""


@dataclass(frozen=True)
class Source:
    """Where jets come from: data, or an equation alone."""

    equation: Equation
    name: str | None
    symmetries: tuple[dict[str, str], ...] | None
    coordinates: Coordinates
    sample: Callable[[int, int, Sequence[Index]], JetSample]  # count, seed, derivatives
    data: Trajectories | None


def discover(
    data: Trajectories | Equation | str,
    domain: Domain | None = None,
    seed: int = 0,
    *,
    score: Route = "infinitesimal",
    generators: int | None = None,
    steps: int | None = None,
    degree: int | None = None,
    run: Run | None = None,
    progress: Progress | None = None,
) -> Result:
    """The continuous point symmetries of data, with closed forms, proofs and checks.

    Determinism: the same data, arguments and machine give the same result, also when a `run` is interrupted and
    continued.

    Args:
        data: trajectories; or an equation, or the name of one, whose jets are then drawn at random.
        domain: "periodic" for fields that have the period of the data in space, "plane" for any. By default periodic
            for trajectories, and plane for an equation alone, which has no domain.
        seed: of the points and of the network.
        score: what the network learns from. "infinitesimal": the determining condition on jets, by the span's
            Rayleigh quotient (`symflow.learning.subspace`). "local": the paper's route, slots scored by local
            interpolation of moved patches (`pde.scores.Slots`); needs trajectories, and hours at its own number of
            steps.
        generators: fields the network learns; more than there are symmetries, so that the gap shows. By default 7,
            and the paper's 4 for "local".
        steps: of the network's learning; 0 leaves the network out. By default 150, and the paper's 12,800 for "local".
        degree: of the polynomials of the library; by default as high as needed until the number of symmetries is
            stable.
        run: a run directory for metrics and checkpoints.
        progress: called as the stages go on.

    Raises:
        UserError: an argument out of range, too few data, or data that do not solve their equation.

    >>> result = discover("burgers", domain="plane", steps=0)
    >>> [g.formula for g in result.generators]
    ['dx', 'dt', 't dx + du', 'x dx + 2*t dt - u du', 't*x dx + t**2 dt + (-t*u + x) du']
    """
    if domain is None:
        domain = "periodic" if isinstance(data, Trajectories) else "plane"
    if domain not in ("periodic", "plane"):
        raise UserError(f"`domain` must be periodic or plane, got {domain!r}")
    if score not in DEFAULTS:
        raise UserError(f"`score` must be {' or '.join(DEFAULTS)}, got {score!r}")
    generators = DEFAULTS[score][0] if generators is None else generators
    steps = DEFAULTS[score][1] if steps is None else steps
    for name, value, least, most in (
        ("generators", generators, 1, MOST_GENERATORS),
        ("steps", steps, 0, 1_000_000),
        ("degree", 0 if degree is None else degree, 0, MOST_DEGREE),
        ("seed", seed, 0, 2**31 - 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise UserError(f"`{name}` must be an integer from {least} to {most}, got {value!r}")
    tell = progress or (lambda stage, done, figures: None)
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        tell(name, 0.0, {})
        begun = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - begun, 3)
        tell(name, 1.0, {})

    with one_thread():
        with stage("data"):
            source = _source(data, domain)
            equation, coordinates = source.equation, source.coordinates
        with stage("equation"):
            plane = symmetries(equation, degree=degree)
            periodic = symmetries(equation, without=_space_axes(equation), degree=degree)
            algebra = plane if domain == "plane" else periodic
            texts = [{key: str(f) for key, f in form.items()} for form in algebra.forms]
            constants = structure_constants(algebra.forms) if texts else []
            description = describe(constants).to_dict() if constants else None
        with stage("null space"):
            sample = source.sample(max(POOL, POINTS), seed, prolongation.needed(equation))
            fresh = points_of(source.sample(FRESH, seed + 1, ()), coordinates)
            truth = _truth(source, domain)
            closed = SymbolicField(coordinates, texts)(fresh) if texts else None
            null, rank = _null_space(source, algebra, sample, domain)
            spectrum = Spectrum(null.values.tolist(), rank, NULL_RESOLUTION)
            found = null.fields(fresh, rank, coordinates)
            if closed is not None and algebra.superposition is not None:
                found = closed
            angles = None if truth is None else _angles(found, truth, fresh)
            levels = Levels(
                equation=len(plane.forms),
                stable=algebra.stable,
                domain=len(periodic.forms),
                lost=[format_generator({k: str(f) for k, f in form.items()}) for form in _lost(plane)],
                data=_observed(source, algebra, sample.points, domain, fresh, closed, seed),
            )
        with stage("finite flow"):
            p = len(equation.space.independent)
            surfaces = source.sample(CHECKED, seed + 2, total_degree(equation.order, p).monomials)
            moved = JetScore(equation, coordinates, surfaces)
            described = _generators(algebra, coordinates, sample[:POINTS], moved, texts)
    certificates = None
    if source.data is not None and texts:
        with stage("certificates"), one_thread():
            certificates = certify(source.data, texts, seed=seed).to_dict()
    neural = None
    if steps:
        with stage("network"):

            def learned(network: NeuralField, objective: Objective) -> None:
                share = 1.0 / objective.steps
                learn(network, objective, run=run, stage="network", progress=lambda n, r: tell("network", n * share, r))

            if score == "local":
                if not isinstance(data, Trajectories):
                    raise UserError("`score` local needs trajectories, got an equation without data")
                neural = _slots(data, coordinates, generators, steps, seed, learned)
            else:
                forms_on_jets = JetForms.of(equation, sample, coordinates, seed)
                neural = _span(Subspace(forms_on_jets, generators, steps), coordinates, seed, learned)
        if neural.field is not None:
            with stage("comparison"), one_thread(), torch.no_grad():
                field = neural.field.double()
                values = field(fresh)
                brackets = measured_structure_constants(sample_brackets(field, fresh))
                neural = replace(
                    neural,
                    closure=float(brackets.closure.max()),
                    jacobi=brackets.jacobi,
                    scores=replace(moved, steps=moved.steps // 2)(field).tolist(),
                    principal_angles=_angles(values, truth, fresh) if truth else [],
                    agreement=[] if closed is None else subspace_angles(values, closed).tolist(),
                )
    solved = source.data is not None and len(source.data.t) > 8
    return Result(
        equation=equation,
        name=source.name,
        coordinates=coordinates,
        domain=domain,
        rank=len(described),
        generators=described,
        structure_constants=None if constants is None else [[[float(c) for c in r] for r in m] for m in constants],
        algebra=description,
        certificates=certificates,
        identified=source.data is not None and bool(source.data.settings.get("identified")),
        superposition=algebra.superposition.to_dict() if algebra.superposition is not None else None,
        levels=levels,
        nullspace=spectrum,
        truth=angles,
        neural=neural,
        residual=source.data.residual() if source.data is not None and solved else None,
        samples=len(source.data) if source.data is not None else 0,
        seed=seed,
        seconds=seconds,
    )


def _space_axes(equation: Equation) -> tuple[str, ...]:
    """The independent variables that may have a period."""
    return tuple(name for name in equation.space.independent if name != "t")


def _lost(plane: Symmetries) -> list[ClosedForm]:
    """The generators that change the period."""
    axes = {variable(name) for name in _space_axes(plane.equation)}
    return [form for form in plane.forms if any(f.free_symbols & axes for f in form.values())]


def _source(data: Trajectories | Equation | str, domain: Domain) -> Source:
    if isinstance(data, str):
        data = Equation(data) if "=" in data else entry(data).equation
    if isinstance(data, Equation):
        return _equation_source(data, domain)
    if not isinstance(data, Trajectories):
        raise UserError(f"`data` must be trajectories, an equation or its name, got {type(data).__name__}")
    equation = data.equation
    rows = data.u.shape[0] * data.u.shape[1]
    if rows < FEWEST_ROWS:
        raise UserError(
            f"`data` must hold at least {FEWEST_ROWS} profiles u(x) (samples times output times), got {rows}"
        )
    if float(data.u.std()) == 0.0:
        raise UserError("`data` must vary, got one constant value of u")
    data.check_equation()
    known = lookup(equation)
    coordinates = data_coordinates(data, data.length if domain == "periodic" else None)

    def sample(count: int, seed: int, indices: Sequence[Index]) -> JetSample:
        indices = [*indices, (0, 0)]
        order = max(i + equation.order * j for i, j in indices)
        return prolongation.complete_jets(equation, data.jets(count, order, seed), indices)

    return Source(
        equation=equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        coordinates=coordinates,
        sample=sample,
        data=data,
    )


def _equation_source(equation: Equation, domain: Domain) -> Source:
    known = lookup(equation)
    manifold = Manifold(equation)
    plane = manifold.coordinates
    with_period = _space_axes(equation) if domain == "periodic" else ()
    periods = [s if n in with_period else None for n, s in zip(plane.names, plane.scale, strict=True)]
    return Source(
        equation=equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        coordinates=Coordinates(plane.names, periods, plane.offset, plane.scale),
        sample=lambda count, seed, indices: manifold.sample(count, seed),
        data=None,
    )


def _null_space(source: Source, algebra: Symmetries, sample: JetSample, domain: Domain) -> tuple[NullSpace, int]:
    """The null space on the jets of data, over a library that holds all generators; the equation's without data."""
    if source.data is None:
        return algebra.condition.null_space(), algebra.rank
    sample = sample[:POINTS]
    library = _data_library(algebra, sample.points, domain)
    null = condition(source.equation, sample, library, source.coordinates).null_space()
    return null, gap_rank(null.values, NULL_RESOLUTION, CEILING)


def _data_library(algebra: Symmetries, points: Tensor, domain: Domain) -> Library:
    """Polynomials of as high a degree as the generators have, times the special functions that exist at the points."""
    library = algebra.condition.library
    alone = Library(library.variables, ((0,) * len(library.variables),), library.special)
    exist = alone(points).isfinite().all(0).tolist()
    special = [s for s, good in zip(library.special, exist, strict=True) if good]
    degree = max(DATA_DEGREE, max(map(sum, library.monomials)))
    without = _space_axes(algebra.equation) if domain == "periodic" else ()
    return polynomial_library(algebra.equation, degree, special, without)


def _observed(
    source: Source,
    algebra: Symmetries,
    points: Tensor,
    domain: Domain,
    fresh: Tensor,
    closed: Tensor | None,
    seed: int,
) -> Observed | None:
    """What jets with u_t from the data show."""
    if source.data is None:
        return None
    library = _data_library(algebra, points, domain)
    null = observed(source.data, library, source.coordinates, POINTS, seed)
    if null is None:
        return None
    count = gap_rank(null.values, NULL_RESOLUTION, OBSERVED_CEILING)
    angles: list[float] = []
    if count and closed is not None:
        angles = subspace_angles(null.fields(fresh, count, source.coordinates), closed).tolist()
    return Observed(Spectrum(null.values.tolist(), count, NULL_RESOLUTION), angles)


def _truth(source: Source, domain: Domain) -> SymbolicField | None:
    """The known algebra; on the periodic domain its part without x, which is what a period leaves."""
    if source.symmetries is None:
        return None
    plane = SymbolicField(source.coordinates, source.symmetries)
    if domain == "plane":
        return plane
    x = plane.symbols[0]
    free = [k for k, components in enumerate(plane.components) if not any(c.has(x) for c in components)]
    return SymbolicField(source.coordinates, [source.symmetries[k] for k in free])


def _angles(values: Tensor, truth: SymbolicField, points: Tensor) -> list[float]:
    """Principal angles between fields, by values, and the known algebra; a right angle for each field too few."""
    known = truth(points)
    missing = [math.pi / 2] * abs(known.shape[1] - values.shape[1])
    return (subspace_angles(values, known).tolist() if values.shape[1] else []) + missing


def _generators(
    algebra: Symmetries,
    coordinates: Coordinates,
    sample: JetSample,
    moved: JetScore,
    forms: Sequence[dict[str, str]],
) -> list[Generator]:
    """Every closed form with its proof, its finite-flow check, its floor and its control."""
    if not forms:
        return []
    equation = algebra.equation
    field = SymbolicField(coordinates, forms)
    points = points_of(sample, coordinates)
    coarse, scores = replace(moved, steps=moved.steps // 2)(field).tolist(), moved(field).tolist()
    infinitesimal = InfinitesimalScore(equation, coordinates, sample)(field).tolist()
    spoiled = moved(controls(field, points)).tolist()
    generators = []
    for i, (form, exact) in enumerate(zip(forms, algebra.forms, strict=True)):
        floor = moved.floor + abs(coarse[i] - scores[i])
        factor = prolongation.multiplier(equation, exact) if algebra.verified[i] else None
        generators.append(
            Generator(
                name=f"V{i + 1}",
                closed_form=form,
                named={key: str(f) for key, f in algebra.named[i].items()},
                score=scores[i],
                floor=floor,
                valid=scores[i] <= VALID * floor,
                verified=algebra.verified[i],
                multiplier=None if factor is None else str(factor),
                infinitesimal=infinitesimal[i],
                control=spoiled[i],
            )
        )
    return generators


def controls(field: SymbolicField, points: Tensor) -> SymbolicField:
    """Each generator mixed in equal parts, by size on the points, with ``u^2 d/du``."""
    spoiler = SymbolicField(field.coordinates, [{"du": "u**2"}])
    ratios = (_size(field, points) / _size(spoiler, points)).tolist()
    forms = []
    for components, ratio in zip(field.components, ratios, strict=True):
        form = {f"d{name}": str(c) for name, c in zip(field.coordinates.names, components, strict=True)}
        forms.append(form | {"du": f"({form['du']}) + {ratio!r}*u**2"})
    return SymbolicField(field.coordinates, forms)


def _size(field: Field, points: Tensor) -> Tensor:
    return 1.0 / unit_weights(field, points)


Learn = Callable[[NeuralField, Objective], None]


def _span(objective: Subspace, coordinates: Coordinates, seed: int, learned: Learn) -> NeuralSpan:
    """The default route: features of one network, their span solved for."""
    network = NeuralField(coordinates, 1, width=WIDTH, head_width=FEATURES, seed=seed).double()
    with one_thread():
        learned(network, objective)
        span = eigenfields(network, objective.forms)
    values = span.values[: 2 * objective.generators]
    rank = gap_rank(values, RESOLUTION, NEURAL_CEILING)
    field = span_field(network, span, rank) if rank else None
    return NeuralSpan(Spectrum(values.tolist(), rank, RESOLUTION), [], [], [], field=field)


def _slots(
    data: Trajectories, coordinates: Coordinates, generators: int, steps: int, seed: int, learned: Learn
) -> NeuralSpan:
    """The paper's route: its network and grid; slots near the floor of the local score are the symmetries."""
    if len(data.x) % PAPER_GRID == 0:
        data = data.coarsen(PAPER_GRID)
    network = NeuralField(coordinates, generators, width=PAPER_WIDTH, seed=seed)
    patch = min(Slots.patch, len(data.t), len(data.x))
    learned(network, Slots(data.equation, coordinates, data, steps=steps, patch=patch, seed=seed))
    with one_thread(), torch.no_grad():
        score = LocalScore(data.equation, coordinates, data, seed=seed)
        scores, order = score(network).double().sort()
    rank = int((scores <= NEAR * score.floor).sum())
    field = None
    if rank:
        chosen = order[:rank]
        field = NeuralField(coordinates, rank, width=PAPER_WIDTH, seed=seed)
        field.load_state_dict(
            {name: p[chosen] if name.startswith(("head", "out")) else p for name, p in network.state_dict().items()}
        )
    return NeuralSpan(Spectrum(scores.tolist(), rank, score.floor), [], [], [], field=field)
