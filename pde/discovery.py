"""The main job: from trajectories, or an equation alone, to named and proven symmetries.

Two routes look for the same thing. The null space of the determining condition over a library of functions takes well
under a second and is read out as closed forms, which are proven. A network without a library learns the span from the
same condition, as a check of the count and of the library. Then the data are moved along every generator by a finite
flow, each beside a control that must fail.

With u_t taken from the equation, the determining condition holds at any jet: the data choose the points at which it
is asked. That the data solve the equation is a statement of its own, checked first (`Trajectories.residual`).
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

from symflow.coordinates import Coordinates
from symflow.errors import UserError
from symflow.fields import Field, NeuralField, SymbolicField
from symflow.geometry import subspace_angles
from symflow.learning import Objective, learn
from symflow.readout import structure_constants
from symflow.runs import Run
from symflow.series import total_degree
from symflow.subspace import RESOLUTION, Subspace, solve, span_field

from . import prolongation
from .catalogue import entry, lookup
from .data import Jets, Trajectories
from .equation import Equation, t
from .local import LocalScore
from .neural import JetForms
from .nullspace import closed_forms, condition, gap_rank, polynomial_library, time_functions
from .result import COMPONENTS, Domain, Generator, NeuralSpan, Result, Spectrum
from .scores import InfinitesimalScore, JetScore, points_of, unit_weights
from .slots import Slots

POINTS = 4_000  # of the null space
POOL = 20_000  # from which the network draws
CHECKED = 512  # moved by the finite flow
FRESH = 3_000  # on which angles are measured
FEWEST_ROWS = 16
CEILING = 1e-6  # of a null space that is exact up to rounding
NEURAL_CEILING = 1e-4  # of one that is learned; nearly symmetric fields of the five equations are above 3e-4
NULL_RESOLUTION = 1e-12
VALID = 10.0  # times the floor
WIDTH, FEATURES = 96, 48  # of the network
MOST_GENERATORS = 32
PAPER_GRID, PAPER_WIDTH = 256, 256  # the paper's points in x and its network
NEAR = 2.0  # times the floor of the local score: a slot that is a symmetry
DEFAULTS = {"infinitesimal": (7, 150), "local": (4, Slots.steps)}  # generators and steps of the two routes
SPREAD = 0.5 / 3**0.5  # the standard deviation of a uniform variable on an interval of length 1

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
    jets: Callable[[int, int, int], Jets]  # count, order, seed
    samples: int
    residual: float | None


def discover(
    data: Trajectories | Equation | str,
    domain: Domain = "periodic",
    seed: int = 0,
    *,
    score: Route = "infinitesimal",
    generators: int | None = None,
    steps: int | None = None,
    degree: int = 2,
    run: Run | None = None,
    progress: Progress | None = None,
) -> Result:
    """The continuous point symmetries of data, with closed forms, proofs and checks.

    Determinism: the same data, arguments and machine give the same result, also when a `run` is interrupted and
    continued.

    Args:
        data: trajectories; or an equation, or the name of one, whose jets are then drawn at random.
        domain: "periodic" for fields that have the period of the data in x, "plane" for any.
        seed: of the points and of the network.
        score: what the network learns from. "infinitesimal": the determining condition on jets, by the span's
            Rayleigh quotient (`symflow.subspace`). "local": the paper's route, slots scored by local interpolation of
            moved patches (`pde.slots`); needs trajectories, and hours at its own number of steps.
        generators: fields the network learns; more than there are symmetries, so that the gap shows. By default 7,
            and the paper's 4 for "local".
        steps: of the network's learning; 0 leaves the network out. By default 150, and the paper's 12,800 for "local".
        degree: of the polynomials in x, t, u of the library.
        run: a run directory for metrics and checkpoints.
        progress: called as the stages go on.

    Raises:
        UserError: an argument out of range, too few data, or data that do not solve their equation.

    >>> result = discover("burgers", domain="plane", steps=0)
    >>> [g.formula for g in result.generators]
    ['dx', 'dt', 't dx + du', 'x dx + 2*t dt - u du', 't*x dx + t**2 dt + (-t*u + x) du']
    """
    if domain not in ("periodic", "plane"):
        raise UserError(f"`domain` must be periodic or plane, got {domain!r}")
    if score not in DEFAULTS:
        raise UserError(f"`score` must be {' or '.join(DEFAULTS)}, got {score!r}")
    generators = DEFAULTS[score][0] if generators is None else generators
    steps = DEFAULTS[score][1] if steps is None else steps
    for name, value, least, most in (
        ("generators", generators, 1, MOST_GENERATORS),
        ("steps", steps, 0, 1_000_000),
        ("degree", degree, 0, 4),
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
            jets = source.jets(max(POOL, POINTS), prolongation.jet_order(equation), seed)
            fresh = points_of(source.jets(FRESH, 0, seed + 1), coordinates)
            truth = _truth(source, domain)
        with stage("null space"):
            library = polynomial_library(equation, degree, domain == "periodic")
            over_library = condition(equation, jets[:POINTS], library, coordinates)
            null = over_library.null_space()
            rank = gap_rank(null.values, NULL_RESOLUTION, CEILING)
            spectrum = Spectrum(null.values.tolist(), rank, NULL_RESOLUTION)
            angles = None if truth is None else _angles(null.fields(fresh, rank, coordinates), truth, fresh)
        with stage("closed forms"):
            forms = closed_forms(over_library, rank) if rank else []
            texts = [{key: str(form[key]) for key in COMPONENTS} for form in forms]
        with stage("proofs"):
            verified = [prolongation.is_symmetry(equation, form) for form in forms]
            constants = structure_constants(forms) if forms else []
        with stage("finite flow"):
            order = equation.jet_order(total_degree(equation.order))
            moved = JetScore(equation, coordinates, source.jets(CHECKED, order, seed + 2))
            found = _generators(equation, coordinates, jets[:POINTS], moved, texts, verified)
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
                forms_on_jets = JetForms.of(equation, jets, coordinates, seed)
                neural = _span(Subspace(forms_on_jets, generators, steps), coordinates, seed, learned)
        if neural.field is not None:
            with stage("comparison"), one_thread(), torch.no_grad():
                field = neural.field.double()
                values = field(fresh)
                closed = SymbolicField(coordinates, texts)(fresh) if texts else None
                neural = replace(
                    neural,
                    scores=replace(moved, steps=moved.steps // 2)(field).tolist(),
                    principal_angles=_angles(values, truth, fresh) if truth else [],
                    agreement=[] if closed is None else subspace_angles(values, closed).tolist(),
                )
    return Result(
        equation=equation,
        name=source.name,
        coordinates=coordinates,
        domain=domain,
        rank=rank,
        generators=found,
        structure_constants=None if constants is None else [[[float(c) for c in r] for r in m] for m in constants],
        nullspace=spectrum,
        truth=angles,
        neural=neural,
        residual=source.residual,
        samples=source.samples,
        seed=seed,
        seconds=seconds,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices of a hundred rows gain nothing from threads, and their bits then do not depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _source(data: Trajectories | Equation | str, domain: Domain) -> Source:
    if isinstance(data, str):
        data = Equation(data) if "=" in data else entry(data).equation
    if isinstance(data, Equation):
        return _equation_source(data, domain)
    if not isinstance(data, Trajectories):
        raise UserError(f"`data` must be trajectories, an equation or its name, got {type(data).__name__}")
    rows = data.u.shape[0] * data.u.shape[1]
    if rows < FEWEST_ROWS:
        raise UserError(
            f"`data` must hold at least {FEWEST_ROWS} profiles u(x) (samples times output times), got {rows}"
        )
    if float(data.u.std()) == 0.0:
        raise UserError("`data` must vary, got one constant value of u")
    data.check_equation()
    known = lookup(data.equation)
    coordinates = Coordinates(
        ("x", "t", "u"),
        periods=(data.length if domain == "periodic" else None, None, None),
        offset=(float(data.x[0]), float(data.t[0]), 0.0),
        scale=(data.length, float(data.t[-1] - data.t[0]) or 1.0, float(data.u.std()) / SPREAD),
    )
    return Source(
        equation=data.equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        coordinates=coordinates,
        jets=data.jets,
        samples=len(data),
        residual=data.residual() if len(data.t) > 8 else None,
    )


def _equation_source(equation: Equation, domain: Domain) -> Source:
    known = lookup(equation)
    T = _time_scale(equation)
    coordinates = Coordinates(
        ("x", "t", "u"),
        periods=(1.0 if domain == "periodic" else None, None, None),
        offset=(1.0, 0.0, 0.0),
        scale=(1.0, T, 1.0),
    )
    return Source(
        equation=equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        coordinates=coordinates,
        jets=lambda count, order, seed: random_jets(count, order, seed, T),
        samples=0,
        residual=None,
    )


def _time_scale(equation: Equation) -> float:
    """The length of time over which the equation's own functions of t change by a factor of e; 1 without any."""
    scales = [1.0]
    for f in time_functions(equation)[1:]:
        for T in (2.0**n for n in range(-10, 20)):
            value, first = (complex(f.subs(t, at)) for at in (T, 0))
            if not 1 / math.e < abs(value / first) < math.e:
                scales.append(T)
                break
    return scales[-1]


