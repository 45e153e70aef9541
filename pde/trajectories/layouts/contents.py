"""What every layout of a file is read into: fields by name over axes by name; and the sizes that a file may declare."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError
from symflow.runs import processes

if TYPE_CHECKING:
    from ..data import Trajectories

LONGEST_TEXT = 1 << 16
SHARE_OF_MEMORY = 0.5  # of the machine's memory, for the numbers of one file
ENOUGH = 1 << 27  # bytes of values that an audit, a discovery or a description of data looks at
MOST_COMPRESSED = 1_100  # deflate reaches 1,032: a file that declares more than that was never written to the end
SAMPLE, TIME = "sample", "t"
FORMAT = "symflow trajectories 1"  # of files of our own
ATTRIBUTES = "attributes"  # among the settings of trajectories: what a file says besides, by field or axis
USED = (  # attributes that reading has taken up, or that are of the format itself
    *("_FillValue", "missing_value", "scale_factor", "add_offset", "periodic", "bounds", "coordinates", "offset"),
    *("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties"),
)
_MOST_ENTRIES, _LONGEST = 64, 4096  # attributes of one field, entries of one attribute, and characters
TEXTS = ("format", "equation", "version", "parameters", "settings", "independent", "unknowns")  # their attributes


@dataclass(frozen=True)
class Field:
    """Values over named dimensions.

    Attributes:
        values: real or complex.
        dims: a name for each dimension: ``sample``, ``t``, or that of an axis of space.
        missing: where nothing was measured, of the shape of values.
        faces: how far the values lie from the coordinates, in cells, by dimension.
    """

    values: NDArray[Any]
    dims: tuple[str, ...]
    missing: NDArray[np.bool_] | None = None
    faces: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Nodes:
    """Coordinates ``[n]``, or ``[samples, n]``, and whether the file says that they close a period."""

    values: NDArray[Any]
    periodic: bool | None = None


@dataclass(frozen=True)
class Contents:
    """What a file holds, before it is made into trajectories.

    Attributes:
        layout: whose it is.
        fields, axes: by name; t is among the axes where times are stored.
        parameters: numbers that the file gives names.
        about: equation, parameters, name, seed, settings, version and format of files of our own.
        notes: what was assumed or left out, in words.
        guess: which equation the file may be of, in words; empty where nothing says it.
        attributes: what the file says besides (units, long names, history), by field or axis, ``""`` for the file.

    Raises:
        UserError: a field or an axis holds no numbers.
    """

    layout: str
    fields: Mapping[str, Field]
    axes: Mapping[str, Nodes]
    parameters: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    guess: str = ""
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arrays = [(name, f.values) for name, f in self.fields.items()]
        arrays += [(name, n.values) for name, n in self.axes.items()]
        for name, values in arrays:
            if not values.size:
                raise UserError(f"`{name}` must hold numbers, got an array of shape {list(values.shape)}")


@dataclass(frozen=True)
class Wanted:
    """What a reader is asked for.

    Attributes:
        samples: how many trajectories, from the first; all by default.
        group: of a file that has several.
        fields: names in the file, by the names that they shall have.
        axes: likewise.
        most: bytes of values in memory; where all trajectories take more, every n-th is read. `samples` goes before.
    """

    samples: int | None = None
    group: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    most: int | None = None

    def which(self, total: int, shapes: Iterable[tuple[int, ...]]) -> slice:
        """The trajectories to read of `total`, of which one has fields of these shapes.

        >>> Wanted(samples=3).which(1000, [(20, 64)]), Wanted(most=1 << 20).which(1000, [(20, 64)])
        (slice(None, 3, None), slice(None, None, 10))
        """
        if self.samples is not None or self.most is None:
            return slice(self.samples)
        fit = max(self.most // max(8 * sum(map(math.prod, shapes)), 1), 1)
        if total <= fit:
            return slice(None)
        step = -(-total // fit)
        if (file := _file.get()) is not None:
            file.notes.append(f"one trajectory in {step} was read: {len(range(0, total, step)):,} of {total:,}")
        return slice(None, None, step)


@dataclass
class OneFile:
    """What happens while one file is read: bytes of the arrays that were read, and what was left out, in words."""

    taken: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_file: ContextVar[OneFile | None] = ContextVar("file", default=None)


@contextmanager
def one_file() -> Iterator[OneFile]:
    """A block that reads one file, whose arrays must be `affordable` together."""
    found = OneFile()
    token = _file.set(found)
    try:
        yield found
    finally:
        _file.reset(token)


def affordable(
    name: str, shape: tuple[int, ...], itemsize: int, stored: int, wanted: tuple[int, ...] | None = None
) -> None:
    """Refuse an array that `stored` bytes cannot hold, or of which the memory cannot hold the part that is wanted.

    The memory must hold it beside those that were read from the file before (`one_file`).

    Raises:
        UserError: the sentence has the sizes.
    """
    numbers = math.prod(shape)
    if numbers * itemsize > MOST_COMPRESSED * max(stored, 1):
        raise UserError(
            f"`{name}` declares the shape {list(shape)}, {numbers * itemsize:,} bytes, but only {stored:,} are stored"
        )
    shape = shape if wanted is None else wanted
    numbers = math.prod(shape)
    taken = [] if (file := _file.get()) is None else file.taken
    taken.append(8 * numbers)
    if sum(taken) > SHARE_OF_MEMORY * processes.memory():
        beside = f", {sum(taken) / 1e9:.3g} GB with the arrays before it" if len(taken) > 1 else ""
        raise UserError(
            f"`{name}` with shape {list(shape)} takes {8 * numbers / 1e9:.3g} GB{beside}, more than "
            f"{SHARE_OF_MEMORY:.0%} of the memory; give `samples` to read fewer trajectories"
        )


def said_of(data: Trajectories) -> dict[str, Any]:
    """The attributes of a file of our own: what `about_of` reads."""
    equation = data.equation
    said: dict[str, Any] = {
        "format": FORMAT,
        "equation": equation.text,
        "parameters": json.dumps(equation.parameters),
        "settings": json.dumps(dict(data.settings)),
        "version": data.version,
    }
    for name in ("independent", "unknowns"):
        if declared := getattr(equation, name):
            said[name] = ", ".join(declared)
    if data.name is not None:
        said["name"] = data.name
    if data.seed is not None:
        said["seed"] = data.seed
    return said


def plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Those attributes that are for people, numbers and texts as JSON and HDF5 have them, alone or in a list."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        held = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        several = list(held) if isinstance(held, list | tuple) else [held]
        several = [v.strip("\0") if isinstance(v, str) else v for v in several]
        kinds = {str if isinstance(v, str) else float if _is_number(v) else None for v in several}
        short = len(several) <= _MOST_ENTRIES and sum(len(v) for v in several if isinstance(v, str)) <= _LONGEST
        usual = isinstance(name, str) and name.isprintable() and name not in ("", *USED)
        whole = not any("\0" in v for v in several if isinstance(v, str))
        if usual and short and whole and kinds in ({str}, {float}):
            found[name] = several if isinstance(held, list | tuple) and len(several) > 1 else several[0]
        if len(found) == _MOST_ENTRIES:
            break
    return found


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
    return whole or (isinstance(value, float) and math.isfinite(value))


def attributes_of(data: Trajectories) -> dict[str, dict[str, Any]]:
    """What the file that data come from says of their fields and axes, and of itself as ``""``."""
    held = data.settings.get(ATTRIBUTES)
    names = ("", TIME, *data.fields, *(axis.name for axis in data.axes))
    return {n: plain(held[n]) for n in names if isinstance(held, Mapping) and isinstance(held.get(n), Mapping)}


def about_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of our own says of its data, from its attributes, as far as they are there and of their kind.

    Raises:
        UserError: one is no JSON.
    """
    about: dict[str, Any] = {}
    for name in TEXTS:
        value = said.get(name)
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
    seed = said.get("seed")
    if isinstance(seed, int | np.integer):
        about["seed"] = int(seed)
    return about


def most_bytes() -> int:
    """That one file may take in memory."""
    return int(SHARE_OF_MEMORY * processes.memory())
