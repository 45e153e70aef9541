"""Families from the text in which results keep them, to be proved again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import sympy

from symflow.errors import UserError
from symflow.formulas import expressions

from ..equations import Equation
from .family import Family
from .functions import Functions

MOST_ORDER = 8  # of the derivatives of a function in a closed form


def family_of(
    equation: Equation, form: Mapping[str, str], functions: Mapping[str, Sequence[str]], conditions: Sequence[str]
) -> Family:
    """A family whose closed form is given as text; it is not taken for proved.

    Args:
        equation: whose coordinates it has.
        form: its components.
        functions: the arguments of each of its functions, the same for all.
        conditions: linear equations ``... = 0`` for them, or Cauchy and Riemann's.

    Raises:
        UserError: it is none.

    >>> family = family_of(Equation("u_xt = exp(u)"), {"dx": "f", "du": "-f_x"}, {"f": ["x"]}, [])
    >>> family.form, family.order
    ({'dx': f, 'dt': 0, 'du': -f_x}, 1)
    """
    space = equation.space
    symbols: dict[str, sympy.Expr] = dict(zip(space.names, space.variables, strict=True))
    if len({tuple(arguments) for arguments in functions.values()}) != 1:
        raise UserError(f"the functions of a family must have the same arguments, got {dict(functions)}")
    arguments = tuple(expressions.parse(a, symbols) for a in next(iter(functions.values())))
    plain = Functions(arguments, tuple(functions))
    known = symbols | {s.name: s for s in plain.symbols(MOST_ORDER if len(arguments) == 1 else 4)}
    components = {f"d{name}": expressions.parse(form.get(f"d{name}", "0"), known) for name in space.names}
    equations = tuple(expressions.parse(c, known) for c in conditions)
    for turn in _turns(equations, arguments, tuple(functions)):
        turned = Functions(arguments, tuple(functions), turn)
        if {*turned.conditions} == {*equations}:
            return _with_order(components, turned)
    return _with_order(components, Functions(arguments, tuple(functions), None, equations))


def _turns(
    equations: Sequence[sympy.Expr], arguments: Sequence[sympy.Expr], names: Sequence[str]
) -> set[sympy.Rational]:
    """What the c of a complex argument can be."""
    if len(equations) != 2 or len(names) != 2 or len(arguments) != 2:
        return set()
    g = sympy.Symbol(f"{names[1]}_{arguments[0]}", real=True)
    return {c for e in equations if (c := sympy.diff(e, g)).is_Rational and c > 0}


def _with_order(form: dict[str, sympy.Expr], functions: Functions) -> Family:
    used = {s for f in form.values() for s in f.free_symbols if s.name.partition("_")[0] in functions.names}
    order = next(n for n in count() if used <= {*functions.symbols(n)} or n > MOST_ORDER)
    return Family(form, functions, order, False)
