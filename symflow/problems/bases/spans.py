"""Fields that discovery found, as fields that anything else in the package can use."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symflow.fields import Coordinates, Series

from ..residuals.frames import Frame
from .classes import FieldClass, Polynomials, monomials


@dataclass(frozen=True)
class SpanField:
    """Combinations of the fields of a class: K vector fields in the normalised units of their coordinates.

    Attributes:
        coordinates: the axes.
        frame: the whitened units of the class.
        fields: the class.
        combinations: ``[m, K]``.
    """

    coordinates: Coordinates
    frame: Frame
    fields: FieldClass
    combinations: Tensor

    @property
    def generators(self) -> int:
        """The number K."""
        return self.combinations.shape[1]

    def __call__(self, points: Tensor) -> Tensor:
        """Normalised points ``[..., d]`` to normalised vectors ``[..., K, d]``; differentiable for polynomials."""
        physical = self.coordinates.to_physical(points.double().cpu())
        w = self.frame.whiten(physical).reshape(-1, self.frame.dimension)
        if isinstance(self.fields, Polynomials):
            coefficients = self.fields.coefficients(self.combinations)
            vectors = torch.einsum("nf,kdf->nkd", monomials(w, self.fields.powers), coefficients)
        else:
            vectors = torch.einsum("nmd,mk->nkd", self.fields.fields(w), self.combinations)
        whole = self.coordinates.vectors_to_normalised(self.frame.vectors(vectors))
        found: Tensor = whole.unflatten(0, points.shape[:-1])
        return found.to(points)

    def series(self, points: Series) -> Series:
        """Truncated polynomials have no use for a field that is only known by its values."""
        raise NotImplementedError("a span has no series; its closed forms have, as a `SymbolicField`")

    def slot(self, k: int) -> SpanField:
        """The k-th vector field alone."""
        return replace(self, combinations=self.combinations[:, k : k + 1])
