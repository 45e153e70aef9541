"""A system solved for one derivative per equation, its principal one, and what follows by differentiating."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import sympy

from symflow.errors import UserError
from symflow.formulas import expressions

from .jets import Index, JetSpace, difference

MOST_ROUNDS = 8  # of equations that follow from others and are solved again

Solved = dict[sympy.Symbol, sympy.Expr]
"""Principal derivatives by what they are equal to."""


def vanishes(expression: sympy.Expr) -> bool:
    """Whether an expression is zero at random points; simplifying it could take for ever."""
    if expression.is_number:
        return bool(expression == 0)
    generator = random.Random(0)  # noqa: S311
    names = sorted(expression.free_symbols, key=str)
    for _ in range(3):
        at = {s: sympy.Rational(generator.randint(30, 90), 97) for s in names}
        try:
            value = expression.subs(at).evalf(30)
        except OverflowError:
            return False
        if not value.is_number or value.has(sympy.nan, sympy.zoo, sympy.oo) or abs(value) > 1e-20:
            return False
    return True


def solve_for_principal(residuals: Sequence[sympy.Expr], space: JetSpace, text: str) -> Solved:
    """Each equation solved for a derivative of which no other derivative in it differentiates, lower orders first.

    The equations that are solved later lose the principal derivatives of those before, and their derivatives; one that
    follows from the others drops out. A derivative that the equation is linear in comes first, else one of which it is
    a quadratic polynomial: then one of the roots is taken. Derivatives in t come first, and constant coefficients.

    Raises:
        UserError: there is no such derivative, or the equations contradict each other.
    """
    solved: Solved = {}
    pending = sorted(residuals, key=lambda F: max((sum(index) for _, index in space.indices(F)), default=0))
    for _ in range(MOST_ROUNDS * len(residuals)):
        if not pending:
            return _reduced_by_each_other(solved, space)
        first = pending.pop(0)
        F = reduced(first, solved, space)
        if first != F and vanishes(F):  # it follows from the others
            continue
        symbol, value = _solution(F, space, text)
        again = [s for s in solved if _differentiates(space, s, symbol)]
        pending += [s - solved.pop(s) for s in again]
        solved[symbol] = value
    raise UserError(f"the equations must follow from each other in a few steps, got {text!r}")


def _solution(F: sympy.Expr, space: JetSpace, text: str) -> tuple[sympy.Symbol, sympy.Expr]:
    """The principal derivative of an equation and its value."""
    present = [entry for entry in space.indices(F) if any(entry[1])]
    if not present:
        raise UserError(f"the equations must not contradict each other, and each hold a derivative, got {text!r}")
    time = space.independent.index("t") if "t" in space.independent else None
    found: list[tuple[tuple[Any, ...], sympy.Symbol, sympy.Expr]] = []
    for a, index in present:
        if any(b == a and i != index and difference(i, index) is not None for b, i in present):
            continue
        symbol = space.symbol(a, index)
        slope = sympy.expand(sympy.diff(F, symbol))
        times = 0 if time is None else index[time]
        degree = 1
        if slope.has(symbol):
            degree, slope = 2, sympy.expand(sympy.diff(slope, symbol))
            if slope.has(symbol):
                continue
        # in systems the highest: what a lower one of another unknown is equal to raises the order of other equations
        size = -sum(index) if len(space.dependent) > 1 else sum(index)
        rank = degree, not slope.is_number, -times, size, symbol.name
        found.append((rank, symbol, slope))
    for (degree, *_), symbol, slope in sorted(found, key=lambda f: f[0]):
        if vanishes(slope):
            continue
        rest = F.subs(symbol, 0)
        if degree == 1:
            return symbol, sympy.expand(-rest / slope)
        middle = sympy.diff(F, symbol).subs(symbol, 0)
        root = sympy.sqrt(sympy.factor(middle**2 - 2 * slope * rest))
        if not any(p.exp.is_Rational and p.exp.q == 2 and p.free_symbols for p in root.atoms(sympy.Pow)):
            raise UserError(
                f"the equation must be no product of others, each of which can be asked alone, got {text!r}"
            )
        return symbol, (-middle + root) / slope
    raise UserError(f"the equation must be linear or quadratic in a derivative that it can be solved for, got {text!r}")


def _differentiates(space: JetSpace, symbol: sympy.Symbol, of: sympy.Symbol) -> bool:
    (a, index), (b, lower) = space.locate(symbol), space.locate(of)  # type: ignore[misc]
    return a == b and difference(index, lower) is not None


def reduced(F: sympy.Expr, solved: Mapping[sympy.Symbol, sympy.Expr], space: JetSpace) -> sympy.Expr:
    """An expression without principal derivatives and without their derivatives."""
    for _ in range(MOST_ROUNDS * (1 + len(solved))):
        for a, index in sorted(space.indices(F), key=lambda entry: -sum(entry[1])):
            symbol = space.symbol(a, index)
            principal = next((s for s in solved if _differentiates(space, symbol, s)), None)
            if principal is not None:
                F = _put_in(F, {symbol: _raised(solved, principal, index, space)})
                break
        else:
            return F
    raise UserError("the equations must be solved for derivatives that end, got a circle of them")


def _raised(solved: Mapping[sympy.Symbol, sympy.Expr], principal: sympy.Symbol, index: Index, space: JetSpace) -> Any:
    """The value of a derivative of a principal one."""
    value = solved[principal]
    more = difference(index, space.locate(principal)[1])  # type: ignore[index]
    for i, n in enumerate(more):  # type: ignore[arg-type]
        for _ in range(n):
            value = space.total_derivative(value, i)
            _check_size(value)
    return value


def _check_size(value: sympy.Expr) -> None:
    if expressions.nodes(value) > expressions.MOST_NODES:
        raise UserError(
            f"the equations must be of one order, or small: one of them has more than {expressions.MOST_NODES} parts "
            "when differentiated to the order of the other"
        )


def _reduced_by_each_other(solved: Solved, space: JetSpace) -> Solved:
    for symbol in solved:
        others = {s: value for s, value in solved.items() if s != symbol}
        solved = solved | {symbol: reduced(solved[symbol], others, space)}
    return solved


def several_of_one(solved: Solved, space: JetSpace) -> bool:
    """Whether two principal derivatives are of the same unknown, so that they must agree."""
    unknowns = [space.locate(s)[0] for s in solved]  # type: ignore[index]
    return len(set(unknowns)) < len(unknowns)


def consequences(solved: Solved, space: JetSpace, order: int) -> tuple[Solved, list[sympy.Expr]]:
    """Solved equations and those of their derivatives that are of at most an order.

    Returns:
        Principal derivatives and all their derivatives up to the order, by the others; and equations that follow where
        two of them are derivatives of the same kind (integrability conditions).
    """
    rules: Solved = {}
    conditions: list[sympy.Expr] = []
    for symbol, value in solved.items():
        a, index = space.locate(symbol)  # type: ignore[misc]
        own = max(sum(index), *(sum(i) for _, i in space.indices(value)), 0)
        derived: dict[Index, sympy.Expr] = {(0,) * len(index): value}
        for more in space.up_to(order - own):
            if any(more):
                i = next(k for k, n in enumerate(more) if n)
                lower = derived[tuple(n - (k == i) for k, n in enumerate(more))]
                derived[more] = space.total_derivative(lower, i)
                _check_size(derived[more])
            raised_ = space.symbol(a, tuple(n + m for n, m in zip(index, more, strict=True)))
            if raised_ in rules:
                conditions.append(rules[raised_] - derived[more])
            else:
                rules[raised_] = derived[more]
    for _ in range(len(rules)):  # the rules of one equation may hold principal derivatives of the other
        rules = {symbol: _put_in(value, rules) for symbol, value in rules.items()}
        if not any(value.has(*rules) for value in rules.values()):
            break
    conditions = [_put_in(c, rules) for c in conditions]
    return rules, [c for c in conditions if not vanishes(c)]


def _put_in(value: sympy.Expr, rules: Mapping[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    """What becomes of an expression by rules, multiplied out; refused where that is large."""
    value = value.subs(rules)
    _check_size(value)
    return sympy.expand(value)


def solve_explicitly(residuals: Sequence[sympy.Expr], space: JetSpace, axis: str) -> Solved | None:
    """A system solved for the highest derivatives in one variable of all unknowns, where it can be.

    Args:
        residuals: its equations.
        space: its variables.
        axis: an independent variable.
    """
    i = space.independent.index(axis)
    entries = {entry for F in residuals for entry in space.indices(F)}
    symbols = []
    for a in range(len(space.dependent)):
        n = max((index[i] for b, index in entries if b == a), default=0)
        pure = tuple(n * unit for unit in space.units[i])
        if n == 0 or any(b == a and index[i] == n and index != pure for b, index in entries):
            return None
        symbols.append(space.symbol(a, pure))
    if len(residuals) != len(symbols):
        return None
    matrix = sympy.Matrix([[sympy.diff(F, s) for s in symbols] for F in residuals])
    if any(entry.has(*symbols) for entry in matrix) or vanishes(matrix.det()):
        return None
    rest = sympy.Matrix([F.subs(dict.fromkeys(symbols, 0)) for F in residuals])
    return dict(zip(symbols, (sympy.expand(e) for e in -matrix.LUsolve(rest)), strict=True))
