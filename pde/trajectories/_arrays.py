"""What every layout of a file is read into, and the sizes that it may declare."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from symflow.errors import UserError
from symflow.runs import processes

SHARE_OF_MEMORY = 0.5  # of the machine's memory, for the numbers of one file
MOST_COMPRESSED = 1_100  # deflate reaches 1,032: a file that declares more than that was never written to the end


@dataclass
class _Raw:
    """What a file holds, before it is made into trajectories."""

    u: NDArray[Any]  # [S, T, X], [T, X] or [X, T]
    x: NDArray[Any]
    t: NDArray[Any]
    about: dict[str, Any] = field(default_factory=dict)  # equation, parameters, name, seed, settings, version
    space_first: bool = False  # for a square [X, T]


def _affordable(
    name: str, shape: tuple[int, ...], itemsize: int, stored: int, wanted: tuple[int, ...] | None = None
) -> None:
    """Refuse an array that `stored` bytes cannot hold, or of which the memory cannot hold the part that is wanted."""
    numbers = math.prod(shape)
    if numbers * itemsize > MOST_COMPRESSED * max(stored, 1):
        raise UserError(
            f"`{name}` declares the shape {list(shape)}, {numbers * itemsize:,} bytes, but only {stored:,} are stored"
        )
    shape = shape if wanted is None else wanted
    numbers = math.prod(shape)
    if 8 * numbers > SHARE_OF_MEMORY * processes.memory():
        raise UserError(
            f"`{name}` with shape {list(shape)} takes {8 * numbers / 1e9:.3g} GB, more than {SHARE_OF_MEMORY:.0%} of "
            "the memory; give `samples` to read fewer trajectories"
        )
