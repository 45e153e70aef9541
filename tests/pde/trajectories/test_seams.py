"""Ends that meet, ends that do not, and waves that stand where the seam is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from jets_of_laws import noisy
from symflow.pde import Equation, Trajectories, generate
from symflow.pde.gate import gate
from symflow.pde.trajectories.seams import joined, meets

HEAT = Equation("u_t = u_xx")


def of_rows(u: Tensor, length: float = 2 * math.pi) -> Trajectories:
    """One trajectory of rows ``[T, X]``."""
    x = torch.arange(u.shape[1], dtype=torch.float64) * (length / u.shape[1])
    return Trajectories(HEAT, x, torch.arange(len(u), dtype=torch.float64) / 8, u[None])


@pytest.fixture(scope="module")
def ks() -> Trajectories:
    return generate("ks", 4, 0, resolution=128, steps=100, keep=70, end=40.0)


def window(data: Trajectories) -> Trajectories:
    return replace(data, x=data.x[:100], u=data.u[..., :100].contiguous())


@pytest.mark.parametrize("level", [0.0, 1e-3, 1e-2, 5e-2])
def test_a_period_meets_and_a_window_of_it_does_not(ks, level):
    assert meets(noisy(ks, level))
    assert not meets(window(noisy(ks, level)))


def test_every_place_of_a_period_may_be_the_seam(ks):
    for places in range(0, 128, 9):
        assert meets(replace(ks, u=torch.roll(ks.u, places, -1)))


@pytest.mark.parametrize("width", [0.15, 0.3, 1.0])
@pytest.mark.parametrize("place", [0.0, 0.02, 3.0])
def test_a_narrow_wave_at_the_seam_is_no_seam(width, place):
    x = torch.arange(128, dtype=torch.float64) * (2 * math.pi / 128)
    away = (x - place + math.pi) % (2 * math.pi) - math.pi
    assert meets(of_rows(torch.exp(-((away / width) ** 2)).expand(4, -1)))


def test_jumps_and_kinks_are_seams():
    x = torch.arange(128, dtype=torch.float64) * (2 * math.pi / 128)
    times = torch.arange(4.0, dtype=torch.float64)[:, None]
    assert not meets(of_rows(torch.sin(x) + 0.01 * x + 0 * times))  # the ends differ
    assert not meets(of_rows((x - math.pi).abs() + 0 * times + 0.1 * torch.roll(x, 64) * 0))  # the slopes do
    assert not meets(of_rows(torch.sin(0.4 * x + times)))


def test_the_wrong_ends_of_one_trajectory_are_not_those_of_the_file(ks):
    u = ks.u.clone()
    u[1] += 0.1 * ks.x
    assert meets(replace(ks, u=u))


@pytest.mark.parametrize("level", [0.0, 1e-2])
def test_a_window_is_judged_inside(ks, level):
    """Joined at its ends it solves nothing; inside, it solves its equation, and no other."""
    data = noisy(ks, level)
    found = gate(window(data))
    assert (found.verdict, found.periodic, found.exit_code) == ("solves", False, 0), found.sentence
    assert "x is not periodic" in found.sentence
    assert found.to_dict()["periodic"] is False
    assert gate(data).periodic
    other = replace(window(data), equation=Equation("u_t + u*u_x + u_xx + 1.02*u_xxxx = 0"), name=None)
    assert gate(other).verdict == "refuted"


def test_rows_of_a_window_are_not_predicted(ks):
    """The solver is periodic: what it says of a window is no verdict on the equation."""
    found = gate(replace(window(ks), t=ks.t[:2], u=window(ks).u[:, :2]))
    assert found.verdict == "cannot be told"
    assert found.method == "weak form"


def test_walls_are_judged_inside():
    """``sum_k a_k sin(k x) exp(-k^2 t)`` between walls at 0 and pi, stored as if it were a period."""
    random = torch.Generator().manual_seed(0)
    x = torch.linspace(0, math.pi, 97, dtype=torch.float64)
    t = torch.linspace(0, 0.3, 70, dtype=torch.float64)
    k = torch.arange(1, 5, dtype=torch.float64)
    modes = torch.exp(-(k**2) * t[:, None])[:, None] * torch.sin(x[:, None] * k)
    a = torch.randn(6, 4, dtype=torch.float64, generator=random)
    data = Trajectories(HEAT, x, t, (a[:, None, None] * modes).sum(-1))
    found = gate(data)
    assert (found.verdict, found.periodic) == ("solves", False), found.sentence
    assert gate(replace(data, equation=Equation("u_t = 1.02*u_xx"))).verdict == "refuted"


@pytest.mark.parametrize("n", [12, 16, 24, 31])
def test_short_rows_are_told_apart(n):
    """Waves that a dozen nodes hold, on a period and on seven tenths of one."""
    generator = torch.Generator().manual_seed(n)
    phases = 2 * math.pi * torch.rand(40, 2, 1, generator=generator, dtype=torch.float64)
    times = torch.arange(40, dtype=torch.float64)[:, None] / 10
    for part, joins in ((1.0, True), (0.7, False)):
        x = torch.arange(n, dtype=torch.float64) * (2 * math.pi * part / n)
        u = torch.stack([torch.sin(x - times + a) + 0.3 * torch.sin(2 * x + times + b) for a, b in phases])
        assert joined(u) is joins


def test_a_few_nodes_tell_nothing():
    assert joined(torch.ones(1, 5, 11, dtype=torch.float64)) is None
