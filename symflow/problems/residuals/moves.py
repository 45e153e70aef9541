"""Motions that discovery passes to a residual: those that record, those that move, and the call itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError

from ..problem import IN, Move, Residual
from .frames import Frame

Displace = Callable[[Tensor, str, int], Tensor]
"""``(points, space, number of the call) -> moved points``, of the same shape."""


@dataclass
class Moving:
    """A motion that a residual can call, with tensors or arrays, and that keeps count of its calls."""

    displace: Displace
    calls: list[tuple[str, Tensor]] = field(default_factory=list)
    arrays: bool = False  # whether arrays came, through which no gradient goes

    def __call__(self, points: Any, space: str = IN) -> Any:
        if isinstance(points, np.ndarray):
            self.arrays = True
            moved = self._moved(torch.from_numpy(np.ascontiguousarray(points)), space)
            return moved.detach().numpy()
        return self._moved(points, space)

    def _moved(self, points: Any, space: str) -> Tensor:
        if not isinstance(points, Tensor) or not points.is_floating_point() or not points.dim():
            got = f"{points.dtype} of shape {list(points.shape)}" if isinstance(points, Tensor) else type(points)
            raise UserError(f"`residual` must move points [..., d] of floating-point numbers, got {got}")
        if points.dim() < 2:
            raise UserError(
                f"`residual` must move points [..., d], got shape {list(points.shape)}; z[:, None] are points of one "
                "coordinate"
            )
        known = {name: p.shape[-1] for name, p in self.calls}
        if known.get(space, points.shape[-1]) != points.shape[-1]:
            raise UserError(
                f"`residual` must move points of one dimension in the space {space!r}, "
                f"got {known[space]} and {points.shape[-1]}; name a second space, move(points, space='out')"
            )
        self.calls.append((space, points.detach()))
        return self.displace(points, space, len(self.calls) - 1)


def still() -> Moving:
    """The motion that moves nothing."""
    return Moving(lambda points, space, call: points)


@dataclass(frozen=True)
class AffineMotions:
    """Random affine fields of unit RMS size on the points of every space, ``w -> M w + b`` in whitened units."""

    frames: Mapping[str, Frame]
    matrices: Mapping[str, Tensor]  # [d, d + 1]

    @classmethod
    def random(cls, frames: Mapping[str, Frame], generator: torch.Generator) -> AffineMotions:
        """One such field; its coefficients are independent normal numbers."""
        matrices = {}
        for space, frame in frames.items():
            d = frame.dimension
            draw = torch.randn(d, d + 1, generator=generator, dtype=torch.float64)
            matrices[space] = draw / (d * (d + 1) * len(frames)) ** 0.5
        return cls(frames, matrices)

    def vectors(self, points: Tensor, space: str) -> Tensor:
        """The field at points ``[..., d]``, float64, in the units of the points."""
        frame, matrix = self.frames[space], self.matrices[space]
        w = frame.whiten(points.detach().double().cpu())
        return frame.vectors(w @ matrix[:, :-1].T + matrix[:, -1])

    def by(self, length: float) -> Moving:
        """The motion ``z + length V(z)``."""

        def displace(points: Tensor, space: str, call: int) -> Tensor:
            return points + length * self.vectors(points, space).to(points)

        return Moving(displace)


def respond(residual: Residual, move: Move, batch: Any, count: int) -> Tensor:
    """The residuals of a batch, ``[B, R]``, in the dtype and on the device on which they came.

    Raises:
        UserError: the residual raises an error, or returns anything but real numbers per datum.
    """
    try:
        values = residual(move, batch)
    except UserError:
        raise
    except Exception as error:
        text = (str(error).strip().splitlines() or [""])[0]
        if "numpy()" in text:
            raise UserError(
                "`residual` must be differentiable, got code in numpy; it works with derivative='differences'"
            ) from error
        raise UserError(
            f"`residual` must return numbers for data that are moved, got {type(error).__name__}: {text}"
        ) from error
    if isinstance(values, np.ndarray | np.generic | float | int):
        values = torch.as_tensor(np.asarray(values))
    if not isinstance(values, Tensor):
        raise UserError(f"`residual` must return a tensor or an array, got {type(values).__name__}")
    if values.dim() < 1 or values.shape[0] != count or values.numel() == 0:
        raise UserError(f"`residual` must return [B, ...] for its B = {count} data, got {list(values.shape)}")
    if values.is_complex():
        raise UserError(
            f"`residual` must return real numbers, got {values.dtype}; return their real and imaginary parts"
        )
    return values.reshape(count, -1)
