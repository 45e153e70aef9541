"""Augmentation against exact shifts, an independent affine warp, and the moments that its contract states."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from torch.nn import functional

from symflow import Coordinates, GridField, SymbolicField, flow
from symflow.vision.augmentation.augmentation import (
    PLANE,
    ColourAugment,
    CropFlip,
    GeneratorAugment,
    affine_field,
    balanced,
    refined,
)

SIDE = 32
PIXEL = 2 / (SIDE - 1)


def smooth_images(count=4, channels=3, side=SIDE):
    """Slow waves, so that bilinear interpolation errs little."""
    line = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    phases = torch.rand(count, channels, 1, 1, generator=torch.Generator().manual_seed(0)) * 6
    return torch.sin(2 * x + phases) * torch.cos(1.5 * y + phases)


def bicubic(images, reach=4):
    """torch's own interpolation to half the spacing, of images that go on as their reflection."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (reach,) * 4, mode="reflect")
    size = (2 * (height + 2 * reach) - 1, 2 * (width + 2 * reach) - 1)
    fine = functional.interpolate(padded, size, mode="bicubic", align_corners=True)
    return fine[..., 2 * reach : -2 * reach, 2 * reach : -2 * reach]


def fixed(augment, weights):
    """The same augmentation with weights of ours in place of drawn ones."""
    augment.draw = lambda count: torch.as_tensor(weights, dtype=torch.float32).expand(count, -1)
    return augment


def test_affine_field():
    points = torch.tensor([[0.5, 2.0], [-1.0, 0.25]])
    x, y = points.unbind(1)
    zero, one = torch.zeros(2), torch.ones(2)
    expected = torch.stack(
        [torch.stack(p, -1) for p in ((one, zero), (zero, one), (x, zero), (zero, y), (y, zero), (zero, x))], 1
    )
    assert torch.equal(affine_field()(points), expected)


@pytest.mark.parametrize("k", range(6))
def test_affine_flows_against_the_matrix_exponential(k):
    """torch's own affine grid at the matrix exponential of the generator."""
    augment = GeneratorAugment(affine_field(), 1.0)
    weight = 0.2
    size = math.sqrt(sum(torch.linspace(-1, 1, SIDE) ** 2) / SIDE) if k >= 2 else 1.0
    matrix = torch.zeros(3, 3, dtype=torch.float64)
    row, column = [(0, 2), (1, 2), (0, 0), (1, 1), (0, 1), (1, 0)][k]
    matrix[row, column] = weight / size
    theta = torch.linalg.matrix_exp(matrix)[:2].float()
    images = smooth_images()
    grid = functional.affine_grid(theta.expand(4, 2, 3), list(images.shape), align_corners=True)
    expected = functional.grid_sample(bicubic(images), grid, padding_mode="reflection", align_corners=True)
    moved = fixed(augment, weight * torch.eye(6)[k])(images)
    # Four steps of order 4 over a flow of .2 to .35, and points beyond 1.5 that the table holds still.
    torch.testing.assert_close(moved, expected, rtol=0, atol=2e-5)


def test_a_whole_pixel_is_an_exact_shift():
    images = torch.rand(2, 3, SIDE, SIDE)
    moved = fixed(GeneratorAugment(affine_field(), 1.0), PIXEL * torch.eye(6)[0])(images)
    torch.testing.assert_close(moved[..., :-1], images[..., 1:], rtol=0, atol=1e-5)
    torch.testing.assert_close(moved[..., -1], images[..., -2], rtol=0, atol=1e-5)  # reflected at the last centre


def test_no_strength_no_change():
    images = torch.rand(5, 3, SIDE, SIDE)
    # The place in a refined image has units of 2^-18 from 32 to 64 and is rounded several times; values differ by 1.
    torch.testing.assert_close(GeneratorAugment(affine_field(), 0.0)(images), images, rtol=0, atol=4 * 2.0**-18)


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (1, 1, 9, 24), (3, 5, 6)])
def test_refined_against_torch(shape):
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = images if len(shape) == 4 else images[None]
    torch.testing.assert_close(refined(images), bicubic(batch).view(refined(images).shape), rtol=0, atol=1e-14)
    assert torch.equal(refined(images)[..., ::2, ::2], images)


