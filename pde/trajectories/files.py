"""Trajectories on disk: HDF5 of our own, and the layouts that others use.

A file is untrusted input. Nothing in it is executed or unpickled, links that lead out of it are not followed, and the
sizes that it declares are compared with the size that it has before anything is allocated.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError, check_integer
from symflow.runs import processes, replacing

from ..equations import CATALOGUE, Equation, entry, lookup
from . import _matlab
from ._arrays import SHARE_OF_MEMORY, _Raw
from ._npz import _from_npz
from .data import Trajectories, _float64

if TYPE_CHECKING:
    import h5py

FORMAT = "symflow trajectories 1"
AUGMENTATION = "augmentation"  # among the settings of a file that `augment_file` wrote
_ROUNDING = 8.0  # coordinates this many units of their rounding off a uniform grid are uniform
_ZIP = b"PK\x03\x04"


def save(data: Trajectories, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write trajectories to an HDF5 file that h5py and xarray read.

    ``u [sample, time, x]`` with dimension scales ``sample``, ``t``, ``x``; the attributes of the file are ``equation``,
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
    >>> from symflow.pde.trajectories import generate
    >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=10, end=2.0)
    >>> path = save(data, Path(tempfile.mkdtemp()) / "ckdv.h5")
    >>> bool((load(path).u == data.u).all())
    True
    """
    import h5py  # takes as long as all of pde.trajectories, and an equation alone needs none of it

    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"`path` must be a file in a folder that exists, got {str(path)!r}")
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask for it to be overwritten")
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            _write(data, file)
    except (OSError, RuntimeError) as error:  # HDF5 raises either when a write fails
        raise UserError(f"cannot write {path}: {reason(error)}; nothing was changed there") from None
    return path


def _write(data: Trajectories, file: h5py.File) -> None:
    lay_out(file, data, len(data), file.create_dataset("u", data=data.u.numpy()))


def lay_out(file: h5py.File, data: Trajectories, samples: int, u: h5py.Dataset) -> None:
    """What `save` writes of data, beside the ``u`` of so many trajectories itself."""
    coordinates = {
        "sample": (np.arange(samples), "trajectory"),
        "t": (data.t.numpy(), "time"),
        "x": (data.x.numpy(), "position, one period without its right end"),
    }
    u.attrs["long_name"], u.attrs["units"] = "solution", "1"
    for axis, (name, (values, meaning)) in enumerate(coordinates.items()):
        file[name] = values
        file[name].make_scale(name)
        file[name].attrs["long_name"], file[name].attrs["units"] = meaning, "1"
        u.dims[axis].attach_scale(file[name])
    about: dict[str, Any] = {
        "format": FORMAT,
        "equation": data.equation.text,
        "parameters": json.dumps(data.equation.parameters),
        "settings": json.dumps(dict(data.settings)),
        "version": data.version,
    }
    if data.name is not None:
        about["name"] = data.name
    if data.seed is not None:
        about["seed"] = data.seed
    file.attrs.update(about)


def reason(error: BaseException) -> str:
    code = getattr(error, "errno", None)
    if code is None:  # HDF5 puts it into the text
        found = re.search(r"errno = (\d+)", str(error))
        code = int(found[1]) if found else None
    return os.strerror(code).lower() if code else (str(error).splitlines() or ["unknown"])[0].lower()


class UnknownEquation(UserError):
    """Data that do not say which equation they solve."""


