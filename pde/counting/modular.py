"""Truncated power series modulo a prime around a random point.

The prime p is safe, (p - 1)/2 is prime too: in the group of squares every root of odd order is unique, and so is the
square root that is a square itself. Points are drawn as squares, so that rational powers multiply as those of positive
numbers do. What a function is at the point (``exp``, ``log``, ``sin``) is drawn, too; from there on its series follows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import sympy

from symflow.errors import UserError

PRIME = 2_147_146_559  # safe, 7 modulo 8, and 2, 3, 5, ..., 23 are squares: roots of small numbers exist
SQUARES = (PRIME - 1) // 2  # the order of the group of squares
INTEGRALS = (sympy.log, sympy.asin, sympy.acos, sympy.atan, sympy.asinh, sympy.acosh, sympy.atanh, sympy.erf)
"""Functions of whose values no more is known than their derivatives."""
_ARGUMENT = sympy.Dummy("a", real=True)

Index = tuple[int, ...]


class NotCountable(UserError):
    """A formula with a function whose values modulo a prime are not known."""


class NoValue(Exception):
    """A formula has a pole at the point that was drawn, or no root."""


def inverse(number: int) -> int:
    """``1/number``."""
    if number % PRIME == 0:
        raise NoValue
    return pow(number, -1, PRIME)


def rational(number: sympy.Rational) -> int:
    """A rational number modulo the prime."""
    return int(number.p) % PRIME * inverse(int(number.q)) % PRIME


def root_power(base: int, exponent: sympy.Rational) -> int:
    """``base^exponent`` of a square; of any number for whole exponents."""
    n, m = int(exponent.p), int(exponent.q)
    if m == 1:
        return pow(base, n, PRIME) if n >= 0 else pow(inverse(base), -n, PRIME)
    if math.gcd(m, SQUARES) > 1 or pow(base, SQUARES, PRIME) != 1:
        raise NoValue
    return pow(base, n * pow(m, -1, SQUARES) % SQUARES, PRIME)


@lru_cache
def monomials(variables: int, degree: int) -> tuple[Index, ...]:
    """All exponents of at most a degree, lower ones first."""

    def of(count: int, total: int) -> list[Index]:
        if count == 1:
            return [(total,)]
        return [(k, *rest) for k in range(total, -1, -1) for rest in of(count - 1, total - k)]

    return tuple(m for total in range(degree + 1) for m in of(variables, total))


@dataclass
class Ring:
    """Polynomials in the distances from a point, ``[monomials]`` int64 in ``0 ... PRIME - 1``, up to a degree.

    Attributes:
        variables: how many.
        degree: the highest that is kept.
        seed: of the values that functions take at the point.
        drawn: these values so far.
        jet: which jet over the point it is: functions of derivatives are drawn anew for each.
    """

    variables: int
    degree: int
    seed: int
    drawn: dict[sympy.Expr, int] = field(default_factory=dict)
    jet: int = 0
    shared: frozenset[sympy.Symbol] = frozenset()

    def next_jet(self, coordinates: Collection[sympy.Symbol]) -> None:
        """Forgets what functions of other symbols than the coordinates were: at another jet they are something else."""
        self.jet += 1
        for key in [key for key in self.drawn if key.free_symbols - {*coordinates}]:
            del self.drawn[key]
        self.shared = frozenset(coordinates)

    @cached_property
    def monomials(self) -> tuple[Index, ...]:
        """Their exponents."""
        return monomials(self.variables, self.degree)

    @cached_property
    def place(self) -> dict[Index, int]:
        """Of each exponent."""
        return {m: i for i, m in enumerate(self.monomials)}

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = [
            (i, j, self.place[tuple(a + b for a, b in zip(m, n, strict=True))])
            for i, m in enumerate(self.monomials)
            for j, n in enumerate(self.monomials)
            if sum(m) + sum(n) <= self.degree
        ]
        i, j, k = (np.array(column) for column in zip(*found, strict=True))
        return i, j, k

    def constant(self, number: int) -> np.ndarray:
        out = np.zeros(len(self.monomials), np.int64)
        out[0] = number % PRIME
        return out

    def variable(self, i: int, number: int) -> np.ndarray:
        """The i-th coordinate around its value at the point."""
        out = self.constant(number)
        if self.degree:
            out[1 + i] = 1  # those of degree one follow the constant, in order
        return out

    def times(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if not a[1:].any():
            return int(a[0]) * b % PRIME
        if not b[1:].any():
            return int(b[0]) * a % PRIME
        i, j, k = self._pairs
        out = np.zeros(len(self.monomials), np.int64)
        np.add.at(out, k, a[i] * b[j] % PRIME)
        return out % PRIME

    def compose(self, a: np.ndarray, derivatives: Callable[[int], int]) -> np.ndarray:
        """``f(a)`` from ``f^(n)(a_0)``."""
        less = a.copy()
        less[0] = 0
        out, power = self.constant(derivatives(0)), self.constant(1)
        for n in range(1, self.degree + 1 if less.any() else 1):
            power = self.times(power, less)
            out = (out + derivatives(n) * inverse(math.factorial(n)) % PRIME * power) % PRIME
        return out

    def power(self, a: np.ndarray, exponent: sympy.Rational) -> np.ndarray:
        """``a^exponent``."""
        if exponent.is_Integer and 0 <= int(exponent) <= 8:
            out = self.constant(1)
            for _ in range(int(exponent)):
                out = self.times(out, a)
            return out
        base, own = int(a[0]), rational(exponent)

        def derivative(n: int) -> int:
            falling = 1
            for k in range(n):
                falling = falling * (own - k) % PRIME
            return falling * root_power(base, exponent - n) % PRIME

        return self.compose(a, derivative)

    def integral(self, own: int, slope: np.ndarray, inner: np.ndarray) -> np.ndarray:
        """``f(inner)`` from its value at the point and ``f'(inner)``: ``E f(inner) = f'(inner) E inner``, E of Euler.

        E, the sum of the ``delta_i d/d delta_i``, multiplies a monomial by its degree.
        """
        degrees = np.array([sum(m) for m in self.monomials], np.int64)
        out = self.times(slope, degrees * inner % PRIME)
        for degree in range(2, self.degree + 1):
            out[degrees == degree] = out[degrees == degree] * inverse(degree) % PRIME
        out[0] = own
        return out

    def draw(self, key: sympy.Expr) -> int:
        """A random square, the same for the same formula at this point."""
        if key not in self.drawn:
            own = self.jet if key.free_symbols - self.shared else 0
            seeded = random.Random(f"{self.seed} {own} {sympy.srepr(key)}")  # noqa: S311 - no secret
            self.drawn[key] = pow(seeded.randrange(2, PRIME - 1), 2, PRIME)
        return self.drawn[key]

    def exponential(self, argument: sympy.Expr) -> int:
        """``exp`` of an argument at the point: of each of its terms a drawn number to the power of its coefficient."""
        product = 1
        for term in sympy.Add.make_args(sympy.expand(argument)):
            number, rest = term.as_coeff_Mul()
            if not number.is_Rational:
                raise NotCountable(f"{term} has no exponential modulo a prime")
            product = product * root_power(self.draw(sympy.exp(rest)), number) % PRIME
        return product

    def circle(self, argument: sympy.Expr) -> tuple[int, int]:
        """``cos`` and ``sin`` of an argument at the point, by the addition theorem from drawn points of the circle."""
        c, s = 1, 0
        for term in sympy.Add.make_args(sympy.expand(argument)):
            number, rest = term.as_coeff_Mul()
            if not number.is_Rational:
                raise NotCountable(f"{term} has no sine modulo a prime")
            # the drawn angle is of the term over common denominators, 1 ... 12 and decimals: multiples of it are whole
            whole = number * 27_720 * 10**6
            if not whole.is_Integer:
                raise NotCountable(f"{term} has no sine modulo a prime")
            h = self.draw(sympy.sin(rest))
            unit = inverse(1 + h * h)
            turn, n = ((1 - h * h) * unit % PRIME, 2 * h * unit % PRIME), abs(int(whole))
            a, b = 1, 0
            while n:
                if n & 1:
                    a, b = (a * turn[0] - b * turn[1]) % PRIME, (a * turn[1] + b * turn[0]) % PRIME
                turn = (turn[0] * turn[0] - turn[1] * turn[1]) % PRIME, 2 * turn[0] * turn[1] % PRIME
                n >>= 1
            b = b if whole > 0 else -b % PRIME
            c, s = (c * a - s * b) % PRIME, (s * a + c * b) % PRIME
        return c, s

    def value(self, formula: sympy.Expr, at: Mapping[sympy.Symbol, np.ndarray]) -> np.ndarray:
        """A formula around the point.

        Args:
            formula: sums, products, rational powers, the functions of formulas, pi.
            at: its symbols.

        Raises:
            NoValue: there is none at this point.
            NotCountable: it has another function.
        """
        if formula.is_Symbol:
            return at[formula]
        if formula.is_Rational:
            return self.constant(rational(formula))
        if formula.is_Add:
            return sum((self.value(part, at) for part in formula.args), self.constant(0)) % PRIME
        if formula.is_Mul:
            out = self.constant(1)
            for part in formula.args:
                out = self.times(out, self.value(part, at))
            return out
        if formula.is_Pow and formula.exp.is_Rational:
            return self.power(self.value(formula.base, at), formula.exp)
        if isinstance(formula, sympy.Pow):  # a^b with another exponent
            return self.value(sympy.exp(formula.exp * sympy.log(formula.base)), at)
        if isinstance(formula, sympy.exp):
            (argument,) = formula.args
            own = self.exponential(argument)
            return self.compose(self.value(argument, at), lambda n: own)
        if formula.is_NumberSymbol:  # pi: no formula knows more of it than that it is a number
            return self.constant(self.draw(formula))
        if isinstance(formula, sympy.Abs):  # one of the two signs, the same at every jet
            return self.power(self.power(self.value(formula.args[0], at), sympy.Integer(2)), sympy.Rational(1, 2))
        if isinstance(formula, sympy.DiracDelta):
            return self.constant(0)
        if isinstance(formula, sympy.sign):
            (argument,) = formula.args
            return self.value(argument / sympy.Abs(argument, evaluate=False), at)
        if isinstance(formula, INTEGRALS):
            (argument,) = formula.args
            slope = sympy.diff(formula.func(_ARGUMENT), _ARGUMENT).subs(_ARGUMENT, argument)
            return self.integral(self.draw(formula), self.value(slope, at), self.value(argument, at))
        if isinstance(formula, sympy.sin | sympy.cos):
            (argument,) = formula.args
            c, s = self.circle(argument)
            cycle = (s, c, -s, -c) if isinstance(formula, sympy.sin) else (c, -s, -c, s)
            return self.compose(self.value(argument, at), lambda n: cycle[n % 4] % PRIME)
        if isinstance(formula, sympy.tan | sympy.sinh | sympy.cosh | sympy.tanh):
            name = sympy.cos if isinstance(formula, sympy.tan) else sympy.exp
            return self.value(
                formula.rewrite(name) if name is sympy.exp else sympy.sin(*formula.args) / sympy.cos(*formula.args), at
            )
        raise NotCountable(f"{formula.func} has no values modulo a prime")
