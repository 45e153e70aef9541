"""Arbitrary functions of given arguments: symbols for their derivatives, the chain rule, and values on series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, product

import sympy
import torch
from torch import Tensor

from symflow.fields import Series, series
from symflow.formulas import expressions

from ..equations import derivative

Index = tuple[int, ...]
_Linear = dict[tuple[int, Index], sympy.Expr]  # the coefficient of every derivative of every function
FREE = 1e-10  # relative: singular values of equations below it are rounding


@dataclass(frozen=True)
class Functions:
    """Functions f, g of some arguments, or the two parts of a holomorphic function of one complex argument.

    With arguments omega the derivative of order k is a symbol ``f_k``, and

        d f_k/dz = sum_j f_(k + e_j) d omega_j/dz.

    A complex argument is ``a + i c b`` of two coordinates: ``F = f + i g``, ``F_k`` its complex derivatives,

        d f_k/da = f_(k+1),   d f_k/db = -c g_(k+1),   d g_k/da = g_(k+1),   d g_k/db = c f_(k+1).

    Attributes:
        arguments: formulas in the coordinates.
        names: a letter for each function.
        turn: c, of a complex argument, whose two parts are coordinates; ``None`` for real ones.
        equations: linear ones in the symbols, with coefficients in the coordinates, that the functions have to solve.
    """

    arguments: tuple[sympy.Expr, ...]
    names: tuple[str, ...] = ("f",)
    turn: sympy.Expr | None = None
    equations: tuple[sympy.Expr, ...] = ()

    @property
    def depth(self) -> int:
        """Of an index: how many arguments can be differentiated by."""
        return len(self.arguments) if self.turn is None else 1

    @property
    def units(self) -> list[sympy.Expr]:
        """Irrational numbers that coefficients of families are rational multiples of: slopes of arguments, 1/slopes."""
        slopes = [sympy.diff(a, z) for a in self.arguments for z in sorted(a.free_symbols, key=str)]
        slopes += [] if self.turn is None else [self.turn]
        numbers = [c for c in slopes if c.is_number and not c.is_Rational]
        return list(dict.fromkeys(n for c in numbers for n in (c, sympy.radsimp(1 / c))))

    def indices(self, order: int) -> list[Index]:
        """Of the derivatives up to an order, low ones first."""
        found = [k for k in product(range(order + 1), repeat=self.depth) if sum(k) <= order]
        return sorted(found, key=lambda k: (sum(k), tuple(-n for n in k)))

    def symbol(self, index: Index, part: int = 0) -> sympy.Symbol:
        """``f``, ``f_t``, ``f_tt``; by number, ``f_1``, where an argument is no coordinate."""
        if all(a.is_Symbol for a in self.arguments):
            letters = [a.name for a, n in zip(self.arguments, index, strict=False) for _ in range(n)]
        else:
            letters = [str(j + 1) for j, n in enumerate(index) for _ in range(n)]
        return derivative(self.names[part], letters)

    def symbols_of(self, index: Index) -> list[sympy.Symbol]:
        """Of one derivative of every function."""
        return [self.symbol(index, part) for part in range(len(self.names))]

    def symbols(self, order: int) -> list[sympy.Symbol]:
        """Of all derivatives up to an order."""
        return [s for k in self.indices(order) for s in self.symbols_of(k)]

    def located(self, order: int) -> dict[sympy.Symbol, tuple[int, Index]]:
        """Which function and derivative every symbol is."""
        return {self.symbol(k, p): (p, k) for k in self.indices(order) for p in range(len(self.names))}

    def along(self, formula: sympy.Expr, z: sympy.Symbol, order: int) -> sympy.Expr:
        """``d/dz`` of a formula in the coordinates and derivatives up to an order."""
        total = sympy.diff(formula, z)
        used = formula.free_symbols
        for symbol, (part, index) in self.located(order).items():
            if symbol not in used:
                continue
            slope = sympy.diff(formula, symbol)
            if self.turn is None:
                for j, argument in enumerate(self.arguments):
                    total += slope * self.symbol(_raised(index, j), part) * sympy.diff(argument, z)
            elif z == self.arguments[0]:
                total += slope * self.symbol(_raised(index, 0), part)
            elif z == self.arguments[1]:
                total += slope * (-1 if part == 0 else 1) * self.turn * self.symbol(_raised(index, 0), 1 - part)
        return total

    @property
    def conditions(self) -> tuple[sympy.Expr, ...]:
        """What must vanish: the equations, or Cauchy and Riemann's of a complex argument."""
        if self.turn is None:
            return self.equations
        a, b = (z.name for z in self.arguments)
        f, g = self.names
        of = {(n, z): sympy.Symbol(f"{n}_{z}", real=True) for n in (f, g) for z in (a, b)}
        return of[f, b] + self.turn * of[g, a], self.turn * of[f, a] - of[g, b]

    def renamed(self, names: Sequence[str]) -> Functions:
        """With other letters."""
        other = replace(self, names=tuple(names), equations=())
        order = max(map(self._order, self.equations), default=0)
        swapped = dict(zip(self.symbols(order), other.symbols(order), strict=True))
        return replace(other, equations=tuple(e.subs(swapped, simultaneous=True) for e in self.equations))

    def _order(self, formula: sympy.Expr) -> int:
        """Of the highest derivative in a formula."""
        used = {s for s in formula.free_symbols if s.name.partition("_")[0] in self.names}
        return next(n for n in count() if used <= set(self.symbols(n)))

    def jets(self, order: int, at: Mapping[sympy.Symbol, float]) -> Tensor:
        """All derivatives up to an order that the functions can have at a point: ``[parts, indices, free ones]``.

        Those that solve the equations and what follows from them by differentiation.
        """
        indices, parts = self.indices(order), len(self.names)
        size = parts * len(indices)
        if not self.equations:
            return torch.eye(size, dtype=torch.float64).reshape(parts, len(indices), size)
        place = {(p, k): p * len(indices) + n for n, k in enumerate(indices) for p in range(parts)}
        rows: list[Tensor] = []
        level = [(self._coefficients(e), 0) for e in self.equations]
        while level:
            level = [(e, j) for e, j in level if e and max(sum(k) for _, k in e) <= order]
            for e, _ in level:
                row = torch.zeros(size, dtype=torch.float64)
                for key, c in e.items():
                    row[place[key]] = float(c if c.is_number else c.subs(at))
                rows.append(row / row.norm().clamp_min(1e-300))
            # by late arguments after early ones alone: the order of derivatives does not matter
            level = [(self._differentiated(e, j), j) for e, first in level for j in range(first, self.depth)]
        if not rows:
            return torch.eye(size, dtype=torch.float64).reshape(parts, len(indices), size)
        _, values, right = torch.linalg.svd(torch.stack(rows))
        free: Tensor = right[int((values > FREE * values[0]).sum()) :].T.reshape(parts, len(indices), -1)
        return free

    def _coefficients(self, equation: sympy.Expr) -> _Linear:
        """A linear equation by function and derivative."""
        located = self.located(self._order(equation))
        found = {located[s]: sympy.diff(equation, s) for s in equation.free_symbols & {*located}}
        return {key: c for key, c in found.items() if c != 0}

    def _differentiated(self, equation: _Linear, j: int) -> _Linear:
        """By the argument j, a coordinate."""
        found = {key: slope for key, c in equation.items() if (slope := sympy.diff(c, self.arguments[j])) != 0}
        for (part, index), c in equation.items():
            key = part, _raised(index, j)
            found[key] = found.get(key, sympy.Integer(0)) + c
        return {key: c for key, c in found.items() if c != 0}

    # ------------------------------------------------------------ values

    def on_series(self, points: Series, variables: Sequence[sympy.Symbol], order: int, jets: Tensor) -> list[Series]:
        """The `symbols` up to an order on truncated polynomials ``[C, N, d]``.

        Args:
            points: physical.
            variables: their names.
            order: of the derivatives.
            jets: values of the derivatives, ``[parts, indices up to order + degree of the series, N]``.
        """
        values = dict(zip(variables, series.columns(points), strict=True))
        degree = max(sum(m) for m in points.truncation.monomials)
        place = {k: n for n, k in enumerate(self.indices(order + degree))}
        less = [_centred(expressions.evaluate(a, values, series.FUNCTIONS), points) for a in self.arguments]
        found = []
        if self.turn is not None:
            powers = _complex_powers(less[0], float(self.turn) * less[1], degree)
            for (turns,) in self.indices(order):
                real, imaginary = _zero(points), _zero(points)
                for n, (p, q) in enumerate(powers):
                    re, im = jets[:, place[(turns + n,)]] / math.factorial(n)
                    real, imaginary = real + p * re - q * im, imaginary + p * im + q * re
                found += [real, imaginary]
            return found
        terms = {(0,) * self.depth: _zero(points) + 1.0}
        for m in self.indices(degree)[1:]:
            j = next(i for i, n in enumerate(m) if n)
            terms[m] = terms[tuple(n - (i == j) for i, n in enumerate(m))] * less[j]
        for k, own in product(self.indices(order), jets):
            total = _zero(points)
            for m, power in terms.items():
                weight = own[place[tuple(a + b for a, b in zip(k, m, strict=True))]]
                total = total + power * (weight / math.prod(map(math.factorial, m)))
            found.append(total)
        return found


def _raised(index: Index, j: int) -> Index:
    return tuple(n + (i == j) for i, n in enumerate(index))


def _zero(points: Series) -> Series:
    return Series(points.truncation, torch.zeros_like(points.coefficients[..., 0]))


def _centred(value: Series, points: Series) -> Series:
    """Without the constant."""
    coefficients = value.coefficients.clone()
    coefficients[0] = 0.0
    return Series(points.truncation, coefficients)


def _complex_powers(a: Series, b: Series, degree: int) -> list[tuple[Series, Series]]:
    """``(a + i b)^n``."""
    powers = [(a * 0.0 + 1.0, a * 0.0)]
    for _ in range(degree):
        p, q = powers[-1]
        powers.append((p * a - q * b, p * b + q * a))
    return powers
