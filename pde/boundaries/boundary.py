"""Where an equation lives and what is asked of its solutions there, from text.

A *wall* fixes some independent variables as functions of the others: ``x = 0``, ``t = 0``, ``x = c*t``. A *condition*
is an equation between derivatives at a wall, written with the place as their arguments, in the order of the equation's
independent variables: ``u(0, t) = 0``, ``u_x(1, t) + u(1, t) = 0``, ``u(t**2, t) = 0``, ``u(x, 0) = sin(x)``. A
*period* is an equation between two places that differ by constants: ``u(0, t) = u(1, t)``, ``u(x + 1, t) = u(x, t)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy

from symflow.errors import UserError
from symflow.formulas import expressions

from ..equations import Equation, Vocabulary, parts_of, real_and_imaginary

Place = tuple[sympy.Expr, ...]
"""The independent variables at a place, in their order."""


@dataclass(frozen=True)
class Wall:
    """A surface and what vanishes on it.

    Attributes:
        place: fixed independent variables, and what function of the others they are.
        conditions: functions on jet space that vanish there; none where nothing is asked but that the wall stays.
    """

    place: tuple[tuple[sympy.Symbol, sympy.Expr], ...]
    conditions: tuple[sympy.Expr, ...] = ()


@dataclass(frozen=True)
class Boundary:
    """The walls and periods of an equation.

    Attributes:
        text: as they were written.
        equation: whose they are.
        walls: each place once.
        periods: by how much the independent variables are shifted; solutions do not change.
    """

    text: str
    equation: Equation
    walls: tuple[Wall, ...]
    periods: tuple[Place, ...]

    @classmethod
    def read(cls, equation: Equation, text: str) -> Boundary:
        """The boundary of an equation from text; parts are separated by semicolons.

        Raises:
            UserError: a part is no wall, condition or period.

        >>> heat = Equation("u_t = u_xx")
        >>> found = Boundary.read(heat, "u(0, t) = 0; u_x(1, t) = u(1, t)")
        >>> [(wall.place, wall.conditions) for wall in found.walls]
        [(((x, 0),), (u,)), (((x, 1),), (-u + u_x,))]
        >>> Boundary.read(heat, "u(x + 2, t) = u(x, t)").periods
        ((2, 0),)
        """
        walls: dict[tuple[tuple[sympy.Symbol, sympy.Expr], ...], list[sympy.Expr]] = {}
        periods: list[Place] = []
        for part in parts_of(text):
            read = _Part(equation, part.strip())
            if read.period is not None:
                periods.append(read.period)
            else:
                conditions = walls.setdefault(read.place, [])
                conditions += [c for c in read.conditions if c not in conditions]
        return cls(text, equation, tuple(Wall(p, tuple(c)) for p, c in walls.items()), tuple(dict.fromkeys(periods)))


class _Part:
    """One part of a text: a place and its conditions, or a period."""

    place: tuple[tuple[sympy.Symbol, sympy.Expr], ...] = ()
    conditions: tuple[sympy.Expr, ...] = ()
    period: Place | None = None

    def __init__(self, equation: Equation, part: str) -> None:
        self.equation, self.part = equation, part
        self.independent = equation.space.variables[: len(equation.space.independent)]
        if part.count("=") != 1:
            raise self.error("be an equation such as u(0, t) = 0 or x = 0")
        sides = part.split("=")
        self.numbers = {name: sympy.Rational(repr(value)) for name, value in equation.parameters.items()}
        self.names = Vocabulary(equation.names, {})
        self.places: dict[Place, dict[sympy.Symbol, sympy.Expr]] = {}
        left, right = (expressions.parse(side, self._alone, self._calls) for side in sides)
        if not self.places:
            self.place = self._wall(left, right)
        elif len(self.places) == 1:
            ((place, values),) = self.places.items()
            self.place = self._fixed(place)
            parts = real_and_imaginary((left - right).subs(values))
            self.conditions = tuple(sympy.expand(c) for c in parts if sympy.expand(c) != 0)
            if not any(equation.space.indices(c) for c in self.conditions):
                raise self.error("ask something of an unknown")
        else:
            self.period = self._period(left, right)

    def error(self, what: str) -> UserError:
        return UserError(f"a part of `boundary` must {what}, got {self.part!r}")

    @property
    def _alone(self) -> Mapping[str, sympy.Expr]:
        """Names that may stand without a place."""
        return {z.name: z for z in self.independent} | self.numbers

    @property
    def _calls(self) -> expressions.Calls:
        """Every unknown and derivative in the part as a function of its place: a symbol of its own."""

        def at(name: str, arguments: Sequence[expressions.Argument]) -> sympy.Expr:
            if len(arguments) != len(self.independent) or not all(isinstance(a, sympy.Expr) for a in arguments):
                raise ValueError(f"{name}(...) takes {', '.join(z.name for z in self.independent)} at its place")
            values = self.places.setdefault(tuple(arguments), {})
            symbol = sympy.Symbol(f"{name}@{list(self.places).index(tuple(arguments))}", real=True)
            values[symbol] = self.names[name]
            return symbol

        found = {m[1] for m in re.finditer(r"([A-Za-z_]\w*)\s*\(", self.part, re.ASCII)}

        def known(name: str) -> bool:
            try:
                self.names[name]
            except KeyError:
                return False
            return name not in self._alone

        return {name: lambda a, name=name: at(name, a) for name in sorted(found) if known(name)}  # type: ignore[misc]

    def _wall(self, left: sympy.Expr, right: sympy.Expr) -> tuple[tuple[sympy.Symbol, sympy.Expr], ...]:
        if left not in self.independent or right.has(left):
            raise self.error("have an unknown with its place, or be a wall such as x = 0 or x = t**2")
        return ((left, right),)

    def _fixed(self, place: Place) -> tuple[tuple[sympy.Symbol, sympy.Expr], ...]:
        fixed = tuple((z, value) for z, value in zip(self.independent, place, strict=True) if value != z)
        if not fixed or any(value.has(*(z for z, _ in fixed)) for _, value in fixed):
            raise self.error("fix one independent variable or more as functions of the others")
        return fixed

    def _period(self, left: sympy.Expr, right: sympy.Expr) -> Place:
        (one, here), (other, there) = list(self.places.items())[:2]
        shift = tuple(sympy.expand(b - a) for a, b in zip(one, other, strict=True))
        alike = len(self.places) == 2 and left in {*here, *there} and right in {*here, *there}
        same = alike and [*here.values()] == [*there.values()]
        if not same or not all(s.is_number for s in shift):
            raise self.error("be of one place, or a period such as u(0, t) = u(1, t)")
        first = next(s for s in shift if s != 0)
        return tuple(s if first > 0 else -s for s in shift)
