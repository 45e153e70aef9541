"""The determining condition on what was observed: u_t by differences in time, so that jets lie off solutions.

There a symmetry satisfies ``pr V(F) = lambda F`` with a multiplier lambda, a function of the coordinates: an identity
on all of jet space, which noise does not break. What it asks is whether the generators are those of the equation at the
jets that the data visit; that the data solve the equation is another question (`pde.laws.audit`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symflow.fields import Coordinates
from symflow.runs import one_thread

from ..equations import Equation, Jets, JetSample
from ..symmetries import Library, NullSpace, complete_jets, condition, needed, term_scale
from ..trajectories import Trajectories, difference_weights, interpolated

ORDER = 8  # of the differences in time
LOUD = 10.0  # times the power of the highest modes: modes below are taken for noise


@dataclass(frozen=True)
class ObservedJets:
    """Jets of data.

    Attributes:
        solution: completed by the equation.
        observed: with u_t and its x-derivatives from the data, by differences in time.
        coarse: the same by differences of an order two lower.
    """

    solution: JetSample
    observed: JetSample
    coarse: JetSample

    def misfit(self, equation: Equation, coordinates: Coordinates) -> Tensor:
        """What the jets leave of the equation, relative to its terms: ``F/w``, ``[N]``."""
        return _relative(equation, self.observed, self.observed, coordinates)

    def doubt(self, equation: Equation, coordinates: Coordinates) -> Tensor:
        """How much of `misfit` depends on the order of the differences, ``[N]``."""
        return (self.misfit(equation, coordinates) - _relative(equation, self.coarse, self.observed, coordinates)).abs()


def _relative(equation: Equation, sample: JetSample, weights: JetSample, coordinates: Coordinates) -> Tensor:
    ((F, _),) = equation.terms(sample.values)
    relative: Tensor = F / term_scale(equation, weights, coordinates.scale)[0]
    return relative


@one_thread()
def observed_jets(data: Trajectories, count: int, seed: int) -> ObservedJets | None:
    """Jets of data at random points, without the modes that are noise; ``None`` with too few times for differences.

    Args:
        data: of an evolution equation.
        count: of points.
        seed: of their draw.
    """
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
    u, *rates = interpolated(fields, rows, at, data.length, max(wanted, equation.order))
    solution = complete_jets(equation, Jets(data.x[0] + at, inner.t[rows % len(inner.t)], u[: wanted + 1]))

    def with_rates(u_t: Tensor) -> JetSample:
        observed = {equation.space.symbol(0, (m, 1)): u_t[m] for m in range(equation.order + 1)}
        return JetSample(equation.space, dict(solution.values) | observed)

    return ObservedJets(solution, *map(with_rates, rates))


def observed(data: Trajectories, library: Library, coordinates: Coordinates, count: int, seed: int) -> NullSpace | None:
    """The null space of ``pr V(F) - lambda F`` on jets of data; ``None`` with too few times for differences.

    Args:
        data: of an evolution equation.
        library: of the components of V and of lambda.
        coordinates: of the fields.
        count: of points.
        seed: of their draw.
    """
    jets = observed_jets(data, count, seed)
    if jets is None:
        return None
    return condition(
        data.equation, jets.observed, library, coordinates, weights=jets.solution, multiplier=library
    ).null_space()


def without_noise(u: Tensor) -> Tensor:
    """Profiles ``[..., X]`` without the modes that are no louder than the last eighth of the spectrum."""
    v = torch.fft.rfft(u)
    power = (v.real.square() + v.imag.square()).flatten(0, -2).mean(0)
    floor = power[-max(len(power) // 8, 1) :].median()
    loud = (power > LOUD * floor).nonzero()
    last = int(loud.max()) if len(loud) else 0
    v[..., last + 1 :] = 0.0
    kept: Tensor = torch.fft.irfft(v, u.shape[-1])
    return kept
