"""What is generated depends on the seed alone, at the paper's settings; what is refused."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch

from symflow.errors import UserError
from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.equations.equation import Equation
from symflow.pde.generation import solvers
from symflow.pde.generation.generation import generate, random_waves

SMALL = {"length": 32.0, "end": 4.0, "steps": 21, "keep": 15, "resolution": 128}


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_bits_depend_on_the_seed_and_the_index_alone(name):
    settings = {"end": CATALOGUE[name].settings["end"] / 40, "steps": 6, "keep": 2, "resolution": 256}
    many = generate(name, 17, 5, **settings, workers=2)  # two processes
    assert torch.equal(generate(name, 17, 5, **settings, workers=1).u, many.u)
    assert torch.equal(generate(name, 3, 5, **settings).u, many.u[:3])
    assert not torch.equal(generate(name, 3, 6, **settings).u, many.u[:3])


def test_settings_are_the_papers():
    for name, entry in CATALOGUE.items():
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
@pytest.mark.parametrize("name", list(CATALOGUE))
def test_default_settings_work_for_any_seed(name):
    data = generate(name, 64, seed=100)
    assert data.u.shape[:2] == (64, 140)
    data.check_equation()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"equation": "kvd"}, "unknown equation 'kvd'; known by name are kdv, ks, burgers, nkdv, ckdv"),
        ({"equation": 3}, "`equation` must be a name, a formula or an Equation, got int"),
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
