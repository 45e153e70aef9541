"""Differential equations as data: from text, or a sympy object, to what follows from it.

An equation or a system ``F(x, y, t, u, v, u_x, ...) = 0`` in two or three independent variables and one or two
unknowns. Solved for one derivative per equation, its principal one, it describes the solution manifold in jet space.
A scalar equation ``u_t + K(x, t, u, u_x, ...) = 0`` is an evolution equation besides, and its solutions have Taylor
series that follow from their x-derivatives.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Series, Truncation, series
from symflow.formulas import expressions

from .jets import DEPENDENT, INDEPENDENT, JetSpace, derivative, difference, variable

x, t, u = variable("x"), variable("t"), variable("u")
u_t = derivative("u", "t")
HIGHEST_ORDER = 5  # derivatives in space
HIGHEST_TIME = 2  # derivatives in t
LARGEST_TREE = 1_000  # parts of the equation multiplied out: ten times those of the largest in use

_NAME = re.compile(r"([uv])_([xyt]{1,32})\Z")
_EVOLUTION = JetSpace(("x", "t"), ("u",))


def derivative_symbol(order: int) -> sympy.Symbol:
    """The symbol of the order-th x-derivative of u: ``u, u_x, u_xx, ...``."""
    return derivative("u", "x" * order)


def total_derivative_x(expression: sympy.Expr) -> sympy.Expr:
    """``D_x`` of a function of x, t and the x-derivatives of u (Olver, section 2.3)."""
    return _EVOLUTION.total_derivative(expression, 0)


def derivative_order(symbol: sympy.Symbol) -> int | None:
    """How many x-derivatives of u a symbol stands for; ``None`` when it is none."""
    if symbol == u:
        return 0
    match = re.fullmatch(r"u_(x+)", symbol.name)
    return len(match[1]) if match else None


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


@dataclass(frozen=True)
class Equation:
    """A differential equation, or a system of two, from its formula.

    Independent variables are x, y and t, unknowns u and v; those that appear count. Derivatives are written ``u_xxt``,
    ``Derivative(u, x, x, t)`` or ``Derivative(u**2/2, x)``: the order of letters does not matter, and a derivative of
    an expression is the total one. Up to 5 derivatives in space and 2 in t. The equations of a system are separated
    by semicolons. Parameters are named numbers.

    Args:
        text: for example ``"u_t + u*u_x + u_xxx = 0"``, with ``+ - * / ** ^ ( )`` and exp, log, sqrt, sin, cos, tanh;
            or a sympy expression or `sympy.Eq` in ``u(x, t)``; or a sequence of one per unknown.
        parameters: numbers for further names in the text.

    Raises:
        UserError: the text is no formula or not of this kind; the sentence says where or why.

    >>> Equation("u_t + u*u_x = nu*u_xx", nu=0.01).order
    2
    >>> Equation("u_tt - Derivative(u, x, 2) + sin(u) = 0").principal
    (u_tt,)
    """

    text: str
    parameters: dict[str, float] = field(default_factory=dict)
    residuals: tuple[sympy.Expr, ...] = field(init=False, compare=False, repr=False)
    space: JetSpace = field(init=False, compare=False, repr=False)

    def __init__(self, text: str | sympy.Basic | Sequence[str | sympy.Basic], **parameters: float) -> None:
        if isinstance(text, list | tuple):
            text = "; ".join(part if isinstance(part, str) else _written(part) for part in text)
        elif isinstance(text, sympy.Basic):
            text = _written(text)
        if not isinstance(text, str):
            raise UserError(f"`text` must be an equation such as 'u_t + u*u_x + u_xxx = 0', got {type(text).__name__}")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "parameters", {k: float(v) for k, v in parameters.items()})
        values: dict[str, sympy.Expr] = {}
        for name, value in self.parameters.items():
            if name in _Vocabulary({}) or name in expressions.FUNCTIONS or not name.isidentifier():
                raise UserError(f"a parameter cannot be called {name!r}: the name is taken or no identifier")
            if not math.isfinite(value):
                raise UserError(f"the parameter {name!r} must be a finite number, got {value}")
            values[name] = sympy.Rational(repr(value))  # the decimal that was written: 0.01 is 1/100
        residuals = self._parsed(values)
        object.__setattr__(self, "space", _space(residuals, text))
        object.__setattr__(self, "residuals", tuple(self._scaled(F) for F in residuals))
        self.rules  # noqa: B018  raises if the equation cannot be solved for a derivative

    def _parsed(self, values: Mapping[str, sympy.Expr]) -> list[sympy.Expr]:
        parts = [part for part in re.split(r"[;\n]", self.text) if part.strip()] or [self.text]
        if len(parts) > len(DEPENDENT):
            raise UserError(f"an equation or a system of {len(DEPENDENT)} is expected, got {len(parts)} equations")
        residuals = [sympy.expand(expressions.parse(part, _Vocabulary(values), _CALLS)) for part in parts]
        if sum(expressions.nodes(F) for F in residuals) > LARGEST_TREE:
            raise UserError(f"the equation must have at most {LARGEST_TREE} parts when multiplied out")
        numbers = {n for F in residuals for n in F.atoms(sympy.Rational)}
        if any(max(abs(n.p), n.q) > expressions.LARGEST_NUMBER for n in numbers):
            raise UserError("the equation must hold no number beyond 1e308 or of more than 308 digits")
        return residuals

    @staticmethod
    def _scaled(F: sympy.Expr) -> sympy.Expr:
        """An evolution equation with the coefficient 1 before ``u_t``; any other as it is."""
        coefficient = sympy.diff(F, u_t)
        return sympy.expand(F / coefficient) if coefficient.is_number and coefficient != 0 else F

    @cached_property
    def general(self) -> tuple[sympy.Expr, ...]:
        """The equation with its parameters as symbols: what can be proven for any value of them."""
        symbols: dict[str, sympy.Expr] = {}
        for name, value in self.parameters.items():
            sign = {"positive": True} if value > 0 else {"negative": True} if value < 0 else {"real": True}
            symbols[name] = sympy.Symbol(name, **sign)
        return tuple(self._scaled(F) for F in self._parsed(symbols))

    # ---------------------------------------------------------------- any equation

    @cached_property
    def order(self) -> int:
        """The highest order of a derivative in the equation."""
        return max(sum(index) for F in self.residuals for _, index in self.space.indices(F))

    @cached_property
    def _solved(self) -> dict[sympy.Symbol, sympy.Expr]:
        return solve_for_principal(self.residuals, self.space, self.text)

    @property
    def principal(self) -> tuple[sympy.Symbol, ...]:
        """The derivative each equation is solved for."""
        return tuple(self._solved)

    @cached_property
    def rules(self) -> dict[sympy.Symbol, sympy.Expr]:
        """The solution manifold in the jet space of the equation's order: principal derivatives by the others.

        An equation of a system that is of lower order than the other is differentiated up to it.
        """
        return consequences(self.residuals, self._solved, self.space)

    @cached_property
    def general_rules(self) -> dict[sympy.Symbol, sympy.Expr]:
        """`rules` with parameters as symbols."""
        return consequences(self.general, solve_for_principal(self.general, self.space, self.text), self.space)

    @property
    def evolutionary(self) -> bool:
        """Whether this is one equation ``u_t + K(x, t, u, u_x, ...) = 0`` in x and t."""
        if self.space != _EVOLUTION or len(self.residuals) > 1:
            return False
        (F,) = self.residuals
        in_time = [index for _, index in self.space.indices(F) if index[1]]
        return in_time == [(0, 1)] and sympy.diff(F, u_t) == 1

    @cached_property
    def K(self) -> sympy.Expr:
        """What ``u_t`` is minus of.

        Raises:
            UserError: this is no evolution equation.
        """
        if not self.evolutionary:
            raise UserError(f"this needs an equation u_t = ... in x, t and u, got {self.text!r}")
        return sympy.expand(self.residuals[0] - u_t)

    # ---------------------------------------------------------------- evolution equations

    @cached_property
    def sensitivities(self) -> tuple[sympy.Expr, ...]:
        """``dK/du_m`` for m = 0 ... order: the coefficients of the Frechet derivative ``D_F``."""
        return tuple(sympy.diff(self.K, derivative_symbol(m)) for m in range(self.order + 1))

    def evaluate(self, expression: sympy.Expr, x_: Any, t_: Any, u_: Sequence[Any] | Tensor) -> Any:
        """The value of an expression in x, t and x-derivatives of u, on tensors or truncated series.

        ``u_[m]`` is the m-th x-derivative of u.
        """
        values = {x: x_, t: t_} | {derivative_symbol(m): value for m, value in enumerate(u_)}
        return expressions.evaluate(expression, values, series.FUNCTIONS)

    def residual(self, x_: Tensor, t_: Tensor, u_: Sequence[Tensor], u_t_: Tensor) -> Tensor:
        """``F = u_t + K(x, t, u, u_x, ...)`` from values of u, its x-derivatives and ``u_t``, all of one shape."""
        return u_t_ + self.evaluate(self.K, x_, t_, u_)

    def residual_terms(
        self, x_: Tensor, t_: Tensor, u_: Sequence[Tensor] | Tensor, u_t_: Tensor
    ) -> tuple[Tensor, Tensor]:
        """F as in `residual`, and the sum of the squares of its terms: ``u_t`` and the summands of K."""
        values = {x: x_, t: t_, u_t: u_t_} | {derivative_symbol(m): value for m, value in enumerate(u_)}
        ((residual, squares),) = self.terms(values)
        return residual, squares

    def terms(self, values: Mapping[sympy.Symbol, Any]) -> list[tuple[Tensor, Tensor]]:
        """Every F and the sum of the squares of its summands, on values of the variables of jet space."""
        results = []
        for F in self.residuals:
            summands = [expressions.evaluate(term, values, series.FUNCTIONS) for term in sympy.Add.make_args(F)]
            like = next(s for s in summands if isinstance(s, Tensor))
            residual, squares = torch.zeros_like(like), torch.zeros_like(like)
            for value in summands:
                residual = residual + value
                squares = squares + value**2
            results.append((residual, squares))
        return results

    def rate(self, x_: Tensor, t_: Tensor, u_: Tensor, count: int) -> Tensor:
        """``D_x^j u_t`` on solutions, ``j = 0 ... count - 1``, as ``[count, ...]``.

        Args:
            x_, t_: coordinates, of one shape.
            u_: x-derivatives of u, ``[order + count or more, ...]``.
        """
        return torch.stack(
            [
                s * math.factorial(j)
                for j, s in enumerate(self._rate_series(x_, t_, u_, count - 1).coefficients.unbind(0))
            ]
        )

    def _rate_series(self, x_: Tensor, t_: Tensor, u_: Tensor, degree: int) -> Series:
        """``u_t = -K`` along ``x + s``, to a given degree in s."""
        along = series.line(degree)
        s = torch.zeros((degree + 1, *x_.shape), dtype=x_.dtype, device=x_.device)
        s[0] = x_
        if degree:
            s[1] = 1.0
        factorials = [math.factorial(j) for j in range(degree + 1)]
        derivatives = [
            Series(along, torch.stack([u_[m + j] / factorials[j] for j in range(degree + 1)]))
            for m in range(self.order + 1)
        ]
        value = self.evaluate(self.K, Series(along, s), t_, derivatives)
        return -value if isinstance(value, Series) else -Series(along, torch.zeros_like(s))

    def surface(self, x_: Tensor, t_: Tensor, u_: Tensor, truncation: Truncation) -> Series:
        """The solution surface ``u(x + s, t + r)`` through given x-derivatives, as a truncated polynomial.

        The derivatives in t follow from the equation (Cauchy and Kovalevskaya): with ``u = sum c_ij s^i r^j``,
        ``(j + 1) c_i,j+1 = -[s^i r^j] K``.

        Args:
            x_, t_: coordinates, ``[...]``.
            u_: x-derivatives of u, ``[m, ...]``; `jet_order` says how many are needed.
            truncation: in two variables, s first.
        """
        rows = max(j for _, j in truncation.monomials)
        width = [max(i for i, j in truncation.monomials if j == r) for r in range(rows + 1)]
        # c[j] must reach far enough in s for the rows above it: each t-derivative costs `order` x-derivatives
        reach = [max(width[r] + (r - j) * self.order for r in range(j, rows + 1)) for j in range(rows + 1)]
        coefficients: dict[tuple[int, ...], Tensor] = {(i, 0): u_[i] / math.factorial(i) for i in range(reach[0] + 1)}
        for j in range(rows):
            degree = reach[j + 1]
            sheet = Truncation([(i, k) for k in range(j + 1) for i in range(degree + 1)])
            zero = torch.zeros_like(x_)

            def derivative(m: int, sheet: Truncation = sheet) -> Series:
                return Series(
                    sheet,
                    torch.stack(
                        [
                            coefficients[i + m, k] * (math.factorial(i + m) / math.factorial(i))
                            for i, k in sheet.monomials
                        ]
                    ),
                )

            xs = torch.stack([x_ if m == (0, 0) else zero + (m == (1, 0)) for m in sheet.monomials])
            ts = torch.stack([t_ if m == (0, 0) else zero + (m == (0, 1)) for m in sheet.monomials])
            value = self.evaluate(
                self.K, Series(sheet, xs), Series(sheet, ts), [derivative(m) for m in range(self.order + 1)]
            )
            for i in range(degree + 1):
                coefficients[i, j + 1] = -value[i, j] / (j + 1)
        return Series(truncation, torch.stack([coefficients[m] for m in truncation.monomials]))

    def jet_order(self, truncation: Truncation) -> int:
        """The highest x-derivative of u that `surface` needs."""
        return max(i + self.order * j for i, j in truncation.monomials)


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

    def candidates(F: sympy.Expr) -> list[tuple[tuple, sympy.Symbol]]:
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
