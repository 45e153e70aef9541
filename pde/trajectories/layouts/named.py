"""Arrays that have names and nothing else: which are axes, which are fields, and which dimension is which.

An axis is known by its name, and a dimension of a field by its length. Times stand before places, but in files of
MATLAB, whose columns are times; trajectories before both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import SAMPLE, TIME, Contents, Field, Nodes, Wanted

TIMES = ("t", "tt", "time", "times", "t_sol", "tspan", "t_span", "t-coordinate", "t_array", "sim_time")
PLACES = {
    "x": ("x", "xx", "x_sol", "x-coordinate", "x_coordinate", "xgrid", "grid_x"),
    "y": ("y", "yy", "y-coordinate", "y_coordinate", "ygrid", "grid_y"),
    "z": ("z", "zz", "z-coordinate", "z_coordinate", "zgrid", "grid_z"),
    "r": ("r",),
}
SOLUTIONS = ("usol", "uu", "u", "sol", "solution", "u_sol", "exact", "data")
FIRST_OF = SOLUTIONS[:3]  # of these the file's solution is the first that is there


def axis_name(name: str) -> str | None:
    """The variable that an array of this name holds nodes of, if any.

    >>> axis_name("tt"), axis_name("x-coordinate"), axis_name("usol")
    ('t', 'x', None)
    """
    if name.lower() in TIMES:
        return TIME
    return next((axis for axis, names in PLACES.items() if name.lower() in names), None)


def is_place(name: str, wanted: Wanted) -> bool:
    """Whether an array of this name may hold the nodes of an axis."""
    return name in wanted.axes.values() or (name not in wanted.fields.values() and axis_name(name) is not None)


def sampled(
    shapes: Mapping[str, tuple[int, ...]], places: Mapping[str, NDArray[Any]], wanted: Wanted
) -> tuple[list[str], slice]:
    """The arrays, by name and shape, that have trajectories in the first place, and which of these to read.

    >>> sampled({"u": (100, 20, 64)}, {"x": np.arange(64), "t": np.arange(20)}, Wanted(samples=3))
    (['u'], slice(None, 3, None))
    """
    by_hand = {source: axis for axis, source in wanted.axes.items()}
    lengths = {
        by_hand.get(name) or axis_name(name) or name: nodes.shape[-1] for name, nodes in places.items() if nodes.ndim
    }
    dims = {name: dims_of(shape, lengths) for name, shape in shapes.items()}
    long = [name for name, found in dims.items() if found and found[0] == SAMPLE]
    return long, wanted.which(max((shapes[n][0] for n in long), default=1), [shapes[n][1:] for n in long])


def arranged(
    arrays: Mapping[str, NDArray[Any]], wanted: Wanted, layout: str, *, space_first: bool = False, about: Any = None
) -> Contents:
    """Contents of named arrays.

    Args:
        arrays: real or complex; those of one number are parameters.
        wanted: names that were given by hand, and how many trajectories.
        layout: its name.
        space_first: one trajectory stands as ``[X, T]`` where both are of one length.
        about: of `Contents`.

    Raises:
        UserError: no array is a field over the axes.
    """
    by_hand = {source: axis for axis, source in wanted.axes.items()}
    chosen = set(wanted.fields.values())
    missing = [name for name in (*by_hand, *chosen) if name not in arrays]
    if missing:
        raise UserError(f"`{missing[0]}` is missing in the file, which holds {', '.join(sorted(arrays)) or 'nothing'}")
    axes: dict[str, Nodes] = {}
    values: dict[str, NDArray[Any]] = {}
    parameters: dict[str, float] = {}
    for name, array in arrays.items():
        axis = by_hand.get(name) or (None if name in chosen else axis_name(name))
        if axis is not None:
            array = _along_one(array)
        if array.size == 1 and name not in chosen:
            if array.dtype.kind in "fiu":
                parameters[name] = float(array.reshape(-1)[0])
        elif axis is not None and axis not in axes and (name in by_hand or _is_axis(array)):
            axes[axis] = Nodes(array if array.ndim == 2 and 1 not in array.shape else array.reshape(-1))
        else:
            values[name] = array
    values = _solutions(values, chosen)
    if not values and TIME in axes:  # orbits: x and y are what moves
        times = axes[TIME].values.shape[-1]
        orbits = {k: v.values for k, v in axes.items() if k != TIME and v.values.shape[-1] == times}
        if orbits:
            fields = {k: Field(v, (SAMPLE, TIME) if v.ndim == 2 else (TIME,)) for k, v in orbits.items()}
            return Contents(layout, fields, {TIME: axes[TIME]}, parameters, about or {})
    lengths = {name: nodes.values.shape[-1] for name, nodes in axes.items()}
    left: list[str] = []
    fields = {}
    for name, array in values.items():
        array, dims = with_dims(array, lengths, space_first)
        if dims is None:
            left.append(f"{name} {list(array.shape)}")
        else:
            fields[name] = Field(array[: wanted.samples] if dims[0] == SAMPLE else array, dims)
    if not fields:
        known = ", ".join(f"{name} with {n} nodes" for name, n in lengths.items()) or "no axes"
        held = f"{', '.join(left)} beside {known}" if left else known
        raise UserError(f"no array is a field over the axes of the file, which holds {held}")
    notes = (f"not read, for their shapes are not those of the axes: {', '.join(left)}",) if left else ()
    return Contents(layout, fields, axes, parameters, about or {}, notes)


def _solutions(values: dict[str, NDArray[Any]], chosen: set[str]) -> dict[str, NDArray[Any]]:
    if chosen:
        return {name: array for name, array in values.items() if name in chosen}
    first = next((name for name in FIRST_OF if name in values), None)
    rest = {name: array for name, array in values.items() if name not in FIRST_OF}
    return rest if first is None else {"u": values[first], **rest}


def _along_one(array: NDArray[Any]) -> NDArray[Any]:
    """The nodes of a mesh: of an array that varies along one of its dimensions only, what it has along that.

    >>> X, T = np.meshgrid(np.arange(3.0), np.arange(2.0))
    >>> _along_one(X), _along_one(T)
    (array([0., 1., 2.]), array([0., 1.]))
    """
    if array.ndim < 2 or array.dtype.kind not in "fiu":
        return array
    varying = [i for i in range(array.ndim) if array.shape[i] > 1 and bool((array != array.take([0], i)).any())]
    if len(varying) != 1:
        return array
    found: NDArray[Any] = array[tuple(slice(None) if i == varying[0] else 0 for i in range(array.ndim))]
    return found


def _is_axis(array: NDArray[Any]) -> bool:
    """Whether the numbers are one row, or a row for each trajectory, that increases or falls."""
    if array.dtype.kind not in "fiu" or array.size < 2:
        return False
    if max(array.shape) == array.size:
        steps = np.diff(array.reshape(-1).astype(np.float64))
    elif array.ndim == 2:
        steps = np.diff(array.astype(np.float64), axis=1)
    else:
        return False
    return bool((steps > 0).all() or (steps < 0).all()) or (array.ndim <= 2 and max(array.shape) == array.size)


def with_dims(
    array: NDArray[Any], lengths: Mapping[str, int], space_first: bool = False
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """An array and `dims_of` it, without its dimensions of one where that is what makes them fit."""
    dims = dims_of(array.shape, lengths, space_first)
    if dims is None and 1 in array.shape:
        fewer = array.squeeze()
        if (dims := dims_of(fewer.shape, lengths, space_first)) is not None:
            return fewer, dims
    return array, dims


def dims_of(shape: Sequence[int], lengths: Mapping[str, int], space_first: bool = False) -> tuple[str, ...] | None:
    """A name for each dimension, by the lengths of the axes; ``None`` where none fits.

    >>> dims_of((20, 64), {"x": 64, "t": 20}), dims_of((64, 20), {"x": 64, "t": 20}), dims_of((3, 20), {"t": 20})
    (('t', 'x'), ('x', 't'), ('sample', 't'))
    """
    space = tuple(sorted(name for name in lengths if name != TIME))
    late = (TIME,) if TIME in lengths else ()
    orders = [(*late, *space), (*space, *late), (*late, *space[::-1]), (*space[::-1], *late)]
    if space_first:
        orders = [orders[1], orders[0], orders[3], orders[2]]
    for dims in dict.fromkeys([*orders, *((SAMPLE, *o) for o in orders), *((*o, SAMPLE) for o in orders)]):
        if len(dims) == len(shape) and all(d == SAMPLE or lengths[d] == n for d, n in zip(dims, shape, strict=True)):
            return dims
    return None