def test_refined_at_the_smallest_sizes():
    image = torch.tensor([[1.0, 3.0]])
    assert torch.equal(refined(image), torch.tensor([[1.0, 2.0, 3.0]]))
    assert torch.equal(refined(image[:, :1]), image[:, :1])
    assert refined(torch.zeros(0, 3, 4, 4)).shape == (0, 3, 7, 7)


def test_moves_by_half_a_pixel_keep_detail():
    """A wave of four pixels keeps 19/16 cos(w/2) - 3/16 cos(3 w/2); by linear interpolation it would keep cos(w/2)."""
    wave = torch.cos(torch.pi / 2 * torch.arange(SIDE)).expand(1, 1, SIDE, SIDE)
    moved = fixed(GeneratorAugment(affine_field(), 1.0), PIXEL / 2 * torch.eye(6)[0])(wave)
    expected = torch.cos(torch.pi / 2 * (torch.arange(SIDE) + 0.5))
    factor = 19 / 16 * math.cos(math.pi / 4) - 3 / 16 * math.cos(3 * math.pi / 4)
    assert factor > 0.97
    torch.testing.assert_close(moved[..., 2:-2], factor * expected.expand_as(moved)[..., 2:-2], rtol=0, atol=1e-4)


@pytest.mark.parametrize("weights", ["uniform", "gaussian"])
def test_moments_of_the_weights(weights):
    augment = GeneratorAugment(affine_field(), 0.3, weights)
    torch.manual_seed(0)
    drawn = augment.draw(40_000).double()
    assert drawn.shape == (40_000, 6)
    deviation = 0.3 / math.sqrt(6)
    covariance = drawn.T @ drawn / len(drawn)
    # Five standard errors of a mean, and of a product, of 40,000.
    torch.testing.assert_close(drawn.mean(0), torch.zeros(6).double(), rtol=0, atol=0.025 * deviation)
    torch.testing.assert_close(covariance / deviation**2, torch.eye(6).double(), rtol=0, atol=0.04)
    if weights == "uniform":
        assert drawn.abs().max() <= math.sqrt(3) * deviation * (1 + 1e-6)


@pytest.mark.parametrize(
    "field", [affine_field(), SymbolicField(PLANE, [{"dx": "7*y*x"}, {"dy": "x**2"}, {"dx": "1"}])]
)
def test_strength_is_the_displacement(field):
    """Coordinates are moved as images: their change is the displacement, to first order in a small strength."""
    strength = 0.01
    line = torch.linspace(-1, 1, SIDE)
    y, x = torch.meshgrid(line, line, indexing="ij")
    images = torch.stack([x, y]).expand(2000, 2, SIDE, SIDE)
    torch.manual_seed(0)
    moved = GeneratorAugment(field, strength)(images)
    inside = (moved - images)[:, :, 1:-1, 1:-1]  # the border is reflected
    assert inside.square().sum(1).mean().sqrt().item() == pytest.approx(strength, rel=0.1)


def test_strengths_of_their_own():
    strengths = [0.0, 0.1, 0.0, 0.2, 0.0, 0.6]
    torch.manual_seed(0)
    drawn = GeneratorAugment(affine_field(), strengths).draw(40_000).double()
    # Five standard errors of a mean square of 40,000 uniform numbers, half as many of its root.
    torch.testing.assert_close(drawn.square().mean(0).sqrt(), torch.tensor(strengths).double(), rtol=0.012, atol=0)


def test_each_image_has_its_own_weights_and_they_are_reproducible():
    images = smooth_images(1).expand(6, 3, SIDE, SIDE)
    augment = GeneratorAugment(affine_field(), 0.2)
    torch.manual_seed(4)
    moved = augment(images)
    torch.manual_seed(4)
    assert torch.equal(augment(images), moved)
    assert not torch.equal(augment(images), moved)
    assert all(not torch.equal(moved[0], other) for other in moved[1:])


@pytest.mark.parametrize("augment", [GeneratorAugment(affine_field(), 0.2), CropFlip(3)])
def test_single_images_and_memory_formats(augment):
    images = smooth_images(1)
    torch.manual_seed(0)
    batch = augment(images)
    torch.manual_seed(0)
    assert torch.equal(augment(images[0]), batch[0])
    torch.manual_seed(0)
    assert torch.equal(augment(images.contiguous(memory_format=torch.channels_last)), batch)
    assert augment(images[:0]).shape == (0, 3, SIDE, SIDE)
    assert augment(torch.rand(1, 28, 20)).shape == (1, 28, 20)


