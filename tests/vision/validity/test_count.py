"""At least how many: a number that is known, reached with images enough and not exceeded."""

from __future__ import annotations

import pytest
import torch

from symflow.vision.validity.count import at_least
from symflow.vision.validity.products import Products

FIELDS = 7


def draws(images: int, lambdas: list[float], seed: int, judges: int = 1) -> Products:
    """Sums of normal images: independent fields with these lambda, then mixed."""
    random = torch.Generator().manual_seed(seed)
    shared = torch.randn(images, 1, len(lambdas), generator=random) * torch.tensor(lambdas).sqrt()
    own = torch.randn(images, judges, len(lambdas), generator=random) if judges > 1 else 0.0
    one = torch.eye(len(lambdas)).expand(images, judges, judges, -1, -1).clone()
    local = one + torch.eye(judges)[:, :, None, None] * torch.eye(len(lambdas)) * (judges > 1)
    mix = torch.linalg.qr(torch.randn(len(lambdas), len(lambdas), generator=random))[0]
    return Products(shared.expand(-1, judges, -1) + own, local).along(mix)


@pytest.mark.parametrize("judges", [1, 2])
@pytest.mark.parametrize("true", [0, 3, 7])
def test_the_number_is_reached_and_not_exceeded(true, judges):
    """The others are at 1, where a bound that is too bold would count them."""
    found = [at_least(draws(1500, [0.3] * true + [1.0] * (FIELDS - true), seed, judges)) for seed in range(20)]
    assert max(found) == true
    assert sum(found) >= 0.9 * true * len(found)


def test_fewer_images_give_a_lower_number():
    """Power, not rank: the same truth of seven."""
    lambdas = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    numbers = [at_least(draws(n, lambdas, 0)) for n in (100, 400, 8000)]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[-1] == 7


def test_judges_that_share_nothing_give_no_number():
    products = draws(400, [0.3] * 3, 0, judges=2)
    apart = products.local.clone()
    apart[:, 0, 1] = apart[:, 1, 0] = 0.0
    assert at_least(Products(products.total, apart)) == 0
    assert at_least(Products(products.total, torch.zeros_like(apart))) == 0
