"""Coefficients by windows, on exact solutions of equations whose coefficients change, and of those whose do not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from symflow.pde import Equation, Trajectories, generate
from symflow.pde.laws.clock import candidates_with_time
from symflow.pde.laws.drift import Drift, drifts
from symflow.pde.weak import law

ADVECTION = Equation("u_t + u_x = 0")


def carried(phase: Callable[[Tensor, Tensor], Tensor], samples: int = 3, noise: float = 0.0) -> Trajectories:
    """``u = f(phase(x, t))``, f a few waves of period 2 pi: a solution of ``u_t - (phase_t/phase_x) u_x = 0``."""
    generator = torch.Generator().manual_seed(3)
    x = torch.arange(128, dtype=torch.float64) * (2 * math.pi / 128)
    t = torch.linspace(1.0, 5.0, 161, dtype=torch.float64)
    at = phase(x, t[:, None])
    rows = []
    for _ in range(samples):
        a = torch.randn(3, 2, generator=generator, dtype=torch.float64)
        rows.append(sum(a[k, 0] * torch.cos((k + 1) * at) + a[k, 1] * torch.sin((k + 1) * at) for k in range(3)))
    u = torch.stack(rows)
    u = u + noise * u.std() * torch.randn(u.shape, generator=generator, dtype=torch.float64)
    return Trajectories(ADVECTION, x, t, u)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_speed_that_changes_with_x_drifts_in_x_only(noise: float) -> None:
    """``x + a sin x - t`` is carried at the speed ``1/(1 + a cos x)``."""
    (found,) = drifts(carried(lambda x, t: x + 0.2 * torch.sin(x) - t, noise=noise), ADVECTION)
    assert (found.term, found.axis) == ("u_x", "x")
    for place, value in zip(found.places, found.values, strict=True):
        about = 1 / (1 + 0.2 * torch.cos(place + torch.linspace(-1.5, 1.5, 31)))  # a window, with its test functions
        assert float(about.min()) < value < float(about.max())


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_speed_that_changes_with_t_drifts_in_t_only(noise: float) -> None:
    (found,) = drifts(carried(lambda x, t: x - t - 0.05 * t**2, noise=noise), ADVECTION)
    assert (found.term, found.axis) == ("u_x", "t")
    assert found.values == pytest.approx([1 + 0.1 * place for place in found.places], rel=0.01)
    assert found.sentence.startswith("the coefficient of u_x rises from 1.1")


@pytest.mark.parametrize("name", ["kdv", "burgers"])
def test_coefficients_that_are_constant_do_not_drift(name: str) -> None:
    data = generate(name, 4, seed=1, resolution=128, steps=80, keep=60, end=40.0 if name == "kdv" else 4.0)
    for noise in (0.0, 0.001, 0.01, 0.05):
        random = torch.Generator().manual_seed(5)
        u = data.u + noise * data.u.std() * torch.randn(data.u.shape, generator=random, dtype=torch.float64)
        assert drifts(Trajectories(data.equation, data.x, data.t, u), data.equation) == []


def test_data_without_room_for_windows_say_nothing() -> None:
    data = carried(lambda x, t: x - t - 0.05 * t**2)
    assert drifts(Trajectories(ADVECTION, data.x, data.t[:9], data.u[:, :9]), ADVECTION) == []


# ---------------------------------------------------------------- factors of t


def best(data: Trajectories) -> dict[str, float]:
    found = candidates_with_time(data, list(law(ADVECTION)), drifts(data, ADVECTION), 0.05)[0]
    return dict(zip(map(str, found.terms), found.theta.tolist(), strict=True))


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_factors_of_t_are_found(noise: float) -> None:
    """Speeds ``2/(t + 3)``, ``exp(t/5)`` and ``1 + t/10``."""
    inverse = best(carried(lambda x, t: x - 2 * torch.log(t + 3), noise=noise))
    assert set(inverse) == {"u_x/(t + 3)"}
    assert inverse["u_x/(t + 3)"] == pytest.approx(2, rel=0.01)
    growing = best(carried(lambda x, t: x - 5 * torch.exp(t / 5), noise=noise))
    assert set(growing) == {"u_x*exp(t/5)"}
    assert growing["u_x*exp(t/5)"] == pytest.approx(1, rel=0.01)
    linear = best(carried(lambda x, t: x - t - 0.05 * t**2, noise=noise))
    assert set(linear) == {"u_x", "t*u_x"}
    assert linear["t*u_x"] == pytest.approx(0.1, rel=0.05)


def test_a_coefficient_that_passes_through_zero_has_no_factor() -> None:
    through = Drift("u_x", "t", [1.0, 2.0], [-0.1, 0.1], [1e-3, 1e-3])
    assert candidates_with_time(carried(lambda x, t: x - t), list(law(ADVECTION)), [through], 0.05) == []
