"""Smoothing: spectra with gaps of several kinds, modes of noise, and the power of what is kept."""

from __future__ import annotations

import math

import pytest
import torch

from symflow.pde.weak import SIGNAL, smooth
from symflow.pde.weak.smoothing import CHANCE, kept_modes, loudest_noise

POINTS, TIMES, LENGTH, SIGMA = 160, 50, 64.0, 1e-3
SPECTRA = {
    "every second": tuple(range(2, 41, 2)),
    "every third": tuple(range(3, 40, 3)),
    "two bands": (1, 2, 3, 40, 41, 42),
    "one band far out": (60, 61, 62, 63),
    "one mode": (17,),
}


def waves(modes, order=0, seed=0):
    """Travelling waves of amplitudes from 1 down to 0.03, or a derivative, ``[TIMES, POINTS]``."""
    random = torch.Generator().manual_seed(seed)
    at = torch.arange(POINTS, dtype=torch.float64) * LENGTH / POINTS
    t = torch.linspace(0, 10, TIMES, dtype=torch.float64)[:, None]
    u = torch.zeros(TIMES, POINTS, dtype=torch.float64)
    for n, m in enumerate(modes):
        k, phase = 2 * math.pi * m / LENGTH, float(torch.rand(1, generator=random)) * 6
        u += 0.03 ** (n / len(modes)) * k**order * torch.cos(k * at - t * k + phase + order * math.pi / 2)
    return u


def noise(seed, shape=(TIMES, POINTS)):
    return SIGMA * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("sigma", [0.0, SIGMA])
def test_no_mode_is_lost_to_a_gap(kind, sigma):
    """Only the noise of the modes that are there remains: ``sigma^2 k^(2 m)/X`` each, of both phases."""
    modes = SPECTRA[kind]
    found = smooth(waves(modes) + noise(1) * (sigma > 0), LENGTH, 3, sigma).derivatives
    for order in range(4):
        k = 2 * math.pi * torch.tensor([0, *modes], dtype=torch.float64) / LENGTH
        expected = sigma * math.sqrt(float((2 * k ** (2 * order)).sum()) / POINTS)
        wrong = float((found[order] - waves(modes, order)).square().mean().sqrt())
        assert wrong < 1.2 * expected + 1e-9
        if sigma:
            assert wrong > 0.5 * expected  # the statement means something


def test_modes_of_noise_are_kept_as_seldom_as_stated():
    for times in (1, 2, 5, 50):
        draws = torch.distributions.Gamma(torch.tensor(float(times)), torch.tensor(float(times)))
        torch.manual_seed(times)
        power = draws.sample((4000, 80))
        c = max(SIGNAL, loudest_noise(80, times))
        assert float((power > c).any(1).double().mean()) <= CHANCE + 3 * math.sqrt(CHANCE / 4000)
    assert not bool(kept_modes(draws.sample((80,)), 1.0, 50)[1:].any())


def test_mean_squares_of_derivatives_are_those_before_the_noise():
    """Without shrinking each would be larger by the noise of the kept modes, for the third derivative by 24 %."""
    modes, sigma, order = tuple(range(1, 25)), 0.12, 3
    clean = waves(modes, order).square().mean()
    random = torch.Generator().manual_seed(5)
    ratios = []
    for _ in range(40):
        white = sigma * torch.randn(TIMES, POINTS, dtype=torch.float64, generator=random)
        ratios.append(
            float(smooth(waves(modes) + white, LENGTH, order, sigma).derivatives[order].square().mean() / clean)
        )
    assert abs(sum(ratios) / 40 - 1) < 0.03


def test_what_is_left_out_is_told():
    u = waves((1, 2, 3))
    energy = smooth(u + noise(2), LENGTH, 0, SIGMA).energy
    assert float(energy[1] / energy[0]) == pytest.approx(SIGMA**2 / float(u.var()), rel=0.1)
    assert float(smooth(u, LENGTH, 0, 0.0).energy[1]) < 1e-28


def test_constants_and_the_mean_stay():
    u = torch.full((TIMES, POINTS), 2.0, dtype=torch.float64)
    found = smooth(u + noise(3), LENGTH, 1, SIGMA).derivatives
    assert float((found[0] - 2).abs().max()) < 1e-3
    assert float(found[1].abs().max()) == 0
