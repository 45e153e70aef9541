"""The infinitesimal form of a problem: points that a residual moves, and what moving them does to it.

A motion that adds a zero leaf records the points, and one product of a vector with the Jacobian for each probe gives
``g = d(r . residual)/d points``: the response to a field V is ``sum_n g_n . V(z_n)``, datum by datum. Where there is no
gradient, differences of the fourth order give the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symflow.errors import UserError

from ..problem import Problem, Residual, stream
from .frames import Frame
from .moves import Moving, respond

STEP = {torch.float64: 1e-3, torch.float32: 3e-2}  # of differences of order 4, in spreads of the data
MOST_EVALUATIONS = 20_000


@dataclass(frozen=True)
class Sensitivities:
    """Points of one space, ``[B, n, d]``, and the derivatives of the probes with respect to them, ``[P, B, n, d]``.

    Float64 and on the CPU, in the units of the points.
    """

    points: Tensor
    gradients: Tensor


@dataclass(frozen=True)
class Linearised:
    """A problem on some of its data: sensitivities by space, and the probes of the residual itself, ``[P, B]``."""

    spaces: dict[str, Sensitivities]
    values: Tensor


@dataclass(frozen=True)
class Probes:
    """Linear forms on the residuals of a datum.

    Args:
        weights: ``[R]``, one over how much each number changes when the data are moved, 0 where it never does.
        count: how many; as many as numbers or more mean the numbers themselves.
        seed: of the user; the forms come from a stream of their own.
    """

    weights: Tensor
    count: int
    seed: int

    def forms(self, data: int, purpose: str) -> Tensor:
        """``[P, B, R]``: normal vectors, independent for every datum, or the unit vectors."""
        kept = self.weights.nonzero()[:, 0]
        if self.count >= len(kept):
            return torch.diag(self.weights)[kept][:, None].expand(-1, data, -1)
        draw = torch.randn(
            self.count, data, len(self.weights), generator=stream(purpose, self.seed), dtype=torch.float64
        )
        return draw * self.weights


def jitter(problem: Problem, index: Tensor, seed: int) -> list[Tensor]:
    """The data with their last bits changed: how far the derivatives follow is how well they are known."""
    generator = stream("jitter", seed)
    parts = []
    for part in problem.parts:
        whole = torch.as_tensor(part)
        taken = whole[index.to(whole.device)]
        if taken.is_floating_point():
            sign = torch.randint(0, 2, taken.shape, generator=generator).to(taken) * 2 - 1
            taken = taken * (1 + torch.finfo(taken.dtype).eps * sign)
        parts.append(taken)
    return parts


def _batches(
    problem: Problem, index: Tensor, one_by_one: bool, parts: list[Tensor] | None
) -> Iterator[tuple[Tensor, Any]]:
    size = 1 if one_by_one else len(index)
    for start in range(0, len(index), size):
        which = torch.arange(start, min(start + size, len(index)))
        if parts is None:
            yield which, problem.batch(index[which])
        else:
            taken = [part[which.to(part.device)] for part in parts]
            like = [t if isinstance(p, Tensor) else t.numpy() for t, p in zip(taken, problem.parts, strict=True)]
            yield which, problem.regroup(like)


def by_datum(points: Tensor, count: int) -> Tensor:
    """Points of one call ``[..., d]`` as ``[B, n, d]``."""
    return points.reshape(count, -1, points.shape[-1])


def linearise(
    problem: Problem,
    residual: Residual,
    index: Tensor,
    forms: Tensor,
    *,
    one_by_one: bool = False,
    parts: list[Tensor] | None = None,
) -> Linearised:
    """Sensitivities by reverse mode, one product for each probe.

    Args:
        problem: whose data are asked.
        residual: its own, or a replicate.
        index: of the data.
        forms: ``[P, B, R]``.
        one_by_one: whether each datum is a batch of its own, for residuals that move points all data share.
        parts: data to take in place of the problem's.

    Raises:
        UserError: the residual cannot be called, or data are moved at different numbers of points.
    """
    pieces = []
    for which, batch in _batches(problem, index, one_by_one, parts):
        leaves: list[Tensor] = []

        def displace(points: Tensor, space: str, call: int, leaves: list[Tensor] = leaves) -> Tensor:
            leaves.append(torch.zeros_like(points, requires_grad=True))
            return points + leaves[-1]

        move = Moving(displace)
        with torch.enable_grad():
            values = respond(residual, move, batch, len(which))
        found: list[list[Tensor]] = []
        for form in forms[:, which]:
            gradients: tuple[Tensor | None, ...] = (None,) * len(leaves)
            if values.requires_grad:
                total = (values * form.to(values)).sum()
                gradients = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
            found.append([torch.zeros_like(x) if g is None else g for g, x in zip(gradients, leaves, strict=True)])
        pieces.append(_collect(move.calls, found, values.detach(), forms[:, which]))
    return _join(pieces)


def differences(
    problem: Problem,
    residual: Residual,
    index: Tensor,
    forms: Tensor,
    spread: Mapping[str, Tensor],
    *,
    one_by_one: bool = False,
    factor: float = 1.0,
) -> Linearised:
    """The same by central differences of order 4: four evaluations for each coordinate of the points of a datum.

    Args:
        problem, residual, index, forms, one_by_one: as for `linearise`.
        spread: by space the size of the data along each axis, ``[d]``, in which the step is measured.
        factor: on the step.

    Raises:
        UserError: there are too many coordinates.
    """
    pieces = []
    for which, batch in _batches(problem, index, one_by_one, None):
        count = len(which)
        move = Moving(lambda points, space, call: points)
        values = respond(residual, move, batch, count).detach()
        calls = move.calls
        evaluations = 4 * sum(by_datum(p, count)[0].numel() for _, p in calls)
        if evaluations * (len(index) // count) > MOST_EVALUATIONS:
            raise UserError(
                f"`derivative` differences take four evaluations for each coordinate that `residual` moves, at most "
                f"{MOST_EVALUATIONS:,} in all, got {evaluations * (len(index) // count):,}; move fewer points"
            )
        found = [[torch.zeros(p.shape, dtype=torch.float64) for _, p in calls] for _ in range(len(forms))]
        for number, (space, points) in enumerate(calls):
            d = points.shape[-1]
            for place in range(by_datum(points, count)[0].numel()):
                n, axis = divmod(place, d)
                step = factor * STEP.get(points.dtype, STEP[torch.float32]) * float(spread[space][axis])
                ends = [
                    respond(residual, _nudge(number, n, axis, m * step, count), batch, count).double().cpu()
                    for m in (-2, -1, 1, 2)
                ]
                slope = (8 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / (12 * step)  # [B, R]
                for p, form in enumerate(forms[:, which]):
                    by_datum(found[p][number], count)[:, n, axis] = (slope * form).sum(-1)
        pieces.append(_collect(calls, found, values, forms[:, which]))
    return _join(pieces)


def _nudge(number: int, n: int, axis: int, step: float, count: int) -> Moving:
    """The motion of one coordinate of one point of every datum, in one of the calls."""

    def displace(points: Tensor, space: str, call: int) -> Tensor:
        if call != number:
            return points
        moved = by_datum(points.clone(), count)
        moved[:, n, axis] += step
        return moved.reshape(points.shape)

    return Moving(displace)


def _collect(calls: list[tuple[str, Tensor]], found: list[list[Tensor]], values: Tensor, forms: Tensor) -> Linearised:
    count = len(values)
    spaces = {}
    for space in dict.fromkeys(name for name, _ in calls):
        own = [i for i, (name, _) in enumerate(calls) if name == space]
        points = torch.cat([by_datum(calls[i][1], count).double().cpu() for i in own], 1)
        gradients = torch.stack([torch.cat([by_datum(row[i], count).double().cpu() for i in own], 1) for row in found])
        spaces[space] = Sensitivities(points, gradients)
    return Linearised(spaces, (values.double().cpu() * forms).sum(-1))


def _join(pieces: list[Linearised]) -> Linearised:
    if len(pieces) == 1:
        return pieces[0]
    shapes = {tuple((name, s.points.shape[1:]) for name, s in piece.spaces.items()) for piece in pieces}
    if len(shapes) > 1:
        raise UserError("`residual` must move as many points for each datum, got data that differ")
    spaces = {
        name: Sensitivities(
            torch.cat([piece.spaces[name].points for piece in pieces]),
            torch.cat([piece.spaces[name].gradients for piece in pieces], 1),
        )
        for name in pieces[0].spaces
    }
    return Linearised(spaces, torch.cat([piece.values for piece in pieces], 1))


def sized(frames: Mapping[str, Frame]) -> dict[str, Tensor]:
    """By space the size of the data along each axis."""
    return {space: frame.root.square().sum(1).sqrt() for space, frame in frames.items()}
