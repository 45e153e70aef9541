"""Statistics against double precision; every image once an epoch, on any number of workers."""

from __future__ import annotations

import pytest
import torch

from small_images import random_images
from symflow.vision.data.batches import Batches, Statistics


def test_statistics_against_double_precision():
    images = random_images(2500)
    values = images.pixels.double() / 255
    found = Statistics.of(images)
    torch.testing.assert_close(torch.tensor(found.mean).double(), values.mean((0, 2, 3)), rtol=1e-6, atol=0)
    std = values.var((0, 2, 3), correction=0).sqrt()
    torch.testing.assert_close(torch.tensor(found.std).double(), std, rtol=1e-6, atol=0)
    normal = found.normalise(images.pixels)
    torch.testing.assert_close(normal.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(normal.square().mean((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.denormalise(normal), images.pixels / 255)
    with pytest.raises(ValueError, match="at least one image"):
        Statistics.of(images[:0])


def seen(batches, epoch):
    return [(x.clone(), y.clone()) for x, y in batches.epoch(epoch)]


def test_every_image_once_an_epoch():
    images = random_images(60)
    batches = Batches(images, Statistics.of(images), 12, seed=1)
    x = torch.cat([x for x, _ in seen(batches, 0)])
    assert len(batches) == 5
    expected = Statistics.of(images).normalise(images.pixels).flatten(1)
    assert sorted(x.flatten(1).tolist()) == sorted(expected.tolist())
    first, again, later = (torch.cat([y for _, y in seen(batches, e)]) for e in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_flips_mirror_about_half_of_the_images():
    images = random_images(600)
    statistics = Statistics.of(images)
    plain, flipped = (Batches(images, statistics, 100, seed=1, flip=f) for f in (False, True))
    mirrored = 0
    for (x, labels), (y, others) in zip(seen(plain, 3), seen(flipped, 3), strict=True):
        assert torch.equal(labels, others)
        same, mirror = ((x - z).flatten(1).abs().amax(1) == 0 for z in (y, y.flip(-1)))
        assert bool((same ^ mirror).all())
        mirrored += int(mirror.sum())
    assert 250 < mirrored < 350  # four standard deviations of a fair coin


def test_workers_share_every_batch():
    images = random_images(60)
    statistics = Statistics.of(images)
    whole = seen(Batches(images, statistics, 12, seed=1, flip=True), 2)
    shares = [seen(Batches(images, statistics, 12, seed=1, flip=True, rank=r, workers=3), 2) for r in range(3)]
    for number, (x, labels) in enumerate(whole):
        for rank in range(3):
            assert torch.equal(shares[rank][number][0], x[rank::3])
            assert torch.equal(shares[rank][number][1], labels[rank::3])


def test_batches_are_checked():
    images = random_images(4)
    statistics = Statistics.of(images)
    assert len(Batches(images, statistics, 128, seed=0)) == 1
    for arguments in ({"size": 0}, {"size": 4, "rank": 2, "workers": 2}, {"size": 4, "workers": 5}):
        with pytest.raises(ValueError, match="must be"):
            Batches(images, statistics, seed=0, **arguments)