def random_jets(count: int, order: int, seed: int, T: float = 1.0) -> Jets:
    """Jets that belong to no data: every one is that of some local solution, because u_t follows from the equation.

    x is uniform on [1, 2], t on [0, T], u on [0.5, 1.5], where logarithms and roots exist, and derivatives are normal.
    """
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(3, count, generator=generator, dtype=torch.float64)
    jets = torch.randn(order + 1, count, generator=generator, dtype=torch.float64)
    jets[0] = 0.5 + uniform[2]
    return Jets(1.0 + uniform[0], T * uniform[1], jets)


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
    equation: Equation,
    coordinates: Coordinates,
    jets: Jets,
    moved: JetScore,
    forms: Sequence[dict[str, str]],
    verified: Sequence[bool],
) -> list[Generator]:
    """Every closed form with its finite-flow check, its floor and its control."""
    if not forms:
        return []
    field = SymbolicField(coordinates, forms)
    points = points_of(jets, coordinates)
    coarse, scores = replace(moved, steps=moved.steps // 2)(field).tolist(), moved(field).tolist()
    infinitesimal = InfinitesimalScore(equation, coordinates, jets)(field).tolist()
    spoiled = moved(controls(field, points)).tolist()
    generators = []
    for i, form in enumerate(forms):
        floor = moved.floor + abs(coarse[i] - scores[i])
        generators.append(
            Generator(
                name=f"V{i + 1}",
                closed_form=form,
                score=scores[i],
                floor=floor,
                valid=scores[i] <= VALID * floor,
                verified=verified[i],
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
        xi, tau, phi = (str(c) for c in components)
        forms.append({"dx": xi, "dt": tau, "du": f"({phi}) + {ratio!r}*u**2"})
    return SymbolicField(field.coordinates, forms)


def _size(field: Field, points: Tensor) -> Tensor:
    return 1.0 / unit_weights(field, points)


Learn = Callable[[NeuralField, Objective], None]


def _span(objective: Subspace, coordinates: Coordinates, seed: int, learned: Learn) -> NeuralSpan:
    """The default route: features of one network, their span solved for."""
    network = NeuralField(coordinates, 1, width=WIDTH, head_width=FEATURES, seed=seed).double()
    with one_thread():
        learned(network, objective)
        span = solve(network, objective.forms)
    values = span.values[: 2 * objective.generators]
    rank = gap_rank(values, RESOLUTION, NEURAL_CEILING)
    field = span_field(network, span, rank) if rank else None
    return NeuralSpan(Spectrum(values.tolist(), rank, RESOLUTION), [], [], [], field)


def _slots(
    data: Trajectories, coordinates: Coordinates, generators: int, steps: int, seed: int, learned: Learn
) -> NeuralSpan:
    """The paper's route: its network and grid; slots near the floor of the local score are the symmetries."""
    if len(data.x) % PAPER_GRID == 0:
        data = data.coarsen(PAPER_GRID)
    network = NeuralField(coordinates, generators, width=PAPER_WIDTH, seed=seed)
    patch = min(Slots.patch, len(data.t), len(data.x))
    learned(network, Slots(data.equation, coordinates, data, steps=steps, patch=patch, seed=seed))
    score = LocalScore(data.equation, coordinates, data, seed=seed)
    with torch.no_grad():
        scores, order = score(network).double().sort()
    rank = int((scores <= NEAR * score.floor).sum())
    field = None
    if rank:
        chosen = order[:rank]
        field = NeuralField(coordinates, rank, width=PAPER_WIDTH, seed=seed)
        field.load_state_dict(
            {name: p[chosen] if name.startswith(("head", "out")) else p for name, p in network.state_dict().items()}
        )
    return NeuralSpan(Spectrum(scores.tolist(), rank, score.floor), [], [], [], field)
