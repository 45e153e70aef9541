"""The Taylor polynomials of families and generators at a point: what adds nothing to them is nothing new."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm
from symflow.algebra import values as numbers
from symflow.fields import Series, series, total_degree
from symflow.formulas import expressions

from ..equations import Equation, Manifold
from .family import Family

TAYLOR = 4  # the order to which families are told from each other
NEW = 1e-7  # of a Taylor polynomial of unit size that is in no span: more than rounding


def _point(equation: Equation, seed: int) -> Tensor:
    """One near 1 in every coordinate, or else one of a jet: where the roots and logarithms of the equation are real."""
    variables = equation.space.variables
    formulas = (*equation.residuals, *equation.rules.values())
    parts = {p for F in formulas for p in F.atoms(sympy.Pow, sympy.Function) if p.free_symbols <= {*variables}}
    generator = torch.Generator().manual_seed(seed)
    near = 0.6 + 0.8 * torch.rand(len(variables), generator=generator, dtype=torch.float64)
    at = dict(zip(variables, near.numpy(), strict=True))
    if all(np.isfinite(numbers(p, at)) for p in parts):
        return near
    return Manifold(equation).sample(1, seed).points[0]


class Spans:
    """A span of Taylor polynomials of fields, which grows.

    Attributes:
        basis: orthonormal, ``[rank, monomials d]``.
    """

    def __init__(self, equation: Equation, order: int = TAYLOR, seed: int = 0) -> None:
        self.variables = equation.space.variables
        self.truncation = total_degree(order, len(self.variables))
        self.point = _point(equation, seed)
        self.basis = torch.zeros(0, len(self.truncation) * len(self.variables), dtype=torch.float64)

    def adds(self, rows: Tensor) -> bool:
        """Whether some of the polynomials are not in the span."""
        return len(self._rest(rows)) > 0

    def add(self, rows: Tensor) -> None:
        """Makes them a part of the span."""
        self.basis = torch.cat([self.basis, self._rest(rows)])

    def _rest(self, rows: Tensor) -> Tensor:
        """An orthonormal basis of what is not in the span."""
        rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-300)
        for _ in range(2):
            rows = rows - rows @ self.basis.T @ self.basis
        _, values, right = torch.linalg.svd(rows, full_matrices=False)
        new: Tensor = right[values > NEW]
        return new

    def dimensions(self) -> tuple[int, ...]:
        """Of the polynomials of order 0, 1, ... that the span has."""
        d = len(self.variables)
        ranks = []
        for order in range(self.truncation.degree + 1):
            low = torch.tensor([sum(m) <= order for m in self.truncation.monomials for _ in range(d)])
            values = torch.linalg.svdvals(self.basis[:, low]) if len(self.basis) else self.basis.new_zeros(0)
            ranks.append(int((values > NEW).sum()))
        return tuple(ranks)

    def polynomials(self, family: Family) -> Tensor:
        """Of a family, for all functions: ``[functions, monomials d]``."""
        f = family.functions
        at = dict(zip(self.variables, self.point.tolist(), strict=True))
        jets = f.jets(family.order + self.truncation.degree, at)
        points = self._points(jets.shape[-1])
        derivatives = f.on_series(points, self.variables, family.order, jets)
        return self._evaluated(family.form, points, dict(zip(f.symbols(family.order), derivatives, strict=True)))

    def polynomial(self, form: ClosedForm) -> Tensor:
        """Of one generator, ``[1, monomials d]``."""
        return self._evaluated(form, self._points(1), {})

    def _points(self, count: int) -> Series:
        d = len(self.variables)
        coefficients = torch.zeros(len(self.truncation), count, d, dtype=torch.float64)
        coefficients[0] = self.point
        for i in range(d):
            coefficients[self.truncation.index[tuple(int(i == j) for j in range(d))], :, i] = 1.0
        return Series(self.truncation, coefficients)

    def _evaluated(self, form: ClosedForm, points: Series, more: Mapping[sympy.Symbol, Series]) -> Tensor:
        values = dict(zip(self.variables, series.columns(points), strict=True)) | dict(more)
        zero = Series(self.truncation, torch.zeros_like(points.coefficients[..., 0]))
        parts = [
            (zero + expressions.evaluate(form["d" + z.name], values, series.FUNCTIONS)).coefficients
            for z in self.variables
        ]
        return torch.stack(parts, -1).transpose(0, 1).flatten(1)
