"""Which names of a text are independent variables, which unknowns, and which unknowns are complex.

Nothing is special about a name but what the text does with it: ``rho_xt`` makes rho an unknown and x and t independent,
whatever they are called, and so do ``Derivative(rho, x)`` and ``rho(x, t)``. Undeclared independent variables are
x, y, z, t and x1, x2, ...; all others are declared.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from symflow.errors import UserError
from symflow.formulas import expressions

from .jets import in_order, subscript

MOST_INDEPENDENT, MOST_UNKNOWNS = 4, 12
STANDARD = ("x", "y", "z", "t")  # independent variables that need no declaration, beside x1, y1, z1, ...
OPERATORS = ("Derivative", "diff", "D", "laplace", "grad", "div", "curl")  # what they are called with varies
UNITS = ("i", "I")  # the imaginary unit
REAL, IMAGINARY = "re", "im"  # of a complex unknown: psi_re and psi_im
_USUAL = ("u", "v", "w")  # unknowns that are listed first, in this order
_NAME = re.compile(r"(?<![A-Za-z0-9_.])[A-Za-z_][A-Za-z0-9_]*")
_INDEPENDENT = re.compile(r"[xyz][0-9]?|t")
_INDEPENDENT_DECLARED = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_UNKNOWN_DECLARED = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?<!_)\Z")
_RESERVED = {*expressions.FUNCTIONS, *expressions.CONSTANTS, *OPERATORS, *expressions.COMPLEX, *UNITS}


@dataclass(frozen=True)
class Names:
    """What the names of an equation stand for.

    Attributes:
        independent: variables, in the order of the coordinates.
        unknowns: as they are written.
        complex: those of them that are complex.
    """

    independent: tuple[str, ...]
    unknowns: tuple[str, ...]
    complex: tuple[str, ...] = ()

    @property
    def dependent(self) -> tuple[str, ...]:
        """The real unknowns: ``psi_re`` and ``psi_im`` for a complex psi."""
        return tuple(
            name for u in self.unknowns for name in ((f"{u}_{REAL}", f"{u}_{IMAGINARY}") if u in self.complex else (u,))
        )


def declared(what: str, names: Any) -> tuple[str, ...]:
    """Names that a user lists, as ``"r, s"`` or one by one.

    Raises:
        UserError: one of them is no name, is taken, or comes twice.

    >>> declared("independent", "r, s")
    ('r', 's')
    """
    if not names:
        return ()
    if not isinstance(names, str | Sequence):
        got = f"got {type(names).__name__}; numbers are given by name, as nu=0.1"
        raise UserError(f"`{what}` must list names such as 'r, s', {got}")
    parts = re.split(r"[\s,]+", names.strip(" ,")) if isinstance(names, str) else list(names)
    pattern = _INDEPENDENT_DECLARED if what == "independent" else _UNKNOWN_DECLARED
    for name in parts:
        if not isinstance(name, str) or not pattern.match(name) or len(name) > 32:
            raise UserError(f"`{what}` must list names such as 'r, s', got {name!r}")
        if name in {*expressions.FUNCTIONS, *OPERATORS, *expressions.COMPLEX}:
            raise UserError(f"`{what}` must list names that are free, got {name!r}")
    if len(set(parts)) < len(parts):
        raise UserError(f"`{what}` must list different names, got {', '.join(parts)}")
    return tuple(parts)


def names_of(
    parts: Sequence[str], parameters: Collection[str], independent: Sequence[str], unknowns: Sequence[str]
) -> Names:
    """The names of a system.

    Args:
        parts: its equations.
        parameters: names that are numbers.
        independent, unknowns: those that are declared; without any, those that the text shows.

    Raises:
        UserError: there are too many or none, or a name is two things at once.

    >>> names_of(["rho_t + Derivative(rho*w, x) = 0", "w_t + w*w_x = 0"], [], [], [])
    Names(independent=('x', 't'), unknowns=('w', 'rho'), complex=())
    """
    text = "; ".join(parts)
    everything = _NAME.findall(text)
    words = [w for w in everything if w not in parameters]
    letters = list(independent) or list(dict.fromkeys(_INDEPENDENT.findall(text)))
    differentiated = {}  # the unknown and the variables of each derivative
    for word in words:
        name, _, below = word.rpartition("_")
        if name and word not in unknowns and (found := subscript(below, letters)) is not None:
            differentiated[word] = name, found
    shown = [m[1] for m in re.finditer(r"([A-Za-z_]\w*)\s*\(([\w\s,]*)\)", text, re.ASCII) if _lists(m[2], letters)]
    shown += [w for inside in _arguments(text, OPERATORS) for w in _NAME.findall(inside) if w not in letters]
    seen = [name for name, _ in differentiated.values()]
    for word in {*everything} & {*parameters}:  # u_x, with u an unknown, cannot be the name of a number
        name, _, below = word.rpartition("_")
        if name in seen and (found := subscript(below, letters)) is not None:
            differentiated[word] = name, found
    seen += [w for w in shown if w not in differentiated and w not in _RESERVED and w not in parameters]
    seen = list(dict.fromkeys(seen))
    if unknowns:
        if stray := [u for u in seen if u not in unknowns]:
            raise UserError(f"`unknowns` must list all of them, got {', '.join(unknowns)} and {stray[0]} in {text!r}")
        seen = list(unknowns)
    else:
        bare = [w for w in words if w not in differentiated and w not in _RESERVED and w not in (*letters, *seen)]
        if len(missing := list(dict.fromkeys(bare))) == len(parts) - len(seen):  # an equation for each
            seen += missing
        seen.sort(key=lambda u: _USUAL.index(u) if u in _USUAL else len(_USUAL))
    used = {v for _, found in differentiated.values() for v in found} | ({*words, *independent} - {*seen})
    variables = list(independent) or in_order(v for v in letters if v in used)
    if both := sorted({*variables} & {*seen}):
        raise UserError(f"{both[0]!r} must be an independent variable or an unknown, got both in {text!r}")
    _check(variables, seen, text)
    return Names(tuple(variables), tuple(seen), _complex(parts, seen, parameters, differentiated))


def _check(independent: Sequence[str], unknowns: Sequence[str], text: str) -> None:
    if not unknowns or not independent:
        where = "in x, y, z, t or declared variables, such as u_t or u_xx"
        raise UserError(f"the equation must contain a derivative of an unknown {where}, got {text!r}")
    if len(independent) > MOST_INDEPENDENT:
        got = f"got {len(independent)} ({', '.join(independent)})"
        raise UserError(f"an equation must have at most {MOST_INDEPENDENT} independent variables, {got}")
    if len(unknowns) > MOST_UNKNOWNS:
        raise UserError(f"a system must have at most {MOST_UNKNOWNS} unknowns, got {len(unknowns)}")


def _lists(text: str, names: Collection[str]) -> bool:
    """Whether a text lists some of the names, as the arguments of an unknown."""
    return bool(text.strip()) and {part.strip() for part in text.split(",")} <= {*names}


def _arguments(text: str, calls: Sequence[str]) -> Iterator[str]:
    """What stands between the parentheses of calls."""
    for match in re.finditer(rf"(?<![A-Za-z0-9_])(?:{'|'.join(calls)})\s*\(", text):
        depth, start = 1, match.end()
        for end in range(start, len(text)):
            depth += (text[end] == "(") - (text[end] == ")")
            if depth == 0:
                yield text[start:end]
                break


def _complex(
    parts: Sequence[str],
    unknowns: Sequence[str],
    parameters: Collection[str],
    differentiated: dict[str, tuple[str, tuple[str, ...]]],
) -> tuple[str, ...]:
    """The unknowns whose modulus or conjugate is taken, where there is an imaginary unit or a conjugate.

    Without any such, those of the equations that hold an imaginary unit.
    """

    def of(text: str) -> set[str]:
        words = _NAME.findall(text)
        return {differentiated[w][0] if w in differentiated else w for w in words} & {*unknowns}

    units = {*UNITS} - {*unknowns, *parameters}
    whole = "; ".join(parts)
    marked = [p for p in parts if units & {*_NAME.findall(p)}]
    if not marked and not any(_arguments(whole, expressions.COMPLEX[1:])):
        return ()
    inside = [*_arguments(whole, expressions.COMPLEX), *re.findall(r"\|([^|]*)\|", whole)]
    found = of("; ".join(inside)) or of("; ".join(marked))
    return tuple(u for u in unknowns if u in found)
