"""Functions of noisy values whose mean is that of a formula without noise.

For white noise of variance s the mean of g(u + noise) is ``exp(s/2 d^2/du^2) g``, so that of

    exp(-s/2 d^2/du^2) f

is f. On a polynomial the series ends. On ``p(u) exp(a u)``, p a polynomial, it is

    exp(-a^2 s/2) exp(a u) P(u - a s),        P = exp(-s/2 d^2/du^2) p,

a complex for sines and cosines. These are exact. Of other functions the series need not converge, and the first order
alone is taken: ``f - s/2 f''``.
"""

from __future__ import annotations

from functools import lru_cache

import sympy

from symflow.formulas import expressions

MOST = 64  # summands of exponentials and polynomials that a formula is written in


@lru_cache(maxsize=4096)
def unbiased(f: sympy.Expr, unknowns: tuple[sympy.Symbol, ...]) -> tuple[sympy.Expr, tuple[sympy.Symbol, ...]]:
    """A formula in noisy unknowns and the variances of their noise whose mean is f, and the symbols of the variances.

    Args:
        f: without derivatives.
        unknowns: those that are noisy; each has noise of its own.

    >>> u = sympy.Symbol("u")
    >>> g, (s,) = unbiased(u**2 + sympy.exp(2 * u), (u,))
    >>> g.subs({u: 1.5, s: 0.0}) == 1.5**2 + sympy.exp(3.0), float(g.subs({u: 0, s: 1})) == float(sympy.exp(-2)) - 1
    (True, True)
    """
    # sympy takes real parts of what it knows to be real
    real = {w: sympy.Symbol(w.name, real=True) for w in sorted(f.free_symbols | set(unknowns), key=str)}
    names = tuple(real[w] for w in unknowns)
    variances = tuple(sympy.Symbol(f"{w.name}_variance", real=True) for w in unknowns)
    found = sympy.S.Zero
    for summand in sympy.Add.make_args(sympy.expand(f.xreplace(real))):
        number, rest = summand.as_independent(*names, as_Add=False)
        exact = _exact(rest, names, variances)
        found += number * (_first(rest, names, variances) if exact is None else exact)
    return found.xreplace({symbol: w for w, symbol in real.items()}), variances


def _exact(f: sympy.Expr, unknowns: tuple[sympy.Symbol, ...], variances: tuple[sympy.Symbol, ...]) -> sympy.Expr | None:
    """Of polynomials times exponentials, sines and cosines of linear forms; ``None`` of anything else."""
    waves = f.rewrite([sympy.sin, sympy.cos, sympy.sinh, sympy.cosh], sympy.exp)
    if expressions.terms(waves) > MOST:
        return None
    found = [_exponential(summand, unknowns, variances) for summand in sympy.Add.make_args(sympy.expand(waves))]
    if None in found:
        return None
    whole = sympy.Add(*found)
    return whole.as_real_imag()[0] if whole.has(sympy.I) else whole


def _exponential(
    f: sympy.Expr, unknowns: tuple[sympy.Symbol, ...], variances: tuple[sympy.Symbol, ...]
) -> sympy.Expr | None:
    """Of a polynomial times the exponential of a linear form; ``None`` of anything else."""
    factors = sympy.Mul.make_args(f)
    exponent = sympy.Add(*(factor.exp for factor in factors if isinstance(factor, sympy.exp)))
    rest = sympy.Mul(*(factor for factor in factors if not isinstance(factor, sympy.exp)))
    slopes = [sympy.diff(exponent, w) for w in unknowns]
    if not rest.is_polynomial(*unknowns) or any(a.has(*unknowns) for a in slopes):
        return None
    for w, s in zip(unknowns, variances, strict=True):
        summand, n = rest, 0
        while (summand := sympy.expand(-s / 2 * sympy.diff(summand, w, 2))) != 0:
            n += 1
            rest += summand / sympy.factorial(n)
    moved = {w: w - a * s for w, a, s in zip(unknowns, slopes, variances, strict=True) if a != 0}
    loss = sympy.Add(*(a**2 * s / 2 for a, s in zip(slopes, variances, strict=True)))
    return sympy.expand(rest.xreplace(moved)) * sympy.exp(exponent - loss)


def _first(f: sympy.Expr, unknowns: tuple[sympy.Symbol, ...], variances: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """To the first order in the variances."""
    return f - sympy.Add(*(s / 2 * sympy.diff(f, w, 2) for w, s in zip(unknowns, variances, strict=True)))