def test_a_result_and_a_table_are_fields_too():
    class Result:
        field = affine_field()

    images = smooth_images()
    table = GridField.tabulate(affine_field(), (37, 37), (-1.5, -1.5), (1.5, 1.5))
    moved = []
    for source in (affine_field(), Result(), table):
        torch.manual_seed(0)
        moved.append(GeneratorAugment(source, 0.2)(images))
    assert torch.equal(moved[0], moved[1])
    assert torch.equal(moved[0], moved[2])


def test_nothing_is_learned_and_everything_is_saved():
    augment, other = GeneratorAugment(affine_field(), 0.2), GeneratorAugment(affine_field(), 0.4)
    assert not any(p.requires_grad for p in augment.parameters())
    other.load_state_dict(augment.state_dict())
    images = smooth_images()
    torch.manual_seed(0)
    moved = augment.double()(images.double())
    torch.manual_seed(0)
    assert torch.equal(other.double()(images.double()), moved)


def test_a_transform_in_a_pipeline_of_others():
    """A data set's transform, with the loader's own workers and collation, as torchvision's are used."""

    class Dataset(torch.utils.data.Dataset):
        images = smooth_images()

        def __init__(self, transform):
            self.transform = transform

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            return self.transform(self.images[index]), index

    augment = pickle.loads(pickle.dumps(GeneratorAugment(affine_field(), 0.2)))  # as a loader's processes get it
    torch.manual_seed(0)
    moved = torch.stack([augment(image) for image in Dataset.images])
    loader = torch.utils.data.DataLoader(Dataset(augment), batch_size=4)
    iterator = iter(loader)  # draws a seed for workers
    torch.manual_seed(0)
    images, indices = next(iterator)
    assert torch.equal(images, moved)
    assert indices.tolist() == [0, 1, 2, 3]


def test_gradients_reach_the_images():
    images = smooth_images().requires_grad_()
    GeneratorAugment(affine_field(), 0.2)(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_crop_and_flip_against_padding():
    """Every result is a window of the image that torch has padded by reflection, mirrored or not; all occur."""
    image = torch.arange(3 * 6 * 7.0).view(1, 3, 6, 7)
    padded = functional.pad(image, (2, 2, 2, 2), mode="reflect")[0]
    windows = {}
    for i in range(5):
        for j in range(5):
            window = padded[:, i : i + 6, j : j + 7]
            windows[tuple(window.flatten().tolist())] = (i, j, False)
            windows[tuple(window.flip(-1).flatten().tolist())] = (i, j, True)
    torch.manual_seed(0)
    found = {windows[tuple(crop.flatten().tolist())] for crop in CropFlip(2)(image.expand(2000, 3, 6, 7))}
    assert len(found) == len(windows) == 50
    unflipped = {
        windows[tuple(crop.flatten().tolist())] for crop in CropFlip(2, flip=False)(image.expand(500, 3, 6, 7))
    }
    assert not any(flipped for _, _, flipped in unflipped)
    assert torch.equal(CropFlip(0, flip=False)(image), image)


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.15, 0.3])
def test_balanced_generators_turn_the_features_alike(strength):
    """The angles are d and 4 d at first, then d and .2 + 2 d, then .1 + d/2 and .3 + 3 d/2."""
    first, second = balanced([0.1, 0.2, 0.4], [[0.1, 0.2, 0.3], [0.4, 0.6, 0.9]], strength)
    assert math.hypot(first, second) == pytest.approx(strength)
    angle = first if first <= 0.2 else 0.1 + first / 2
    assert (4 * second if second <= 0.1 else 0.2 + 2 * second) == pytest.approx(angle)


def test_one_generator_has_the_whole_strength():
    assert balanced([0.1, 0.4], [[0.3, 0.2]], 0.05) == pytest.approx([0.05])


def test_angles_that_fall_again_are_flat():
    """At .45 the second, which measured .4, .3 and .9, is between the last two."""
    first, second = balanced([0.1, 0.2, 0.4], [[0.1, 0.2, 0.5], [0.4, 0.3, 0.9]], math.hypot(0.4 - 0.1 / 3, 0.22))
    assert (first, second) == pytest.approx((0.4 - 0.1 / 3, 0.22))


def test_strengths_that_cannot_be_balanced():
    for strength in (-0.1, 0.45, math.nan):
        with pytest.raises(ValueError, match=r"`strength` must be from 0 to 0\.407 for 2 generators, got"):
            balanced([0.1, 0.2, 0.4], [[0.1, 0.2, 0.3], [0.4, 0.6, 0.9]], strength)


