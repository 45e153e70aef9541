"""Libraries of coefficient functions for generators, proposed from the equation itself.

A library is monomials in all coordinates, up to a degree, times special functions of single coordinates. Special
functions come from the formula of the equation, and from the translations it allows: with ``d/dz`` a symmetry, the
algebra splits into parts ``exp(lambda z) W`` with W free of z up to polynomials, and the rates lambda are eigenvalues
of the determining condition (`rates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product

import sympy
import torch
from torch import Tensor

from symflow.fields import Series, series
from symflow.formulas import expressions

from ..equations import Equation, JetSpace

MOST_SPECIAL = 12
MOST_PRODUCTS = 24
MOST_CLOCKS, LONGEST = 2, 40  # functions of time that are integrated, and operations of one
BESIDE_SPECIAL = 2  # highest power of a coordinate that multiplies a special function of it


@dataclass(frozen=True)
class Library:
    """Products of monomials and special functions, from simple to complex.

    Attributes:
        variables: the coordinates.
        monomials: exponents of the coordinates.
        special: functions of the coordinates, the first of them 1.
    """

    variables: tuple[sympy.Symbol, ...]
    monomials: tuple[tuple[int, ...], ...]
    special: tuple[sympy.Expr, ...] = (sympy.Integer(1),)

    @cached_property
    def products(self) -> tuple[tuple[int, int], ...]:
        """Which monomials multiply which special functions, monomials outside.

        A special function of z comes with powers of z up to `BESIDE_SPECIAL` only: with more of them, the products
        would nearly coincide with each other on any interval, and rank could not be told from rounding.
        """
        own = [[i for i, v in enumerate(self.variables) if s.has(v)] for s in self.special]
        return tuple(
            (k, j)
            for k, m in enumerate(self.monomials)
            for j in range(len(self.special))
            if all(m[i] <= BESIDE_SPECIAL for i in own[j])
        )

    @cached_property
    def functions(self) -> tuple[sympy.Expr, ...]:
        """The products."""
        monomials = [sympy.Mul(*(v**n for v, n in zip(self.variables, m, strict=True))) for m in self.monomials]
        return tuple(monomials[k] * self.special[j] for k, j in self.products)

    def __len__(self) -> int:
        return len(self.products)

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, d]`` to ``[C, N, functions]``."""
        values = dict(zip(self.variables, series.columns(points), strict=True))
        zero = Series(points.truncation, torch.zeros_like(points.coefficients[..., 0]))
        special = [zero + expressions.evaluate(s, values, series.FUNCTIONS) for s in self.special]
        powers: dict[tuple[int, ...], list[Series]] = {(0,) * len(self.variables): special}
        for m in sorted(self.monomials, key=sum):
            self._power(m, powers, values)
        return torch.stack([powers[self.monomials[k]][j].coefficients for k, j in self.products], -1)

    def _power(
        self, m: tuple[int, ...], powers: dict[tuple[int, ...], list[Series]], values: dict[sympy.Symbol, Series]
    ) -> list[Series]:
        if m not in powers:
            i = next(i for i, n in enumerate(m) if n)
            lower = self._power(tuple(n - (j == i) for j, n in enumerate(m)), powers, values)
            powers[m] = [f * values[self.variables[i]] for f in lower]
        return powers[m]

    def __call__(self, points: Tensor) -> Tensor:
        """Values on physical points, ``[N, d]`` to ``[N, functions]``."""
        return self.on_series(Series(series.line(0), points[None]))[0]


def polynomial_library(
    equation: Equation, degree: int, special: Sequence[sympy.Expr] | None = None, without: Sequence[str] = ()
) -> Library:
    """Monomials in the coordinates up to a total degree, times special functions.

    Args:
        equation: whose coordinates they are.
        degree: the highest total degree of the monomials.
        special: by default `own_functions` of the equation.
        without: coordinates to leave out: those in which fields must be periodic.
    """
    variables = equation.space.variables
    special = own_functions(equation) if special is None else special
    absent = {v for v in variables if v.name in without}
    exponents = [
        m
        for m in product(range(degree + 1), repeat=len(variables))
        if sum(m) <= degree and not any(n and v in absent for n, v in zip(m, variables, strict=True))
    ]
    # x before t before u: simple generators are those of space and time
    exponents.sort(key=lambda m: (sum(m), tuple(reversed(m))))
    kept = [s for s in special if not s.free_symbols & absent]
    return Library(variables, tuple(exponents), tuple(dict.fromkeys([sympy.Integer(1), *kept])))


