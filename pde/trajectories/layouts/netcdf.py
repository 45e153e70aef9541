"""netCDF: version 4, which is HDF5 with dimension scales, and the classic formats, by a reader of our own.

The classic formats are told in *NetCDF Classic Format Specification* (Unidata): a header of dimensions, attributes and
variables with their offsets, then numbers, big-endian; a variable whose first dimension is the record dimension has a
slab of it in each record.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .cf import Variable, decoded, dimension
from .contents import SAMPLE, Contents, Wanted, affordable
from .hdf5 import attached, attribute, datasets, inner, label_of, numbers, of_samples, parameters

CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
NO_COORDINATE = "This is a netCDF dimension but not a netCDF variable"
REFERENCES = ("DIMENSION_LIST", "REFERENCE_LIST")  # attributes that are no numbers or texts
_MOST_ATTRIBUTES = 64  # of one variable that are read

_TYPES = {1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8", 7: "u1", 8: ">u2", 9: ">u4", 10: ">i8", 11: ">u8"}
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_MOST = 1 << 12  # dimensions, attributes or variables, and characters of a name


def has_scales(file: h5py.File) -> bool:
    """Whether a data set of the file names its dimensions by scales that lie in the file: copies may lose them."""
    several = [file[name] for name in datasets(file)]
    return any(_scale_of(file, dataset, i) for dataset in several for i in range(dataset.ndim))


def from_netcdf4(file: h5py.File, wanted: Wanted, layout: str = "netCDF", about: Any = None) -> Contents:
    """Data sets over dimension scales."""
    held = {}
    for name in datasets(file):
        dataset = file[name]
        scale = attribute(dataset, "CLASS") in (b"DIMENSION_SCALE", "DIMENSION_SCALE")  # `is_scale` may crash on damage
        if scale and str(attribute(dataset, "NAME")).startswith(NO_COORDINATE):
            continue
        held[name] = (
            (name,) if scale and dataset.ndim == 1 else tuple(_name_of(file, dataset, i) for i in range(dataset.ndim))
        )
    sampled = [name for name, dims in held.items() if dims and dimension(dims[0], wanted) == SAMPLE]
    which = of_samples(file, sampled, wanted)
    found = {
        name: Variable(
            numbers(file, name, which if name in sampled else None, complex_too=True), dims, _attributes(file[name])
        )
        for name, dims in held.items()
    }
    return decoded(found, wanted, layout, parameters=parameters(file), about=about, said=_attributes(file))


def _attributes(holder: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Those that are not of the format itself."""
    names = [name for name in holder.attrs if name not in REFERENCES][:_MOST_ATTRIBUTES]
    return {name: value for name in names if (value := attribute(holder, name)) is not None}


def _name_of(file: h5py.File, dataset: h5py.Dataset, i: int) -> str:
    return _scale_of(file, dataset, i) or label_of(dataset, i) or f"dimension {i}"


def _scale_of(file: h5py.File, dataset: h5py.Dataset, i: int) -> str:
    """The name of the scale of a dimension, empty without one."""
    scale = next(iter(attached(dataset, i)), None)
    name = "" if scale is None else str(scale.name).rsplit("/", 1)[-1]
    return name if name and inner(file, name, h5py.Dataset) else ""


# ---------------------------------------------------------------- classic


