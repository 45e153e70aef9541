"""Images in memory: labelled, from datasets, split by fixed seeds."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError


def channels_last(shape: Sequence[int]) -> bool:
    """Whether a shape ``[..., C, H, W]`` looks like ``[..., H, W, C]``: one or three at the end, and not before.

    >>> channels_last((8, 32, 32, 3)), channels_last((8, 3, 32, 32)), channels_last((32, 32, 1))
    (True, False, True)
    """
    channels, height, width = shape[-3:]
    return width in (1, 3) and channels not in (1, 3) and height > width


@dataclass(frozen=True)
class Images:
    """Labelled images of one size.

    ``len(images)`` is their number N; ``images[index]`` with a slice, a mask or a tensor of numbers is a part of them,
    and with one number a pair of pixels ``[C, H, W]`` and label, so that they are a data set of ``torch.utils.data``.

    Args:
        pixels: ``uint8 [N, C, H, W]``.
        labels: ``int64 [N]``, from 0 to ``len(classes) - 1``.
        classes: the names that the labels count.
        name: of the set, for people.

    Raises:
        TypeError: ``pixels`` or ``labels`` is no tensor of its type.
        ValueError: a shape or a label does not fit.

    >>> images = Images(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 1, 0]), ("no", "yes"), "mine")
    >>> images[images.labels == 1].labels.tolist()
    [1, 1]
    """

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        for argument, tensor, dtype in (("pixels", self.pixels, torch.uint8), ("labels", self.labels, torch.int64)):
            if not isinstance(tensor, Tensor) or tensor.dtype != dtype:
                got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                raise TypeError(f"`{argument}` must be a tensor of {dtype}, got {got}")
        if self.pixels.dim() != 4 or 0 in self.pixels.shape[1:]:
            raise ValueError(f"`pixels` must have shape [N, C, H, W], got {list(self.pixels.shape)}")
        if channels_last(self.pixels.shape):
            shape = list(self.pixels.shape)
            raise ValueError(f"`pixels` must have shape [N, C, H, W], got {shape}; are the channels last?")
        if self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(f"`labels` must have shape [{len(self.pixels)}], got {list(self.labels.shape)}")
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(
                f"`labels` must be from 0 to {len(self.classes) - 1}, got {int(self.labels.min())} to "
                f"{int(self.labels.max())}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    @overload
    def __getitem__(self, index: int) -> tuple[Tensor, int]: ...

    @overload
    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Images: ...

    def __getitem__(self, index: int | slice | Tensor | Sequence[int]) -> Images | tuple[Tensor, int]:
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
            if index.dim() == 0 and index.dtype != torch.bool:
                return self.pixels[index], int(self.labels[index])
            if index.dim() != 1:
                raise TypeError(f"`index` must be a number, a slice, a mask or a list of numbers, got {index.tolist()}")
        return Images(self.pixels[index], self.labels[index], self.classes, self.name)


def from_dataset(dataset: Any, classes: Sequence[str] | None = None, name: str | None = None) -> Images:
    """The images of any torch ``Dataset`` of pairs (image, label), torchvision's among them.

    An image is a picture of Pillow's, ``uint8 [C, H, W]`` as a tensor, ``uint8 [H, W]`` or ``[H, W, C]`` as an array,
    or a floating-point tensor ``[C, H, W]`` from 0 to 1, which is rounded to 256 levels.

    Args:
        dataset: with a length and numbered entries.
        classes: the names of the labels; by default the dataset's own ``classes``, or else their numbers.
        name: by default that of the dataset's class.

    Raises:
        UserError: the dataset is empty, or an entry is no such pair or differs in shape from the first.
    """
    if not isinstance(dataset, Sized) or len(dataset) == 0:
        raise UserError("`dataset` must have a length and at least one entry, got none")
    pixels, labels = [], []
    for index in range(len(dataset)):
        try:
            image, label = dataset[index]  # type: ignore[index]
            labels.append(int(label))
        except (TypeError, ValueError):
            raise UserError(f"entry {index} of `dataset` must be a pair of an image and a label, got another") from None
        pixels.append(_pixels(image, index))
        if pixels[-1].shape != pixels[0].shape:
            raise UserError(
                f"all images of `dataset` must have one shape [C, H, W], got {list(pixels[0].shape)} and, at entry "
                f"{index}, {list(pixels[-1].shape)}"
            )
    names = classes if classes is not None else getattr(dataset, "classes", None)
    names = tuple(map(str, names)) if names is not None else tuple(map(str, range(max(labels) + 1)))
    if not 0 <= min(labels) <= max(labels) < len(names):
        raise UserError(
            f"the labels of `dataset` must be from 0 to {len(names) - 1}, got {min(labels)} to {max(labels)}"
        )
    return Images(torch.stack(pixels), torch.tensor(labels), names, name or type(dataset).__name__)


def _pixels(image: Any, index: int) -> Tensor:
    if isinstance(image, Tensor):
        tensor = image
    else:
        try:
            tensor = torch.from_numpy(np.array(image))
        except TypeError:  # of Python objects
            raise UserError(f"entry {index} of `dataset` must hold an image, got {type(image).__name__}") from None
        tensor = tensor[None] if tensor.dim() == 2 else tensor.movedim(-1, 0) if tensor.dim() == 3 else tensor
    if tensor.is_floating_point() and tensor.numel() and tensor.min() >= 0 and tensor.max() <= 1:
        tensor = (tensor * 255).round().to(torch.uint8)
    if tensor.dtype != torch.uint8 or tensor.dim() != 3 or tensor.numel() == 0:
        raise UserError(
            f"entry {index} of `dataset` must hold an image in uint8 or floating point from 0 to 1 with three axes, "
            f"got {tensor.dtype} {list(tensor.shape)}"
        )
    return tensor


def split(images: Images, fraction: float, seed: int) -> tuple[Images, Images]:
    """A random part of the images and the rest, with the same share of every class.

    Of each class ``round(fraction n)`` images, at least one; the order of the set is kept in both parts. The same seed
    gives the same parts on every machine.

    Args:
        images: the set.
        fraction: of the first part, from 0 to 1, both excluded.
        seed: of the choice.

    Raises:
        ValueError: ``fraction`` is outside its range.

    >>> images = Images(torch.zeros(50, 1, 2, 2, dtype=torch.uint8), torch.arange(50) % 2, ("even", "odd"), "numbers")
    >>> few, many = split(images, 0.2, seed=0)
    >>> few.labels.bincount().tolist(), len(many)
    ([5, 5], 40)
    """
    if isinstance(fraction, bool) or not isinstance(fraction, float | int) or not 0.0 < fraction < 1.0:
        raise ValueError(f"`fraction` must be between 0 and 1, got {fraction!r}")
    rng = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(images), dtype=torch.bool)
    for label in range(len(images.classes)):
        members = (images.labels == label).nonzero().flatten()
        order = torch.randperm(len(members), generator=rng)
        chosen[members[order[: max(round(fraction * len(members)), 1)]]] = True
    return images[chosen], images[~chosen]
