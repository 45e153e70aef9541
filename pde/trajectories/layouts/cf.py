"""Variables over named dimensions with attributes, as netCDF, zarr and xarray have them, by the CF conventions.

A variable with the name of its one dimension holds that dimension's coordinates. ``_FillValue`` and ``missing_value``
mark what is missing, ``scale_factor`` and ``add_offset`` unpack what is packed. Other attributes, such as units, are
kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import SAMPLE, TEXTS, Contents, Field, Nodes, Wanted, plain
from .named import axis_name

UNWRITTEN = 9.969209968386869e36  # what netCDF holds of reals where nothing was written, unless a file says otherwise
SAMPLES = ("sample", "samples", "trajectory", "trajectories", "run", "batch", "ensemble", "member", "number")


@dataclass(frozen=True)
class Variable:
    """Values over named dimensions, and what is said of them."""

    values: NDArray[Any]
    dims: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def dimension(name: str, wanted: Wanted) -> str:
    """The name of a dimension here: ``sample``, ``t``, or as it is."""
    if name in wanted.axes.values():
        return next(axis for axis, source in wanted.axes.items() if source == name)
    if name.lower() in SAMPLES:
        return SAMPLE
    return axis_name(name) or name


def decoded(
    variables: Mapping[str, Variable],
    wanted: Wanted,
    layout: str,
    *,
    parameters: Mapping[str, float] | None = None,
    about: Mapping[str, Any] | None = None,
    said: Mapping[str, Any] | None = None,
) -> Contents:
    """Contents of the variables of a file, whose own attributes are `said`.

    Raises:
        UserError: no variable holds numbers over dimensions, or two dimensions have one meaning.
    """
    fields: dict[str, Field] = {}
    axes: dict[str, Nodes] = {}
    notes: list[str] = []
    kept = {"": plain({k: v for k, v in (said or {}).items() if k not in (*TEXTS, "name", "seed")})}
    for name, variable in variables.items():
        if variable.values.dtype.kind not in "fiucmM" or not variable.dims:
            continue
        dims = tuple(dimension(d, wanted) for d in variable.dims)
        if variable.dims == (name,):
            if dims != (SAMPLE,):
                axes[dims[0]] = Nodes(_coordinates(name, variable, notes), _periodic(variable))
                kept[dims[0]] = plain(variable.attributes) | _since(variable)
            continue
        if variable.values.dtype.kind in "mM" or str(variable.attributes.get("bounds", "")) == name:
            continue
        if len(set(dims)) < len(dims):
            raise UserError(f"the dimensions {', '.join(variable.dims)} of `{name}` must be different ones")
        values, missing = _unpacked(variable)
        faces: dict[str, float] = {}
        if (offset := variable.attributes.get("offset")) is not None and np.size(offset) > 1:
            of_space = [float(o) for o in np.reshape(offset, -1)]
            places = ", ".join(f"{o:g}" for o in of_space)
            notes.append(f"{name} is stored on the faces of cells (offset {places}), coordinates are those of centres")
            faces = {d: o - 0.5 for d, o in zip(dims[-len(of_space) :], of_space, strict=False) if o != 0.5}
        fields[name] = Field(values, dims, missing, faces)
        kept[name] = plain(variable.attributes)
    if not fields:
        raise UserError(f"no variable is a field; found {', '.join(list(variables)[:8]) or 'nothing'}")
    attributes = {name: found for name, found in kept.items() if found}
    return Contents(layout, fields, axes, parameters or {}, about or {}, tuple(notes), "", attributes)


def _since(variable: Variable) -> dict[str, str]:
    """The units of dates that are read as seconds."""
    if variable.values.dtype.kind == "M":
        return {"units": f"seconds since {variable.values[0]}"}
    return {"units": "seconds"} if variable.values.dtype.kind == "m" else {}


def _periodic(variable: Variable) -> bool | None:
    said = variable.attributes.get("periodic")
    return None if said is None else bool(said)


def _coordinates(name: str, variable: Variable, notes: list[str]) -> NDArray[Any]:
    values, _ = _unpacked(variable)
    if values.dtype.kind == "M":
        notes.append(f"{name} in seconds since {values[0]}")
        seconds: NDArray[Any] = (values - values[0]) / np.timedelta64(1, "ns") * 1e-9
        return seconds
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "ns") * 1e-9
    units = variable.attributes.get("units")
    if isinstance(units, str) and " since " in units:
        notes.append(f"{name} in {units}")
    return values


def _unpacked(variable: Variable) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Values in physical units, and which of them are missing."""
    values, said = variable.values, variable.attributes
    if values.dtype.kind in "mM":
        return values, None
    missing = np.zeros(values.shape, bool)
    for mark in ("_FillValue", "missing_value"):
        fill = said.get(mark)
        if fill is not None and np.asarray(fill).dtype.kind in "fiu":
            (number,) = np.reshape(fill, -1)[:1]
            missing |= np.isnan(values) if np.isnan(number) else values == number
    if values.dtype.kind == "f" and "_FillValue" not in said:
        missing |= values == values.dtype.type(UNWRITTEN)
    factor, offset = said.get("scale_factor"), said.get("add_offset")
    if factor is not None or offset is not None:
        scale, shift = (float(np.reshape(n, -1)[0]) for n in (1 if factor is None else factor, offset or 0))
        values = values * scale + shift
    return values, missing if missing.any() else None
