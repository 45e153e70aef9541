"""The compiled exponential steps against those of numpy, on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symflow import ops
from symflow.pde.equations.equation import Equation
from symflow.pde.generation import solvers, splitting
from symflow.pde.generation.generation import random_waves
from symflow.pde.generation.integrator import SpectralGrid

EQUATIONS = {
    "dispersive": "u_t + u*u_x + u_xxx = 0",
    "damped": "u_t + u*u_x + u_xx + u_xxxx = 0",
    "cubic": "u_t + 6*u**2*u_x + u_xxx = 0",
    "not a divergence": "u_t = u_xx/10 + u - u**3",
    "in time": "u_t + u*u_x/(t + 1) + u_xxx + u/(2*(t + 1)) = 0",
    "two linear terms in time": "u_t + u*u_x + u_xxx + t*u_x/5 + sin(t)*u = 0",
}


def start(rows, modes, seed=0):
    v = solvers.spectrum(random_waves(rows, seed, 64, waves=4, wavenumbers=(1, 2, 3)))
    return np.pad(v, ((0, 0), (0, modes - v.shape[1])))


def times(splitting_, spans, steps):
    if splitting_.autonomous:
        return None
    return [np.linspace(0.5, 0.5 + h * n, 2 * n + 1) for h, n in zip(spans, steps, strict=True)]


@pytest.mark.parametrize("text", EQUATIONS.values(), ids=EQUATIONS)
@pytest.mark.parametrize("modes", [33, 40, 48, 64, 80, 200])  # points with every radix, and an odd half
def test_steps_are_those_of_numpy(isa, monkeypatch, text, modes):
    split = splitting.split(Equation(text))
    grid = SpectralGrid(split, 40.0, modes)
    assert grid.polynomial is not None
    steps = [40, 40, 31, 17, 9, 9, 5, 4, 3, 2, 1]
    h = [1e-3 * (1 + i % 4) for i in range(len(steps))]
    v, clock = start(len(steps), modes), times(split, h, steps)
    found = grid.advance(v, h, steps, clock)
    monkeypatch.setattr(ops, "built", False)
    expected = grid.advance(v, h, steps, clock)
    assert np.abs(expected - v).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-14 * np.abs(expected).max())


@pytest.mark.determinism
@pytest.mark.parametrize("text", [EQUATIONS["damped"], EQUATIONS["in time"]])
def test_a_row_does_not_know_its_company(isa, text):
    split = splitting.split(Equation(text))
    grid = SpectralGrid(split, 40.0, 48)
    steps = [12, 12, 11, 10, 8, 8, 8, 7, 5, 2, 2, 1]
    h = [1e-2 / (1 + i % 3) for i in range(len(steps))]
    v, clock = start(len(steps), 48), times(split, h, steps)
    together = grid.advance(v, h, steps, clock)
    for some in ([0], [3, 9], [1, 2, 4, 5, 6, 7, 8, 10, 11]):
        part = grid.advance(v[some], [h[i] for i in some], [steps[i] for i in some], clock and [clock[i] for i in some])
        assert np.array_equal(part, together[some])


def test_what_is_not_finite_stays_in_its_row(isa):
    grid = SpectralGrid(splitting.split(Equation(EQUATIONS["dispersive"])), 40.0, 48)
    v = start(3, 48)
    good = grid.advance(v, [1e-2] * 3, [4] * 3, None)
    v[1] = np.inf
    with np.errstate(all="ignore"):
        after = grid.advance(v, [1e-2] * 3, [4] * 3, None)
    assert np.array_equal(after[[0, 2]], good[[0, 2]])
    assert not np.isfinite(after[1]).any()


def test_without_the_extension_numpy_does_it(monkeypatch):
    monkeypatch.setattr(ops, "built", False)
    monkeypatch.setattr(ops, "etdrk4", None)
    grid = SpectralGrid(splitting.split(Equation(EQUATIONS["dispersive"])), 40.0, 48)
    assert np.isfinite(grid.advance(start(3, 48), [1e-2] * 3, [4] * 3, None)).all()


def test_other_densities_are_left_to_numpy():
    for text in ("u_t + u*u_x*u_xx + u_xxx = 0", "u_t = u_xx + sin(u)", "u_t + x*u*u_x = u_xx", "u_t = u_xx"):
        assert SpectralGrid(splitting.split(Equation(text)), 6.0, 32).polynomial is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v": torch.zeros(3, 8, dtype=torch.float64)}, r"`v` must have shape \[rows, modes, 2\]"),
        ({"v": torch.zeros(3, 8, 2)}, "`v` must have the dtype"),
        ({"weights": torch.zeros(2, 8, 8, 2, dtype=torch.float64)}, r"`weights` must have shape \[2, 9, 8, 2\]"),
        ({"table": torch.tensor([0, 1, 2])}, "`table` must be from 0 to 1"),
        ({"steps": torch.tensor([1, 2, 0])}, "`steps` must not rise"),
        ({"steps": torch.tensor([1, 0, -1])}, "`steps` must not rise"),
        ({"factors": torch.zeros(3, 4, 1, dtype=torch.float64)}, "`factors` must hold every stage"),
        ({"density": torch.zeros(0, dtype=torch.float64)}, r"`density` must have shape \[degree \+ 1\]"),
        ({"roots": torch.zeros(22, 2, dtype=torch.float64)}, "even product of 2, 3 and 5, and at least 16, got 22"),
        ({"roots": torch.zeros(12, 2, dtype=torch.float64)}, "even product of 2, 3 and 5, and at least 16, got 12"),
    ],
)
def test_the_operator_checks_its_arguments(change, message):
    arguments = {
        "v": torch.zeros(3, 8, 2, dtype=torch.float64),
        "weights": torch.zeros(2, 9, 8, 2, dtype=torch.float64),
        "table": torch.tensor([0, 1, 1]),
        "steps": torch.tensor([2, 1, 0]),
        "density": torch.zeros(3, dtype=torch.float64),
        "multipliers": torch.zeros(1, 8, 2, dtype=torch.float64),
        "factors": torch.zeros(3, 0, 1, dtype=torch.float64),
        "roots": torch.zeros(20, 2, dtype=torch.float64),
    }
    torch.ops.symflow.etdrk4(**arguments)
    with pytest.raises(RuntimeError, match=message):
        torch.ops.symflow.etdrk4(**(arguments | change))
