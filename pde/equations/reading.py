"""From the text of a system to its real equations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sympy

from symflow.errors import UserError
from symflow.formulas import expressions
from symflow.formulas.spelling import LONGEST

from .complex_unknowns import real_and_imaginary
from .names import Names
from .spelling import Vocabulary, calls

LARGEST_TREE = 1_000  # parts of the equations multiplied out: ten times those of the largest in use
MOST_EQUATIONS = 24


def parts_of(text: str) -> list[str]:
    """The equations of a system, separated by semicolons or lines.

    Raises:
        UserError: there are too many, or they are too long.
    """
    if not isinstance(text, str):
        raise UserError(f"equations and conditions must be text, got {type(text).__name__}")
    if len(text) > LONGEST * 4:
        raise UserError(f"a system must have at most {LONGEST * 4} characters, got {len(text)}")
    parts = [part for part in re.split(r"[;\n]", text) if part.strip()] or [text]
    if len(parts) > MOST_EQUATIONS:
        raise UserError(f"a system of at most {MOST_EQUATIONS} equations is expected, got {len(parts)}")
    return parts


def residuals_of(parts: Sequence[str], names: Names, values: Mapping[str, sympy.Expr]) -> list[sympy.Expr]:
    """Left sides less right sides, multiplied out; of equations of complex unknowns the two parts.

    Args:
        parts: the equations.
        names: what their names stand for.
        values: of the parameters.

    Raises:
        UserError: one is no formula, or they are too large.
    """
    vocabulary, called = Vocabulary(names, values), calls(names)

    def read(part: str) -> sympy.Expr:
        return expressions.parse(part, vocabulary, called, vocabulary.hint)

    residuals = [sympy.expand(f) for part in parts for f in _real(read(part), part)]
    if sum(expressions.nodes(F) for F in residuals) > LARGEST_TREE:
        raise UserError(f"the equation must have at most {LARGEST_TREE} parts when multiplied out")
    numbers = {n for F in residuals for n in F.atoms(sympy.Rational)}
    if any(max(abs(n.p), n.q) > expressions.LARGEST_NUMBER for n in numbers):
        raise UserError("the equation must hold no number beyond 1e308 or of more than 308 digits")
    return residuals


def _real(F: sympy.Expr, part: str) -> list[sympy.Expr]:
    try:
        real, imaginary = real_and_imaginary(F)
    except ValueError as error:
        raise UserError(f"an equation of complex unknowns must have real parts, got {part!r}: {error}") from None
    return [real] if imaginary == 0 else [imaginary] if real == 0 else [real, imaginary]
