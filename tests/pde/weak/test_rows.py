"""Weak rows of exact solutions on every kind of axis: orders, noise, missing values, systems, two space dimensions."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import sympy
import torch

from symflow.errors import UserError
from symflow.pde.equations import JetSpace
from symflow.pde.gate import gate
from symflow.pde.laws.claims import Law
from symflow.pde.laws.figures import Figures
from symflow.pde.trajectories import Axis
from symflow.pde.weak.parts import moved
from symflow.pde.weak.rows import rows_on_axes
from symflow.pde.weak.samples import Samples

LINE = JetSpace(("t", "x"), ("u",))
u, u_t, u_x, u_xx = (LINE.symbol(0, k) for k in ((0, 0), (1, 0), (0, 1), (0, 2)))
BURGERS = u_t + u * u_x - u_xx / 10


def linspace(low: float, high: float, n: int) -> torch.Tensor:
    return torch.linspace(low, high, n, dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def place(kind: str, n: int) -> Axis:
    if kind == "periodic":
        return Axis("x", torch.arange(n, dtype=torch.float64) * (2 * math.pi / n), 2 * math.pi)
    s = linspace(0, 1, n)
    return Axis("x", 2 * math.pi * (s if kind == "open" else s + 0.05 * torch.sin(2 * math.pi * s)))


def burgers(kind: str, n: int, times: int) -> Samples:
    """``u = -2 nu w_x/w`` with w a positive solution of the heat equation (Cole and Hopf)."""
    axes = Axis("t", linspace(0, 2, times)), place(kind, n)
    t, x = axes[0].nodes[:, None], axes[1].nodes
    trajectories = []
    for a, b in ((0.5, 0.3), (0.2, -0.6), (-0.4, 0.5), (0.7, 0.1), (0.3, 0.6), (-0.6, 0.2)):
        one, two = a * torch.exp(-t / 10), b * torch.exp(-4 * t / 10)
        w = 1 + one * torch.cos(x) + two * torch.sin(2 * x) / 2
        trajectories.append(0.2 * (one * torch.sin(x) - two * torch.cos(2 * x)) / w)
    return Samples(LINE, axes, torch.stack(trajectories)[:, None])


@pytest.mark.parametrize("kind", ["periodic", "open", "uneven"])
def test_residuals_fall_with_the_grid_and_the_error_covers_them(kind):
    """The same test functions on grids twice as fine: the sums gain 6 orders at the least, down to rounding."""
    law = Law.of(BURGERS, LINE)
    residuals = []
    for n in (1, 2, 4):
        samples = burgers(kind, 24 * n, 20 * n + 1)
        found = Figures.of(rows_on_axes(samples, law.columns(), (7 * n, 6 * n)), law)
        assert bool((found.residual <= 3 * found.error + 1e-9).all())
        residuals.append(float(found.residual.median()))
    for coarse, fine in pairwise(residuals):
        assert fine < max(coarse / 64, 1e-9)


@pytest.mark.parametrize("kind", ["periodic", "odd", "open", "uneven"])
def test_noise_rows_have_the_noise_of_the_plain_ones(kind):
    """Of white noise alone both have the same mean square, and sigma is measured: five standard errors of 300 draws."""
    axes = Axis("t", linspace(0, 1, 40)), place("periodic" if kind == "odd" else kind, 65 if kind == "odd" else 64)
    samples = Samples(LINE, axes, 0.3 * normal(300, 1, 40, len(axes[1])))
    rows = rows_on_axes(samples, [moved(m, LINE) for m in (u_t, u_x, u_xx)], (10, 12))
    plain, noise = (r.square().mean((0, 1, 2)) for r in (rows.plain, rows.noise))
    assert bool(((noise / plain).log().abs() < 0.13).all())
    assert float(rows.sigma.square().mean().sqrt()) == pytest.approx(0.3, rel=0.03)


def test_rows_of_a_trajectory_do_not_depend_on_its_company():
    samples = burgers("periodic", 48, 41)
    columns = Law.of(BURGERS, LINE).columns()
    together, alone = rows_on_axes(samples, columns, (14, 12)), rows_on_axes(samples[2:3], columns, (14, 12))
    assert torch.equal(together.plain[2], alone.plain[0])


def test_missing_values_drop_the_supports_that_meet_them():
    samples = burgers("periodic", 64, 61)
    values = samples.values.clone()
    values[:, :, 20:24, 30:36] = math.nan
    law = Law.of(BURGERS, LINE)
    holed = Samples(LINE, samples.axes, values)
    found = Figures.of(rows_on_axes(holed, law.columns(), (15, 12)), law)
    whole = Figures.of(rows_on_axes(samples, law.columns(), (15, 12)), law)
    assert bool((found.residual < 10 * whole.residual + 1e-9).all())
    marked = torch.zeros(6, 61, 64, dtype=torch.bool)
    marked[:, 20:24, 30:36] = True
    filled = torch.where(marked[:, None], torch.tensor(-999.0, dtype=torch.float64), samples.values)
    same = Figures.of(rows_on_axes(Samples(LINE, samples.axes, filled, marked), law.columns(), (15, 12)), law)
    assert bool((same.residual < 10 * whole.residual + 1e-9).all())


@pytest.mark.parametrize("kind", ["periodic", "open", "uneven"])
@pytest.mark.parametrize("level", [0.0, 1e-3])
def test_the_gate_on_every_kind_of_axis(kind, level):
    samples = burgers(kind, 64, 61)
    values = samples.values + level * samples.values.std() * normal(*samples.values.shape)
    samples = Samples(LINE, samples.axes, values)
    assert gate(samples, [BURGERS]).verdict == "solves"
    assert gate(samples, [BURGERS - 0.002 * u_xx]).verdict == "refuted"
    assert gate(samples, [u_t + u * u_x]).verdict == "refuted"


def test_a_term_that_no_test_function_takes_over():
    """``h = log w`` solves ``h_t = nu (h_xx + h_x^2)``."""
    samples = burgers("periodic", 64, 61)
    t, x = samples.axes[0].nodes[:, None], samples.axes[1].nodes
    waves = [
        torch.log(1 + a * torch.exp(-t / 10) * torch.cos(x) + b * torch.exp(-4 * t / 10) * torch.sin(2 * x) / 2)
        for a, b in ((0.5, 0.3), (0.2, -0.6), (-0.4, 0.5), (0.7, 0.1), (0.3, 0.6), (-0.6, 0.2))
    ]
    values = torch.stack(waves)[:, None]
    right, wrong = u_t - u_xx / 10 - u_x**2 / 10, u_t - u_xx / 10 - 1.02 * u_x**2 / 10
    for level in (0.0, 1e-3):
        noisy = Samples(LINE, samples.axes, values + level * values.std() * normal(*values.shape))
        assert gate(noisy, [right]).verdict == "solves"
        assert gate(noisy, [wrong]).verdict == "refuted"
    values[:, :, 20:24, 30:36] = math.nan  # then derivatives are differences on the period
    holed = Samples(LINE, samples.axes, values)
    assert gate(holed, [right]).verdict == "solves"
    assert gate(holed, [wrong]).verdict == "refuted"


def test_two_unknowns():
    """Moving solitons of ``i psi_t + psi_xx + 2 |psi|^2 psi = 0``, ``psi = u + i v``, on a window."""
    space = JetSpace(("t", "x"), ("u", "v"))
    u, v, u_t, v_t, u_xx, v_xx = (space.symbol(a, k) for k in ((0, 0), (1, 0), (0, 2)) for a in (0, 1))
    axes = Axis("t", linspace(0, 2, 81)), Axis("x", linspace(-6, 6, 121))
    t, x = axes[0].nodes[:, None], axes[1].nodes
    waves = []
    for c, size in ((0.5, 1.0), (-1.0, 1.3), (1.5, 0.8), (0.0, 1.2), (-0.5, 0.9), (1.0, 1.1)):
        envelope = size / torch.cosh(size * (x - c * t))
        phase = c * x / 2 + (size**2 - c**2 / 4) * t
        waves.append(torch.stack([envelope * torch.cos(phase), envelope * torch.sin(phase)]))
    samples = Samples(space, axes, torch.stack(waves))
    size = u**2 + v**2
    right = [u_t + v_xx + 2 * size * v, v_t - u_xx - 2 * size * u]
    found = gate(samples, right)
    assert found.verdict == "solves", found.sentence
    assert len(found.trials) == 6
    assert gate(samples, [right[0], v_t - 1.02 * u_xx - 2 * size * u]).verdict == "refuted"


def waves_2d(speeds: tuple[float, float] | None) -> Samples:
    """Random modes on a doubly periodic square: of the heat equation, or of waves with these speeds."""
    space = JetSpace(("t", "x", "y"), ("u",))
    nodes = torch.arange(32, dtype=torch.float64) * (2 * math.pi / 32)
    axes = Axis("t", linspace(0, 3, 41)), Axis("x", nodes, 2 * math.pi), Axis("y", nodes, 2 * math.pi)
    t, x, y = axes[0].nodes[:, None, None], nodes[:, None], nodes
    values = torch.zeros(6, 1, 41, 32, 32, dtype=torch.float64)
    for s, amplitudes in enumerate(normal(6, 4)):
        for a, (k, l, phase) in zip(amplitudes, ((1, 0, 0.0), (1, 1, 1.0), (2, 1, 2.0), (0, 2, 3.0)), strict=True):
            if speeds is None:
                values[s, 0] += a * torch.exp(-(k**2 + 2 * l**2) * t / 10) * torch.cos(k * x + l * y + phase + s)
            else:
                omega = math.sqrt((k * speeds[0]) ** 2 + (l * speeds[1]) ** 2)
                values[s, 0] += a * torch.cos(k * x + l * y + phase + s) * torch.cos(omega * t + phase)
    return Samples(space, axes, values)


def test_two_space_dimensions():
    samples = waves_2d(None)
    u_t, u_xx, u_yy = (samples.space.symbol(0, k) for k in ((1, 0, 0), (0, 2, 0), (0, 0, 2)))
    found = gate(samples, [u_t - u_xx / 10 - u_yy / 5])
    assert found.verdict == "solves", found.sentence
    assert not [c for c in found.coefficients if not c.tested]
    assert gate(samples, [u_t - u_xx / 10 - 0.204 * u_yy]).verdict == "refuted"
    assert gate(samples, [u_t - u_xx / 10]).verdict == "refuted"


def test_second_order_in_time():
    samples = waves_2d((1.0, 1.5))
    u_tt, u_xx, u_yy = (samples.space.symbol(0, k) for k in ((2, 0, 0), (0, 2, 0), (0, 0, 2)))
    assert gate(samples, [u_tt - u_xx - 2.25 * u_yy]).verdict == "solves"
    assert gate(samples, [u_tt - 1.02 * u_xx - 2.25 * u_yy]).verdict == "refuted"


def test_time_alone():
    """The logistic equation, ``u = 1/(1 + a exp(-t))``."""
    space = JetSpace(("t",), ("u",))
    u, u_t = space.symbol(0, (0,)), space.symbol(0, (1,))
    t = linspace(0, 6, 121)
    values = torch.stack([1 / (1 + a * torch.exp(-t)) for a in (0.3, 1.0, 3.0, 8.0, 20.0, 50.0)])[:, None]
    samples = Samples(space, (Axis("t", t),), values)
    assert gate(samples, [u_t - u + u**2]).verdict == "solves"
    assert gate(samples, [u_t - u + 1.02 * u**2]).verdict == "refuted"


def test_derivatives_are_moved_from_the_equation_not_from_its_terms():
    space = JetSpace(("t", "x"), ("u", "v"))
    u, v, u_x, v_x = (space.symbol(a, k) for k in ((0, 0), (0, 1)) for a in (0, 1))
    assert moved(u * v_x + v * u_x, space) == (((0, 1), u * v),)
    ((k, f), (l, g)) = moved(u * v_x, space)
    assert (k, l) == ((0, 0), (0, 1))
    assert sympy.expand(f + v * u_x) == sympy.expand(g - u * v) == 0


def test_mistakes_are_sentences():
    samples = burgers("periodic", 24, 21)
    with pytest.raises(UserError, match="need more than the 21 nodes of the axis t"):
        rows_on_axes(samples, [moved(u_t, LINE)], (12, 6))
    with pytest.raises(UserError, match="periodic axis x must be uniform"):
        Axis("x", linspace(0, 1, 9) ** 2, 1.2)
    with pytest.raises(UserError, match="`values` must have shape"):
        Samples(LINE, samples.axes, samples.values[..., 1:])
