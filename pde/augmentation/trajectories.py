"""Augmentation of trajectories: along vector fields, back on the grid, with what that leaves of the equation."""

from __future__ import annotations

import copy
import math
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from symflow.errors import UserError, check_integer
from symflow.fields import Field, GridField, Network, NeuralField, Series, SymbolicField, Table, series
from symflow.formulas import expressions
from symflow.ops import LEAST_ROWS, check_is_field, flow, has_kernel, resample
from symflow.runs import one_thread

from ..trajectories import UNIFORM, BothSides, Trajectories, filtered

AXES = ("x", "t", "u")
SAMPLE = 4096  # points of the fixed measure under which displacements have a size
DEPENDENT = 1e-10  # eigenvalue of the correlations below which fields are no longer told apart
PERIODIC = 1e-3  # relative change over a period from which a field would tear the grid
CHUNK = 1 << 20  # points that are moved at a time: bounds the memory
NODES = (64, 65, 33)  # of a table, in x, t and u
ORDER = 8  # of the differences in time of `residuals`


@runtime_checkable
class Discovered(Protocol):
    """What a discovery found, as far as augmentation needs to know."""

    def along(self, data: Trajectories, unproved: bool = False) -> SymbolicField:
        """Those of its generators that data may be moved along."""


class TrajectoryAugment(nn.Module):
    """Moves every trajectory along a random combination of generators and reads it on its own grid again.

    ``w = G^(-1/2) b`` with b uniform in the ball of radius ``strength`` in R^K and ``G_kl = mean V_k . V_l``, in
    normalised units, over a fixed sample of the points ``(x, t, u)`` of the data. The root mean square displacement of
    a point is ``|b|`` to first order: at most ``strength``, and distributed alike for every basis of one span, learned
    or exact. Each trajectory has its own weights, from torch's own generator of the module's device:
    ``torch.manual_seed`` decides them.

    Convention: solutions are periodic in x on the grid of the data; fields must be so too, or they tear it. Rows are
    valid where `symflow.resample` finds all of their sources within the times of the data, so a shift in time costs
    rows at one end. Flows are computed in the dtype of u, in which the field's own tensors must be; positions are
    float64. A trajectory's result does not depend on the others in the batch, to the bit.

    The field is copied: it moves with the module (`.to`), and takes no part in training.

    Args:
        field: in ``(x, t, u)``, any; or what `pde.discover` found, of which those closed forms are used that are valid
            for the data and have their period (`Result.along`).
        data: of which the grid and the measure are taken; at least 6 uniform times.
        strength: in normalised units of the field's coordinates, at least 0.
        steps: of the Runge-Kutta method that follows the flow.
        unproved: use what is not valid for the data, too, of what was found. A field is used as it is given.

    Raises:
        UserError: the times are too few or not uniform, a field has not the period of the data, or nothing that was
            found is valid for them.
        ValueError: the field is not one in (x, t, u), its generators are dependent on the data, or ``strength`` is
            negative or not finite; or shapes do not fit the grid.
        TypeError: u is no floating-point tensor.

    >>> from symflow import Coordinates, SymbolicField, pde
    >>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
    >>> axes = Coordinates(("x", "t", "u"), scale=(128.0, 10.0, 1.0))
    >>> field = SymbolicField(axes, pde.CATALOGUE["ckdv"].symmetries[:2])
    >>> augment = TrajectoryAugment(field, data, strength=0.1)
    >>> values, valid = augment(data.u)
    >>> values.shape, bool(valid.all())
    (torch.Size([2, 20, 512]), True)
    """

    whitener: Tensor

    def __init__(
        self, field: Field | Discovered, data: Trajectories, strength: float, *, steps: int = 4, unproved: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(data, Trajectories):
            raise UserError(f"`data` must be trajectories, got {type(data).__name__}")
        data.require_line("augmentation")
        if not isinstance(field, Discovered):
            check_is_field(field)
        owned = _owned(field.along(data, unproved) if isinstance(field, Discovered) else field)
        if owned.coordinates.names != AXES:
            got = ", ".join(owned.coordinates.names)
            raise ValueError(f"`field` must have the coordinates {', '.join(AXES)}, got {got}")
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength < math.inf:
            raise ValueError(f"`strength` must be a finite number of at least 0, got {strength!r}")
        _check_times(data.t)
        self.field, self.strength, self.steps = owned, float(strength), steps
        self.columns, self.rows = len(data.x), len(data.t)
        self.left, self.period = float(data.x[0]), data.length
        self.times = (float(data.t[0]), float(data.t[-1]))
        whitener = _whitener(owned, _sample(data), self.period)
        like = next(owned.parameters()) if isinstance(owned, nn.Module) else whitener
        self.register_buffer("whitener", whitener.to(like))

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Weights for so many trajectories, ``[count, K]``: by a generator, on its device, or by torch's own."""
        device = self.whitener.device if generator is None else generator.device
        options: dict[str, Any] = {"generator": generator, "dtype": self.whitener.dtype, "device": device}
        direction = torch.randn(count, self.field.generators, **options)
        radius = torch.rand(count, 1, **options) ** (1 / self.field.generators)
        b = self.strength * radius * nn.functional.normalize(direction, dim=1)
        return b.to(self.whitener.device) @ self.whitener

    def move(self, u: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Trajectories along ``sum_k weights[b, k] V_k`` for time 1.

        Args:
            u: ``[B, T, X]`` on the grid of the data, physical.
            weights: ``[B, K]``; zeros leave a trajectory as it is.

        Returns:
            The values ``[B, T, X]``, physical, and the valid rows ``[B, T]``, boolean. In other rows, nodes without
            a source or a finite value are 0.
        """
        self._check(u, weights)
        each = max(1, CHUNK // (self.rows * self.columns))
        if u.device.type == "cpu" and not has_kernel(self.field, u):
            each = 1  # elementwise functions of a processor may round by the place in the batch
        weights = weights.to(u)
        starts = range(0, max(len(u), 1), each)
        parts = [self._move(u[i : i + each], weights[i : i + each]) for i in starts]
        return torch.cat([values for values, _ in parts]), torch.cat([valid for _, valid in parts])

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """`draw` and `move`."""
        return self.move(u, self.draw(len(u)))

    def _move(self, u: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        c = self.field.coordinates
        exact: dict[str, Any] = {"dtype": torch.float64, "device": u.device}
        x = torch.arange(self.columns, **exact) * (self.period / self.columns)
        t = torch.arange(self.rows, **exact) * ((self.times[1] - self.times[0]) / (self.rows - 1)) + self.times[0]
        grid = torch.stack(torch.broadcast_tensors(x, t[:, None], torch.zeros((), **exact)), -1)  # [T, X, 3]
        origin = torch.tensor([self.left, 0.0, 0.0], **exact)
        # of the points' own normalised values, only u's depend on the trajectory
        start = c.to_normalised(grid + origin).to(u.dtype).expand(len(u), -1, -1, -1).clone()
        start[..., 2] = (u - c.offset[2]) / c.scale[2]
        field: Field = self.field
        if isinstance(field, SymbolicField):
            field, weights = _Combination(field, weights), torch.ones_like(weights[:, :1])
        end = flow(field, start.flatten(1, 2), weights, steps=self.steps).view_as(start)
        # Displacements, not end points, are converted: what does not move is not rounded.
        points = c.vectors_to_physical((end - start).double()) + grid
        points[..., 2] += u
        values, support = resample(points, period=self.period, times=self.times)
        finite = values.isfinite()
        return values.masked_fill(~finite, 0.0).to(u.dtype), (support & finite).all(-1)

    def _check(self, u: Tensor, weights: Tensor) -> None:
        for name, tensor in (("u", u), ("weights", weights)):
            if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
                got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                raise TypeError(f"`{name}` must be a floating-point tensor, got {got}")
        if u.dim() != 3 or u.shape[1:] != (self.rows, self.columns):
            raise ValueError(f"`u` must have shape [B, T, X] = [B, {self.rows}, {self.columns}], got {list(u.shape)}")
        if weights.shape != (len(u), self.field.generators):
            expected = [len(u), self.field.generators]
            raise ValueError(f"`weights` must have shape [B, K] = {expected}, got {list(weights.shape)}")

    def extra_repr(self) -> str:
        return f"generators={self.field.generators}, strength={self.strength}, steps={self.steps}"


class AugmentedTrajectories(Dataset[dict[str, Any]]):
    """Trajectories and moved copies of them, each made when it is asked for.

    Item i is copy ``i % copies`` of trajectory ``i // copies``; copy 0 is the trajectory itself. An item depends on
    ``(seed, epoch, trajectory, copy)`` alone, whichever process asks, and lies on the device of ``augment``, in its
    dtype: a dictionary of ``u [T, X]``, ``valid [T]``, ``weights [K]`` and the number of the trajectory, ``source``.

    Args:
        data: on the grid that ``augment`` was made for.
        augment: what moves them.
        copies: of each trajectory, itself included.
        seed: of the weights.

    Raises:
        ValueError: ``copies`` is below 1 or the seed below 0.

    >>> from symflow import Coordinates, SymbolicField, pde
    >>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
    >>> augment = TrajectoryAugment(SymbolicField(Coordinates(("x", "t", "u")), [{"dx": "1"}]), data, strength=1.0)
    >>> more = AugmentedTrajectories(data, augment, copies=4)
    >>> len(more), more[5]["source"], bool((more[4]["u"] == data.u[1]).all())
    (8, 1, True)
    """

    def __init__(self, data: Trajectories, augment: TrajectoryAugment, copies: int, seed: int = 0) -> None:
        for name, value, least in (("copies", copies, 1), ("seed", seed, 0)):
            check_integer(name, value, least, error=ValueError)
        self.data, self.augment, self.copies, self.seed = data, augment, copies, seed
        # in memory that the workers of a loader share, for those that outlive an epoch
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """New weights for every copy, as samplers of torch do it; also for workers that are persistent."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.data) * self.copies

    def __getitem__(self, i: int) -> dict[str, Any]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"item {i} of {len(self)}")
        source, number = divmod(i % len(self), self.copies)
        u = self.data.u[source : source + 1].to(self.augment.whitener)
        if number == 0:
            valid = torch.ones(u.shape[:2], dtype=torch.bool, device=u.device)
            weights = u.new_zeros(1, self.augment.field.generators)
        else:
            weights = seeded_weights(self.augment, self.seed, source, number, int(self._epoch))
            u, valid = self.augment.move(u, weights)
        return {"u": u[0], "valid": valid[0], "weights": weights[0], "source": source}


def tabulated(field: Field, data: Trajectories) -> GridField:
    """The field on a table, whose flow takes a fortieth of the time of a network's.

    It reaches half the time span and half the range of u of the data beyond them, and is constant farther out. Affine
    fields stay as they are to rounding; between the nodes a field with second derivatives changes by their size times
    an eighth of the squared spacing, which is 1e-4 or less of `pde.discover`'s.

    Args:
        field: in ``(x, t, u)``, with the period of the data.
        data: whose extent it is.

    >>> from symflow import Coordinates, SymbolicField, pde
    >>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
    >>> boost = SymbolicField(Coordinates(("x", "t", "u"), periods=(data.length, None, None)), [{"dx": "t", "du": "1"}])
    >>> point = torch.tensor([3.0, 7.7, 0.1], dtype=torch.float64)
    >>> torch.allclose(tabulated(boost, data)(point), boost(point))
    True
    """
    (t0, t1), (u0, u1) = (float(data.t[0]), float(data.t[-1])), (float(data.u.min()), float(data.u.max()))
    left, t, u = float(data.x[0]), (t1 - t0) / 2, (u1 - u0) / 2
    ends = torch.tensor([[left, t0 - t, u0 - u], [left, t1 + t, u1 + u]], dtype=torch.float64)
    (_, *lower), (_, *upper) = field.coordinates.to_normalised(ends).tolist()
    return GridField.tabulate(field, NODES, (None, *lower), (None, *upper))


def seeded_weights(augment: TrajectoryAugment, seed: int, source: int, number: int, epoch: int = 0) -> Tensor:
    """The weights ``[1, K]`` of one copy of one trajectory, the same on every device."""
    state = np.random.SeedSequence((seed, epoch, source, number)).generate_state(1, np.uint64)
    return augment.draw(1, torch.Generator().manual_seed(int(state[0])))


def windows(valid: Tensor, length: int) -> Tensor:
    """Where a window of valid rows may start: ``[B, T]`` to ``[B, T]``, both boolean.

    Raises:
        ValueError: ``length`` is below 1 or above the number of rows.

    >>> windows(torch.tensor([[False, True, True, True, False]]), 2).tolist()
    [[False, True, True, False, False]]
    """
    if not 1 <= length <= valid.shape[-1]:
        raise ValueError(f"`length` must be from 1 to the number of rows {valid.shape[-1]}, got {length}")
    return nn.functional.pad(valid.unfold(-1, length, 1).all(-1), (0, length - 1), value=False)


@one_thread()
def residuals(data: Trajectories, values: Tensor, valid: Tensor) -> Tensor:
    """How far moved trajectories are from solving the equation: `Trajectories.residual` of each by itself, ``[B]``.

    Of rows that have four valid ones on either side; NaN where there is none. ``residuals(data, data.u,
    torch.ones(len(data), len(data.t), dtype=torch.bool))`` are the data's own.

    Args:
        data: whose grid and equation they are.
        values: ``[B, T, X]``.
        valid: ``[B, T]``.

    Raises:
        UserError: the data have fewer than 9 times.
    """
    sides = BothSides(data, ORDER)
    rows = valid.cpu().unfold(1, ORDER + 1, 1).all(-1)
    found = torch.full((len(values),), math.nan, dtype=torch.float64)
    for i, u in enumerate(values.detach().to("cpu", torch.float64)):
        u = u.where(valid[i, :, None].cpu(), 0.0)
        if bool(rows[i].any()):
            u_t, K = sides.u_t(u)[rows[i]], sides.K(filtered(u[sides.inside]))[rows[i]]
            round_off = sides.round_off(u)
            size = u_t.square().mean() + K.square().mean() + 2 * round_off * round_off
            found[i] = ((u_t + K).square().mean() / size).sqrt() if bool(size > 0) else 0.0
    return found


class _Combination:
    """``sum_k weights[b, k] V_k`` of closed forms as one field on points ``[B, N, 3]``: what is 0 costs nothing."""

    generators = 1

    def __init__(self, field: SymbolicField, weights: Tensor) -> None:
        self.coordinates, self._field, self._weights = field.coordinates, field, weights[:, :, None]

    def __call__(self, points: Tensor) -> Tensor:
        physical = self.coordinates.to_physical(points).unbind(-1)
        values = dict(zip(self._field.symbols, physical, strict=True))
        columns = []
        for i, like in enumerate(physical):
            column = torch.zeros_like(like)
            for k, components in enumerate(self._field.components):
                if components[i] != 0:
                    value = expressions.evaluate(components[i], values, series.FUNCTIONS)
                    column = column + self._weights[:, k] * value
            columns.append(column)
        return self.coordinates.vectors_to_normalised(torch.stack(columns, -1))[..., None, :]

    def series(self, points: Series) -> Series:
        raise NotImplementedError("a combination has values only")

    def slot(self, k: int) -> Field:
        return self


# ---- the span and its measure ---------------------------------------------------------------------------------------


def _owned(field: Field) -> Field:
    """A copy that the module may move, where there is something to move."""
    if isinstance(field, Network):
        width, head_width = field.layers[1].shape[0], field.layers[5].shape[1]
        made = NeuralField(field.coordinates, field.generators, width, head_width).to(field.layers[0])
        for parameter, layer in zip(made.layers, field.layers, strict=True):
            parameter.data.copy_(layer)
        field = made
    if isinstance(field, Table):
        field = GridField(field.coordinates, field.values.detach(), field.lower, field.upper)
    return copy.deepcopy(field).requires_grad_(False) if isinstance(field, nn.Module) else field


def _check_times(t: Tensor) -> None:
    if len(t) < LEAST_ROWS:
        raise UserError(f"`data` must have at least {LEAST_ROWS} times to be augmented, got {len(t)}")
    steps = t.diff()
    if float((steps / steps.mean() - 1).abs().max()) > UNIFORM:
        raise UserError(
            "`data` must have uniform times to be augmented, "
            f"got spacings from {float(steps.min()):g} to {float(steps.max()):g}"
        )


def _sample(data: Trajectories) -> Tensor:
    """Points ``(x, t, u)`` of the data, physical: all of them or a fixed draw, ``[N, 3]``."""
    count = data.u.numel()
    which = torch.arange(count)
    if count > SAMPLE:
        which = torch.randint(count, (SAMPLE,), generator=torch.Generator().manual_seed(0))
    columns, rows = len(data.x), len(data.t)
    return torch.stack([data.x[which % columns], data.t[which // columns % rows], data.u.flatten()[which]], -1)


@torch.no_grad()
@one_thread()
def _whitener(field: Field, sample: Tensor, period: float) -> Tensor:
    """``G^(-1/2)``, ``[K, K]``, float64, for a field that has the period.

    Raises:
        ValueError: the generators are dependent on the sample.
        UserError: some combination of unit size changes by more than `PERIODIC` over the period.
    """
    if isinstance(field, nn.Module):
        field = copy.deepcopy(field).double()
        sample = sample.to(next(field.parameters()).device)
    here = field(field.coordinates.to_normalised(sample))  # [N, K, d]
    there = field(field.coordinates.to_normalised(sample + sample.new_tensor([period, 0.0, 0.0])))
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
    whitener: Tensor = vectors / values.sqrt() @ vectors.T
    jump = torch.einsum("nkd,nld->kl", there - here, there - here) / len(here)
    change = math.inf  # a field may not exist one period on: exp(x) overflows there
    if bool(jump.isfinite().all()):
        change = math.sqrt(max(float(torch.linalg.eigvalsh(whitener @ jump @ whitener)[-1]), 0.0))
    if not change <= PERIODIC:
        raise UserError(
            f"`field` must have the period {period:g} of the data in x, got one that changes by {change:.1g} of its "
            "size over it: it would tear the grid; leave out the generators that depend on x, or discover with "
            "`domain` periodic"
        )
    return whitener
