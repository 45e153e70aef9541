"""Transforms of gridded data: weights, residuals, refinement."""

from __future__ import annotations

import math

import sympy
import torch

from symflow.pde.transforms.data_transform import (
    REFINEMENTS,
    coarsened,
    derivatives,
    relative_residual,
    smoothing_weights,
)
from symflow.pde.transforms.user_function import GriddedSolution
from transformations import KDV


def test_smoothing_weights_are_exact_on_polynomials() -> None:
    weights = smoothing_weights(6, 8, 5, 0.1)
    at = 0.1 * torch.arange(-6, 7, dtype=torch.float64)
    for degree in range(9):
        found = weights @ at**degree
        expected = torch.tensor([math.factorial(degree) if m == degree else 0.0 for m in range(6)], dtype=torch.float64)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-6)


def test_residual_of_an_exact_solution() -> None:
    """A soliton, on grids of three spacings: derivatives against sympy, and a residual near rounding."""
    x, t = sympy.symbols("x t", real=True)
    soliton = 3 * sympy.sech((x - t) / 2) ** 2
    X, T = torch.linspace(-2, 2, 385, dtype=torch.float64), torch.linspace(0, 1, 193, dtype=torch.float64)

    def value(expression: sympy.Expr, at: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(sympy.lambdify((x, t), expression, "numpy")(at.numpy(), time.numpy()))

    fine = GriddedSolution(X, T, value(soliton, *torch.broadcast_tensors(X, T[:, None])))
    for r in REFINEMENTS:
        grid = coarsened(fine, REFINEMENTS[-1] // r)
        at, time, u, u_t = derivatives(grid, r, 3)
        torch.testing.assert_close(u_t, value(sympy.diff(soliton, t), at, time), rtol=0, atol=1e-7)
        torch.testing.assert_close(u[3], value(sympy.diff(soliton, x, 3), at, time), rtol=0, atol=1e-5)
        assert float(relative_residual(KDV, grid, r).abs().max()) < 1e-4
