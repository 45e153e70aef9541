"""Generators with the parameters of an equation by name, proven for every value of them.

The search knows numbers only. It is repeated with the parameters changed one by one, and how a coefficient changes says
which powers of them it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm, readout, simplest
from symflow.errors import UserError

from ..equations import Equation
from . import prolongation
from .library import own_functions, polynomial_library, simple_functions, with_products
from .rates import Rate
from .search import Search

LATER = 1.25  # by what parameters are multiplied to see how the generators depend on them


def named_forms(
    equation: Equation,
    rows: Sequence[Tensor],
    without: tuple[str, ...],
    degree: int,
    factor: sympy.Expr | None,
    seed: int,
) -> list[ClosedForm] | None:
    """The generators with parameters by name, proven for all values; ``None`` where that does not succeed.

    Coefficients are taken for ``r a^m b^n ...`` with rational r and half-integer exponents, found from how they change
    when the parameters are changed one by one.

    Args:
        equation: with parameters.
        rows: the coefficients ``[d, functions]`` of its generators at its own values of them (`Step.rows`).
        without: coordinates that generators must not depend on.
        degree: of the library that the rows belong to.
        factor: h of superposed solutions, as for `Search.step`.
        seed: of the jets.
    """
    names = list(equation.parameters)
    generic = {n: v * (1 + (k + 1) / 16) for k, (n, v) in enumerate(equation.parameters.items())}
    runs = []
    for changed in [None, *names]:
        values = {n: v * (LATER if n == changed else 1.0) for n, v in generic.items()}
        try:
            search = Search(equation.respelled(equation.text, **values), without, seed)
            found, _ = search.rates(linear=factor == 1)
            special = search.special(found, factor)
            step = search.step(special, degree, factor)
        except UserError:  # there is no such equation, or it has no values
            return None
        runs.append((found, special, step, step.rows))
    found, special, step, first = runs[0]
    alike = all(
        len(r[0]) == len(found)
        and len(r[2].library) == len(step.library)
        and len(r[3]) == len(rows)
        and all(torch.equal(a != 0, b != 0) for a, b in zip(r[3], first, strict=True))
        for r in runs
    )
    # the rows must be those of the equation itself: they are told apart by the columns that lead them
    alike = alike and [_leading(row) for row in rows] == [_leading(row) for row in first]
    if not alike:
        return None
    symbols = {s.name: s for F in equation.general for s in F.free_symbols if s.name in names}

    def monomial(numbers: Sequence[float]) -> sympy.Expr | None:
        if all(n == 0 for n in numbers):
            return sympy.Integer(0)
        if any(n == 0 for n in numbers):
            return None
        expression, rest = sympy.Integer(1), numbers[0]
        for name, number in zip(names, numbers[1:], strict=True):
            if number / numbers[0] <= 0:
                return None
            exponent = 2 * math.log(number / numbers[0]) / math.log(LATER)
            if abs(exponent - round(exponent)) > 1e-5:
                return None
            if round(exponent):
                power = sympy.Rational(round(exponent), 2)
                expression *= symbols[name] ** power
                rest /= abs(generic[name]) ** float(power)
        factor = readout.rational(rest)
        return None if factor is None else factor * expression

    search = Search(equation, without, seed)

    def existing(functions: Callable[..., list[sympy.Expr]]) -> list[sympy.Expr]:
        pairs = zip(functions(equation, equation.general), functions(equation), strict=False)
        return [named for named, f in pairs if search.exists(f)]

    by_rates: list[sympy.Expr] = []
    for k, rate in enumerate(found):
        growth = monomial([float(r[0][k].growth) for r in runs])
        turn = monomial([float(r[0][k].turn) for r in runs])
        if growth is None or turn is None:
            return None
        by_rates += Rate(rate.z, growth, turn, rate.base).functions
    by_name = with_products(
        existing(own_functions), by_rates, existing(simple_functions) if found else [], equation.space
    )
    by_name += search.of_solutions(factor)
    values = {symbols[n]: sympy.Rational(repr(v)) for n, v in generic.items() if n in symbols}
    if len(by_name) != len(special) or any(
        sympy.simplify(a.subs(values) - b) != 0 for a, b in zip(by_name, special, strict=True)
    ):
        return None
    library = polynomial_library(equation, degree, by_name, without)
    if len(library) != len(step.library):
        return None
    forms: list[ClosedForm] = []
    for k in range(len(first)):
        form: ClosedForm = {}
        for c, component in enumerate("d" + name for name in equation.space.names):
            total = sympy.Integer(0)
            for f in range(len(library)):
                coefficient = monomial([float(r[3][k][c, f]) for r in runs])
                if coefficient is None:
                    return None
                total += coefficient * library.functions[f]
            form[component] = total
        forms.append(_without_fractions(form))
    if not all(prolongation.is_symmetry(equation, form, general=True) for form in forms):
        return None
    return forms


def _leading(row: Tensor) -> tuple[int, int]:
    """The simplest function of a row, and its component."""
    f, c = row.T.nonzero()[0].tolist()
    return f, c


def _without_fractions(form: ClosedForm) -> ClosedForm:
    """A multiple of a form in which numbers and parameters do not divide and have no common factor."""
    terms = [sympy.together(f).as_numer_denom() for f in form.values() if f != 0]
    constants = [d.as_independent(*_coordinates(form), as_Add=False)[0] for _, d in terms]
    factor = sympy.lcm_list(constants)
    return {key: simplest(sympy.expand(f * factor)) for key, f in form.items()}


def has_parameters(form: ClosedForm) -> bool:
    """Whether a form holds other symbols than coordinates."""
    return any(s.name not in {key[1:] for key in form} for f in form.values() for s in f.free_symbols)


def _coordinates(form: ClosedForm) -> list[sympy.Symbol]:
    names = {key[1:] for key in form}
    return [s for f in form.values() for s in f.free_symbols if s.name in names]