def load(
    path: str | os.PathLike[str] | None = None,
    equation: str | Equation | None = None,
    *,
    u: Any = None,
    x: Any = None,
    t: Any = None,
    samples: int | None = None,
    group: str | None = None,
    check: bool = True,
) -> Trajectories:
    """Trajectories from a file or from arrays, checked against their equation.

    Either ``load(path)`` or ``load(u=u, x=x, t=t, equation="kdv")``. The layout of a file is found from what is in it:

    - HDF5 of `save`, or any with ``u``, ``x`` and ``t``;
    - npz with ``u``, ``x`` and ``t``;
    - MATLAB files of Chebfun's ``spin``: ``usol`` or ``u``, ``x``, ``t``;
    - PDEBench: HDF5 with ``tensor``, ``x-coordinate``, ``t-coordinate``;
    - LPSDA: HDF5 with the groups ``train``, ``valid``, ``test``, each with ``pde_NT-NX``, ``x``, ``t``.

    Convention: u is ``[samples, T, X]``, or ``[T, X]`` or ``[X, T]`` for one trajectory, told apart by the lengths of x
    and t (a square one from MATLAB is ``[X, T]``, another ``[T, X]``). x covers one period without its right end; a
    last column that repeats the first is dropped. Coordinates in single precision are put back on the uniform grid
    that they were rounded from.

    Args:
        path: of the file.
        equation: a name of the catalogue, a formula or an `Equation`; needed where the file does not say it, and used
            instead of the file's own where both are given.
        u, x, t: arrays instead of a file.
        samples: how many trajectories to read, from the first; all by default.
        group: of an LPSDA file; by default its only group, or ``train``.
        check: refuse data that certainly do not solve their equation; `audit_data` says what is wrong with such data.
            Files of `symflow augment` are not checked so: they hold the residual of every trajectory.

    Raises:
        UnknownEquation: neither the file nor the caller names the equation; `identify` fits one.
        UserError: the file is missing, truncated, of an unknown layout, too large for the memory or not what it
            declares; values are not finite, coordinates do not fit; or the data certainly do not solve the equation
            (`Trajectories.check_equation`). The sentence says which.

    >>> import numpy as np
    >>> x, t = np.arange(64) * (2 * np.pi / 64), np.linspace(0.0, 1.0, 20)
    >>> u = np.sin(x - t[:, None])  # solves u_t + u_x = 0
    >>> len(load(u=u, x=x, t=t, equation="u_t + u_x = 0"))
    1
    """
    if samples is not None:
        check_integer("samples", samples, 1)
    if path is None:
        missing = [name for name, value in (("u", u), ("x", x), ("t", t)) if value is None]
        if missing:
            raise UserError(f"`load` needs a path, or u, x and t; `{missing[0]}` is missing")
        raw = _Raw(_array(u, "u"), _array(x, "x"), _array(t, "t"))
        return _trajectories(raw, equation, samples, "arrays", check)
    if not (u is None and x is None and t is None):
        raise UserError("`load` takes a path or arrays, got both")
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}")
    try:
        return _trajectories(_read(path, samples, group), equation, samples, path.name, check)
    except UserError as error:
        raise type(error)(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _read(path: Path, samples: int | None, group: str | None) -> _Raw:
    import h5py

    from ._hdf5 import _from_hdf5

    try:
        with open(path, "rb") as file:
            start = file.read(128)
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file5:
                return _from_hdf5(file5, samples, group)
        if start.startswith(_ZIP):
            return _from_npz(path)
        if start.startswith(_matlab.START):
            return _from_matlab(path)
    except UserError:
        raise
    except MemoryError:
        raise UserError(f"{path} does not fit into the memory; give `samples`") from None
    except Exception as error:  # a damaged file can make its reader raise anything
        raise UserError(f"{path} is truncated or damaged ({reason(error)})") from None
    kind = "is empty" if not start else "is no HDF5, npz or MATLAB 5 file"
    raise UserError(f"{path} {kind}")


@np.errstate(over="ignore", invalid="ignore")  # long doubles beyond float64 become infinite and are refused as such
def _trajectories(
    raw: _Raw, equation: str | Equation | None, samples: int | None, origin: str, check: bool
) -> Trajectories:
    about = raw.about
    if equation is None:
        equation = _own_equation(about)
    equation = _as_equation(equation)
    x, t = _coordinate(raw.x, "x"), _coordinate(raw.t, "t")
    u = raw.u
    if u.ndim == 2:
        turned = u.shape == (x.size, t.size) and (x.size != t.size or raw.space_first)
        u = (u.T if turned else u)[None]
    u = u if samples is None else u[:samples]
    if u.ndim == 3 and u.shape[2] == x.size and _closed(u):
        u, x = u[..., :-1], x[:-1]
    found = lookup(equation)
    own = about.get("format") == FORMAT
    data = Trajectories(
        equation=equation,
        x=_float64(x, "x"),
        t=_float64(t, "t"),
        u=_float64(u, "u"),
        name=found[0] if found else None,
        seed=about.get("seed") if own else None,
        settings=about.get("settings", {}) if own else {"origin": origin},
        **({"version": about["version"]} if own and "version" in about else {}),
    )
    if check and AUGMENTATION not in data.settings:  # rows that are not valid solve nothing
        data.check_equation()
    return data


def _as_equation(equation: str | Equation) -> Equation:
    if isinstance(equation, Equation):
        return equation
    if not isinstance(equation, str):
        raise UserError(f"`equation` must be a name, a formula or an Equation, got {type(equation).__name__}")
    return Equation(equation) if "=" in equation else entry(equation).equation


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
    if "text" in parameters or "self" in parameters:
        raise UserError("the attribute `parameters` has a name that cannot be a parameter")
    return _as_equation(text) if not parameters else Equation(text, **parameters)


def _array(value: Any, name: str) -> NDArray[Any]:
    array: NDArray[Any] = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise UserError(f"`{name}` must be an array of real numbers, got {array.dtype}")
    return array


def _coordinate(values: NDArray[Any], name: str) -> NDArray[Any]:
    """One axis: flat, and exactly uniform where it is uniform up to the rounding of its type."""
    if values.ndim == 2 and 1 not in values.shape:  # LPSDA: one row per trajectory
        if not np.allclose(values, values[0], rtol=0, atol=1e-9 * np.abs(values).max(initial=0.0)):
            raise UserError(f"`{name}` must be the same for every trajectory; their grids differ")
        values = values[0]
    if values.ndim > 2 or max(values.shape, default=1) != values.size:
        raise UserError(f"`{name}` must be one axis, got shape {list(values.shape)}")
    flat = values.reshape(-1).astype(np.float64)
    if values.dtype.kind == "f" and values.dtype.itemsize < 8 and flat.size > 1:
        even = np.linspace(flat[0], flat[-1], flat.size)
        if np.abs(flat - even).max() <= _ROUNDING * float(np.finfo(values.dtype).eps) * np.abs(flat).max():
            return even
    return flat


def _closed(u: NDArray[Any]) -> bool:
    """Whether the last column repeats the first, as a grid does that includes both ends of the period."""
    first, second, last = (np.asarray(u[..., i], np.float64) for i in (0, 1, -1)) if u.shape[-1] > 2 else [0.0] * 3
    scale = float(np.max(np.abs(u), initial=0.0))
    repeats = _ROUNDING * (float(np.finfo(u.dtype).eps) if u.dtype.kind == "f" else 0.0) * scale
    return bool(np.max(np.abs(last - first)) <= repeats < np.max(np.abs(second - first)) * 1e-2)


def _from_matlab(path: Path) -> _Raw:
    found = _matlab.arrays(path.read_bytes(), ("usol", "u", "x", "t"), int(SHARE_OF_MEMORY * processes.memory()))
    chosen = "usol" if "usol" in found else "u"
    for name in (chosen, "x", "t"):
        if name not in found:
            raise UserError(f"`{name}` is missing in the file")
    return _Raw(found[chosen], found["x"], found["t"], space_first=True)
