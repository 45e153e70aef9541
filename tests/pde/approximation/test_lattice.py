"""Points of the grid: even, and with the derivatives of what is no noise."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch.testing import assert_close

from planted import small
from symflow.pde.approximation.lattice import lattice


def test_points_are_nodes_of_the_grid_and_evenly_chosen() -> None:
    data = small("u_t + u*u_x + u_xxx = 0")
    points = lattice(data, 0, 0.0, 2_000)
    S, rows, columns = points.shape
    assert len(points.jets) == len(points.trajectory) == S * rows * columns
    t, x = points.map(points.jets.t), points.map(points.jets.x)
    steps = t[0, :, 0].diff()
    assert_close(steps, steps.mean().expand_as(steps))
    assert bool((t == t[:, :, :1]).all())
    i = (t[0, :, 0, None] - data.t).abs().argmin(1)
    j = (x[0, ..., None] - data.x).abs().argmin(-1)
    assert_close(points.map(points.jets.u[0])[2], data.u[2][i[:, None], j])


def test_a_solution_with_gaps_in_its_spectrum_keeps_its_derivatives_under_noise() -> None:
    """Even modes alone: what follows the first lost mode is no noise."""
    data = small("u_t + u*u_x + u_xxx = 0")
    k = 2 * math.pi / data.length
    waves = torch.sin(2 * k * data.x) + 0.5 * torch.cos(6 * k * data.x)
    data = replace(data, u=waves.expand_as(data.u).contiguous())
    noise = 1e-3 * torch.randn(data.u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = lattice(replace(data, u=data.u + noise), 1, 1e-3)
    exact = 2 * k * torch.cos(2 * k * points.jets.x) - 3 * k * torch.sin(6 * k * points.jets.x)
    assert float((points.jets.u[1] - exact).square().mean().sqrt()) < 1e-2 * float(exact.square().mean().sqrt())
