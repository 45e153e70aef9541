"""An equation with arbitrary functions in its text, ``u_t = f(u)*u_xx``, and what it is for one choice of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import sympy

from symflow.algebra import ClosedForm
from symflow.errors import UserError
from symflow.formulas import expressions

from ..equations import Equation, Vocabulary, calls, parts_of
from ..symmetries import combinations, prolonged

ARGUMENT = "a"
GENERIC = f"1 + {ARGUMENT} + 3*{ARGUMENT}**2/2 + {ARGUMENT}**5/7"  # a function that has nothing special
_CALLED = re.compile(r"(?<![A-Za-z0-9_])([A-Za-z]\w*)\s*\(", re.ASCII)
_RESERVED = {*expressions.FUNCTIONS, *expressions.COMPLEX, "Derivative", "diff", "D", "laplace", "grad", "div", "curl"}


@dataclass(frozen=True)
class Template:
    """A text with arbitrary functions of one argument.

    Attributes:
        text: of the equation.
        parameters: numbers for names in it.
        independent, unknowns: names that it does not show.
    """

    text: str
    parameters: Mapping[str, float]
    independent: str | Sequence[str] | None = None
    unknowns: str | Sequence[str] | None = None

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """The names of the arbitrary functions: what is called and never differentiated."""
        called = dict.fromkeys(m[1] for m in _CALLED.finditer(self.text))
        listed = self.unknowns.replace(",", " ").split() if isinstance(self.unknowns, str) else self.unknowns or ()
        return tuple(
            name
            for name in called
            if name not in _RESERVED
            and name not in listed
            and not re.search(rf"(?<![A-Za-z0-9_]){name}_[A-Za-z0-9]+", self.text)
            and "_" not in name
        )

    def equation(self, formulas: Mapping[str, str], **parameters: float) -> Equation:
        """With a formula in `ARGUMENT` for every function, and one for every number by name.

        Raises:
            UserError: that is no equation.
        """
        text = self._with(formulas)
        return Equation(text, self.independent, self.unknowns, **{**self.parameters, **parameters})

    def _with(self, formulas: Mapping[str, str]) -> str:
        text = self.text
        for name, formula in formulas.items():
            text = _replaced(text, name, formula)
            text = re.sub(rf"(?<![\w.]){name}(?!\w|\s*\()", f"({formula})", text)  # a number
        return text

    def for_all(
        self,
        equation: Equation,
        forms: Sequence[ClosedForm],
        choice: Mapping[str, str] = MappingProxyType({}),
        numbers: Collection[str] = (),
    ) -> list[ClosedForm]:
        """The combinations of symmetries of one choice that are symmetries for all that is left open, by exact algebra.

        Args:
            equation: of the choice.
            forms: its symmetries, with names for the numbers that are left open.
            choice: what is not left open.
            numbers: that are left open.
        """
        if not forms:
            return []
        values: dict[str, sympy.Expr] = {n: sympy.Rational(repr(v)) for n, v in self.parameters.items()}
        values |= equation.letters if numbers else {}
        arbitrary = {name: _arbitrary(name) for name in self.functions if name not in choice}
        called = {**calls(equation.names), **arbitrary}
        vocabulary = Vocabulary(equation.names, values)
        residuals = [sympy.expand(expressions.parse(p, vocabulary, called)) for p in parts_of(self._with(choice))]
        rules = equation.rules_of(residuals)
        moved = [prolonged(equation.space, residuals, form) for form in forms]
        return combinations(forms, [[sympy.expand(R.subs(rules)) for R in several] for several in moved])


def _arbitrary(name: str) -> Callable[[Sequence[expressions.Argument]], sympy.Expr]:
    def value(arguments: Sequence[expressions.Argument]) -> sympy.Expr:
        if len(arguments) != 1 or not isinstance(arguments[0], sympy.Expr):
            raise ValueError(f"an arbitrary function takes one argument, as {name}(u)")
        return sympy.Function(name, real=True)(arguments[0])

    return value


def _replaced(text: str, name: str, formula: str) -> str:
    """A text with every ``name(argument)`` replaced by a formula in `ARGUMENT`."""
    match = re.search(rf"(?<![A-Za-z0-9_]){name}\s*\(", text)
    if match is None:
        return text
    depth = 1
    for end in range(match.end(), len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0:
            inside = _replaced(text[match.end() : end], name, formula)
            put = re.sub(rf"(?<![A-Za-z0-9_]){ARGUMENT}(?![A-Za-z0-9_])", f"({inside})", formula)
            return f"{text[: match.start()]}({put}){_replaced(text[end + 1 :], name, formula)}"
    raise UserError(f"parentheses must match, got {text!r}")
