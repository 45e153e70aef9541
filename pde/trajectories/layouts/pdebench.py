"""PDEBench: one array ``tensor``, the fields of compressible flow, a group for each run, or incompressible flow.

Coordinates are the centres of cells. ``t-coordinate`` may have one entry more than there are times.
"""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import SAMPLE, TIME, Contents, Field, Nodes, Wanted
from .hdf5 import attribute, groups, inner, numbers, of_samples, parameters

FLOW = ("density", "pressure", "Vx", "Vy", "Vz")
RUN = re.compile(r"\d{4,}")


def is_tensor(file: h5py.File) -> bool:
    """One array of all runs, or the fields of compressible flow."""
    return "tensor" in file or ("x-coordinate" in file and any(name in file for name in FLOW))


def from_tensor(file: h5py.File, wanted: Wanted) -> Contents:
    """Fields ``[n, nt, nx(, ny(, nz))]`` over ``x-coordinate`` ... and ``t-coordinate``."""
    names = ["tensor"] if "tensor" in file else [name for name in FLOW if name in file]
    axes = {axis: numbers(file, f"{axis}-coordinate") for axis in "xyz" if f"{axis}-coordinate" in file}
    if not axes:
        raise UserError("`x-coordinate` is missing in the file")
    fields = {}
    t: NDArray[Any] | None = None
    which = of_samples(file, names, wanted)
    for name in names:
        values = numbers(file, name, which)
        if values.ndim == len(axes) + 3 and values.shape[-1] == 1:
            values = values[..., 0]
        if values.ndim != len(axes) + 2:
            raise UserError(f"`{name}` must have shape [n, nt, {', '.join('n' + a for a in axes)}], got {values.shape}")
        fields["u" if name == "tensor" else name] = Field(values, (SAMPLE, TIME, *axes))
        if "t-coordinate" in file:
            t = numbers(file, "t-coordinate")
            if t.ndim == 1 and t.size == values.shape[1] + 1:
                t = t[:-1]  # the file also has the end of the last step
        elif values.shape[1] == 1:
            t = np.zeros(1)
    if t is None:
        raise UserError("`t-coordinate` is missing in the file")
    said = parameters(file)
    return Contents(
        "PDEBench",
        fields,
        {TIME: Nodes(t), **{axis: Nodes(nodes) for axis, nodes in axes.items()}},
        said,
        {},
        ("`Nu` is divided by pi in Burgers' equation of this collection",) if set(said) == {"Nu"} else (),
        _guess(said, names, len(axes)),
    )


def _guess(said: dict[str, float], names: list[str], dimensions: int) -> str:
    if names != ["tensor"]:
        return "compressible flow: continuity, momentum and energy of density, velocity and pressure"
    if dimensions > 1:
        return "Darcy flow" if "beta" in said else ""
    if "rho" in said:
        return f"u_t = {said.get('Nu', 1):g}*u_xx + {said['rho']:g}*u*(1 - u)"
    if "Nu" in said:
        return f"u_t + u*u_x = {said['Nu'] / np.pi:.10g}*u_xx"
    return f"u_t + {said['beta']:g}*u_x = 0" if "beta" in said else ""


def is_runs(file: h5py.File) -> bool:
    """A group for each run, with its data and grid."""
    return any(RUN.fullmatch(name) and "data" in file[name] and "grid" in file[name] for name in groups(file)[:1])


def from_runs(file: h5py.File, wanted: Wanted) -> Contents:
    """``NNNN/data [nt, ..., channels]`` over ``NNNN/grid``; none of these is periodic."""
    names = [name for name in groups(file) if RUN.fullmatch(name)]
    first_run = file[names[0]]["data"]
    names = names[wanted.which(len(names), [getattr(first_run, "shape", None) or ()])]
    grids = [
        {axis: numbers(file[name]["grid"], axis) for axis in ("t", "x", "y") if axis in file[name]["grid"]}
        for name in names
    ]
    first = grids[0]
    if "t" not in first or "x" not in first:
        raise UserError(f"the group {names[0]!r} must have t and x in its grid")
    if any(g.keys() != first.keys() or any(not np.array_equal(g[a], first[a]) for a in g) for g in grids):
        raise UserError("the runs must have one grid; theirs differ")
    data = np.stack([numbers(file[name], "data") for name in names])
    space = ("y", "x") if "y" in first else ("x",)  # rows by y
    if data.ndim != len(space) + 3:
        raise UserError(
            f"`data` must have shape [nt, {', '.join('n' + a for a in space)}, channels], got {data.shape[1:]}"
        )
    channels = ("u", "v", "w")[: data.shape[-1]] if data.shape[-1] <= 3 else [f"u{i}" for i in range(data.shape[-1])]
    fields = {name: Field(data[..., i], (SAMPLE, TIME, *space)) for i, name in enumerate(channels)}
    axes = {axis: Nodes(nodes, None if axis == "t" else False) for axis, nodes in first.items()}
    said = _configured(attribute(file[names[0]], "config"))
    return Contents("PDEBench, a group for each run", fields, axes, said)


def _configured(text: Any) -> dict[str, float]:
    """Numbers with names in a YAML text, line by line."""
    found = {}
    for line in str(text or "").splitlines()[:256]:
        name, _, value = line.strip().partition(":")
        try:
            found[name] = float(value)
        except ValueError:
            continue
    return found


def is_incompressible(file: h5py.File) -> bool:
    """Velocity, particles and force over the unit square."""
    return all(inner(file, name, h5py.Dataset) for name in ("velocity", "particles", "t"))


def from_incompressible(file: h5py.File, wanted: Wanted) -> Contents:
    """``velocity [b, nt, nx, ny, 2]``, ``particles [.., 1]``, ``t [b, nt]``; frames after `latestIndex` are no data."""
    which = of_samples(file, ("velocity", "particles"), wanted)
    velocity, particles, t = (numbers(file, name, which) for name in ("velocity", "particles", "t"))
    latest = attribute(file, "latestIndex")
    written = slice(None if latest is None else int(latest) + 1)
    dims = (SAMPLE, TIME, "x", "y")
    fields = {
        "u": Field(velocity[:, written, ..., 0], dims),
        "v": Field(velocity[:, written, ..., 1], dims),
        "particles": Field(particles[:, written, ..., 0], dims),
    }
    nx, ny = velocity.shape[2:4]
    places = {axis: Nodes((np.arange(n) + 0.5) / n, False) for axis, n in (("x", nx), ("y", ny))}
    notes = ("x and y are not stored: centres of cells of the unit square",)
    return Contents("PDEBench, incompressible", fields, {TIME: Nodes(t[:, written]), **places}, {}, {}, notes)
