"""Superposed solutions: what makes the algebra of an equation infinite.

With ``f(x, t) h(u) d/du`` a symmetry for every solution f of one linear equation, solutions can be superposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ..equations import Equation
from . import prolongation
from .rates import Rate


FUNCTIONS = ("f", "g", "h")


@dataclass(frozen=True)
class Superposition:
    """Solutions of a linear equation that make symmetries: ``f h(u) d/du`` for every f with ``condition = 0``.

    Attributes:
        factor: h, a function of the unknowns.
        condition: the linear equations for f, in the symbols ``f, f_x, f_t, ...``; for a system also g.
    """

    factor: sympy.Expr
    condition: tuple[sympy.Expr, ...]

    def to_dict(self) -> dict[str, Any]:
        """As text, for files."""
        return {"factor": str(self.factor), "condition": [f"{e} = 0" for e in self.condition]}


def factors(equation: Equation, found: Sequence[Rate]) -> list[sympy.Expr]:
    """Candidates for ``h(u)``: the functions of one unknown among those that the rates of an equation suggest."""
    unknowns = equation.space.variables[len(equation.space.independent) :]
    return [f for rate in found if rate.z in unknowns and rate.turn == 0 for f in rate.functions]


def superposition(equation: Equation, candidates: Sequence[sympy.Expr]) -> Superposition | None:
    """The first ``f(x, t) h(u) d/du`` that is a symmetry for every solution f of linear equations, or ``None``.

    Every unknown has an arbitrary function of its own, and there are at most as many equations as functions.

    Args:
        equation: any.
        candidates: for h.

    >>> superposition(Equation("u_t - u_xx = 0"), [sympy.Integer(1)]).to_dict()
    {'factor': '1', 'condition': ['f_t - f_xx = 0']}
    """
    p = len(equation.space.independent)
    independent, unknowns = equation.space.variables[:p], equation.space.variables[p:]
    for factor in candidates:
        found = linear_conditions(equation, unknowns, independent, factor)
        if found:
            return Superposition(factor, found)
    return None


def linear_conditions(
    equation: Equation,
    components: Sequence[sympy.Symbol],
    arguments: Sequence[sympy.Symbol],
    factor: sympy.Expr = sympy.S.One,
) -> tuple[sympy.Expr, ...]:
    """The linear equations under which ``sum_i f_i h d/dz_i`` is a symmetry, in ``f, f_x, ...``; none where there are none.

    Args:
        equation: any.
        components: the z_i, a function for each: f, g, ...
        arguments: of the functions, coordinates.
        factor: h.
    """
    space = equation.space
    names = FUNCTIONS[: len(components)]
    functions = [sympy.Function(name)(*arguments) for name in names]
    form = dict.fromkeys(("d" + name for name in space.names), sympy.Integer(0))
    form |= {"d" + z.name: f * factor for z, f in zip(components, functions, strict=True)}
    equations = [sympy.expand(e / factor) for e in prolongation.determining_equations(equation, form)]
    linear = [_linear(e, functions, arguments) for e in equations]
    others = [z for z in space.variables if z not in arguments]
    if any(e is None for e in linear) or not _as_few(linear, space.variables, others, len(components)):  # type: ignore[arg-type]
        return ()
    chosen: list[sympy.Expr] = []
    for row in linear:
        e = _normal(row)  # type: ignore[arg-type]
        if not e.free_symbols & set(others) and e not in chosen:
            chosen.append(e)
    return tuple(chosen[: len(components)])


def _normal(row: dict[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    """A linear equation with the coefficient 1 before its highest derivative in time, or else its highest one."""
    first = max(row, key=lambda s: (s.name.count("t"), len(s.name), s.name))
    return sympy.expand(sum((sympy.simplify(c / row[first]) * s for s, c in row.items()), sympy.Integer(0)))


def _linear(
    expression: sympy.Expr, functions: Sequence[sympy.Expr], independent: Sequence[sympy.Symbol]
) -> dict[sympy.Symbol, sympy.Expr] | None:
    """The coefficients of ``f, f_x, f_t, ...`` in a linear expression of arbitrary functions; ``None`` for others."""
    symbols: dict[sympy.Symbol, sympy.Expr] = {}
    replaced = expression
    derivatives = sorted(expression.atoms(sympy.Derivative), key=lambda e: -sum(n for _, n in e.variable_count))
    for e in [*derivatives, *functions]:
        name = (e.expr if isinstance(e, sympy.Derivative) else e).func.__name__
        counts = dict(e.variable_count) if isinstance(e, sympy.Derivative) else {}
        letters = "".join(z.name * int(counts.get(z, 0)) for z in independent)
        symbol = sympy.Symbol(f"{name}_{letters}" if letters else name, real=True)
        replaced = replaced.subs(e, symbol)
        symbols[symbol] = e
    replaced = sympy.expand(replaced)
    row = {s: replaced.coeff(s) for s in symbols if replaced.has(s)}
    if sympy.expand(replaced - sum((c * s for s, c in row.items()), sympy.Integer(0))) != 0:
        return None
    return row


def _as_few(
    rows: Sequence[dict[sympy.Symbol, sympy.Expr]],
    variables: Sequence[sympy.Symbol],
    others: Sequence[sympy.Symbol],
    most: int,
) -> bool:
    """Whether linear equations, in derivatives of arbitrary functions, are no more than the functions."""
    names = sorted({s for row in rows for s in row}, key=lambda s: s.name)
    if not any("_" in s.name for s in names):
        return False
    generator = np.random.default_rng(0)
    at = {
        z: sympy.Rational(int(n), 97)
        for z, n in zip(variables, generator.integers(30, 150, len(variables)), strict=True)
    }
    jets = sorted({s for row in rows for c in row.values() for s in c.free_symbols} - set(variables), key=str)
    matrix = []
    for _ in range(4):  # the functions depend neither on the others nor on derivatives: each value gives equations
        here = at | {z: sympy.Rational(int(generator.integers(30, 150)), 97) for z in (*others, *jets)}
        matrix += [[float(row.get(s, sympy.Integer(0)).subs(here)) for s in names] for row in rows]
    return int(np.linalg.matrix_rank(np.array(matrix), tol=1e-9)) <= most
