"""Augmentation of batches: along vector fields of the pixel plane, and by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from symflow._flow_warp import flow_warp
from symflow.coordinates import Coordinates
from symflow.fields import Field, SymbolicField
from symflow.grid import GridField

from .plane import AFFINE_FORMS, PLANE

DISTRIBUTIONS = ("uniform", "gaussian")

_STEPS = 4
_REACH, _NODES = 1.5, 37  # of the table of a field that is no table yet: 24 cells within the image
_MEASURE = 32  # pixels a side over which a generator's size is taken


def affine_field(coordinates: Coordinates = PLANE) -> SymbolicField:
    """The six affine generators: ``dx``, ``dy``, ``x dx``, ``y dy``, ``y dx``, ``x dy`` (paper, section 5).

    Args:
        coordinates: of the plane, named x and y.

    >>> affine_field()(torch.tensor([0.5, 2.0]))[2:].tolist()
    [[0.5, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 0.5]]
    """
    return SymbolicField(coordinates, AFFINE_FORMS)


class GeneratorAugment(nn.Module):
    """Moves every image along a random combination of generators: ``x -> x o flow(sum_k w_k V_k)``.

    Each image has its own weights ``w_k``, independent, of mean 0 and standard deviation ``strength / sqrt(K)``, where
    ``V_k`` is the generator scaled to a root mean square of 1 over the pixels. So ``strength`` is the root mean square
    displacement of a pixel to first order, whatever the field and K: with 32 pixels a side, .13 is two pixels. A random
    crop with a padding of p pixels moves by ``p sqrt(2/3)`` of them.

    All images are moved by one call of `symflow.flow_warp`, on the device they are on, after cubic interpolation to
    half the spacing (`refined`): linear interpolation between pixels takes a third of the power of fine detail, and a
    network that saw blurred images only does worse on sharp ones. What lies beyond the image is its reflection. Weights
    come from torch's own generator of that device: ``torch.manual_seed`` decides them.

    It is a module for batches in a training loop and a transform of single images in any pipeline of transforms,
    torchvision's too, after the conversion to floating point.

    Args:
        field: K vector fields on the pixel plane, or something that has them as ``.field``. A `GridField` is used as it
            is; any other is tabulated on 37 x 37 nodes from -1.5 to 1.5, without change where it is affine.
        strength: in normalised units, at least 0; one number, or K of them to treat generators differently.
        weights: "uniform", which bounds them by sqrt(3) standard deviations, or "gaussian".

    Raises:
        TypeError: an image is no floating-point tensor.
        ValueError: the field is not two-dimensional or has a generator that vanishes; a strength is negative or not
            finite; ``weights`` is none of the two; or images have no shape [B, C, H, W] or [C, H, W].

    >>> augment = GeneratorAugment(affine_field(), strength=0.1)
    >>> _ = torch.manual_seed(0)
    >>> augment(torch.rand(8, 3, 32, 32)).shape, augment(torch.rand(1, 28, 28)).shape
    (torch.Size([8, 3, 32, 32]), torch.Size([1, 28, 28]))
    """

    deviations: Tensor

    def __init__(self, field: Field | Any, strength: float | Sequence[float], weights: str = "uniform") -> None:
        super().__init__()
        field = getattr(field, "field", field)
        if field.coordinates.dimension != 2:
            raise ValueError(f"`field` must have the 2 coordinates of the plane, got {field.coordinates.dimension}")
        generators = field.generators
        strengths = torch.as_tensor(strength, dtype=torch.float64)
        if strengths.shape not in ((), (generators,)) or not bool((strengths.isfinite() & (strengths >= 0)).all()):
            raise ValueError(f"`strength` must be one number or {generators}, finite and at least 0, got {strength}")
        if weights not in DISTRIBUTIONS:
            raise ValueError(f"`weights` must be one of {', '.join(DISTRIBUTIONS)}, got {weights!r}")
        if not isinstance(field, GridField):
            field = GridField.tabulate(field, (_NODES, _NODES), (-_REACH, -_REACH), (_REACH, _REACH))
        size = _root_mean_square(field)
        if not bool((size > 0).all()):
            raise ValueError(f"every generator of `field` must move some pixel, got sizes {size.tolist()}")
        scaled = field.values.detach() / size.to(field.values)[:, None, None, None]
        self.field = GridField(field.coordinates, scaled, field.lower, field.upper).requires_grad_(False)
        self.register_buffer("deviations", (strengths / math.sqrt(generators)).to(scaled).expand(generators).clone())
        self.strength, self.weights = strength, weights

    def draw(self, count: int) -> Tensor:
        """Weights for so many images, ``[count, K]``."""
        rows = self.deviations.expand(count, -1)
        if self.weights == "gaussian":
            return torch.randn_like(rows) * rows
        return (torch.rand_like(rows) * 2 - 1) * math.sqrt(3) * rows

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` or ``[C, H, W]`` in floating point to the same; the module must be in their type."""
        batch = _batch(images)
        weights = self.draw(len(batch))[:, None]
        moved = flow_warp(
            self.field, refined(batch), weights, steps=_STEPS, padding="reflection", size=batch.shape[-2:]
        )  # [B, 1, C, H, W]
        return moved[:, 0] if images.dim() == 4 else moved[0, 0]

    def extra_repr(self) -> str:
        return f"generators={self.field.generators}, strength={self.strength}, weights={self.weights!r}"


