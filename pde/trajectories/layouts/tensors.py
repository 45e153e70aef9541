"""Tensors that torch saved, read without torch's unpickler: a list of names, and numbers that lie beside it.

Such a file (torch since 1.6) is an archive: ``data.pkl`` describes tensors by storage, offset, size and stride, and
``data/KEY`` holds the numbers of each storage, in the order of ``byteorder``.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError
from symflow.runs import PERSISTENT, Stand, unpickle

from .contents import MOST_COMPRESSED, SAMPLE, TIME, Contents, Field, Nodes, Wanted, affordable
from .named import arranged

MEMBER = "data.pkl"  # of the archive that torch.save writes
OLD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # how torch before 1.6 began

_REBUILD, _PARAMETER, _DICTIONARY = (
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "collections.OrderedDict",
)  # fmt: skip
_STORAGES = {
    "torch.DoubleStorage": "f8", "torch.FloatStorage": "f4", "torch.HalfStorage": "f2", "torch.BFloat16Storage": "u2",
    "torch.LongStorage": "i8", "torch.IntStorage": "i4", "torch.ShortStorage": "i2", "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1", "torch.BoolStorage": "?", "torch.ComplexFloatStorage": "c8",
    "torch.ComplexDoubleStorage": "c16",
}  # fmt: skip
_LONGEST_LIST = 1 << 24  # bytes of data.pkl
_MOST_DIMENSIONS = 32


def is_saved(path: Path) -> bool:
    """Whether an archive is one of torch."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/" + MEMBER) or name == MEMBER for name in archive.namelist())


def from_tensors(path: Path, wanted: Wanted) -> Contents:
    """Named tensors, or one; neuraloperator's ``x``, ``y`` are the first row and all rows of each trajectory."""
    with zipfile.ZipFile(path) as archive:
        found = _Archive(archive).tensors()
    if not found:
        raise UserError("no tensor is in the file")
    x, y = found.get("x"), found.get("y")
    if x is not None and y is not None and y.ndim == 3 and y[:, 0].shape == x.shape and bool((y[:, 0] == x).all()):
        return _neuraloperator(y[: wanted.samples], found)
    return arranged(found, wanted, "torch")


class _Archive:
    """The archive that torch wrote."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        (list_,) = [name for name in archive.namelist() if name == MEMBER or name.endswith("/" + MEMBER)][:1]
        self.root = list_.removesuffix(MEMBER)
        self.list = archive.getinfo(list_)
        order = self.root + "byteorder"
        named = archive.read(order).decode() if order in archive.namelist() else sys.byteorder
        self.order: Literal["<", ">"] = "<" if named == "little" else ">"
        self.read: dict[str, NDArray[Any]] = {}  # storages, which several tensors may share

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Those that have a name, or the one that there is as ``u``."""
        if self.list.file_size > _LONGEST_LIST:
            raise UserError(f"the list of tensors takes {self.list.file_size:,} bytes, more than any has")
        names = {_REBUILD, _PARAMETER, _DICTIONARY, *_STORAGES}
        try:
            held = unpickle(self.archive.read(self.list), names, persistent=True)
        except Exception as error:  # a damaged pickle makes its reader raise anything
            cause = str(error) or type(error).__name__
            raise UserError(f"the file must hold tensors and nothing else ({cause.splitlines()[0][:80]})") from None
        if isinstance(held, Stand) and held.name == _DICTIONARY:
            held = held.items
        named = held if isinstance(held, Mapping) else {"u": held}
        found = {}
        for key, value in named.items():
            name = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
            if isinstance(value, Stand) and value.name in (_REBUILD, _PARAMETER):
                found[name] = self.tensor(name, value)
        return found

    def tensor(self, name: str, stand: Stand) -> NDArray[Any]:
        """The numbers that a tensor is described by; what is no such description raises whatever it causes."""
        if stand.name == _PARAMETER:
            (stand, *_) = stand.arguments or ()
        storage, offset, size, stride, _, _, *more = stand.arguments or ()
        kind, numbers = self.storage(name, storage)
        if not (type(offset) is int and all(type(n) is int and n >= 0 for n in (offset, *size, *stride))):
            raise ValueError(f"`{name}` has a size, stride or offset that is none")
        if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
            raise ValueError(f"`{name}` has {len(size)} sizes and {len(stride)} strides")
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if math.prod(size) else 0
        if math.prod(size) and last >= len(numbers):
            raise UserError(f"`{name}` needs {last + 1:,} numbers, but {len(numbers):,} are stored")
        said = more[0] if more and isinstance(more[0], dict) else {}
        conjugate, negative = (said.get(k) or said.get(k.encode()) for k in ("conj", "neg"))
        brain = kind == "torch.BFloat16Storage"
        if math.prod(size) > len(numbers) or brain or conjugate or negative:  # more memory than that of the storage
            affordable(name, size, numbers.itemsize, numbers.nbytes * MOST_COMPRESSED)
        steps = [s * numbers.itemsize for s in stride]
        values = np.lib.stride_tricks.as_strided(numbers[offset:], size, steps, writeable=False)
        if brain:  # the upper half of a float32
            values = np.left_shift(values, np.uint32(16), dtype=np.uint32).view(np.float32)
        values = values.conj() if conjugate else values
        return -values if negative else values

    def storage(self, name: str, stand: Any) -> tuple[str, NDArray[Any]]:
        """The numbers of a storage, and the name of its class."""
        if not (isinstance(stand, Stand) and stand.name == PERSISTENT):
            raise ValueError(f"`{name}` has no storage")
        ((_, kind, key, _, count),) = stand.arguments or ()
        dtype = np.dtype(_STORAGES[kind.name]).newbyteorder(self.order)
        member = f"{self.root}data/{key.decode() if isinstance(key, bytes) else key}"
        if (earlier := self.read.get(member)) is not None and earlier.dtype == dtype:
            return kind.name, earlier
        info = self.archive.getinfo(member)
        if info.file_size != count * dtype.itemsize:
            expected = count * dtype.itemsize
            raise UserError(f"the numbers of `{name}` should take {expected:,} bytes, got {info.file_size:,}")
        affordable(name, (count,), dtype.itemsize, info.compress_size)
        self.read[member] = np.frombuffer(self.archive.read(info), dtype)
        return kind.name, self.read[member]


def _neuraloperator(y: NDArray[Any], found: Mapping[str, NDArray[Any]]) -> Contents:
    _, times, points = y.shape
    axes = {TIME: Nodes(np.linspace(0.0, 1.0, times)), "x": Nodes(np.arange(points) / points, True)}
    said = {name: float(v.reshape(-1)[0]) for name, v in found.items() if v.size == 1}
    notes = ("coordinates are not stored: t from 0 to 1, x over a period of 1",)
    guess = f"u_t + u*u_x = {said['visc']:g}*u_xx" if "visc" in said else ""
    return Contents("neuraloperator", {"u": Field(y, (SAMPLE, TIME, "x"))}, axes, said, {}, notes, guess)
