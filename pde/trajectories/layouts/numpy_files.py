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
from .named import SOLUTIONS, arranged, axis_name, is_place, sampled

START = b"\x93NUMPY"
NUMBERS = "fiuc"
LONGEST_HEADER = 1 << 16


def from_npz(path: Path, wanted: Wanted) -> Contents:
    """An archive with axes and fields by name, and perhaps the text ``equation``."""
    with zipfile.ZipFile(path) as archive:
        names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
        places = {name: _member(archive, name) for name in names if is_place(name, wanted)}
        held = {name: array for name, array in places.items() if array is not None}
        others = [name for name in names if name not in places and name != "equation"]
        long, which = sampled({name: _shape_in(archive, name) for name in others}, held, wanted)
        found = places | {name: _member(archive, name, which=which if name in long else None) for name in others}
        about = {}
        if "equation" in names:
            text = _member(archive, "equation", "U")
            about = {"equation": str(text[()])} if text is not None and text.ndim == 0 else {}
    arrays = {name: array for name, array in found.items() if array is not None}
    if not arrays:
        raise UserError(f"no array of numbers is in the file, which holds {', '.join(names[:8]) or 'nothing'}")
    return arranged(arrays, wanted, "npz", about=about)


def shape_of(path: Path) -> tuple[int, ...]:
    """Of the one array of a file, from its header."""
    with open(path, "rb") as file:
        shape, _, dtype = _header(file)
        start = file.tell()
    if dtype.hasobject or dtype.kind not in NUMBERS:
        raise UserError(f"the array must be of numbers, got {dtype}")
    stored = path.stat().st_size - start
    if math.prod(shape) * dtype.itemsize > stored:
        raise UserError(
            f"the array declares {math.prod(shape) * dtype.itemsize:,} bytes, but only {stored:,} are stored"
        )
    return shape


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type, from a header whose length is bounded before so much is read."""
    version = np.lib.format.read_magic(file)
    first = version == (1, 0)
    size = file.read(2 if first else 4)
    length = int.from_bytes(size, "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    try:
        shape, columns_first, dtype = read(io.BytesIO(size + file.read(length)))
    except MemoryError:  # how Python's parser calls nesting that is too deep
        raise ValueError("a header that is nested too deeply") from None
    return shape, columns_first, dtype


def _shape_in(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(f"{name}.npy") as member:
        return _header(member)[0]


def _member(
    archive: zipfile.ZipFile, name: str, kinds: str = NUMBERS, which: slice | None = None
) -> NDArray[Any] | None:
    """An array of the archive, of which `which` is read along the first dimension; ``None`` for one of another kind."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        shape, columns_first, dtype = _header(member)
        start = member.tell()
    if dtype.hasobject or dtype.kind not in kinds:
        if kinds == NUMBERS and (name in SOLUTIONS or axis_name(name)):
            raise UserError(f"`{name}` must be an array of real numbers, got {dtype}")
        return None
    size = math.prod(shape) * dtype.itemsize
    if size > info.file_size:
        raise UserError(f"`{name}` declares {size:,} bytes, but only {info.file_size:,} are stored")
    rows = range(*(which or slice(None)).indices(shape[0])) if shape else range(1)
    part = bool(shape) and len(rows) < shape[0] and not columns_first
    affordable(name, shape, dtype.itemsize, info.compress_size, (len(rows), *shape[1:]) if part else shape)
    with archive.open(info) as member:
        if not part:
            whole = np.lib.format.read_array(member, allow_pickle=False)
            return whole[which] if which else whole
        found = np.empty((len(rows), *shape[1:]), dtype)
        for row, i in zip(found, rows, strict=True):
            member.seek(start + i * row.nbytes)
            row[...] = np.frombuffer(member.read(row.nbytes), dtype).reshape(row.shape)
        return found
