"""What `save` writes, netCDF-4 with the equation and its parameters as attributes; and arrays by name in HDF5."""

from __future__ import annotations

from typing import Any

import h5py

from symflow.errors import UserError

from .contents import FORMAT, LONGEST_TEXT, TEXTS, Contents, Nodes, Wanted, about_of
from .hdf5 import datasets, numbers
from .named import SOLUTIONS, arranged, axis_name, is_place, sampled
from .netcdf import from_netcdf4


def from_own(file: h5py.File, wanted: Wanted) -> Contents:
    """A file of our own, or another of netCDF-4."""
    about = attributes_of(file)
    if about.get("format") != FORMAT:
        return from_netcdf4(file, wanted, "netCDF", about)
    found = from_netcdf4(file, wanted, "symflow", about)
    # files without the mark are older: x over one period
    axes = {n: Nodes(a.values, a.periodic is not False) if n != "t" else a for n, a in found.axes.items()}
    fields = {n: f for n, f in found.fields.items() if n not in BESIDE}
    return Contents("symflow", fields, axes, {}, about)


def has_arrays(file: h5py.File) -> bool:
    """Whether names of the file are those of a solution or of its axes."""
    names = set(file)
    return bool(names & set(SOLUTIONS)) or sum(axis_name(name) is not None for name in names) > 1


def from_arrays(file: h5py.File, wanted: Wanted) -> Contents:
    """Arrays by name; those of MATLAB 7.3, whose axes are reversed, are turned."""
    matlab = "usol" in file or "uu" in file or any("MATLAB_class" in file[name].attrs for name in datasets(file))
    needed = [name for name in file if name in SOLUTIONS or axis_name(name)]  # links and texts are refused
    names = list(dict.fromkeys([*needed, *datasets(file)]))
    found = {n: numbers(file, n, complex_too=True) for n in names if matlab or is_place(n, wanted)}
    long, which = sampled({n: file[n].shape for n in set(names) - set(found) if n in datasets(file)}, found, wanted)
    for name in names:
        if name not in found:
            found[name] = numbers(file, name, which if name in long else None, complex_too=True)
    if matlab:
        found = {name: value.T for name, value in found.items()}
    return arranged(found, wanted, "MATLAB 7.3" if matlab else "HDF5", space_first=matlab, about=attributes_of(file))


BESIDE = ("valid", "source", "weights", "residual")  # what an augmentation writes beside u


def attributes_of(file: h5py.File) -> dict[str, Any]:
    """`contents.about_of` the attributes of a file.

    Raises:
        UserError: one is too long, or no JSON.
    """
    said = {}
    for name in (*TEXTS, "seed"):
        if name in file.attrs:
            if file.attrs.get_id(name).get_storage_size() > LONGEST_TEXT:
                raise UserError(f"the attribute `{name}` is longer than {LONGEST_TEXT} bytes")
            said[name] = file.attrs[name]
    return about_of(said)
