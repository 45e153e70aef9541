"""Variables over named dimensions with attributes, as netCDF, zarr and xarray have them, by the CF conventions.

A variable with the name of its one dimension holds that dimension's coordinates. ``_FillValue`` and ``missing_value``
mark what is missing, ``scale_factor`` and ``add_offset`` unpack what is packed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import SAMPLE, Contents, Field, Nodes, Wanted
from .named import axis_name

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
    guess: str = "",
) -> Contents:
    """Contents of the variables of a file.

    Raises:
        UserError: no variable holds numbers over dimensions, or two dimensions have one meaning.
    """
    fields: dict[str, Field] = {}
    axes: dict[str, Nodes] = {}
    notes: list[str] = []
    for name, variable in variables.items():
        if variable.values.dtype.kind not in "fiucmM" or not variable.dims:
            continue
        dims = tuple(dimension(d, wanted) for d in variable.dims)
        if variable.dims == (name,):
            if dims != (SAMPLE,):
                axes[dims[0]] = Nodes(_coordinates(name, variable, notes), _periodic(variable))
            continue
        if variable.values.dtype.kind in "mM" or str(variable.attributes.get("bounds", "")) == name:
            continue
        if len(set(dims)) < len(dims):
            raise UserError(f"the dimensions {', '.join(variable.dims)} of `{name}` must be different ones")
        values, missing = _unpacked(variable)
        if (offset := variable.attributes.get("offset")) is not None and np.size(offset) > 1:
            places = ", ".join(f"{float(o):g}" for o in np.reshape(offset, -1))
            notes.append(f"{name} is stored on the faces of cells (offset {places}), coordinates are those of centres")
        fields[name] = Field(values, dims, missing)
    if not fields:
        raise UserError(f"no variable is a field; found {', '.join(list(variables)[:8]) or 'nothing'}")
    return Contents(layout, fields, axes, parameters or {}, about or {}, tuple(notes), guess)


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
    factor, offset = said.get("scale_factor"), said.get("add_offset")
    if factor is not None or offset is not None:
        scale, shift = (float(np.reshape(n, -1)[0]) for n in (1 if factor is None else factor, offset or 0))
        values = values * scale + shift
    return values, missing if missing.any() else None
