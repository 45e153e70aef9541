"""Is the residual one that discovery can use? Whatever is wrong with it is recognised before anything is counted.

Everything is compared with what a random motion does to the residual, not with the residual's own size, which is nearly
zero where valid data have the residual zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from symflow.errors import UserError

from ..problem import Problem, Residual, stream
from .frames import Frame
from .linearise import Linearised, by_datum, jitter, linearise
from .moves import AffineMotions, Moving, respond, still

MOTIONS = 3
LENGTH = 0.1  # of motions, in spreads of the data
LONG = 1.0
SHORT = {torch.float64: 1e-4, torch.float32: 1e-2}
MOST_POINTS = 20_000
MOST_DATA = 512
MOST_NUMBERS = 64  # of a datum whose slopes are compared
MOST_SINGLE = 128  # data that are batches of their own
ANY = 1e-9  # of itself: a residual that changes by less is kept by any motion
ROUNDED = 100.0  # times what the last bits of the data change
SAME = 1e-5  # of what a motion does: more than this is not rounding
SLOPES = 0.05  # at which two slopes of one residual differ
SMOOTH = 0.3  # the least quotient of slopes over short and long ways that belongs to a residual with a slope

Derivative = Literal["autograd", "differences"]


@dataclass(frozen=True)
class Layout:
    """How a residual uses its motion, found out on some of the data.

    Attributes:
        frames: whitened units, by space.
        index: the data that were asked.
        calls: how often a datum's residual moves points.
        points: of a datum, in all spaces.
        weights: one over the RMS change of each number under random motions, ``[R]``; 0 where no motion changes it.
        one_by_one: whether each datum must be a batch of its own.
        rounding: the rounding unit of the coarsest dtype on the way.
        notes: reasons why the count cannot be told.
    """

    frames: dict[str, Frame]
    index: Tensor
    calls: int
    points: int
    weights: Tensor
    one_by_one: bool
    rounding: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """The residual on fixed data under any motion."""

    problem: Problem
    residual: Residual
    index: Tensor
    one_by_one: bool

    def __call__(self, make: Moving | AffineMotions, length: float = 0.0) -> Tensor:
        """``[B, R]`` float64."""
        parts = self.index.split(1) if self.one_by_one else (self.index,)
        values = []
        for part in parts:
            move = make.by(length) if isinstance(make, AffineMotions) else Moving(make.displace)
            with torch.no_grad():
                values.append(respond(self.residual, move, self.problem.batch(part), len(part)).double().cpu())
        if len({v.shape[1] for v in values}) > 1:
            raise UserError("`residual` must return as many numbers for each datum, got data that differ")
        return torch.cat(values)


def examine(problem: Problem, derivative: Derivative, seed: int) -> Layout:
    """How the residual uses its motion, and whether it can be used.

    Raises:
        UserError: the residual never calls ``move``, is not finite, is random, mixes its batch, is kept by any motion,
            is constant between jumps, or hides its motion from the gradient.
    """
    generator = stream("soundness", seed)
    order = torch.randperm(len(problem), generator=generator)
    index, calls, values, one_by_one = _trace(problem, order)
    frames = {
        space: Frame.of(torch.cat([p.double().cpu().flatten(0, -2) for name, p in calls if name == space]))
        for space in dict.fromkeys(name for name, _ in calls)
    }
    for space, frame in frames.items():
        problem.named(space, frame.dimension)
    if (wrong := ~torch.isfinite(values).all(1)).any():
        raise UserError(
            f"`residual` must be finite on the data, got {float(wrong.double().mean()):.0%} of them where it is not"
        )
    dtypes = {p.dtype for _, p in calls} | {torch.float32 for _, p in calls if p.dtype not in SHORT}
    coarse = max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)
    motions = [AffineMotions.random(frames, generator) for _ in range(MOTIONS)]

    ask = _Asked(problem, problem.residual, index, one_by_one)
    if not one_by_one and not _attributable(ask, motions[0], values):
        index = index[:MOST_SINGLE]
        ask = _Asked(problem, problem.residual, index, True)
        values = ask(still())
    changes = _changes(ask, motions, values, LENGTH)
    if (random := _share(ask(still()) - values, changes)) > SAME:
        raise UserError(
            "`residual` must give the same numbers for the same data, "
            f"got two calls that differ by {random:.2g} of what a motion does"
        )
    least = _least(ask, values, coarse, seed)
    weights = _weights(changes, least)
    if not bool(weights.any()):
        weights = _weights(_changes(ask, motions, values, LONG), least)
    scale = float((changes * weights).square().mean().sqrt()) or 1.0  # 0 where only long motions change anything

    if not bool(weights.any()):
        raise UserError("`residual` must change when the data are moved, got one that any motion keeps")
    if not ask.one_by_one and len(index) > 1:
        halves = [_Asked(problem, problem.residual, part, False)(still()) for part in index.split(-(-len(index) // 2))]
        if (mixed := _size((torch.cat(halves) - values) * weights)) > max(SAME, 1e3 * torch.finfo(coarse).eps) * scale:
            raise UserError(
                "`residual` must give numbers of each datum that depend on this datum alone, got half a batch that "
                f"differs by {mixed / scale:.2g} of what a motion does"
            )
    for k, other in enumerate(problem.replicates):
        theirs = _Asked(problem, other, index, ask.one_by_one)(still())
        if theirs.shape != values.shape:
            raise UserError(
                f"`replicates` must return what `residual` returns, {list(values.shape)}, got {list(theirs.shape)} "
                f"from number {k + 1}"
            )
    per_datum = sum(p.numel() // p.shape[-1] for _, p in calls) // (1 if one_by_one else max(1, len(values)))
    layout = Layout(frames, index, len(calls), max(1, per_datum), weights, ask.one_by_one, torch.finfo(coarse).eps)
    notes = _slopes(ask, motions, layout, derivative, values, coarse)
    return replace(layout, notes=notes)


def _trace(problem: Problem, order: Tensor) -> tuple[Tensor, list[tuple[str, Tensor]], Tensor, bool]:
    """Some of the data, the points moved for them, and the residuals; datum by datum where points are shared."""
    few = order[: min(len(order), 3)]
    move = still()
    with torch.no_grad():
        respond(problem.residual, move, problem.batch(few), len(few))
    if not move.calls:
        raise UserError("`residual` must call `move` on the points of its data, got one that never does")
    points = sum(p.numel() // p.shape[-1] for _, p in move.calls)
    shared = any(p.dim() < 2 or p.numel() // p.shape[-1] % len(few) for _, p in move.calls)
    if shared:
        index, calls = order[:MOST_SINGLE], []
        each: list[Tensor] = []
        for datum in index.split(1):
            move = still()
            with torch.no_grad():
                each.append(respond(problem.residual, move, problem.batch(datum), 1).double().cpu())
            calls += move.calls
        return index, calls, torch.cat(each), True
    index = order[: max(2, min(MOST_DATA, MOST_POINTS * len(few) // points))]
    move = still()
    with torch.no_grad():
        values = respond(problem.residual, move, problem.batch(index), len(index))
    return index, move.calls, values.double().cpu(), False


def _attributable(ask: _Asked, motion: AffineMotions, values: Tensor) -> bool:
    """Whether the points of a datum are the rows of the datum: only the residuals of moved data change."""
    count = len(ask.index)
    if count < 2:
        return True

    def displace(points: Tensor, space: str, call: int) -> Tensor:
        moved = by_datum((points + LENGTH * motion.vectors(points, space).to(points)), count)
        first = (torch.arange(count, device=points.device) < count // 2)[:, None, None]
        return torch.where(first, moved, by_datum(points, count)).reshape(points.shape)

    try:
        change = ask(Moving(displace)) - values
    except (RuntimeError, UserError):
        return False
    whole = _size(change)
    return not whole or _size(change[count // 2 :]) <= SAME * whole or _mixes(ask, values, whole)


def _mixes(ask: _Asked, values: Tensor, scale: float) -> bool:
    """Whether half a batch gives other numbers: then no order of the points is to blame."""
    half = ask.index[: len(ask.index) // 2]
    return _size(_Asked(ask.problem, ask.residual, half, False)(still()) - values[: len(half)]) > SAME * scale


def _changes(ask: _Asked, motions: list[AffineMotions], values: Tensor, length: float) -> Tensor:
    """What random motions do, ``[motions, B, R]``; what is not finite counts as no change."""
    return torch.stack([(ask(motion, length) - values).nan_to_num(0.0, 0.0, 0.0) for motion in motions])


def _share(difference: Tensor, changes: Tensor) -> float:
    """The largest size of a difference ``[B, R]``, number by number, over that of what motions do."""
    size = difference.nan_to_num(0.0, 0.0, 0.0).square().mean(0).sqrt()
    scale = changes.square().mean((0, 1)).sqrt()
    return float(torch.where(size > 0, size / scale.clamp_min(torch.finfo(torch.float64).tiny), 0.0).max())


def _least(ask: _Asked, values: Tensor, dtype: torch.dtype, seed: int) -> Tensor:
    """The change of each number that is none, ``[R]``: by rounding of the data, or by a share of itself."""
    parts = jitter(ask.problem, ask.index, seed)
    like = [p if isinstance(o, Tensor) else p.numpy() for p, o in zip(parts, ask.problem.parts, strict=True)]
    other = replace(ask.problem, data=ask.problem.regroup(like))
    again = _Asked(other, ask.residual, torch.arange(len(ask.index)), ask.one_by_one)(still())
    rounded = (again - values).nan_to_num(0.0, 0.0, 0.0).square().mean(0).sqrt()
    itself = max(ANY, 50 * torch.finfo(dtype).eps) * values.square().mean(0).sqrt()
    return torch.maximum(ROUNDED * rounded, itself)


def _weights(changes: Tensor, least: Tensor) -> Tensor:
    change = changes.square().mean((0, 1)).sqrt()
    return torch.where(change > least, 1 / change.clamp_min(torch.finfo(torch.float64).tiny), 0.0)


def _size(values: Tensor) -> float:
    return float(values.nan_to_num(0.0, 0.0, 0.0).square().mean().sqrt())


def _slopes(
    ask: _Asked,
    motions: list[AffineMotions],
    layout: Layout,
    derivative: Derivative,
    values: Tensor,
    dtype: torch.dtype,
) -> tuple[str, ...]:
    """Compares slopes along random motions: one-sided, over short and long ways, and the gradient's."""
    short, kept = SHORT[dtype], layout.weights.nonzero()[:, 0]
    kept = kept[torch.linspace(0, len(kept) - 1, min(len(kept), MOST_NUMBERS)).long()]
    weights = layout.weights[kept]
    ahead, behind, far, near = [], [], [], []
    for motion in motions:
        forth, back = ((ask(motion, sign * short) - values)[:, kept] / short for sign in (1, -1))
        ahead.append(forth * weights)
        behind.append(-back * weights)
        near.append((forth - back) / 2 * weights)
        far.append((ask(motion, LONG) - ask(motion, -LONG))[:, kept] / (2 * LONG) * weights)
    slope, long = torch.stack(near), torch.stack(far)
    steep = ~torch.isfinite(slope).all(-1).all(0)
    if steep.any():
        raise UserError(
            "`residual` must be finite on data that are moved a little, "
            f"got {float(steep.double().mean()):.0%} of them where it is not"
        )
    gradient = slope
    if derivative == "autograd":
        gradient = _gradients(ask, motions, layout, kept)
        if (wrong := ~torch.isfinite(gradient).all(-1).all(0)).any():
            raise UserError(
                f"`residual` must have finite slopes, got {float(wrong.double().mean()):.0%} of the data where they "
                "are not"
            )
    sides = torch.stack([torch.stack(ahead), torch.stack(behind)])
    flat = _size(sides) <= SMOOTH * 1e-3 * _size(long)
    jumps = flat or _jumps(sides.abs().amax(0), long)
    kink = _size(sides[0] - sides[1]) / max(_size(sides), torch.finfo(torch.float64).tiny)
    hidden = _size(gradient) <= 1e-9 * max(_size(sides), _size(long))
    if jumps and (hidden or derivative == "differences"):
        raise UserError(
            "`residual` must change smoothly with its points, got one that is constant between jumps, as after argmax "
            "or rounding"
        )
    if kink > 1.0 and _size(gradient) <= SLOPES * _size(sides):
        raise UserError(
            "`residual` must have one slope at its data, "
            f"got slopes to both sides that differ by {kink:.2g} of themselves"
        )
    if hidden:
        raise UserError(
            "`residual` must keep the gradient of its points, got numbers that change with them while their gradient "
            "is zero, as after detach; derivative='differences' does without"
        )
    notes = []
    if kink > SLOPES:
        notes.append(f"the residual has a kink at its data: slopes to both sides differ by {kink:.2g} of themselves")
    if (off := _size(gradient - slope) / _size(slope)) > SLOPES:
        notes.append(f"the gradient of the residual is not its slope: they differ by {off:.2g}")
    return tuple(notes)


def _jumps(slope: Tensor, long: Tensor) -> bool:
    """Whether most data do not change at all on short ways, though they do on long ones."""
    moved = long.abs().amax((0, 2)) > 0
    still_there = slope.abs().amax((0, 2)) == 0
    return bool((moved & still_there).double().mean() > 0.5)


def _gradients(ask: _Asked, motions: list[AffineMotions], layout: Layout, kept: Tensor) -> Tensor:
    """Derivatives of some numbers along the motions by reverse mode, ``[motions, B, kept]``."""
    forms = torch.diag(layout.weights)[kept][:, None].expand(-1, len(ask.index), -1)
    linear = linearise(ask.problem, ask.residual, ask.index, forms, one_by_one=ask.one_by_one)
    return torch.stack([_along(linear, motion) for motion in motions]).movedim(1, -1)


def _along(linear: Linearised, motion: AffineMotions) -> Tensor:
    """``[P, B]``."""
    total = torch.zeros_like(linear.values)
    for space, own in linear.spaces.items():
        total = total + torch.einsum("pbnd,bnd->pb", own.gradients, motion.vectors(own.points, space))
    return total
