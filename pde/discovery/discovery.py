"""The main job: from trajectories, or an equation alone, to named and proven symmetries.

Three questions, one after the other. Which symmetries has the *equation*? Random jets on its manifold tell, nothing is
simulated (`pde.symmetries`); closed forms and proofs come from there. Which of them keep the *domain*, that is, the
period? And what do the *data* show? Their jets are asked again, once with u_t from the equation and once from the data;
a network without a library learns the span from the same condition; and the data are moved along every generator by a
finite flow, beside a control that must fail. `pde.discovery.stages` has them in order.

With u_t from the equation the determining condition holds at any jet, and off solutions ``pr V(F) = lambda F`` is an
identity: the data choose the points at which it is asked. Whether the data solve the equation is a question of its own,
asked first (`pde.gate`); where they do not, nothing is said of them, and the equation alone is studied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symflow.discovery import Progress, Steps, Verdicts, known, run_stages
from symflow.errors import UserError
from symflow.formulas import format_generator
from symflow.runs import Run, command, one_thread
from symflow.settings import with_settings

from ..equations import Equation
from ..laws import parts
from ..scores import SMALL
from ..settings import Discovery, Score
from ..trajectories import Trajectories
from .checks import lost, with_period
from .result import Identified, Result
from .sources import asked_of, on_line
from .stages import LOCAL, STAGES, TRAINED
from .state import Request, State
from .verdicts import data_verdict, domain_verdict, equation_verdict, family_record, for_the_data, recorded, searched


@dataclass(frozen=True)
class Route:
    """What a score asks for where a network is trained: its stages, and its own generators and steps."""

    stages: Steps[State]
    generators: int
    steps: int


ROUTES: Mapping[Score, Route] = {"infinitesimal": Route(TRAINED, 7, 150), "local": Route(LOCAL, 4, SMALL.steps)}


@with_settings(Discovery, "numbers in an equation are given to pde.Equation(text, nu=0.1)")
def discover(
    data: Trajectories | Equation | str,
    settings: Discovery,
    *,
    boundary: str | None = None,
    run: Run | None = None,
    progress: Progress | None = None,
) -> Result:
    """The continuous point symmetries of data, with closed forms, proofs and checks.

    Determinism: the same data, arguments and machine give the same result, also when a `run` is interrupted and
    continued.

    Args:
        data: trajectories; or an equation, or the name of one, whose jets are then drawn at random.
        settings: its fields, by place or by name, are arguments of this function.
        boundary: walls, conditions and periods that symmetries must keep (`pde.Boundary`), on the plane; by default
            what data keep at their walls, if they have any and no domain is given.
        run: a run directory for metrics and checkpoints.
        progress: called as the stages go on.

    Raises:
        UserError: an argument out of range, or too few data.

    >>> result = discover("burgers", domain="plane", network="none")
    >>> [g.formula for g in result.generators]
    ['dx', 'dt', 't dx + du', 'x dx + 2*t dt - u du', 't*x dx + t**2 dt + (-t*u + x) du']
    """
    if boundary is not None and settings.domain == "periodic":
        raise UserError(
            "`boundary` says itself what is periodic, as u(0,t) = u(1,t): it goes with no `domain` periodic"
        )
    if settings.score == "local" and isinstance(data, Trajectories):
        data.require_evolution("the score local")
    route, alone = ROUTES[settings.score], not isinstance(data, Trajectories)
    domain, boundary = asked_of(data, settings.domain, boundary)
    request = Request(
        data,
        domain,
        boundary,
        settings.seed,
        settings.span(alone),
        route.generators if settings.generators is None else settings.generators,
        route.steps if settings.steps is None else settings.steps,
        settings.degree,
        settings.tolerance,
        settings.trust,
        settings.small,
    )
    state, seconds = run_stages(
        STAGES if request.network == "solved" else route.stages, State(request), run=run, progress=progress
    )
    return _result(state, seconds, None if run is None else command(run.config))


@one_thread()
def _result(state: State, seconds: dict[str, float], made_by: str | None) -> Result:
    """What the last stage leaves, as a record."""
    request, source, algebra, jets = state.request, known(state.source), known(state.algebra), known(state.jets)
    data, asked, constants = source.data, algebra.asked, algebra.constants
    samples = len(request.data) if isinstance(request.data, Trajectories) else 0
    said = data_verdict(samples, state.judged, state.drifting)
    identified = isinstance(request.data, Trajectories) and bool(request.data.settings.get("identified"))
    residual = data.residual() if data is not None and on_line(data) and len(data.t) > 8 else None
    bounded = request.boundary is not None
    gone = [
        format_generator({k: str(f) for k, f in form.items()})
        for form in lost(algebra.plane, asked, source.periodic, bounded)
    ]
    return Result(
        verdicts=Verdicts(
            equation_verdict(
                all(algebra.plane.verified),
                len(algebra.plane.forms),
                (asked.stable or state.at_most == len(algebra.plane.forms)) and not state.endless,
                searched(algebra.plane.condition.library, max(algebra.plane.counts)),
                state.at_most,
                len(algebra.families),
                algebra.counted,
                "; ".join(algebra.plane.left_out),
            ),
            domain_verdict(
                request.domain,
                all(asked.verified),
                len(asked.forms),
                gone,
                bounded,
                0 if bounded else len(with_period(algebra.families, source.periodic)),
            ),
            said,
        ),
        rank=len(state.generators),
        generators=[for_the_data(g, said, request.trust) for g in state.generators],
        families=[family_record(f) for f in with_period(algebra.families, source.periodic)],
        approximate=list(state.approximate),
        coordinates=source.coordinates,
        equation=source.equation,
        name=source.name,
        domain=request.domain,
        boundary=request.boundary,
        structure_constants=None if constants is None else [[[float(c) for c in r] for r in m] for m in constants],
        algebra=algebra.description,
        certificates=state.certified,
        approximation=state.sought,
        identified=identified,
        identification=Identified(parts(request.data), list(state.drifting), state.over)
        if identified and isinstance(request.data, Trajectories)
        else None,
        nullspace=jets.spectrum,
        observed=jets.observed,
        truth=jets.angles,
        first_order=state.first_order,
        neural=state.neural,
        residual=residual,
        samples=samples,
        trusted=request.trust and samples > 0,
        gate=recorded(state.judged),
        seed=request.seed,
        seconds=seconds,
        command=made_by,
    )
