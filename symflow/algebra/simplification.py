"""Computer algebra that ends: the open-ended algorithms of sympy, each behind a bound on the size of what it is given.

The bounds are counts of operations, so that the same expression is treated alike on every machine. What is beyond one
stays as it is, or is not claimed to be zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from symflow.formulas import expressions

SIMPLE = 100  # a denominator
LONGEST = 300  # operations of a formula that is worth simplifying
DECIDED = 2_000  # operations of an expression that algebra may show to be zero
MOST_TURNS = 12  # the highest multiple of an angle that is multiplied out
POINTS = 8
CLEAR = 1e-6  # of the size of its terms: what is zero has values at the rounding unit

_NUMPY = (np.exp, np.log, np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh, np.sign)
_INVERSE = (np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh)
_FUNCTIONS: dict[str, Any] = (
    {f.__name__: f for f in _NUMPY}
    | {f.__name__.replace("arc", "a"): f for f in _INVERSE}
    | {"Abs": np.abs, "DiracDelta": np.zeros_like, "erf": np.vectorize(math.erf, otypes=[float])}
)


def simplest(expression: sympy.Expr) -> sympy.Expr:
    """The shortest of the forms computer algebra offers for an expression; itself where it is long or inexact."""
    if expression.has(sympy.Float) or sympy.count_ops(expression) > LONGEST or is_monomial(expression):
        return expression
    e, back = short_exponents(expression)
    candidates = [e, sympy.factor_terms(e), sympy.factor(e)]
    if e.is_polynomial():  # `sympy.simplify` knows no shorter ones, and its import takes a quarter of a second
        candidates.append(sympy.factor_terms(sympy.together(e), sign=False))
    else:
        candidates.append(sympy.simplify(e))
    return min((c.subs(back) for c in candidates), key=lambda c: (sympy.count_ops(c), len(str(c))))


def simplified(expression: sympy.Expr) -> sympy.Expr:
    """`sympy.simplify` where it may change something, and ends."""
    if expression.is_polynomial() or sympy.count_ops(expression) > LONGEST:
        return simplest(expression)
    return sympy.simplify(expression)


def is_monomial(expression: sympy.Expr) -> bool:
    """Whether an expression is a number times powers of symbols and at most one function of such: it has no other form.

    >>> t, u = sympy.symbols("t u", real=True)
    >>> is_monomial(2 * u * sympy.exp(-t / 50)), is_monomial(u + 1)
    (True, False)
    """
    functions = 0
    for factor in sympy.Mul.make_args(expression):
        base, exponent = factor.as_base_exp()
        if base == sympy.E:
            functions += 1
            if not is_monomial(exponent):
                return False
        elif not exponent.is_Rational:
            return False
        elif isinstance(base, sympy.log | sympy.sin | sympy.cos | sympy.tanh):
            functions += 1
            if not is_monomial(base.args[0]):
                return False
        elif not (base.is_Symbol or factor.is_Rational):
            return False
    return functions <= 1


def is_zero(expression: sympy.Expr) -> bool:
    """Whether computer algebra reduces an expression to 0.

    ``False`` also where it cannot decide, or might take for ever. Most of what is not zero is told by its values.

    >>> t = sympy.Symbol("t", real=True)
    >>> is_zero(sympy.sin(t) ** 2 + sympy.cos(t) ** 2 - 1), is_zero(sympy.exp(t) - 1 - t)
    (True, False)
    """
    expression = sympy.expand(expression)
    if expression == 0:
        return True
    if (expression.is_number and expression.is_Rational) or _differs(expression):
        return False
    if sympy.count_ops(expression) > DECIDED:
        return False
    short, _ = short_exponents(expression)
    # powers and exponentials of the variables become independent symbols, so that rational arithmetic decides
    algebraic, circles = _on_circles(sympy.powsimp(sympy.expand(short)))
    reduced = sympy.numer(sympy.together(algebraic)) if circles else sympy.cancel(sympy.together(algebraic))
    for cosine, sine in circles:
        reduced = sympy.rem(reduced, cosine**2 + sine**2 - 1, sine)
    zero: bool = sympy.expand(reduced) == 0 or (sympy.count_ops(short) <= LONGEST and sympy.simplify(short) == 0)
    return zero


def _on_circles(expression: sympy.Expr) -> tuple[sympy.Expr, list[tuple[sympy.Symbol, sympy.Symbol]]]:
    """An expression with points (cosine, sine) of the unit circle for the sines and cosines of every angle.

    Whole multiples of an angle become polynomials of its point, so what vanishes has no remainder on the circles.
    """
    angles = {f.args[0] for f in expression.atoms(sympy.sin, sympy.cos)}
    units: dict[sympy.Expr, list[sympy.Rational]] = {}
    for angle in angles:
        number, rest = angle.as_coeff_Mul()
        units.setdefault(rest, []).append(number)
    replaced: dict[sympy.Expr, sympy.Expr] = {}
    circles = []
    for rest, numbers in units.items():
        cosine, sine = sympy.Dummy("cosine", real=True), sympy.Dummy("sine", real=True)
        circles.append((cosine, sine))
        unit = sympy.Rational(math.gcd(*(int(n.p) for n in numbers)), math.lcm(*(int(n.q) for n in numbers)))
        for number in numbers:
            n = abs(int(number / unit))
            if n > MOST_TURNS:
                return expression, []
            replaced[sympy.cos(number * rest)] = sympy.chebyshevt(n, cosine)
            turned = sine * sympy.chebyshevu(n - 1, cosine)
            replaced[sympy.sin(number * rest)] = turned if number > 0 else -turned
    return expression.xreplace(replaced), circles


def _differs(expression: sympy.Expr) -> bool:
    """Whether an expression has a value that no rounding explains, at one of a few points in [0.5, 1.5].

    ``False`` too where it holds something that has no values.
    """
    generator = np.random.default_rng(0)
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    signs = (-1.0 if s.is_negative else 1.0 for s in symbols)
    at = {s: sign * generator.uniform(0.5, 1.5, POINTS) for s, sign in zip(symbols, signs, strict=True)}
    try:
        terms = np.broadcast_arrays(np.zeros(POINTS), *(values(term, at) for term in sympy.Add.make_args(expression)))
    except (KeyError, TypeError, OverflowError):  # an unknown function, a complex number, one beyond all floats
        return False
    total, size = np.sum(terms, 0), np.sum(np.abs(terms), 0)
    return bool(np.any(np.isfinite(size) & (np.abs(total) > CLEAR * size)))


def values(expression: sympy.Expr, at: Mapping[sympy.Symbol, Any]) -> Any:
    """An expression on numpy arrays, or numbers; not a number where it is not defined.

    Raises:
        KeyError: a symbol or a function is not known.
    """
    with np.errstate(all="ignore"):
        return expressions.evaluate(expression, at, _FUNCTIONS)


def short_exponents(expression: sympy.Expr) -> tuple[sympy.Expr, dict[sympy.Symbol, sympy.Rational]]:
    """An expression with symbols for the awkward numbers in its exponents, wherever they are, and their values.

    Computer algebra takes ``exp(2.718 t)`` for the power 1359 of ``exp(t/500)`` and multiplies such powers out.
    """
    exponents = [p.exp for p in expression.atoms(sympy.Pow)] + [f.args[0] for f in expression.atoms(sympy.exp)]
    numbers = {abs(n) for e in exponents for n in e.atoms(sympy.Rational) if max(abs(n.p), n.q) > SIMPLE}
    replaced: dict[sympy.Rational, sympy.Expr] = {}
    values: dict[sympy.Symbol, sympy.Rational] = {}
    for number in sorted(numbers):
        if number in replaced:
            continue
        symbol = sympy.Dummy("c", positive=True)
        values[symbol] = number
        for n in expression.atoms(sympy.Rational):
            for power in (1, 2, 3):
                ratio = n / number**power
                if max(abs(ratio.p), ratio.q) <= SIMPLE and n not in replaced:
                    replaced[n] = ratio * symbol**power
    return expression.xreplace(replaced), values
