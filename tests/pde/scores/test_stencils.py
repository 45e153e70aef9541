"""The stencils: exact on their monomials, and as a direct solve of each sub-stencil gives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from symflow.pde.scores.stencils import GridScales, derivatives, margin, windows

UNIT = GridScales((0.1, 0.2), None, 0.5)


def scattered(T: int = 6, X: int = 12, seed: int = 0, jitter: float = 0.2) -> tuple[Tensor, Tensor]:
    """x and t of a grid of spacings 0.1 and 0.2, sheared and jittered."""
    generator = torch.Generator().manual_seed(seed)
    n, i = torch.meshgrid(torch.arange(T).double(), torch.arange(X).double(), indexing="ij")
    i = i + jitter * (torch.rand(T, X, generator=generator, dtype=torch.float64) - 0.5) + 0.3 * n
    n = n + jitter * (torch.rand(T, X, generator=generator, dtype=torch.float64) - 0.5) + 0.02 * i
    return 0.1 * i, 0.2 * n


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_exact_on_the_monomials_of_the_stencil(order: int) -> None:
    x, t = scattered()
    rng = np.random.default_rng(order)
    a = torch.from_numpy(rng.standard_normal((order + 1, 2)))
    u = sum(a[i, j] * x**i * t**j for i in range(order + 1) for j in range(2))
    found, u_t = derivatives(torch.stack([x, t, u], -1), (order,), UNIT)
    m = margin(order)
    inner = (slice(1, -1), slice(m, -m))
    expected = math.factorial(order) * (a[order, 0] + a[order, 1] * t)
    # a k-th difference of rounding errors over h^k, h = 0.1
    torch.testing.assert_close(found[order], expected[inner].expand_as(found[order]), rtol=1e-9, atol=1e-12 * 10**order)
    if order == 1:
        torch.testing.assert_close(u_t, (a[0, 1] + a[1, 1] * x)[inner], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_against_a_direct_solve_of_each_sub_stencil(order: int) -> None:
    """The square system in monomials by LAPACK, point by point, and the weights as they are documented."""
    x, t = scattered(T=3, X=9, seed=3)
    u = torch.sin(3 * x) * torch.cos(2 * t) + x**4
    found, u_t = derivatives(torch.stack([x, t, u], -1), (order,), UNIT)
    m, count = margin(order), order + 1
    X, T, U = (v.numpy() for v in (x / 0.1, t / 0.2, u))
    for i in range(m, 9 - m):
        coefficients = []
        for row in (0, 2):
            for start in windows(order):
                at = [(n, i + start + k) for n in (1, row) for k in range(count)]
                dx, dt, du = (np.array([v[p] - v[1, i] for p in at]) for v in (X, T, U))
                matrix = np.stack([dx**a * dt**b for b in range(2) for a in range(count)], 1)
                coefficients.append(np.linalg.solve(matrix, du))
        c = np.array(coefficients)
        weights = 1 / (1 + (c[:, 1:] ** 2).sum(1) / UNIT.variation)
        weights /= weights.sum()
        assert found[order][0, i - m].item() == pytest.approx(
            weights @ c[:, order] * math.factorial(order) / 0.1**order, rel=1e-8
        )
        if order == 1:
            assert u_t[0, i - m].item() == pytest.approx(weights @ c[:, count] / 0.2, rel=1e-8)


def test_x_may_jump_by_a_period_anywhere() -> None:
    x, t = scattered()
    u = torch.sin(x + t)
    grid = replace(UNIT, period=3.0)
    plain, plain_t = derivatives(torch.stack([x, t, u], -1), (3,), grid)
    jumps = 3.0 * torch.randint(-2, 3, x.shape, generator=torch.Generator().manual_seed(0))
    jumped, jumped_t = derivatives(torch.stack([x + jumps, t, u], -1), (3,), grid)
    torch.testing.assert_close(jumped[3], plain[3], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(jumped_t, plain_t, rtol=1e-9, atol=1e-9)
