"""Combinations of generators, with constant coefficients, for which linear conditions hold identically."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from symflow.algebra import ClosedForm, simplified


def combinations(forms: Sequence[ClosedForm], conditions: Sequence[Sequence[sympy.Expr]]) -> list[ClosedForm]:
    """A basis of the ``sum_k c_k V_k`` with ``sum_k c_k e_k = 0`` for every condition e, by exact algebra.

    Those that are a generator alone stay as they are. Only what is zero by rational arithmetic and the theorems of
    addition is taken for zero.

    Args:
        forms: the V.
        conditions: of each of them as many expressions e; one without a value excludes its generator.

    >>> x = sympy.Symbol("x", real=True)
    >>> combinations([{"dx": x**0}, {"dx": x}, {"dx": x**2}], [[x + 1], [2 * x + 2], [x**2]])
    [{'dx': 1 - x/2}]
    """
    weights = sympy.symbols(f"c:{len(forms)}", cls=sympy.Dummy, real=True)
    rows = [row for several in zip(*conditions, strict=True) for row in _linear(several, weights)]
    if not rows:
        return list(forms)
    basis = sympy.Matrix(rows).nullspace(simplify=True)
    if not basis:
        return []
    reduced = sympy.Matrix.hstack(*basis).T.rref()[0]
    found = []
    for i in range(reduced.rows):
        row = reduced.row(i)[:]
        alone = [k for k, c in enumerate(row) if c != 0]
        if len(alone) == 1:
            found.append(forms[alone[0]])
            continue
        found.append(
            {
                key: simplified(sum((c * form[key] for c, form in zip(row, forms, strict=True)), sympy.Integer(0)))
                for key in forms[0]
            }
        )
    return found


def _linear(conditions: Sequence[sympy.Expr], weights: Sequence[sympy.Symbol]) -> list[list[sympy.Expr]]:
    """Equations for the weights of a sum that vanishes identically: one for each function in it."""
    rows: list[list[sympy.Expr]] = []
    allowed = []
    for k, (e, _) in enumerate(zip(conditions, weights, strict=True)):
        if e.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):  # no value at the wall: it does not keep it
            rows.append([sympy.Integer(int(j == k)) for j in range(len(weights))])
        else:
            allowed.append(k)
    total = sympy.Add(*(weights[k] * conditions[k] for k in allowed))
    if total == 0:
        return rows
    whole = sympy.expand(sympy.expand_trig(sympy.numer(sympy.together(total))))
    found: dict[sympy.Expr, list[sympy.Expr]] = {}
    for term in sympy.Add.make_args(_without_squares(whole)):
        k = next(k for k in allowed if term.has(weights[k]))
        numbers, function = sympy.powsimp(term / weights[k]).as_independent(*term.free_symbols, as_Add=False)
        row = found.setdefault(function, [sympy.Integer(0)] * len(weights))
        row[k] += numbers
    return [*rows, *found.values()]


def _without_squares(e: sympy.Expr) -> sympy.Expr:
    """Squares of sines by those of cosines: no sum of what is left vanishes by Pythagoras."""

    def even(power: sympy.Expr) -> bool:
        return bool(power.is_Pow and isinstance(power.base, sympy.sin) and power.exp.is_Integer and power.exp > 1)

    def rewritten(power: sympy.Expr) -> sympy.Expr:
        half, odd = divmod(int(power.exp), 2)
        return (1 - sympy.cos(*power.base.args) ** 2) ** half * power.base**odd

    return sympy.expand(e.replace(even, rewritten))
