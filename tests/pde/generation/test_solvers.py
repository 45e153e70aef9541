"""The solver against exact solutions, an independent integrator, other people's runs, and the laws it must obey."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.errors import UserError
from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.equations.equation import Equation
from symflow.pde.generation import solvers
from symflow.pde.generation.generation import generate, random_waves

KDV, KS = CATALOGUE["kdv"].equation, CATALOGUE["ks"].equation


def solve(equation, initial, times, length, **kw):
    equation = Equation(equation) if isinstance(equation, str) else equation
    return solvers.solve(equation, np.atleast_2d(initial), np.asarray(times, float), length=length, **kw)


def error(u, exact):
    """The largest relative L2 error over everything but x."""
    return float((np.linalg.norm(u - exact, axis=-1) / np.linalg.norm(exact, axis=-1)).max())


def grid(length, points):
    return np.arange(points) * (length / points)


def soliton(x, t, c, length):
    return 3 * c / np.cosh(np.sqrt(c) / 2 * ((x - c * t + length / 2) % length - length / 2)) ** 2


def two_solitons(x, t, k1, k2, at):
    """Hirota: ``u = 12 (log F)_xx``, by the quotient rule."""
    e1, e2 = (np.exp(k * (x - x0) - k**3 * t) for k, x0 in ((k1, at[0]), (k2, at[1])))
    a = ((k1 - k2) / (k1 + k2)) ** 2
    F = 1 + e1 + e2 + a * e1 * e2
    F_x = k1 * e1 + k2 * e2 + a * (k1 + k2) * e1 * e2
    F_xx = k1**2 * e1 + k2**2 * e2 + a * (k1 + k2) ** 2 * e1 * e2
    return 12 * (F_xx * F - F_x**2) / F**2


def test_a_soliton_keeps_its_shape():
    length, times = 64.0, np.linspace(0, 20, 11)
    grid_x = grid(length, 256)
    exact = np.stack([soliton(grid_x, time, 1.0, length) for time in times])
    # the periodic image of the soliton is exp(-32) away
    assert error(solve(KDV, exact[0], times, length, resolution=256)[0], exact) < 1e-8


def test_two_solitons_pass_through_each_other():
    length, times = 120.0, np.linspace(0, 40, 9)
    grid_x = grid(length, 512)
    exact = np.stack([two_solitons(grid_x, time, 1.2, 0.8, (20.0, 40.0)) for time in times])
    # the two overlap in between, and the far ends are below exp(-0.8 * 20)
    assert error(solve(KDV, exact[0], times, length, resolution=512)[0], exact) < 2e-6


def test_nkdv_is_kdv_in_another_time():
    length, times = 64.0, np.linspace(0, 12, 13)
    grid_x = grid(length, 256)
    s = 50 * np.expm1(times / 50)
    exact = np.stack([soliton(grid_x, time, 1.0, length) for time in s])
    assert error(solve(CATALOGUE["nkdv"].equation, exact[0], times, length, resolution=256)[0], exact) < 1e-8


def test_ckdv_is_kdv_with_a_coefficient_in_time():
    """``v = sqrt(t + 1) u`` obeys ``v_t + v_xxx + v v_x/sqrt(t + 1) = 0``, another formula and another split."""
    initial = random_waves(2, 5, 64, waves=5, wavenumbers=(1, 2))
    times = np.linspace(0, 20, 6)
    u = solve(CATALOGUE["ckdv"].equation, initial, times, 64.0, resolution=128)
    v = solve("u_t + u_xxx + u*u_x/sqrt(t + 1) = 0", initial, times, 64.0, resolution=128)
    assert error(np.sqrt(times + 1)[:, None] * u, v) < 1e-7


def hopf(potential, nu, x, t, length):
    """Burgers' solution as a mean over a positive kernel (Hopf 1950), for ``u_0 = dPotential/dx`` of mean zero."""
    y = np.linspace(-2 * length, 3 * length, 40_001)
    exponent = -((x[:, None] - y) ** 2 / (4 * nu * t) + potential(y) / (2 * nu))
    weight = np.exp(exponent - exponent.max(1, keepdims=True))
    return (weight * (x[:, None] - y) / t).sum(1) / weight.sum(1)


