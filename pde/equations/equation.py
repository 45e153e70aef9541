"""Differential equations as data: from text, or a sympy object, to what follows from it.

An equation or a system ``F(x, t, u, u_x, ...) = 0`` in one to four independent variables and any unknowns. Solved for
one derivative per equation, its principal one, it describes the solution manifold in jet space. A scalar equation
``u_t + K(x, t, u, u_x, ...) = 0`` is an evolution equation besides, and its solutions have Taylor series that follow
from their x-derivatives.
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

from .complex_unknowns import in_complex
from .jets import JetSpace, derivative, variable
from .names import Names, declared, names_of
from .principal import Solved, consequences, several_of_one, solve_explicitly, solve_for_principal, vanishes
from .reading import parts_of, residuals_of
from .spelling import Vocabulary, letters_of, written

x, t, u = variable("x"), variable("t"), variable("u")
u_t = derivative("u", "t")
MOST_COMPLETIONS = 4  # times that equations which follow are added to a system
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


def _number(name: str, value: Any) -> float:
    if name == "parameters" and isinstance(value, Mapping):
        given = ", ".join(f"{k}={v!r}" for k, v in value.items())
        raise UserError(f"parameters are given by name, as Equation(text, {given}), got a mapping of them")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"the parameter {name!r} must be a finite number, got {value!r}") from None


@dataclass(frozen=True)
class Equation:
    """A differential equation, or a system, from its formula.

    Derivatives are written ``u_xxt``, ``Derivative(u, x, x, t)`` or ``Derivative(u**2/2, x)``: the order of letters
    does not matter, and a derivative of an expression is the total one. What is differentiated is an unknown,
    whatever it is called, and what it is differentiated in is an independent variable: x, y, z, t, x1, x2, ... are
    known, others are declared. In Cartesian coordinates there are ``laplace(u)``, ``grad(u)``, ``div((u, v))``,
    ``curl((u, v))`` and ``dot(a, b)``, in all variables but t. With an imaginary unit ``i``, unknowns such as psi in
    ``|psi|**2`` or ``conj(psi)`` are complex, and the coordinates are ``psi_re`` and ``psi_im``. The equations of a
    system are separated by semicolons. Parameters are named numbers.

    Args:
        text: for example ``"u_t + u*u_x + u_xxx = 0"``, with ``+ - * / ** ^ ( )``, ``| |``, pi, E and exp, log, sqrt,
            sin, cos, tan, sinh, cosh, tanh, their inverses, erf, sign; or a sympy expression or `sympy.Eq` in
            ``u(x, t)``; or a sequence of them.
        independent: the independent variables, such as ``"r, s"``; by default those that the text shows.
        unknowns: the unknowns, such as ``"rho, p"``; by default those that the text shows.
        parameters: numbers for further names in the text.

    Raises:
        UserError: the text is no formula or not of this kind; the sentence says where or why.

    >>> Equation("u_t + u*u_x = nu*u_xx", nu=0.01).order
    2
    >>> Equation("u_tt - Derivative(u, x, 2) + sin(u) = 0").principal
    (u_tt,)
    >>> Equation("rho_s + Derivative(rho*w, r) = 0; w_s + w*w_r = 0", independent="r, s").space.names
    ('r', 's', 'w', 'rho')
    >>> Equation("i*psi_t + psi_xx + 2*|psi|**2*psi = 0").space.dependent
    ('psi_re', 'psi_im')
    """

    text: str
    parameters: dict[str, float] = field(default_factory=dict)
    independent: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()
    names: Names = field(init=False, compare=False, repr=False)
    residuals: tuple[sympy.Expr, ...] = field(init=False, compare=False, repr=False)
    space: JetSpace = field(init=False, compare=False, repr=False)

    def __init__(
        self,
        text: str | sympy.Basic | Sequence[str | sympy.Basic],
        independent: str | Sequence[str] | None = None,
        unknowns: str | Sequence[str] | None = None,
        **parameters: float,
    ) -> None:
        if isinstance(text, sympy.Basic) or (
            isinstance(text, list | tuple) and any(isinstance(part, sympy.Basic) for part in text)
        ):
            independent = independent or letters_of(text)
        if isinstance(text, list | tuple):
            text = "; ".join(part if isinstance(part, str) else written(part) for part in text)
        elif isinstance(text, sympy.Basic):
            text = written(text)
        if not isinstance(text, str):
            raise UserError(f"`text` must be an equation such as 'u_t + u*u_x + u_xxx = 0', got {type(text).__name__}")
        text = expressions.typed(text)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "independent", declared("independent", independent))
        object.__setattr__(self, "unknowns", declared("unknowns", unknowns))
        object.__setattr__(self, "parameters", {k: _number(k, v) for k, v in parameters.items()})
        object.__setattr__(self, "names", names_of(parts_of(text), self.parameters, self.independent, self.unknowns))
        values: dict[str, sympy.Expr] = {}
        for name, value in self.parameters.items():
            if name in Vocabulary(self.names, {}) or name in expressions.FUNCTIONS or not name.isidentifier():
                raise UserError(f"a parameter cannot be called {name!r}: the name is taken or no identifier")
            if not math.isfinite(value):
                raise UserError(f"the parameter {name!r} must be a finite number, got {value}")
            values[name] = sympy.Rational(repr(value))  # the decimal that was written: 0.01 is 1/100
        object.__setattr__(self, "space", JetSpace(self.names.independent, self.names.dependent))
        object.__setattr__(self, "residuals", tuple(self._scaled(F) for F in self._parsed(values)))
        if len(self.residuals) < len(self.space.dependent):
            unknowns_, got = ", ".join(self.space.dependent), f"got {len(self.residuals)} in {text!r}"
            raise UserError(f"{len(self.space.dependent)} unknowns ({unknowns_}) need as many equations, {got}")
        self.rules  # noqa: B018  raises if the equation cannot be solved for a derivative

    def _parsed(self, values: Mapping[str, sympy.Expr]) -> list[sympy.Expr]:
        return residuals_of(parts_of(self.text), self.names, values)

    def _scaled(self, F: sympy.Expr) -> sympy.Expr:
        """An evolution equation with the coefficient 1 before its first derivative in t; any other as it is."""
        for name in self.space.dependent if "t" in self.space.independent else ():
            coefficient = sympy.diff(F, derivative(name, "t"))
            if coefficient.is_number and coefficient != 0:
                return sympy.expand(F / coefficient)
        return F

    def respelled(self, text: str, **parameters: float) -> Equation:
        """Another equation with the names of this one."""
        return Equation(text, self.independent, self.unknowns, **parameters)

    @cached_property
    def general(self) -> tuple[sympy.Expr, ...]:
        """The equation with its parameters as symbols: what can be proven for any value of them."""
        return tuple(self._scaled(F) for F in self._parsed(self.letters))

    @property
    def letters(self) -> dict[str, sympy.Expr]:
        """The parameters as symbols, with the signs of their values."""
        sign = {n: "positive" if v > 0 else "negative" if v < 0 else "real" for n, v in self.parameters.items()}
        return {n: sympy.Symbol(n, **{sign[n]: True}) for n in self.parameters}

    # ---------------------------------------------------------------- any equation

    @cached_property
    def order(self) -> int:
        """The highest order of a derivative in the equation."""
        return max(sum(index) for F in self.residuals for _, index in self.space.indices(F))

    @cached_property
    def orders(self) -> dict[str, int]:
        """The highest order of a derivative in each independent variable.

        >>> Equation("u_tt + u_xxxx = 0").orders
        {'x': 4, 't': 2}
        """
        indices = [index for F in self.residuals for _, index in self.space.indices(F)]
        return {name: max(index[i] for index in indices) for i, name in enumerate(self.space.independent)}

    @cached_property
    def time(self) -> str | None:
        """Which independent variable is time: t, or the only one, or the only one in which the system is of order one.

        ``None`` where none is told from the others, as in ``u_xx + u_yy = 0``.

        >>> Equation("u_s = u_rr", independent="r, s").time
        's'
        """
        names = self.space.independent
        if "t" in names or len(names) == 1:
            return "t" if "t" in names else names[0]
        first = [name for name in names if self.orders[name] == 1 and self.explicit(name) is not None]
        return first[0] if len(first) == 1 else None

    def explicit(self, axis: str) -> Solved | None:
        """The system solved for the highest derivatives in one variable of all unknowns, if it can be: what is stepped.

        Right sides are of lower order in that variable; ``None`` where they are not, or the highest derivatives are
        mixed or enter nonlinearly.

        Args:
            axis: an independent variable.

        >>> Equation("u_tt + u_t - u_xx = 0").explicit("t")
        {u_tt: -u_t + u_xx}
        """
        return solve_explicitly(self.residuals, self.space, axis)

    @cached_property
    def _completed(self) -> tuple[Solved, Solved]:
        return self._complete(self.residuals)

    def _complete(self, residuals: Sequence[sympy.Expr]) -> tuple[Solved, Solved]:
        """Principal derivatives by what they are equal to, and the same with their consequences."""
        known = list(residuals)
        # their own: a parameter that is 0 may take the highest term away
        order = max(sum(index) for F in residuals for _, index in self.space.indices(F))
        for _ in range(MOST_COMPLETIONS):
            solved = solve_for_principal(known, self.space, self.text)
            rules, conditions = consequences(solved, self.space, order)
            if not conditions and several_of_one(solved, self.space):  # what they agree on shows an order later
                _, conditions = consequences(solved, self.space, order + 1)
            if not conditions:
                if len(residuals) > 1 and not all(vanishes(F.subs(rules)) for F in residuals):
                    break
                return solved, rules
            known += conditions
        raise UserError(f"the equations must agree after a few derivatives, got {self.text!r}")

    def rules_of(self, residuals: Sequence[sympy.Expr]) -> Solved:
        """`rules` of other residuals in the same variables."""
        return self._complete(residuals)[1]

    @property
    def principal(self) -> tuple[sympy.Symbol, ...]:
        """The derivative each equation is solved for."""
        return tuple(self._completed[0])

    @property
    def rules(self) -> Solved:
        """The solution manifold in the jet space of the equation's order: principal derivatives by the others.

        An equation of a system that is of lower order than another is differentiated up to it, and what follows from
        two of them, up to this order, is among them.
        """
        return self._completed[1]

    @cached_property
    def general_rules(self) -> Solved:
        """`rules` with parameters as symbols."""
        return self._complete(self.general)[1]

    def in_complex(self, form: Mapping[str, sympy.Expr]) -> dict[str, sympy.Expr]:
        """A field with the complex unknowns as they are written (`complex_unknowns.in_complex`)."""
        return in_complex(self.names, form)

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
