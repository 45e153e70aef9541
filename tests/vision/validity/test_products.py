"""Products of responses against loops, and errors against draws."""

from __future__ import annotations

import math

import pytest
import torch

from symflow.vision.search.form import out_of_step
from symflow.vision.search.plane import pixel_centres
from symflow.vision.validity.products import LEAST, Products, estimate
from symflow.vision.validity.rules import ratios


def responses(images: int, judges: int = 2, fields: int = 3, size: int = 6, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(images, judges, fields, size, size, generator=random)


def test_products_are_those_of_loops_over_pixels_whatever_the_batches():
    q = responses(LEAST, size=4)
    found = Products.of([q], 0.3)
    again = Products.of(q.split(7), 0.3)
    torch.testing.assert_close(again.total, found.total)
    torch.testing.assert_close(again.local, found.local)
    points = pixel_centres(4, 4).flatten(0, 1)
    correlation = torch.exp(-torch.cdist(points, points).square() / (4 * 0.3**2))
    one = q[5].flatten(2).double()
    torch.testing.assert_close(found.total[5].double(), one.sum(-1), rtol=1e-5, atol=1e-5)
    expected = torch.einsum("akp,pq,blq->abkl", one, correlation, one)
    torch.testing.assert_close(found.local[5].double(), expected, rtol=1e-5, atol=1e-4)


def test_few_images_are_refused():
    with pytest.raises(ValueError, match=f"must be those of at least {LEAST} images, got 99"):
        Products.of([responses(99)], 0.3)


def test_combinations_are_fields():
    q, mixed = responses(LEAST), torch.randn(3, 2)
    found = Products.of([q], 0.3).along(mixed)
    expected = Products.of([torch.einsum("njkhw,kl->njlhw", q, mixed)], 0.3)
    torch.testing.assert_close(found.total, expected.total, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.local, expected.local, rtol=1e-4, atol=1e-3)


def test_the_error_of_a_mean_is_that_of_blocks():
    """Leaving out blocks of a mean gives the standard error of the mean of the blocks."""
    found = Products.of([responses(200, judges=1, fields=1)], 0.3)
    ones = Products(found.total, torch.ones_like(found.local))
    mean = estimate(lambda f: (f[0] / f[1]).flatten(1), ones)
    blocks = (ones.blocks()[0] / ones.blocks()[1]).flatten()
    assert mean.freedom == len(blocks) - 1 == 49
    assert float(mean.value) == pytest.approx(float(found.total.double().square().mean()))
    assert float(mean.error) == pytest.approx(float(blocks.std()) / math.sqrt(50))


def test_the_error_of_the_null_hypothesis_is_that_of_draws():
    """lambda of draws out of step scatters by the error that is stated, around 1."""
    q = responses(400, judges=2, fields=2, seed=1)
    q[:, 1] += q[:, 0]
    once = Products.of([q], 0.3)
    values, error = [], ratios(Products(torch.zeros_like(once.total), once.local)).error
    for seed in range(300):
        xi = out_of_step(6, 6, 0.3, 400, seed + 10).float()[:, None, None]
        values.append(ratios(Products((q * xi).sum((3, 4)), once.local)).value)
    values = torch.stack(values)
    assert (values.mean(0) - 1).abs().max() < 4 * float((error / math.sqrt(300)).max())
    torch.testing.assert_close(values.std(0), error, rtol=0.15, atol=0)


def test_figures_that_are_no_numbers_are_neither_below_nor_above():
    found = Products.of([responses(LEAST, judges=1, fields=1)], 0.3)
    empty = ratios(Products(torch.zeros_like(found.total), torch.zeros_like(found.local)))
    assert not (empty.finite | empty.below(1.0, 0.99) | empty.above(1.0, 0.99)).any()