@dataclass
class _Reader:
    """The header of a classic file, read in order."""

    data: bytes
    wide: bool  # counts of 8 bytes
    far: bool  # offsets of 8 bytes
    at: int = 4

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise ValueError(f"{size:,} bytes where {len(self.data) - self.at:,} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def count(self) -> int:
        """A number that is not negative."""
        (n,) = struct.unpack(">Q" if self.wide else ">I", self.take(8 if self.wide else 4))
        return int(n)

    def some(self) -> int:
        n = self.count()
        if n > _MOST:
            raise ValueError(f"{n:,} entries in a list of the header")
        return n

    def tag(self) -> int:
        (n,) = struct.unpack(">I", self.take(4))
        return int(n)

    def offset(self) -> int:
        (n,) = struct.unpack(">Q" if self.far else ">I", self.take(8 if self.far else 4))
        return int(n)

    def name(self) -> str:
        size = self.some()
        text = self.take(size)
        self.take(-size % 4)
        return text.decode("utf-8", "replace")

    def kind(self) -> str:
        code = self.tag()
        if code not in _TYPES:
            raise ValueError(f"a type {code}")
        return _TYPES[code]

    def list_of(self, tag: int) -> int:
        """The length of a list, which may be absent."""
        found, size = self.tag(), self.some()
        if found not in (0, tag) or (found == 0 and size):
            raise ValueError("a list of another kind in the header")
        return size

    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self.list_of(_ATTRIBUTES)):
            name, kind, size = self.name(), self.kind(), self.some()
            bytes_ = size * np.dtype(kind).itemsize
            content = self.take(bytes_)
            self.take(-bytes_ % 4)
            found[name] = content.decode("utf-8", "replace") if kind == "S1" else np.frombuffer(content, kind)
        return found


def from_classic(path: Path, wanted: Wanted) -> Contents:
    """netCDF 1, 2 (64-bit offsets) and 5 (64-bit data)."""
    affordable("the file", (path.stat().st_size // 8,), 8, path.stat().st_size)
    data = path.read_bytes()  # not mapped: a map of a file that another process cuts short ends this one
    version = data[3]
    reader = _Reader(data, wide=version == 5, far=version in (2, 5))
    records = reader.count()
    sizes = []
    for _ in range(reader.list_of(_DIMENSIONS)):
        name = reader.name()
        sizes.append((name, reader.count()))
    said = reader.attributes()
    heads = []
    for _ in range(reader.list_of(_VARIABLES)):
        name = reader.name()
        which = [reader.count() for _ in range(reader.some())]
        if any(i >= len(sizes) for i in which):
            raise ValueError(f"a dimension of `{name}` that the file does not have")
        attributes, kind = reader.attributes(), reader.kind()
        stored = reader.count()
        heads.append((name, which, attributes, kind, stored, reader.offset()))
    of_records = [h for h in heads if h[1] and sizes[h[1][0]][1] == 0]
    slab = sum(h[4] for h in of_records)
    if len(of_records) == 1:  # the only one is not padded
        name, which, _, kind, _, _ = of_records[0]
        slab = np.dtype(kind).itemsize * math.prod(sizes[i][1] for i in which[1:])
    if slab and records == (1 << 64 if reader.wide else 1 << 32) - 1:  # written as a stream
        records = (len(data) - min(h[5] for h in of_records)) // slab
    found = {}
    for name, which, attributes, kind, _, offset in heads:
        if kind == "S1":
            continue
        shape = tuple(records if sizes[i][1] == 0 else sizes[i][1] for i in which)
        stride = slab if which and sizes[which[0]][1] == 0 else 0
        values = _values(data, name, shape, np.dtype(kind), offset, stride)
        found[name] = Variable(values, tuple(sizes[i][0] for i in which), attributes)
    numbers_ = {
        name: float(value[0])
        for name, value in said.items()
        if isinstance(value, np.ndarray) and value.size == 1 and np.isfinite(value[0])
    }
    return decoded(found, wanted, "netCDF classic", parameters=numbers_, said=said)


def _values(
    data: bytes, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int, stride: int
) -> NDArray[Any]:
    """The numbers of a variable; those of a record follow each other, the records are a stride apart."""
    count = math.prod(shape)
    each = dtype.itemsize * math.prod(shape[1:])
    end = offset + ((shape[0] - 1) * stride + each if stride and count else count * dtype.itemsize)
    if end > len(data):
        raise UserError(f"`{name}` should end at byte {end:,}, but the file ends at {len(data):,}: it is not complete")
    affordable(name, shape, dtype.itemsize, len(data))
    if not count:
        return np.zeros(shape, dtype.newbyteorder("="))
    inner = [dtype.itemsize * math.prod(shape[i + 1 :]) for i in range(len(shape))]
    strides = [stride or each, *inner[1:]] if shape else []
    values: NDArray[Any] = np.ndarray(shape, dtype, data, offset, strides)
    return values.astype(dtype.newbyteorder("="))
