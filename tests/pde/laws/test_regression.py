"""Weak regression: integration by parts, quadrature, and coefficients of exact solutions and of data, under noise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from jets_of_laws import noisy
from symflow.errors import UserError
from symflow.pde import Equation, Trajectories, generate
from symflow.pde.equations.equation import derivative_symbol, u
from symflow.pde.laws.regression import effective_coefficients
from symflow.pde.weak.terms import law
from symflow.pde.weak.weak_form import Widths, weak_rows

u_x, u_xx, u_xxx = (derivative_symbol(m) for m in (1, 2, 3))


@pytest.fixture(scope="module")
def kdv() -> Trajectories:
    return generate("kdv", 12, 0, resolution=256, keep=60)


@pytest.mark.parametrize("nonuniform", [False, True])
def test_an_exact_solution_has_its_own_coefficients(nonuniform):
    """``u = sum a_k exp(-k^2 t/10) sin(k (x - 2 t))`` solves u_t + 2 u_x = u_xx/10, on any times."""
    place = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
    times = torch.linspace(0, 1, 80, dtype=torch.float64)
    if nonuniform:
        times = torch.expm1(times) / math.e
    random = torch.Generator().manual_seed(0)
    amplitude = torch.rand(8, 3, 1, 1, dtype=torch.float64, generator=random) + 0.5
    shift = torch.rand(8, 3, 1, 1, dtype=torch.float64, generator=random) * 6
    k = torch.arange(1, 4, dtype=torch.float64)[:, None, None]
    waves = amplitude * torch.exp(-(k**2) * times[:, None] / 10) * torch.sin(k * (place - 2 * times[:, None]) + shift)
    data = Trajectories(Equation("u_t + 2*u_x = u_xx/10"), place, times, waves.sum(1))
    fit = effective_coefficients(data)
    found = dict(zip(map(str, fit.terms), fit.theta.tolist(), strict=True))
    # test functions have one width in time: among the latest times, 1.6 times as far apart, they have fewer
    # and sums that are off by 6e-5 instead of 1e-6
    assert found["u_x"] == pytest.approx(2, rel=1e-5 if nonuniform else 1e-6)
    assert found["u_xx"] == pytest.approx(-0.1, rel=1e-4 if nonuniform else 1e-5)
    assert bool(((fit.lower <= torch.tensor([2, -0.1])) & (torch.tensor([2, -0.1]) <= fit.upper)).all())


@pytest.mark.parametrize(("name", "error"), [("kdv", 1e-5), ("ks", 1e-5), ("nkdv", 2e-3), ("ckdv", 1e-4)])
def test_data_have_the_coefficients_of_their_equation(name, error):
    data = generate(name, 8, 0, resolution=256, keep=60)
    fit = effective_coefficients(data)
    truth = law(data.equation)
    assert fit.terms == tuple(truth)
    for value, low, high, true in zip(fit.theta, fit.lower, fit.upper, truth.values(), strict=True):
        assert float(value) == pytest.approx(true, rel=error)
        assert low <= true <= high


def test_instruments_remove_the_bias_of_noise(kdv):
    """At 3 % noise and narrow test functions plain least squares is about ten errors too small."""
    data = noisy(kdv, 0.03)
    widths = Widths(8, 8)
    fit = effective_coefficients(data, widths=widths)
    rows = weak_rows(data, fit.terms, widths).values.flatten(0, 2)
    plain = -torch.linalg.lstsq(rows[:, 1:], rows[:, :1]).solution[:, 0]
    assert bool((plain < 1 - 6 * fit.error).all())
    assert bool(((fit.theta - 1).abs() < 4 * fit.error).all())
    assert fit.noise == pytest.approx(0.03 * float(kdv.u.std()), rel=0.02)
    assert fit.misfit == pytest.approx(1, abs=0.1)


def test_the_mean_shift_of_noise_is_removed(kdv):
    """u^2 without a derivative is shifted by the variance of the noise; KdV has none of it."""
    fit = effective_coefficients(noisy(kdv, 0.1), [u * u_x, u_xxx, u**2])
    assert float(fit.lower[2]) <= 0 <= float(fit.upper[2])


def test_coverage_at_one_percent(kdv):
    """12 replicates: more than 4 misses of intervals of 95 % have a probability below 1e-3."""
    misses = 0
    for seed in range(12):
        fit = effective_coefficients(noisy(kdv, 0.01, seed))
        misses += bool(((fit.lower > 1) | (fit.upper < 1)).any())
    assert misses <= 4


def test_smaller_intervals_for_larger_alpha_and_one_at_a_time(kdv):
    data = noisy(kdv, 0.01)
    widths = Widths(27, 12)
    wide, narrow = (effective_coefficients(data, alpha=a, widths=widths) for a in (0.01, 0.2))
    single = effective_coefficients(data, alpha=0.01, simultaneous=False, widths=widths)
    assert bool((wide.upper - wide.lower > narrow.upper - narrow.lower).all())
    assert bool((wide.upper - wide.lower > single.upper - single.lower).all())


def test_a_collinear_term_is_left_out_and_named():
    """On one travelling wave u_t = -c u_x, and u_xxx cannot be told from u_x for a single mode."""
    place = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
    times = torch.linspace(0, 4, 60, dtype=torch.float64)
    u_ = torch.stack([a * torch.sin(place - 2 * times[:, None] + a) for a in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)])
    data = Trajectories(Equation("u_t + u_x - u_xxx = 0"), place, times, u_)
    fit = effective_coefficients(data)
    assert fit.terms == (u_x,)
    assert fit.collinear == (u_xxx,)
    assert float(fit.theta[0]) == pytest.approx(2, rel=1e-3)
    assert float(fit.lower[0]) <= 2 <= float(fit.upper[0])


def test_mistakes_are_sentences(kdv):
    with pytest.raises(ValueError, match="`alpha` must be a probability"):
        effective_coefficients(kdv, alpha=2.0)
    with pytest.raises(UserError, match="coefficients need at least 13 times"):
        effective_coefficients(replace(kdv, t=kdv.t[:5], u=kdv.u[:, :5]))
    with pytest.raises(UserError, match="`terms` must hold at least one"):
        effective_coefficients(kdv, [])
    with pytest.raises(UserError, match="independent blocks"):
        effective_coefficients(replace(kdv[0], x=kdv.x[:32], u=kdv.u[:1, :20, :32], t=kdv.t[:20]))


SINGLE, PAIR = "u_t + u_x - u_xxx = 0", "u_t + u_x - u_xxx + u_xxxxx = 0"


@pytest.mark.parametrize("equation", [SINGLE, PAIR, "u_t + u - u_xx + u_xxxx = 0", "u_t + u*u_x + u_x*u_xx + u_x = 0"])
@pytest.mark.parametrize("modes", [(1,), (1, 2)])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("same", [False, True])
def test_collinear_terms_are_left_out_or_refused_in_a_sentence(equation, modes, size, same):
    """n waves tell n linear terms apart; whether rounding makes the rest singular is left to nobody."""
    place = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
    times = torch.linspace(0, 4, 60, dtype=torch.float64)
    waves = sum(torch.sin(k * (place - 2 * times[:, None])) / k for k in modes)
    u_ = size * torch.stack([waves if same else a * waves for a in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)])
    data = Trajectories(Equation(equation), place, times, u_)
    try:
        fit = effective_coefficients(data, widths=Widths(18, 12))
    except UserError as error:
        refused = str(error)
    else:
        refused = None
    if refused is not None:
        assert "the data do not determine" in refused
        return
    assert {*fit.terms, *fit.collinear} == set(law(data.equation))
    assert bool(fit.theta.isfinite().all())


def test_coefficients_that_one_trajectory_tells_apart_are_refused():
    """Without it u_x and u_xxx are one: the jackknife has a replicate that is not determined."""
    place = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
    times = torch.linspace(0, 4, 60, dtype=torch.float64)
    wave = torch.sin(place - 2 * times[:, None])
    u_ = torch.stack([wave] * 70 + [wave + torch.sin(2 * (place - 5 * times[:, None]))])
    with pytest.raises(UserError, match="one of the 71 blocks of trajectories alone"):
        effective_coefficients(Trajectories(Equation("u_t + u_x - u_xxx = 0"), place, times, u_), widths=Widths(12, 8))
