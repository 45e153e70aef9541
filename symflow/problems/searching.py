"""The stages from a residual to a count: data, linearisation, network, null space, count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from symflow.discovery import Context, known
from symflow.errors import UserError
from symflow.fields import Coordinates, NeuralField

from .bases.classes import MOST_COLUMNS, FieldClass, Given, field_class
from .bases.network import FEATURES, learned_fields, network_coordinates
from .condition import evidence, null_space, responses, unit_of, whitener
from .count import LEARNED, Kind, count
from .problem import Problem, stream
from .residuals.linearise import Linearised, Probes, Sensitivities, differences, jitter, linearise, sized
from .residuals.soundness import Layout, examine
from .state import Half, Request, State

ROWS = 8  # times the columns
FEWEST_ROWS = 256
MOST_HALF, MOST_HALF_SINGLE = 512, 64  # data of a half, and where each is a batch of its own
MOST_POINTS = 30_000  # of a half


def look(state: State, context: Context) -> State:
    """How the residual uses its motion, and whether it can be used at all."""
    layout = examine(state.problem, state.request.derivative, state.request.seed)
    if state.request.fields == "network" and len(layout.frames) > 1:
        raise ValueError("`fields` must not be 'network' where `residual` moves several spaces, got more than one")
    return replace(state, layout=layout)


def columns_of(state: State) -> int:
    """How many fields the class holds."""
    if state.request.fields == "network":
        return (FEATURES + 1) * sum(frame.dimension for frame in known(state.layout).frames.values())
    return sum(fields.columns for fields in classes_of(state.problem, state.request, known(state.layout)).values())


def classes_of(problem: Problem, request: Request, layout: Layout) -> dict[str, FieldClass]:
    """The class on every space."""
    return {
        space: field_class(request.fields, frame, problem.named(space, frame.dimension))
        for space, frame in layout.frames.items()
    }


def linearised(state: State, context: Context) -> State:
    """Two parts of the data: fields are chosen on one and checked on the other; a network learns on a third."""
    problem, request, layout = state.problem, state.request, known(state.layout)
    parts = 3 if request.fields == "network" else 2
    columns = max(columns_of(state), sum(f.dimension * (f.dimension + 1) for f in layout.frames.values()))
    if columns > MOST_COLUMNS:
        raise UserError(f"`fields` must be at most {MOST_COLUMNS:,} fields, got {columns:,}; ask for a smaller class")
    order = torch.randperm(len(problem), generator=stream("halves", request.seed))
    size = MOST_HALF_SINGLE if layout.one_by_one else min(MOST_HALF, max(1, MOST_POINTS // layout.points))
    if problem.pooled:
        size = len(problem)
    size = max(1, min(len(problem) // parts, size))
    kept = int((layout.weights > 0).sum())
    probes = -(-max(ROWS * columns, FEWEST_ROWS) // size)
    probes = kept if problem.pooled else min(kept, max(probes, 4))
    found = []
    for part, purpose in enumerate(("probes", "fresh probes", "probes of the network")[:parts]):
        which = order[part * size : (part + 1) * size]
        index = which if len(which) else order[:size]
        found.append(_half(problem, request, layout, index, Probes(layout.weights, probes, request.seed), purpose))
        context.tell(len(found) / parts, {"data": float(len(index)), "probes": float(probes)})
    return replace(state, halves=(found[0], found[1]), lesson=found[2] if parts == 3 else None)


def _half(problem: Problem, request: Request, layout: Layout, index: Tensor, probes: Probes, purpose: str) -> Half:
    forms = probes.forms(len(index), purpose)
    single = layout.one_by_one
    residuals = (problem.residual, *problem.replicates)
    if request.derivative == "differences":
        spread = sized(layout.frames)
        linears = [differences(problem, r, index, forms, spread, one_by_one=single) for r in residuals]
        again = differences(problem, residuals[0], index, forms, spread, one_by_one=single, factor=1.3)
    else:
        linears = [linearise(problem, r, index, forms, one_by_one=single) for r in residuals]
        other = jitter(problem, index, request.seed)
        again = linearise(problem, residuals[0], index, forms, one_by_one=single, parts=other)
    for linear in (*linears, again):
        for own in linear.spaces.values():
            if (wrong := ~torch.isfinite(own.gradients).all(-1).all(-1).all(0)).any():
                raise UserError(
                    f"`residual` must have finite slopes, got {float(wrong.double().mean()):.0%} of the data where "
                    "they are not"
                )
    return Half(index, tuple(linears), again)


def learned(state: State, context: Context) -> State:
    """The fields of a network, on the mean of the replicates."""
    layout, request, fit = known(state.layout), state.request, known(state.lesson)
    (space,) = layout.frames
    own = [linear.spaces[space] for linear in fit.linears]
    mean = Sensitivities(own[0].points, torch.stack([s.gradients for s in own]).mean(0))
    coordinates = network_coordinates(
        state.problem.named(space, layout.frames[space].dimension), mean.points.flatten(0, 1)
    )
    unit = unit_of(fit.linears[0], layout.frames, state.problem.pooled)
    field = learned_fields(
        mean, coordinates, unit, request.generators, request.steps, request.seed, context.run, context.tell
    )
    return replace(state, network=field.requires_grad_(False))


def write_network(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The learned fields, for a run directory."""
    field = known(state.network)
    about = {"coordinates": field.coordinates.to_dict(), "generators": field.generators}
    sizes = {"width": field.trunk0_bias.shape[0], "head_width": field.head_bias.shape[1]}
    return dict(field.named_parameters()), about | sizes


