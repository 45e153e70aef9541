"""Rows out of place are found and named; smooth, fast and noisy rows are not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from symflow.pde import Equation, Trajectories
from symflow.pde.gate import gate
from symflow.pde.gate.misplaced import misplaced
from symflow.pde.weak import Samples

X = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
T = torch.linspace(0, 2, 61, dtype=torch.float64)


def heat(noise: float, seed: int = 0) -> Trajectories:
    """Eight solutions in closed form; the noise as a share of the deviation."""
    random = torch.Generator().manual_seed(seed)
    a, b, c = torch.randn(3, 8, 1, 1, generator=random, dtype=torch.float64)
    t = T[:, None]
    u = a * torch.exp(-t) * torch.sin(X + b) + c * torch.exp(-4 * t) * torch.cos(2 * X)
    u = u + noise * u.std() * torch.randn(u.shape, generator=random, dtype=torch.float64)
    return Trajectories(Equation("u_t = u_xx"), X, T, u)


def out_of_place(data: Trajectories) -> list[list[int]]:
    found: list[list[int]] = misplaced(Samples.of(data)).nonzero().tolist()
    return found


@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("seed", range(4))
def test_right_rows_are_in_place(noise, seed):
    assert out_of_place(heat(noise, seed)) == []


@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-2])
def test_two_rows_swapped_are_named(noise):
    data = heat(noise)
    s = int(data.u.square().mean((1, 2)).argmax())
    u = data.u.clone()
    u[s, [20, 30]] = u[s, [30, 20]]
    swapped = replace(data, u=u)
    assert out_of_place(swapped) == [[s, 20], [s, 30]]
    judged = gate(swapped)
    assert judged.verdict == "outliers"
    assert [t.trajectory for t in judged.outliers] == [s]


def test_the_sentence_names_the_times():
    data = heat(0.01)
    u = data.u.clone()
    s = int(data.u.square().mean((1, 2)).argmax())
    u[s, 30] = u[s, 20]
    assert "the values at t = 1 do not lie between those before and after" in gate(replace(data, u=u)).sentence


@pytest.mark.parametrize("width", [0.02, 0.04, 0.1, 0.3])
def test_a_fast_event_is_none(width):
    """A front that passes within a few rows, resolved or not."""
    t = T[:, None] - 1.0
    u = torch.tanh((torch.sin(X) - 3 * t) / width)[None]
    data = Trajectories(Equation("u_t = u_xx"), X, T, u)
    assert out_of_place(data) == []


def test_a_kink_in_time_is_none():
    """The values grow up to t = 1 and stay."""
    u = torch.stack([torch.sin(X) * min(float(t), 1.0) for t in T])[None]
    assert out_of_place(Trajectories(Equation("u_t = u_xx"), X, T, u)) == []


def test_kinks_with_noise():
    for seed in range(4):
        random = torch.Generator().manual_seed(seed)
        u = torch.stack([torch.sin(X) * min(float(t), 1.0) for t in T])[None]
        for noise in (1e-4, 1e-3, 1e-2):
            noisy = u + noise * torch.randn(u.shape, generator=random, dtype=torch.float64)
            assert out_of_place(Trajectories(Equation("u_t = u_xx"), X, T, noisy)) == []


def test_orbits_of_two_numbers():
    random = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 20, 200, dtype=torch.float64)
    u = torch.stack([t.cos(), -t.sin()], -1).repeat(50, 1, 1)
    u = u + 0.05 * torch.randn(u.shape, generator=random, dtype=torch.float64)
    data = Trajectories(Equation("u_t = v; v_t = -u"), torch.zeros(0), t, u, fields=("u", "v"), axes=())
    assert out_of_place(data) == []


def test_unequal_times_are_interpolated_where_they_are():
    t = T + 0.01 * torch.sin(9 * T)
    u = (torch.exp(-t)[:, None] * torch.sin(X))[None]
    assert out_of_place(Trajectories(Equation("u_t = u_xx"), X, t, u)) == []
    u = u.clone()
    u[0, [20, 30]] = u[0, [30, 20]]
    assert out_of_place(Trajectories(Equation("u_t = u_xx"), X, t, u)) == [[0, 20], [0, 30]]
