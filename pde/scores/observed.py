"""The determining condition on what was observed: u_t from the data, so that jets lie off solutions.

There a symmetry satisfies ``pr V(F_i) = sum_j lambda_ij F_j`` with multipliers lambda, functions of the coordinates: an
identity on all of jet space, which noise does not break. What it asks is whether the generators are those of the
equation at the jets that the data visit; that the data solve the equation is another question (`pde.gate.audit`).

Of u on a periodic line, jets are taken anywhere between the nodes, of an evolution equation only u_t and its
x-derivatives are looked up in time, by differences; of data of any other shape, all derivatives are, at nodes
(`pde.trajectories.node_jets`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sympy
import torch
from torch import Tensor

from symflow.fields import Coordinates, series
from symflow.formulas import expressions
from symflow.runs import one_thread

from ..equations import Equation, Index, Jets, JetSample, completed
from ..symmetries import Library, NullSpace, complete_jets, condition, derivatives_in, needed, term_scale
from ..trajectories import (
    Trajectories,
    data_coordinates,
    difference_weights,
    interpolated,
    jets_at,
    node_jets,
    without_jets,
    without_noise,
)

ORDER = 8  # of the differences in time


@dataclass(frozen=True)
class ObservedJets:
    """Jets of data.

    Attributes:
        solution: completed by the equation.
        observed: with the derivatives of the data.
        error: estimates of the errors of these, where there are any.
    """

    solution: JetSample
    observed: JetSample
    error: Mapping[sympy.Symbol, Tensor]

    def __getitem__(self, which: slice) -> ObservedJets:
        """Some of them."""
        return ObservedJets(self.solution[which], self.observed[which], {s: e[which] for s, e in self.error.items()})

    def misfit(self, equation: Equation, coordinates: Coordinates) -> Tensor:
        """What the jets leave of the equation, relative to its terms: ``F/w``, ``[N]``; of several, RMS."""
        left = torch.stack([F for F, _ in equation.terms(self.observed.values)])
        return _together(left / term_scale(equation, self.observed, coordinates.scale))

    def doubt(self, equation: Equation, coordinates: Coordinates) -> Tensor:
        """How much of `misfit` the errors of the derivatives explain, ``[N]``."""
        rows = []
        for F in equation.residuals:
            row = torch.zeros(len(self.observed), dtype=torch.float64)
            for symbol in sorted(F.free_symbols & self.error.keys(), key=str):
                slope = expressions.evaluate(sympy.diff(F, symbol), self.observed.values, series.FUNCTIONS)
                row = row + (slope * self.error[symbol]).abs()
            rows.append(row)
        return _together(torch.stack(rows) / term_scale(equation, self.observed, coordinates.scale))


def _together(rows: Tensor) -> Tensor:
    """``[E, N]`` to ``[N]``."""
    return rows[0] if len(rows) == 1 else rows.square().mean(0).sqrt()


def jets_of(data: Trajectories, count: int, seed: int, indices: Sequence[Index]) -> JetSample:
    """Jets of data, completed by their equation.

    Args:
        data: that have jets (`without_jets`).
        count: of points: fewer are found where the equation has no values.
        seed: of their draw.
        indices: of derivatives, beside u itself.
    """
    equation = data.equation
    if _between_nodes(data):
        indices = [*indices, (0, 0)]
        order = max(i + equation.order * j for i, j in indices)
        return complete_jets(equation, data.jets(count, order, seed), indices)
    found = node_jets(data, [*indices, *derivatives_in(equation)] if indices else indices, count, seed)
    return _solved(data, found.sample)[0] if indices else found.sample


def both_jets(data: Trajectories, count: int, seed: int) -> tuple[JetSample, ObservedJets | None]:
    """Jets of data as their equation completes them, and as they are (`observed_jets`)."""
    seen = observed_jets(data, count, seed)
    if seen is None or _between_nodes(data):
        return jets_of(data, count, seed, needed(data.equation)), seen
    return seen.solution, seen


def jets_on(data: Trajectories, rows: Tensor, places: Sequence[Tensor], indices: Sequence[Index]) -> JetSample:
    """Jets of the first trajectory at given nodes, completed by its equation.

    Args:
        data: that have jets.
        rows: ``[N]``, the times by their numbers.
        places: ``[N]`` for each axis of space, likewise.
        indices: of derivatives.

    Returns:
        At N points; a derivative is not finite where the equation has none.
    """
    equation = data.equation
    if _between_nodes(data):
        order = max(i + equation.order * j for i, j in indices)
        some, at = rows.unique(return_inverse=True)
        u = replace(data, t=data.t[some], u=data.u[:1, some]).derivatives(order)[:, 0]
        return complete_jets(equation, Jets(data.x[places[0]], data.t[rows], u[:, at, places[0]]), indices)
    found = jets_at(data, 0, [*indices, *derivatives_in(equation)], rows, places)
    return JetSample(found.sample.space, _completed(data, found.sample)[0])


def _between_nodes(data: Trajectories) -> bool:
    return data.on_line and data.equation.evolutionary


def _solved(data: Trajectories, sample: JetSample) -> tuple[JetSample, Tensor]:
    """Jets on the manifold of the equation, where it has values, and which these are."""
    values, good = _completed(data, sample)
    return JetSample(sample.space, values)[good], good


def _completed(data: Trajectories, sample: JetSample) -> tuple[dict[sympy.Symbol, Tensor], Tensor]:
    return completed(data.equation, sample.values, data_coordinates(data, periodic=False).scale)


@one_thread()
def observed_jets(data: Trajectories, count: int, seed: int) -> ObservedJets | None:
    """Jets of data at random points, without the modes that are noise; ``None`` where they cannot be taken.

    Args:
        data: of any shape.
        count: of points.
        seed: of their draw.
    """
    if _between_nodes(data):
        return _on_a_line(data, count, seed)
    equation = data.equation
    wanted = derivatives_in(equation)
    if without_jets(data, wanted):
        return None
    found = node_jets(data, wanted, count, seed)
    solution, good = _solved(data, found.sample)
    return ObservedJets(solution, found.sample[good], {s: e[good] for s, e in found.error.items()})


def _on_a_line(data: Trajectories, count: int, seed: int) -> ObservedJets | None:
    order = min(ORDER, (len(data.t) - 1) // 2 * 2)
    if order < 2:
        return None
    equation, half = data.equation, order // 2
    quiet = replace(data, u=without_noise(data.u))
    inside = slice(half, len(data.t) - half)
    inner = replace(quiet, t=data.t[inside], u=quiet.u[:, inside])
    wanted = max(i + equation.order * j for i, j in needed(equation))

    def rate(n: int) -> Tensor:
        less = half - n // 2  # rows on either side that a lower order does not need
        times = slice(less, len(data.t) - less)
        weights, u = difference_weights(data.t[times], n), quiet.u[:, times]
        found = weights[:, 0, None] * u[:, : len(weights)]
        for k in range(1, n + 1):
            found.addcmul_(weights[:, k, None], u[:, k : k + len(weights)])
        return found

    rows, at = inner.drawn(count, seed)
    fields = [inner.u, rate(order), rate(max(order - 2, 2))]
    u, fine, coarse = interpolated(fields, rows, at, data.length, max(wanted, equation.order))
    solution = complete_jets(equation, Jets(data.x[0] + at, inner.t[rows % len(inner.t)], u[: wanted + 1]))
    symbols = [equation.space.symbol(0, (m, 1)) for m in range(equation.order + 1)]
    observed = JetSample(equation.space, dict(solution.values) | dict(zip(symbols, fine, strict=False)))
    error = {s: (f - c).abs() for s, f, c in zip(symbols, fine, coarse, strict=False)}
    return ObservedJets(solution, observed, error)


def observed(jets: ObservedJets, equation: Equation, library: Library, coordinates: Coordinates) -> NullSpace:
    """The null space of ``pr V(F_i) - sum_j lambda_ij F_j`` on jets of data.

    Args:
        jets: of the data.
        equation: that they are of.
        library: of the components of V and of lambda.
        coordinates: of the fields.
    """
    return condition(
        equation, jets.observed, library, coordinates, weights=jets.solution, multiplier=library
    ).null_space()
