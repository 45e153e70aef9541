"""A system solved for one derivative per equation, its principal one, and what follows by differentiating."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import sympy

from symflow.errors import UserError
from symflow.formulas import expressions

from .jets import DEPENDENT, INDEPENDENT, JetSpace, difference
from .spelling import _FULL


def _space(residuals: Sequence[sympy.Expr], text: str) -> JetSpace:
    """The variables that a formula uses.

    Raises:
        UserError: it is no differential equation in at least two variables, or not one equation per unknown.
    """
    symbols = {s for F in residuals for s in F.free_symbols}
    located = [(s, _FULL.locate(s)) for s in symbols]
    taken = {INDEPENDENT[i] for _, where in located if where is not None for i, n in enumerate(where[1]) if n}
    if "x" not in taken:
        raise UserError(f"the equation must contain an x-derivative of u, got {text!r}")
    if len(taken) < 2:
        raise UserError(f"the equation must contain derivatives in two variables at least, got {text!r}")
    names = {s.name for s in symbols}
    independent = tuple(name for name in INDEPENDENT if name in taken | names)
    used = {DEPENDENT[where[0]] for _, where in located if where is not None}
    dependent = tuple(name for name in DEPENDENT if name in used)
    if dependent[0] != DEPENDENT[0]:
        raise UserError(f"the first unknown must be called u, got {text!r}")
    if len(residuals) != len(dependent):
        plural = "s" if len(dependent) > 1 else ""
        raise UserError(
            f"{len(dependent)} unknown{plural} ({', '.join(dependent)}) need as many equations, got {len(residuals)}"
        )
    return JetSpace(independent, dependent)


def _vanishes(expression: sympy.Expr) -> bool:
    """Whether an expression is zero at random points; simplifying it could take for ever."""
    if expression.is_number:
        return bool(expression == 0)
    generator = random.Random(0)  # noqa: S311
    names = sorted(expression.free_symbols, key=str)
    for _ in range(3):
        at = {s: sympy.Rational(generator.randint(30, 90), 97) for s in names}
        value = expression.subs(at).evalf(30)
        if not value.is_number or value.has(sympy.nan, sympy.zoo, sympy.oo) or abs(value) > 1e-20:
            return False
    return True


def solve_for_principal(residuals: Sequence[sympy.Expr], space: JetSpace, text: str) -> dict[sympy.Symbol, sympy.Expr]:
    """Each equation solved for a derivative that it is linear in and of which no other derivative differentiates.

    Derivatives in t with a constant coefficient come first.

    Raises:
        UserError: there is no such derivative.
    """
    present = {entry for F in residuals for entry in space.indices(F)}

    def candidates(F: sympy.Expr) -> list[tuple[tuple[Any, ...], sympy.Symbol]]:
        found = []
        for a, index in space.indices(F):
            symbol = space.symbol(a, index)
            coefficient = sympy.diff(F, symbol)
            below = any(b == a and i != index and difference(i, index) is not None for b, i in present)
            if sum(index) == 0 or below or coefficient.has(symbol) or coefficient == 0:
                continue
            times = index[-1] if space.independent[-1] == "t" else 0
            found.append(((not coefficient.is_number, -times, sum(index), symbol.name), symbol))
        return sorted(found)

    for chosen in sorted(product(*(candidates(F) for F in residuals)), key=lambda c: [rank for rank, _ in c]):
        symbols = [symbol for _, symbol in chosen]
        if len(set(symbols)) < len(symbols):
            continue
        matrix = sympy.Matrix([[sympy.diff(F, s) for s in symbols] for F in residuals])
        if any(entry.has(*symbols) for entry in matrix) or _vanishes(matrix.det()):
            continue
        rest = sympy.Matrix([F.subs(dict.fromkeys(symbols, 0)) for F in residuals])
        return dict(zip(symbols, (sympy.expand(e) for e in -matrix.LUsolve(rest)), strict=True))
    raise UserError(f"the equation must be linear in a derivative that it can be solved for, got {text!r}")


def consequences(
    residuals: Sequence[sympy.Expr], solved: Mapping[sympy.Symbol, sympy.Expr], space: JetSpace
) -> dict[sympy.Symbol, sympy.Expr]:
    """Solved equations and those of their derivatives that are of at most the order of the system."""
    orders = [max(sum(index) for _, index in space.indices(F)) for F in residuals]
    rules: dict[sympy.Symbol, sympy.Expr] = {}
    for (symbol, value), order in zip(solved.items(), orders, strict=True):
        a, index = space.locate(symbol)  # type: ignore[misc]
        for more in space.up_to(max(orders) - order):
            derived = value
            for i, n in enumerate(more):
                for _ in range(n):
                    derived = space.total_derivative(derived, i)
                    if expressions.nodes(derived) > expressions.MOST_NODES:
                        raise UserError(
                            f"the equations must be of one order, or small: one of them has more than "
                            f"{expressions.MOST_NODES} parts when differentiated to the order of the other"
                        )
            rules[space.symbol(a, tuple(n + m for n, m in zip(index, more, strict=True)))] = derived
    for _ in range(len(rules)):  # the rules of one equation may hold principal derivatives of the other
        rules = {symbol: sympy.expand(value.subs(rules)) for symbol, value in rules.items()}
        if not any(value.has(*rules) for value in rules.values()):
            break
    return rules
