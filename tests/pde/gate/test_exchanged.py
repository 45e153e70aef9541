"""Rows that are exchanged are found where noise hides that they are out of place; right rows are not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from symflow.pde import Equation, Trajectories
from symflow.pde.equations import JetSpace
from symflow.pde.gate import gate
from symflow.pde.gate.exchanged import exchanged
from symflow.pde.gate.misplaced import misplaced
from symflow.pde.trajectories import Axis
from symflow.pde.weak import Samples

X = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
T = torch.linspace(0, 2, 61, dtype=torch.float64)
PLANE = JetSpace(("t", "x"), ("u",))


def rows(u: Tensor, t: Tensor = T) -> Samples:
    """One trajectory ``[T, X]``."""
    return Samples(PLANE, (Axis("t", t), Axis("x", X)), u[None, None])


def noisy(u: Tensor, level: float, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return u + level * u.std() * torch.randn(u.shape, generator=random, dtype=torch.float64)


def wave(seed: int) -> Tensor:
    """A sum of waves in closed form."""
    a, b, c = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a * torch.sin(X - T[:, None] + b) + c * torch.cos(2 * X + 3 * T[:, None])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("level", [0.0, 1e-3, 1e-2, 5e-2])
def test_a_pair_is_found_and_no_other(seed, level):
    """Wherever the two rows differ by twice what noise alone makes two rows differ."""
    u = noisy(wave(seed), level, seed)
    random = torch.Generator().manual_seed(seed)
    for _ in range(4):
        a, b = sorted((8 + torch.randperm(45, generator=random)[:2]).tolist())
        if float((wave(seed)[a] - wave(seed)[b]).square().mean().sqrt()) < 2 * math.sqrt(2) * level * float(u.std()):
            continue
        swapped = u.clone()
        swapped[[a, b]] = swapped[[b, a]]
        samples = rows(swapped)
        assert (exchanged(samples) | misplaced(samples)).nonzero()[:, 1].tolist() == [a, b]


@pytest.mark.parametrize("level", [0.0, 1e-2])
@pytest.mark.parametrize("seed", range(6))
def test_right_rows_are_in_place(seed, level):
    """Waves, fronts of any width, kinks, jumps, rows without any order in time, waves too fast for their rows."""
    random = torch.Generator().manual_seed(seed)
    t, width, speed = T[:, None], *torch.rand(2, generator=random).tolist()
    several = (
        wave(seed),
        torch.tanh((torch.sin(X) - 3 * (t - 1)) / (0.02 + 0.3 * width)),
        torch.sin(X) * t.clamp_max(1.0),
        torch.sin(X) + (t > 1).double() * torch.cos(X),
        torch.randn(61, 1, generator=random, dtype=torch.float64) * torch.sin(X),
        torch.sin(X - 250 * speed * t),
    )
    for u in several:
        assert not bool(exchanged(rows(noisy(u, level, seed))).any())


def test_values_that_hardly_differ_are_not_exchanged():
    """Behind a front all rows are the same to nine digits."""
    u = torch.tanh((torch.sin(X) - 3 * (T[:, None] - 1)) / 0.05)
    assert not bool(exchanged(rows(u)).any())


def test_two_pairs_are_found_one_after_the_other():
    u = noisy(wave(0), 1e-2, 0)
    u[[10, 22]] = u[[22, 10]]
    u[[35, 50]] = u[[50, 35]]
    assert exchanged(rows(u)).nonzero()[:, 1].tolist() == [10, 22, 35, 50]


def test_the_gate_names_a_pair_that_noise_hides():
    """Rows of heat that differ by three times the noise: neither is out of place by itself."""
    amplitude = 1 + torch.arange(8, dtype=torch.float64)[:, None, None] / 8
    u = noisy(amplitude * torch.exp(-T[:, None]) * torch.sin(X), 0.03, 1)
    u[5, [20, 23]] = u[5, [23, 20]]
    data = Trajectories(Equation("u_t = u_xx"), X, T, u)
    assert not bool(misplaced(Samples.of(data)).any())
    judged = gate(data)
    assert [trial.trajectory for trial in judged.outliers] == [5]
    assert f"t = {float(T[20]):.4g}, {float(T[23]):.4g}" in judged.sentence
    u[5, [20, 23]] = u[5, [23, 20]]
    assert not gate(replace(data, u=u)).outliers


def test_too_few_rows_and_missing_values_say_nothing():
    assert not bool(exchanged(rows(wave(0)[:12], T[:12])).any())
    u = wave(0)
    u[3, 4] = math.nan
    assert not bool(exchanged(rows(u)).any())
