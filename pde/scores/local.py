"""The residual of a transformed solution by the paper's local interpolation of its scattered points.

For data whose derivatives are not available: nothing but the values ``u`` on the grid is used. A patch of grid points
``(x, t, u)`` moves with the flow; at every interior point polynomials through index neighbours give the derivatives of
the surface that the moved points lie on, and the equation gives the residual (paper, section 4.2 and appendix D.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from symflow.errors import UserError
from symflow.fields import Coordinates, Field, dtype_of
from symflow.ops import flow
from symflow.problems import Problem
from symflow.runs import one_thread

from ..equations import Equation, derivative_order
from ..symmetries import SOFTENING
from ..trajectories import Trajectories
from .jets import unit_weights
from .stencils import GridScales, derivatives, margin

THRESHOLD = 0.0015  # of the size of the terms: what the paper's absolute 1e-4 is on KdV
CHUNK_POINTS = 8192  # per differentiation: keeps the intermediate tensors near the cache and under 50 MB


class _RowByRow(torch.autograd.Function):
    """Numbers that each depend on one row of a tensor, and their gradient, in chunks of rows."""

    @staticmethod
    def forward(ctx: Any, function: Callable[[Tensor], Tensor], rows: Tensor, chunk: int) -> Tensor:
        numbers, gradients = [], []
        for part in rows.split(chunk):
            with torch.enable_grad():
                part = part.detach().requires_grad_()
                number = function(part)
                gradients.append(torch.autograd.grad(number.sum(), part)[0])
            numbers.append(number.detach())
        ctx.save_for_backward(torch.cat(gradients))
        return torch.cat(numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
        (gradients,) = ctx.saved_tensors
        return None, grad.view(-1, *([1] * (gradients.dim() - 1))) * gradients, None


@dataclass(frozen=True)
class LocalResidual:
    """The residual of moved patches of one data set, and its two averages.

    The constants in it (`grid`, `softening`, `size`) are those of the data before any flow, so that a patch's
    numbers do not depend on the patches beside it.
    """

    equation: Equation
    coordinates: Coordinates
    grid: GridScales  # normalised
    softening: float  # added to the squared terms: 1e-3 of their median
    size: float  # of the terms: the geometric mean of the root of their summed squares

    @staticmethod
    @one_thread()
    def of(equation: Equation, coordinates: Coordinates, data: Trajectories) -> LocalResidual:
        """Measures the constants on at most 8 trajectories of the data.

        Raises:
            UserError: the data have fewer than 3 times, or fewer points in x than the stencils.
        """
        if coordinates.names != ("x", "t", "u"):
            raise ValueError(f"`coordinates` must have the axes x, t, u, got {', '.join(coordinates.names)}")
        if len(data.t) < 3 or len(data.x) < 2 * margin(equation.order) + 1:
            raise UserError(
                f"local interpolation needs 3 times and {2 * margin(equation.order) + 1} points in x, "
                f"got {len(data.t)} and {len(data.x)}"
            )
        some = data[:: -(-len(data) // 8)]
        points = cut(some, coordinates, torch.tensor([[s, 0, 0] for s in range(len(some))]), len(data.t), len(data.x))
        u = points[..., 2]
        spacing = data.length / len(data.x), float(data.t[-1] - data.t[0]) / (len(data.t) - 1)
        grid = GridScales(
            (spacing[0] / coordinates.scale[0], spacing[1] / coordinates.scale[1]),
            data.length / coordinates.scale[0],
            max(float(u.diff(dim=-1).square().mean() + u.diff(dim=-2).square().mean()), torch.finfo(u.dtype).tiny),
        )
        bare = LocalResidual(equation, coordinates, grid, 0.0, 0.0)
        squares = [bare(part)[1] for part in points.split(1)]
        tiny = torch.finfo(torch.float64).tiny
        return LocalResidual(
            equation,
            coordinates,
            grid,
            max(SOFTENING * float(torch.cat(squares).median()), tiny),
            float(torch.cat(squares).clamp_min(tiny).log().mean().div(2).exp()),
        )

    @cached_property
    def orders(self) -> tuple[int, ...]:
        """The orders of the x-derivatives that K contains."""
        return tuple(sorted({derivative_order(s) or 1 for s in self.equation.K.free_symbols}))

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The residual and the sum of squares of its terms, in physical units, at the moved interior points.

        Args:
            points: ``[P, T, X, 3]``, normalised.

        Returns:
            both ``[P, T - 2, X - 2 margin]``.
        """
        found, u_t = derivatives(points, self.orders, self.grid)
        scale = self.coordinates.scale
        m = margin(max(self.orders))
        x, t, u = self.coordinates.to_physical(points[:, 1:-1, m:-m]).unbind(-1)
        u_t = u_t * (scale[2] / scale[1])
        jet = [u] + [
            found[k] * (scale[2] / scale[0] ** k) if k in found else u.new_zeros(())
            for k in range(1, self.equation.order + 1)
        ]
        return self.equation.residual_terms(x, t, jet, u_t)

    def square_mean(self, points: Tensor) -> Tensor:
        """``mean(residual^2 / (sum of squared terms + 1e-3 median))`` of each patch, ``[P]``."""

        def relative(patches: Tensor) -> Tensor:
            residual, squares = self(patches)
            return (residual.square() / (squares + self.softening)).mean((1, 2))

        return self._chunked(relative, points)

    def log_mean(self, points: Tensor, threshold: float = THRESHOLD) -> Tensor:
        """``mean(log max(|residual|, threshold size))`` of each patch, ``[P]``.

        The paper's score, with a threshold relative to the size of the equation's terms instead of an absolute 1e-4.
        """
        least = threshold * self.size

        def logarithm(patches: Tensor) -> Tensor:
            return self(patches)[0].abs().clamp_min(least).log().mean((1, 2))

        return self._chunked(logarithm, points)

    def _chunked(self, function: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
        chunk = max(1, CHUNK_POINTS // (points.shape[1] * points.shape[2]))
        if torch.is_grad_enabled() and points.requires_grad:
            row_by_row: Callable[..., Tensor] = _RowByRow.apply
            return row_by_row(function, points, chunk)
        return torch.cat([function(part) for part in points.split(chunk)])


def cut(data: Trajectories, coordinates: Coordinates, corners: Tensor, height: int, width: int) -> Tensor:
    """Patches of the data as points: ``[P, height, width, 3]``, columns x, t, u, normalised, float64.

    A patch that reaches over the right end goes on at the left end; its x does not jump.

    Args:
        corners: ``[P, 3]``, trajectory, first time and first column of each patch.
    """
    s, n, i = corners.unbind(1)
    rows = n[:, None] + torch.arange(height)
    columns = i[:, None] + torch.arange(width)
    u = data.u[s[:, None, None], rows[:, :, None], columns[:, None, :] % len(data.x)]
    x = data.x[0] + columns * (data.length / len(data.x))
    points = torch.stack([x[:, None, :].expand_as(u), data.t[rows][:, :, None].expand_as(u), u], -1)
    return coordinates.to_normalised(points)


def random_corners(data: Trajectories, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """``[count, 3]``: different trajectories while there are enough, any time that leaves room, any column."""
    rounds = -(-count // len(data))
    s = torch.cat([torch.randperm(len(data), generator=generator) for _ in range(rounds)])[:count]
    n = torch.randint(len(data.t) - height + 1, (count,), generator=generator)
    i = torch.randint(len(data.x), (count,), generator=generator)
    return torch.stack([s, n, i], 1)


@dataclass(frozen=True)
class LocalScore:
    """How far solutions moved along generators are from solutions, by local interpolation alone.

    ``sqrt(mean (residual / size)^2)`` over the points of patches that have moved along generator k for the time
    ``length`` (every second patch for ``-length``), the generator divided by its RMS norm on the patches before they
    move. The size of a residual is ``sqrt(sum of its squared terms + 1e-3 median)``, so a score is at most
    ``sqrt(number of terms)``. See `LocalResidual` and the module for how derivatives are found.

    Convention: derivatives are as good as the data's grid; `Trajectories.coarsen` to the paper's 256 points first if
    the paper's floor is wanted. The same seed gives the same patches. First derivatives only, by reverse mode.

    Args:
        equation: that the data solve.
        coordinates: the axes x, t, u.
        data: the trajectories.
        length: of the flow, in units where the generator has RMS norm 1.
        steps: of the flow.
        patches: how many are drawn, of 32 x 32 points or what the data hold.
        seed: of the draw.

    >>> from symflow import Coordinates, SymbolicField
    >>> from symflow.pde.generation import generate
    >>> data = generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=20.0)
    >>> axes = Coordinates(("x", "t", "u"), (128.0, None, None), (0.0, 13.0, 0.0), (128.0, 7.0, 0.1))
    >>> score = LocalScore(data.equation, axes, data, patches=4)
    >>> score(SymbolicField(axes, [{"dx": "1"}, {"du": "u"}])) < 2 * score.floor
    tensor([ True, False])
    """

    equation: Equation
    coordinates: Coordinates
    data: Trajectories
    length: float = 0.2
    steps: int = 4
    patches: int = 16
    seed: int = 0

    @cached_property
    def residual(self) -> LocalResidual:
        """What is averaged."""
        return LocalResidual.of(self.equation, self.coordinates, self.data)

    @cached_property
    def points(self) -> Tensor:
        """The patches before they move, ``[patches, T, X, 3]``, normalised, float64."""
        height, width = min(32, len(self.data.t)), min(32, len(self.data.x))
        generator = torch.Generator().manual_seed(self.seed)
        return cut(
            self.data,
            self.coordinates,
            random_corners(self.data, self.patches, height, width, generator),
            height,
            width,
        )

    def __call__(self, field: Field) -> Tensor:
        """The scores ``[K]``, in the field's dtype."""
        moved = self._moved(field)
        return self.residual.square_mean(moved).view(field.generators, -1).mean(1).sqrt()

    def log_score(self, field: Field) -> Tensor:
        """The paper's form, ``mean log max(|residual|, threshold)``, ``[K]``."""
        return self.residual.log_mean(self._moved(field)).view(field.generators, -1).mean(1)

    @cached_property
    def floor(self) -> float:
        """The score of a flow of length 0."""
        return float(self.residual.square_mean(self.points).mean().sqrt())

    @cached_property
    def log_floor(self) -> float:
        """The `log_score` of a flow of length 0."""
        return float(self.residual.log_mean(self.points).mean())

    def problem(self) -> Problem:
        """The residuals of the patches as a problem of `symflow.discover`, in physical units.

        What it finds is what this score can tell: with derivatives from a grid the shear ``x dt`` and others lie at the
        floor of the symmetries, and the count is not clear. Jets, whose derivatives are those of the data themselves,
        stay the score of `pde.discover` for that reason.
        """

        def residual(move: Any, patches: Tensor) -> Tensor:
            found, squares = self.residual(self.coordinates.to_normalised(move(patches)))
            relative: Tensor = found / (squares + self.residual.softening).sqrt()
            return relative

        names = Coordinates(self.coordinates.names)
        return Problem(residual, self.coordinates.to_physical(self.points), coordinates=names, zero=True)

    def _moved(self, field: Field) -> Tensor:
        """``[K * patches, T, X, 3]``."""
        points = self.points.to(dtype_of(field) or self.points.dtype)
        K, P = field.generators, len(points)
        signs = self.length * (1 - 2 * (torch.arange(P) % 2)).to(points.dtype)
        unit = torch.diag(unit_weights(field, points.flatten(0, 2)))
        weights = unit[:, None, :] * signs[:, None]  # [K, P, K]: one generator per row
        start = points.flatten(1, 2).expand(K, -1, -1, -1).flatten(0, 1)
        return flow(field, start, weights.flatten(0, 1), steps=self.steps).view(K * P, *points.shape[1:])
