"""The fixed measure of some data: how large displacements are under it, and whether a field keeps the grid."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from symflow.errors import UserError
from symflow.fields import Field
from symflow.runs import one_thread

from ..trajectories import Trajectories

SAMPLE = 4096  # points of the measure
DEPENDENT = 1e-10  # eigenvalue of the correlations below which fields are no longer told apart
TEARING = 1e-3  # change over a period, or motion of an end, over the size, from which a field would tear the grid


def sample(data: Trajectories) -> Tensor:
    """Points of the data in the variables and unknowns of their equation, physical: all or a fixed draw, ``[N, d]``."""
    space = data.equation.space
    shape = data.values.shape[:-1]
    count = math.prod(shape)
    which = torch.arange(count)
    if count > SAMPLE:
        which = torch.randint(count, (SAMPLE,), generator=torch.Generator().manual_seed(0))
    _, *places = torch.unravel_index(which, shape)
    nodes = {"t": data.t} | {axis.name: axis.nodes for axis in data.axes}
    at = {name: nodes[name][place] for name, place in zip(("t", *(a.name for a in data.axes)), places, strict=True)}
    held = [data.field(name).flatten()[which] for name in space.dependent]
    return torch.stack([*(at[name] for name in space.independent), *held], -1)


@torch.no_grad()
@one_thread()
def whitener(field: Field, points: Tensor, data: Trajectories) -> Tensor:
    """``G^(-1/2)``, ``[K, K]``, float64, with G the mean products of the fields, if they keep the grid of the data.

    Args:
        field: in the variables and unknowns of the equation.
        points: `sample`.
        data: whose periods and ends are to be kept.

    Raises:
        ValueError: the generators are dependent on the sample.
        UserError: some combination of unit size changes by more than `TEARING` over a period, or moves the ends of an
            open axis by as much.
    """
    if isinstance(field, nn.Module):
        field = copy.deepcopy(field).double()
        points = points.to(next(field.parameters()).device)
    here = field(field.coordinates.to_normalised(points))  # [N, K, d]
    gram = torch.einsum("nkd,nld->kl", here, here) / len(here)
    size = gram.diagonal().sqrt()
    if not bool(size.isfinite().all() and (size > 0).all()):
        raise ValueError(f"every generator of `field` must be finite and not 0 on the data, got sizes {size.tolist()}")
    least = float(torch.linalg.eigvalsh(gram / size / size[:, None])[0])
    if least < DEPENDENT:
        raise ValueError(
            f"the {len(size)} generators of `field` must be independent on the data, got a combination of relative "
            f"size {math.sqrt(max(least, 0.0)):.1g}"
        )
    values, vectors = torch.linalg.eigh(gram)
    found: Tensor = vectors / values.sqrt() @ vectors.T

    def largest(change: Tensor) -> float:
        """RMS of ``[N, K, d]`` for the combination of unit size that has the most of it."""
        products = torch.einsum("nkd,nld->kl", change, change) / len(change)
        if not bool(products.isfinite().all()):  # a field may not exist there: exp(x) overflows
            return math.inf
        return math.sqrt(max(float(torch.linalg.eigvalsh(found @ products @ found)[-1]), 0.0))

    for axis in data.axes:
        i = field.coordinates.names.index(axis.name)
        if axis.period is not None:
            there = points.clone()
            there[:, i] += axis.period
            torn = largest(field(field.coordinates.to_normalised(there)) - here)
            if not torn <= TEARING:
                raise UserError(
                    f"`field` must have the period {axis.period:g} of the data in {axis.name}, got one that changes by "
                    f"{torn:.1g} of its size over it: it would tear the grid; leave out the generators that depend on "
                    f"{axis.name}, or discover with `domain` periodic"
                )
            continue
        for end in (axis.nodes[0], axis.nodes[-1]):
            there = points.clone()
            there[:, i] = end.to(there)
            torn = largest(field(field.coordinates.to_normalised(there))[..., i : i + 1])
            if not torn <= TEARING:
                raise UserError(
                    f"`field` must leave the ends of {axis.name} where they are, for nothing is known beyond them, got "
                    f"one that moves {axis.name} = {float(end):g} by {torn:.1g} of its size; leave it out"
                )
    return found
