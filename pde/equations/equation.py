"""Differential equations as data: from text, or a sympy object, to what follows from it.

An equation or a system ``F(x, y, t, u, v, u_x, ...) = 0`` in two or three independent variables and one or two
unknowns. Solved for one derivative per equation, its principal one, it describes the solution manifold in jet space.
A scalar equation ``u_t + K(x, t, u, u_x, ...) = 0`` is an evolution equation besides, and its solutions have Taylor
series that follow from their x-derivatives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Series, Truncation, series
from symflow.formulas import expressions

from .jets import DEPENDENT, JetSpace, derivative, variable
from .principal import _space, consequences, solve_for_principal
from .spelling import _CALLS, _Vocabulary, _written

x, t, u = variable("x"), variable("t"), variable("u")
u_t = derivative("u", "t")
LARGEST_TREE = 1_000  # parts of the equation multiplied out: ten times those of the largest in use
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


def highest_derivative(expression: sympy.Expr) -> int:
    """The order of the highest x-derivative of u in an expression, 0 where there is none."""
    return max((derivative_order(s) or 0 for s in expression.free_symbols), default=0)


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
        residual: Tensor = u_t_ + self.evaluate(self.K, x_, t_, u_)
        return residual

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
