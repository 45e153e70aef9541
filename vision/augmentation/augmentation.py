"""Augmentation of batches: along vector fields of the pixel plane, along changes of colour, and by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symflow.fields import Coordinates, Field, GridField, SymbolicField
from symflow.ops import check_is_field, flow_warp

from ..data import channels_last
from ..search import AFFINE_FORMS, PLANE

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

    Each image has its own weights ``w_k``, independent, of mean 0 and standard deviation ``s_k``, where ``V_k`` is the
    generator scaled to a root mean square of 1 over the pixels. So ``s_k`` is the root mean square displacement of a
    pixel by that generator, to first order, and the root of the sum of their squares is that by all together. One
    number as ``strength`` is the displacement by all, ``s_k = strength / sqrt(K)``, whatever the field and K: with 32
    pixels a side, .13 is two pixels. A random crop with a padding of p pixels moves by ``p sqrt(2/3)`` of them.

    All images are moved by one call of `symflow.flow_warp`, on the device they are on, after cubic interpolation to
    half the spacing (`refined`): linear interpolation between pixels takes a third of the power of fine detail, and a
    network that saw blurred images only does worse on sharp ones. What lies beyond the image is its reflection. Weights
    come from torch's own generator of that device: ``torch.manual_seed`` decides them.

    It is a module for batches in a training loop and a transform of single images in any pipeline of transforms,
    torchvision's too, after the conversion to floating point.

    Args:
        field: K vector fields on the pixel plane, or something that has them as ``.field``. A `GridField` is used as it
            is; any other is tabulated on 37 x 37 nodes from -1.5 to 1.5, without change where it is affine.
        strength: in normalised units, at least 0; one number, or the K displacements ``s_k``, for example those of
            `balanced`.
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
        check_is_field(field)
        if field.coordinates.dimension != 2:
            raise ValueError(f"`field` must have the 2 coordinates of the plane, got {field.coordinates.dimension}")
        generators = field.generators
        deviations = _deviations(strength, generators, weights)
        if not isinstance(field, GridField):
            field = GridField.tabulate(field, (_NODES, _NODES), (-_REACH, -_REACH), (_REACH, _REACH))
        size = _root_mean_square(field)
        if not bool((size > 0).all()):
            raise ValueError(f"every generator of `field` must move some pixel, got sizes {size.tolist()}")
        scaled = field.values.detach() / size.to(field.values)[:, None, None, None]
        self.field = GridField(field.coordinates, scaled, field.lower, field.upper).requires_grad_(False)
        self.register_buffer("deviations", deviations.to(scaled, copy=True))
        self.strength, self.weights = strength, weights

    def draw(self, count: int) -> Tensor:
        """Weights for so many images, ``[count, K]``."""
        return _draw(self.deviations, count, self.weights)

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` or ``[C, H, W]`` in floating point to the same; the module must be in their type."""
        batch = _batch(images)
        moved = self.move(batch, self.draw(len(batch))[:, None])[:, 0]
        return moved if images.dim() == 4 else moved[0]

    def move(self, images: Tensor, weights: Tensor) -> Tensor:
        """Images ``[B, C, H, W]`` along given combinations: ``[G, K]`` or ``[B, G, K]`` to ``[B, G, C, H, W]``."""
        fine = refined(images)
        return flow_warp(self.field, fine, weights, steps=_STEPS, padding="reflection", size=images.shape[-2:])

    def extra_repr(self) -> str:
        return f"generators={self.field.generators}, strength={self.strength}, weights={self.weights!r}"


class ColourAugment(nn.Module):
    """Moves the colours of every image along a random combination of generators: ``x -> flow(sum_k w_k V_k) o x``.

    Generators are affine changes of colour, ``V_k(c) = A_k c + b_k``, for which the flow is the exponential of a
    matrix. Each image has its own weights, independent, of mean 0 and standard deviation ``s_k``: the root mean square
    change of a colour by that generator, in units in which colours go from 0 to 1, if ``V_k`` has a root mean square of
    1 over the colours of images, as those of `colour_generators`. One number as ``strength`` is the change by all,
    ``s_k = strength / sqrt(K)``. Colours are not cut off at 0 and 1. As in `GeneratorAugment`, torch's own generator of
    the device decides.

    Args:
        generators: ``(A_k | b_k)``, ``[K, 3, 4]``, on colours from 0 to 1.
        strength: at least 0; one number, or the K changes ``s_k``.
        mean, std: with which images are normalised; by default they are not.
        weights: "uniform", which bounds them by sqrt(3) standard deviations, or "gaussian".

    Raises:
        TypeError: an image is no floating-point tensor.
        ValueError: generators have another shape, ``mean`` or ``std`` do not fit, a strength is negative or not finite,
            ``weights`` is none of the two, or images have no shape [B, 3, H, W] or [3, H, W].

    >>> brightness = torch.tensor([[[0.0, 0.0, 0.0, 1.0]] * 3])
    >>> _ = torch.manual_seed(0)
    >>> changed = ColourAugment(brightness, 0.1)(torch.zeros(2, 3, 1, 1))
    >>> [round(c, 4) for c in changed.flatten().tolist()]
    [-0.0013, -0.0013, -0.0013, 0.0929, 0.0929, 0.0929]
    """

    deviations: Tensor
    generators: Tensor

    def __init__(
        self,
        generators: Tensor,
        strength: float | Sequence[float],
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        weights: str = "uniform",
    ) -> None:
        super().__init__()
        if generators.dim() != 3 or generators.shape[1:] != (3, 4):
            raise ValueError(f"`generators` must have shape [K, 3, 4], got {list(generators.shape)}")
        if (len(mean), len(std)) != (3, 3) or min(std) <= 0:
            raise ValueError(f"`mean` and `std` must have 3 numbers, `std` above 0, got {list(mean)} and {list(std)}")
        deviations = _deviations(strength, len(generators), weights)
        matrices = generators.double().new_zeros(len(generators), 4, 4)
        matrices[:, :3] = generators
        to_colours = torch.diag(torch.tensor([*std, 1.0], dtype=torch.float64))
        to_colours[:3, 3] = torch.tensor(mean, dtype=torch.float64)
        normalised = torch.linalg.solve(to_colours, matrices @ to_colours)
        self.register_buffer("generators", normalised.float())
        self.register_buffer("deviations", deviations.float())
        self.strength, self.weights = strength, weights

    def draw(self, count: int) -> Tensor:
        """Weights for so many images, ``[count, K]``."""
        return _draw(self.deviations, count, self.weights)

    def forward(self, images: Tensor) -> Tensor:
        """``[B, 3, H, W]`` or ``[3, H, W]`` in floating point to the same."""
        batch = _batch(images)
        if batch.shape[1] != 3:
            raise ValueError(f"`images` must have 3 channels, got {batch.shape[1]}")
        changed = self.move(batch, self.draw(len(batch))[:, None])[:, 0]
        return changed if images.dim() == 4 else changed[0]

    def move(self, images: Tensor, weights: Tensor) -> Tensor:
        """Images ``[B, 3, H, W]`` along given combinations: ``[G, K]`` or ``[B, G, K]`` to ``[B, G, 3, H, W]``."""
        combined = torch.einsum("...k,kij->...ij", weights.float(), self.generators.float())
        flow = torch.linalg.matrix_exp(combined).to(images)
        changed = flow[..., :3, :3] @ images.flatten(2)[:, None] + flow[..., :3, 3:]
        moved: Tensor = changed.unflatten(-1, images.shape[2:])
        return moved

    def extra_repr(self) -> str:
        return f"generators={len(self.generators)}, strength={self.strength}, weights={self.weights!r}"


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