@pytest.mark.parametrize("nu", [0.1, 0.01])
def test_burgers_against_hopf(nu):
    length, times = 2 * np.pi, np.linspace(0, 3, 7)
    at = grid(length, 1024)
    initial = np.sin(at) + 0.4 * np.cos(2 * at + 1)
    u = solve(Equation("u_t + u*u_x = nu*u_xx", nu=nu), initial, times, length, resolution=1024)[0]
    some = slice(None, None, 16)
    for i in (2, 4, 6):  # the shock forms at about t = 1
        exact = hopf(lambda y: -np.cos(y) + 0.2 * np.sin(2 * y + 1), nu, at[some], times[i], length)
        assert error(u[i, some], exact) < 1e-7


def test_burgers_against_the_heat_flow():
    """Cole and Hopf: ``u = -2 nu psi_x/psi`` with ``psi_t = nu psi_xx``, exact in Fourier space."""
    nu, length, times = 0.2, 2 * np.pi, np.linspace(0, 4, 5)
    at = grid(length, 256)
    k = np.arange(129)
    psi_hat = np.fft.rfft(np.exp(np.cos(at) / (2 * nu)))[None] * np.exp(-nu * times[:, None] * k**2)
    psi, psi_x = np.fft.irfft(psi_hat, 256), np.fft.irfft(1j * k * psi_hat, 256)
    exact = -2 * nu * psi_x / psi
    assert error(
        solve(Equation("u_t + u*u_x = nu*u_xx", nu=nu), exact[0], times, length, resolution=256)[0], exact
    ) < 1e-8  # fmt: skip


def test_small_waves_of_ks_grow_at_the_linear_rate():
    length, k, times = 20.0, 2 * np.pi / 20 * 2, np.array([0.0, 2.0, 5.0])
    at = grid(length, 64)
    exact = 1e-7 * np.exp((k**2 - k**4) * times)[:, None] * np.cos(k * at)
    assert error(solve(KS, exact[0], times, length, resolution=64)[0], exact) < 1e-5  # the nonlinear part is 1e-7


@pytest.mark.parametrize(
    ("equation", "exact"),
    [
        ("u_t + 2*u_x = u_xx/10", lambda x, t: np.exp(-0.1 * t) * np.sin(x - 2 * t) + 1),
        ("u_t + u_xxxxx + u_x/3 = 0", lambda x, t: np.cos(3 * (x - t / 3) - 243 * t) + np.sin(x - t / 3 - t)),
        ("2*u_t + 2*u_xxx + 2*u/(2*(t + 1)) = 0", lambda x, t: np.sin(x + t) / np.sqrt(1 + t)),
        ("u_t = u_xx/10 + sin(x)/10 + cos(t)", lambda x, t: np.sin(x) + np.sin(t)),
        ("u_t = u_xx + u - u**2", lambda x, t: 1 / (1 + 3 * np.exp(-t)) + 0 * x),
        ("u_t + exp(u)*u_xxx = 0", None),
        ("u_t + exp(u)*u_x = u_xx + exp(1)*u_x", lambda x, t: 1 + 0 * x),
        ("u_t + sin(t)*u_x + cos(t)*u_xxx/10 = 0", None),
        ("u_t - t*u_xx = 0", lambda x, t: np.exp(-(t**2) / 2) * np.sin(x)),
        ("u_t + u_x = tanh(u)*cos(x)*0", lambda x, t: np.sin(x - t)),
    ],
)
def test_other_equations(equation, exact):
    times, at = np.linspace(0, 2, 5), grid(2 * np.pi, 64)
    if exact is None:  # a nonlinear highest derivative, a factor of time that vanishes
        with pytest.raises(UserError, match="cannot solve"):
            solve(equation, np.sin(at), times, 2 * np.pi, resolution=64)
        return
    expected = np.stack([exact(at, time) for time in times])
    assert error(solve(equation, expected[0], times, 2 * np.pi, resolution=64)[0], expected) < 1e-7


