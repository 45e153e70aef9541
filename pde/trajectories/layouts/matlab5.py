"""Arrays out of MATLAB 5 files (MathWorks, *MAT-File Format*, chapter 1).

Such files are untrusted input, and scipy's reader can crash the interpreter on a damaged one. This one knows full
arrays of real or complex numbers and nothing else, and reads no byte that it has not counted.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

START = b"MATLAB 5.0 MAT-file"

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_KINDS = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "opaque"}
_COMPLEX = 0x0800
_LONGEST_HEAD = 4096  # of a compressed array: flags, dimensions, name


def arrays(content: bytes, names: Collection[str] | None, most: int) -> dict[str, NDArray[Any]]:
    """The arrays of numbers of the given names, as far as the file has them.

    Args:
        content: of the file.
        names: of the wanted arrays; others are skipped unread. All that are arrays of numbers for ``None``.
        most: bytes that all arrays together may take.

    Raises:
        UserError: an array that is named holds no numbers, or they are larger than `most`.
        ValueError: the file ends early or contradicts itself.

    >>> arrays(START + bytes(107) + b"IM", ["u"], 10**6)
    {}
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None:
        raise ValueError("no byte order")
    found: dict[str, NDArray[Any]] = {}
    for kind, body in _elements(memoryview(content)[_HEADER:], order):
        if kind == _COMPRESSED:
            head = zlib.decompressobj().decompress(body, _LONGEST_HEAD)
            _, size = struct.unpack_from(order + "II", head)
            name, limit = _name(memoryview(head)[8:], order), size + 8
            if names is not None and name not in names:
                continue
            if limit > most + _LONGEST_HEAD:
                raise UserError(f"`{name}` takes {limit:,} bytes, more than the {most:,} that may be read")
            whole = memoryview(zlib.decompressobj().decompress(body, limit))
            kind, body = next(_elements(whole, order))
        if kind != _MATRIX:
            continue
        name = _name(body, order)
        if names is None and _kind(body, order) in _KINDS:
            continue
        if names is None or name in names:
            found[name] = _array(name, body, order, most)
            most -= found[name].nbytes
    return found


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and contents of each data element."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind >> 16:  # a small element: size, type and up to four bytes in eight
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError("a small element of more than four bytes")
        else:
            start = at + 8
            end = start + size + (-size % 8 if kind != _COMPRESSED else 0)
        if start + size > len(data):
            raise ValueError(f"an element of {size:,} bytes where {len(data) - start:,} are left")
        yield kind, data[start : start + size]
        at = end


def _parts(body: memoryview, order: str) -> list[tuple[int, memoryview]]:
    """Flags, dimensions, name and, where they are there whole, the real and the imaginary part of an array."""
    parts = []
    elements = _elements(body, order)
    for _ in range(5):
        try:
            parts.append(next(elements))
        except (StopIteration, ValueError):
            break
    if len(parts) < 3:
        raise ValueError("an array without flags, dimensions and name")
    return parts


def _name(body: memoryview, order: str) -> str:
    return bytes(_parts(body, order)[2][1]).decode("latin-1")


def _flags(body: memoryview, order: str) -> int:
    (_, flags) = _parts(body, order)[0]
    if len(flags) < 4:
        raise ValueError("damaged flags")
    flag: int = struct.unpack_from(order + "I", flags)[0]
    return flag


def _kind(body: memoryview, order: str) -> int:
    return _flags(body, order) & 0xFF


def _array(name: str, body: memoryview, order: str, most: int) -> NDArray[Any]:
    flag = _flags(body, order)
    (_, dimensions), _, *numbers = _parts(body, order)[1:]
    if len(dimensions) % 4:
        raise ValueError("damaged dimensions")
    if flag & 0xFF in _KINDS:
        raise UserError(f"`{name}` must be an array of numbers, got a MATLAB {_KINDS[flag & 0xFF]}")
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    parts = 2 if flag & _COMPLEX else 1
    if min(shape, default=-1) < 0 or len(numbers) < parts:
        raise ValueError("damaged dimensions or numbers")
    size = 8 * parts * math.prod(shape)
    if size > most:
        raise UserError(f"`{name}` with shape {list(shape)} takes {size:,} bytes, more than {most:,}")
    real, *imaginary = (_values(shape, kind, data, order) for kind, data in numbers[:parts])
    single = flag & 0xFF == 7
    if imaginary:
        return (real + 1j * imaginary[0]).astype(np.complex64 if single else np.complex128)
    return real.astype(np.float32 if single else np.float64)


def _values(shape: tuple[int, ...], kind: int, data: memoryview, order: str) -> NDArray[Any]:
    if kind not in _NUMBERS:
        raise ValueError("damaged numbers")
    dtype = np.dtype(order + _NUMBERS[kind])
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"shape {list(shape)} with {len(data):,} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F")
