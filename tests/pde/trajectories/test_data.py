"""Trajectories and their jets against analytic functions; what `generate` promises; what is refused."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.errors import UserError
from symflow.pde.equations.catalogue import ENTRIES
from symflow.pde.equations.equation import Equation
from symflow.pde.trajectories import solvers
from symflow.pde.trajectories.data import Trajectories, difference_weights, generate, random_waves

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


# ---------------------------------------------------------------- derivatives and jets


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


def test_difference_weights_are_exact_on_polynomials():
    t = torch.tensor([0.0, 0.3, 0.5, 1.1, 1.2, 2.0, 2.1], dtype=torch.float64)
    weights = difference_weights(t, 4)
    for power in range(5):
        derivative = (weights * (t**power).unfold(0, 5, 1)).sum(1)
        expected = power * t[2:-2] ** max(power - 1, 0)
        torch.testing.assert_close(derivative, expected, rtol=0, atol=1e-12)
    uniform = difference_weights(torch.arange(9, dtype=torch.float64), 8)[0]
    classic = torch.tensor([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280], dtype=torch.float64)
    torch.testing.assert_close(uniform, classic, rtol=0, atol=1e-13)


# ---------------------------------------------------------------- the residual


def test_residual_of_an_exact_solution():
    assert wave(1).residual() < 1e-8
    x = torch.arange(16, dtype=torch.float64)
    still = Trajectories(ADVECTION, x, torch.linspace(0, 1, 10), torch.ones(1, 10, 16))
    assert still.residual() < 0.01


# At t > 44 cKdV's term u/(2(t + 1)) is a hundredth of the others, and nKdV's solitons move so far in an output step
# that u_t is not certain.
TOO_CLOSE = {("kdv", "ckdv"), ("nkdv", "kdv"), ("nkdv", "ckdv"), ("nkdv", "burgers")}


@pytest.mark.parametrize("name", list(ENTRIES))
def test_only_the_right_equation_passes(name):
    data = generate(name, 2, 0)
    noise = 1e-3 * torch.randn(data.u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data.check_equation()
    Trajectories(data.equation, data.x, data.t, data.u.float()).check_equation()
    Trajectories(data.equation, data.x, data.t, data.u + noise).check_equation()  # K is in doubt: nothing is concluded
    for other, entry in ENTRIES.items():
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


# ---------------------------------------------------------------- generate


@pytest.mark.parametrize("name", list(ENTRIES))
def test_bits_depend_on_the_seed_and_the_index_alone(name):
    settings = {"end": ENTRIES[name].settings["end"] / 40, "steps": 6, "keep": 2, "resolution": 256}
    many = generate(name, 17, 5, **settings, workers=2)  # two processes
    assert torch.equal(generate(name, 17, 5, **settings, workers=1).u, many.u)
    assert torch.equal(generate(name, 3, 5, **settings).u, many.u[:3])
    assert not torch.equal(generate(name, 3, 6, **settings).u, many.u[:3])


def test_settings_are_the_papers():
    for name, entry in ENTRIES.items():
        data = generate(name, 1, 0, end=entry.settings["end"] / 100, steps=4, keep=3)
        assert data.name == name
        assert data.seed == 0
        assert len(data.t) == 3
        assert data.length == pytest.approx(entry.settings["length"])
        assert data.equation == entry.equation
        assert data.settings["wavenumbers"] == list(entry.settings["wavenumbers"])
        assert data.u.dtype == torch.float64


def test_times_and_initial_waves():
    data = generate("kdv", 2, 3, **(SMALL | {"keep": 21}))
    assert data.t.tolist() == pytest.approx(np.linspace(0, 4, 21).tolist())
    initial = random_waves(2, 3, 128, waves=10, wavenumbers=(1, 2))
    np.testing.assert_allclose(data.u[:, 0].numpy(), initial, rtol=0, atol=1e-14)
    again = generate("kdv", 2, initial=initial, **(SMALL | {"keep": 21}))
    torch.testing.assert_close(again.u, data.u, rtol=0, atol=1e-9)  # another number of first modes, not other bits
    assert again.seed is None
    assert "waves" not in again.settings


def test_random_waves_have_the_spectrum_that_is_asked_for():
    u = random_waves(200, 0, 64, waves=20, wavenumbers=(1, 3), amplitude=0.5)
    size = np.abs(np.fft.rfft(u, norm="forward"))
    assert size[:, [0, 2, *range(4, 33)]].max() < 1e-15
    # variance: 20 waves of mean square A^2/2, A^2 of mean 1/12; the mean of 200 scatters by 1 in 14
    assert (u**2).mean() == pytest.approx(20 / 24, rel=0.2)


def test_equations_and_names_are_the_same_to_generate():
    a = generate("kdv", 2, 1, **SMALL)
    b = generate("u_t + u_xxx + u*u_x = 0", 2, 1, **SMALL)
    c = generate(Equation("2*u_t = -2*u*u_x - 2*u_xxx"), 2, 1, **SMALL)
    assert a.name == b.name == c.name == "kdv"
    torch.testing.assert_close(a.u, b.u, rtol=0, atol=1e-12)
    other = generate("u_t + u_x = u_xx/10", 2, 1, length=6.0, end=1.0, steps=5)
    assert other.name is None
    assert other.u.shape == (2, 5, 512)


def test_progress_rises_to_one():
    for workers in (1, 2):
        seen = []
        generate("ckdv", 16, 0, **SMALL, workers=workers, progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_in_any_process_is_one_sentence(workers, monkeypatch):
    monkeypatch.setattr(solvers, "MOST_STEPS", 64)
    with pytest.raises(UserError, match=r"trajectory \d+ of 'u_t \+ u_x = u\*\*3' .* at t = "):
        generate("u_t + u_x = u**3", 16, 0, length=6.0, end=40.0, steps=20, amplitude=2.0, workers=workers)


def test_a_daemon_solves_in_its_own_process(monkeypatch):
    """As a worker of a data loader must, which may have no children."""
    expected = generate("ckdv", 16, 0, **SMALL, workers=2).u
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert torch.equal(generate("ckdv", 16, 0, **SMALL, workers=2).u, expected)


def test_a_killed_process_is_reported(monkeypatch):
    monkeypatch.setattr(solvers._Rows, "interval", lambda self, j: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RuntimeError, match="ended with exit code -9"):
        generate("ckdv", 16, 0, **SMALL, workers=2)
    assert not multiprocessing.active_children()


def test_too_coarse_a_grid_is_refused_unless_asked_for():
    with pytest.raises(UserError, match="do not resolve trajectory"):
        generate("u_t + u*u_x = u_xx/50", 1, 0, length=6.28, end=0.5, steps=3, amplitude=2.0)
    coarse = generate("kdv", 1, 0, **(SMALL | {"resolution": 16}))
    fine = generate("kdv", 1, 0, **SMALL)
    assert torch.allclose(coarse.u, fine.u[..., ::8], rtol=0, atol=1e-12)  # sampled, not aliased


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ENTRIES))
def test_default_settings_work_for_any_seed(name):
    data = generate(name, 64, seed=100)
    assert data.u.shape[:2] == (64, 140)
    data.check_equation()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"equation": "kvd"}, "unknown equation 'kvd'; known by name are kdv, ks, burgers, nkdv, ckdv"),
        ({"equation": 3}, "`equation` must be a name or an Equation, got int"),
        ({"equation": "u_t + u_x = 0"}, "`length` must be given"),
        ({"samples": 0}, "`samples` must be an integer of at least 1, got 0"),
        ({"samples": 2.0}, "`samples` must be an integer"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"length": -1.0}, "`length` must be a number above 0"),
        ({"length": math.nan}, "`length` must be a number above 0, got nan"),
        ({"end": "1"}, "`end` must be a number"),
        ({"steps": 1}, "`steps` must be an integer of at least 2"),
        ({"keep": 300}, "`keep` must be an integer from 1 to 250"),
        ({"resolution": 4}, "`resolution` must be an integer from 8"),
        ({"tolerance": 0.0}, "`tolerance` must be a number above 0"),
        ({"amplitude": math.inf}, "`amplitude` must be a number"),
        ({"waves": 0}, "`waves` must be an integer"),
        ({"wavenumbers": ()}, "`wavenumbers` must be integers"),
        ({"samples": 10**9}, "take 5.73e+05 GB, more than the memory"),
        ({"workers": 0}, "`workers` must be an integer of at least 1"),
        ({"initial": [[1.0, math.nan, 0.0, 0.0]]}, "`initial` must be finite"),
        ({"initial": [1.0, 2.0]}, "`initial` must be finite with shape"),
    ],
)
def test_bad_arguments_are_sentences(arguments, sentence):
    with pytest.raises(UserError) as caught:
        generate(**({"equation": "kdv", "samples": 1} | arguments))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the container


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
