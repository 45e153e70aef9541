"""Discovery of one's own: from a residual to its symmetries, as a list of stages."""

from __future__ import annotations

from typing import Any

from symflow.discovery import DataVerdict, Kept, Progress, Stage, Verdicts, known, run_stages
from symflow.runs import Run, one_thread

from .bases.classes import Basis
from .count import Count, error_rate
from .found import Found, Generator
from .found import load_result as load_result
from .problem import IN, Problem
from .reading import bracketed, checked, public_fields, written
from .residuals.soundness import Derivative
from .searching import counted, learned, linearised, look, read_network, solved, write_network
from .state import Request, State

MOST_GENERATORS = 64


def some(state: State) -> bool:
    """Whether any field counts."""
    return known(state.count).rank > 0


STAGES: tuple[Stage[State], ...] = (
    Stage("residual", look),
    Stage("linearise", linearised),
    Stage("network", learned, when=lambda s: s.request.fields == "network", kept=Kept(write_network, read_network)),
    Stage("null space", solved),
    Stage("count", counted),
    Stage("closed forms", written, when=some),
    Stage("finite flow", checked, when=some),
    Stage("algebra", bracketed, when=some),
)


def discover(
    problem: Problem,
    fields: str | Basis = "affine",
    *,
    derivative: Derivative = "autograd",
    generators: int = 8,
    steps: int = 150,
    seed: int = 0,
    run: Run | None = None,
    progress: Progress | None = None,
) -> Found:
    """The vector fields of a class whose flows keep the data of a problem valid.

    Determinism: the same problem, arguments and machine give the same result, with any number of threads, also when a
    `run` is interrupted and continued, as far as the residual itself is deterministic.

    Args:
        problem: what is asked; see `Problem`, `invariance`, `equivariance`, `distribution`.
        fields: the class in which symmetries are counted: "linear", "affine", "isometric", "polynomial:k" up to degree
            k, "network", or any `Field` whose generators are combined.
        derivative: "autograd", or "differences" for residuals without a gradient: four evaluations for each coordinate
            of the points of a datum.
        generators: fields that a network learns; more than there are symmetries, so that the gap shows.
        steps: of the network's learning.
        seed: of everything drawn; probes have a stream of their own.
        run: a run directory for the network's metrics and checkpoints.
        progress: called as the stages go on.

    Raises:
        UserError: the residual or the data cannot be used, or ask for more than a machine can do.
        TypeError: ``problem`` is no problem.
        ValueError: an argument is out of range.

    >>> import torch
    >>> points = torch.randn(400, 3, dtype=torch.float64)
    >>> found = discover(Problem(lambda move, z: move(z).square().sum(-1), points))
    >>> found.rank, found.clear, found.pointwise_rank
    (3, True, 2)
    """
    if not isinstance(problem, Problem):
        raise TypeError(
            f"`problem` must be a Problem, got {type(problem).__name__}; "
            "`symflow.invariance(f, points)` makes one of a function"
        )
    if derivative not in ("autograd", "differences"):
        raise ValueError(f"`derivative` must be 'autograd' or 'differences', got {derivative!r}")
    if not isinstance(fields, str | Basis):
        raise TypeError(f"`fields` must be the name of a class or fields to combine, got {type(fields).__name__}")
    for name, value, least, most in (
        ("generators", generators, 1, MOST_GENERATORS),
        ("steps", steps, 1, 1_000_000),
        ("seed", seed, 0, 2**31 - 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"`{name}` must be an integer from {least} to {most}, got {value!r}")
    request = Request(fields, derivative, generators, steps, seed)
    with one_thread():
        state, seconds = run_stages(STAGES, State(problem, request), run=run, progress=progress)
        return _found(state, seconds)


def _found(state: State, seconds: dict[str, float]) -> Found:
    counted, null, (fit, fresh) = known(state.count), known(state.null), known(state.evidence)
    rank = counted.rank
    rate = error_rate(counted.source)
    verdict = _verdict(counted, rate)
    noise = fit.noise(null.combinations)
    forms = state.forms
    generators = [
        Generator(
            name=f"V{k + 1}",
            closed_form=None if forms is None else forms.closed_forms[k],
            rational=forms is not None and forms.exact,
            violation=state.violations[k],
            score=state.moved[k],
            control=state.control,
            valid=verdict.word == "measured",
            data=DataVerdict(verdict.word, "", state.violations[k]),
        )
        for k in range(rank)
    ]
    fields: dict[str, Any] = dict(public_fields(state)) if rank else {}
    layout = known(state.layout)
    return Found(
        rank=rank,
        verdicts=Verdicts(data=verdict),
        seed=state.request.seed,
        seconds=seconds,
        fields=state.request.name,
        clear=counted.clear,
        why=counted.why,
        source=counted.source,
        error_rate=rate,
        values=null.values.tolist(),
        noise=noise.tolist(),
        fresh=fresh.violation(null.combinations).tolist(),
        floor=float(noise[max(rank - 1, 0)]) if len(noise) else 0.0,
        coherence=list(state.coherence),
        pointwise_rank=state.pointwise,
        agreement=state.agreement,
        generators=generators,
        algebra=state.algebra,
        coordinates={s: state.problem.named(s, f.dimension) for s, f in layout.frames.items()},
        field=fields.get(IN, next(iter(fields.values()), None)),
        field_by_space=fields,
    )


def _verdict(count: Count, rate: float | None) -> DataVerdict:
    if not count.clear:
        return DataVerdict("cannot be told", "; ".join(count.why))
    reason = "" if rate is None else f"at most {rate:.1%} of such counts are wrong (95 % confidence, on a bench)"
    return DataVerdict("measured", reason)
