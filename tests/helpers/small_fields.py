"""Coordinates with and without periods, and points in them."""

import torch
from torch import Tensor

from symflow import Coordinates

MIXED = Coordinates(("x", "t", "u"), periods=(4.0, None, 1.0), offset=(1.0, 0.0, 0.0), scale=(2.0, 1.0, 0.5))


def points(n: int = 50, d: int = 3) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
