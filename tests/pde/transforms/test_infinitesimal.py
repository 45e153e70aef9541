"""Velocities of functions and their closed forms."""

from __future__ import annotations

import pytest
import sympy
import torch

from symflow.pde.equations.manifold import Manifold
from symflow.pde.transforms.infinitesimal import closed_form, velocity
from transformations import KDV


@pytest.mark.parametrize(("precision", "accuracy"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_velocity_and_its_closed_form(precision: torch.dtype, accuracy: float) -> None:
    """A flow that is no polynomial in epsilon, against the field it is the flow of."""
    manifold = Manifold(KDV)
    points = manifold.sample(500, 1).points

    def flow(z: torch.Tensor, e: float) -> torch.Tensor:
        x, t, u = z.to(precision).unbind(-1)
        return torch.stack([x / (1 - e * t), t / (1 - e * t), u * (1 - e * t) + e * x], -1).double()

    speed = velocity(flow, points, manifold.coordinates)
    assert speed is not None
    x, t, u = speed.points.unbind(-1)
    expected = torch.stack([t * x, t * t, x - t * u], -1)
    torch.testing.assert_close(speed.values, expected, rtol=accuracy, atol=10 * accuracy)
    assert speed.accuracy < accuracy
    generator = closed_form(KDV, speed, manifold.coordinates, [sympy.Integer(1)])
    assert generator is not None
    X, T, U = sympy.symbols("x t u", real=True)
    assert generator.exact
    assert [sympy.expand(a - b) for a, b in zip(generator.form.values(), (T * X, T**2, X - T * U), strict=True)] == [
        0,
        0,
        0,
    ]
