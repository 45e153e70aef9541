"""The losses for slots against values computed by hand, their gradients, and who feels them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from symflow.learning.losses import difference_quotients, lipschitz, orthonormality, sobolev

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_orthonormality_is_the_sum_of_the_angles_that_are_missing() -> None:
    """Constant unit fields at 60 degrees to each other: pi/2 - pi/3 each; at right angles: nothing."""
    a, b, c = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 0.0], [0.5, math.sqrt(0.75)], [0.0, 1.0]))
    values = torch.stack([a, b, c]).expand(7, 3, 2)
    expected = (math.pi / 2 - math.pi / 3) + 0.0 + (math.pi / 2 - math.acos(math.sqrt(0.75)))
    assert orthonormality(values).item() == pytest.approx(expected, abs=1e-12)


def test_orthonormality_takes_a_measure_and_no_sign() -> None:
    values = torch.tensor([[[1.0], [1.0]], [[1.0], [-1.0]]], dtype=torch.float64)  # orthogonal under equal weights
    assert orthonormality(values).item() == pytest.approx(0.0, abs=1e-12)
    measure = torch.tensor([0.25, 0.75], dtype=torch.float64)  # the product is -0.5
    assert orthonormality(values, measure).item() == pytest.approx(math.pi / 6)


def test_earlier_slots_do_not_feel_later_ones() -> None:
    values = random(20, 3, 2).div(20).requires_grad_()
    (grad,) = torch.autograd.grad(orthonormality(values), values)
    assert not grad[:, 0].any()
    assert grad[:, 1].any()
    assert grad[:, 2].any()
    (of_two,) = torch.autograd.grad(orthonormality(values[:, :2]), values)
    torch.testing.assert_close(grad[:, 1], of_two[:, 1], **EXACT)  # slot 1 does not see slot 2


def test_parallel_slots_stay_finite() -> None:
    values = torch.ones(5, 2, 1, dtype=torch.float64, requires_grad=True)
    loss = orthonormality(values)
    (grad,) = torch.autograd.grad(loss, values)
    assert loss.item() == pytest.approx(math.pi / 2, abs=2e-3)
    assert torch.isfinite(grad).all()


def test_difference_quotients_close_a_whole_period_only() -> None:
    v = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)[:, None, None]
    assert difference_quotients(v, 0, 0.5).flatten().tolist() == [2.0, 4.0]
    assert difference_quotients(v, 0, 0.5, period=3).flatten().tolist() == [2.0, 4.0, -6.0]
    assert difference_quotients(v, 0, 0.5, period=8).flatten().tolist() == [2.0, 4.0]


def test_lipschitz_by_hand() -> None:
    """A 2 x 2 grid, one generator: slopes 5 (twice) along the first axis, 0 and 10 along the second."""
    values = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[3.0, 4.0], [-3.0, 4.0]]], dtype=torch.float64)[:, :, None, :]
    first = (2.0 + 2.0) / 2
    second = (0.0 + (6.0 / 0.6 - 3.0)) / 2
    assert lipschitz(values, (1.0, 0.6), (None, None)).item() == pytest.approx(first + second)
    # the second axis closed: the same two neighbours, once more each
    assert lipschitz(values, (1.0, 0.6), (None, 2)).item() == pytest.approx(first + second)
    two = torch.cat([values, 0.1 * values], 2)  # a second generator below the constant adds nothing
    assert lipschitz(two, (1.0, 0.6), (None, None)).item() == pytest.approx(first + second)


def test_lipschitz_is_flat_below_the_constant() -> None:
    values = torch.zeros(4, 5, 2, 3, dtype=torch.float64, requires_grad=True)
    loss = lipschitz(values, (0.1, 0.1), (None, 5))
    (grad,) = torch.autograd.grad(loss, values)
    assert loss.item() == 0.0
    assert torch.equal(grad, torch.zeros_like(grad))


def test_sobolev_of_a_wave() -> None:
    """``sin(2 pi x)`` on a fine grid: mean squares of the derivatives ``(2 pi)^2/2`` and ``(2 pi)^4/2``."""
    n = 4096
    x = torch.arange(n, dtype=torch.float64) / n
    wave = torch.sin(2 * math.pi * x)[:, None, None].expand(n, 1, 1)
    k = 2 * math.pi
    assert sobolev(wave, 0, 1 / n, n).item() == pytest.approx((k**2 + k**4) / 2, rel=1e-5)  # O(h^2)
    assert sobolev(wave, 0, 1 / n, n, order=1).item() == pytest.approx(k**2 / 2, rel=1e-5)


def test_sobolev_is_zero_for_fields_that_do_not_vary_along_the_axis() -> None:
    values = random(3, 1, 2, 3).expand(3, 8, 2, 3)
    assert sobolev(values, 1, 0.1, 8).item() == 0.0


def test_gradients() -> None:
    values = (0.3 * random(4, 5, 3, 2, seed=1)).requires_grad_()
    points = (random(6, 3, 2, seed=2) / 4).requires_grad_()
    measure = torch.full((6,), 1 / 6, dtype=torch.float64)
    first = points[:, :1].detach()  # gradcheck does not know of the stop-gradient: keep the first slot fixed
    assert torch.autograd.gradcheck(
        lambda later: orthonormality(torch.cat([first, later], 1), measure), points[:, 1:2].detach().requires_grad_()
    )
    assert torch.autograd.gradcheck(lambda v: lipschitz(v, (0.2, 0.1), (None, 5)), values)
    assert torch.autograd.gradcheck(lambda v: sobolev(v, -3, 0.1, 5), values)
