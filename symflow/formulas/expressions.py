"""Closed-form expressions: text to sympy by a grammar of our own, and evaluation on any arithmetic.

Strings may come from anywhere, so they are never executed: only numbers, the names the caller allows, `CONSTANTS`, the
operators ``+ - * / ** ^``, parentheses, ``| |`` and the functions of `FUNCTIONS` exist in the grammar.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import sympy

from symflow.errors import UserError, nearest

from .spelling import LONGEST, said_of
from .spelling import typed as typed
from .vectors import Vector

OWN = (
    *(sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.tanh, sympy.erf),
    *(sympy.asin, sympy.acos, sympy.atan, sympy.asinh, sympy.acosh, sympy.atanh, sympy.Abs, sympy.sign),
)
"""Functions that formulas are made of."""
FUNCTIONS: dict[str, Any] = {f.__name__: f for f in OWN} | {
    "sqrt": sympy.sqrt,
    "abs": sympy.Abs,
    "ln": sympy.log,
    "tan": lambda a: sympy.sin(a) / sympy.cos(a),  # in two functions, so that algebra sees what cancels
    "cot": lambda a: sympy.cos(a) / sympy.sin(a),
    "sec": lambda a: 1 / sympy.cos(a),
    "csc": lambda a: 1 / sympy.sin(a),
    "coth": lambda a: sympy.cosh(a) / sympy.sinh(a),
}
CONSTANTS: dict[str, sympy.Expr] = {"pi": sympy.pi, "E": sympy.E}
COMPLEX = ("abs", "conj", "re", "im")  # what is taken of complex numbers; the first of real ones too

DEEPEST = 50  # nested parentheses, signs and powers
LARGEST_EXPONENT = 64  # so that 9**9**9 is refused instead of computed
LARGEST_NUMBER = 10**308  # the range of float64, for numerators, denominators and the value of any constant
LARGEST_ROOT = 1_000  # of a number: sympy computes with its integer powers of that order
MOST_TERMS = 300  # of the formula multiplied out, as later steps may do
MOST_NODES = 3_000  # of its tree

_TOKEN = re.compile(
    r"\s*(?:([0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?)"
    r"|([A-Za-z_][A-Za-z0-9_]*)|(\*\*|[-+*/^()=,|]))"
)


Value: TypeAlias = sympy.Expr | Vector
Argument: TypeAlias = Value | tuple[sympy.Expr, int]
"""What a function of the caller's is given: an expression, a vector, or a pair such as ``(x, 3)``."""

Calls = Mapping[str, Callable[[Sequence[Argument]], Value]]


def parse(
    text: str,
    symbols: Mapping[str, sympy.Expr],
    calls: Calls | None = None,
    hint: Callable[[str], str] = lambda name: "",
) -> sympy.Expr:
    """The sympy expression of a formula such as ``50*(exp(t/50) - 1)``.

    Numbers are read as exact rationals (``0.01`` is 1/100). A formula with ``=`` stands for its left side minus its
    right side.

    Args:
        text: the formula.
        symbols: the names it may use, with what they stand for.
        calls: functions besides `FUNCTIONS`: each is given its arguments and may raise `ValueError` with what is wrong
            with them.
        hint: what is said of an unknown name besides, as ``; did you mean 'u_xx'``; by default the nearest one.

    Raises:
        UserError: the text is no formula, or too large a one (the constants above); the sentence points at the column.

    >>> t = sympy.Symbol("t")
    >>> parse("50*(exp(t/50) - 1)", {"t": t})
    50*exp(t/50) - 50
    """
    if not isinstance(text, str):
        raise UserError(f"a formula must be text, got {type(text).__name__}")
    if len(text) > LONGEST:
        raise UserError(f"a formula must have at most {LONGEST} characters, got {len(text)}")
    return _Parser(typed(text), symbols, calls or {}, hint).formula()