def phi(z):
    """``phi_1 ... phi_3`` by contour means of their power series' closed forms, radius 4."""
    near = z[:, None] + 4 * np.exp(2j * np.pi * (np.arange(64) + 0.5) / 64)

    def closed(z):
        first = np.expm1(z) / z
        second = (first - 1) / z
        return first, second, (second - 0.5) / z

    with np.errstate(all="ignore"):
        return [np.where(np.abs(z) < 2, a.mean(1), b) for a, b in zip(closed(near), closed(z), strict=True)]


def cox_matthews(symbol, nonlinear, v, h, steps):
    """ETDRK4 in its first form (J. Comput. Phys. 176, 2002): other stages than the solver's."""
    E, E2, (p1, p2, p3), (q1, _, _) = np.exp(h * symbol), np.exp(h * symbol / 2), phi(h * symbol), phi(h * symbol / 2)
    for i in range(steps):
        A = h * nonlinear(v, i * h)
        a = E2 * v + q1 / 2 * A
        B = h * nonlinear(a, (i + 0.5) * h)
        C = h * nonlinear(E2 * v + q1 / 2 * B, (i + 0.5) * h)
        D = h * nonlinear(E2 * a + q1 / 2 * (2 * C - A), (i + 1) * h)
        v = E * v + (p1 - 3 * p2 + 4 * p3) * A + (2 * p2 - 4 * p3) * (B + C) + (4 * p3 - p2) * D
    return v


def reference(name, initial, end, modes, steps):
    """u at `end` on twice as many points as modes, by fixed steps."""
    length = CATALOGUE[name].settings["length"]
    k = 2 * np.pi / length * np.arange(modes)
    clock = {"nkdv": lambda t: np.exp(t / 50)}.get(name, lambda t: 1.0)
    symbol = k**2 - k**4 + 0j if name == "ks" else 1j * k**3

    def square(v):
        return -0.5j * k * np.fft.rfft(np.fft.irfft(v, 3 * modes, norm="forward") ** 2, norm="forward")[:, :modes]

    def nonlinear(v, t):
        return square(v) - v / (2 * (t + 1)) if name == "ckdv" else square(v)

    v = np.zeros((len(initial), modes), complex)
    start = solvers.spectrum(initial)
    v[:, : start.shape[1]] = start
    end = 50 * np.expm1(end / 50) if clock(1.0) != 1.0 else end
    return np.fft.irfft(cox_matthews(symbol, nonlinear, v, end / steps, steps), 2 * modes, norm="forward")


@pytest.mark.parametrize(
    ("name", "end", "modes", "steps", "bound"),
    [
        ("kdv", 40.0, 256, 4_800, 1e-6),
        ("ks", 20.0, 128, 6_000, 1e-7),
        ("nkdv", 25.0, 256, 4_800, 1e-5),
        ("ckdv", 100.0, 128, 4_000, 1e-7),
    ],
)
def test_against_an_independent_integrator(name, end, modes, steps, bound):
    dt = CATALOGUE[name].settings["end"] / (CATALOGUE[name].settings["steps"] - 1)
    data = generate(name, 3, 7, end=end, steps=round(end / dt) + 1, keep=1, resolution=2 * modes)
    waves, numbers = CATALOGUE[name].settings["waves"], CATALOGUE[name].settings["wavenumbers"]
    initial = random_waves(3, 7, 64, waves=waves, wavenumbers=numbers)
    assert error(data.u[:, 0].numpy(), reference(name, initial, end, modes, steps)) < bound


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "modes", "steps", "bound"),
    [("kdv", 640, 15_000, 1e-5), ("ks", 256, 40_000, 1e-5), ("nkdv", 640, 45_000, 1e-3), ("ckdv", 256, 8_000, 1e-5)],
)
def test_default_settings_at_the_last_time(name, modes, steps, bound):
    """The reference itself is within a twentieth of the bound of a run whose tolerance is a hundred times tighter."""
    settings = CATALOGUE[name].settings
    data = generate(name, 8, 11, keep=1, resolution=2 * modes)
    initial = random_waves(8, 11, 64, waves=settings["waves"], wavenumbers=settings["wavenumbers"])
    assert error(data.u[:, 0].numpy(), reference(name, initial, settings["end"], modes, steps)) < bound


