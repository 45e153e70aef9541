"""Files of images to arrays: CIFAR-10 in its two layouts, MNIST's idx, folders of pictures.

Files are hostile here: sizes are bounded before memory is taken, and a pickle is read without calling anything that it
names. Every function returns pixels ``uint8 [N, C, H, W]`` and labels ``int64 [N]``.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from symflow.errors import UserError
from symflow.runs import Stand, unpickle

Arrays = tuple[np.ndarray, np.ndarray]

LARGEST_FILE = 1 << 28  # bytes; a batch of CIFAR-10 has 31 MB
LONGEST_SIDE = 4096  # pixels
LARGEST_SET = 1 << 34  # pixels of all images together

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR_SHAPE = (3, 32, 32)
_CIFAR_PIXELS = 3 * 32 * 32


def read_bytes(path: Path) -> bytes:
    """The content of a file of bounded size.

    Raises:
        UserError: it is missing, cannot be read, or is larger than any batch of images.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UserError(f"there is no file {str(path)!r}") from None
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror or error})") from None
    if len(content) > LARGEST_FILE:
        raise UserError(f"{str(path)!r} must have at most {LARGEST_FILE:,} bytes, got more")
    return content


# ---------------------------------------------------------------- CIFAR-10, pickled


_NAMES = frozenset(
    {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"}
)
"""What a pickled array is made of."""


def _array(stand: Any) -> np.ndarray:
    """The matrix of bytes that a pickled array describes, ``uint8 [N, M]``."""
    if not (isinstance(stand, Stand) and stand.name.endswith("._reconstruct") and isinstance(stand.state, tuple)):
        raise ValueError("`data` is no array")
    _, shape, dtype, fortran, raw = stand.state
    of_bytes = isinstance(dtype, Stand) and dtype.name == "numpy.dtype" and dtype.arguments is not None
    if not (of_bytes and dtype.arguments[:1] in ((b"u1",), ("u1",))):
        raise ValueError("`data` is no array of uint8")
    if not (isinstance(raw, bytes) and len(shape) == 2 and shape[0] * shape[1] == len(raw)):
        raise ValueError("the size of `data` is not that of its bytes")
    data: np.ndarray = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")
    return data


def cifar_pickle(path: Path) -> Arrays:
    """A batch of ``cifar-10-batches-py``: a pickled dictionary with ``data [N, 3072]`` and ``labels``.

    Raises:
        UserError: the file is missing, or anything but such a batch.
    """
    content = read_bytes(path)
    try:
        batch = unpickle(content, _NAMES)
        if not isinstance(batch, dict):
            raise ValueError("it holds no dictionary")
        named = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
        pixels, labels = _array(named.get("data")), named.get("labels")
    # Whatever a malformed file makes the unpickler raise, the answer is the same.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{str(path)!r} must be a pickled batch of CIFAR-10, got a file that is none: {reason}"
        ) from None
    return _cifar_batch(path, pixels, labels)


def cifar_binary(path: Path) -> Arrays:
    """A batch of ``cifar-10-batches-bin``: records of one byte of label and 3,072 of pixels.

    Raises:
        UserError: the file is missing, or its length is no whole number of records.
    """
    content = read_bytes(path)
    if not content or len(content) % (1 + _CIFAR_PIXELS):
        raise UserError(
            f"{str(path)!r} must hold records of {1 + _CIFAR_PIXELS:,} bytes, one or more, got {len(content):,} bytes"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _CIFAR_PIXELS)
    return _cifar_batch(path, records[:, 1:], records[:, 0].tolist())


def _cifar_batch(path: Path, pixels: np.ndarray, labels: Any) -> Arrays:
    if len(pixels) == 0 or pixels.shape[1] != _CIFAR_PIXELS:
        raise UserError(f"{str(path)!r} must hold rows of 3,072 pixels, got an array {list(pixels.shape)}")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        got = f"{len(labels)} labels" if isinstance(labels, list) else "no list of labels"
        raise UserError(f"{str(path)!r} must hold a label for each of its {len(pixels)} images, got {got}")
    if not all(type(label) is int and 0 <= label < 10 for label in labels):
        raise UserError(f"{str(path)!r} must hold labels from 0 to 9, got others")
    return np.ascontiguousarray(pixels).reshape(-1, *_CIFAR_SHAPE), np.array(labels, np.int64)


