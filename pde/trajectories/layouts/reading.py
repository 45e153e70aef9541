"""From a path to the contents of a file: the layout is known by what is in it, not by its name.

A file is untrusted input. Nothing in it is executed or unpickled, links that lead out of it are not followed, and the
sizes that it declares are compared with the size that it has before anything is allocated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.errors import UserError

from . import labelled, matlab5, numpy_files, tables, tensors
from .contents import SHARE_OF_MEMORY, Contents, Wanted, most_bytes, one_file
from .named import SOLUTIONS, arranged

if TYPE_CHECKING:
    import h5py

ZIP = b"PK\x03\x04"
HDF5 = b"\x89HDF\r\n\x1a\n"
CDF = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
KINDS = "HDF5, npz or MATLAB 5 file, and none of netCDF, torch or CSV"


def reason(error: BaseException) -> str:
    """The cause of a failure of the system or of HDF5, in a few words."""
    code = getattr(error, "errno", None)
    if code is None:  # HDF5 puts it into the text
        found = re.search(r"errno = (\d+)", str(error))
        code = int(found[1]) if found else None
    return os.strerror(code).lower() if code else (str(error).splitlines() or ["unknown"])[0].lower()


def read(path: Path, wanted: Wanted) -> Contents:
    """What a file, or a zarr store, holds.

    Raises:
        UserError: it is missing, empty, truncated, locked, of another kind, too large, or not what it declares.
    """
    if labelled.is_zarr(path):
        return _guarded(path, lambda: labelled.from_zarr(path, wanted))
    if path.is_dir():
        raise UserError(f"{str(path)!r} must be a file of data, got a folder")
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}")
    return _guarded(path, lambda: _read(path, wanted))


def _guarded(path: Path, reader: Callable[[], Contents]) -> Contents:
    try:
        with one_file() as file:
            found = reader()
            return replace(found, notes=(*found.notes, *file.notes))
    except UserError:
        raise
    except MemoryError:
        raise UserError(f"{path} does not fit into the memory; give `samples`") from None
    except PermissionError:
        raise UserError(f"{path} may not be read: permission denied") from None
    except Exception as error:  # a damaged file can make its reader raise anything
        if re.search(r"\b(un)?lock", str(error).lower()):
            raise UserError(f"{path} is locked by a program that writes it ({reason(error)})") from None
        raise UserError(f"{path} is truncated or damaged ({reason(error)})") from None


def _read(path: Path, wanted: Wanted) -> Contents:
    with open(path, "rb") as file:
        start = file.read(512)
    if start.startswith(ZIP):
        return tensors.from_tensors(path, wanted) if tensors.is_saved(path) else numpy_files.from_npz(path, wanted)
    if start.startswith(matlab5.START):
        if path.stat().st_size > most_bytes():
            raise UserError(
                f"{path} takes {path.stat().st_size / 1e9:.3g} GB, more than {SHARE_OF_MEMORY:.0%} of the memory"
            )
        return _from_matlab(path.read_bytes(), wanted)
    if start.startswith(numpy_files.START):
        shape = list(numpy_files.shape_of(path))
        raise UserError(
            f"{path} holds one array of shape {shape} without coordinates; give it to `load` as `u` with `x` and `t`, "
            "mapped by numpy.load(..., mmap_mode='r') where it is large"
        )
    if start.startswith(CDF):
        from .netcdf import from_classic

        return from_classic(path, wanted)
    import h5py  # takes as long as all of pde.trajectories

    if start.startswith(HDF5) or h5py.is_hdf5(path):
        with h5py.File(path, "r") as file5:
            return _from_hdf5(file5, wanted)
    if start.startswith(tensors.OLD):
        raise UserError(f"{path} is of torch before 1.6; save its tensors again with a newer one, or as npz")
    if tables.looks_like(start):
        return tables.from_table(path, wanted)
    raise UserError(f"{path} {'is empty' if not start else 'is no ' + KINDS}")


def _from_matlab(content: bytes, wanted: Wanted) -> Contents:
    try:
        return arranged(matlab5.arrays(content, None, most_bytes()), wanted, "MATLAB 5", space_first=True)
    except UserError:
        matlab5.arrays(content, SOLUTIONS, most_bytes())  # says what a solution is that is no array of numbers
        raise


def _from_hdf5(file: h5py.File, wanted: Wanted) -> Contents:
    from . import arena, netcdf, own, pdebench, programs, the_well

    known: list[tuple[Callable[[Any], Any], Callable[[Any, Wanted], Contents]]] = [
        (pdebench.is_tensor, pdebench.from_tensor),
        (pdebench.is_runs, pdebench.from_runs),
        (pdebench.is_incompressible, pdebench.from_incompressible),
        (the_well.is_well, the_well.from_well),
        (programs.is_dedalus, programs.from_dedalus),
        (programs.is_py_pde, programs.from_py_pde),
        (programs.is_pyro, programs.from_pyro),
        (arena.modes, arena.from_modes),
        (netcdf.has_scales, own.from_own),
        (own.has_arrays, own.from_arrays),
    ]
    for knows, reader in known:
        if knows(file):
            return reader(file, wanted)
    raise UserError(
        f"the layout is unknown: no fields over axes, such as u over x and t, were recognised; found "
        f"{', '.join(sorted(file)[:8]) or 'nothing'}"
    )
