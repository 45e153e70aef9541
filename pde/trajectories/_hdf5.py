"""Trajectories in HDF5: our own layout, PDEBench's, LPSDA's, and any with u, x and t."""

from __future__ import annotations

import json
import re
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError

from ._arrays import _affordable, _Raw

LONGEST_TEXT = 1 << 16


def _from_hdf5(file: h5py.File, samples: int | None, group: str | None) -> _Raw:
    if "tensor" in file:  # PDEBench
        u = _numbers(file, "tensor", samples)
        t = _numbers(file, "t-coordinate")
        if u.ndim == 4 and u.shape[3] == 1:
            u = u[..., 0]
        if u.ndim == 3 and t.ndim == 1 and t.size == u.shape[1] + 1:
            t = t[:-1]  # the file also has the end of the last step
        return _Raw(u, _numbers(file, "x-coordinate"), t, _about(file))
    if "usol" in file:  # MATLAB 7.3, whose axes are reversed
        return _Raw(_numbers(file, "usol"), _numbers(file, "x"), _numbers(file, "t"))
    if "u" in file:
        return _Raw(_numbers(file, "u", samples), _numbers(file, "x"), _numbers(file, "t"), _about(file))
    groups = [name for name in ("train", "valid", "test") if _inner(file, name, h5py.Group)]
    if groups:  # LPSDA
        chosen = group or ("train" if "train" in groups else groups[0])
        if chosen not in groups:
            raise UserError(f"`group` must be one of {', '.join(groups)}, got {chosen!r}")
        inside = file[chosen]
        names = [name for name in inside if re.fullmatch(r"pde_\d+-\d+", name)]
        if len(names) != 1:
            raise UserError(f"the group {chosen!r} must hold one data set pde_NT-NX, got {len(names)}")
        return _Raw(
            _numbers(inside, names[0], samples),
            _numbers(inside, "x", samples),
            _numbers(inside, "t", samples),
        )
    held = ", ".join(sorted(file)[:8]) or "nothing"
    raise UserError(
        f"the layout is unknown: expected u, x, t, or PDEBench's tensor, or LPSDA's train, valid, test; found {held}"
    )


def _inner(parent: h5py.Group, name: str, kind: type) -> bool:
    """Whether a name is an object of a kind inside the file itself."""
    return isinstance(parent.get(name, getlink=True), h5py.HardLink) and isinstance(parent.get(name), kind)


def _numbers(parent: h5py.Group, name: str, samples: int | None = None) -> NDArray[Any]:
    if name not in parent.keys():  # noqa: SIM118 - `in parent` would follow a link
        raise UserError(f"`{name}` is missing in the file")
    if not _inner(parent, name, h5py.Dataset):
        raise UserError(f"`{name}` must be a data set inside the file, got a link or a group")
    dataset = parent[name]
    if dataset.external or dataset.is_virtual:
        raise UserError(f"`{name}` must be stored in the file itself, got one that is stored in other files")
    if dataset.dtype.kind not in "fiu" or dataset.shape is None:
        raise UserError(f"`{name}` must be an array of real numbers, got {dataset.dtype}")
    shape = dataset.shape
    few = samples is not None and dataset.ndim >= 2 and samples < shape[0]
    wanted = (samples, *shape[1:]) if few else shape
    _affordable(name, shape, dataset.dtype.itemsize, dataset.id.get_storage_size(), wanted)
    numbers: NDArray[Any] = dataset[:samples] if few else dataset[()]
    return numbers


def _about(file: h5py.File) -> dict[str, Any]:
    """The attributes that `save` writes, as far as they are there and of their kind."""
    about: dict[str, Any] = {}
    for name in ("format", "equation", "version", "parameters", "settings"):
        if name in file.attrs:
            if file.attrs.get_id(name).get_storage_size() > LONGEST_TEXT:
                raise UserError(f"the attribute `{name}` is longer than {LONGEST_TEXT} bytes")
            value = file.attrs[name]
            value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if isinstance(value, str) and len(value) <= LONGEST_TEXT:
                about[name] = value
    for name in ("parameters", "settings"):
        if name in about:
            try:
                about[name] = json.loads(about[name])
            except (ValueError, RecursionError):
                raise UserError(f"the attribute `{name}` must be JSON, got {about[name][:40]!r}") from None
            if not isinstance(about[name], dict):
                raise UserError(f"the attribute `{name}` must be a JSON object, got {type(about[name]).__name__}")
    seed = file.attrs.get("seed")
    if isinstance(seed, int | np.integer):
        about["seed"] = int(seed)
    return about