def literal_functions(equation: Equation, residuals: Sequence[sympy.Expr] | None = None) -> list[sympy.Expr]:
    """Functions of one independent variable that stand in the formula, beginning with 1, with their companions.

    ``exp(a t)`` brings its reciprocal, ``sin`` and ``cos`` bring each other; functions g of t before derivatives bring
    what the time ``s = G(t)`` with ``G' = g`` brings: 1/g, G/g and G^2/g.

    Args:
        equation: whose variables they are of.
        residuals: those of the equation by default; `Equation.general` for functions that name the parameters.
    """
    residuals = equation.residuals if residuals is None else residuals
    found: list[sympy.Expr] = [sympy.Integer(1)]
    for z in equation.space.variables[: len(equation.space.independent)]:
        for part in (p for F in residuals for p in sympy.preorder_traversal(F)):
            if not part.has(z) or _others(part, z, equation):
                continue
            if (part.is_Pow and part.base == sympy.E) or isinstance(part, sympy.exp):
                found += [part, 1 / part]
            elif isinstance(part, sympy.sin | sympy.cos):
                found += [sympy.sin(part.args[0]), sympy.cos(part.args[0])]
            elif part.is_Function:
                found += [part, 1 / part]
        if z.name == equation.time:
            for g in _slowed(equation, residuals, z):
                G = integral(g, z)
                found += [] if G is None else [1 / g, G, G / g, G**2 / g]
    return list(dict.fromkeys(found))[:MOST_SPECIAL]


def _slowed(equation: Equation, residuals: Sequence[sympy.Expr], t: sympy.Symbol) -> list[sympy.Expr]:
    """Functions of time before derivatives, but for exponentials and powers, whose integrals are of their own kind."""
    found: list[sympy.Expr] = []
    for F in residuals:
        for a, index in equation.space.indices(F):
            for term in sympy.Add.make_args(sympy.diff(F, equation.space.symbol(a, index))) if any(index) else ():
                own = [f for f in sympy.Mul.make_args(term) if f.has(t) and not _others(f, t, equation)]
                g = sympy.Mul(*own)
                base, _ = g.as_base_exp()
                linear = sympy.diff(g, t) / g if isinstance(g, sympy.exp) else sympy.diff(base, t)
                if own and linear.has(t):
                    found.append(g)
    return list(dict.fromkeys(found))[:MOST_CLOCKS]


def integral(g: sympy.Expr, z: sympy.Symbol) -> sympy.Expr | None:
    """An integral in closed form, by rules that end; ``None`` where they find none.

    >>> t = sympy.Symbol("t", real=True)
    >>> integral(1 / (1 + t**2), t), integral(sympy.exp(-(t**4)), t)
    (atan(t), None)
    """
    if isinstance(g, sympy.tanh):  # in functions that exist here
        return sympy.log(sympy.exp(g.args[0]) + sympy.exp(-g.args[0])) / sympy.diff(g.args[0], z)
    if sympy.count_ops(g) > LONGEST:
        return None
    from sympy.integrals.manualintegrate import manualintegrate
    from sympy.integrals.rationaltools import ratint

    found = ratint(g, z) if g.is_rational_function(z) else manualintegrate(g, z)
    known = all(isinstance(f, expressions.OWN) for f in found.atoms(sympy.Function))
    return found if known and not found.has(sympy.Integral, sympy.RootSum, sympy.Piecewise, sympy.I) else None


def simple_functions(equation: Equation, residuals: Sequence[sympy.Expr] | None = None) -> list[sympy.Expr]:
    """`literal_functions` and the reciprocals of the bases of powers: what other functions are multiplied by.

    Products of roots, ``(1 + x)^a (1 - x)^b``, come with their reciprocals, without the roots that they nearly are; a
    coefficient a(x) of the highest derivative, of order n, with `_paths`.
    """
    residuals = equation.residuals if residuals is None else residuals
    found = literal_functions(equation, residuals)
    for z in equation.space.variables[: len(equation.space.independent)]:
        found += [*_products_of_roots(equation, residuals, z), *(1 / base for base in bases(equation, residuals, z))]
        found += _paths(equation, residuals, z)
    return list(dict.fromkeys([*found, *_denominators(equation, residuals)]))[:MOST_SPECIAL]


