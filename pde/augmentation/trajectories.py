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
from symflow.fields import Field, GridField, Network, NeuralField, SymbolicField, Table
from symflow.ops import LEAST_ROWS, check_is_field

from ..trajectories import UNIFORM, Trajectories
from .allowed import mixing
from .grids import grid_of
from .measure import sample, whitener

NODES = (64, 65, 33)  # of a table, in x, t and u


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

    Convention: fields must keep the grid of the data, or they tear it: have its periods, and leave the ends of open
    axes where they are. Rows are valid where all of their sources are within the times of the data, so a shift in time
    costs rows at one end. On a periodic line sources are found by `symflow.resample`, flows are computed in the dtype
    of u, in which the field's own tensors must be, and positions are float64. On any other grid (systems, boxes, walls,
    orbits) the field is closed forms that move variables independently of unknowns, the source of a node is where the
    flow backwards takes it, values between nodes are those of polynomials of degree five, and all of it is float64.
    A trajectory's result does not depend on the others in the batch, to the bit.

    The field is copied: it moves with the module (`.to`), and takes no part in training.

    Args:
        field: in the variables and unknowns of the data, any; or what `pde.discover` found, of which those closed forms
            are used that are valid for the data and keep their grid (`Result.along`).
        data: of which the grid and the measure are taken; at least 6 times, uniform ones on a periodic line.
        strength: in normalised units of the field's coordinates, at least 0.
        steps: of the Runge-Kutta method that follows the flow.
        unproved: use what is not valid for the data, too, of what was found. A field is used as it is given.

    Raises:
        UserError: the times are too few or not uniform, values are missing, a field does not keep the grid of the data,
            or nothing that was found is valid for them.
        ValueError: the field is not one in the variables of the data, its generators are dependent on the data, or
            ``strength`` is negative or not finite; or shapes do not fit the grid.
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
        if not isinstance(field, Discovered):
            check_is_field(field)
        owned = _owned(field.along(data, unproved) if isinstance(field, Discovered) else field)
        _check_field(owned, data)
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength < math.inf:
            raise ValueError(f"`strength` must be a finite number of at least 0, got {strength!r}")
        _check_data(data)
        self.field, self.strength, self.steps = owned, float(strength), steps
        self.grid = grid_of(data)
        weighting = whitener(owned, sample(data), data)
        like = next(owned.parameters()) if isinstance(owned, nn.Module) else weighting
        self.register_buffer("whitener", weighting.to(like))

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
            u: ``[B, T, ...]`` on the grid of the data and laid out as they are, physical.
            weights: ``[B, K]``; zeros leave a trajectory as it is.

        Returns:
            The values, of the shape of u, physical, and the valid rows ``[B, T]``, boolean. In other rows, nodes
            without a source or a finite value are 0.
        """
        self._check(u, weights)
        values, support = self.grid.moved(self.field, u, weights.to(u), self.steps)
        finite = values.isfinite()
        return values.masked_fill(~finite, 0.0).to(u.dtype), (support & finite).flatten(2).all(-1)

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """`draw` and `move`."""
        return self.move(u, self.draw(len(u)))

    def _check(self, u: Tensor, weights: Tensor) -> None:
        for name, tensor in (("u", u), ("weights", weights)):
            if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
                got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                raise TypeError(f"`{name}` must be a floating-point tensor, got {got}")
        names, sizes = ", ".join(self.grid.sizes), list(self.grid.sizes.values())
        if list(u.shape[1:]) != sizes:
            raise ValueError(f"`u` must have shape [B, {names}] = [B, {str(sizes)[1:-1]}], got {list(u.shape)}")
        if weights.shape != (len(u), self.field.generators):
            expected = [len(u), self.field.generators]
            raise ValueError(f"`weights` must have shape [B, K] = {expected}, got {list(weights.shape)}")

    def extra_repr(self) -> str:
        return f"generators={self.field.generators}, strength={self.strength}, steps={self.steps}"


class AugmentedTrajectories(Dataset[dict[str, Any]]):
    """Trajectories and moved copies of them, each made when it is asked for.

    Item i is copy ``i % copies`` of trajectory ``i // copies``; copy 0 is the trajectory itself. An item depends on
    ``(seed, epoch, trajectory, copy)`` alone, whichever process asks, and lies on the device of ``augment``, in its
    dtype: a dictionary of ``u [T, ...]``, ``valid [T]``, ``weights [K]`` and the number of the trajectory, ``source``.

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


# ---- what can be moved ----------------------------------------------------------------------------------------------


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


def _check_data(data: Trajectories) -> None:
    """Times that can be interpolated between, and nothing missing."""
    if data.missing is not None:
        raise UserError("`data` must have no missing values to be augmented")
    if set(data.fields) != set(data.equation.space.dependent):
        raise UserError(
            f"`data` must hold the unknowns {', '.join(data.equation.space.dependent)} of their equation alone to be "
            f"augmented, got {', '.join(data.fields)}"
        )
    if len(data.t) < LEAST_ROWS:
        raise UserError(f"`data` must have at least {LEAST_ROWS} times to be augmented, got {len(data.t)}")
    steps = data.t.diff()
    if data.on_line and float((steps / steps.mean() - 1).abs().max()) > UNIFORM:
        raise UserError(
            "`data` must have uniform times to be augmented, "
            f"got spacings from {float(steps.min()):g} to {float(steps.max()):g}"
        )


def _check_field(field: Field, data: Trajectories) -> None:
    """On the variables of the data, and one that their grid can be moved along."""
    names = field.coordinates.names
    wanted = data.equation.space.names
    if names != wanted:
        raise ValueError(f"`field` must have the coordinates {', '.join(wanted)}, got {', '.join(names)}")
    if data.on_line:
        return
    if set(data.equation.space.independent) != {"t", *(axis.name for axis in data.axes)}:
        raise UserError(
            f"`data` must have the axes of their equation to be augmented, {', '.join(data.equation.space.independent)}"
            f", got t, {', '.join(axis.name for axis in data.axes)}"
        )
    if not isinstance(field, SymbolicField):
        raise UserError(
            f"`field` must be closed forms for data that are not one unknown u on a periodic line, got "
            f"{type(field).__name__}"
        )
    variables = field.symbols[: len(data.equation.space.independent)]
    for components in field.components:
        if (mixed := mixing(components, variables, field.symbols)) is not None:
            raise UserError(
                "`field` must move variables independently of unknowns for data that are not one unknown u on a "
                f"periodic line, got one that moves {mixed[0]} by {mixed[1]}"
            )