class _Parser:
    """Recursive descent: formula = sum ["=" sum]; sum = product {+- product}; product = signed {*/ signed};
    signed = {+-} power; power = atom [** signed]; atom = number | name | name(argument {, argument}) | (sum {, sum})
    | "|" sum "|"; argument = sum | (name, number)."""

    def __init__(self, text: str, symbols: Mapping[str, sympy.Expr], calls: Calls, hint: Callable[[str], str]) -> None:
        self.text, self.symbols, self.calls, self.hint, self.depth = text, symbols, calls, hint, 0
        self.tokens: list[tuple[str, str, int]] = []  # kind, token, column
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                column = position + len(text[position:]) - len(text[position:].lstrip())
                raise self.error(f"unexpected {text[column]!r}{said_of(text[column])}", column)
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
        if column := self.tokens[self.at][2] if self.take("=") else 0:
            value = self.added([value, self.scaled(self.sum(), sympy.Integer(-1), column)], column)
        kind, token, column = self.tokens[self.at]
        if kind != "end":
            hint = " (a product needs its sign, *)"
            if kind == "operator" and token != "(":  # noqa: S105
                hint = said_of(token)
            raise self.error(f"unexpected {token!r}{hint}", column)
        self.bounded(value, 0)
        return self.scalar(value, 0)

    def sum(self) -> Value:
        column = self.tokens[self.at][2]
        terms = [self.product()]
        while operator := self.take("+", "-"):
            terms.append(self.product() if operator == "+" else self.scaled(self.product(), sympy.Integer(-1), column))
        return self.real(self.added(terms, column), column)

    def product(self) -> Value:
        value = self.signed()
        while operator := self.take("*", "/"):
            column = self.tokens[self.at][2]
            factor = self.signed()
            if operator == "/":
                self.nonzero(self.scalar(factor, column), column)
                value = self.real(value / factor, column)
            else:
                value = self.real(self.scaled(value, factor, column), column)
        return value

    def signed(self) -> Value:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} nested levels", self.tokens[self.at][2])
        operator = self.take("+", "-")
        value = self.power() if operator is None else self.signed() * sympy.Integer(-1 if operator == "-" else 1)
        self.depth -= 1
        return value

    def power(self) -> Value:
        base = self.atom()
        if not self.take("**", "^"):
            return base
        column = self.tokens[self.at][2]
        base, exponent = self.scalar(base, column), self.scalar(self.signed(), column)
        self.bounded(base, column)
        self.bounded(exponent, column)
        if exponent.is_number and abs(float(exponent)) > LARGEST_EXPONENT:
            raise self.error(f"exponent beyond {LARGEST_EXPONENT}", column)
        if exponent.is_Rational and exponent.q > LARGEST_ROOT and base.primitive()[0] != 1:
            raise self.error(f"root of a number of an order beyond {LARGEST_ROOT}", column)
        if not exponent.is_positive:
            self.nonzero(base, column)
        return self.real(base**exponent, column)

    def atom(self) -> Value:
        kind, token, column = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return self.real(sympy.Rational(token), column)
        if kind == "name":
            called = self.tokens[self.at][1] == "("
            if called and token in self.calls:
                return self.call(token, column)
            if token in self.symbols:
                return self.symbols[token]
            if token in FUNCTIONS:
                self.expect("(")
                value = self.applied(token, self.sum(), column)
                self.expect(")")
                return value
            if token in CONSTANTS:
                return CONSTANTS[token]
            names, functions = [*self.symbols, *CONSTANTS], [*FUNCTIONS, *self.calls]
            known = ", ".join(dict.fromkeys(functions if called else names))
            hint = ("" if called else self.hint(token)) or nearest(token, [*names, *functions]).removesuffix("?")
            raise self.error(f"unknown name {token!r} (known: {known}{hint})", column)
        if token == "(":  # noqa: S105
            parts = [self.sum()]
            while self.take(","):
                parts.append(self.sum())
            self.expect(")")
            return parts[0] if len(parts) == 1 else Vector(tuple(self.scalar(part, column) for part in parts))
        if token == "|":  # noqa: S105
            value = self.applied("abs", self.sum(), column)
            self.expect("|")
            return value
        raise self.error(f"unexpected {token!r}{said_of(token)}" if token else "unexpected end", column)

    def applied(self, name: str, value: Value, column: int) -> Value:
        """A function of one argument: the caller's, or of `FUNCTIONS`."""
        if isinstance(value, Vector) and name == "abs":
            return sympy.sqrt(value.dot(value))
        if name in self.calls:
            return self.called(name, [value], column)
        return self.real(FUNCTIONS[name](self.scalar(value, column)), column)

    def scalar(self, value: Value, column: int) -> sympy.Expr:
        if isinstance(value, Vector):
            raise self.error("a vector where a number is expected", column)
        return value

    def added(self, values: Sequence[Value], column: int) -> Value:
        if not any(isinstance(value, Vector) for value in values):
            return sympy.Add(*values)
        if len({len(value.parts) if isinstance(value, Vector) else -1 for value in values}) > 1:
            raise self.error("a sum of vectors of different lengths, or of a vector and a number", column)
        return sum(values[1:], values[0])

    def scaled(self, value: Value, factor: Value, column: int) -> Value:
        if isinstance(value, Vector) and isinstance(factor, Vector):
            raise self.error("a product of vectors (dot(a, b) is the scalar one)", column)
        return value * factor

    def call(self, name: str, column: int) -> Value:
        """A function of the caller's, from its parenthesis on."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} nested levels", column)
        self.expect("(")
        arguments = [self.argument()]
        while self.take(","):
            arguments.append(self.argument())
        self.expect(")")
        self.depth -= 1
        return self.called(name, arguments, column)

    def called(self, name: str, arguments: Sequence[Argument], column: int) -> Value:
        try:
            value = self.calls[name](arguments)
        except ValueError as error:
            raise self.error(str(error), column) from None
        self.bounded(value, column)
        return value

    def argument(self) -> Argument:
        ahead = self.tokens[self.at : self.at + 5]
        if [kind for kind, _, _ in ahead] == ["operator", "name", "operator", "number", "operator"]:
            (_, opening, _), (_, name, _), (_, comma, _), (_, number, _), (_, closing, _) = ahead
            if (opening, comma, closing) == ("(", ",", ")") and number.isdigit() and name in self.symbols:
                self.at += 5
                return self.symbols[name], int(number[:4])
        return self.sum()

    # Constants are kept real and in range as they are built, so that nothing ever computes with a monster.

    def real(self, value: Value, column: int) -> Value:
        """The value; refused when it is a constant that is no float64."""
        if isinstance(value, Vector):
            return Vector(tuple(self.real(part, column) for part in value.parts))
        if value.is_Rational:
            if max(abs(value.p), value.q) > LARGEST_NUMBER:
                raise self.error("number beyond 1e308 or of more than 308 digits", column)
        elif value.is_number:
            number = value.evalf(17)
            if not number.is_Float:
                raise self.error("no real number", column)
            if not abs(number) < LARGEST_NUMBER:
                raise self.error("number beyond 1e308", column)
        return value

    def nonzero(self, value: sympy.Expr, column: int) -> None:
        """Refuses division by zero, and by a constant that only exact simplification could tell from zero."""
        if value.is_zero or (value.is_number and not value.is_Rational and abs(value.evalf(17)) < 1e-100):
            raise self.error("division by zero", column)

    def bounded(self, value: Value, column: int) -> None:
        """Refuses what sympy may have gathered from harmless parts: ``(2*x)**60*(3*x)**60 = 2**60 3**60 x**120``."""
        if isinstance(value, Vector):
            for part in value.parts:
                self.bounded(part, column)
            return
        if nodes(value) > MOST_NODES:
            raise self.error(f"more than {MOST_NODES} parts", column)
        for part in sympy.preorder_traversal(value):
            if part.is_number:
                self.real(part, column)
            elif part.is_Pow and part.exp.is_number:
                self.real(part.exp, column)
                if abs(float(part.exp)) > LARGEST_EXPONENT:
                    raise self.error(f"exponent beyond {LARGEST_EXPONENT}", column)
        if terms(value) > MOST_TERMS:
            raise self.error(f"more than {MOST_TERMS} terms when multiplied out", column)


def nodes(expression: sympy.Expr) -> int:
    """The size of an expression as a tree, counted to `MOST_NODES` and one."""
    return sum(1 for _ in islice(sympy.preorder_traversal(expression), MOST_NODES + 1))


def terms(expression: sympy.Expr) -> int:
    """A bound on the number of terms that sympy.expand makes of an expression or of any of its parts."""
    parts = [terms(argument) for argument in expression.args]
    if expression.is_Add:
        return min(sum(parts), MOST_TERMS + 1)
    if expression.is_Mul:
        return min(math.prod(parts), MOST_TERMS + 1)
    if expression.is_Pow and expression.exp.is_number:
        n = math.ceil(abs(float(expression.exp)))
        return min(math.comb(parts[0] + n - 1, n), MOST_TERMS + 1) if n else 1
    if expression.is_Pow or isinstance(expression, sympy.exp):
        return max(parts) if parts[-1] <= LARGEST_EXPONENT else MOST_TERMS + 1  # a**(b + c) becomes a product
    return max([1, *(p for p in parts if p > MOST_TERMS)])


def evaluate(
    expression: sympy.Expr, values: Mapping[sympy.Symbol, Any], functions: Mapping[str, Callable[..., Any]]
) -> Any:
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
        return _float(expression)
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


def _float(number: sympy.Expr) -> float:
    """A constant; not a number where it is not real, as a root of -1 is."""
    try:
        return float(number)
    except TypeError:
        return math.nan


def _reduce(parts: list[Any], operation: Callable[[Any, Any], Any]) -> Any:
    """Numbers last: a float may not know how to act on a tensor or a series from the left."""
    parts = sorted(parts, key=lambda part: isinstance(part, float))
    value = parts[0]
    for part in parts[1:]:
        value = operation(value, part)
    return value
