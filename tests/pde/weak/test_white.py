"""The noise of arrays of which it is known, and what is no white noise."""

from __future__ import annotations

import pytest
import torch

from symflow.pde.trajectories import Axis
from symflow.pde.weak.white import white_noise


def uniform(n):
    return Axis("t", torch.linspace(0, 6, n, dtype=torch.float64))


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_noise_on_a_smooth_function():
    axis = uniform(201)
    found = [white_noise(axis.nodes.sin() + 0.3 * row, [axis]) for row in noise(200, 201)]
    squares = torch.tensor([f for f in found if f is not None], dtype=torch.float64).square()
    assert len(squares) == 200
    assert float(squares.mean()) == pytest.approx(0.09, rel=0.05)  # three standard errors
    assert float(squares.std()) < 0.25 * 0.09


def test_noise_in_the_plane():
    axes = [uniform(61), Axis("x", (0.1 + noise(50).abs()).cumsum(0))]
    smooth = axes[0].nodes.sin()[:, None] * (axes[1].nodes / 20).cos()
    assert white_noise(smooth + 0.3 * noise(61, 50), axes) == pytest.approx(0.3, rel=0.1)


def test_what_is_no_white_noise_is_not_taken_for_it():
    axis = uniform(201)
    t = axis.nodes
    step, spike, fast = (t > 3).double(), torch.exp(-((t - 3) ** 2) * 1000), (20 * t).sin()
    for values in (t.sin(), step, t.sin() + spike, fast, 0 * t + 1):
        assert white_noise(values, [axis]) is None or white_noise(values, [axis]) < 1e-12
    assert white_noise(noise(20), [uniform(20)]) is None
