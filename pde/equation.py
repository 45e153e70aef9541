"""Evolution equations ``u_t + K(x, t, u, u_x, ...) = 0`` as data: a formula and what follows from it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy
import torch
from torch import Tensor

from symflow import expressions, series
from symflow.errors import UserError
from symflow.series import Series, Truncation

x, t, u = sympy.symbols("x t u", real=True)
HIGHEST_ORDER = 5

_DERIVATIVE = re.compile(r"u_(x+|t)\Z")


def derivative_symbol(order: int) -> sympy.Symbol:
    """The symbol of the order-th x-derivative of u: ``u, u_x, u_xx, ...``."""
    return u if order == 0 else sympy.Symbol("u_" + "x" * order, real=True)


u_t = sympy.Symbol("u_t", real=True)


def total_derivative_x(expression: sympy.Expr) -> sympy.Expr:
    """``D_x`` of a function of x, t and the x-derivatives of u (Olver, section 2.3)."""
    result = sympy.diff(expression, x)
    for symbol in expression.free_symbols:
        order = derivative_order(symbol)
        if order is not None:
            result += sympy.diff(expression, symbol) * derivative_symbol(order + 1)
    return result


def derivative_order(symbol: sympy.Symbol) -> int | None:
    """How many x-derivatives of u a symbol stands for; ``None`` when it is none."""
    if symbol == u:
        return 0
    match = re.fullmatch(r"u_(x+)", symbol.name)
    return len(match[1]) if match else None


@dataclass(frozen=True)
class Equation:
    """A scalar evolution equation in one space dimension, from its formula.

    ``u_t + K(x, t, u, u_x, u_xx, ...) = 0``: first order in t, of order 1 to 5 in x, linear in ``u_t``, which must
    have a constant coefficient. Parameters are named numbers.

    Args:
        text: for example ``"u_t + u*u_x + u_xxx = 0"``; x, t, u, ``u_x ... u_xxxxx``, ``u_t``, the parameters and
            exp, log, sqrt, sin, cos, tanh may appear.
        parameters: numbers for further names in the text.

    Raises:
        UserError: the text is no formula or not of this kind; the sentence says where or why.

    >>> Equation("u_t + u*u_x = nu*u_xx", nu=0.01).order
    2
    """

    text: str
    parameters: dict[str, float] = field(default_factory=dict)
    K: sympy.Expr = field(init=False, compare=False, repr=False)

    def __init__(self, text: str, **parameters: float) -> None:
        if not isinstance(text, str):
            raise UserError(f"`text` must be an equation such as 'u_t + u*u_x + u_xxx = 0', got {type(text).__name__}")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "parameters", {k: float(v) for k, v in parameters.items()})
        symbols: dict[str, sympy.Expr] = {"x": x, "t": t, "u_t": u_t}
        symbols |= {derivative_symbol(n).name: derivative_symbol(n) for n in range(HIGHEST_ORDER + 1)}
        for name, value in self.parameters.items():
            if name in symbols or name in expressions.FUNCTIONS or not name.isidentifier():
                raise UserError(f"a parameter cannot be called {name!r}: the name is taken or no identifier")
            if not math.isfinite(value):
                raise UserError(f"the parameter {name!r} must be a finite number, got {value}")
            symbols[name] = sympy.Rational(repr(value))  # the decimal that was written: 0.01 is 1/100
        F = sympy.expand(expressions.parse(text, symbols))
        coefficient = sympy.diff(F, u_t)
        if coefficient == 0 or coefficient.free_symbols:
            raise UserError(f"the equation must be linear in u_t with a constant coefficient, got {text!r}")
        K = sympy.expand((F - coefficient * u_t) / coefficient)
        object.__setattr__(self, "K", K)
        if self.order == 0:
            raise UserError(f"the equation must contain an x-derivative of u, got {text!r}")

    @cached_property
    def order(self) -> int:
        """The highest x-derivative of u in the equation."""
        return max((derivative_order(s) or 0 for s in self.K.free_symbols), default=0)

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
        residual, squares = u_t_, u_t_.square()
        for term in sympy.Add.make_args(self.K):
            value = self.evaluate(term, x_, t_, u_)
            residual = residual + value
            squares = squares + value**2
        return residual, squares

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
