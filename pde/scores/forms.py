"""The determining condition on jets for networks, which know no library: as rows, and as forms of batches."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
import torch
from torch import Tensor

from symflow.fields import Coordinates, NeuralField, Series, series, total_degree
from symflow.formulas import expressions
from symflow.learning import Condition, Family, RandomLayer, with_constant

from ..equations import Equation, JetSample, JetSpace
from ..symmetries import relative_coefficients, row_factors, solution_lines

BATCH = 1024  # points per step
FINAL = 8192  # points of the final solve
PART = 512  # points at a time: bounds the memory


@dataclass(frozen=True)
class JetForms:
    """The violation ``R/w`` and the size of combinations of features, on jets of solutions.

    R is the determining condition (`pde.symmetries.prolongation`), w its `term_scale`. Called as the forms of a
    `symflow.learning.Subspace`, it draws random batches, which depend on ``(seed, step)`` alone.
    """

    lines: Series  # normalised solution lines, [C, N, d]
    coefficients: Tensor  # [E, d, C, N]: of the normalised components' Taylor coefficients in R/w
    coordinates: Coordinates
    seed: int

    @staticmethod
    def of(equation: Equation, sample: JetSample, coordinates: Coordinates, seed: int) -> JetForms:
        """Prepares jets of solutions."""
        lines = solution_lines(equation, sample)
        normalised = coordinates.vectors_to_normalised(lines.coefficients)
        normalised[0] = coordinates.to_normalised(lines.coefficients[0])
        C = relative_coefficients(equation, sample, coordinates.scale)
        C = C * C.new_tensor(row_factors(lines.truncation))[:, None]
        return JetForms(Series(lines.truncation, normalised), C, coordinates, seed)

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
        h = self._features(field, which)
        R = torch.einsum("ecrn,rnf->encf", self.coefficients[..., which], h).flatten(2).flatten(0, 1)
        d, m = self.coefficients.shape[1], h.shape[-1]
        return (R.T @ R / len(R)).view(d, m, d, m), h[0].T @ h[0] / len(which)

    def _features(self, field: NeuralField, which: Tensor) -> Tensor:
        """The features of the one head and the constant along the lines, ``[C, n, m]``, float64."""
        lines = Series(self.lines.truncation, self.lines.coefficients[:, which].to(field.out_bias.dtype))
        features = field.features(lines).coefficients[..., 0, :]
        return torch.cat([with_constant(features[:1]), with_constant(features[1:], 0.0)]).double()

    @torch.no_grad()
    def condition(self, field: NeuralField, which: Tensor, superposed: Superposed | None = None) -> Condition:
        """The condition on fields over the features at some of the points, modulo superposed solutions."""
        rows, sizes, taken, known = [], [], [], []
        for part in which.split(PART):
            h = self._features(field, part)
            rows.append(torch.einsum("ecrn,rnf->necf", self.coefficients[..., part], h))
            sizes.append(h[0])
            if superposed is not None:
                f = superposed.along(Series(self.lines.truncation, self.lines.coefficients[:, part]), self.coordinates)
                of_unknowns = self.coefficients[:, -superposed.unknowns :, :, part]
                taken.append(torch.einsum("earn,rnf->neaf", of_unknowns, f))
                known.append(f[0])
        family = None
        if superposed is not None:
            d = self.coefficients.shape[1]
            values = torch.cat(known)
            family = Family(
                torch.cat(taken).flatten(2).flatten(0, 1), dict.fromkeys(range(d - superposed.unknowns, d), values)
            )
        return Condition(torch.cat(rows).flatten(0, 1), torch.cat(sizes), family)


@dataclass(frozen=True)
class Superposed:
    """Fields ``f h d/du`` for any functions f of the independent variables: features f, and h as a formula.

    Attributes:
        features: random ones, of the independent variables alone.
        factor: h, of the unknowns.
        space: the variables.
    """

    features: RandomLayer
    factor: sympy.Expr
    space: JetSpace

    @property
    def unknowns(self) -> int:
        """How many components the fields have, each with an f of its own."""
        return len(self.space.dependent)

    def at(self, points: Tensor, coordinates: Coordinates) -> Tensor:
        """``f h`` at normalised points ``[n, d]``: ``[n, k]``."""
        return self.along(Series(total_degree(0, 1), points[None]), coordinates)[0]

    def along(self, lines: Series, coordinates: Coordinates) -> Tensor:
        """``f h`` along normalised lines ``[C, n, d]``: ``[C, n, k]``."""
        features = self.features.field.features(lines).coefficients[..., 0, :]
        f = torch.cat([with_constant(features[:1]), with_constant(features[1:], 0.0)])
        rows = coordinates.vectors_to_physical(lines.coefficients)
        points = torch.cat([coordinates.to_physical(lines.coefficients[:1]), rows[1:]])
        columns = series.columns(Series(lines.truncation, points))
        h = expressions.evaluate(self.factor, dict(zip(self.space.variables, columns, strict=True)), series.FUNCTIONS)
        if not isinstance(h, Series):
            return f * float(h)
        return (Series(lines.truncation, f) * Series(lines.truncation, h.coefficients[..., None])).coefficients
