"""The terms of a law and the total derivatives in them that a test function can take over."""

from __future__ import annotations

from functools import lru_cache

import sympy

from ..equations import Equation, derivative_symbol, highest_derivative, total_derivative_x, u

Grouped = tuple[tuple[int, sympy.Expr], ...]


def law(equation: Equation) -> dict[sympy.Expr, float]:
    """The summands of K as ``{monomial: number}``, in a fixed order.

    >>> law(Equation("u_t + 6*u*u_x + u_xxx/2 = 0"))
    {u*u_x: 6.0, u_xxx: 0.5}
    """
    found: dict[sympy.Expr, float] = {}
    for summand in sympy.Add.make_args(sympy.expand(equation.K)):
        number, monomial = summand.as_independent(*summand.free_symbols, as_Add=False)
        found[monomial] = found.get(monomial, 0.0) + float(number)
    return dict(sorted(found.items(), key=lambda item: (highest_derivative(item[0]), str(item[0]))))


@lru_cache(maxsize=1024)
def by_parts(expression: sympy.Expr) -> Grouped:
    """``(k, f_k), ...`` with ``expression = sum_k D_x^k f_k``, so many derivatives taken out as can be.

    A term ``a u_n`` that is linear in its highest derivative, with a free of ``u_n``, is ``D_x A - (D_x A - a u_n)``
    with ``A = int a du_(n-1)``; the rest has lower order, and A is treated again.

    >>> u_x, u_xx = derivative_symbol(1), derivative_symbol(2)
    >>> by_parts(u * u_x)
    ((1, u**2/2),)
    >>> by_parts(u * u_xx)
    ((0, -u_x**2), (2, u**2/2))
    """
    parts: dict[int, sympy.Expr] = {}

    def take(expression: sympy.Expr, k: int) -> None:
        for summand in sympy.Add.make_args(sympy.expand(expression)):
            n = highest_derivative(summand)
            top, below = derivative_symbol(n), derivative_symbol(n - 1) if n else u
            a = sympy.diff(summand, top) if n else sympy.S.Zero
            if n == 0 or a.has(top):
                parts[k] = parts.get(k, sympy.S.Zero) + summand
                continue
            A = sympy.integrate(a, below)
            if A.has(sympy.Integral):
                parts[k] = parts.get(k, sympy.S.Zero) + summand
                continue
            take(A, k + 1)
            rest = sympy.expand(summand - total_derivative_x(A))
            if rest != 0:
                take(rest, k)

    take(expression, 0)
    return tuple((k, f) for k, f in sorted(parts.items()) if f != 0)
