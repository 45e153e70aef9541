"""Tensors that torch saved, read without what a pickle can do: only tensors and containers of them are admitted."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from symflow.errors import UserError

from .contents import SAMPLE, TIME, Contents, Field, Nodes, Wanted, affordable, most_bytes
from .named import arranged

MEMBER = "data.pkl"  # of the archive that torch.save writes


def is_saved(path: Path) -> bool:
    """Whether an archive is one of torch."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/" + MEMBER) or name == MEMBER for name in archive.namelist())


def from_tensors(path: Path, wanted: Wanted) -> Contents:
    """Named tensors, or one; neuraloperator's ``x``, ``y`` are the first row and all rows of each trajectory."""
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > most_bytes():
        raise UserError(f"the tensors take {size / 1e9:.3g} GB, more than may be read")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"the file must hold tensors and nothing else ({str(error).splitlines()[0][:80]})") from None
    tensors = held if isinstance(held, Mapping) else {"u": held}
    found: dict[str, NDArray[Any]] = {}
    for name, value in tensors.items():
        if isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized:
            affordable(str(name), tuple(value.shape), value.element_size(), value.untyped_storage().nbytes() * 1100)
            value = value.detach().float() if value.dtype in (torch.bfloat16, torch.float16) else value.detach()
            found[str(name)] = value.resolve_conj().numpy()
    if not found:
        raise UserError("no tensor is in the file")
    x, y = found.get("x"), found.get("y")
    if x is not None and y is not None and y.ndim == 3 and y[:, 0].shape == x.shape and bool((y[:, 0] == x).all()):
        return _neuraloperator(y[: wanted.samples], found)
    return arranged(found, wanted, "torch")


def _neuraloperator(y: NDArray[Any], found: Mapping[str, NDArray[Any]]) -> Contents:
    _, times, points = y.shape
    axes = {TIME: Nodes(np.linspace(0.0, 1.0, times)), "x": Nodes(np.arange(points) / points, True)}
    said = {name: float(v.reshape(-1)[0]) for name, v in found.items() if v.size == 1}
    notes = ("coordinates are not stored: t from 0 to 1, x over a period of 1",)
    guess = f"u_t + u*u_x = {said['visc']:g}*u_xx" if "visc" in said else ""
    return Contents("neuraloperator", {"u": Field(y, (SAMPLE, TIME, "x"))}, axes, said, {}, notes, guess)
