"""How far moved trajectories are from solving their equation."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from symflow.runs import one_thread

from ..trajectories import STENCIL, BothSides, Trajectories, filtered, jets_at, without_jets

ORDER = 8  # of the differences in time
NODES = 2048  # of a trajectory off a line at which the equation is looked at


@one_thread()
def residuals(data: Trajectories, values: Tensor, valid: Tensor) -> Tensor:
    """How far moved trajectories are from solving the equation, each by itself, ``[B]``.

    Of ``u_t = ...`` on a periodic line it is `Trajectories.residual`, of rows that have four valid ones on either side;
    of other data the root mean square of F over that of its terms at 2,048 random nodes of the longest run of valid
    rows, the largest of a system. NaN where there are fewer than nine such rows, or no derivatives. ``residuals(data,
    data.u, torch.ones(len(data), len(data.t), dtype=torch.bool))`` are the data's own.

    Args:
        data: whose grid and equation they are.
        values: ``[B, T, ...]``, laid out as those of the data.
        valid: ``[B, T]``.
    """
    each = _on_line if data.on_line and data.equation.evolutionary else _at_nodes
    if len(data.t) <= ORDER:
        return torch.full((len(values),), math.nan, dtype=torch.float64)
    return each(data, values.detach().to("cpu", torch.float64), valid.cpu())


def _on_line(data: Trajectories, values: Tensor, valid: Tensor) -> Tensor:
    sides = BothSides(data, ORDER)
    rows = valid.unfold(1, ORDER + 1, 1).all(-1)
    found = torch.full((len(values),), math.nan, dtype=torch.float64)
    for i, u in enumerate(values):
        u = u.where(valid[i, :, None], 0.0)
        if bool(rows[i].any()):
            u_t, K = sides.u_t(u)[rows[i]], sides.K(filtered(u[sides.inside]))[rows[i]]
            round_off = sides.round_off(u)
            size = u_t.square().mean() + K.square().mean() + 2 * round_off * round_off
            found[i] = ((u_t + K).square().mean() / size).sqrt() if bool(size > 0) else 0.0
    return found


def _at_nodes(data: Trajectories, values: Tensor, valid: Tensor) -> Tensor:
    space = data.equation.space
    indices = sorted({index for F in data.equation.residuals for _, index in space.indices(F)})
    found = torch.full((len(values),), math.nan, dtype=torch.float64)
    for i in range(len(values)):
        first, last = longest(valid[i].tolist())
        part = replace(data, t=data.t[first:last], u=values[i : i + 1, first:last]) if last - first >= STENCIL else None
        if part is None or without_jets(part, indices):
            continue
        generator = torch.Generator().manual_seed(0)  # for each alike: one does not depend on the others
        rows = torch.randint(len(part.t), (NODES,), generator=generator)
        places = [torch.randint(len(axis), (NODES,), generator=generator) for axis in data.axes]
        sides = data.equation.terms(jets_at(part, 0, indices, rows, places).sample.values)
        ratios = [F.square().mean() / squares.mean() for F, squares in sides if bool(squares.mean() > 0)]
        found[i] = torch.stack(ratios).max().sqrt() if ratios else 0.0
    return found


def longest(rows: list[bool]) -> tuple[int, int]:
    """The longest run of true values, as the ends of a slice."""
    best, begin = (0, 0), 0
    for i, row in enumerate([*rows, False]):
        if not row:
            best = max(best, (begin, i), key=lambda ends: ends[1] - ends[0])
            begin = i + 1
    return best
