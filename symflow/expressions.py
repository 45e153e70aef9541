"""Closed-form expressions: text to sympy by a grammar of our own, and evaluation on any arithmetic.

Strings may come from anywhere, so they are never executed: only numbers, the names the caller allows, the operators
``+ - * / ** ^``, parentheses and the functions of `FUNCTIONS` exist in the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import sympy

from symflow.errors import UserError

FUNCTIONS: dict[str, Any] = {f.__name__: f for f in (sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tanh)} | {
    "sqrt": sympy.sqrt
}

LONGEST = 2_000  # characters: far above any equation, far below what could exhaust a parser
DEEPEST = 50  # nested parentheses, signs and powers
LARGEST_EXPONENT = 64  # of a number raised to a number, so that 9**9**9 is refused instead of computed

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d{1,3})?|\.\d+(?:[eE][+-]?\d{1,3})?)|([A-Za-z_]\w*)|(\*\*|[-+*/^()=]))"
)


def parse(text: str, symbols: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """The sympy expression of a formula such as ``50*(exp(t/50) - 1)``.

    Numbers are read as exact rationals (``0.01`` is 1/100). A formula with ``=`` stands for its left side minus its
    right side.

    Args:
        text: the formula.
        symbols: the names it may use, with what they stand for.

    Raises:
        UserError: the text is no formula; the sentence points at the column.

    >>> t = sympy.Symbol("t")
    >>> parse("50*(exp(t/50) - 1)", {"t": t})
    50*exp(t/50) - 50
    """
    if not isinstance(text, str):
        raise UserError(f"a formula must be text, got {type(text).__name__}")
    if len(text) > LONGEST:
        raise UserError(f"a formula must have at most {LONGEST} characters, got {len(text)}")
    return _Parser(text, symbols).formula()


class _Parser:
    """Recursive descent: formula = sum ["=" sum]; sum = product {+- product}; product = signed {*/ signed};
    signed = {+-} power; power = atom [** signed]; atom = number | name | function(sum) | (sum)."""

    def __init__(self, text: str, symbols: Mapping[str, sympy.Expr]) -> None:
        self.text, self.symbols, self.depth = text, symbols, 0
        self.tokens: list[tuple[str, str, int]] = []  # kind, token, column
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                column = position + len(text[position:]) - len(text[position:].lstrip())
                raise self.error(f"unexpected {text[column]!r}", column)
            kind = ("number", "name", "operator")[(match.lastindex or 1) - 1]
            self.tokens.append((kind, match[match.lastindex or 1], match.start(match.lastindex or 1)))
            position = match.end()
        self.tokens.append(("end", "", len(text)))
        self.at = 0

    def error(self, what: str, column: int) -> UserError:
        return UserError(f"{what} at column {column + 1} of the formula {self.text!r}")

    def take(self, *operators: str) -> str | None:
        kind, token, _ = self.tokens[self.at]
        if kind == "operator" and token in operators:
            self.at += 1
            return token
        return None

    def expect(self, operator: str) -> None:
        if not self.take(operator):
            _, token, column = self.tokens[self.at]
            raise self.error(f"expected {operator!r}, got {token!r}" if token else f"expected {operator!r}", column)

    def formula(self) -> sympy.Expr:
        value = self.sum()
        if self.take("="):
            value = value - self.sum()
        kind, token, column = self.tokens[self.at]
        if kind != "end":
            raise self.error(f"unexpected {token!r}", column)
        return value

    def sum(self) -> sympy.Expr:
        value = self.product()
        while operator := self.take("+", "-"):
            term = self.product()
            value = value + term if operator == "+" else value - term
        return value

    def product(self) -> sympy.Expr:
        value = self.signed()
        while operator := self.take("*", "/"):
            column = self.tokens[self.at][2]
            factor = self.signed()
            if operator == "/" and factor.is_zero:
                raise self.error("division by zero", column)
            value = value * factor if operator == "*" else value / factor
        return value

    def signed(self) -> sympy.Expr:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} nested levels", self.tokens[self.at][2])
        operator = self.take("+", "-")
        value = self.power() if operator is None else self.signed() * (-1 if operator == "-" else 1)
        self.depth -= 1
        return value

    def power(self) -> sympy.Expr:
        base = self.atom()
        if not self.take("**", "^"):
            return base
        column = self.tokens[self.at][2]
        exponent = self.signed()
        if exponent.is_number and not (exponent.is_real and abs(exponent) <= LARGEST_EXPONENT):
            raise self.error(f"exponent beyond {LARGEST_EXPONENT}", column)
        if base.is_zero and not exponent.is_positive:
            raise self.error("division by zero", column)
        return base**exponent

    def atom(self) -> sympy.Expr:
        kind, token, column = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return sympy.Rational(token)
        if kind == "name":
            if token in self.symbols:
                return self.symbols[token]
            if token in FUNCTIONS:
                self.expect("(")
                value = FUNCTIONS[token](self.sum())
                self.expect(")")
                return value
            known = ", ".join([*self.symbols, *FUNCTIONS])
            raise self.error(f"unknown name {token!r} (known: {known})", column)
        if token == "(":
            value = self.sum()
            self.expect(")")
            return value
        raise self.error(f"unexpected {token!r}" if token else "unexpected end", column)


def evaluate(expression: sympy.Expr, values: Mapping[sympy.Symbol, Any], functions: Mapping[str, Callable]) -> Any:
    """The value of a sympy expression on anything that has ``+ * **``: numbers, tensors, truncated series.

    Args:
        expression: made of numbers, symbols, sums, products, powers and the functions named in ``functions``.
        values: what each symbol stands for.
        functions: ``{"exp": torch.exp, ...}``, by sympy's names.

    Raises:
        KeyError: a symbol or function is not given.
    """
    if expression.is_Symbol:
        return values[expression]
    if expression.is_number:
        return float(expression)
    parts = [evaluate(argument, values, functions) for argument in expression.args]
    if expression.is_Add:
        return _reduce(parts, lambda a, b: a + b)
    if expression.is_Mul:
        return _reduce(parts, lambda a, b: a * b)
    if expression.is_Pow:
        base, exponent = expression.args
        if exponent.is_Integer:
            return parts[0] ** int(exponent)
        if base == sympy.E:
            return functions["exp"](parts[1])
        return parts[0] ** parts[1]
    return functions[type(expression).__name__](*parts)


def _reduce(parts: list, operation: Callable) -> Any:
    """Numbers last: a float may not know how to act on a tensor or a series from the left."""
    parts = sorted(parts, key=lambda part: isinstance(part, float))
    value = parts[0]
    for part in parts[1:]:
        value = operation(value, part)
    return value
