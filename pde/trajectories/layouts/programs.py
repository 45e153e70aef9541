"""Output of simulation programs: Dedalus (versions 2 and 3), py-pde and pyro."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import TIME, Contents, Field, Nodes, Wanted
from .hdf5 import attribute, datasets, groups, inner, label_of, numbers, parameters

# ---------------------------------------------------------------- Dedalus


def is_dedalus(file: h5py.File) -> bool:
    """Known by its groups."""
    return inner(file, "tasks", h5py.Group) and inner(file, "scales", h5py.Group)


def from_dedalus(file: h5py.File, wanted: Wanted) -> Contents:
    """One run: tasks over ``sim_time`` and the grids whose scales are attached; a vector is one field a component.

    A grid is uniform where its direction is periodic, and one of Chebyshev nodes between walls.
    """
    scales, tasks = file["scales"], file["tasks"]
    axes: dict[str, Nodes] = {TIME: Nodes(numbers(scales, "sim_time"))}
    fields: dict[str, Field] = {}
    notes: list[str] = []
    for name in tasks:
        if not inner(tasks, name, h5py.Dataset):
            continue
        dataset = tasks[name]
        if dataset.is_virtual or (dataset.shape and dataset.shape[0] < axes[TIME].values.size):
            held = dataset.shape[0] if dataset.shape else 0
            raise UserError(
                f"the task {name!r} holds {held} of {axes[TIME].values.size} writes: the files of the single processes "
                "are missing"
            )
        if attribute(dataset, "grid_space") is not None and not np.all(attribute(dataset, "grid_space")):
            notes.append(f"{name} is stored as coefficients and is not read")
            continue
        values = numbers(tasks, name, complex_too=True)
        labels = [TIME, *(label_of(dataset, i) for i in range(1, values.ndim))]
        for i, label in enumerate(labels[1:], 1):
            if label and label != "constant" and label not in axes and values.shape[i] > 1:
                axes[label] = _grid(scales, label, values.shape[i])
        fields |= _components(name, values, labels)
    if not fields:
        raise UserError("no task of the file is stored on a grid")
    where = attribute(tasks[next(iter(tasks))], "start")
    if where is not None and np.any(where):
        notes.append("this file holds the block of one process")
    return Contents("Dedalus", fields, axes, {}, {}, tuple(notes))


def _grid(scales: h5py.Group, label: str, count: int) -> Nodes:
    """The nodes of a direction: those of its name among the scales."""
    held: list[NDArray[Any]] = []
    for place in (scales, *(scales[name] for name in groups(scales) if name == label)):
        for name in datasets(place):
            mine = place is not scales or name.startswith(f"{label}_hash_")
            if mine and place[name].shape == (count,):
                held.append(numbers(place, name))
    if not held:
        raise UserError(f"the grid of {label} with {count} nodes is missing among the scales")
    nodes = held[0]
    steps = np.diff(nodes)
    return Nodes(nodes, bool(np.allclose(steps, steps.mean(), rtol=1e-6, atol=0)))


def _components(name: str, values: NDArray[Any], labels: list[str]) -> dict[str, Field]:
    """Without dimensions of length 1; a dimension without a name holds components."""
    kept = [i for i, label in enumerate(labels) if i == 0 or values.shape[i] > 1 or label == ""]
    values = values.reshape([values.shape[i] for i in kept])
    labels = [labels[i] for i in kept]
    if "" not in labels:
        return {name: Field(values, tuple(labels))}
    at = labels.index("")
    rest = labels[:at] + labels[at + 1 :]
    space = [label for label in rest if label and label != TIME]
    found: dict[str, Field] = {}
    for n in range(values.shape[at]):
        letter = space[n] if n < len(space) else str(n)
        found |= _components(f"{name}_{letter}", np.take(values, n, at), rest)
    return found


# ---------------------------------------------------------------- py-pde


def is_py_pde(file: h5py.File) -> bool:
    """Known by the attribute that tells its grid."""
    return "data" in file and "times" in file and "field_attributes" in file.attrs


def from_py_pde(file: h5py.File, wanted: Wanted) -> Contents:
    """One run on the centres of cells of a Cartesian, cylindrical or spherical grid."""
    about = _json(attribute(file, "field_attributes"))
    parts = [_json(a) for a in about["fields"]] if isinstance(about.get("fields"), list) else [about]
    about = parts[0]
    grid = _json(about.get("grid"))
    state = _json(grid.get("state", grid))
    kind = str(grid.get("class", ""))
    axes, order = _cells(kind, state)
    written = attribute(file, "data_length")
    count = int(json.loads(written)) if isinstance(written, str) else None
    data, times = numbers(file, "data", complex_too=True)[:count], numbers(file, "times")[:count]
    names = [_labelled(part, f"field{i}" if len(parts) > 1 else "u") for i, part in enumerate(parts)]
    dims = (TIME, *order)
    if len(parts) > 1:
        fields = {name: Field(data[:, i], dims) for i, name in enumerate(names)}
    elif data.ndim > len(dims):
        flat = data.reshape(len(data), -1, *data.shape[data.ndim - len(order) :])
        fields = {f"{names[0]}_{i}": Field(flat[:, i], dims) for i in range(flat.shape[1])}
    else:
        fields = {names[0]: Field(data, dims)}
    if any(f.values.ndim != len(dims) for f in fields.values()):
        raise UserError(f"`data` must have a dimension for t and each of {', '.join(order)}, got {list(data.shape)}")
    return Contents("py-pde", fields, {TIME: Nodes(times), **axes}, {}, {}, (f"{kind}: points are centres of cells",))


def _labelled(part: dict[str, Any], otherwise: str) -> str:
    label = part.get("label")
    return otherwise if label in (None, "", "null") else str(label).strip('"')


def _json(value: Any) -> dict[str, Any]:
    """An object that may be written as a text of JSON, again and again."""
    for _ in range(3):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UserError("the attribute `field_attributes` must be JSON") from None
    if not isinstance(value, dict):
        raise UserError("the attribute `field_attributes` must be a JSON object with its grid")
    return value


def _cells(kind: str, state: dict[str, Any]) -> tuple[dict[str, Nodes], tuple[str, ...]]:
    """Centres of cells by axis."""
    shape = np.atleast_1d(np.asarray(state.get("shape", []), float)).astype(int).tolist()
    periodic = state.get("periodic", False)
    bounds: Any
    order: tuple[str, ...]
    if "Cylindrical" in kind:
        bounds = [_radius(state.get("radius")), state.get("bounds_z")]
        order, wraps = ("r", "z"), [False, bool(state.get("periodic_z", False))]
    elif "Spherical" in kind or "Polar" in kind:
        bounds, order, wraps = [_radius(state.get("radius"))], ("r",), [False]
    else:
        order = ("x", "y", "z")[: len(shape)]
        bounds = state.get("bounds") or [[0, n] for n in shape]
        wraps = [bool(p) for p in (periodic if isinstance(periodic, list) else [periodic] * len(shape))]
    if len(shape) != len(order) or len(bounds) != len(order) or len(wraps) != len(order):
        raise UserError(f"the grid {kind or 'of the file'} must tell bounds and shape of each axis")
    axes = {}
    for name, pair, n, wrap in zip(order, bounds, shape, wraps, strict=True):
        try:
            low, high = (float(v) for v in pair)
        except (TypeError, ValueError):
            raise UserError(f"the bounds of {name} must be two numbers, got {pair!r}") from None
        axes[name] = Nodes(low + (np.arange(n) + 0.5) * ((high - low) / max(n, 1)), wrap)
    return axes, order


def _radius(value: Any) -> list[float]:
    return list(value) if isinstance(value, list) else [0.0, value]


# ---------------------------------------------------------------- pyro


def is_pyro(file: h5py.File) -> bool:
    """Known by its groups."""
    return inner(file, "state", h5py.Group) and inner(file, "grid", h5py.Group)


def from_pyro(file: h5py.File, wanted: Wanted) -> Contents:
    """One time on the centres of cells; an axis is periodic where the kinds of both its ends say so."""
    grid = parameters(file["grid"])
    if not {"nx", "ny", "xmin", "xmax", "ymin", "ymax"} <= grid.keys():
        raise UserError("`grid` must tell nx, ny, xmin, xmax, ymin and ymax")
    fields: dict[str, Field] = {}
    ends: dict[str, set[str]] = {"x": set(), "y": set()}
    for name in groups(file["state"]):
        variable = file["state"][name]
        if inner(variable, "data", h5py.Dataset):
            fields[name] = Field(numbers(variable, "data")[None], (TIME, "x", "y"))
            for axis in ends:
                ends[axis] |= {str(attribute(variable, f"{axis}{side}b")) for side in "lr"}
    if not fields:
        raise UserError("`state` holds no variable with data")
    axes = {TIME: Nodes(np.array([parameters(file).get("time", 0.0)]))}
    for axis, kinds in ends.items():
        low, high, n = grid[f"{axis}min"], grid[f"{axis}max"], int(grid[f"n{axis}"])
        axes[axis] = Nodes(low + (np.arange(n) + 0.5) * ((high - low) / max(n, 1)), kinds == {"periodic"})
    told = attribute(file, "solver")
    return Contents("pyro", fields, axes, {}, {}, ("one stored time",), f"{told}" if isinstance(told, str) else "")
