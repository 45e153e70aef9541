"""Images in memory: datasets, checks, stratified splits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from small_images import pixels, random_images, refused
from symflow.vision.data.images import Images, from_dataset, split


class Pairs(torch.utils.data.Dataset):
    def __init__(self, images, labels):
        self.pairs = list(zip(images, labels, strict=True))

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


def test_datasets_come_back():
    images, labels = pixels(6), [0, 1, 2, 0, 1, 2]
    forms = {
        "pictures": [Image.fromarray(i.transpose(1, 2, 0)) for i in images],
        "arrays": [i.transpose(1, 2, 0) for i in images],
        "tensors": list(torch.from_numpy(images)),
        "real": list(torch.from_numpy(images) / 255),
    }
    for form in forms.values():
        found = from_dataset(Pairs(form, labels))
        assert np.array_equal(found.pixels.numpy(), images)
        assert found.labels.tolist() == labels
        assert found.classes == ("0", "1", "2")
    grey = from_dataset(Pairs([Image.fromarray(i[0]) for i in images], labels), classes=("a", "b", "c"))
    assert np.array_equal(grey.pixels.numpy(), images[:, :1])


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        ([], [], "at least one entry"),
        (list(torch.zeros(2, 3, 4, 4)), [0, "cat"], "entry 1"),
        (list(torch.full((2, 3, 4, 4), 2.0)), [0, 1], "from 0 to 1"),
        ([torch.zeros(3, 4, 4), torch.zeros(3, 4, 5)], [0, 1], "one shape"),
        (list(torch.zeros(2, 4, 4)), [0, 1], "three axes"),
        ([torch.zeros(3, 0, 4)], [0], "three axes"),
        ([torch.full((3, 4, 4), float("nan"))], [0], "from 0 to 1"),
        (["cat.png"], [0], "got str"),
        ([{}], [0], "got dict"),
        ([0.5], [0], "three axes"),
        (list(torch.zeros(2, 3, 4, 4)), [0, -1], "from 0 to 0"),
    ],
)
def test_broken_datasets(images, labels, sentence):
    refused(sentence, from_dataset, Pairs(images, labels))


def test_images_are_checked():
    good = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
    for pixels_, labels, error, sentence in (
        (good[0].float(), good[1], TypeError, "torch.uint8"),
        (good[0], good[1].int(), TypeError, "torch.int64"),
        (good[0][0], good[1], ValueError, r"\[N, C, H, W\]"),
        (good[0], good[1][:1], ValueError, "shape"),
        (good[0], good[1] + 1, ValueError, "from 0 to 1"),
    ):
        with pytest.raises(error, match=sentence):
            Images(pixels_, labels, ("a", "b"), "bad")


def test_parts_of_images():
    images = random_images()
    for index in (slice(3, 7), torch.arange(3, 7), [3, 4, 5, 6], torch.arange(60).sub(4.5).abs() < 2):
        assert torch.equal(images[index].pixels, images.pixels[3:7])
        assert torch.equal(images[index].labels, images.labels[3:7])
    pixels, label = images[3]
    assert torch.equal(pixels, images.pixels[3])
    assert label == int(images.labels[3])
    with pytest.raises(TypeError, match="slice"):
        images[torch.zeros(2, 2, dtype=torch.int64)]
    with pytest.raises(IndexError):
        images[len(images)]


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.37, 0.5, 0.9])
def test_a_split_is_stratified_and_a_partition(fraction):
    images = random_images(300)
    images = images[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    one, other = split(images, fraction, seed=5)
    assert one.labels.bincount().tolist() == [max(round(fraction * 100), 1)] * 3
    both = torch.cat([one.pixels, other.pixels]).flatten(1)
    assert sorted(both.tolist()) == sorted(images.pixels.flatten(1).tolist())
    assert torch.equal(split(images, fraction, seed=5)[0].pixels, one.pixels)
    assert not torch.equal(split(images, fraction, seed=6)[0].pixels, one.pixels)


def test_a_split_refuses_what_is_no_fraction():
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="`fraction`"):
            split(random_images(), fraction, 0)
