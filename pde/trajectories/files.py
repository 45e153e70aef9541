"""Trajectories on disk: HDF5 of our own, and the layouts that others use (`layouts`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from symflow.errors import UserError, check_integer, path_of
from symflow.runs import replacing

from ..equations import CATALOGUE, Equation, equation_of, lookup
from .arranging import BOUNDARIES, Arranged, arrange, coordinate
from .axes import Axis, period_of
from .data import Trajectories
from .layouts import ATTRIBUTES, FORMAT, SAMPLE, TIME, Contents, Field, Nodes, Wanted, attributes_of, one_file, read
from .layouts.contents import LONGEST_TEXT, said_of
from .layouts.labelled import from_xarray, is_dataset
from .layouts.named import with_dims
from .layouts.reading import reason

if TYPE_CHECKING:
    import h5py

OTHERS = (".csv", ".txt", ".npz", ".npy", ".mat", ".json", ".pt", ".zarr")  # endings of formats that are only read
AUGMENTATION = "augmentation"  # among the settings of a file that `augment_file` wrote


def is_own(path: str | Path) -> bool:
    """Whether a file is one that `save` writes."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except OSError:
        return False


def check_written(path: Path) -> None:
    """Refuses a name that says another format than the one that is written.

    Raises:
        UserError: it ends as files of another format do.

    >>> check_written(Path("data.csv"))
    Traceback (most recent call last):
    symflow.errors.UserError: trajectories are written as HDF5, whose name ends in .h5, got 'data.csv'
    """
    if path.suffix.lower() in OTHERS:
        raise UserError(f"trajectories are written as HDF5, whose name ends in .h5, got {str(path)!r}")


