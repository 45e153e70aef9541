"""What every layout of HDF5 is read with: numbers and attributes that lie in the file itself, of sizes that it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import LONGEST_TEXT, Wanted, affordable


def inner(parent: h5py.Group, name: str, kind: type) -> bool:
    """Whether a name is an object of a kind inside the file itself."""
    return isinstance(parent.get(name, getlink=True), h5py.HardLink) and isinstance(parent.get(name), kind)


def groups(parent: h5py.Group) -> list[str]:
    """Names of the groups inside the file itself."""
    return [name for name in parent if inner(parent, name, h5py.Group)]


def datasets(parent: h5py.Group) -> Iterator[str]:
    """Names of the data sets of numbers inside the file itself."""
    for name in parent:
        if inner(parent, name, h5py.Dataset) and (parent[name].dtype.kind in "fiu" or is_complex(parent[name])):
            yield name


def is_complex(dataset: h5py.Dataset) -> bool:
    """Complex numbers, of numpy or of MATLAB."""
    return bool(dataset.dtype.kind == "c" or dataset.dtype.names == ("real", "imag"))


def of_samples(parent: h5py.Group, names: Iterable[str], wanted: Wanted) -> slice:
    """The trajectories to read of data sets that have them in the first place."""
    shapes = [parent[n].shape for n in names if inner(parent, n, h5py.Dataset) and len(parent[n].shape or ()) > 1]
    return wanted.which(max((shape[0] for shape in shapes), default=1), [shape[1:] for shape in shapes])


def numbers(parent: h5py.Group, name: str, which: slice | None = None, *, complex_too: bool = False) -> NDArray[Any]:
    """A data set, of which `which` is read along the first dimension where it has more than one.

    Raises:
        UserError: it is missing, a link, stored elsewhere, no numbers, or not of the size that it declares.
    """
    if name not in parent.keys():  # noqa: SIM118 - `in parent` would follow a link
        raise UserError(f"`{name}` is missing in the file")
    if not inner(parent, name, h5py.Dataset):
        raise UserError(f"`{name}` must be a data set inside the file, got a link or a group")
    dataset = parent[name]
    if dataset.external or dataset.is_virtual:
        raise UserError(f"`{name}` must be stored in the file itself, got one that is stored in other files")
    if dataset.shape is None or not (dataset.dtype.kind in "fiub" or (complex_too and is_complex(dataset))):
        kind = "real numbers, or of complex ones" if complex_too else "real numbers"
        raise UserError(f"`{name}` must be an array of {kind}, got {dataset.dtype}")
    shape = dataset.shape
    few = which if which is not None and dataset.ndim >= 2 else slice(None)
    wanted = (len(range(*few.indices(shape[0]))), *shape[1:]) if shape else shape
    affordable(name, shape, dataset.dtype.itemsize, dataset.id.get_storage_size(), wanted)
    found: NDArray[Any] = dataset[few] if shape else dataset[()]
    if found.dtype.names == ("real", "imag"):
        found = found["real"] + 1j * found["imag"]
    return found


def attribute(holder: h5py.Group | h5py.Dataset, name: str) -> Any:
    """An attribute: a number, a text, or an array of them; ``None`` where it is not there, or too long."""
    if name not in holder.attrs or (holder.attrs.get_id(name).shape or (1,)) == (0,):
        return None
    if holder.attrs.get_id(name).get_storage_size() > LONGEST_TEXT:
        return None
    value = holder.attrs[name]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "fiub":
        value = value.reshape(-1)[0]
    return value


def texts(holder: h5py.Group | h5py.Dataset, name: str) -> list[str]:
    """An attribute of one or several texts, as a list."""
    value = attribute(holder, name)
    if value is None:
        return []
    several = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else [value]
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in several]


def parameters(holder: h5py.Group) -> dict[str, float]:
    """The attributes that are one number."""
    found = {}
    for name in list(holder.attrs)[:64]:
        value = attribute(holder, name)
        if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool | np.bool_):
            found[name] = float(value)
    return found


# ---- dimension scales: HDF5's own functions for them crash on damaged files, so the attributes are read that they read


def attached(dataset: h5py.Dataset, axis: int) -> list[h5py.Dataset]:
    """The scales of a direction of a data set; none where a reference leads nowhere."""
    if "DIMENSION_LIST" not in dataset.attrs:
        return []
    held = dataset.attrs.get_id("DIMENSION_LIST")
    several = h5py.check_vlen_dtype(held.dtype)
    if held.shape != (dataset.ndim,) or several is None or h5py.check_ref_dtype(several) is not h5py.Reference:
        return []
    try:
        found = [dataset.file[reference] for reference in dataset.attrs["DIMENSION_LIST"][axis]]
    except (ValueError, KeyError, RuntimeError, OSError):
        return []
    return [scale for scale in found if isinstance(scale, h5py.Dataset)]


def label_of(dataset: h5py.Dataset, axis: int) -> str:
    """The label of a direction of a data set, empty without one."""
    labels = texts(dataset, "DIMENSION_LABELS")
    return labels[axis] if len(labels) == dataset.ndim else ""