def balanced(displacements: Sequence[float], turned: Sequence[Sequence[float]], strength: float) -> list[float]:
    """Displacements ``s_k`` at which all generators turn the features by one angle, and that together are a strength.

        turned_k(s_k) = theta,    sum_k s_k^2 = strength^2

    So each goes as far as it is as valid as the others. Between what was measured, angles are linear; where they fall
    again they are taken for flat.

    Args:
        displacements: at which angles were measured, positive and ascending.
        turned: the angles, for each generator.
        strength: at least 0.

    Raises:
        ValueError: the angles were not measured so far.

    >>> [round(s, 3) for s in balanced([0.1, 1.0], [[0.1, 1.0], [0.2, 2.0]], 0.5)]  # the second is twice as dear
    [0.447, 0.224]
    """
    measured = [0.0, *displacements]
    curves = [np.maximum.accumulate([0.0, *angles]) for angles in turned]

    def reached(angle: float) -> list[float]:
        return [float(np.interp(angle, curve, measured)) for curve in curves]

    low, high = 0.0, min(float(curve[-1]) for curve in curves)
    most = math.hypot(*reached(high))
    if not 0 <= strength <= most:
        raise ValueError(f"`strength` must be from 0 to {most:.3g} for {len(curves)} generators, got {strength:g}")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.hypot(*reached(middle)) < strength else (low, middle)
    return reached(high)


def _deviations(strength: Any, generators: int, weights: str) -> Tensor:
    if isinstance(strength, str):
        raise ValueError(f"`strength` must be a number, got {strength!r}")
    strengths = torch.as_tensor(strength, dtype=torch.float64)
    if strengths.shape not in ((), (generators,)) or not bool((strengths.isfinite() & (strengths >= 0)).all()):
        raise ValueError(f"`strength` must be one number or {generators}, finite and at least 0, got {strength}")
    if weights not in DISTRIBUTIONS:
        raise ValueError(f"`weights` must be one of {', '.join(DISTRIBUTIONS)}, got {weights!r}")
    return strengths if strengths.dim() else (strengths / math.sqrt(generators)).expand(generators)


def _draw(deviations: Tensor, count: int, weights: str) -> Tensor:
    """Weights for so many images, ``[count, K]``."""
    rows = deviations.expand(count, -1)
    if weights == "gaussian":
        return torch.randn_like(rows) * rows
    return (torch.rand_like(rows) * 2 - 1) * math.sqrt(3) * rows


def _batch(images: Tensor) -> Tensor:
    if not isinstance(images, Tensor) or not images.is_floating_point():
        got = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"`images` must be a floating-point tensor, got {got}")
    if images.dim() not in (3, 4):
        raise ValueError(f"`images` must have shape [B, C, H, W] or [C, H, W], got {list(images.shape)}")
    if channels_last(images.shape):
        raise ValueError(
            f"`images` must have shape [B, C, H, W] or [C, H, W], got {list(images.shape)}; are the channels last?"
        )
    return images if images.dim() == 4 else images[None]


def _reflected(index: Tensor, length: int) -> Tensor:
    """Pixel numbers outside ``0 .. length - 1`` reflected at the centres of the outermost pixels."""
    return (length - 1) - ((length - 1) - index.abs()).abs()


@torch.no_grad()
def _root_mean_square(field: GridField) -> Tensor:
    """Of every generator over the pixels of a square image, ``[K]``."""
    line = torch.linspace(-1, 1, _MEASURE, dtype=field.values.dtype, device=field.values.device)
    points = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).flatten(0, 1)
    vectors: Tensor = field(points)
    return vectors.double().square().sum(-1).mean(0).sqrt()
