"""Quadrature and bumps against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.errors import UserError
from symflow.pde.trajectories.axes import quadrature_weights
from symflow.pde.weak.axes import bump


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.3, 1.0), min_size=8, max_size=30))
def test_quadrature_is_exact_for_polynomials(steps):
    times = torch.tensor(np.concatenate([[0.0], np.cumsum(steps)]) / sum(steps))
    for power in range(8):
        assert float(quadrature_weights(times) @ times**power) == pytest.approx(1 / (power + 1), rel=1e-6)


def test_uniform_times_have_the_trapezoidal_rule():
    weights = quadrature_weights(torch.linspace(0, 3, 31, dtype=torch.float64))
    torch.testing.assert_close(weights[8:-8], torch.full((15,), 0.1, dtype=torch.float64), rtol=0, atol=1e-12)


def test_bumps_integrate_by_parts():
    s = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    h = float(s[1] - s[0])
    f = torch.exp(s) * torch.sin(3 * s)
    derivative = torch.exp(s) * (torch.sin(3 * s) + 3 * torch.cos(3 * s))
    assert float((bump(s) * derivative).sum() * h) == pytest.approx(-float((bump(s, 1) * f).sum() * h), rel=1e-9)


def test_times_beside_a_fill_value_are_refused():
    times = torch.cat([torch.tensor([-1e30], dtype=torch.float64), torch.linspace(0, 1, 20, dtype=torch.float64)])
    with pytest.raises(UserError, match="`t` must have times that are apart"):
        quadrature_weights(times)
