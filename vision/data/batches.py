"""Images as a network sees them: normalised, and in batches that depend on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .images import Images


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of every channel, of pixel values from 0 to 1.

    A deviation below 1/255, that of a constant channel, counts as 1/255.

    >>> grey = Images(torch.tensor([0, 255]).to(torch.uint8).view(2, 1, 1, 1), torch.tensor([0, 0]), ("any",), "two")
    >>> Statistics.of(grey)
    Statistics(mean=(0.5,), std=(0.5,))
    >>> Statistics.of(grey).normalise(grey.pixels).flatten().tolist()
    [-1.0, 1.0]
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Images) -> Statistics:
        """Those of all pixels of all images; of the training part, where there are several.

        Raises:
            ValueError: there is no image.
        """
        if len(images) == 0:
            raise ValueError("`images` must hold at least one image, got none")
        total = torch.zeros(2, images.pixels.shape[1], dtype=torch.float64)
        for part in images.pixels.split(1024):  # sums of integers, exact in float64
            values = part.double()
            total += torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))]).cpu()
        mean, square = total / (images.pixels[:, 0].numel())
        std = (square - mean.square()).clamp_min(1.0).sqrt()
        return cls(tuple((mean / 255).tolist()), tuple((std / 255).tolist()))

    def normalise(self, pixels: Tensor) -> Tensor:
        """``uint8 [..., C, H, W]`` to ``(pixels / 255 - mean) / std`` in float32."""
        mean, std = (torch.tensor(v, device=pixels.device)[:, None, None] for v in (self.mean, self.std))
        return (pixels / 255 - mean) / std

    def denormalise(self, images: Tensor) -> Tensor:
        """The inverse: pixel values, from 0 to 1 for images of the set, in floating point."""
        mean, std = (torch.tensor(v, device=images.device)[:, None, None] for v in (self.mean, self.std))
        return images * std + mean


@dataclass(frozen=True)
class Batches:
    """Shuffled batches of normalised images on a device, an epoch at a time.

    The pixels stay uint8 in the device's memory, 154 MB for the training part of CIFAR-10; a batch is gathered,
    normalised and flipped there, so nothing else needs a process. The order of an epoch and its flips depend on the
    seed and the epoch alone. The last images of an epoch that fill no batch wait for another one.

    With several workers each batch is shared out: worker ``rank`` takes every ``workers``-th image of it. So an epoch
    has the same batches for any number of workers.

    Args:
        images: the set; moved to the device.
        statistics: that normalise it.
        size: images in a batch, at least 1; a smaller set is one batch.
        seed: of order and flips.
        flip: mirror every image from left to right with probability 1/2.
        device: where batches live.
        rank, workers: which share of each batch to give.

    Raises:
        ValueError: ``size`` or the share does not fit, or there is no image.

    >>> images = Images(torch.zeros(50, 1, 8, 8, dtype=torch.uint8), torch.arange(50) % 2, ("even", "odd"), "zeros")
    >>> batches = Batches(images, Statistics.of(images), size=16, seed=0)
    >>> [list(pixels.shape) for pixels, labels in batches.epoch(0)]
    [[16, 1, 8, 8], [16, 1, 8, 8], [16, 1, 8, 8]]
    """

    images: Images
    statistics: Statistics
    size: int
    seed: int
    flip: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if self.size < 1 or len(self.images) == 0:
            raise ValueError(
                f"`size` and the number of images must be at least 1, got {self.size} and {len(self.images)}"
            )
        if not 0 <= self.rank < self.workers <= self.whole:
            raise ValueError(
                f"`rank` must be below `workers`, and those at most the {self.whole} images of a batch, got "
                f"{self.rank} and {self.workers}"
            )
        pixels, labels = (t.to(self.device) for t in (self.images.pixels, self.images.labels))
        object.__setattr__(self, "images", Images(pixels, labels, self.images.classes, self.images.name))

    @property
    def whole(self) -> int:
        """Images in a batch, those of all workers together."""
        return min(self.size, len(self.images))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.images) // self.whole

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch: images ``float32 [B, C, H, W]``, channels last in memory, and labels ``[B]``."""
        rng = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        order = torch.randperm(len(self.images), generator=rng).to(self.device)
        mirrored = (torch.rand(len(self.images), generator=rng) < 0.5).to(self.device)
        for chosen in order[: len(self) * self.whole].split(self.whole):
            index = chosen[self.rank :: self.workers]
            pixels = self.images.pixels[index].contiguous(memory_format=torch.channels_last)
            batch = self.statistics.normalise(pixels)
            if self.flip:
                batch = torch.where(mirrored[index][:, None, None, None], batch.flip(-1), batch)
            yield batch.contiguous(memory_format=torch.channels_last), self.images.labels[index]


def epoch_seed(*numbers: int) -> int:
    """One seed from several numbers; unlike their sum it is another one for every choice of them."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
