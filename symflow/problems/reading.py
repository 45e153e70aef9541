"""The stages from a count to what a person reads: closed forms, finite flows, the algebra."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from symflow.algebra import measured_structure_constants, sample_brackets, structure_constants
from symflow.algebra.description import CLEAR, Description, describe
from symflow.discovery import Context, known
from symflow.fields import Field, SymbolicField

from .bases import forms as closed
from .bases.classes import Polynomials
from .bases.network import combined
from .bases.spans import SpanField
from .condition import mean_rows, responses
from .finite import finite_check
from .state import State

MOST_FORMS = 64  # generators that are written down
EXACT_ALGEBRA = 8  # generators whose brackets are computed symbolically
MOST_ALGEBRA = 20
CHECKED = 256  # points
ROUNDING = 1e-6  # relative size below which a direction at a point is not spanned


def written(state: State, context: Context) -> State:
    """The simplest basis of the span, in closed form where the class is polynomial; else the fields as they came."""
    rank, null, basis = known(state.count).rank, known(state.null), known(state.basis)
    fit, fresh = known(state.evidence)
    lowest = null.combinations[:, :rank]
    spaces = _spaces(state)
    if spaces is None or rank > MOST_FORMS:
        violations = fresh.violation(lowest)
        return replace(state, generators=basis @ lowest, violations=tuple(violations.tolist()))
    error = _error(state)
    points = {space: own.points.flatten(0, 1) for space, own in known(state.halves)[0].linears[0].spaces.items()}
    forms = closed.closed_forms(spaces, basis @ lowest, points, error)
    full = {space: Polynomials(s[1].dimension, s[2].degree) for space, s in spaces.items()}
    printed = closed.combinations_of(spaces, forms.coefficients)
    layout, half = known(state.layout), known(state.halves)[1]
    triangle = torch.block_diag(
        *(f.triangle(layout.frames[s].whiten(half.linears[0].spaces[s].points.flatten(0, 1))) for s, f in full.items())
    )
    size = (triangle @ printed).norm(dim=0)
    tables = [responses(linear, full, layout.frames) @ (printed / size) for linear in half.linears]
    violations = mean_rows(tables, fit.weight).norm(dim=0) / fit.unit
    back = {space: (spaces[space][0], spaces[space][1], full[space]) for space in spaces}
    return replace(
        state,
        forms=forms,
        generators=closed.combinations_of(back, forms.coefficients) / size,
        violations=tuple(violations.tolist()),
        classes=dict(full),
    )


def _error(state: State) -> float:
    """How far the span may be off: its noise over the first violation that does not count."""
    rank, null = known(state.count).rank, known(state.null)
    fit = known(state.evidence)[0]
    noise = fit.noise(null.combinations[:, :rank])
    last = max(float(noise.max()), float(null.values[rank - 1]))
    above = float(null.values[rank]) if rank < len(null.values) else 1.0
    return last / max(above, last)


def _spaces(state: State) -> dict[str, closed.Space] | None:
    """What closed forms need, where the class is polynomial."""
    found: dict[str, closed.Space] = {}
    for space, fields in known(state.classes).items():
        frame = known(state.layout).frames[space]
        if not isinstance(fields, Polynomials):
            return None
        found[space] = (state.problem.named(space, frame.dimension), frame, fields)
    return found


def fields_of(state: State) -> dict[str, SpanField]:
    """The generators as fields, in every space."""
    classes, layout = known(state.classes), known(state.layout)
    parts = known(state.generators).split([fields.columns for fields in classes.values()])
    return {
        space: SpanField(state.problem.named(space, layout.frames[space].dimension), layout.frames[space], fields, part)
        for (space, fields), part in zip(classes.items(), parts, strict=True)
    }


def public_fields(state: State) -> dict[str, Field]:
    """The same for the user: a network where the class was one, which the compiled flow knows."""
    if state.network is None:
        return dict(fields_of(state))
    (space,) = known(state.classes)
    return {space: combined(state.network, known(state.generators))}


def checked(state: State, context: Context) -> State:
    """Finite flows of the generators, and what they span at a point."""
    half = known(state.halves)[1]
    moved, control = finite_check(
        state.problem, known(state.layout), half.index, public_fields(state), state.request.seed
    )
    return replace(state, moved=tuple(moved), control=control, pointwise=_pointwise(state))


def _points(state: State, space: str) -> Tensor:
    """Normalised points of the data, ``[N, d]``."""
    points = known(state.halves)[1].linears[0].spaces[space].points.flatten(0, 1)
    step = max(1, len(points) // CHECKED)
    return state.problem.named(space, points.shape[1]).to_normalised(points[::step][:CHECKED])


def _pointwise(state: State) -> int:
    """The dimension of the span at a point, RMS over the points, beyond what the fields are known to."""
    space = next(iter(known(state.classes)))
    field, frame = fields_of(state)[space], known(state.layout).frames[space]
    vectors = field.coordinates.vectors_to_physical(field(_points(state, space)))
    values = torch.linalg.svdvals(frame.whiten_vectors(vectors)).square().mean(0).sqrt()
    error = max(ROUNDING, 3 * _error(state), 2 * (state.agreement or 0.0))
    return int((values > error * values[0]).sum())


def bracketed(state: State, context: Context) -> State:
    """What is known of the Lie algebra of the generators: exact from rational closed forms, else measured."""
    fields = public_fields(state)
    if len(fields) > 1 or known(state.count).rank > MOST_ALGEBRA:
        return state
    ((space, field),) = fields.items()
    forms = state.forms
    if forms is not None and forms.exact and len(forms.closed_forms) <= EXACT_ALGEBRA:
        parsed = SymbolicField(field.coordinates, forms.closed_forms)
        names = [f"d{name}" for name in field.coordinates.names]
        exact = [dict(zip(names, components, strict=True)) for components in parsed.components]
        constants = structure_constants(exact)
        if constants is not None:
            return replace(state, algebra=describe(constants))
    return replace(state, algebra=_measured(field, _points_for(field, state, space), _error(state)))


def _points_for(field: Field, state: State, space: str) -> Tensor:
    points = known(state.halves)[1].linears[0].spaces[space].points.flatten(0, 1)
    return field.coordinates.to_normalised(points[: 4 * CHECKED])


def _measured(field: Field, points: Tensor, error: float) -> Description | None:
    try:
        brackets = sample_brackets(field, points)
        found = measured_structure_constants(brackets, uncertainty=error).describe()
    except ValueError:  # dependent fields, or constants of no algebra
        return None
    return found if found.gap is None or found.gap >= CLEAR else None
