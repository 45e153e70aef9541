"""PDEArena and LPSDA: groups ``train``, ``valid``, ``test`` of runs, with steps beside grids or in place of them."""

from __future__ import annotations

import re

import h5py
import numpy as np

from symflow.errors import UserError

from .contents import SAMPLE, TIME, Contents, Field, Nodes, Wanted
from .hdf5 import datasets, inner, numbers, of_samples

MODES = ("train", "valid", "test")
ONE = re.compile(r"pde_.*")
RENAMED = {"u": "s", "vx": "u", "vy": "v"}
CLOSED_BOX = "x and y run to both ends of the box, but values are those of cells; dt is not the step of t"


def modes(file: h5py.File) -> list[str]:
    """Those that the file has."""
    return [name for name in MODES if inner(file, name, h5py.Group)]


def from_modes(file: h5py.File, wanted: Wanted) -> Contents:
    """The runs of one group, the first of those that are there."""
    held = modes(file)
    chosen = wanted.group or held[0]
    if chosen not in held:
        raise UserError(f"`group` must be one of {', '.join(held)}, got {chosen!r}")
    group = file[chosen]
    names = list(datasets(group))
    which = of_samples(group, [n for n in names if n not in (TIME, "x", "y", "z")], wanted)
    axes: dict[str, Nodes] = {}
    for axis in (TIME, "x", "y", "z"):
        if axis in names:
            axes[axis] = Nodes(numbers(group, axis, which))
    space = [a for a in axes if a != TIME]
    runs = [n for n in names if ONE.fullmatch(n)]
    if runs:
        if len(runs) != 1:
            raise UserError(f"the group {chosen!r} must hold one data set pde_NT-NX, got {len(runs)}")
        values = numbers(group, runs[0], which)
        if values.ndim != 3:
            raise UserError(f"`{runs[0]}` must have shape [n, nt, nx], got {list(values.shape)}")
        for axis, step, count in ((TIME, "dt", values.shape[1]), ("x", "dx", values.shape[2])):
            if axis not in axes and step in names:
                steps = numbers(group, step)[which].reshape(-1, 1)
                axes[axis] = Nodes(steps * np.arange(count))
        if "x" in axes:  # both projects make them on a periodic line
            axes["x"] = Nodes(axes["x"].values, True)
        return Contents(
            "LPSDA" if "x" in names else "PDEArena",
            {"u": Field(values, (SAMPLE, TIME, "x"))},
            axes,
            _constants(group, names, which),
        )
    fields = {}
    for name in names:
        if name not in axes and group[name].ndim == len(space) + 2 and space:
            fields[name] = Field(numbers(group, name, which), (SAMPLE, TIME, *space))
    if not fields:
        raise UserError(
            f"the group {chosen!r} must hold one data set pde_NT-NX or fields over x and y, got {', '.join(names[:8])}"
        )
    if {"vx", "vy"} <= fields.keys():  # u is what the flow carries
        fields = {RENAMED.get(name, name): f for name, f in fields.items()}
    closed = {a: Nodes(n.values, None if a == TIME else False) for a, n in axes.items()}
    guess = "incompressible flow (u, v) with buoyancy, and smoke s (u of the file)" if "s" in fields else ""
    return Contents("PDEArena", fields, closed, _constants(group, names, which), {}, (CLOSED_BOX,), guess)


def _constants(group: h5py.Group, names: list[str], which: slice) -> dict[str, float]:
    """Numbers that are the same for every run."""
    found = {}
    for name in names:
        if group[name].ndim == 1 and name not in (TIME, "x", "y", "z", "dt", "dx", "dy"):
            values = numbers(group, name)[which]
            if values.size and (values == values[0]).all():
                found[name] = float(values[0])
    return found
