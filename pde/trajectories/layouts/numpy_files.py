"""Arrays of numpy: archives, read member by member, and single arrays; nothing is unpickled."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import Contents, Wanted, affordable
from .named import SOLUTIONS, arranged, axis_name

START = b"\x93NUMPY"
NUMBERS = "fiuc"
LONGEST_HEADER = 1 << 16


def from_npz(path: Path, wanted: Wanted) -> Contents:
    """An archive with axes and fields by name, and perhaps the text ``equation``."""
    with zipfile.ZipFile(path) as archive:
        names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
        found = {name: _member(archive, name) for name in names if name != "equation"}
        about = {}
        if "equation" in names:
            text = _member(archive, "equation", "U")
            about = {"equation": str(text[()])} if text is not None and text.ndim == 0 else {}
    arrays = {name: array for name, array in found.items() if array is not None}
    if not arrays:
        raise UserError(f"no array of numbers is in the file, which holds {', '.join(names[:8]) or 'nothing'}")
    return arranged(arrays, wanted, "npz", about=about)


def from_npy(path: Path) -> NDArray[Any]:
    """One array."""
    with open(path, "rb") as file:
        shape, dtype = _header(file)
        start = file.tell()
    if dtype.hasobject or dtype.kind not in NUMBERS:
        raise UserError(f"the array must be of numbers, got {dtype}")
    stored = path.stat().st_size - start
    if math.prod(shape) * dtype.itemsize > stored:
        raise UserError(
            f"the array declares {math.prod(shape) * dtype.itemsize:,} bytes, but only {stored:,} are stored"
        )
    affordable("array", shape, dtype.itemsize, stored)
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type, from a header whose length is bounded before so much is read."""
    version = np.lib.format.read_magic(file)
    first = version == (1, 0)
    size = file.read(2 if first else 4)
    length = int.from_bytes(size, "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(io.BytesIO(size + file.read(length)))
    except MemoryError:  # how Python's parser calls nesting that is too deep
        raise ValueError("a header that is nested too deeply") from None
    return shape, dtype


def _member(archive: zipfile.ZipFile, name: str, kinds: str = NUMBERS) -> NDArray[Any] | None:
    """An array of the archive; ``None`` for one of another kind, which is not read."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        shape, dtype = _header(member)
    if dtype.hasobject or dtype.kind not in kinds:
        if kinds == NUMBERS and (name in SOLUTIONS or axis_name(name)):
            raise UserError(f"`{name}` must be an array of real numbers, got {dtype}")
        return None
    size = math.prod(shape) * dtype.itemsize
    if size > info.file_size:
        raise UserError(f"`{name}` declares {size:,} bytes, but only {info.file_size:,} are stored")
    affordable(name, shape, dtype.itemsize, info.compress_size)
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)
