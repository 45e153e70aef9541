"""Group laws, floors and Taylor matrices of point transforms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from symflow.pde import Equation
from symflow.pde.transforms.point_transform import Surfaces, group_law, moved, taylor_matrix
from symflow.pde.transforms.user_function import PointTransform
from transformations import KDV, scaling


@pytest.mark.parametrize(
    ("text", "floor"),
    [
        ("u_t = u_xx", 1e-11),
        ("u_t + u*u_x + u_xxx = 0", 1e-11),
        ("u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx", 1e-11),
        ("u_t + u*u_x + u_xx + u_xxxx = 0", 1e-9),
        ("u_t + u*u_x + u_xxxxx = 0", 1e-8),
    ],
)
def test_floor(text: str, floor: float) -> None:
    surfaces = Surfaces(Equation(text), 0)
    result = moved(surfaces, lambda z, e: z + e * torch.tensor([1.0, 1.0, 0.0]), 0.1, "shift")
    assert result.score <= 3 * result.floor
    assert result.floor < floor
    assert result.share == 1.0


def test_taylor_matrix_differentiates_what_is_analytic() -> None:
    nodes = torch.from_numpy(np.polynomial.chebyshev.chebpts1(16))
    coefficients = taylor_matrix(16, 5) @ torch.exp(nodes)
    expected = torch.tensor([1 / math.factorial(k) for k in range(6)], dtype=torch.float64)
    rounding = 1e-14 * 16 ** torch.arange(6.0, dtype=torch.float64) * expected  # what a k-th derivative makes of 1e-16
    assert bool(((coefficients - expected).abs() < rounding).all())


def test_group_law() -> None:
    surfaces = Surfaces(KDV, 0)
    points, coordinates = surfaces.sample.points, surfaces.coordinates
    exact = PointTransform(scaling(3, -2), "numpy", "f", ("x", "t", "u"))
    law = group_law(exact, points, coordinates, (0.2, 0.1))
    assert law.identity == 0.0
    assert law.composition < 1e-14
    square = PointTransform(lambda x, t, u, e: (x + e * e, t, u), "numpy", "f", ("x", "t", "u"))
    law = group_law(square, points, coordinates, (0.2, 0.1))
    assert law.composition == pytest.approx(0.04 / 0.09, rel=1e-9)  # (a + b)^2 - a^2 - b^2 over (a + b)^2
