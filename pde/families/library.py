"""Products of monomials and derivatives of arbitrary functions: the library in which families are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import sympy
import torch
from torch import Tensor

from symflow.fields import Series, series

from .functions import Functions


@dataclass(frozen=True)
class FamilyLibrary:
    """``m(z) f_k(omega(z))``: the derivatives of the functions are drawn at random, point by point.

    A combination that satisfies the determining condition for random derivatives does so for all functions.

    Attributes:
        variables: the coordinates.
        functions_of: f.
        order: the highest derivative.
        degree: of the monomials.
        seed: of the derivatives.
    """

    variables: tuple[sympy.Symbol, ...]
    functions_of: Functions
    order: int
    degree: int
    seed: int = 0

    @cached_property
    def monomials(self) -> tuple[sympy.Expr, ...]:
        """From low to high degree, late coordinates last."""
        exponents = [m for m in product(range(self.degree + 1), repeat=len(self.variables)) if sum(m) <= self.degree]
        exponents.sort(key=lambda m: (sum(m), tuple(reversed(m))))
        return tuple(sympy.Mul(*(v**n for v, n in zip(self.variables, m, strict=True))) for m in exponents)

    @cached_property
    def functions(self) -> tuple[sympy.Expr, ...]:
        """The products, low derivatives first."""
        return tuple(m * s for s in self.functions_of.symbols(self.order) for m in self.monomials)

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """Which monomial and which derivative."""
        symbols = range(len(self.functions_of.symbols(self.order)))
        return tuple((k, j) for j in symbols for k in range(len(self.monomials)))

    def __len__(self) -> int:
        return len(self.products)

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, d]`` to ``[C, N, functions]``."""
        f, n = self.functions_of, points.coefficients.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        indices = f.indices(self.order + points.truncation.degree)
        jets = torch.randn(len(f.names), len(indices), n, generator=generator, dtype=torch.float64)
        derivatives = f.on_series(points, self.variables, self.order, jets)
        values = dict(zip(self.variables, series.columns(points), strict=True))
        one = Series(points.truncation, torch.zeros_like(points.coefficients[..., 0])) + 1.0
        monomials = [_product(one, m, values) for m in self.monomials]
        return torch.stack([(m * d).coefficients for d in derivatives for m in monomials], -1)


def _product(one: Series, monomial: sympy.Expr, values: dict[sympy.Symbol, Series]) -> Series:
    found = one
    for z, n in monomial.as_powers_dict().items():
        for _ in range(int(n) if z in values else 0):
            found = found * values[z]
    return found


def components(names: Sequence[str]) -> list[str]:
    """``dx, dt, du``."""
    return ["d" + name for name in names]