def read_network(state: State, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> State:
    """The same from a run directory."""
    coordinates = Coordinates(**about["coordinates"])
    field = NeuralField(coordinates, about["generators"], about["width"], about["head_width"]).double()
    field.load_state_dict(dict(tensors))
    return replace(state, network=field.requires_grad_(False))


def solved(state: State, context: Context) -> State:
    """The responses of the class on both halves, and its fields sorted by violation."""
    problem, layout, halves = state.problem, known(state.layout), known(state.halves)
    frames = layout.frames
    if state.network is not None:
        (space,) = frames
        classes: dict[str, FieldClass] = {space: Given(state.network, frames[space])}
    else:
        classes = classes_of(problem, state.request, layout)
    fit = halves[0].linears[0]
    basis = whitener(fit, classes, frames)
    unit = unit_of(fit, frames, problem.pooled)
    both = [
        evidence(half.linears, half.again, classes, frames, unit, problem.zero, problem.pooled, layout.rounding, basis)
        for half in halves
    ]
    if state.network is not None:
        both = [replace(e, floor=(e.floor**2 + LEARNED**2) ** 0.5) for e in both]
    null = null_space(both[0])
    return replace(state, classes=classes, basis=basis, evidence=(both[0], both[1]), null=null)


def kind_of(state: State) -> Kind:
    """What the noise of the violations comes from."""
    if state.problem.pooled:
        return "sampling"
    if state.problem.replicates:
        return "replicates"
    if state.problem.zero:
        return "floor"
    return "network" if state.network is not None else "rounding"


def counted(state: State, context: Context) -> State:
    """The rank and how sure it is, with the coherence of the fields that count."""
    null, (fit, fresh) = known(state.null), known(state.evidence)
    a = null.combinations
    found = count(null.values, fit.noise(a), fresh.violation(a), fresh.noise(a), kind_of(state))
    notes = [*known(state.layout).notes]
    if not state.problem.pooled and not fit.enough:
        rows, columns = fit.responses.shape
        notes.append(f"{rows} equations are too few for {columns} fields, at least four times as many are needed")
    if len(state.problem) < 2:
        notes.append("a single datum leaves none to check the fields on")
    replicates = 1 + len(state.problem.replicates)
    if replicates == 2:
        notes.append("two replicates are too few to tell an error from a violation, at least three are needed")
    if found.rank == len(null.values) and state.network is not None:
        notes.append(f"all {found.rank} fields of the network count: as many as were asked for; ask for more")
    coherence = _coherence(state, found.rank)
    if notes:
        found = replace(found, clear=False, why=(*found.why, *notes))
    agreement = spans_agree(known(state.halves)[0].linears, state, found.rank)
    return replace(state, count=found, coherence=coherence, agreement=agreement)


def _coherence(state: State, rank: int) -> tuple[float, ...]:
    """Of the first fields: violation over that with an independent sign for each point, both at least their noise."""
    null, (fit, _), half = known(state.null), known(state.evidence), known(state.halves)[0]
    layout, classes = known(state.layout), known(state.classes)
    combinations = known(state.basis) @ null.combinations[:, :rank]
    squares = torch.zeros(rank, dtype=torch.float64)
    parts = combinations.split([fields.columns for fields in classes.values()])
    linear = half.linears[0]
    for (space, fields), part in zip(classes.items(), parts, strict=True):
        own, frame = linear.spaces[space], layout.frames[space]
        points, gradients = frame.whiten(own.points), frame.whiten_gradients(own.gradients)
        for n in range(points.shape[1]):  # point by point: no table of all fields at all points
            rows = fields.rows(points[:, n : n + 1], gradients[:, :, n : n + 1]) @ part
            squares += rows.square().sum((0, 1))
    incoherent = (squares / linear.values.numel()).sqrt() / fit.unit
    noise = fit.noise(null.combinations[:, :rank])
    return tuple(((null.values[:rank] + noise) / (incoherent + noise)).clamp(max=1.0).tolist())


def spans_agree(linears: tuple[Linearised, ...], state: State, rank: int) -> float | None:
    """The largest angle between the lowest `rank` fields of any two replicates, radians."""
    if len(linears) < 2 or not rank:
        return None
    layout, classes, basis = known(state.layout), known(state.classes), known(state.basis)
    spans = []
    for linear in linears:
        table = (responses(linear, classes, layout.frames) @ basis).flatten(0, 1)
        spans.append(torch.linalg.svd(table, full_matrices=False)[2][-rank:].T)
    smallest = [torch.linalg.svdvals(a.T @ b)[-1] for i, a in enumerate(spans) for b in spans[:i]]
    return float(torch.stack(smallest).min().clamp(0, 1).arccos())
