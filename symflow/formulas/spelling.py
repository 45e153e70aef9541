"""How people write formulas, brought to the characters of the grammar, and what is said where they cannot be.

What is meant by a character of another notation is not guessed: the sentence says what to write.
"""

from __future__ import annotations

import re
import unicodedata

from symflow.errors import UserError

LONGEST = 2_000  # characters: far above any equation, far below what could exhaust a parser

_NUMBER = re.compile(r"(?<![\w.])(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?(?=([A-Za-z_]\w*|\()?)", re.ASCII)
_TYPED = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "π": "pi", "\u00a0": " "})
_POWER = re.compile("(⁻?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_FOREIGN = {
    "\\": "formulas are plain text, without LaTeX",
    "{": "formulas are plain text, without LaTeX: u_xx, x**2",
    "∂": "derivatives are written u_t, u_xx",
    "∇": "vector analysis is written grad(u), div((u, v)), curl((u, v)), laplace(u)",
    "Δ": "the Laplacian is written laplace(u)",
    "∆": "the Laplacian is written laplace(u)",
    "'": "derivatives are written u_t, u_xx",
    "′": "derivatives are written u_t, u_xx",
    "[": "parentheses are round",
}
"""Characters of other notations, with what stands for them here."""
_ODD = {
    "=": "an equation has one =; those of a system are separated by semicolons",
    ",": "decimals have a point; equations of a system are separated by semicolons",
    ".": "a product needs its sign, *, and functions stand by their names alone, sin(u)",
}
"""Characters of this notation where they do not belong."""
_FUNCTION_POWER = re.compile(r"\b([A-Za-z]{2,})\s*(?:\*\*|\^)\s*(-?\d+)\s*\(")


def typed(text: str) -> str:
    """A formula in the characters of the grammar: ``−``, ``×``, ``π`` and ``²`` are read as people mean them.

    Raises:
        UserError: a character, a power of a function or a number before a name is of another notation; the sentence
            says what to write.

    >>> typed("u_t − 2·u² = π")
    'u_t - 2*u**2 = pi'
    >>> typed("u_t + 2u_x = 0")
    Traceback (most recent call last):
    symflow.errors.UserError: a product needs its sign, 2*u_x for 2u_x, at column 7 of the formula 'u_t + 2u_x = 0'
    """
    text = _POWER.sub(
        lambda power: f"**{f'(-{power[2]})' if power[1] else power[2]}".translate(_DIGITS), text.translate(_TYPED)
    )
    if len(text) > LONGEST:  # which is refused, or divided, first
        return text
    for column, character in enumerate(text, 1):
        if character in _FOREIGN:
            raise UserError(
                f"unexpected {character!r} ({_FOREIGN[character]}) at column {column} of the formula {text!r}"
            )
    if power := _FUNCTION_POWER.search(text):
        written = f"{power[1]}(...)**{power[2]}"
        raise UserError(
            f"a power of a function is written {written}, at column {power.start() + 1} of the formula {text!r}"
        )
    for number in _NUMBER.finditer(text):
        if after := number[1]:
            wrong, column = f"{number[0]}{after}", number.start() + 1
            raise UserError(
                f"a product needs its sign, {number[0]}*{after} for {wrong}, at column {column} of the formula {text!r}"
            )
    return text


def said_of(character: str) -> str:
    """What is said of a character where none like it is expected."""
    if len(character) == 1 and character.isalpha():
        letter = unicodedata.name(character, "").split()[-1:] or ["x"]
        return f" (names are of Latin letters, such as {letter[0].lower()})"
    return f" ({_ODD[character]})" if character in _ODD else ""