def save(data: Trajectories, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write trajectories to an HDF5 file that h5py and xarray read.

    ``u [sample, t, x]``, or each field over ``[sample, t, axes...]``, with dimension scales ``sample``, ``t`` and the
    axes, whose attribute ``periodic`` is 0 or 1; what is missing is NaN. The attributes of the file are ``equation``,
    ``parameters`` (JSON), ``name``, ``seed``, ``settings`` (JSON), ``version`` and ``format``. The file is written
    beside its place and moved there when it is complete, so that a kill or a full disk leaves what was there before.

    Args:
        data: what to write.
        path: of the file; its folder must exist.
        overwrite: replace a file that is there.

    Returns:
        The path.

    Raises:
        UserError: there is a file already, there is no such folder, or the disk is full.

    >>> import tempfile
    >>> from symflow.pde.generation import generate
    >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=10, end=2.0)
    >>> path = save(data, Path(tempfile.mkdtemp()) / "ckdv.h5")
    >>> bool((load(path).u == data.u).all())
    True
    """
    import h5py  # takes as long as all of pde.trajectories, and an equation alone needs none of it

    if not isinstance(data, Trajectories):
        raise UserError(f"`data` must be trajectories, got {type(data).__name__}")
    path = path_of("path", path)
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"`path` must be a file in a folder that exists, got {str(path)!r}")
    check_written(path)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; `overwrite=True` replaces it")
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            _write(data, file)
    except (OSError, RuntimeError) as error:  # HDF5 raises either when a write fails
        raise UserError(f"cannot write {path}: {reason(error)}; nothing was changed there") from None
    return path


def within(file: h5py.File, name: str) -> bool:
    """Whether a name is a data set whose numbers lie in the file itself: no link, and nothing kept elsewhere."""
    import h5py

    here = isinstance(file.get(name, getlink=True), h5py.HardLink) and isinstance(file.get(name), h5py.Dataset)
    return here and not (file[name].external or file[name].is_virtual)


def _write(data: Trajectories, file: h5py.File) -> None:
    held = []
    for name in data.fields:
        values = data.field(name)
        if data.missing is not None:
            values = torch.where(data.missing, torch.nan, values)
        held.append(file.create_dataset(name, data=values.numpy()))
        if data.missing is not None:
            held[-1].attrs["_FillValue"] = np.nan
    lay_out(file, data, len(data), *held)


def lay_out(file: h5py.File, data: Trajectories, samples: int, *fields: h5py.Dataset) -> None:
    """What `save` writes of data, beside the fields of so many trajectories themselves."""
    coordinates = {SAMPLE: (np.arange(samples), "trajectory"), TIME: (data.t.numpy(), "time")}
    for axis in data.axes:
        period = "position" if axis.period is None else "position, one period without its right end"
        coordinates[axis.name] = axis.nodes.numpy(), period
    for name, (values, meaning) in coordinates.items():
        file[name] = values
        file[name].make_scale(name)
        file[name].attrs["long_name"], file[name].attrs["units"] = meaning, "1"
    for dataset in fields:
        dataset.attrs["long_name"], dataset.attrs["units"] = "solution", "1"
    for name, said in attributes_of(data).items():
        if name in file:
            file[name].attrs.update(said)
    for axis in data.axes:
        file[axis.name].attrs["periodic"] = int(axis.period is not None)
    for dataset in fields:
        for place, name in enumerate(coordinates):
            dataset.dims[place].attach_scale(file[name])
    file.attrs.update(said_of(data))


class UnknownEquation(UserError):
    """Data that do not say which equation they solve."""


def load(
    path: Any = None,
    equation: str | Equation | None = None,
    *,
    u: Any = None,
    x: Any = None,
    t: Any = None,
    samples: int | None = None,
    group: str | None = None,
    fields: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    boundary: str | Mapping[str, str] | None = None,
    most: int | None = None,
    check: bool = True,
) -> Trajectories:
    """Trajectories from a file, from arrays or from a Dataset of xarray, checked against their equation.

    ``load(path)``, ``load(u=u, x=x, t=t, equation="kdv")``, or for several unknowns or axes ``load(equation=...,
    fields={"h": h, "v": v}, axes={"t": t, "x": x, "y": y})``. The layout of a file is found from what is in it;
    `docs/data.md` lists them, and `describe` says what a file holds.

    Convention: values are ``[samples, T, axes...]``, or without samples for one trajectory, the dimensions told apart
    by the lengths of the axes (a square one from MATLAB is ``[X, T]``, another ``[T, X]``). A field or an axis is found
    by the name that the equation gives it, by the usual names of the same meaning, or because there is no other. An
    axis is periodic if the file or `boundary` says so, or if neither does and the ends of the data meet; a last node
    that repeats the first is then dropped. Axes that the equation does not know make trajectories. Coordinates in
    single precision are put back on the uniform grid that they were rounded from. What else was done is in
    ``settings["notes"]``.

    Args:
        path: of the file, or a Dataset or DataArray of xarray.
        equation: a name of the catalogue, a formula or an `Equation`; needed where the file does not say it, and used
            instead of the file's own where both are given.
        u, x, t: arrays instead of a file.
        samples: how many trajectories to read, from the first; all by default.
        most: bytes of values: where all trajectories take more, every n-th is read, which a note says. The others are
            not touched in layouts that have trajectories one after another (`docs/data.md`), nor in arrays that
            ``numpy.load(path, mmap_mode="r")`` gives.
        group: of a file with several, such as ``train``; by default the first.
        fields: of a file, the names of the unknowns in it, such as ``{"u": "Vx"}``; else the arrays themselves.
        axes: of a file, the names of the variables in it; else the arrays themselves.
        boundary: "periodic" or "open", for all axes of space or by name.
        check: refuse data on a periodic line that certainly do not solve their equation; `audit_data` says what is
            wrong with such data, and asks data of any shape. Files of `symflow augment` are not checked so: they hold
            the residual of every trajectory.

    Raises:
        UnknownEquation: neither the file nor the caller names the equation; `identify` fits one.
        UserError: the file is missing, truncated, of an unknown layout, too large for the memory or not what it
            declares; names, coordinates or shapes do not fit; values are not finite; or the data certainly do not
            solve the equation (`Trajectories.check_equation`). The sentence says which.

    >>> x, t = np.arange(64) * (2 * np.pi / 64), np.linspace(0.0, 1.0, 20)
    >>> u = np.sin(x - t[:, None])  # solves u_t + u_x = 0
    >>> len(load(u=u, x=x, t=t, equation="u_t + u_x = 0"))
    1
    """
    for name, number in (("samples", samples), ("most", most)):
        if number is not None:
            check_integer(name, number, 1)
    ends = _boundary(boundary)
    if path is None:
        wanted = Wanted(samples, most=most)
        contents = _of_arrays(u, x, t, fields, axes, wanted)
        return _trajectories(contents, equation, {}, {}, ends, wanted, "arrays", check)
    if not (u is None and x is None and t is None):
        raise UserError("`load` takes a path or arrays, got both")
    names, places = _names(fields, "fields"), _names(axes, "axes")
    wanted = Wanted(samples, group, names, places, most)
    if is_dataset(path):
        return _trajectories(from_xarray(path, wanted), equation, names, places, ends, wanted, "xarray", check)
    path = path_of("path", path, ", which `load` takes by name: u=, x= and t=")
    try:
        return _trajectories(read(path, wanted), equation, names, places, ends, wanted, path.name, check)
    except UserError as error:
        raise type(error)(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _boundary(given: str | Mapping[str, str] | None) -> dict[str, str]:
    """By axis, ``""`` for all others."""
    found = {} if given is None else {"": given} if isinstance(given, str) else dict(given)
    for value in found.values():
        if value not in BOUNDARIES:
            raise UserError(f"`boundary` must be {' or '.join(BOUNDARIES)}, got {value!r}")
    return found


def _names(given: Mapping[str, Any] | None, argument: str) -> dict[str, str]:
    if not isinstance(given, Mapping | None):
        raise UserError(f"`{argument}` must be a mapping such as {{'u': 'Vx'}}, got {given!r}")
    found = dict(given or {})
    for value in found.values():
        if not isinstance(value, str):
            raise UserError(f"`{argument}` must be names in the file, got {type(value).__name__}")
    return found


def _of_arrays(
    u: Any, x: Any, t: Any, fields: Mapping[str, Any] | None, axes: Mapping[str, Any] | None, wanted: Wanted
) -> Contents:
    """Contents of the caller's arrays."""
    if fields is None and axes is None:
        missing = [name for name, value in (("u", u), ("x", x), ("t", t)) if value is None]
        if missing:
            raise UserError(f"`load` needs a path, or u, x and t; `{missing[0]}` is missing")
        fields, axes = {"u": u}, {"x": x, "t": t}
    elif not (u is None and x is None) or fields is None or axes is None:
        raise UserError("`load` takes u, x and t, or `fields` and `axes`, got some of both or one of two")
    elif t is not None:
        axes = {TIME: t, **axes}
    if TIME not in axes:
        raise UserError("`axes` must hold t")
    nodes = {name: Nodes(_array(value, name)) for name, value in axes.items()}
    lengths = {name: len(coordinate(n.values, name)) for name, n in nodes.items()}
    found = {}
    for name, value in fields.items():
        array = _array(value, name)
        gone = np.ma.getmaskarray(value) if isinstance(value, np.ma.MaskedArray) else None
        array, dims = with_dims(array, lengths)
        if dims is None and list(nodes) == ["x", TIME]:
            raise UserError(
                f"`{name}` must have shape [samples, T, X] with T = {lengths[TIME]} times and X = {lengths['x']} "
                f"points, got {list(array.shape)}"
            )
        if dims is None:
            sizes = ", ".join(f"{axis} = {n}" for axis, n in lengths.items())
            raise UserError(
                f"`{name}` must have dimensions of the lengths of the axes, {sizes}, got {list(array.shape)}"
            )
        found[name] = Field(array, dims, None if gone is None else gone.reshape(array.shape))
    held = [f.values.shape for f in found.values() if f.dims[0] == SAMPLE]
    with one_file() as notes:
        which = wanted.which(max((shape[0] for shape in held), default=1), [shape[1:] for shape in held])
    for name, f in found.items():
        if f.dims[0] == SAMPLE:
            gone = None if f.missing is None else f.missing[which]
            found[name] = Field(f.values[which], f.dims, gone)
    return Contents("arrays", found, nodes, notes=tuple(notes.notes))


