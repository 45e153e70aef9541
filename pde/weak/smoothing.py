"""Which Fourier modes of noisy profiles are kept, and derivatives of what they add up to.

A mode is judged by itself, by its power averaged over the stored times: solutions with a symmetry have gaps in their
spectra (every second or third mode only), others have bands far apart, and what follows a gap is no noise.

White noise of variance ``s^2`` on X points gives every mode the mean power ``s^2/X``, and an average over n times is
that times a ``Gamma(n)/n`` variable. A mode is kept when its average exceeds ``c s^2/X`` with

    c >= SIGNAL    and    n (c - 1 - log c) >= log(modes/CHANCE),

the second by Chernoff's bound: of all modes that hold nothing but noise, one or more is kept with a probability of at
most `CHANCE`, however few the times are. The mean is always kept.

In a mode that is kept the noise adds to the power all the same, and to every mean square of derivatives. `smooth`
shrinks each to the power that is its own, ``|v_k|^2 (1 - (s^2/X)/power_k)`` (spectral subtraction; Boll, IEEE Trans.
Acoust. 27, 1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SIGNAL = 4.0  # a mode is kept while its mean power is so many times the noise's
CHANCE = 0.01  # of keeping any mode of noise
ROUNDING = 1e-28  # of the largest power


def loudest_noise(modes: int, times: int) -> float:
    """The c that the average over `times` exceeds in none of `modes` modes of noise of mean power 1, but for `CHANCE`.

    ``P(Gamma(n)/n > c) <= exp(-n (c - 1 - log c))`` for c > 1; solved by bisection.

    >>> loudest_noise(64, 50) < 2 < loudest_noise(64, 5) < 6 < loudest_noise(64, 1)
    True
    """
    wanted = math.log(max(modes, 1) / CHANCE) / times
    low, high = 1.0, 2.0 + 2.0 * wanted
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if c - 1 - math.log(c) < wanted else (low, c)
    return high


def kept_modes(power: Tensor, noise: float, times: int, signal: float = SIGNAL) -> Tensor:
    """Whether each mode stands out of the noise.

    Args:
        power: of the modes, averaged over independent samples, any shape; the first is the mean's.
        noise: mean power of a mode of the noise.
        times: the number of independent samples.
        signal: a mode is kept while its power is so many times the noise's, or more where times are few.
    """
    floor = max(signal, loudest_noise(power.numel(), times)) * noise
    kept = power >= max(floor, ROUNDING * float(power.max()))
    kept.view(-1)[0] = True
    return kept


@dataclass(frozen=True)
class Smoothed:
    """One trajectory without the modes that are lost in noise.

    Attributes:
        derivatives: ``[order + 1, T, X]``, along x, from 0 on.
        energy: ``[2]``, the mean square of u about its mean, and of what is left out.
    """

    derivatives: Tensor
    energy: Tensor


def smooth(v: Tensor, length: float, order: int, sigma: float) -> Smoothed:
    """x-derivatives of periodic rows without the noise's power: lost modes are left out, the others shrunk.

    Args:
        v: ``[T, X]``.
        length: the period.
        order: the highest derivative.
        sigma: standard deviation of the noise of v.
    """
    points = v.shape[-1]
    spectrum = torch.fft.rfft(v, norm="forward")[..., : (points + 1) // 2]  # the highest cosine has no derivatives
    power = (spectrum.real.square() + spectrum.imag.square()).mean(0)
    noise = sigma**2 / points
    kept = kept_modes(power, noise, len(v))
    spectrum = spectrum * (kept * (1 - noise / power.clamp_min(1e-300)).clamp_min(0).sqrt())
    ik = 2j * math.pi / length * torch.arange(len(kept), dtype=torch.float64)
    rows = torch.stack([torch.fft.irfft(spectrum * ik**m, points, norm="forward") for m in range(order + 1)])
    whole = (v - v.mean()).square().mean()
    return Smoothed(rows, torch.stack([whole, (v - rows[0]).square().mean()]))
