"""Parts of a large data set: which trajectories a part has, and the whole of all parts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from symflow.errors import UserError
from symflow.runs import replacing

from .data import Trajectories
from .files import lay_out, load
from .layouts.reading import reason

AT_ONCE = 1 << 22  # numbers that are copied at a time
SHARD, OF = "shard", "of"  # among the settings of a part: which it is, and of how many trajectories


def share(shard: str | None, samples: int) -> range:
    """The numbers of the trajectories of a part, ``"3/8"``, of so many; of all of them without one.

    Parts differ by one trajectory at most, and together are the whole.

    Raises:
        UserError: the text is no part.

    >>> share("2/3", 10), share(None, 10)
    (range(3, 6), range(0, 10))
    """
    if shard is None:
        return range(samples)
    which, _, parts = shard.partition("/")
    if not (which.isdecimal() and parts.isdecimal() and 1 <= int(which) <= int(parts) <= samples):
        raise UserError(f"`shard` must be a part such as 3/8, of at most {samples} (`samples`), got {shard!r}")
    return range(samples * (int(which) - 1) // int(parts), samples * int(which) // int(parts))


@dataclass(frozen=True)
class _Part:
    """A file, and what it is a part of."""

    path: Path
    numbers: range
    parts: int
    of: int
    first: Trajectories  # its first trajectory, with all that is said of it


def merge(paths: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Writes the trajectories of all parts that ``generate(..., shard="i/n")`` made into one file.

    The file holds what one call without ``shard`` makes, bit for bit. Parts may come in any order; memory does not grow
    with them.

    Args:
        paths: of the parts, all of them and each once.
        out: the file to write.
        overwrite: replace a file that is there.

    Raises:
        UserError: a file is no part, one is missing or there twice, or two were made with other settings; `out` is
            there already; or the disk is full.
    """
    import h5py

    out = Path(out)
    if out.exists() and not overwrite:
        raise UserError(f"`out` must be a new file, got {str(out)!r}, which exists")
    parts = sorted((_part(Path(path)) for path in paths), key=lambda p: p.numbers.start)
    _check(parts)
    first = parts[0].first
    settings = {k: v for k, v in first.settings.items() if k not in (SHARD, OF)}
    whole = replace(first, settings=settings)
    try:
        with replacing(out) as temporary, h5py.File(temporary, "w") as target:
            shape = first.u.shape[1:] if len(first.fields) == 1 else first.u.shape[1:-1]
            held = [target.create_dataset(name, (parts[0].of, *shape), np.float64) for name in first.fields]
            for part in parts:
                _copy(part, target)
            lay_out(target, whole, parts[0].of, *held)
    except (OSError, RuntimeError) as error:  # HDF5 raises either when a write fails
        raise UserError(f"cannot write {out}: {reason(error)}; nothing was changed there") from None
    return out


def _part(path: Path) -> _Part:
    first = load(path, samples=1)
    shard, of = first.settings.get(SHARD), first.settings.get(OF)
    if not isinstance(shard, str) or type(of) is not int:
        raise UserError(f"{str(path)!r} must be a part that `symflow generate --shard` made, got a file that is none")
    return _Part(path, share(shard, of), int(shard.partition("/")[2]), of, first)


def _check(parts: Sequence[_Part]) -> None:
    """Refuses what is not all parts of one set."""
    if not parts:
        raise UserError("`parts` must be files, got none")
    for part in parts[1:]:
        for name, value in _said(parts[0]).items():
            other = _said(part)[name]
            if other != value:
                raise UserError(
                    f"{str(part.path)!r} must be a part of the same set as {str(parts[0].path)!r}, got {name} = "
                    f"{other!r} and {value!r}"
                )
    for name in ("t", "x"):
        if not all(torch.equal(getattr(p.first, name), getattr(parts[0].first, name)) for p in parts):
            raise UserError(f"the parts must have the same {name}, got others")
    count = parts[0].parts
    expected = [share(f"{i + 1}/{count}", parts[0].of) for i in range(count)]
    held = [p.numbers for p in parts]
    if missing := [i + 1 for i, numbers in enumerate(expected) if numbers not in held]:
        raise UserError(
            f"all {count} parts must be there, got none that is {', '.join(f'{i}/{count}' for i in missing)}"
        )
    if len(held) > count:
        twice = next(a.path for a, b in pairwise(parts) if a.numbers == b.numbers)
        raise UserError(f"each part must be there once, got that of {str(twice)!r} twice")


def _said(part: _Part) -> dict[str, Any]:
    """What all parts have in common."""
    data = part.first
    settings = {k: v for k, v in data.settings.items() if k != SHARD}
    equation = f"{data.equation.text} {data.equation.parameters}"
    return {"equation": equation, "seed": data.seed, "version": data.version, "n": part.parts, **settings}


def _copy(part: _Part, target: Any) -> None:
    import h5py

    count = len(part.numbers)
    with h5py.File(part.path, "r") as file:
        for name in part.first.fields:
            if file[name].shape != (count, *target[name].shape[1:]):
                raise UserError(
                    f"{str(part.path)!r} must hold {count} trajectories, got shape {list(file[name].shape)}"
                )
            each = max(1, AT_ONCE // int(np.prod(file[name].shape[1:])))
            for begin in range(0, count, each):
                end = min(begin + each, count)
                target[name][part.numbers.start + begin : part.numbers.start + end] = file[name][begin:end]
