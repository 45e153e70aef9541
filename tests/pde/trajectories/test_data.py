"""Trajectories and their jets against analytic functions; what `generate` promises; what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.errors import UserError
from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.equations.equation import Equation
from symflow.pde.generation.generation import generate
from symflow.pde.trajectories.data import Trajectories

ADVECTION = Equation("u_t + u_x = 0")
SMALL = {"length": 32.0, "end": 4.0, "steps": 21, "keep": 15, "resolution": 128}


def wave(k, points=64, times=20, length=2 * math.pi, start=0.0):
    """``exp(sin(k (x - t)))``, which solves the advection equation, as trajectories."""
    x = start + torch.arange(points, dtype=torch.float64) * (length / points)
    t = torch.linspace(0, 1, times, dtype=torch.float64)
    return Trajectories(ADVECTION, x, t, torch.exp(torch.sin(k * (x - t[:, None])))[None])


def derivatives_of_wave(k, x, t):
    """By hand: ``f = exp(sin s)``, ``s = k (x - t)``."""
    s = k * (x - t)
    f, c, n = torch.exp(torch.sin(s)), torch.cos(s), torch.sin(s)
    return torch.stack([f, k * c * f, k**2 * (c**2 - n) * f, k**3 * (c**3 - 3 * n * c - c) * f])


def test_derivatives_on_the_grid():
    data = wave(1)
    x, t = torch.broadcast_tensors(data.x, data.t[:, None])
    # round-off in u is multiplied by the wavenumber three times: 32^3 eps
    torch.testing.assert_close(data.derivatives(3)[:, 0], derivatives_of_wave(1, x, t), rtol=0, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**40), k=st.integers(1, 2), start=st.floats(-10, 10))
def test_jets_at_random_points(seed, k, start):
    data = wave(k, points=96, start=start)
    jets = data.jets(50, 3, seed)
    assert bool((jets.x >= start).all())
    assert bool((jets.x < start + data.length).all())
    assert set(jets.t.tolist()) <= set(data.t.tolist())
    torch.testing.assert_close(jets.u, derivatives_of_wave(k, jets.x, jets.t), rtol=0, atol=1e-8)


def test_jets_are_the_same_for_a_seed_and_can_be_indexed():
    data = wave(1)
    a, b, c = data.jets(3000, 2, 1), data.jets(3000, 2, 1), data.jets(3000, 2, 2)
    assert torch.equal(a.u, b.u)
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, c.x)
    assert len(a) == 3000
    assert a.order == 2
    some = a[a.t > 0.5]
    assert len(some) == int((a.t > 0.5).sum())
    assert torch.equal(some.u, a.u[:, a.t > 0.5])


def test_an_odd_grid_and_the_highest_cosine():
    x = torch.arange(9, dtype=torch.float64) * (2 * math.pi / 9)
    data = Trajectories(ADVECTION, x, torch.zeros(1), torch.cos(4 * x)[None, None])
    torch.testing.assert_close(data.derivatives(1)[1, 0, 0], -4 * torch.sin(4 * x), rtol=0, atol=1e-12)
    even = torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
    data = Trajectories(ADVECTION, even, torch.zeros(1), torch.cos(4 * even)[None, None])
    assert float(data.derivatives(1)[1].abs().max()) < 1e-12  # its derivative vanishes on the grid


def test_residual_of_an_exact_solution():
    assert wave(1).residual() < 1e-8
    x = torch.arange(16, dtype=torch.float64)
    still = Trajectories(ADVECTION, x, torch.linspace(0, 1, 10), torch.ones(1, 10, 16))
    assert still.residual() < 0.01


# At t > 44 cKdV's term u/(2(t + 1)) is a hundredth of the others, and nKdV's solitons move so far in an output step
# that u_t is not certain.
TOO_CLOSE = {("kdv", "ckdv"), ("nkdv", "kdv"), ("nkdv", "ckdv"), ("nkdv", "burgers")}


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_only_the_right_equation_passes(name):
    data = generate(name, 2, 0)
    noise = 1e-3 * torch.randn(data.u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data.check_equation()
    Trajectories(data.equation, data.x, data.t, data.u.float()).check_equation()
    Trajectories(data.equation, data.x, data.t, data.u + noise).check_equation()  # K is in doubt: nothing is concluded
    for other, entry in CATALOGUE.items():
        if other != name and (name, other) not in TOO_CLOSE:
            with pytest.raises(UserError, match="do not solve"):
                Trajectories(entry.equation, data.x, data.t, data.u).check_equation()


def test_nothing_is_concluded_from_few_or_coarse_times():
    data = wave(1, times=8)
    Trajectories(Equation("u_t - u_x = 0"), data.x, data.t, data.u).check_equation()
    t = torch.linspace(0, 25, 20, dtype=torch.float64)  # the waves turn by 1.3 and more in a step
    u = torch.exp(torch.sin(3 * (data.x - t[:, None])))[None]
    Trajectories(Equation("u_t - u_x = 0"), data.x, t, u).check_equation()
    with pytest.raises(UserError, match="`order` must be even"):
        data.residual()


def test_parts():
    data = generate("ckdv", 4, 0, **SMALL)
    assert len(data) == 4
    assert data[1].u.shape == (1, 15, 128)
    assert torch.equal(data[-1].u[0], data.u[3])
    assert torch.equal(data[[2, 0]].u, data.u[[2, 0]])
    train, test = data.split(3, 1)
    assert torch.equal(torch.cat([train.u, test.u]), data.u)
    half = data.coarsen(64)
    assert half.length == pytest.approx(data.length)
    assert torch.equal(half.u, data.u[..., ::2])
    for bad in (lambda: data.split(4, 1), lambda: data.coarsen(50), lambda: data.jets(0, 1), lambda: data.jets(5, -1)):
        with pytest.raises(UserError):
            bad()
    with pytest.raises(IndexError):
        data[4]


def test_tail_sees_what_the_grid_does_not_resolve():
    data = wave(1, points=64)
    assert float(data.tail().max()) < 1e-12
    rough = Trajectories(ADVECTION, data.x, data.t, torch.sign(torch.sin(data.x)).expand(1, 20, 64))
    assert float(rough.tail().max()) > 1e-3


X, T = torch.arange(8, dtype=torch.float64), torch.arange(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("x", "t", "u", "sentence"),
    [
        (X, T, torch.zeros(2, 8), "`u` must have shape [samples, T, X]"),
        (X, T, torch.zeros(1, 8, 3), "with T = 3 times and X = 8 points, got [1, 8, 3]"),
        (X, T, torch.zeros(0, 3, 8), "`u` must have shape"),
        (X[:4], T, torch.zeros(1, 3, 4), "`x` must have at least 8 points, got 4"),
        (X**2, T, torch.zeros(1, 3, 8), "`x` must be increasing and uniform"),
        (-X, T, torch.zeros(1, 3, 8), "`x` must be increasing and uniform"),
        (X, -T, torch.zeros(1, 3, 8), "`t` must increase"),
        (X * math.nan, T, torch.zeros(1, 3, 8), "`x` must be finite"),
        (X, T, torch.full((1, 3, 8), math.inf), "`u` must be finite, got inf first in trajectory 0"),
        (X, T, torch.zeros(1, 3, 8, dtype=torch.complex64), "`u` must be an array of real numbers"),
        (X, T, "u", "`u` must be an array of real numbers, got str"),
    ],
)
def test_bad_arrays_are_sentences(x, t, u, sentence):
    with pytest.raises(UserError) as caught:
        Trajectories(ADVECTION, x, t, u)
    assert sentence in str(caught.value)
