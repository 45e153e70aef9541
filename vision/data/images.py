"""Images in memory: read from what a user has on disk, split by fixed seeds, served in batches on a device."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError

from . import _readers

_TEST_SHARE = 0.2
"""Of a set that comes without a training part of its own."""


@dataclass(frozen=True)
class Images:
    """Labelled images of one size.

    ``len(images)`` is their number N; ``images[index]`` with a slice, a mask or a tensor of numbers is a part of them.

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
        if self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(f"`labels` must have shape [{len(self.pixels)}], got {list(self.labels.shape)}")
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(
                f"`labels` must be from 0 to {len(self.classes) - 1}, got {int(self.labels.min())} to "
                f"{int(self.labels.max())}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Images:
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
            if index.dim() != 1:
                raise TypeError("`index` must be a slice, a mask or a list of numbers, got a single one")
        return Images(self.pixels[index], self.labels[index], self.classes, self.name)


# ---------------------------------------------------------------- reading


def load(path: str | os.PathLike[str]) -> tuple[Images, Images]:
    """Training and test images from a folder; nothing is downloaded.

    What is recognised, in this order:

    - ``cifar-10-batches-py``: ``data_batch_1`` to ``data_batch_5`` and ``test_batch``, pickled dictionaries. They are
      read with an allow-list and nothing that they name is called.
    - ``cifar-10-batches-bin``: the same names with ``.bin``, records of 3,073 bytes.
    - MNIST: ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-...``, plain or ``.gz``.
    - A folder of pictures, one subfolder per class, all of one size (PNG, JPEG and other formats that Pillow reads); or
      the same inside ``train`` and ``test``.

    A set without a training part of its own (MNIST's test files alone, class folders without ``train`` and ``test``)
    is split, the same way every time: a fifth of each class is the test part. The names of both parts say so.

    Raises:
        UserError: the folder is missing or none of these, or a file in it is missing, corrupted, too large or of
            another format.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"`path` must be a folder of images, got {str(path)!r}, which is {_what(folder)}")
    for suffix, read in (("", _readers.cifar_pickle), (".bin", _readers.cifar_binary)):
        names = [f"data_batch_{n}{suffix}" for n in range(1, 6)] + [f"test_batch{suffix}"]
        if any((folder / name).exists() for name in names):
            parts = [read(folder / name) for name in names]
            return (
                _images([p for p, _ in parts[:5]], [l for _, l in parts[:5]], _readers.CIFAR10_CLASSES, "CIFAR-10"),
                _images([parts[5][0]], [parts[5][1]], _readers.CIFAR10_CLASSES, "CIFAR-10 test"),
            )
    if _idx_file(folder, "t10k", "images") or _idx_file(folder, "train", "images"):
        return _load_mnist(folder)
    return _load_pictures(folder)


def _what(path: Path) -> str:
    return "a file" if path.exists() else "not there"


def _images(pixels: Sequence[np.ndarray], labels: Sequence[np.ndarray], classes: tuple[str, ...], name: str) -> Images:
    # Concatenation copies, so the tensors own writable memory.
    return Images(torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(labels)), classes, name)


def _idx_file(folder: Path, part: str, what: str) -> Path | None:
    """MNIST's file of a part, under the names that are in circulation."""
    axes = 3 if what == "images" else 1
    names = [f"{part}-{what}{mark}idx{axes}-ubyte{suffix}" for mark in "-." for suffix in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).exists()), None)


def _load_mnist(folder: Path) -> tuple[Images, Images]:
    classes = tuple("0123456789")

    def part(prefix: str, name: str) -> Images:
        files = {what: _idx_file(folder, prefix, what) for what in ("images", "labels")}
        for what, file in files.items():
            if file is None:
                raise UserError(f"{str(folder)!r} must hold the {what} of MNIST's {prefix!r} part, got no such file")
        pixels, labels = _readers.mnist(files["images"], files["labels"])  # type: ignore[arg-type]
        if max(pixels.shape[2:]) > _readers.LONGEST_SIDE or labels.max() > 9:
            raise UserError(
                f"{str(folder)!r} must hold digits, labelled 0 to 9, of at most {_readers.LONGEST_SIDE} pixels a side, "
                f"got {pixels.shape[2]} x {pixels.shape[3]} pixels and a label {labels.max()}"
            )
        return _images([pixels], [labels], classes, name)

    if _idx_file(folder, "train", "images") is None:
        return _divided(part("t10k", "MNIST"))
    return part("train", "MNIST"), part("t10k", "MNIST test")


def _load_pictures(folder: Path) -> tuple[Images, Images]:
    names = _readers.class_folders(folder)
    if not names:
        raise UserError(
            f"{str(folder)!r} must hold cifar-10-batches-py, cifar-10-batches-bin, MNIST idx files or one subfolder of "
            "pictures per class, got none of these"
        )
    if set(names) == {"train", "test"}:
        classes = _readers.class_folders(folder / "train")
        if set(others := _readers.class_folders(folder / "test")) - set(classes):
            raise UserError(
                f"the classes in {str(folder / 'test')!r} must be among those in 'train', {', '.join(classes)}, "
                f"got {', '.join(others)}"
            )
        found = [_readers.pictures(folder / part, classes) for part in ("train", "test")]
        if found[0][0].shape[1:] != found[1][0].shape[1:]:
            raise UserError(
                f"the pictures in {str(folder)!r} must have one shape [C, H, W], got {list(found[0][0].shape[1:])} in "
                f"'train' and {list(found[1][0].shape[1:])} in 'test'"
            )
        train, test = (_images([p], [l], classes, folder.name) for p, l in found)
        return train, test
    pixels, labels = _readers.pictures(folder, names)
    return _divided(_images([pixels], [labels], names, folder.name))


def _divided(images: Images) -> tuple[Images, Images]:
    """A set that comes in one part, split the same way every time, and named so."""
    test, train = split(images, _TEST_SHARE, seed=0)
    if len(train) == 0:
        raise UserError(
            f"a set in one part must have a class of two images or more, got {len(images)} in {images.name!r}"
        )
    return tuple(
        Images(part.pixels, part.labels, part.classes, f"{images.name}, {len(part):,} of {len(images):,} images, {use}")
        for part, use in ((train, "for training"), (test, "for the test"))
    )  # type: ignore[return-value]


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
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"`fraction` must be between 0 and 1, got {fraction}")
    rng = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(images), dtype=torch.bool)
    for label in range(len(images.classes)):
        members = (images.labels == label).nonzero().flatten()
        order = torch.randperm(len(members), generator=rng)
        chosen[members[order[: max(round(fraction * len(members)), 1)]]] = True
    return images[chosen], images[~chosen]


# ---------------------------------------------------------------- batches


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
