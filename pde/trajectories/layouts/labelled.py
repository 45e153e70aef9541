"""Data sets of xarray and stores of zarr, where these packages are installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symflow.errors import UserError

from .cf import Variable, decoded, dimension
from .contents import SAMPLE, TIME, Contents, Wanted, about_of, affordable, attributes_of, one_file, said_of

if TYPE_CHECKING:
    from ..data import Trajectories

ZARR = ("zarr.json", ".zgroup", ".zmetadata")


def is_dataset(value: Any) -> bool:
    """Whether an object is a Dataset or a DataArray of xarray, which need not be installed to ask."""
    return type(value).__module__.startswith("xarray.") and hasattr(value, "dims") and hasattr(value, "coords")


def from_xarray(dataset: Any, wanted: Wanted) -> Contents:
    """The variables of a Dataset, or the one of a DataArray; NaN is what is missing."""
    if not hasattr(dataset, "data_vars"):
        dataset = dataset.to_dataset(name=dataset.name or "u")
    of_sample = {str(d): n for d, n in dataset.sizes.items() if dimension(str(d), wanted) == SAMPLE}
    with one_file() as file:
        for dim, total in of_sample.items():
            shapes = [v.shape[1:] for v in dataset.variables.values() if tuple(map(str, v.dims))[:1] == (dim,)]
            dataset = dataset.isel({dim: wanted.which(total, shapes)})
    variables = {
        str(name): Variable(np.asarray(v.values), tuple(map(str, v.dims)), dict(v.attrs))
        for name, v in dataset.variables.items()
    }
    said = {str(k): v for k, v in dataset.attrs.items()}
    numbers = _numbers(said)
    about = about_of(said)
    found = decoded(variables, wanted, "xarray", parameters=numbers, about=about, said=said)
    fields = {}
    for name, f in found.fields.items():
        gone = np.isnan(f.values)
        fields[name] = replace(f, missing=gone if gone.any() else None)
    return replace(found, fields=fields, notes=(*found.notes, *file.notes))


def to_xarray(data: Trajectories) -> Any:
    """Trajectories as a Dataset with all that `save` writes, and the attributes of what they were read from.

    Raises:
        UserError: xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise UserError("a Dataset needs xarray, which is not installed; pip install xarray brings it") from None
    dims = (SAMPLE, TIME, *(a.name for a in data.axes))
    said = attributes_of(data)
    values = {name: data.field(name).numpy() for name in data.fields}
    if data.missing is not None:
        gone = data.missing.numpy()
        values = {name: np.where(gone, np.nan, v) for name, v in values.items()}
    coordinates = {SAMPLE: np.arange(len(data)), TIME: (TIME, data.t.numpy(), said.get(TIME, {}))}
    for a in data.axes:
        periodic = {"periodic": int(a.period is not None)}
        coordinates[a.name] = a.name, a.nodes.numpy(), said.get(a.name, {}) | periodic
    fields = {name: (dims, v, said.get(name, {})) for name, v in values.items()}
    return xarray.Dataset(fields, coordinates, said.get("", {}) | said_of(data))


def is_zarr(path: Path) -> bool:
    """Whether a folder is a store."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR)


def from_zarr(path: Path, wanted: Wanted) -> Contents:
    """The arrays of a store that name their dimensions.

    Raises:
        UserError: zarr is not installed.
    """
    try:
        import zarr
    except ImportError:
        raise UserError("a zarr store needs zarr, which is not installed; pip install zarr brings it") from None
    group = zarr.open_group(str(path), mode="r")
    variables = {}
    which = wanted.which(*_trajectories(group, wanted))
    for name, array in group.arrays():
        if np.dtype(array.dtype).kind not in "fiuc":
            continue
        attributes, named = dict(array.attrs), _dimensions(array)
        if not named or len(named) != array.ndim:
            raise UserError(f"`{name}` must name its dimensions, as xarray writes them")
        stored = sum(f.stat().st_size for f in (path / name).rglob("*") if f.is_file())
        part = which if dimension(str(named[0]), wanted) == SAMPLE else slice(None)
        shape = (len(range(*part.indices(array.shape[0]))), *array.shape[1:])
        affordable(name, array.shape, np.dtype(array.dtype).itemsize, stored, shape)
        fill = array.fill_value
        if fill is not None and np.dtype(array.dtype).kind == "f" and np.isnan(fill):
            attributes.setdefault("_FillValue", float("nan"))
        variables[str(name)] = Variable(np.asarray(array[part]), tuple(map(str, named)), attributes)
    said = {str(k): v for k, v in group.attrs.items()}
    return decoded(variables, wanted, "zarr", parameters=_numbers(said), about=about_of(said), said=said)


def _dimensions(array: Any) -> Any:
    return dict(array.attrs).get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)


def _trajectories(group: Any, wanted: Wanted) -> tuple[int, list[tuple[int, ...]]]:
    """How many there are, and the shapes of the fields of one."""
    named = [(array.shape, _dimensions(array) or ("",)) for _, array in group.arrays()]
    held = [shape for shape, dims in named if shape and dimension(str(dims[0]), wanted) == SAMPLE]
    return max((shape[0] for shape in held), default=1), [shape[1:] for shape in held if len(shape) > 1]


def _numbers(said: Mapping[str, Any]) -> dict[str, float]:
    kinds = (int, float, np.integer, np.floating)
    return {str(k): float(v) for k, v in said.items() if isinstance(v, kinds) and not isinstance(v, bool)}
