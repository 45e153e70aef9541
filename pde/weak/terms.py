"""The terms of an evolution law with their coefficients."""

from __future__ import annotations

import sympy

from ..equations import Equation, highest_derivative


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
