"""Weights of neighbours: polynomials, what a window by itself gives, and axes of many nodes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from symflow.errors import UserError
from symflow.pde.trajectories import Axis
from symflow.pde.trajectories.stencils import BLOCK, STENCIL, differences, fits, left_by_fits

RANDOM = torch.Generator().manual_seed(0)
UNEVEN = (0.1 + torch.rand(200, generator=RANDOM, dtype=torch.float64)).cumsum(0)
AXES = [
    Axis("t", torch.linspace(3, 7, n, dtype=torch.float64)) for n in (STENCIL, BLOCK - 1, BLOCK, BLOCK + 1, 200)
] + [Axis("t", UNEVEN[:n]) for n in (STENCIL, 65, 200)]


@pytest.mark.parametrize("axis", AXES, ids=len)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_polynomials_are_differentiated_exactly(axis, order):
    centre, half = axis.nodes.mean(), (axis.nodes[-1] - axis.nodes[0]) / 2
    s = (axis.nodes - centre) / half
    legendre = np.polynomial.legendre.Legendre.basis(5)
    values, exact = (torch.from_numpy(f(s.numpy())) for f in (legendre, legendre.deriv(order)))
    rounding = 1e-13 * (float(half) / float(axis.nodes.diff().min())) ** order * math.factorial(order)
    for found in (differences(axis, order), fits(axis, order, STENCIL, 6)):
        assert float((found.of(values) * half**order - exact).abs().max()) < rounding * float(exact.abs().max())
    inside = slice(STENCIL // 2, -(STENCIL // 2))  # at the ends nearly nothing is left, and its rounding enlarged
    assert float(left_by_fits(axis, STENCIL, 6).of(values)[inside].abs().max()) < 1e-12


@pytest.mark.parametrize("axis", [axis for axis in AXES if len(axis) > STENCIL], ids=len)
def test_each_node_has_the_polynomial_of_its_window(axis):
    """By numpy's own least squares, window by window."""
    n, window = len(axis), 13
    values = torch.randn(n, generator=RANDOM, dtype=torch.float64)
    found = fits(axis, 2, window, 4)
    for i in range(0, n, 7):
        first = min(max(i - window // 2, 0), n - window)
        near = slice(first, first + window)
        t = axis.nodes[near].numpy()
        fitted = np.polynomial.Polynomial.fit(t, values[near].numpy(), 4)
        exact = fitted.deriv(2)(float(axis.nodes[i]))
        assert abs(float(found.of(values)[i]) - exact) < 1e-9 * float(found.bound[i])
        weights = found.of(torch.eye(n, dtype=torch.float64))[:, i]
        assert float(weights.norm()) == pytest.approx(float(found.norm[i]))
        assert float(weights.abs().sum()) == pytest.approx(float(found.bound[i]))


def test_a_period_is_closed():
    axis = Axis("x", torch.arange(80, dtype=torch.float64) * 0.1, 8.0)
    angle = 2 * math.pi / 8 * axis.nodes
    found = differences(axis, 1).of(torch.stack([angle.sin(), angle.cos()], 1), 0)
    exact = 2 * math.pi / 8 * torch.stack([angle.cos(), -angle.sin()], 1)
    assert float((found - exact).abs().max()) < 1e-9


def test_any_dimension():
    axis = AXES[-1]
    values = torch.randn(3, 200, 2, generator=RANDOM, dtype=torch.float64)
    found = differences(axis, 1).of(values, 1)
    assert torch.allclose(found, differences(axis, 1).of(values.movedim(1, -1)).movedim(-1, 1), rtol=0, atol=1e-12)


def test_weights_are_made_once_for_windows_that_are_alike():
    even = fits(Axis("t", torch.linspace(3, 7, 5001, dtype=torch.float64)), 1, 27, 8)
    assert len(even.rows) < 200
    assert even is fits(Axis("t", torch.linspace(3, 7, 5001, dtype=torch.float64)), 1, 27, 8)
    assert len(fits(AXES[-1], 1, 27, 8).rows) == 200


def test_ten_thousand_nodes():
    """All nodes by all nodes would be a gigabyte."""
    axis = Axis("t", torch.linspace(0, 100, 12_000, dtype=torch.float64))
    found = differences(axis, 1).of(axis.nodes.sin())
    assert float((found - axis.nodes.cos()).abs().max()) < 1e-10


def test_too_few_nodes_are_a_sentence():
    with pytest.raises(UserError, match="a derivative of order 3 in t needs 4 nodes, got 3"):
        differences(Axis("t", torch.arange(3.0)), 3)
