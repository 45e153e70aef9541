"""Vector fields: fixed functions of the point, K of them at a time."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from symflow.fields.coordinates import Coordinates
from symflow.fields.series import Series


class Field(Protocol):
    """K vector fields on R^d in normalised units."""

    @property
    def coordinates(self) -> Coordinates:
        """The axes of the space."""

    @property
    def generators(self) -> int:
        """The number K of vector fields."""

    def __call__(self, points: Tensor) -> Tensor:
        """``points [..., d]`` to ``vectors [..., K, d]``."""

    def series(self, points: Series) -> Series:
        """The same on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, d]``."""

    def slot(self, k: int) -> Field:
        """The k-th vector field alone, with the same parameters."""


def dtype_of(field: Field) -> torch.dtype | None:
    """The type of a module's parameters, in which it is evaluated; ``None`` for fields of points of any type."""
    held = next(field.parameters(), None) if isinstance(field, nn.Module) else None
    return None if held is None else held.dtype
