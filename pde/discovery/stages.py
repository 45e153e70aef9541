"""The stages of a discovery in data or an equation: each of them, and the list."""

from __future__ import annotations

from dataclasses import replace

import torch

from symflow.algebra import (
    measured_structure_constants,
    sample_brackets,
    subspace_angles,
)
from symflow.discovery import Beside, Context, Spectrum, Stage, Steps, known, replaced
from symflow.errors import UserError
from symflow.fields import NeuralField, SymbolicField, total_degree
from symflow.learning import Objective, Optimizer, Record, Subspace, learn
from symflow.runs import one_thread

from ..approximation import approximate
from ..boundaries import Boundary
from ..gate import OUTLIERS, SOLVES, gate
from ..laws import Interval, certify, drifts, held_out, over_confidence_set
from ..scores import JetForms, JetScore, points_of
from ..symmetries import Symmetries
from ..trajectories import Trajectories
from . import checks
from .algebra import count, keep_boundary, look_for_families, perturb, solve_equation, widen
from .checks import NULL_RESOLUTION, POINTS
from .networks import Learn, learned_slots, learned_span
from .result import Certified
from .solved import SAMPLE, solved_span, span_of_data
from .sources import JETS, lacking, on_line, source_of
from .state import Jets, State, as_text

POOL = 20_000  # jets from which a network that is trained draws
CHECKED, STEPS = 512, 8  # jets moved by the finite flow, and its steps
FRESH = 3_000  # jets on which angles are measured


@one_thread()
def read(state: State, context: Context) -> State:
    """The data, and where their jets come from; of data that are trusted, there must be some."""
    data = state.request.data
    source = source_of(held_out(data) if isinstance(data, Trajectories) else data, state.request.domain)
    if source.data is not None and state.request.trust and (sentence := lacking(source.data)):
        raise UserError(f"`data` {sentence}")
    if state.request.boundary is not None:
        Boundary.read(source.equation, state.request.boundary)  # raises before anything is done
    return replace(state, source=source)


@one_thread()
def ask(state: State, context: Context) -> State:
    """Whether the data solve the equation. Where they do not, or cannot tell, the equation alone is studied further.

    So it is where they do, but have no jets to be studied: they are too few, values are missing, ends do not meet.
    """
    source = known(state.source)
    judged, sentence = gate(known(source.data)), lacking(known(source.data))
    solved = judged.verdict in (SOLVES, OUTLIERS)
    if solved and sentence:
        judged = replace(judged, remarks=(*judged.remarks, f"nothing is said of {JETS}: for these, data {sentence}"))
    if not solved or not judged.periodic or sentence:
        source = source.alone
    return replace(state, judged=judged, source=source)


def look_through_windows(state: State, context: Context) -> State:
    """Whether the coefficients of a fitted equation are the same at all times and places of the data held out.

    Where they are not, the equation alone is studied further.
    """
    source = known(state.source)
    found = drifts(known(source.data), source.equation)
    if found:
        source = source.alone
    return replace(state, source=source, drifting=tuple(found))


@one_thread()
def _looked_for(state: State) -> Symmetries:
    """What null spaces and networks find, which know of periods and of no walls."""
    algebra = known(state.algebra)
    return algebra.plane if state.request.boundary is not None else algebra.asked


@one_thread()
def look_at_jets(state: State, context: Context) -> State:
    """The null space on the jets of the source, with u_t from the equation and from the data."""
    source, asked, request = known(state.source), _looked_for(state), state.request
    coordinates = source.coordinates
    count = {"none": POINTS, "solved": POINTS if source.data else SAMPLE, "trained": POOL}[request.network]
    sample, seen = source.both(count, request.seed)
    fresh = points_of(source.sample(FRESH, request.seed + 1, ()), coordinates)
    truth = None if request.boundary else checks.known_algebra(source)
    closed = SymbolicField(coordinates, as_text(asked.forms))(fresh) if asked.forms else None
    null, rank = checks.null_space(source, asked, sample)
    found = null.fields(fresh, rank, coordinates)
    if closed is not None and asked.superposition is not None:
        found = closed
    angles = None if truth is None else checks.angles_to(found, truth, fresh)
    shown = checks.observed_null_space(source, asked, seen, fresh, closed)
    spectrum = Spectrum(null.values.tolist(), rank, NULL_RESOLUTION)
    return replace(state, jets=Jets(sample, fresh, truth, closed, spectrum, angles, shown))


