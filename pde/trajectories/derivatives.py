"""Derivatives of values on a grid: spectral in x with the round-off left out, by differences in t."""

from __future__ import annotations

import torch
from torch import Tensor

PLATEAU = 1e-14  # modes below this, relative to the largest, are round-off and take no part in derivatives


def filtered(u: Tensor) -> Tensor:
    """Fourier coefficients of rows ``[..., X]`` below the highest cosine, zero where only round-off is left."""
    points = u.shape[-1]
    v: Tensor = torch.fft.rfft(u, norm="forward")[..., : (points + 1) // 2]
    size = v.abs()
    meaningful = size > PLATEAU * size.amax(-1, keepdim=True)
    # from the last meaningful mode on, nothing is kept: a smooth function, not one with gaps
    kept: Tensor = meaningful.to(torch.uint8).flip(-1).cummax(-1).values.flip(-1)
    return v * kept


def difference_weights(t: Tensor, order: int) -> Tensor:
    """Weights ``[T - order, order + 1]`` of d/dt at the middle of each window of ``order + 1`` times.

    Lagrange's polynomial through the window, differentiated; for uniform times the central differences.
    """
    windows = t.unfold(0, order + 1, 1)
    middle = windows[:, order // 2]
    offsets = windows - middle[:, None]
    weights = torch.zeros_like(offsets)
    for w in range(order + 1):
        if w == order // 2:
            continue
        others = [n for n in range(order + 1) if n not in (w, order // 2)]
        value = 1.0 / offsets[:, w]
        for n in others:
            value = value * offsets[:, n] / (offsets[:, n] - offsets[:, w])
        weights[:, w] = value
    weights[:, order // 2] = -weights.sum(1)
    return weights
