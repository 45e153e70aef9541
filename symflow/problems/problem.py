"""What discovery is asked: a residual of moved data, the data, and what is known about both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Coordinates

Array = Tensor | NDArray[Any]
Data = Array | tuple[Array, ...]
IN = "in"  # the space that is meant when none is named


class Move(Protocol):
    """The motion that a residual is asked about."""

    def __call__(self, points: Any, space: str = IN) -> Any:
        """Points ``[..., d]`` to where the motion takes them, of the same shape, kind and dtype."""


Residual = Callable[[Any, Any], Any]
"""``(move, batch) -> [B, ...]``: numbers per datum that stay what they are when the motion keeps the data valid."""


@dataclass(frozen=True)
class Problem:
    """A measure of validity and the data that it is about.

    A symmetry is a vector field whose flow changes no residual. The residual may call ``move`` several times, on points
    that have the datum as their first axis, or on points that all data share. ``move(points, space="out")`` moves
    points of a second space, with fields of its own.

    Args:
        residual: ``(move, batch) -> [B, ...]``, real numbers per datum that depend on this datum alone. ``move`` maps
            points ``[..., d]`` to ``[..., d]`` and is differentiable where the residual is.
        data: a tensor or array whose first axis is the datum, or a tuple of such; a batch is a part of it, in the same
            form.
        coordinates: of the points, or by space; their names appear in closed forms. By default ``x1, x2, ...`` in the
            space of ``move(points)``, and ``y1, y2, ...`` in any other.
        zero: whether valid data have the residual 0. The size of the residual on data that are not moved is then the
            resolution: smaller violations cannot be told from none.
        replicates: residuals that answer the same question with independent errors, for example networks trained
            anew. Fewer than three in all cannot tell an error from a violation.
        pooled: whether the residuals are kept on average over the data only; each datum is then one more sample.

    Raises:
        TypeError: a residual is not callable, or ``coordinates`` are none.
        UserError: the data are no arrays, empty, of different lengths or not finite.

    >>> circle = torch.randn(50, 2, dtype=torch.float64)
    >>> problem = Problem(lambda move, z: move(z).square().sum(-1), circle)
    >>> len(problem)
    50
    """

    residual: Residual
    data: Data
    coordinates: Coordinates | Mapping[str, Coordinates] | None = None
    zero: bool = False
    replicates: tuple[Residual, ...] = ()
    pooled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "replicates", tuple(self.replicates))
        for name, residual in (("residual", self.residual), *(("replicates", r) for r in self.replicates)):
            if not callable(residual):
                raise TypeError(f"`{name}` must be a function of move and batch, got {type(residual).__name__}")
        given = self.coordinates
        each = list(given.values()) if isinstance(given, Mapping) else [] if given is None else [given]
        if wrong := [c for c in each if not isinstance(c, Coordinates)]:
            raise TypeError(f"`coordinates` must be Coordinates, or such by space, got {type(wrong[0]).__name__}")
        parts = self.parts
        if not parts or not all(isinstance(part, Tensor | np.ndarray) and part.ndim for part in parts):
            raise UserError(f"`data` must be a tensor or a tuple of tensors, datum by datum, got {_kind(self.data)}")
        if any(isinstance(part, np.ndarray) and part.dtype.kind not in "biufc" for part in parts):
            raise UserError("`data` must be arrays of numbers, got one of Python objects")
        lengths = sorted({len(part) for part in parts})
        if len(lengths) > 1 or lengths[0] < 1:
            raise UserError(f"`data` must hold as many data in each tensor, at least one, got {lengths}")
        for part in parts:
            if not bool(np.isfinite(part).all() if isinstance(part, np.ndarray) else torch.isfinite(part).all()):
                raise UserError("`data` must be finite numbers, got some that are not")

    def __len__(self) -> int:
        return len(self.parts[0])

    @property
    def parts(self) -> tuple[Array, ...]:
        """The tensors of the data."""
        return self.data if isinstance(self.data, tuple) else (self.data,)

    def batch(self, index: Tensor) -> Any:
        """Some of the data, in the form in which they were given."""
        return self.regroup([_take(part, index) for part in self.parts])

    def regroup(self, parts: Sequence[Array]) -> Any:
        """Tensors of a batch in the form in which the data were given."""
        return tuple(parts) if isinstance(self.data, tuple) else parts[0]

    def named(self, space: str, dimension: int) -> Coordinates:
        """The coordinates of a space.

        Raises:
            UserError: those that were given have another dimension, or there are none for this space.
        """
        given = self.coordinates
        if isinstance(given, Coordinates):
            given = {IN: given}
        if given is None or (space != IN and space not in given and IN in given):
            letter = "x" if space == IN else "y"
            return Coordinates([f"{letter}{i + 1}" for i in range(dimension)])
        if space not in given:
            raise UserError(f"`coordinates` must name the space {space!r} that `residual` moves, got {list(given)}")
        if given[space].dimension != dimension:
            raise UserError(
                f"`coordinates` must have the {dimension} axes of the points that `residual` moves, "
                f"got {given[space].dimension}"
            )
        return given[space]


def _take(part: Array, index: Tensor) -> Array:
    return part[index.numpy()] if isinstance(part, np.ndarray) else part[index.to(part.device)]


def _kind(data: Any) -> str:
    return f"a tuple of {', '.join(type(d).__name__ for d in data)}" if isinstance(data, tuple) else type(data).__name__


def invariance(
    f: Callable[[Any], Any] | Sequence[Callable[[Any], Any]],
    data: Array,
    *,
    coordinates: Coordinates | None = None,
) -> Problem:
    """Which motions leave a function as it is: ``f(phi(z)) = f(z)``.

    Args:
        f: of points ``[B, d]``, or of data of several points ``[B, n, d]``, to ``[B, ...]``; a list of functions are
            replicates, which answer the same question with independent errors.
        data: where to ask, ``[B, d]`` or ``[B, n, d]``.
        coordinates: of the points.

    Raises:
        TypeError: ``f`` is not callable, or an empty list.

    >>> points = torch.randn(200, 3, dtype=torch.float64)
    >>> len(invariance(lambda z: z.square().sum(-1), points))
    200
    """
    several = list(f) if isinstance(f, Sequence) else [f]
    if not several or not all(callable(g) for g in several):
        raise TypeError(f"`f` must be a function or a list of functions, got {_kind(f)}")
    first, *others = [lambda move, z, g=g: g(move(z)) for g in several]
    return Problem(first, data, coordinates, replicates=tuple(others))


def equivariance(
    f: Callable[[Any], Any] | Sequence[Callable[[Any], Any]],
    data: Array,
    *,
    space: str = IN,
    coordinates: Coordinates | Mapping[str, Coordinates] | None = None,
) -> Problem:
    """Which motions commute with a map: ``f(phi(z)) = phi(f(z))``.

    Args:
        f: of points ``[B, d]`` or ``[B, n, d]`` to points; a list of maps are replicates.
        data: where to ask.
        space: "in" where the values of f are points of the same space; "out" for a space of their own, where fields
            come in pairs: one moves the arguments, the other the values.
        coordinates: of the points, or by space.

    Raises:
        TypeError: ``f`` is not callable, or an empty list.

    >>> turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    >>> len(equivariance(lambda z: z @ turn, torch.randn(100, 2, dtype=torch.float64)))
    100
    """
    several = list(f) if isinstance(f, Sequence) else [f]
    if not several or not all(callable(g) for g in several):
        raise TypeError(f"`f` must be a map or a list of maps, got {_kind(f)}")
    first, *others = [lambda move, z, g=g: g(move(z)) - move(g(z), space=space) for g in several]
    return Problem(first, data, coordinates, replicates=tuple(others))


def stream(purpose: str, seed: int) -> torch.Generator:
    """Random numbers for one purpose, independent of those that anybody draws with the bare seed.

    Probes drawn with the seed of the data are the data, and then find symmetries that are not there.
    """
    digest = hashlib.sha256(f"symflow.discovery {purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