def _paths(equation: Equation, residuals: Sequence[sympy.Expr], z: sympy.Symbol) -> list[sympy.Expr]:
    """``s = integral of a(z)^(-1/n) dz`` and ``s^n``: the coordinate where ``a d^n/dz^n`` begins with ``d^n/ds^n``."""
    found: list[sympy.Expr] = []
    n, i = equation.order, equation.space.variables.index(z)
    for F in residuals if n > 1 else ():
        for unknown, index in equation.space.indices(F):
            slope = sympy.diff(F, equation.space.symbol(unknown, index))
            if index[i] < n or not slope.has(z) or _others(slope, z, equation):
                continue
            factored = sympy.factor(slope) if slope.is_polynomial(z) else slope
            powers = (f.as_base_exp() for f in sympy.Mul.make_args(factored) if f.has(z))
            s = integral(sympy.Mul(*(base ** (-e / n) for base, e in powers)), z)
            if s is not None and not s.is_rational_function(z):
                s = s.replace(
                    sympy.log, lambda e: sympy.log(e if e.is_positive else e**2) / (1 if e.is_positive else 2)
                )
                found += [s.as_coeff_Mul()[1], sympy.expand(s**n).as_coeff_Mul()[1]]
    return list(dict.fromkeys(found))


def _denominators(equation: Equation, residuals: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    """``1/(x**2 + y**2)`` where the formula has powers of such a sum of several independent variables."""
    independent = {*equation.space.variables[: len(equation.space.independent)]}
    sums = {
        p.base for F in residuals for p in F.atoms(sympy.Pow) if p.base.is_Add and p.base.is_polynomial(*independent)
    }
    several = (
        s
        for s in sums
        if len(s.free_symbols & independent) > 1 and not any(equation.space.locate(z) for z in s.free_symbols)
    )
    return [1 / s for s in sorted(several, key=str)]


def reciprocals(equation: Equation) -> list[sympy.Expr]:
    """Of the polynomials in the coordinates, unknowns included, that stand in denominators or under roots."""
    variables = {*equation.space.variables}
    formulas = (*equation.residuals, *equation.rules.values())
    found = {p.base for F in formulas for p in F.atoms(sympy.Pow) if not (p.exp.is_Integer and p.exp > 0)}
    found = {b for b in found if b.free_symbols and b.free_symbols <= variables and b.is_polynomial(*b.free_symbols)}
    factors = {f for b in found for f in sympy.Mul.make_args(sympy.factor(b)) if f.free_symbols}
    return [1 / f.as_base_exp()[0] for f in sorted(factors, key=str)][:MOST_SPECIAL]


def with_products(
    own: Sequence[sympy.Expr], rates: Sequence[sympy.Expr], simple: Sequence[sympy.Expr], space: JetSpace
) -> list[sympy.Expr]:
    """Functions of rates, own ones, and products of the first with simple ones of other coordinates.

    Rates come first: what nearly is a combination of earlier functions is left out, and these are known to be needed.

    Such products are what curvilinear coordinates bring: ``sin(y)/x``.
    """

    def coordinates(f: sympy.Expr) -> set[sympy.Symbol]:
        return {s for s in space.variables if f.has(s)}

    pairs = ((f, g) for f in rates for g in simple if coordinates(g) and not coordinates(f) & coordinates(g))
    return [*rates, *own, *islice((f * g for f, g in pairs), MOST_PRODUCTS)]


def own_functions(equation: Equation, residuals: Sequence[sympy.Expr] | None = None) -> list[sympy.Expr]:
    """The functions that the formula suggests: `literal_functions`, and what powers are transformed away by.

    A power of ``t + c``, or x in the coefficient of a highest derivative, brings roots, the reciprocal and the
    logarithm; with the damping ``a u/(t + c)`` also the powers ``(t + c)^a`` and ``(t + c)^-a``.
    """
    residuals = equation.residuals if residuals is None else residuals
    found = literal_functions(equation, residuals)
    for z in equation.space.variables[: len(equation.space.independent)]:
        for base in bases(equation, residuals, z):
            found += _powers(equation, residuals, base)
    return list(dict.fromkeys([*found, *_denominators(equation, residuals)]))[:MOST_SPECIAL]


def bases(equation: Equation, residuals: Sequence[sympy.Expr], z: sympy.Symbol) -> list[sympy.Expr]:
    """Linear functions ``z + c`` of which the formula has powers, or where a highest derivative drops out."""
    found: list[sympy.Expr] = []
    for F in residuals:
        for part in F.atoms(sympy.Pow):
            if not part.base.has(z) or _others(part.base, z, equation) or not part.exp.is_number or part.base == z:
                continue
            if part.base.is_polynomial(z):
                linear = (f for f, _ in sympy.factor_list(part.base, z)[1] if sympy.degree(f, z) == 1)
                found += [sympy.expand(f / sympy.LC(f, z)) for f in linear]
        for term in sympy.Add.make_args(F):
            powers = [f.as_base_exp()[1] for f in sympy.Mul.make_args(term) if f.as_base_exp()[0] == z]
            if any(not (e.is_Integer and e > 0) for e in powers):
                found.append(z)
        found += [base for base, _ in _zeros(equation, F, z)]
    return list(dict.fromkeys(found))


def _products_of_roots(equation: Equation, residuals: Sequence[sympy.Expr], z: sympy.Symbol) -> list[sympy.Expr]:
    found: list[sympy.Expr] = []
    for term in (term for F in residuals for term in sympy.Add.make_args(F)):
        roots = [f for f in sympy.Mul.make_args(term) if f.has(z) and not f.as_base_exp()[1].is_Integer]
        if len(roots) > 1 and not any(_others(f, z, equation) for f in roots):
            found += [sympy.Mul(*roots), 1 / sympy.Mul(*roots)]
    return list(dict.fromkeys(found))


def _zeros(equation: Equation, F: sympy.Expr, z: sympy.Symbol) -> list[tuple[sympy.Expr, int]]:
    """Where the coefficients of the highest pure derivatives vanish: factors ``z + c`` with their multiplicity."""
    found = []
    for a, index in equation.space.indices(F):
        coefficient = sympy.diff(F, equation.space.symbol(a, index))
        if max(index) == equation.order and coefficient.has(z):
            for part in _polynomial_factors(coefficient, z):
                factor, n = part.as_base_exp()
                if n.is_Integer and _is_linear(factor, z, equation):
                    found.append((sympy.expand(factor / sympy.LC(factor, z)), int(n)))
    return found


def _is_linear(factor: sympy.Expr, z: sympy.Symbol, equation: Equation) -> bool:
    return factor.is_polynomial(z) and not _others(factor, z, equation) and sympy.degree(factor, z) == 1


def _polynomial_factors(coefficient: sympy.Expr, z: sympy.Symbol) -> list[sympy.Expr]:
    """Of what is a polynomial in a product: exponentials with any rational number in them would take for ever."""
    parts = [p for p in sympy.Mul.make_args(coefficient) if p.is_polynomial(z)]
    return [factor for p in parts for factor in sympy.Mul.make_args(sympy.factor(p))]


def _others(expression: sympy.Expr, z: sympy.Symbol, equation: Equation) -> bool:
    """Whether an expression holds another variable than z; parameters are none."""
    space = equation.space
    return any(s != z and (s in space.variables or space.locate(s)) for s in expression.free_symbols)


def _powers(equation: Equation, residuals: Sequence[sympy.Expr], base: sympy.Expr) -> list[sympy.Expr]:
    found = [sympy.sqrt(base), 1 / sympy.sqrt(base), 1 / base, sympy.log(base), sympy.log(base) ** 2]
    z = next(iter(base.free_symbols & set(equation.space.variables)))
    for F in residuals:
        if z.name == equation.time:  # 1/g of the time s = G(t) with G' = g
            found += [base**-n for zero, n in _zeros(equation, F, z) if zero == base and n > 1]
        for part in F.atoms(sympy.Pow):
            if part.exp.is_number and sympy.expand(part.base - base).is_number and not part.exp.is_Integer:
                found += [part, 1 / part]
        for name in equation.space.dependent:
            unknown = sympy.Symbol(name, real=True)
            linear = F.coeff(unknown, 1)
            own = (c for c in sympy.Add.make_args(linear) if c.has(z) and not _others(c, z, equation))
            rate = sympy.simplify(sum(own, sympy.Integer(0)) * base)
            if not rate.has(z) and rate != 0:
                found += [base**rate, base**-rate]
    return found
