"""Weighted sums of closed forms as one field, each trajectory with weights of its own."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
import torch
from torch import Tensor

from symflow.fields import Coordinates, Field, Series, SymbolicField, series
from symflow.formulas import expressions


class Combination:
    """``sum_k weights[b, k] V_k`` of closed forms as one field on points ``[B, N, d]``: what is 0 costs nothing."""

    generators = 1

    def __init__(self, field: SymbolicField, weights: Tensor, kept: int | None = None) -> None:
        """Of the first ``kept`` coordinates; the others stay."""
        self.coordinates: Coordinates = field.coordinates
        self._symbols, self._weights = field.symbols, weights[:, :, None]
        self._components: Sequence[Sequence[sympy.Expr]] = [row[:kept] for row in field.components]

    def __call__(self, points: Tensor) -> Tensor:
        physical = self.coordinates.to_physical(points).unbind(-1)
        values = dict(zip(self._symbols, physical, strict=True))
        columns = [torch.zeros_like(like) for like in physical]
        for k, components in enumerate(self._components):
            for i, component in enumerate(components):
                if component != 0:
                    value = expressions.evaluate(component, values, series.FUNCTIONS)
                    columns[i] = columns[i] + self._weights[:, k] * value
        return self.coordinates.vectors_to_normalised(torch.stack(columns, -1))[..., None, :]

    def series(self, points: Series) -> Series:
        raise NotImplementedError("a combination has values only")

    def slot(self, k: int) -> Field:
        return self
