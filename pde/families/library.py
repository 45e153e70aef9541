"""Products of monomials and derivatives of arbitrary functions: the library in which families are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import sympy
import torch
from torch import Tensor

from symflow.fields import Series

from ..symmetries import Library
from .functions import Functions


@dataclass(frozen=True)
class FamilyLibrary(Library):
    """``m(z) f_k(omega(z))``: the derivatives of the functions are drawn at random, point by point.

    A combination that satisfies the determining condition for random derivatives does so for all functions.

    Attributes:
        arbitrary: f.
        order: of its highest derivative.
        seed: of the derivatives.
    """

    arbitrary: Functions = field(default_factory=lambda: Functions(()))
    order: int = 0
    seed: int = 0

    @cached_property
    def products(self) -> tuple[tuple[int, int], ...]:
        """Which monomials multiply which derivatives, low derivatives first."""
        derivatives = range(len(self.arbitrary.symbols(self.order)))
        return tuple((k, j) for j in derivatives for k in range(len(self.monomials)))

    @cached_property
    def functions(self) -> tuple[sympy.Expr, ...]:
        """The products."""
        symbols = self.arbitrary.symbols(self.order)
        monomials = [sympy.Mul(*(v**n for v, n in zip(self.variables, m, strict=True))) for m in self.monomials]
        return tuple(monomials[k] * symbols[j] for k, j in self.products)

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, d]`` to ``[C, N, functions]``."""
        f, n = self.arbitrary, points.coefficients.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        indices = f.indices(self.order + points.truncation.degree)
        jets = torch.randn(len(f.names), len(indices), n, generator=generator, dtype=torch.float64)
        derivatives = f.on_series(points, self.variables, self.order, jets)
        plain = Library(self.variables, self.monomials).on_series(points).unbind(-1)
        return torch.stack(
            [(Series(points.truncation, plain[k]) * derivatives[j]).coefficients for k, j in self.products], -1
        )


def family_library(
    variables: Sequence[sympy.Symbol], arbitrary: Functions, order: int, degree: int, seed: int = 0
) -> FamilyLibrary:
    """Over all monomials up to a degree, late coordinates last."""
    exponents = [m for m in product(range(degree + 1), repeat=len(variables)) if sum(m) <= degree]
    exponents.sort(key=lambda m: (sum(m), tuple(reversed(m))))
    return FamilyLibrary(tuple(variables), tuple(exponents), arbitrary=arbitrary, order=order, seed=seed)