@np.errstate(over="ignore", invalid="ignore")  # long doubles beyond float64 become infinite and are refused as such
def _trajectories(
    contents: Contents,
    equation: str | Equation | None,
    fields: Mapping[str, str],
    axes: Mapping[str, str],
    boundary: Mapping[str, str],
    wanted: Wanted,
    origin: str,
    check: bool,
) -> Trajectories:
    about = contents.about
    if equation is None:
        equation = _own_equation(about)
    equation = equation_of(equation)
    found = arrange(contents, equation, fields, axes, boundary)
    known = lookup(equation)
    own = about.get("format") == FORMAT
    settings = dict(about.get("settings", {})) if own else {"origin": origin}
    with one_file() as left:  # of layouts that are read as a whole
        which = wanted.which(len(found.values), [found.values.shape[1:]])
    earlier = settings.pop("notes", None)  # of what a file of our own was made from, in whose own axes nothing is new
    told = [n for n in earlier if isinstance(n, str)] if isinstance(earlier, list) else []
    if notes := [*told, *(contents.notes if own else found.notes), *left.notes]:
        settings["notes"] = notes
    if found.attributes and not own:
        kept = {name: dict(said) for name, said in found.attributes.items()}
        if len(json.dumps(kept)) <= LONGEST_TEXT // 2:
            settings[ATTRIBUTES] = kept
        else:
            settings["notes"] = [*settings.get("notes", []), "the attributes of the file are too long to be kept"]
    data = Trajectories(
        equation=equation,
        x=torch.zeros(0),
        t=torch.from_numpy(found.t.copy()),
        u=torch.from_numpy(np.array(found.values[which], np.float64)),
        name=known[0] if known else None,
        seed=about.get("seed") if own else None,
        settings=settings,
        fields=equation.space.dependent,
        axes=_axes(found),
        missing=None if found.missing is None else torch.from_numpy(found.missing[which].copy()),
        **({"version": about["version"]} if own and "version" in about else {}),
    )
    if check and AUGMENTATION not in data.settings:  # rows that are not valid solve nothing
        data.check_equation()
    return data