@one_thread()
def move(state: State, context: Context) -> State:
    """Every generator moves surfaces of solutions by a finite flow, beside a control that must fail."""
    source, algebra, sample = known(state.source), known(state.algebra), known(state.jets).sample
    equation = source.equation
    p = len(equation.space.independent)
    surfaces = source.sample(CHECKED, state.request.seed + 2, total_degree(equation.order, p).monomials)
    moved = JetScore(equation, source.coordinates, surfaces, steps=STEPS)
    found = checks.generators_of(algebra.asked, source.coordinates, sample[:POINTS], moved, algebra.texts)
    return replace(state, moved=moved, generators=tuple(found))


def _alike(state: State) -> Trajectories:
    """The data without the trajectories that are unlike the others, which no law has to fit."""
    data, judged = known(known(state.source).data), state.judged
    outliers = {t.trajectory for t in judged.trials if t.outlier} if judged is not None else ()
    return data[[s for s in range(len(data)) if s not in outliers]] if outliers else data


@one_thread()
def bound(state: State, context: Context) -> State:
    """Certificates: how far the generators can be from symmetries of the law that noisy data obey."""
    found = certify(_alike(state), known(state.algebra).texts, seed=state.request.seed)
    law = None if found.law is None else found.law.to_dict()
    certified = Certified(list(found.certificates), found.alpha, found.reason, law, found.left_out, found.noise)
    return replace(state, certified=certified, fitted=found)


@one_thread()
def look_nearby(state: State, context: Context) -> State:
    """Approximate symmetries of the data, on the plane: those that change the period are among them."""
    proved = known(state.algebra).plane.forms
    sought, found = approximate(_alike(state), proved, state.request.tolerance, certificates=state.fitted)
    return replace(state, sought=sought, approximate=tuple(found))


def look_over_the_confidence_set(state: State, context: Context) -> State:
    """What the generators need of coefficients that data know to intervals."""
    law = known(known(state.certified).law)
    found = over_confidence_set(
        known(state.source).equation,
        [Interval(m["term"], m["lower"], m["upper"]) for m in law["terms"]],
        known(state.algebra).texts,
        without=known(state.source).periodic,
        undetermined=law["collinear"],
    )
    return replace(state, over=found)


@one_thread()
def solve_span(state: State, context: Context) -> State:
    """A span over random features, without a library: from data with their own u_t, else from jets of the equation."""
    source, asked, jets, request = known(state.source), _looked_for(state), known(state.jets), state.request
    expected, proved = len(asked.forms), sum(asked.verified)
    if source.data is not None:
        found = span_of_data(_alike(state), source.coordinates, request.seed, asked.superposition, expected)
        if found is None:
            return state
        return replace(state, neural=found[0].neural(jets.closed, jets.fresh, proved, found[1]))
    span = solved_span(source.equation, jets.sample, source.coordinates, request.seed, asked.superposition, expected)
    return replace(state, neural=span.neural(jets.closed, jets.fresh, proved))


def learn_span(state: State, context: Context) -> State:
    """A network learns a span from the determining condition on jets, without a library."""
    source, request = known(state.source), state.request
    forms = JetForms.of(source.equation, known(state.jets).sample, source.coordinates, request.seed)
    objective = Subspace(forms, request.generators, request.steps)
    return replace(state, neural=learned_span(objective, source.coordinates, request.seed, _learning(context)))


def learn_slots(state: State, context: Context) -> State:
    """A network learns the paper's slots from moved patches of the data."""
    source, request = known(state.source), state.request
    if source.data is None:
        raise UserError("`score` local needs trajectories, got an equation without data")
    learned = learned_slots(
        source.data, source.coordinates, request.generators, request.steps, request.seed, _learning(context)
    )
    return replace(state, neural=learned)


