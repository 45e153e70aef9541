"""How equations are spelled: names of derivatives in any order, `Derivative(...)`, sympy objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sympy

from symflow.errors import UserError
from symflow.formulas import expressions

from .jets import DEPENDENT, INDEPENDENT, JetSpace, derivative, variable

HIGHEST_ORDER = 5  # derivatives in space
HIGHEST_TIME = 2  # derivatives in t
_NAME = re.compile(r"([uv])_([xyt]{1,32})\Z")


class _Vocabulary(Mapping[str, sympy.Expr]):
    """The names a formula may use: variables, derivatives in any order of their letters, parameters."""

    def __init__(self, parameters: Mapping[str, sympy.Expr]) -> None:
        self.parameters = parameters

    def __getitem__(self, name: str) -> sympy.Expr:
        if name in self.parameters:
            return self.parameters[name]
        if name in INDEPENDENT + DEPENDENT:
            return variable(name)
        match = _NAME.match(name)
        if match is None or _too_high(match[2]):
            raise KeyError(name)
        return derivative(match[1], match[2])

    def __iter__(self) -> Iterator[str]:
        yield from (*INDEPENDENT, *DEPENDENT, "u_x", "u_t", "u_xt", f"... u_{'x' * HIGHEST_ORDER}", *self.parameters)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _too_high(letters: str) -> bool:
    times = letters.count("t")
    return times > HIGHEST_TIME or len(letters) - times > HIGHEST_ORDER


_FULL = JetSpace(INDEPENDENT, DEPENDENT)


def _differentiate(arguments: Sequence[expressions.Argument]) -> sympy.Expr:
    """``Derivative(f, x, x)``, ``Derivative(f, x, 2)`` or ``Derivative(f, (x, 2))``: the total derivative."""
    value, *rest = arguments
    if isinstance(value, tuple) or not rest:
        raise ValueError("Derivative takes an expression and the variables to differentiate in")
    order: list[int] = []
    for argument in rest:
        name, count = argument if isinstance(argument, tuple) else (argument, 1)
        if isinstance(argument, sympy.Integer) and order:
            order += [order[-1]] * (int(argument) - 1) if 0 < argument <= HIGHEST_ORDER else [-1]
            continue
        if name not in _FULL.variables[: len(INDEPENDENT)]:
            raise ValueError(f"Derivative is in x, y or t, got {name}")
        order += [_FULL.variables.index(name)] * count if 0 < count <= HIGHEST_ORDER else [-1]
    if -1 in order:
        raise ValueError(f"the order of a derivative must be from 1 to {HIGHEST_ORDER}")
    for i in order:
        value = _FULL.total_derivative(value, i)
        if expressions.terms(value) > expressions.MOST_TERMS:
            raise ValueError(f"more than {expressions.MOST_TERMS} terms when differentiated")
        if expressions.nodes(value) > expressions.MOST_NODES:
            raise ValueError(f"more than {expressions.MOST_NODES} parts when differentiated")
        for symbol in value.free_symbols:
            match = _NAME.match(symbol.name)
            if match is not None and _too_high(match[2]):
                raise ValueError(f"the derivative {symbol} is of too high an order")
    return value


def _unknown(name: str) -> Any:
    def called(arguments: Sequence[expressions.Argument]) -> sympy.Expr:
        independent = _FULL.variables[: len(INDEPENDENT)]
        if len(set(arguments)) < len(arguments) or not set(arguments) <= set(independent):
            raise ValueError(f"{name}(...) takes the names of the independent variables")
        return variable(name)

    return called


_CALLS: expressions.Calls = {"Derivative": _differentiate, "diff": _differentiate, "D": _differentiate} | {
    name: _unknown(name) for name in DEPENDENT
}


def _written(expression: sympy.Basic) -> str:
    """A sympy object in our own spelling: ``u(x, t)`` and its derivatives become names.

    Raises:
        UserError: it holds something that an equation cannot hold.
    """
    if isinstance(expression, sympy.Equality):
        expression = expression.lhs - expression.rhs

    def named(e: sympy.Basic) -> sympy.Basic:  # from the top: the symbols inside a derivative are part of it
        if isinstance(e, sympy.Derivative):
            called = e.expr
            letters = "".join(v.name * int(n) for v, n in e.variable_count if n.is_Integer)
            if called.is_Function and called.func.__name__ in DEPENDENT and set(letters) <= set(INDEPENDENT):
                return derivative(called.func.__name__, letters)
            raise UserError(f"a derivative must be one of u or v in x, y and t, got {e}")
        if isinstance(e, sympy.core.function.AppliedUndef):
            if e.func.__name__ in DEPENDENT:
                return variable(e.func.__name__)
            raise UserError(f"the unknowns must be called {' and '.join(DEPENDENT)}, got {e}")
        return e.func(*map(named, e.args)) if e.args else e

    if not isinstance(expression, sympy.Expr):
        kind = type(expression).__name__
        raise UserError(f"`text` must be an equation such as 'u_t + u*u_x + u_xxx = 0', got {kind}")
    return f"{named(expression.doit())} = 0"
