"""Judges of classes."""

from __future__ import annotations

import torch

from symflow.vision.data.batches import Statistics
from symflow.vision.data.images import Images
from symflow.vision.features.features import PatchFeatures
from symflow.vision.validity.judges import SHRINKAGE, ClassOutputs, RidgeClassifier
from symflow.vision.validity.products import BLOCKS
from symflow.vision.validity.responses import DIRECTIONS, RESPONSES, chosen


def two_kinds(count: int) -> Images:
    """Waves along x, or along y."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    phase = 6.3 * torch.rand(count, 1, 1, generator=random)
    z = torch.linspace(-3, 3, 12)
    waves = torch.where(
        labels[:, None, None] == 0, torch.sin(3 * z[None, None] + phase), torch.sin(3 * z[:, None] + phase)
    )
    noise = 0.5 * torch.rand(count, 12, 12, generator=random)
    return Images(((waves + 1 + noise) * 100).to(torch.uint8)[:, None], labels, ("x", "y"), "waves")


def test_what_all_logits_share_and_their_size_do_not_count():
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    outputs = [ClassOutputs(lambda x, v=v: v)(z) for v in (z, 3 * z + 7)]
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(outputs[0].norm(dim=1), torch.ones(5))
    torch.testing.assert_close(outputs[0].sum(1), torch.zeros(5), rtol=0, atol=1e-6)


def test_two_classes_keep_a_derivative():
    z = torch.tensor([[1.0, 3.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(ClassOutputs(lambda x: x)(z)[0, 0], z)
    assert slope.tolist() == [[0.5, -0.5]]


def test_the_ridge_classifier_is_the_solution_of_its_least_squares():
    images = two_kinds(150)
    statistics = Statistics.of(images)
    found = RidgeClassifier.of(images, statistics, 3)
    x = statistics.normalise(images.pixels)
    h = PatchFeatures.of(x, 3)(x).double()
    y = torch.nn.functional.one_hot(images.labels, 2).double()
    centred = h - h.mean(0)
    ridge = SHRINKAGE * float(centred.square().mean()) * len(images)
    rows = torch.cat([centred, ridge**0.5 * torch.eye(h.shape[1], dtype=torch.float64)])
    right = torch.cat([y - y.mean(0), torch.zeros(h.shape[1], 2, dtype=torch.float64)])
    weights = torch.linalg.lstsq(rows, right).solution
    torch.testing.assert_close(found.weights.double(), weights, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found(x).double(), centred @ weights + y.mean(0), rtol=0, atol=1e-3)


def test_it_tells_images_apart_that_it_has_not_seen():
    images = two_kinds(400)
    statistics = Statistics.of(images)
    assert RidgeClassifier.of(images[:200], statistics, 0).accuracy(images[200:], statistics) > 0.95


def test_few_images_are_seen_along_several_directions_each_in_one_block():
    images = two_kinds(250)
    images = Images(images.pixels, torch.arange(250) % 2, images.classes, "numbered")
    numbered = images.pixels.clone()
    numbered[:, 0, 0, 0] = torch.arange(250)
    held, count = chosen(Images(numbered, images.labels, images.classes, "numbered"), 0)
    assert count == 200
    assert len(held) == 200 * DIRECTIONS
    numbers = held[:, 0, 0, 0]
    places = torch.arange(len(held))
    for image in numbers.unique():
        for parts in (2, BLOCKS):  # halves, and blocks
            assert len((places[numbers == image] % parts).unique()) == 1


def test_of_many_images_each_is_seen_once():
    many = Images(torch.zeros(9_000, 1, 2, 2, dtype=torch.uint8), torch.zeros(9_000, dtype=torch.long), ("a",), "many")
    held, count = chosen(many, 0)
    assert len(held) == count == RESPONSES
    assert chosen(many[:99], 0)[1] == 0
