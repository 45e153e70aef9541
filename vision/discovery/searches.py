"""The search for fields on the pixel plane, as all spans of a discovery share it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from symflow.algebra import subspace_angles
from symflow.learning import learn

from ..search import AFFINE, Basis, CheapestFields, Forms, Slots, affineness, cheapest_fields, responses, slot_field
from .entries import AFFINE_RANK, ComparedSpan

UNSCORED_STEPS, UNSCORED_RATE = 300, 1e-3  # of the control without a score, at ten times the paper's rate


def forms_of(sensitivity: Tensor, basis: Basis, locality: float, flip: bool) -> Forms:
    """What motions cost, and what their patches cost out of step; averaged with their mirror images if wanted."""
    forms = Forms.of(responses(sensitivity, basis.values), locality)
    return forms.averaged(basis.mirror) if flip else forms


@dataclass(frozen=True)
class Search:
    """What all searches have in common: where fields live, how they are measured, and how many are wanted."""

    basis: Basis
    measure: Tensor
    count: int

    @cached_property
    def gram(self) -> Tensor:
        return self.basis.gram(self.measure)

    def solve(self, forms: Forms, mu: float) -> CheapestFields:
        return cheapest_fields(forms, self.basis.energy, self.gram, mu, self.count)

    def span(self, found: CheapestFields) -> ComparedSpan:
        values = self.basis.fields(found.coefficients)
        return self.measured(values, found.values.tolist(), self.algebra(found.coefficients)[1])

    def measured(self, values: Tensor, costs: list[float], closure: float | None) -> ComparedSpan:
        """How affine fields with these values ``[N, K, 2]`` at the pixels are."""
        points, root = self.basis.points, self.measure.sqrt()[:, None, None]
        angles = subspace_angles(values[:, :AFFINE_RANK] * root, AFFINE(points) * root)
        return ComparedSpan(costs, affineness(values, points, self.measure).tolist(), angles.tolist(), closure)

    def algebra(self, coefficients: Tensor) -> tuple[Tensor, float | None]:
        """Structure constants of the first six fields by least squares, and what of the brackets these leave out.

        The latter is the norm of all brackets' remainders over that of all brackets: 0 for a closed algebra; ``None``
        where all brackets vanish.
        """
        first = coefficients[:, :AFFINE_RANK]
        values, brackets = self.basis.fields(first), self.basis.brackets(first)
        constants = torch.einsum("nabd,nkd,n->abk", brackets, values, self.measure)  # the fields are orthonormal
        remainders = brackets - torch.einsum("abk,nkd->nabd", constants, values)
        rest, size = (
            float((b.square() * self.measure[:, None, None, None]).sum().sqrt()) for b in (remainders, brackets)
        )
        return constants, rest / size if size > 1e-9 else None

    def unscored(self, pixels: Tensor, seed: int) -> ComparedSpan:
        """The slots of the paper, learned from its losses alone: orthogonal to each other and not too steep."""
        field = slot_field(self.count, seed)
        objective = Slots(pixels, None, self.measure, steps=UNSCORED_STEPS, peak=UNSCORED_RATE, seed=seed)
        learn(field, objective, stage="no score")
        with torch.no_grad():
            return self.measured(field.double()(self.basis.points), [], None)