CHANGES_OF_COLOUR = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3))


def test_colours_flow_along_their_generators():
    """Against the flow of the same field by Runge-Kutta steps, in colours from 0 to 1."""
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
    augment = ColourAugment(CHANGES_OF_COLOUR, 1.0, mean, std)
    images = torch.randn(3, 3, 4, 5, generator=torch.Generator().manual_seed(4))
    weights = 0.3 * torch.randn(3, 1, 2, generator=torch.Generator().manual_seed(5))
    names = ("r", "g", "b")
    terms = (*names, "1")
    forms = [
        {
            f"d{name}": " + ".join(f"({a:.9f})*{term}" for a, term in zip(row, terms, strict=True))
            for name, row in zip(names, matrix, strict=True)
        }
        for matrix in CHANGES_OF_COLOUR.tolist()
    ]
    m, s = (torch.tensor(v, dtype=torch.float64) for v in (mean, std))
    colours = images.double().permute(0, 2, 3, 1).flatten(1, 2) * s + m
    ends = flow(SymbolicField(Coordinates(names), forms), colours, weights[:, 0].double(), steps=40)
    expected = ((ends - m) / s).unflatten(1, (4, 5)).permute(0, 3, 1, 2)
    torch.testing.assert_close(augment.move(images, weights)[:, 0], expected.float(), rtol=1e-5, atol=1e-5)


def test_colours_are_drawn_and_left_alone():
    augment = ColourAugment(CHANGES_OF_COLOUR, [0.0, 0.1])
    torch.manual_seed(0)
    drawn = augment.draw(40_000).double()
    assert drawn[:, 0].abs().max() == 0
    assert drawn[:, 1].square().mean().sqrt().item() == pytest.approx(0.1, rel=0.012)
    images = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(ColourAugment(CHANGES_OF_COLOUR, 0.0)(images), images)
    assert augment(images[0]).shape == (3, 4, 5)
    assert augment(images.double()).dtype == torch.float64
    assert augment.bfloat16()(images.bfloat16()).dtype == torch.bfloat16
    augment.float()
    assert len(set(augment(images[:1].expand(5, -1, -1, -1))[:, 0, 0, 0].tolist())) == 5


def test_errors_of_colours():
    for arguments, sentence in (
        ((torch.zeros(1, 3, 3), 0.1), r"\[K, 3, 4\]"),
        ((CHANGES_OF_COLOUR, -0.1), "`strength`"),
        ((CHANGES_OF_COLOUR, [0.1] * 3), "one number or 2"),
        ((CHANGES_OF_COLOUR, 0.1, (0.5,)), "must have 3 numbers"),
        ((CHANGES_OF_COLOUR, 0.1, (0.5,) * 3, (0.0,) * 3), "`std` above 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            ColourAugment(*arguments)
    with pytest.raises(ValueError, match="3 channels, got 1"):
        ColourAugment(CHANGES_OF_COLOUR, 0.1)(torch.zeros(1, 1, 8, 8))
    with pytest.raises(TypeError, match="floating-point"):
        ColourAugment(CHANGES_OF_COLOUR, 0.1)(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_errors():
    three = SymbolicField(Coordinates(("x", "y", "z")), [{"dx": "1"}])
    for arguments, sentence in (
        ((three, 0.1), "2 coordinates"),
        ((affine_field(), -0.1), "`strength`"),
        ((affine_field(), math.nan), "`strength`"),
        ((affine_field(), [0.1, 0.2]), "one number or 6"),
        ((affine_field(), 0.1, "normal"), "uniform, gaussian"),
        ((SymbolicField(PLANE, [{"dx": "0"}]), 0.1), "must move some pixel"),
    ):
        with pytest.raises(ValueError, match=sentence):
            GeneratorAugment(*arguments)
    with pytest.raises(ValueError, match="`padding`"):
        CropFlip(-1)
    with pytest.raises(ValueError, match="below the sides"):
        CropFlip(8)(torch.zeros(1, 1, 8, 9))
    for augment in (GeneratorAugment(affine_field(), 0.1), CropFlip(2)):
        with pytest.raises(TypeError, match="floating-point"):
            augment(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
        with pytest.raises(ValueError, match=r"\[C, H, W\]"):
            augment(torch.zeros(8, 8))
