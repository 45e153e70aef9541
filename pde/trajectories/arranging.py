"""From the contents of a file to trajectories: which field is which unknown, which axis which variable, what closes.

Names are those of the equation. A field or an axis that is called otherwise is found by the usual names of its meaning,
or because there is no other; else by what the caller says. An axis closes a period where the caller or the file says
so, and where neither does, if the ends of the data along it meet (`seams`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symflow.errors import UserError

from ..equations import Equation
from .axes import UNIFORM
from .layouts import SAMPLE, TIME, Contents, Field
from .seams import doubled, joined

UNKNOWNS: dict[str, tuple[str, ...]] = {
    "u": ("vx", "velocity_x", "u_x", "phi"),
    "v": ("vy", "velocity_y", "u_y"),
    "w": ("vz", "velocity_z", "vorticity", "vor", "omega"),
    "rho": ("density",),
    "p": ("pressure", "pres"),
    "h": ("height", "depth"),
    "m": ("x-momentum", "momentum_x"),
    "n": ("y-momentum", "momentum_y"),
    "T": ("temperature", "temp"),
    "b": ("buoyancy",),
    "c": ("concentration",),
    "s": ("tracer", "smoke"),
}
VARIABLES: dict[str, tuple[str, ...]] = {
    "x": ("lon", "longitude"),
    "y": ("lat", "latitude"),
    "z": ("lev", "level", "altitude"),
    "r": ("radius",),
}
BOUNDARIES = ("periodic", "open")
NEGLIGIBLE = 1e-5  # of the real part: a smaller imaginary one is rounding or the solver's
ROUNDING = 8.0  # coordinates so many units of their rounding off a uniform grid are uniform
TESTED = 8  # trajectories whose ends are looked at


@dataclass(frozen=True)
class Arranged:
    """Arrays as `Trajectories` wants them.

    Attributes:
        values: ``[sample, t, axes...]``, and a last dimension for several fields.
        t: ``[T]``.
        axes: nodes of each axis of space, and whether it is periodic.
        missing: ``[sample, t, axes...]``.
        notes: what was done, in words.
        attributes: of `Contents`, by the names of the equation.
    """

    values: NDArray[Any]
    t: NDArray[np.float64]
    axes: dict[str, tuple[NDArray[np.float64], bool]]
    missing: NDArray[np.bool_] | None
    notes: tuple[str, ...]
    attributes: Mapping[str, Mapping[str, Any]]


def arrange(
    contents: Contents,
    equation: Equation,
    fields: Mapping[str, str],
    axes: Mapping[str, str],
    boundary: Mapping[str, str],
) -> Arranged:
    """The unknowns of an equation over its variables.

    Args:
        contents: of a file.
        equation: with names.
        fields: names in the file, by unknown, where they are given by hand.
        axes: names in the file, by variable, likewise.
        boundary: periodic or open, by variable; ``""`` for all others.

    Raises:
        UserError: an unknown or a variable is not found, coordinates are missing, or grids differ.
    """
    notes = list(contents.notes)
    held = _real(contents, equation, notes)
    chosen = _fields(held, equation, fields)
    dims = _dims(list(chosen.values()))
    sizes = {d: n for f in chosen.values() for d, n in zip(f.dims, f.values.shape, strict=True)}
    places = [d for d in dims if d not in (SAMPLE, TIME)]
    names = _variables(places, sizes, equation, axes)  # variable by dimension
    spare = [d for d in places if d not in names and sizes[d] > 1]
    if spare:
        notes.append(f"each {' and '.join(spare)} is a trajectory of its own, for the equation does not know it")
    order = [SAMPLE, *spare, TIME, *names]

    def placed(array: NDArray[Any], own: tuple[str, ...]) -> NDArray[Any]:
        kept = [d for d in own if d in order]
        array = array.reshape([n for d, n in zip(own, array.shape, strict=True) if d in order])
        array = array.transpose([kept.index(d) for d in order if d in kept])
        array = array.reshape([sizes[d] if d in kept else 1 for d in order])
        array = np.broadcast_to(array, [sizes.get(d, 1) for d in order])
        return array.reshape(-1, *array.shape[1 + len(spare) :])

    several = [placed(f.values, f.dims) for f in chosen.values()]
    gone = [placed(f.missing, f.dims) for f in chosen.values() if f.missing is not None]
    missing = np.logical_or.reduce(gone) if gone else None
    t = _nodes(contents, TIME, sizes.get(TIME, 1), notes)
    if len(t) > 1 and bool((np.diff(t) < 0).all()):
        notes.append("t falls: turned round")
        t, several = t[::-1], [np.flip(v, 1) for v in several]
        missing = None if missing is None else np.flip(missing, 1)
    found: dict[str, tuple[NDArray[np.float64], bool]] = {}
    for i, (dim, name) in enumerate(names.items(), 2):
        nodes = _nodes(contents, dim, sizes[dim], notes)
        if nodes[0] > nodes[-1]:
            nodes, several = nodes[::-1], [np.flip(v, i) for v in several]
            missing = None if missing is None else np.flip(missing, i)
        told = boundary.get(name, boundary.get("", ""))
        said = contents.axes[dim].periodic if dim in contents.axes else None
        closes, wraps, why = _ends(several, missing, i, nodes, said, told, name)
        if closes:
            nodes, several = nodes[:-1], [v.take(range(len(nodes) - 1), i) for v in several]
            missing = None if missing is None else missing.take(range(len(nodes)), i)
        if not wraps:
            notes.append(f"{name} is open: {why}")
        shifts = {unknown: f.faces.get(dim, 0.0) for unknown, f in chosen.items()}
        if any(shifts.values()):
            nodes, several = _centred(nodes, several, i, shifts, wraps and missing is None, name, notes)
        found[name] = nodes, wraps
    values = np.stack(several, -1) if len(several) > 1 else several[0]
    source = {"": "", TIME: TIME} | {variable: dim for dim, variable in names.items()}
    source |= {u: name for u, f in chosen.items() for name, other in held.items() if other is f}
    attributes = {name: contents.attributes[own] for name, own in source.items() if own in contents.attributes}
    return Arranged(values, t, found, missing, tuple(notes), attributes)


# ---------------------------------------------------------------- unknowns


def _real(contents: Contents, equation: Equation, notes: list[str]) -> dict[str, Field]:
    """Fields of real numbers: a complex one is its real part, or two fields."""
    found: dict[str, Field] = {}
    for name, f in contents.fields.items():
        if f.values.dtype.kind != "c":
            found[name] = f
            continue
        real, imaginary = np.ascontiguousarray(f.values.real), np.ascontiguousarray(f.values.imag)
        size = float(np.abs(real).max(initial=0.0))
        share = float(np.abs(imaginary).max(initial=0.0)) / (size or 1.0)
        if share <= NEGLIGIBLE:
            notes.append(f"{name} is complex with an imaginary part of at most {share:.1g} of the real one: left out")
            found[name] = Field(real, f.dims, f.missing)
            continue
        unknowns = equation.space.dependent
        if len(unknowns) < 2:
            raise UserError(
                f"`{name}` must be an array of real numbers, got {f.values.dtype} with an imaginary part of "
                f"{share:.2g} of the real one: an equation of it has two real unknowns, got {', '.join(unknowns)}"
            )
        pair = unknowns if len(unknowns) == 2 and len(contents.fields) == 1 else (f"{name}_re", f"{name}_im")
        notes.append(f"{pair[0]} and {pair[1]} are the real and the imaginary part of {name}")
        found[pair[0]], found[pair[1]] = Field(real, f.dims, f.missing), Field(imaginary, f.dims, f.missing)
    return found


def _fields(held: Mapping[str, Field], equation: Equation, by_hand: Mapping[str, str]) -> dict[str, Field]:
    unknowns = equation.space.dependent
    strange = [name for name in by_hand if name not in unknowns]
    if strange:
        raise UserError(f"`fields` names {strange[0]!r}, which is no unknown of the equation: {', '.join(unknowns)}")
    lower = {name.lower(): name for name in held}
    chosen: dict[str, Field] = {}
    for unknown in unknowns:
        names = [by_hand[unknown]] if unknown in by_hand else [unknown, *UNKNOWNS.get(unknown, ())]
        match = next((lower[n.lower()] for n in names if n not in held and n.lower() in lower), None)
        match = next((n for n in names if n in held), match)
        if match is None and unknown in by_hand:
            raise UserError(f"`fields` names {by_hand[unknown]!r}, the file has {', '.join(held)}")
        if match is not None:
            chosen[unknown] = held[match]
    if not chosen and len(unknowns) == 1 and len(held) == 1:
        return {unknowns[0]: next(iter(held.values()))}
    lost = [u for u in unknowns if u not in chosen]
    if lost:
        example = ",".join(f"{u}={n}" for u, n in zip(lost, held, strict=False))
        raise UserError(
            f"the unknown{'s' * (len(lost) > 1)} {', '.join(lost)} of the equation must be among the fields "
            f"{', '.join(held)}; `fields` says which is which, such as {example}"
        )
    return chosen


# ---------------------------------------------------------------- variables


def _dims(fields: list[Field]) -> list[str]:
    """Of all fields together, in the order of the largest."""
    longest = max(fields, key=lambda f: len(f.dims))
    found = list(longest.dims)
    for f in fields:
        found += [d for d in f.dims if d not in found]
    sizes: dict[str, int] = {}
    for f in fields:
        for d, n in zip(f.dims, f.values.shape, strict=True):
            if sizes.setdefault(d, n) != n:
                raise UserError(f"the fields must have one length along {d}, got {sizes[d]} and {n}")
    return found


def _variables(
    places: list[str], sizes: Mapping[str, int], equation: Equation, by_hand: Mapping[str, str]
) -> dict[str, str]:
    """The variable of each dimension that has one, in the order of the variables in the data."""
    wanted = [v for v in equation.space.independent if v != TIME]
    strange = [v for v in by_hand if v not in equation.space.independent]
    if strange:
        known = ", ".join(equation.space.independent)
        raise UserError(f"`axes` names {strange[0]!r}, which is no variable of the equation: {known}")
    found: dict[str, str] = {}
    for v in wanted:
        names = [by_hand[v], v] if v in by_hand else [v, *VARIABLES.get(v, ())]
        match = next((d for n in names for d in places if d.lower() == n.lower() and d not in found), None)
        if match is not None:
            found[match] = v
    lost = [v for v in wanted if v not in found.values()]
    free = [d for d in places if d not in found and sizes[d] > 1]
    if len(lost) == 1 and len(free) == 1:
        found[free[0]], lost = lost[0], []
    if lost:
        axes = ", ".join(places) or "none but t"
        example = f", such as {lost[0]}={free[0]}" if free else ""
        raise UserError(
            f"the variable{'s' * (len(lost) > 1)} {', '.join(lost)} of the equation must be among the axes of space, "
            f"{axes}; `axes` says which is which{example}"
        )
    short = [d for d in found if sizes[d] < 2]
    if short:
        raise UserError(f"the axis {found[short[0]]} must have at least two nodes, got one")
    ranked = sorted(found, key=lambda d: wanted.index(found[d]))
    return {d: found[d] for d in ranked}


def _nodes(contents: Contents, dim: str, count: int, notes: list[str]) -> NDArray[np.float64]:
    if dim not in contents.axes:
        if dim == TIME and count == 1:
            return np.zeros(1)
        raise UserError(f"the file has no coordinates of {dim}; `axes` says which array they are, such as {dim}=name")
    nodes = coordinate(contents.axes[dim].values, dim)
    if len(nodes) != count:
        raise UserError(f"`{dim}` must have {count} nodes, as many as the fields along it, got {len(nodes)}")
    if dim == TIME:
        return nodes
    if len(nodes) > 1 and nodes[1] < nodes[0]:
        notes.append(f"{dim} falls: turned round")
    return nodes


def coordinate(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """One axis: flat, and exactly uniform where it is uniform up to the rounding of its type.

    Raises:
        UserError: it is not one axis, or trajectories have different ones.
    """
    if values.ndim == 2 and 1 not in values.shape:  # one row per trajectory
        if not np.allclose(values, values[0], rtol=0, atol=1e-9 * np.abs(values).max(initial=0.0)):
            raise UserError(f"`{name}` must be the same for every trajectory; their grids differ")
        values = values[0]
    if values.ndim > 2 or max(values.shape, default=1) != values.size:
        raise UserError(f"`{name}` must be one axis, got shape {list(values.shape)}")
    flat: NDArray[np.float64] = values.reshape(-1).astype(np.float64)
    if values.dtype.kind == "f" and values.dtype.itemsize < 8 and flat.size > 1:
        even = np.linspace(flat[0], flat[-1], flat.size)
        if np.abs(flat - even).max() <= ROUNDING * float(np.finfo(values.dtype).eps) * np.abs(flat).max():
            return even
    return flat


# ---------------------------------------------------------------- faces


def _centred(
    nodes: NDArray[np.float64],
    several: list[NDArray[Any]],
    i: int,
    shifts: Mapping[str, float],
    wraps: bool,
    name: str,
    notes: list[str],
) -> tuple[NDArray[np.float64], list[NDArray[Any]]]:
    """Fields that lie between the nodes of dimension i, on nodes that all of them have."""
    cells = list(shifts.values())
    if len(set(cells)) == 1:
        return nodes + cells[0] * (nodes[1] - nodes[0]), several
    if not wraps:
        raise UserError(
            f"{', '.join(shifts)} must lie on the same nodes of {name}, got distances of "
            f"{', '.join(f'{c:g}' for c in cells)} cells from them on an axis that is open or has missing values"
        )
    moved = []
    for (unknown, shift), values in zip(shifts.items(), several, strict=True):
        spectrum = np.fft.rfft(np.asarray(values, np.float64), axis=i)
        turn = np.exp(-2j * np.pi * shift * np.arange(spectrum.shape[i]) / len(nodes))
        turned = spectrum * turn.reshape([-1 if j == i else 1 for j in range(values.ndim)])
        moved.append(np.fft.irfft(turned, len(nodes), axis=i) if shift else values)
        if shift:
            notes.append(f"{unknown} is moved from faces to the nodes of {name} by Fourier interpolation")
    return nodes, moved


# ---------------------------------------------------------------- ends


def _ends(
    several: Sequence[NDArray[Any]],
    missing: NDArray[np.bool_] | None,
    i: int,
    nodes: NDArray[np.float64],
    said: bool | None,
    told: str,
    name: str,
) -> tuple[bool, bool, str]:
    """Whether the last node repeats the first, whether the axis is periodic, and why not."""
    steps = np.diff(nodes)
    uniform = bool((steps > 0).all()) and float(np.abs(steps / steps.mean() - 1).max()) <= UNIFORM
    if not uniform:
        if told == "periodic":
            raise UserError(
                f"`{name}` must be increasing and uniform over one period without its right end to be periodic, "
                f"got spacings from {steps.min():g} to {steps.max():g}"
            )
        return False, False, "its nodes are not uniform"
    if told == "open":
        return False, False, "as told"
    closes = all(closed(values, i) for values in several)
    if told == "periodic":
        return closes, True, ""
    if said is not None:
        return closes and said, said, "the file says so"
    found = [meeting(values, i, closes, missing) for values in several]
    if all(found):
        return closes, True, ""
    if False not in found:
        return False, False, f"whether the ends of {len(nodes)} nodes meet cannot be told"
    return False, False, "the ends of the data along it do not meet smoothly"


def meeting(values: NDArray[Any], i: int, closes: bool, missing: NDArray[np.bool_] | None = None) -> bool | None:
    """Whether the ends along dimension i of ``[sample, t, axes...]`` meet, whose last node may repeat the first.

    ``None`` where there are too few nodes to tell, or no rows without missing values.
    """
    rows = _rows(values, i)
    if missing is not None:
        rows = rows[:, ~_rows(missing, i).bool().any(-1).any(0)]
    return joined(rows[..., :-1] if closes else rows) if rows.shape[1] else None


def closed(values: NDArray[Any], i: int) -> bool:
    """Whether the last node repeats the first, as a grid does that includes both ends of the period."""
    if values.shape[i] < 3:
        return False
    first, second, last = (np.asarray(values.take(k, i), np.float64) for k in (0, 1, -1))
    scale = float(np.max(np.abs(values), initial=0.0))
    repeats = ROUNDING * (float(np.finfo(values.dtype).eps) if values.dtype.kind == "f" else 0.0) * scale
    alike = np.max(np.abs(last - first)) <= repeats < np.max(np.abs(second - first)) * 1e-2
    return bool(alike) and doubled(_rows(values, i))


def _rows(values: NDArray[Any], i: int) -> Tensor:
    """``[S, rows, n]`` along dimension i, of the first trajectories."""
    return torch.from_numpy(np.array(np.moveaxis(values[:TESTED], i, -1), np.float64)).flatten(1, -2)
