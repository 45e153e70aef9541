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

from ..equations import Equation
from ..symmetries import Library, literal_functions
from .functions import Functions

MOST_COMPANIONS = 2  # functions beside monomials


@dataclass(frozen=True)
class FamilyLibrary(Library):
    """``m(z) s(z) f_k(omega(z))``: the derivatives of the functions are drawn at random, point by point.

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
        """Which functions of `plain` multiply which derivatives, low derivatives first."""
        derivatives = range(len(self.arbitrary.symbols(self.order)))
        return tuple((k, j) for j in derivatives for k in range(len(self.plain)))

    @cached_property
    def plain(self) -> Library:
        """Monomials times special functions."""
        return Library(self.variables, self.monomials, self.special)

    @cached_property
    def functions(self) -> tuple[sympy.Expr, ...]:
        """The products."""
        symbols = self.arbitrary.symbols(self.order)
        return tuple(self.plain.functions[k] * symbols[j] for k, j in self.products)

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, d]`` to ``[C, N, functions]``."""
        f, n = self.arbitrary, points.coefficients.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        indices = f.indices(self.order + points.truncation.degree)
        jets = torch.randn(len(f.names), len(indices), n, generator=generator, dtype=torch.float64)
        derivatives = f.on_series(points, self.variables, self.order, jets)
        plain = self.plain.on_series(points).unbind(-1)
        return torch.stack(
            [(Series(points.truncation, plain[k]) * derivatives[j]).coefficients for k, j in self.products], -1
        )


def family_library(
    variables: Sequence[sympy.Symbol],
    arbitrary: Functions,
    order: int,
    degree: int,
    seed: int = 0,
    special: Sequence[sympy.Expr] = (),
) -> FamilyLibrary:
    """Over all monomials up to a degree, late coordinates last, and these times special functions."""
    exponents = [m for m in product(range(degree + 1), repeat=len(variables)) if sum(m) <= degree]
    exponents.sort(key=lambda m: (sum(m), tuple(reversed(m))))
    special = (sympy.Integer(1), *special)
    return FamilyLibrary(tuple(variables), tuple(exponents), special, arbitrary, order, seed)


def logarithmic_derivatives(equation: Equation) -> tuple[sympy.Expr, ...]:
    """``a'/a`` of the functions a of one independent variable in the formula, but for polynomials and their quotients.

    A factor ``cosh(x)`` of ``exp(u)`` is taken into u by its logarithm, whose derivative then stands beside f.
    """
    found: list[sympy.Expr] = []
    for z in equation.space.variables[: len(equation.space.independent)]:
        own = (a for a in literal_functions(equation)[1:] if a.has(z))
        slopes = (sympy.simplify(sympy.diff(a, z) / a) for a in own)
        found += [slope for slope in slopes if not slope.is_rational_function(z)]
    # those of a and 1/a are the same
    signless = {min(slope, -slope, key=str): None for slope in found}
    return tuple(signless)[:MOST_COMPANIONS]
