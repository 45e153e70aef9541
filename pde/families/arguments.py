"""What arbitrary functions may depend on: coordinates, characteristic coordinates, quotients of symmetries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import sympy

from ..equations import Equation
from .functions import Functions

MOST_ARGUMENTS = 8  # that are tried, coordinates among them
HIGHEST = 4  # degree of a quotient


def single_arguments(equation: Equation, forms: Sequence[Mapping[str, sympy.Expr]]) -> list[sympy.Expr]:
    """What a function of one argument may depend on.

    Args:
        equation: whose characteristics give arguments.
        forms: known symmetries: where one is g times another, g is an argument.
    """
    single = [*equation.space.variables, *map(_primitive, [*_characteristics(equation), *_quotients(forms)])]
    return list(dict.fromkeys(single))[:MOST_ARGUMENTS]


def candidates(equation: Equation, single: Sequence[sympy.Expr]) -> list[Functions]:
    """Functions to try, those of most arguments first: what they leave over depends on fewer.

    Args:
        equation: whose symbol gives complex arguments.
        single: arguments for the others.
    """
    found: dict[tuple[sympy.Expr, ...], Functions] = {}
    for count in range(len(equation.space.names), 0, -1):
        for some in combinations(single, count):
            slopes = _differentials(some, equation.space.variables)
            if slopes is not None:  # functions of x - t and y - t are those of x - t and x - y
                found.setdefault(slopes, Functions(some))
    return [*found.values(), *_complex(equation)]


def _primitive(argument: sympy.Expr) -> sympy.Expr:
    """With whole coefficients that have no common factor, the first one positive."""
    polynomial = sympy.Poly(argument)
    if not polynomial.domain.is_QQ and not polynomial.domain.is_ZZ:
        return argument
    whole = sympy.Poly(polynomial.clear_denoms(convert=True)[1], polynomial.gens).primitive()[1]
    return (whole if whole.LC() > 0 else -whole).as_expr()


def _differentials(arguments: Sequence[sympy.Expr], variables: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...] | None:
    """What the differentials span at two points; ``None`` where one depends on the others."""
    found: list[sympy.Expr] = []
    for k in (2, 3):
        at = {z: sympy.Rational(k * i + 3, i + k) for i, z in enumerate(variables)}
        slopes = sympy.Matrix([[sympy.diff(a, z).subs(at) for z in variables] for a in arguments])
        reduced, pivots = slopes.rref()
        if len(pivots) < len(arguments):
            return None
        found += list(reduced)
    return tuple(found)


def _symbols(equation: Equation) -> list[sympy.Expr]:
    """The principal symbol: of a system, the determinant where there are as many equations as unknowns."""
    space = equation.space
    xi = _covector(equation)
    rows = []
    for F in equation.residuals:
        indices = space.indices(F)
        order = max(sum(k) for _, k in indices)
        row = [sympy.Integer(0)] * len(space.dependent)
        for a, k in indices:
            if sum(k) == order:
                row[a] += sympy.diff(F, space.symbol(a, k)) * sympy.Mul(*(s**n for s, n in zip(xi, k, strict=True)))
        rows.append(row)
    if len(rows) == len(space.dependent):
        return [sympy.expand(sympy.Matrix(rows).det())]
    return [sympy.expand(c) for row in rows for c in row if c != 0]


def _covector(equation: Equation) -> tuple[sympy.Symbol, ...]:
    found: tuple[sympy.Symbol, ...] = sympy.symbols(f"xi:{len(equation.space.independent)}", real=True)
    return found


def _factors(equation: Equation) -> list[sympy.Expr]:
    """The factors of the symbol; itself where its coefficients are no polynomials."""
    xi = _covector(equation)
    found: list[sympy.Expr] = []
    for symbol in _symbols(equation):
        if symbol != 0 and symbol.is_polynomial(*xi):
            factors = [f for f, _ in sympy.factor_list(symbol)[1]] if symbol.is_polynomial() else [symbol]
            found += [part for f in factors if f.has(*xi) for part in _split(f, xi)]
    return list(dict.fromkeys(found))


def _split(factor: sympy.Expr, xi: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
    """``a xi^2 + b xi eta + c eta^2`` with rational coefficients by its real roots, if it has any; itself else."""
    used = [s for s in xi if factor.has(s)]
    if len(used) != 2 or factor.free_symbols != {*used} or sympy.Poly(factor, *used).total_degree() != 2:
        return [factor]
    s, r = used
    a, b, c = factor.coeff(s, 2), factor.coeff(s, 1).coeff(r, 1), factor.coeff(r, 2)
    if a == 0 or b**2 - 4 * a * c <= 0:
        return [factor]
    root = sympy.sqrt(b**2 - 4 * a * c)
    return [s + sympy.expand((b + sign * root) / (2 * a)) * r for sign in (1, -1)]


def _characteristics(equation: Equation) -> list[sympy.Expr]:
    """Functions linear in the independent variables whose differentials make a linear factor of the symbol vanish.

    They are constant along it; with coefficients in the unknowns (``x - t u``) where the equation is of first order.
    """
    variables, xi = equation.space.variables, _covector(equation)
    unknowns, found = set(variables[len(xi) :]), []
    for factor in _factors(equation):
        slopes = [factor.coeff(s) for s in xi]
        pivot = min(
            (i for i, c in enumerate(slopes) if c != 0), key=lambda i: len(slopes[i].free_symbols), default=None
        )
        if pivot is None or sympy.expand(factor - sympy.Add(*map(sympy.Mul, slopes, xi))) != 0:
            continue
        slopes = [sympy.cancel(c / slopes[pivot]) for c in slopes]
        if any(c.free_symbols - unknowns or not c.is_polynomial() for c in slopes):
            continue
        for i, z in enumerate(variables[: len(xi)]):
            if i != pivot and slopes[i] != 0:
                found.append(sympy.expand(z - slopes[i] * variables[pivot]))
    return found


def _complex(equation: Equation) -> list[Functions]:
    """Complex arguments of symbols ``p xi^2 + q eta^2 + ...`` whose ratio is a square."""
    variables, xi = equation.space.variables, _covector(equation)
    found = []
    for factor in _factors(equation):
        for (i, s), (j, r) in combinations(enumerate(xi), 2):
            p, q = (sympy.expand(factor).coeff(a, 2).subs(dict.fromkeys(xi, 0)) for a in (s, r))
            ratio = sympy.cancel(p / q) if q != 0 else sympy.Integer(0)
            if ratio.is_Rational and ratio > 0:
                found.append(Functions((variables[i], variables[j]), ("f", "g"), sympy.sqrt(ratio)))
    return list(dict.fromkeys(found))


def _quotients(forms: Sequence[Mapping[str, sympy.Expr]]) -> list[sympy.Expr]:
    """Polynomials g with V and ``g V`` among the symmetries, low degrees first."""
    found: list[sympy.Expr] = []
    exact = [form for form in forms if not any(c.has(sympy.Float) for c in form.values())]
    for one, other in combinations(exact, 2):
        pairs = [(one[key], other[key]) for key in one]
        if any((a == 0) != (b == 0) for a, b in pairs):
            continue
        ratios = {sympy.cancel(b / a) for a, b in pairs if a != 0}
        if len(ratios) == 1:
            (g,) = ratios
            for h in (g, 1 / g):
                if not h.is_number and h.is_polynomial() and sympy.Poly(h).total_degree() <= HIGHEST:
                    base = sympy.factor(h).as_base_exp()[0]
                    found += [] if base.is_Mul else [sympy.expand(base)]
    return sorted(dict.fromkeys(found), key=lambda g: sympy.Poly(g).total_degree())
