"""Tensors and learned fields in files (safetensors), written whole or not at all; nothing read is ever executed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Coordinates, NeuralField

from .files import replacing
from .records import from_json, refusing, to_json


@dataclass(frozen=True)
class FieldShape:
    """What makes a `NeuralField` beside its parameters.

    Attributes:
        coordinates, generators, width, head_width: as for `NeuralField`.
    """

    coordinates: Coordinates
    generators: int
    width: int
    head_width: int


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], about: Any) -> None:
    """Writes tensors as safetensors, whole or not at all; `about`, a record or JSON values, is kept in the header."""
    content = {k: v.detach().contiguous() for k, v in tensors.items()}
    header = {"about": json.dumps(to_json(about))}
    with replacing(Path(path)) as temporary:
        try:
            safetensors.torch.save_file(content, temporary, metadata=header)
        except SafetensorError as error:  # the library's name for a failed write
            raise OSError(errno.EIO, str(error), Path(path).name) from None


def read_tensors(path: str | os.PathLike[str], schema: Any = dict[str, Any]) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a file that `save_tensors` wrote and what was kept about them.

    Args:
        path: of the file.
        schema: of what was kept: a dataclass, or another annotation (`symflow.runs.records`).

    Raises:
        UserError: there is no such file, it is no checkpoint, or another one than the schema says.
    """
    if not Path(path).exists():
        raise UserError(f"there is no file {str(path)!r}")
    with refusing(path, "be a checkpoint of symflow"):
        try:
            with safe_open(path, "pt") as file:
                about = from_json(json.loads((file.metadata() or {})["about"]), schema)
                return {k: file.get_tensor(k) for k in file.keys()}, about  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(error) from None


def load_tensors(path: str | os.PathLike[str], schema: Any = dict[str, Any]) -> tuple[dict[str, Tensor], Any] | None:
    """The same; ``None`` without a file."""
    return read_tensors(path, schema) if Path(path).exists() else None


def save_field(path: str | os.PathLike[str], field: NeuralField) -> None:
    """Writes a learned field as safetensors; `load_field` reads it back."""
    width, head_width = field.trunk0_bias.shape[0], field.head_bias.shape[1]
    shape = FieldShape(field.coordinates, field.generators, width, head_width)
    save_tensors(path, dict(field.named_parameters()), shape)


def load_field(path: str | Path) -> NeuralField:
    """A field that `save_field` wrote: ``span.safetensors`` of a discovery, for example.

    Raises:
        UserError: there is no such file, or it holds no field.
    """
    tensors, about = read_tensors(path)
    with refusing(path, "hold a field"):
        shape = from_json(about, FieldShape)
        sizes = {"trunk1_weight": (shape.width,) * 2, "head_weight": (shape.generators, shape.head_width, shape.width)}
        for name, size in sizes.items():  # before memory is taken for what the header says
            if tensors[name].shape != size:
                raise ValueError(f"`{name}` must have shape {list(size)}, got {list(tensors[name].shape)}")
        field = NeuralField(shape.coordinates, shape.generators, shape.width, shape.head_width)
        try:
            field.to(tensors["out_bias"].dtype).load_state_dict(tensors)
        except RuntimeError as error:
            raise ValueError(error) from None
    return field
