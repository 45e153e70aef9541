"""Derivatives of values on a grid: spectral in x with the round-off left out, by differences in t."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

PLATEAU = 1e-14  # modes below this, relative to the largest, are round-off and take no part in derivatives
LOUD = 10.0  # times the power of the highest modes: modes below are taken for noise


def filtered(u: Tensor) -> Tensor:
    """Fourier coefficients of rows ``[..., X]`` below the highest cosine, zero where only round-off is left."""
    points = u.shape[-1]
    v: Tensor = torch.fft.rfft(u, norm="forward")[..., : (points + 1) // 2]
    size = v.abs()
    meaningful = size > PLATEAU * size.amax(-1, keepdim=True)
    # from the last meaningful mode on, nothing is kept: a smooth function, not one with gaps
    kept: Tensor = meaningful.to(torch.uint8).flip(-1).cummax(-1).values.flip(-1)
    return v * kept


def without_noise(u: Tensor) -> Tensor:
    """Profiles ``[..., X]`` without the modes that are no louder than the last eighth of the spectrum."""
    v = torch.fft.rfft(u)
    power = (v.real.square() + v.imag.square()).flatten(0, -2).mean(0)
    floor = power[-max(len(power) // 8, 1) :].median()
    loud = (power > LOUD * floor).nonzero()
    last = int(loud.max()) if len(loud) else 0
    v[..., last + 1 :] = 0.0
    kept: Tensor = torch.fft.irfft(v, u.shape[-1])
    return kept


def interpolated(fields: Sequence[Tensor], rows: Tensor, at: Tensor, length: float, order: int) -> list[Tensor]:
    """x-derivatives 0 ... order of the trigonometric interpolants of rows, ``[order + 1, N]`` of each field.

    Args:
        fields: ``[..., X]``, of one shape.
        rows: ``[N]``, which of the rows of a field.
        at: ``[N]``, where in the period, from the first node on.
        length: the period.
        order: the highest derivative.
    """
    flat = [field.reshape(-1, field.shape[-1]) for field in fields]
    found = [torch.empty(order + 1, len(rows), dtype=torch.float64) for _ in fields]
    k = torch.arange((flat[0].shape[-1] + 1) // 2, dtype=torch.float64) * (2 * math.pi / length)
    for part in torch.arange(len(rows)).split(1024):  # bounds the memory: 1,024 rows of phases
        phases = at[part, None] * k
        turn = torch.complex(phases.cos(), phases.sin())
        for field, out in zip(flat, found, strict=True):
            v = filtered(field[rows[part]])
            used = int((v != 0).any(0).nonzero().max()) + 1 if bool(v.any()) else 1
            v, ik = v[:, :used] * turn[:, :used], 1j * k[:used]
            v[:, 1:] *= 2
            for m in range(order + 1):
                out[m, part] = v.real.sum(-1)
                v = v * ik
    return found


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
