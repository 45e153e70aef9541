"""A system of evolution equations as a solver sees it: its state, the stiff linear part, the rest, and constraints.

Unknowns with ``u_tt`` have ``u`` and ``u_t`` in the state. Unknowns without a derivative in time are given by linear
equations with constant coefficients, as a streamfunction is by the vorticity. With y the state and z those,

    y_t = L y + N(t, x, y, z, ...),        C z + B y = 0,

L, C and B constant combinations of derivatives in space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from symflow.errors import UserError

from ..equations import Equation, Index, JetSpace

Place = tuple[int, Index]
"""A variable, of the state or after it of the constraints, and how often it is differentiated in each axis."""

Operator = dict[tuple[int, int], dict[Index, float]]
"""``[row, column]`` to constant coefficients of derivatives."""


@dataclass(frozen=True)
class System:
    """What is stepped.

    Attributes:
        axes: names of the axes of space.
        state: which unknown each variable of the state is, and its derivatives in time, 0 or 1.
        given: unknowns that the constraints give.
        linear: L.
        rest: N for each variable of the state.
        symbols: of the variables and derivatives that N holds.
        constraint, source: C and B.
    """

    axes: tuple[str, ...]
    state: tuple[tuple[int, int], ...]
    given: tuple[int, ...]
    linear: Operator
    rest: tuple[sympy.Expr, ...]
    symbols: Mapping[sympy.Symbol, Place]
    constraint: Operator
    source: Operator

    @property
    def degree(self) -> int:
        """Of N in the unknowns, as far as products on a grid are concerned; 3 where it is no polynomial."""
        free = list(self.symbols)
        found = [sympy.Poly(N, *free).total_degree() for N in self.rest if free and N.is_polynomial(*free)]
        whole = all(N.is_polynomial(*free) for N in self.rest)
        return max(found, default=1) if whole else max(3, *found, 3)


def system_of(equation: Equation) -> System:
    """The state, the linear part and the rest of an equation or a system.

    Raises:
        UserError: an unknown has more than two derivatives in time, or none and no linear equation of its own; the
            highest derivatives in time are differentiated in space, or cannot be solved for.

    >>> wave = system_of(Equation("u_tt - u_xx + sin(u) = 0"))
    >>> wave.state, wave.rest, wave.linear
    (((0, 0), (0, 1)), (0, -sin(u)), {(0, 1): {(0,): 1.0}, (1, 0): {(2,): 1.0}})
    """
    space, text = equation.space, equation.text
    if "t" not in space.independent:
        raise UserError(f"cannot solve {text!r} in time: it has no derivative in t")
    i_t = space.independent.index("t")
    axes = tuple(name for name in space.independent if name != "t")
    q = len(space.dependent)
    orders = [0] * q
    for F in equation.residuals:
        for a, index in space.indices(F):
            orders[a] = max(orders[a], index[i_t])
    if max(orders) > 2:
        raise UserError(f"cannot solve {text!r}: it has {max(orders)} derivatives in t, 2 at most are known")
    tops = {
        a: space.symbol(a, tuple(p if i == i_t else 0 for i in range(len(space.independent))))
        for a, p in enumerate(orders)
    }
    moving = [a for a in range(q) if orders[a]]
    given = [a for a in range(q) if not orders[a]]
    for F in equation.residuals:
        for a, index in space.indices(F):
            if orders[a] and index[i_t] == orders[a] and sum(index) > orders[a]:
                raise UserError(
                    f"cannot solve {text!r}: {space.symbol(a, index)} mixes the last derivative in t with others"
                )
    evolving = [F for F in equation.residuals if F.has(*(tops[a] for a in moving))]
    others = [F for F in equation.residuals if F not in evolving]
    state = [(a, j) for a in moving for j in range(orders[a])]
    column = {(a, j): n for n, (a, j) in enumerate(state)} | {(a, 0): len(state) + n for n, a in enumerate(given)}

    def place(symbol: sympy.Symbol) -> Place:
        a, index = space.locate(symbol) or (0, ())
        return column[a, index[i_t]], tuple(n for i, n in enumerate(index) if i != i_t)

    rates = _solved(evolving, [tops[a] for a in moving], text)
    linear: Operator = {}
    rest = [sympy.Integer(0)] * len(state)
    for n, (a, j) in enumerate(state):
        if j + 1 < orders[a]:
            linear[n, column[a, j + 1]] = {(0,) * len(axes): 1.0}
            continue
        for term in sympy.Add.make_args(sympy.expand(rates[moving.index(a)])):
            found = _constant_derivative(term, space.indices(term), space)
            if found is None or place(found[1])[0] >= len(state):
                rest[n] += term
                continue
            c, symbol = found
            col, index = place(symbol)
            entry = linear.setdefault((n, col), {})
            entry[index] = entry.get(index, 0.0) + c
    constraint, source = _constraints(others, given, len(state), place, space, text)
    symbols = {space.symbol(a, index): place(space.symbol(a, index)) for N in rest for a, index in space.indices(N)}
    return System(axes, tuple(state), tuple(given), linear, tuple(rest), symbols, constraint, source)


def _solved(residuals: Sequence[sympy.Expr], tops: Sequence[sympy.Symbol], text: str) -> list[sympy.Expr]:
    """The rates of the highest derivatives in time."""
    if len(residuals) != len(tops):
        raise UserError(f"cannot solve {text!r}: {len(residuals)} equations for {', '.join(map(str, tops))}")
    try:
        matrix, right = sympy.linear_eq_to_matrix(list(residuals), list(tops))
        solution = matrix.LUsolve(right) if len(tops) else right
    except (ValueError, ZeroDivisionError):
        raise UserError(f"cannot solve {text!r} for {', '.join(map(str, tops))}") from None
    return [sympy.expand(r) for r in solution]


def _constant_derivative(
    term: sympy.Expr, indices: Sequence[tuple[int, Index]], space: object
) -> tuple[float, sympy.Symbol] | None:
    """``c`` and the symbol of a term that is a number times one variable of jet space."""
    number, factor = term.as_coeff_Mul()
    if factor.is_Symbol and len(indices) == 1 and number.is_number:
        return float(number), factor
    constant, symbol = term.as_independent(*term.free_symbols, as_Add=False)
    if symbol.is_Symbol and len(indices) == 1 and constant.is_number:
        return float(constant), symbol
    return None


def _constraints(
    residuals: Sequence[sympy.Expr],
    given: Sequence[int],
    count: int,
    place: Callable[[sympy.Symbol], Place],
    space: JetSpace,
    text: str,
) -> tuple[Operator, Operator]:
    if len(residuals) != len(given):
        names = ", ".join(space.dependent[a] for a in given) or "none"
        raise UserError(
            f"cannot solve {text!r}: {len(residuals)} equations without a highest derivative in t for the unknowns "
            f"without one, {names}"
        )
    constraint: Operator = {}
    source: Operator = {}
    for row, F in enumerate(residuals):
        for term in sympy.Add.make_args(sympy.expand(F)):
            found = _constant_derivative(term, space.indices(term), space)
            if found is None:
                raise UserError(
                    f"cannot solve {text!r}: {term} in an equation without a derivative in t must be linear"
                )
            c, symbol = found
            col, index = place(symbol)
            entry = (constraint if col >= count else source).setdefault((row, col - count if col >= count else col), {})
            entry[index] = entry.get(index, 0.0) + c
        if not any(r == row for r, _ in constraint):
            raise UserError(
                f"cannot solve {text!r}: an equation without a derivative in t must hold an unknown without one"
            )
    return constraint, source