def refined(images: Tensor) -> Tensor:
    """Images at half the spacing, ``[..., H, W] -> [..., 2 H - 1, 2 W - 1]``: every other pixel is an old one.

    Between two pixels lies ``19/32`` of both less ``3/32`` of the next two: cubic convolution with the slope -3/4 that
    torch's and OpenCV's bicubic interpolation have (Keys 1981, eq. 4 has -1/2). Images go on as their reflection.

    >>> refined(torch.tensor([[0.0, 0.0, 32.0, 32.0, 32.0]]))
    tensor([[ 0., -3.,  0., 16., 32., 35., 32., 32., 32.]])
    """
    for dim in (-2, -1):
        n = images.shape[dim]
        if n == 1:
            continue
        before, after = images.narrow(dim, 0, n - 1), images.narrow(dim, 1, n - 1)
        # the next pixel on either side of these two; beyond the first and the last are the second and the last but one
        outer = torch.cat([images.narrow(dim, 1, 1), images.narrow(dim, 0, n - 2)], dim)
        outer += torch.cat([images.narrow(dim, 2, n - 2), images.narrow(dim, n - 2, 1)], dim)
        shape = list(images.shape)
        shape[dim] = 2 * n - 1
        fine = images.new_empty(shape)
        along = fine.movedim(dim, 0)
        along[::2] = images.movedim(dim, 0)
        along[1::2] = (before + after).mul_(19 / 32).sub_(outer, alpha=3 / 32).movedim(dim, 0)
        images = fine
    return images


class CropFlip(nn.Module):
    """The usual augmentation by hand: every image shifted by up to ``padding`` pixels each way, then mirrored or not.

    Shifts are uniform over whole pixels, on each axis by itself. As in `GeneratorAugment` the image goes on as its
    reflection, so that comparisons differ in the motion alone, and torch's own generator decides.

    Args:
        padding: the largest shift in pixels, at least 0.
        flip: mirror from left to right with probability 1/2.

    Raises:
        TypeError: an image is no floating-point tensor.
        ValueError: ``padding`` is negative or not below the sides of an image, or images have no shape [B, C, H, W] or
            [C, H, W].

    >>> CropFlip(padding=4)(torch.rand(8, 3, 32, 32)).shape
    torch.Size([8, 3, 32, 32])
    """

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        super().__init__()
        if padding < 0:
            raise ValueError(f"`padding` must be at least 0, got {padding}")
        self.padding, self.flip = padding, flip

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` or ``[C, H, W]`` in floating point to the same."""
        batch = _batch(images)
        count, _, height, width = batch.shape
        if self.padding >= min(height, width):
            raise ValueError(f"`padding` must be below the sides of the image, {height} x {width}, got {self.padding}")
        device = batch.device
        shifts = torch.randint(-self.padding, self.padding + 1, (2, count, 1), device=device)
        rows = _reflected(torch.arange(height, device=device) + shifts[0], height)
        columns = _reflected(torch.arange(width, device=device) + shifts[1], width)
        if self.flip:
            mirrored = torch.rand(count, 1, device=device) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        numbers = torch.arange(count, device=device)[:, None, None]
        # Indices apart from each other come first in the result, [B, H, W, C]: channels last in memory.
        cropped = batch[numbers, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
        return cropped if images.dim() == 4 else cropped[0]

    def extra_repr(self) -> str:
        return f"padding={self.padding}, flip={self.flip}"


def _batch(images: Tensor) -> Tensor:
    if not isinstance(images, Tensor) or not images.is_floating_point():
        got = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"`images` must be a floating-point tensor, got {got}")
    if images.dim() not in (3, 4):
        raise ValueError(f"`images` must have shape [B, C, H, W] or [C, H, W], got {list(images.shape)}")
    return images if images.dim() == 4 else images[None]


def _reflected(index: Tensor, length: int) -> Tensor:
    """Pixel numbers outside ``0 .. length - 1`` reflected at the centres of the outermost pixels."""
    return (length - 1) - ((length - 1) - index.abs()).abs()


@torch.no_grad()
def _root_mean_square(field: GridField) -> Tensor:
    """Of every generator over the pixels of a square image, ``[K]``."""
    line = torch.linspace(-1, 1, _MEASURE, dtype=field.values.dtype, device=field.values.device)
    points = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).flatten(0, 1)
    return field(points).double().square().sum(-1).mean(0).sqrt()
