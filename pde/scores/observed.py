"""The determining condition on what was observed: u_t by differences in time, so that jets lie off solutions.

There a symmetry satisfies ``pr V(F) = lambda F`` with a multiplier lambda, a function of the coordinates: an identity
on all of jet space, which noise does not break. What it asks is whether the generators are those of the equation at the
jets that the data visit; that the data solve the equation is another question (`pde.laws.audit`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from symflow.fields import Coordinates

from ..equations import JetSample
from ..symmetries import Library, NullSpace, complete_jets, condition, needed
from ..trajectories import Trajectories, difference_weights

ORDER = 8  # of the differences in time
LOUD = 10.0  # times the power of the highest modes: modes below are taken for noise


def observed(data: Trajectories, library: Library, coordinates: Coordinates, count: int, seed: int) -> NullSpace | None:
    """The null space of ``pr V(F) - lambda F`` on jets of data; ``None`` with too few times for differences.

    Args:
        data: of an evolution equation.
        library: of the components of V and of lambda.
        coordinates: of the fields.
        count: of points.
        seed: of their draw.
    """
    order = min(ORDER, (len(data.t) - 1) // 2 * 2)
    if order < 2:
        return None
    equation = data.equation
    quiet = replace(data, u=without_noise(data.u))
    inside = slice(order // 2, len(data.t) - order // 2)
    rate = torch.einsum("stxw,tw->stx", quiet.u.unfold(1, order + 1, 1), difference_weights(data.t, order))
    inner = replace(quiet, t=data.t[inside], u=quiet.u[:, inside])
    wanted = max(i + equation.order * j for i, j in needed(equation))
    jets = inner.jets(count, wanted, seed)
    solution = complete_jets(equation, jets)
    off = dict(solution.values)
    rates = replace(inner, u=rate).jets(count, equation.order, seed)  # the same rows and places
    for m in range(equation.order + 1):
        off[equation.space.symbol(0, (m, 1))] = rates.u[m]
    return condition(
        equation, JetSample(equation.space, off), library, coordinates, weights=solution, multiplier=library
    ).null_space()


def without_noise(u: Tensor) -> Tensor:
    """Profiles ``[..., X]`` without the modes that are no louder than the last eighth of the spectrum."""
    v = torch.fft.rfft(u)
    power = v.abs().square().flatten(0, -2).mean(0)
    floor = power[-max(len(power) // 8, 1) :].median()
    loud = (power > LOUD * floor).nonzero()
    last = int(loud.max()) if len(loud) else 0
    v[..., last + 1 :] = 0.0
    kept: Tensor = torch.fft.irfft(v, u.shape[-1])
    return kept
