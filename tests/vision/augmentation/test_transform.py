"""Images and what goes with them, in any structure."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from symflow import UserError
from symflow.vision import ColourAugment, GeneratorAugment, Images, Transform, affine_field

BRIGHTER = torch.tensor([[[0.0, 0.0, 0.0, 1.0]] * 3])


class Mask(Tensor):
    """As torchvision's ``tv_tensors.Mask``."""


class BoundingBoxes(Tensor):
    """As torchvision's."""


@pytest.fixture
def transform():
    torch.manual_seed(1)
    return Transform(GeneratorAugment(affine_field(), strength=0.4))


def drawn() -> Tensor:
    return torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))


def test_an_image_is_moved_as_the_augmentation_moves_it(transform):
    image = drawn()
    torch.manual_seed(5)
    moved = transform(image)
    torch.manual_seed(5)
    expected = transform.augment.move(image[None], transform.augment.draw(1))[0, 0]
    assert torch.equal(moved, expected)
    assert not torch.allclose(moved, image, atol=0.05)


@pytest.mark.parametrize("kind", ["picture", "array", "grey", "uint8"])
def test_every_kind_of_image_keeps_its_kind_and_moves_alike(kind, transform):
    eight = (drawn() * 255).round().to(torch.uint8)
    array = eight.movedim(0, -1).numpy()
    given = {"picture": Image.fromarray(array), "array": array, "grey": array[..., 0], "uint8": eight}[kind]
    torch.manual_seed(5)
    moved = transform(given)
    torch.manual_seed(5)
    expected = (transform(eight / 255) * 255).round().clamp(0, 255)
    assert type(moved) is type(given) or isinstance(moved, Image.Image)
    found = torch.from_numpy(np.array(moved)) if kind != "uint8" else moved
    found = found[..., None] if found.dim() == 2 else found
    found = found if kind == "uint8" else found.movedim(-1, 0)
    assert found.dtype == torch.uint8
    assert int((found.float() - expected[: len(found)]).abs().max()) <= 1


def test_what_goes_with_an_image_moves_with_it(transform):
    Sample = namedtuple("Sample", ["image", "label"])
    square = torch.zeros(1, 24, 24, dtype=torch.uint8)
    square[:, 6:15, 9:20] = 200
    mask = (square[0] > 0).to(torch.int64).mul(7).as_subclass(Mask)
    sample = {"pair": Sample(Image.fromarray(square[0].numpy()), 3), "more": [mask, "word", torch.arange(3)]}
    moved = transform(sample)
    assert isinstance(moved["pair"], Sample)
    assert moved["pair"].label == 3
    assert moved["more"][1] == "word"
    assert torch.equal(moved["more"][2], torch.arange(3))
    labels, image = moved["more"][0], torch.from_numpy(np.array(moved["pair"].image)).float()
    assert type(labels) is Mask
    assert set(labels.as_subclass(Tensor).unique().tolist()) <= {0, 7}
    on = labels.as_subclass(Tensor) == 7
    assert bool((image[on] >= 90).all())
    assert bool((image[~on] <= 110).all())
    assert not torch.equal(on, mask.as_subclass(Tensor) == 7)


def test_colours_leave_masks_alone_and_boxes_are_refused(transform):
    mask = torch.ones(24, 24, dtype=torch.int64).as_subclass(Mask)
    image, same = Transform(ColourAugment(BRIGHTER, 0.2))(drawn(), mask)
    assert same is mask
    assert not torch.equal(image, drawn())
    with pytest.raises(UserError, match="moves images and masks, got BoundingBoxes"):
        transform(drawn(), torch.zeros(1, 4).as_subclass(BoundingBoxes))


def test_images_are_a_data_set(transform):
    images = Images(torch.zeros(6, 1, 8, 8, dtype=torch.uint8), torch.arange(6) % 2, ("even", "odd"), "mine")
    pixels, label = images[3]
    assert (pixels.shape, label) == (torch.Size([1, 8, 8]), 1)
    assert [labels.tolist() for _, labels in DataLoader(images, batch_size=4)] == [[0, 1, 0, 1], [0, 1]]
    assert len(list(images)) == 6


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F", "1"])
def test_pictures_keep_their_mode(mode, transform):
    noise = (drawn() * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    picture = Image.fromarray(noise).convert("L").point(lambda v: 257 * v, "I").convert("I;16")
    picture = picture if mode == "I;16" else Image.fromarray(noise).convert(mode)
    moved = transform(picture)
    assert moved.mode == mode
    assert moved.size == picture.size
    assert np.array(moved).shape == np.array(picture).shape


def test_a_palette_is_what_it_stands_for(transform):
    """Numbers of colours are no brightnesses: between two of them lies any other."""
    picture = Image.fromarray((drawn() * 255).round().to(torch.uint8).movedim(0, -1).numpy()).quantize(16)
    torch.manual_seed(5)
    moved = transform(picture)
    torch.manual_seed(5)
    assert moved.mode == "RGB"
    assert np.array_equal(np.array(moved), np.array(transform(picture.convert("RGB"))))


def test_whole_numbers_have_the_range_of_their_type(transform):
    eight = (drawn() * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    results = []
    for array in (eight, eight.astype(np.uint16) * 257, eight.astype(np.int64)):
        torch.manual_seed(5)
        results.append(transform(array))
        assert results[-1].dtype == array.dtype
    assert np.array_equal(results[0], results[2])
    assert np.abs(results[1] / 257 - results[0]).max() <= 0.51
    with pytest.raises(UserError, match=r"int32 must have brightnesses from 0 to 255, got .* to 60000"):
        transform(np.full((20, 20), 60000, np.int32))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_numbers_of_any_precision_keep_it(dtype, transform):
    torch.manual_seed(5)
    moved = transform(drawn().movedim(0, -1).numpy().astype(dtype))
    torch.manual_seed(5)
    expected = transform(drawn().movedim(0, -1).numpy())
    assert moved.dtype == dtype
    assert np.allclose(moved, expected, atol=1e-3)
