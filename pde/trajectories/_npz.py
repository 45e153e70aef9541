"""Trajectories in the archives of numpy, read member by member without unpickling."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from ._arrays import _affordable, _Raw


def _from_npz(path: Path) -> _Raw:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in ("u", "x", "t"):
            found[name] = _npz_member(archive, name)
        about = {}
        if "equation.npy" in archive.namelist():
            text = _npz_member(archive, "equation", "U")
            about = {"equation": str(text[()])} if text.ndim == 0 else {}
    return _Raw(found["u"], found["x"], found["t"], about)


def _npz_member(archive: zipfile.ZipFile, name: str, kinds: str = "fiu") -> NDArray[Any]:
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise UserError(f"`{name}` is missing in the file") from None
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    if dtype.kind not in kinds or dtype.hasobject:
        raise UserError(f"`{name}` must be an array of real numbers, got {dtype}")
    size = math.prod(shape) * dtype.itemsize
    if size > info.file_size:
        raise UserError(f"`{name}` declares {size:,} bytes, but only {info.file_size:,} are stored")
    _affordable(name, shape, dtype.itemsize, info.compress_size)
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)