def _axes(found: Arranged) -> tuple[Axis, ...]:
    axes = []
    for name, (nodes, periodic) in found.axes.items():
        places = torch.from_numpy(nodes.copy())
        axes.append(Axis(name, places, period_of(places) if periodic else None))
    return tuple(axes)


def _own_equation(about: Mapping[str, Any]) -> Equation:
    text, parameters = about.get("equation"), about.get("parameters", {})
    if not isinstance(text, str):
        raise UnknownEquation(
            f"the data do not name their equation; give `equation`, for example {next(iter(CATALOGUE))!r}"
        )
    if not isinstance(parameters, dict) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in parameters.values()
    ):
        raise UserError("the attribute `parameters` must be a JSON object of numbers")
    declared = {name: about.get(name) for name in ("independent", "unknowns")}
    if {"text", "self", *declared} & set(parameters):
        raise UserError("the attribute `parameters` has a name that cannot be a parameter")
    if not parameters and not any(declared.values()):
        return equation_of(text)
    return Equation(text, declared["independent"], declared["unknowns"], **parameters)


def _array(value: Any, name: str) -> NDArray[Any]:
    array: NDArray[Any] = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    if array.dtype.kind not in "fiuc":
        raise UserError(f"`{name}` must be an array of real numbers, got {array.dtype}")
    return array
