"""Data sets of xarray and stores of zarr, where these packages are installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symflow.errors import UserError

from .cf import Variable, decoded
from .contents import SAMPLE, TIME, Contents, Field, Wanted, about_of, affordable, said_of

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
    if wanted.samples is not None and "sample" in dataset.dims:
        dataset = dataset.isel(sample=slice(wanted.samples))
    variables = {
        str(name): Variable(np.asarray(v.values), tuple(map(str, v.dims)), dict(v.attrs))
        for name, v in dataset.variables.items()
    }
    said = {str(k): v for k, v in dataset.attrs.items()}
    numbers = _numbers(said)
    about = about_of(said)
    found = decoded(variables, wanted, "xarray", parameters=numbers, about=about)
    fields = {}
    for name, f in found.fields.items():
        gone = np.isnan(f.values)
        fields[name] = Field(f.values, f.dims, gone if gone.any() else None)
    return Contents(found.layout, fields, found.axes, found.parameters, found.about, found.notes, found.guess)


def to_xarray(data: Trajectories) -> Any:
    """Trajectories as a Dataset with all that `save` writes.

    Raises:
        UserError: xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise UserError("a Dataset needs xarray, which is not installed; pip install xarray brings it") from None
    dims = (SAMPLE, TIME, *(a.name for a in data.axes))
    values = {name: data.field(name).numpy() for name in data.fields}
    if data.missing is not None:
        gone = data.missing.numpy()
        values = {name: np.where(gone, np.nan, v) for name, v in values.items()}
    axes = {a.name: (a.name, a.nodes.numpy(), {"periodic": int(a.period is not None)}) for a in data.axes}
    coordinates = {SAMPLE: np.arange(len(data)), TIME: data.t.numpy(), **axes}
    return xarray.Dataset({name: (dims, v) for name, v in values.items()}, coordinates, said_of(data))


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
    for name, array in group.arrays():
        if np.dtype(array.dtype).kind not in "fiuc":
            continue
        attributes = dict(array.attrs)
        named = attributes.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)
        if not named or len(named) != array.ndim:
            raise UserError(f"`{name}` must name its dimensions, as xarray writes them")
        stored = sum(f.stat().st_size for f in (path / name).rglob("*") if f.is_file())
        affordable(name, array.shape, np.dtype(array.dtype).itemsize, stored)
        fill = array.fill_value
        if fill is not None and np.dtype(array.dtype).kind == "f" and np.isnan(fill):
            attributes.setdefault("_FillValue", float("nan"))
        variables[str(name)] = Variable(np.asarray(array[...]), tuple(map(str, named)), attributes)
    return decoded(variables, wanted, "zarr", parameters=_numbers(dict(group.attrs)))


def _numbers(said: Mapping[str, Any]) -> dict[str, float]:
    kinds = (int, float, np.integer, np.floating)
    return {str(k): float(v) for k, v in said.items() if isinstance(v, kinds) and not isinstance(v, bool)}
