"""Features of images as points on a sphere: what scores and forms measure changes of an image by."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

Features = Callable[[Tensor], Tensor]
"""``images [B, C, H, W] -> features [B, F]``, each image on its own."""

Network = TypeVar("Network", bound=nn.Module)

BATCH = 200
PATCHES = 50_000  # from which whitening is estimated
SOFTENING = 0.1  # added to the variances of patches, relative to their mean: what is weaker is noise
THRESHOLD = 0.5  # of the rectifiers, in standard deviations of a whitened patch along a filter
LEAST_VARIANCE = 1e-6  # relative to the largest: directions below it are rounding errors or dead units


def unit(vectors: Tensor) -> Tensor:
    """Vectors ``[..., F]`` divided by their lengths."""
    length: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / length.clamp_min(torch.finfo(vectors.dtype).tiny)


@dataclass(frozen=True)
class Normalised:
    """``H/|H|``, the paper's features."""

    features: Features

    def __call__(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` to unit vectors ``[B, F]``."""
        return unit(self.features(images))


@dataclass(frozen=True)
class Whitened:
    """``w/|w|`` with ``w = W (H - m)``, of mean 0 and covariance 1 over a sample of images.

    Features of a network with rectifiers share a large mean, and a few of them have most of the variance; whitened,
    every direction that tells images apart counts the same.

    Attributes:
        features: H.
        mean: m, ``[F]``.
        whitener: W transposed, ``[F, R]``; directions without variance are left out.
    """

    features: Features
    mean: Tensor
    whitener: Tensor

    @classmethod
    def of(cls, features: Features, images: Tensor) -> Whitened:
        """With mean and covariance of the features of these images ``[N, C, H, W]``.

        Raises:
            ValueError: the features are not finite, or the same for all images.
        """
        with torch.no_grad():
            values = torch.cat([features(batch) for batch in images.split(BATCH)])
        sample = values.double()
        mean = sample.mean(0)
        centred = sample - mean
        if not torch.isfinite(sample).all():
            raise ValueError("`features` must be finite, got values that are not")
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(sample))
        kept = variances > LEAST_VARIANCE * variances[-1]
        if not variances[-1] > torch.finfo(values.dtype).eps ** 2 * sample.square().mean():
            raise ValueError("`features` must differ between images, got the same for all")
        whitener = directions[:, kept] / variances[kept].sqrt()
        return cls(features, mean.to(values.dtype), whitener.to(values.dtype))

    def __call__(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` to unit vectors ``[B, R]``."""
        return unit((self.features(images) - self.mean) @ self.whitener)


@dataclass(frozen=True)
class PatchFeatures:
    """Features without labels or learning: whitened random patches of the images as filters (Coates and Ng, 2012).

    Rectified responses of both signs, averaged over the quarters of the image: ``2 x filters x 4`` features.

    Attributes:
        filters: ``[n, C, side, side]``.
        biases: ``[n]``.
    """

    filters: Tensor
    biases: Tensor

    @classmethod
    def of(cls, images: Tensor, seed: int, filters: int = 128, side: int = 6) -> PatchFeatures:
        """Filters from patches of these images ``[N, C, H, W]``.

        Raises:
            ValueError: the images are smaller than a patch, or do not vary.
        """
        if min(images.shape[2:]) < side:
            raise ValueError(f"`images` must have sides of at least {side} pixels, got {list(images.shape[2:])}")
        random = torch.Generator().manual_seed(seed)
        places = [torch.randint(n, (PATCHES,), generator=random) for n in (len(images), *_room(images, side))]
        offsets = torch.arange(side)
        rows, columns = (place[:, None] + offsets for place in places[1:])
        patches = images[places[0][:, None, None], :, rows[:, :, None], columns[:, None, :]]  # [P, side, side, C]
        flat = patches.movedim(-1, 1).flatten(1).double()
        mean = flat.mean(0)
        variances, directions = torch.linalg.eigh((flat - mean).T @ (flat - mean) / PATCHES)
        if not variances[-1] > 0:
            raise ValueError("`images` must vary, got constant ones")
        softened = (variances + SOFTENING * variances.mean()).rsqrt()
        whitener = (directions * softened) @ directions.T
        chosen = (flat[:filters] - mean) @ whitener
        kernels = (chosen / chosen.norm(dim=1, keepdim=True).clamp_min(1e-12)) @ whitener
        shape = (filters, images.shape[1], side, side)
        return cls(kernels.view(shape).to(images), (-kernels @ mean).to(images))

    def __call__(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, 8 n]``."""
        responses = nn.functional.conv2d(images, self.filters, self.biases)
        both = torch.cat([responses, -responses], 1)
        return nn.functional.adaptive_avg_pool2d(torch.relu(both - THRESHOLD), 2).flatten(1)


def _room(images: Tensor, side: int) -> tuple[int, int]:
    height, width = images.shape[2:]
    return height - side + 1, width - side + 1


def untrained(network: Network, seed: int) -> Network:
    """The same network with new initial parameters, torch's own for every layer: it has learned nothing."""
    fresh = copy.deepcopy(network)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for module in fresh.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return fresh.eval()
