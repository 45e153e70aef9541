"""The library-free route: the span of symmetries learned by a network from the determining condition on jets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.fields import Coordinates, NeuralField, Series
from symflow.learning import with_constant

from ..equations import Equation, JetSample
from ..symmetries import relative_coefficients, row_factors, solution_lines

BATCH = 1024  # points per step
FINAL = 8192  # points of the final solve


@dataclass(frozen=True)
class JetForms:
    """The violation ``E[(R/w)^2]`` and the size of combinations of features, on random batches of jets.

    R is the determining condition (`pde.symmetries.prolongation`), w its `term_scale`. Batches depend on ``(seed,
    step)`` alone.
    """

    lines: Series  # normalised solution lines, [C, N, d]
    coefficients: Tensor  # [E, d, C, N]: of the normalised components' Taylor coefficients in R/w
    seed: int

    @staticmethod
    def of(equation: Equation, sample: JetSample, coordinates: Coordinates, seed: int) -> JetForms:
        """Prepares jets of solutions."""
        lines = solution_lines(equation, sample)
        normalised = coordinates.vectors_to_normalised(lines.coefficients)
        normalised[0] = coordinates.to_normalised(lines.coefficients[0])
        C = relative_coefficients(equation, sample, coordinates.scale)
        C = C * C.new_tensor(row_factors(lines.truncation))[:, None]
        return JetForms(Series(lines.truncation, normalised), C, seed)

    def sample(self, step: int) -> Tensor:
        """Indices of the points of a step."""
        count = self.coefficients.shape[-1]
        if step < 0:
            return torch.arange(min(FINAL, count))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return torch.randint(count, (BATCH,), generator=generator)

    def __call__(self, field: NeuralField, step: int) -> tuple[Tensor, Tensor]:
        """``G [d, m, d, m]`` and ``M [m, m]``, float64."""
        which = self.sample(step)
        lines = Series(self.lines.truncation, self.lines.coefficients[:, which].to(field.out_bias.dtype))
        features = field.features(lines).coefficients[..., 0, :]  # [C, N, F], of the one head
        h = torch.cat([with_constant(features[:1]), with_constant(features[1:], 0.0)]).double()
        E, d = self.coefficients.shape[:2]
        R = torch.einsum("ecrn,rnf->encf", self.coefficients[..., which], h).flatten(2).flatten(0, 1)
        n, m = len(which), h.shape[-1]
        return (R.T @ R / (E * n)).view(d, m, d, m), h[0].T @ h[0] / n
