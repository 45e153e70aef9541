"""The responses of judges to motions and changes of colour of the same images, with the same random directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Images, Statistics, epoch_seed
from ..features import Features
from ..search import gradients, pullbacks
from .products import LEAST

BATCH = 100  # images at a time
RESPONSES = 8_000  # of a judge
DIRECTIONS = 9  # of an image at most: as many as the outputs of ten classes have


@dataclass(frozen=True)
class Judge:
    """A function of images, and how images are normalised for it.

    Attributes:
        name: for people.
        function: of normalised images, ``[B, C, H, W]`` to ``[B, F]``.
        statistics: that normalise them.
        accuracy: on images it has not learned from, or ``None``.
    """

    name: str
    function: Features
    statistics: Statistics
    accuracy: float | None = None


def chosen(images: Images, seed: int) -> tuple[Tensor, int]:
    """Pixels to judge by, ``[N, C, H, W]``, and how many images they are of.

    Of few images each is there several times, for it can be seen along several random directions. Their number is a
    multiple of `LEAST`, so that all copies of an image are in one block, and in one half, of `products.Products`.
    """
    random = torch.Generator().manual_seed(seed)
    count = min(len(images), RESPONSES) // LEAST * LEAST
    if count == 0:
        return images.pixels[:0], 0
    taken = images.pixels[torch.randperm(len(images), generator=random)[:count]]
    return taken.repeat(min(max(RESPONSES // count, 1), DIRECTIONS), 1, 1, 1), count


def joint_responses(
    judges: Sequence[Judge], pixels: Tensor, fields: Tensor, matrices: Tensor, seed: int
) -> Iterator[Tensor]:
    """q of every motion, and then of every change of colour, in batches ``[n, J, K + L, H, W]``.

    What an image does to a judge is seen along one random direction of its outputs, the same for all judges: their
    outputs must have the same meaning, as the logits of the same classes have.

    Args:
        judges: J of them.
        pixels: ``uint8 [N, C, H, W]``.
        fields: K motions at the pixel centres, ``[H W, K, 2]``.
        matrices: L affine changes of colour ``(A | b)``, ``[L, C, C + 1]``.
        seed: of the random directions.
    """
    for number, part in enumerate(pixels.split(BATCH)):
        yield torch.stack([_responses(j, part, fields, matrices, epoch_seed(seed, number)) for j in judges], 1)


def _responses(judge: Judge, pixels: Tensor, fields: Tensor, matrices: Tensor, seed: int) -> Tensor:
    images = judge.statistics.normalise(pixels)
    pulled = pullbacks(judge.function, images, seed)
    sensitivity = torch.einsum("nchw,nchwd->nhwd", pulled, gradients(images))
    motions = fields.unflatten(0, images.shape[2:]).to(images)
    found = torch.einsum("nhwd,hwkd->nkhw", sensitivity, motions)
    if not len(matrices):
        return found
    raw = pulled / images.new_tensor(judge.statistics.std)[:, None, None]  # per unit of a colour from 0 to 1
    colours, (A, b) = pixels.to(images) / 255, matrices.to(images).split([images.shape[1], 1], -1)
    changed = torch.einsum("nchw,kcd,ndhw->nkhw", raw, A, colours) + torch.einsum("nchw,kc->nkhw", raw, b[..., 0])
    return torch.cat([found, changed], 1)
