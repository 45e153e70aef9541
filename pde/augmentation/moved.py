"""Trajectories moved along symmetries, as trajectories again."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from symflow.errors import UserError
from symflow.fields import Field

from ..trajectories import Trajectories
from .files import FEWEST, SHARE
from .residuals import longest
from .trajectories import TrajectoryAugment, seeded_weights


def moved(field: Field, data: Trajectories, strength: float, seed: int) -> Trajectories:
    """Each trajectory moved along a random combination of the generators, at the times that all of them have.

    A moved trajectory has no source for times that its flow brings in from outside the data. One that keeps fewer than
    3/7 of its times stays as it is.

    Args:
        field: in the variables and unknowns of the data, keeping their grid.
        data: as for `TrajectoryAugment`.
        strength: as for `TrajectoryAugment`.
        seed: of the combinations; a trajectory depends on it and on its own number alone.

    Raises:
        UserError: an argument is out of range, or the moved trajectories have too few times in common.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"`seed` must be an integer of at least 0, got {seed!r}")
    try:
        augment = TrajectoryAugment(field, data, strength)
    except ValueError as error:
        raise UserError(str(error)) from None
    weights = torch.cat([seeded_weights(augment, seed, number, 1) for number in range(len(data))])
    with torch.no_grad():
        u, rows = augment.move(data.u, weights.to(data.u))
    enough = rows.sum(1) >= min(FEWEST, math.ceil(SHARE * len(data.t)))
    u, rows = u.where(enough.view(-1, *[1] * (u.ndim - 1)), data.u), rows | ~enough[:, None]
    first, last = longest(rows.all(0).tolist())
    if last - first < 2:
        raise UserError(f"`strength` must be small enough to leave times that all moved data have, got {strength!r}")
    return replace(data, t=data.t[first:last], u=u[:, first:last])