@pytest.mark.parametrize(
    ("file", "equation", "points"),
    [
        ("KdV_sine.mat", KDV, 512),
        ("KS.mat", KS, 511),  # the last row repeats the first
        ("burgers_sine.mat", Equation("u_t + u*u_x = nu*u_xx", nu=0.1), 256),
    ],
)
def test_runs_of_chebfun(file, equation, points):
    folder = os.environ.get("SYMFLOW_DATA")
    if folder is None:
        pytest.skip("SYMFLOW_DATA does not name the folder with reference data")
    held = scipy.io.loadmat(Path(folder) / "pde" / "chebfun" / file)
    x, t, exact = held["x"].ravel(), held["t"].ravel(), held["usol"][:points].T
    length = (x[1] - x[0]) * points
    u = solve(equation, exact[0], t, length, resolution=points, tolerance=1e-10)[0]
    # Chebfun's Burgers on 256 points is itself 2.7e-8 from a grid twice as fine
    assert error(u, exact) < 1e-7


def test_kdv_keeps_its_first_three_invariants():
    data = generate("kdv", 4, 3, steps=40, keep=40, end=60.0)
    u, u_x = data.derivatives(1)
    for density in (u, u**2, u_x**2 / 2 - u**3 / 6):
        mean = density.mean(-1)
        assert float((mean - mean[:, :1]).abs().max()) < 1e-6 * float(density.abs().max())


waves = st.integers(0, 2**31)


@settings(max_examples=5, deadline=None)
@given(seed=waves, name=st.sampled_from(list(CATALOGUE)), shift=st.integers(1, 63))
def test_translations_commute_with_the_solver(seed, name, shift):
    length, times = CATALOGUE[name].settings["length"] / 2, np.linspace(0, CATALOGUE[name].settings["end"] / 50, 3)
    initial = random_waves(2, seed, 64, waves=4, wavenumbers=(1, 2))
    equation = CATALOGUE[name].equation
    plain = solve(equation, initial, times, length, resolution=1024)
    moved = solve(equation, np.roll(initial, shift, -1), times, length, resolution=1024)
    assert error(moved, np.roll(plain, 16 * shift, -1)) < 1e-8


@settings(max_examples=5, deadline=None)
@given(seed=waves, name=st.sampled_from(["kdv", "ks", "burgers"]), speed=st.integers(-2, 2))
def test_boosts_commute_with_the_solver(seed, name, speed):
    """``u(x - c t, t) + c`` solves what u solves; at whole grid spacings per output time."""
    length, points = CATALOGUE[name].settings["length"] / 2, 1024
    times = np.arange(3) * (length / points) * 8
    initial = random_waves(2, seed, 64, waves=4, wavenumbers=(1, 2))
    equation = CATALOGUE[name].equation
    plain = solve(equation, initial, times, length, resolution=points)
    boosted = solve(equation, initial + speed, times, length, resolution=points)
    for i in range(3):
        assert error(boosted[:, i], np.roll(plain[:, i], 8 * i * speed, -1) + speed) < 1e-8


@pytest.mark.parametrize(
    ("equation", "end", "sentence"),
    [
        ("u_t + u*u_xxx = 0", 1.0, "highest x-derivative must stand alone"),
        ("u_t + u_xx = 0", 1.0, "short waves grow without bound"),
        ("u_t + u_x = u**3*50", 1.0, r"trajectory 0 of .* at t = "),
        ("u_t + exp(exp(t))*tanh(t)*u_xxx = 0", 1.0, "no integral in closed form"),
        ("u_t + u*u_x = u_xx/10000", 2.0, "is not resolved by"),
    ],
)
def test_refusals_are_sentences(equation, end, sentence, monkeypatch):
    monkeypatch.setattr(solvers, "MOST_MODES", 512)  # so that the last one is short
    monkeypatch.setattr(solvers, "MOST_STEPS", 2048)
    at = grid(2 * np.pi, 64)
    with pytest.raises(UserError, match=sentence):
        solve(equation, 1 + np.sin(at), np.linspace(0, end, 11), 2 * np.pi, resolution=64)