def _learning(context: Context) -> Learn:
    """Learning with the checkpoints of the run, told as a share of the stage."""

    def learned(network: NeuralField, objective: Objective, optimizer: Optimizer = torch.optim.Adam) -> None:
        share = 1.0 / objective.steps

        def progress(step: int, record: Record) -> None:
            context.tell(step * share, record)

        learn(network, objective, stage="network", optimizer=optimizer, run=context.run, progress=progress)

    return learned


@one_thread()
@torch.no_grad()
def compare(state: State, context: Context) -> State:
    """What the network learned beside the closed forms and the known algebra."""
    jets, moved, neural = known(state.jets), known(state.moved), known(state.neural)
    field = known(neural.field).double()
    values = field(jets.fresh)
    brackets = measured_structure_constants(sample_brackets(field, jets.fresh))
    compared = replace(
        neural,
        closure=float(brackets.closure.max()),
        jacobi=brackets.jacobi,
        scores=moved(field).tolist(),
        principal_angles=checks.angles_to(values, jets.truth, jets.fresh) if jets.truth else [],
        agreement=[] if jets.closed is None else subspace_angles(values, jets.closed).tolist(),
    )
    return replace(state, neural=compared)


def _asks(state: State) -> bool:
    return known(state.source).data is not None and not state.request.trust


def _has_line(state: State) -> bool:
    """Whether there are data of the one shape that laws are fitted to: u on a periodic line."""
    data = known(state.source).data
    return data is not None and on_line(data)


def _identified(state: State) -> bool:
    data = known(state.source).data
    return data is not None and bool(data.settings.get("identified"))


def _is_fitted(state: State) -> bool:
    return _identified(state) and _has_line(state) and not state.request.trust


def _has_intervals(state: State) -> bool:
    certified = state.certified
    return _identified(state) and certified is not None and not certified.reason and certified.law is not None


def _has_line_and_forms(state: State) -> bool:
    return _has_line(state) and bool(known(state.algebra).asked.forms)


def _is_finite(state: State) -> bool:
    plane, space = known(state.algebra).plane, known(state.source).equation.space
    ends = plane.stable or not all(plane.verified) or len(space.independent) == 1
    return plane.superposition is None and ends


def _lacks(state: State) -> bool:
    """Whether a finite bound is not met, and nobody asked for one degree."""
    found = sum(known(state.algebra).plane.verified)
    return state.request.degree is None and state.at_most is not None and state.at_most > found


def _may_be_infinite(state: State) -> bool:
    """Unless a count has shown an end."""
    return state.at_most is None


def _is_bounded(state: State) -> bool:
    return state.request.boundary is not None


def _has_small(state: State) -> bool:
    return state.request.small is not None


def _wanted(state: State) -> bool:
    return state.request.network != "none"


def _learned(state: State) -> bool:
    return state.neural is not None and state.neural.field is not None


STAGES: Steps[State] = (
    Stage("data", read),
    Beside(
        (
            (
                Stage("first order", perturb, when=_has_small),
                Stage("equation", solve_equation),
                Stage("count", count, when=_is_finite),
                Stage("wider", widen, when=_lacks),
                Stage("families", look_for_families, when=_may_be_infinite),
                Stage("boundary", keep_boundary, when=_is_bounded),
            ),
            (Stage("gate", ask, when=_asks), Stage("windows", look_through_windows, when=_is_fitted)),
        )
    ),
    Beside(
        (
            (
                Stage("certificates", bound, when=_has_line_and_forms),
                Stage("confidence set", look_over_the_confidence_set, when=_has_intervals),
                Stage("approximate", look_nearby, when=_has_line),
            ),
            (
                Stage("null space", look_at_jets),
                Stage("finite flow", move),
                Stage("network", solve_span, when=_wanted),
                Stage("comparison", compare, when=_learned),
            ),
        )
    ),
)

TRAINED = replaced(STAGES, Stage("network", learn_span, when=_wanted))
"""The features of the network are trained."""

LOCAL = replaced(STAGES, Stage("network", learn_slots, when=_wanted))
"""The paper's route: its score is a stage that takes the place of another."""
