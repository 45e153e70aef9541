"""Axes of the space the data lives in, and the only place where units are converted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, init=False)
class Coordinates:
    """Names, periods, physical offset and scale of each axis of the space of points.

    A physical value ``p`` and its normalised value ``z`` satisfy ``z = (p - offset) / scale`` on every axis;
    a vector component transforms with the scale alone, ``v_physical = scale * v``. Networks see normalised values,
    people and files see physical ones.

    Args:
        names: one name per axis, for example ``("x", "t", "u")``.
        periods: the physical period of each axis, ``None`` where the axis is not periodic; all ``None`` by default.
        offset: the physical value at the normalised origin, one per axis; zeros by default.
        scale: the physical length of one normalised unit, one per axis, positive; ones by default.

    Raises:
        ValueError: a name is repeated or no identifier, a length differs from that of ``names``, a number is not
            finite, or a scale or period is not positive.

    >>> c = Coordinates(("x", "t", "u"), periods=(128.0, None, None), scale=(128.0, 100.0, 3.0))
    >>> c.to_physical(torch.tensor([0.5, 0.1, 1.0]))
    tensor([64., 10.,  3.])
    >>> c.normalised_periods
    (1.0, None, None)
    """

    names: tuple[str, ...]
    periods: tuple[float | None, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def __init__(
        self,
        names: Sequence[str],
        periods: Sequence[float | None] | None = None,
        offset: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        names = tuple(names)
        d = len(names)
        if d == 0 or len(set(names)) != d or not all(isinstance(n, str) and n.isidentifier() for n in names):
            raise ValueError(f"`names` must be distinct identifiers, at least one, got {names!r}")

        def per_axis(
            argument: str, values: Sequence[float | None] | None, default: float | None
        ) -> tuple[float | None, ...]:
            if values is None:
                return (default,) * d
            values = tuple(None if v is None else float(v) for v in values)
            if len(values) != d:
                raise ValueError(f"`{argument}` must have one entry for each of the {d} axes, got {len(values)}")
            if any(v is not None and not math.isfinite(v) for v in values):
                raise ValueError(f"`{argument}` must be finite, got {values}")
            return values

        values = {
            "periods": per_axis("periods", periods, None),
            "offset": per_axis("offset", offset, 0.0),
            "scale": per_axis("scale", scale, 1.0),
        }
        for argument in ("periods", "scale"):
            if any(v is not None and v <= 0 for v in values[argument]):
                raise ValueError(f"`{argument}` must be positive, got {values[argument]}")
        if None in values["offset"] or None in values["scale"]:
            raise ValueError("`offset` and `scale` must be numbers on every axis, got None")
        object.__setattr__(self, "names", names)
        for argument, v in values.items():
            object.__setattr__(self, argument, v)

    @property
    def dimension(self) -> int:
        """The number of axes d."""
        return len(self.names)

    @property
    def normalised_periods(self) -> tuple[float | None, ...]:
        """The period of each axis in normalised units, ``None`` where it is not periodic."""
        return tuple(None if p is None else p / s for p, s in zip(self.periods, self.scale, strict=True))

    def _row(self, values: tuple[float, ...], like: Tensor) -> Tensor:
        if not isinstance(like, Tensor):
            raise TypeError(f"points must be a tensor or an array [..., {self.dimension}], got {type(like).__name__}")
        if like.shape[-1] != self.dimension:
            raise ValueError(
                f"the last dimension must hold the {self.dimension} coordinates {self.names}, "
                f"got shape {tuple(like.shape)}"
            )
        return torch.tensor(values, dtype=like.dtype, device=like.device)

    def to_physical(self, points: Tensor) -> Tensor:
        """Points ``[..., d]`` from normalised to physical units."""
        return points * self._row(self.scale, points) + self._row(self.offset, points)

    def to_normalised(self, points: Tensor) -> Tensor:
        """Points ``[..., d]`` from physical to normalised units."""
        return (points - self._row(self.offset, points)) / self._row(self.scale, points)

    def vectors_to_physical(self, vectors: Tensor) -> Tensor:
        """Vectors ``[..., d]`` from normalised to physical units."""
        return vectors * self._row(self.scale, vectors)

    def vectors_to_normalised(self, vectors: Tensor) -> Tensor:
        """Vectors ``[..., d]`` from physical to normalised units."""
        return vectors / self._row(self.scale, vectors)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, read back by ``Coordinates(**d)``."""
        return {k: list(getattr(self, k)) for k in ("names", "periods", "offset", "scale")}
