"""Superposed solutions: what makes the algebra of an equation infinite.

With ``f(x, t) h(u) d/du`` a symmetry for every solution f of one linear equation, solutions can be superposed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from symflow.algebra import values

from ..equations import Equation, JetSpace, Manifold, derivative
from . import prolongation
from .library import integral
from .rates import Rate

DRAWN = 4  # jets at which equations for arbitrary functions are compared


@dataclass(frozen=True)
class Superposition:
    """Solutions of a linear equation that make symmetries: ``f h(u) d/du`` for every f with ``condition = 0``.

    Attributes:
        factor: h, a function of the unknowns.
        condition: the linear equations for f, in the symbols ``f, f_x, f_t, ...``; for a system also g, ...
        functions: f, g, ..., one for each unknown.
    """

    factor: sympy.Expr
    condition: tuple[sympy.Expr, ...]
    functions: tuple[str, ...] = ("f",)

    def to_dict(self) -> dict[str, Any]:
        """As text, for files."""
        return {
            "factor": str(self.factor),
            "condition": [f"{e} = 0" for e in self.condition],
            "functions": list(self.functions),
        }


def factors(equation: Equation, found: Sequence[Rate]) -> list[sympy.Expr]:
    """Candidates for ``h(u)``: those that linearise, and functions of one unknown that the rates suggest."""
    unknowns = equation.space.variables[len(equation.space.independent) :]
    suggested = [f for rate in found if rate.z in unknowns and rate.turn == 0 for f in rate.functions]
    return list(dict.fromkeys([*_linearising(equation), *suggested]))


def _linearising(equation: Equation) -> list[sympy.Expr]:
    """``h = 1/w'`` for a w(u) in which the second derivatives of one unknown stand without squares of the first.

    ``w_ij = w' (u_ij + q u_i u_j)`` with ``w'' = q w'``, so ``h = exp(-integral of q)`` where
    ``F = a (u_ij + q u_i u_j) + ...`` with q a function of u.
    """
    space = equation.space
    if len(space.dependent) > 1 or equation.order != 2:
        return []
    (F,), u, found = equation.residuals, space.variables[-1], []
    for _, index in space.indices(F):
        axes = [i for i, n in enumerate(index) for _ in range(n)]
        if len(axes) == 2:
            first = [space.symbol(0, space.units[i]) for i in axes]
            squares = sympy.diff(F, *first) / (2 if axes[0] == axes[1] else 1)
            q = sympy.cancel(squares / sympy.diff(F, space.symbol(0, index)))
            Q = integral(q, u) if q.free_symbols <= {u} and q != 0 else None
            if Q is not None:
                found.append(sympy.powsimp(sympy.exp(-Q)))
    return list(dict.fromkeys(found))


def superposition(equation: Equation, candidates: Sequence[sympy.Expr]) -> Superposition | None:
    """The first ``f(x, t) h(u) d/du`` that is a symmetry for every solution f of linear equations, or ``None``.

    Every unknown has an arbitrary function of its own, and there are at most as many equations as functions, or as the
    system has.

    Args:
        equation: any.
        candidates: for h.

    >>> superposition(Equation("u_t - u_xx = 0"), [sympy.Integer(1)]).to_dict()
    {'factor': '1', 'condition': ['f_t - f_xx = 0'], 'functions': ['f']}
    """
    space = equation.space
    p = len(space.independent)
    if p == 1:  # as many solutions as their initial values: nothing infinite
        return None
    names = function_names(space, equation.parameters)
    for factor in candidates:
        found = linear_conditions(equation, space.variables[p:], space.variables[:p], names, factor)
        if found:
            return Superposition(factor, found, names)
    return None


def linear_conditions(
    equation: Equation,
    components: Sequence[sympy.Symbol],
    arguments: Sequence[sympy.Symbol],
    names: Sequence[str],
    factor: sympy.Expr = sympy.S.One,
) -> tuple[sympy.Expr, ...]:
    """The linear equations under which ``sum_i f_i h d/dz_i`` is a symmetry, in ``f, f_x, ...``, if there are any.

    Args:
        equation: any.
        components: the z_i, a function for each.
        arguments: of the functions, coordinates.
        names: of the functions.
        factor: h.
    """
    functions = [sympy.Function(name)(*arguments) for name in names]
    form = dict.fromkeys(("d" + name for name in equation.space.names), sympy.Integer(0))
    form |= {"d" + z.name: f * factor for z, f in zip(components, functions, strict=True)}
    determining = prolongation.determining_equations(equation, form)
    equations = [e for e in (sympy.expand(e / factor) for e in determining) if e != 0]
    linear = [_linear(e, functions, arguments) for e in equations]
    # all unknowns together solve as many equations as there are: Maxwell's are more
    whole = len(components) == len(equation.space.dependent)
    most = max(len(components), len(equation.residuals)) if whole else len(components)
    if any(e is None for e in linear) or not _as_few(linear, equation, arguments, most):  # type: ignore[arg-type]
        return ()
    others = set(equation.space.variables) - set(arguments)
    chosen: list[sympy.Expr] = []
    for row in linear:
        e = _normal(row, equation.time)  # type: ignore[arg-type]
        if not e.free_symbols & others and e not in chosen:
            chosen.append(e)
    return tuple(chosen[: max(len(components), len(equation.residuals))])


def function_names(space: JetSpace, taken: Collection[str] = ()) -> tuple[str, ...]:
    """A name for an arbitrary function of each unknown: f, g, ... but for those that are taken.

    >>> function_names(JetSpace(("x", "t"), ("u", "g")))
    ('f', 'h')
    """
    letters = ("f", "g", "h", "k", "l", "m", "n", "p", "q", "r", "s", *(f"f{n}" for n in range(1, 40)))
    return tuple([name for name in letters if name not in (*space.names, *taken)][: len(space.dependent)])


def _normal(row: dict[sympy.Symbol, sympy.Expr], time: str | None) -> sympy.Expr:
    """A linear equation with the coefficient 1 before its highest derivative in time, or else its highest one."""
    first = max(row, key=lambda s: (s.name.partition("_")[2].count(time or " "), len(s.name), s.name))
    return sympy.expand(sum((sympy.simplify(c / row[first]) * s for s, c in row.items()), sympy.Integer(0)))


def _linear(
    expression: sympy.Expr, functions: Sequence[sympy.Expr], arguments: Sequence[sympy.Symbol]
) -> dict[sympy.Symbol, sympy.Expr] | None:
    """The coefficients of ``f, f_x, f_t, ...`` in a linear expression of arbitrary functions; ``None`` for others."""
    symbols: dict[sympy.Symbol, sympy.Expr] = {}
    replaced = expression
    derivatives = sorted(expression.atoms(sympy.Derivative), key=lambda e: -sum(n for _, n in e.variable_count))
    for e in [*derivatives, *functions]:
        name = (e.expr if isinstance(e, sympy.Derivative) else e).func.__name__
        counts = dict(e.variable_count) if isinstance(e, sympy.Derivative) else {}
        symbol = derivative(name, [z.name for z in arguments for _ in range(int(counts.get(z, 0)))])
        replaced = replaced.subs(e, symbol)
        symbols[symbol] = e
    replaced = sympy.expand(replaced)
    row = {s: replaced.coeff(s) for s in symbols if replaced.has(s)}
    if sympy.expand(replaced - sum((c * s for s, c in row.items()), sympy.Integer(0))) != 0:
        return None
    return row


def _as_few(
    rows: Sequence[dict[sympy.Symbol, sympy.Expr]], equation: Equation, arguments: Sequence[sympy.Symbol], most: int
) -> bool:
    """Whether linear equations, in derivatives of arbitrary functions, are no more than the functions."""
    names = sorted({s for row in rows for s in row}, key=lambda s: s.name)
    if not any("_" in s.name for s in names):
        return False
    sample = Manifold(equation).sample(DRAWN, 0)
    # the functions depend neither on other coordinates nor on derivatives: each value of these gives equations
    at = {s: value.numpy() for s, value in sample.values.items()}
    at |= {s: np.full(DRAWN, at[s][0]) for s in arguments}
    found = [[np.broadcast_to(values(row.get(s, sympy.Integer(0)), at), DRAWN) for s in names] for row in rows]
    matrix = np.array(found).swapaxes(1, 2).reshape(-1, len(names))
    matrix = matrix[np.isfinite(matrix).all(1) & matrix.any(1)]
    matrix = matrix / np.abs(matrix).max(1, keepdims=True)
    return len(matrix) > 0 and int(np.linalg.matrix_rank(matrix, tol=1e-9)) <= most