# ---------------------------------------------------------------- MNIST


def mnist(images: Path, labels: Path) -> Arrays:
    """A pair of idx files, each plain or compressed with gzip.

    Raises:
        UserError: a file is missing or no idx file of unsigned bytes, or the two do not fit.
    """
    pixels, numbers = _idx(images, 3), _idx(labels, 1)
    if len(pixels) != len(numbers):
        raise UserError(
            f"{str(labels)!r} must hold a label for each of the {len(pixels)} images, got {len(numbers)} labels"
        )
    return pixels[:, None], numbers.astype(np.int64)


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """An idx file: two zeros, the type 8, the number of axes, their lengths as big-endian words, the bytes."""
    content = read_bytes(path)
    if path.suffix == ".gz":
        content = _gunzip(path, content, 4 + 4 * dimensions)
    head = bytes((0, 0, 8, dimensions))
    if content[:4] != head or len(content) < 4 + 4 * dimensions:
        raise UserError(
            f"{str(path)!r} must be an idx file of unsigned bytes with {dimensions} axes, got the first bytes "
            f"{content[:4].hex(' ') or 'of an empty file'}"
        )
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    count = int(np.prod([int(n) for n in shape], dtype=object))
    if len(content) - 4 - 4 * dimensions != count or count == 0:
        raise UserError(
            f"{str(path)!r} must hold {count:,} bytes after its header for the shape {list(shape)}, at least one, "
            f"got {len(content) - 4 - 4 * dimensions:,}"
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _gunzip(path: Path, content: bytes, header: int) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as file:
            plain = file.read(LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{str(path)!r} must be compressed with gzip, got a file that is not ({error})") from None
    if len(plain) > LARGEST_FILE:
        raise UserError(f"{str(path)!r} must hold at most {LARGEST_FILE:,} bytes when decompressed, got more")
    return plain


# ---------------------------------------------------------------- folders


# Formats whose readers are plain decoders; Pillow also knows some that start other programs.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "GIF", "TIFF")
_GREY, _COLOUR = ("1", "L"), ("RGB", "RGBA", "P", "LA", "CMYK", "YCbCr")


def class_folders(folder: Path) -> tuple[str, ...]:
    """The names of the subfolders in alphabetical order, hidden ones left out."""
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))


def pictures(folder: Path, classes: tuple[str, ...]) -> Arrays:
    """The pictures in the subfolders of a folder, one subfolder per class, in alphabetical order.

    They are grey when the first one is, and in colour otherwise; transparency is dropped.

    Raises:
        UserError: there is none, one cannot be read, or one differs from the first in size.
    """
    files = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]
    if not files:
        raise UserError(f"{str(folder)!r} must hold pictures in one subfolder per class, got none")
    pixels, size, mode = None, (0, 0), ""
    for index, (path, _) in enumerate(files):
        try:
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.mode not in _GREY + _COLOUR:
                    raise UserError(f"{str(path)!r} must have 8 bits per channel, got the mode {picture.mode}")
                if pixels is None:
                    size, mode = picture.size, "L" if picture.mode in _GREY else "RGB"
                    shape = (len(files), size[1], size[0], 1 if mode == "L" else 3)
                    if max(size) > LONGEST_SIDE or np.prod(shape, dtype=float) > LARGEST_SET:
                        raise UserError(
                            f"{str(folder)!r} must hold pictures of at most {LONGEST_SIDE} pixels a side and "
                            f"{LARGEST_SET:,} values in all, got {len(files)} of {size[0]} x {size[1]}"
                        )
                    pixels = np.empty(shape, np.uint8)
                elif picture.size != size:
                    raise UserError(
                        f"{str(path)!r} must have the size of the first picture, {size[0]} x {size[1]}, "
                        f"got {picture.size[0]} x {picture.size[1]}"
                    )
                pixels[index] = np.asarray(picture.convert(mode)).reshape(shape[1:])
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(
                f"{str(path)!r} must be a picture that can be read, got one that cannot ({error})"
            ) from None
    assert pixels is not None  # noqa: S101
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), np.array([label for _, label in files], np.int64)
