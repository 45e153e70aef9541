"""Images from folders: MNIST's files, CIFAR's archives, pictures by class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from symflow.errors import UserError, path_of

from . import _readers
from .images import Images, split

_TEST_SHARE = 0.2
"""Of a set that comes without a training part of its own."""


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
    folder = path_of("path", path)
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
