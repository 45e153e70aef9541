"""The Well: scalar, vector and tensor fields with the boundary conditions of each axis.

An axis that a field does not vary along is absent from its shape. An axis closes its period where the file has a
boundary condition of that kind with an entry of its mask set.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import h5py
import numpy as np

from symflow.errors import UserError

from .contents import SAMPLE, TIME, Contents, Field, Nodes, Wanted
from .hdf5 import attribute, groups, inner, numbers, parameters, texts


def is_well(file: h5py.File) -> bool:
    """Known by its groups."""
    return inner(file, "t0_fields", h5py.Group) and inner(file, "dimensions", h5py.Group)


def from_well(file: h5py.File, wanted: Wanted) -> Contents:
    """Fields of order 0, 1 and 2; components are fields of their own, ``velocity_x``."""
    dimensions = file["dimensions"]
    space = texts(dimensions, "spatial_dims") or [n for n in dimensions if n != "time"]
    axes = {name: Nodes(numbers(dimensions, name), _periodic(file, name)) for name in space if name in dimensions}
    varying = bool(attribute(dimensions["time"], "sample_varying")) if "time" in dimensions else False
    held = [
        (file[group], name, order)
        for order, group in enumerate(("t0_fields", "t1_fields", "t2_fields"))
        if inner(file, group, h5py.Group)
        for name in texts(file[group], "field_names") or list(file[group])
        if inner(file[group], name, h5py.Dataset)
    ]
    shapes = [group[name].shape for group, name, _ in held if _varies(group[name], "sample")]
    which = wanted.which(max((s[0] for s in shapes if s), default=1), [s[1:] for s in shapes if s])
    axes[TIME] = Nodes(numbers(dimensions, "time", which if varying else None))
    fields: dict[str, Field] = {}
    for group, name, order in held:
        fields |= _components(group, name, order, space, which)
    if not fields:
        raise UserError("the file has no fields, `t0_fields`, `t1_fields` and `t2_fields` are empty")
    named = texts(file, "simulation_parameters")
    said = {name: value for name, value in parameters(file).items() if name in named}
    told = attribute(file, "dataset_name")
    return Contents("The Well", fields, axes, said, {}, (), f"{told}" if isinstance(told, str) else "")


def _varies(dataset: h5py.Dataset, along: str) -> bool:
    """Whether a field varies along samples or times, as all do that do not say otherwise."""
    return attribute(dataset, f"{along}_varying") in (None, True, np.True_)


def _components(group: h5py.Group, name: str, order: int, space: list[str], which: slice) -> dict[str, Field]:
    dataset = group[name]
    sampled, timed = _varies(dataset, "sample"), _varies(dataset, "time")
    varying = attribute(dataset, "dim_varying")
    along = [True] * len(space) if varying is None else [bool(v) for v in np.reshape(varying, -1)]
    values = numbers(group, name, which if sampled else None)
    dims = ((SAMPLE,) * sampled) + ((TIME,) * timed) + tuple(s for s, on in zip(space, along, strict=False) if on)
    if values.ndim != len(dims) + order:
        raise UserError(
            f"`{name}` must have the dimensions {', '.join(dims)} and {order} of components, got {list(values.shape)}"
        )
    if order == 0:
        return {name: Field(values, dims)}
    found = {}
    for component in product(range(values.shape[-1]), repeat=order):
        letters = "".join(space[i] if i < len(space) else str(i) for i in component)
        place: tuple[Any, ...] = (..., *component)
        found[f"{name}_{letters}"] = Field(values[place], dims)
    return found


def _periodic(file: h5py.File, axis: str) -> bool | None:
    if not inner(file, "boundary_conditions", h5py.Group):
        return None
    said = None
    for name in groups(file["boundary_conditions"]):
        condition = file["boundary_conditions"][name]
        if axis not in texts(condition, "associated_dims"):
            continue
        periodic = str(attribute(condition, "bc_type")).upper() == "PERIODIC"
        mask = numbers(condition, "mask") if inner(condition, "mask", h5py.Dataset) else None
        if mask is not None and not mask.any():
            continue
        said = periodic if said is None else said and periodic
    return said
