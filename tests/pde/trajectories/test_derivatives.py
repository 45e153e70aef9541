"""Weights of differences are exact on polynomials."""

from __future__ import annotations

import torch

from symflow.pde.trajectories.derivatives import difference_weights


def test_difference_weights_are_exact_on_polynomials():
    t = torch.tensor([0.0, 0.3, 0.5, 1.1, 1.2, 2.0, 2.1], dtype=torch.float64)
    weights = difference_weights(t, 4)
    for power in range(5):
        derivative = (weights * (t**power).unfold(0, 5, 1)).sum(1)
        expected = power * t[2:-2] ** max(power - 1, 0)
        torch.testing.assert_close(derivative, expected, rtol=0, atol=1e-12)
    uniform = difference_weights(torch.arange(9, dtype=torch.float64), 8)[0]
    classic = torch.tensor([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280], dtype=torch.float64)
    torch.testing.assert_close(uniform, classic, rtol=0, atol=1e-13)
