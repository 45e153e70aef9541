"""Generators that depend on arbitrary functions: what makes an algebra infinite, in closed form and proved.

A family ``V_f = sum_k f_k W_k`` is linear in derivatives of f, a function of given arguments. With the derivatives
drawn at random, independent of each other at every point, the determining condition is linear in the coefficients of
the W_k: their null space over monomials is exact to rounding, and gives all families of the library at once. Of these
a basis is kept: what adds nothing to the Taylor polynomials of the families before it is one of them in disguise
(``f`` replaced by ``t f'``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product

import sympy

from symflow.algebra import ClosedForm, is_zero, readout
from symflow.errors import UserError
from symflow.runs import one_thread

from ..counting import coefficients
from ..equations import Equation, JetSpace, Manifold, reduced, solve_for_principal
from ..symmetries import (
    Condition,
    Superposition,
    by_derivatives,
    condition,
    echelon,
    function_names,
    gap_rank,
    linear_conditions,
)
from .arguments import candidates, single_arguments
from .family import Family
from .functions import Functions
from .library import FamilyLibrary, family_library, logarithmic_derivatives
from .spans import Spans

RESOLUTION, CEILING = 1e-13, 1e-9  # of violations that are exact up to rounding
DEGREE = 2  # of the monomials beside the functions
ALONE = 3  # and beside functions without their derivatives, of up to three coordinates
ORDERS = {1: 3, 2: 1}  # the highest derivative of functions of so many arguments; 0 of more
MOST_COLUMNS = 400
SPARE, MORE = 1.5, 60  # equations per unknown, and besides
LETTERS = [*"fghkqwabcrs", *(f"F{n}" for n in range(1, 100))]


def superposed(equation: Equation, found: Superposition) -> Family:
    """Superposed solutions as a family: functions of all independent variables that solve linear equations."""
    space = equation.space
    p = len(space.independent)
    functions = Functions(space.variables[:p], found.functions, None, found.condition)
    form = dict.fromkeys(("d" + name for name in space.names), sympy.Integer(0))
    zero = (0,) * p
    form |= {
        f"d{z.name}": s * found.factor for z, s in zip(space.variables[p:], functions.symbols_of(zero), strict=True)
    }
    return Family(form, functions, 0, True)


def hodographs(equation: Equation, linear: bool = False) -> list[Family]:
    """Superposition in disguise: functions of other coordinates that solve linear equations.

    ``f(t, u) d/dx`` where x as a function of t and u solves a linear equation; for systems functions of the unknowns,
    ``f(u, v) d/dx + g(u, v) d/dt``, and ``f(x, t) d/dv`` where the equations are linear in some of them.

    Args:
        equation: any.
        linear: in all unknowns, and that is known: being linear in some of them says no more.
    """
    space = equation.space
    p = len(space.independent)
    independent, unknowns = space.variables[:p], space.variables[p:]
    trials: list[tuple[list[sympy.Symbol], list[sympy.Symbol]]] = []
    if p > 1 and not linear:  # a system that is linear in some of its unknowns
        some = (part for n in range(1, len(unknowns)) for part in combinations(range(len(unknowns)), n))
        trials = [([unknowns[a] for a in part], list(independent)) for part in some if _linear_in(equation, part)]
    if len(unknowns) == 1:
        trials += [([z], [*(y for y in independent if y != z), *unknowns]) for z in independent]
    elif len(unknowns) == p == 2:  # of more variables derivatives become quotients of minors, which are not linear
        trials += [(list(independent), list(unknowns))]
    found = []
    for components, arguments in trials:
        names = function_names(space, equation.parameters)[: len(components)]
        conditions = linear_conditions(equation, components, arguments, names)
        if conditions and not any(c.is_Symbol for c in conditions):  # f_t = 0: a function of fewer arguments
            functions = Functions(tuple(arguments), names, None, conditions)
            form = dict.fromkeys(("d" + name for name in space.names), sympy.Integer(0))
            symbols = functions.symbols_of((0,) * len(arguments))
            form |= {f"d{z.name}": s for z, s in zip(components, symbols, strict=True)}
            found.append(Family(form, functions, 0, True))
    return found


def _linear_in(equation: Equation, unknowns: Collection[int]) -> bool:
    """Whether the solved equations are of degree one in some unknowns and their derivatives together."""

    def own(formula: sympy.Expr) -> list[sympy.Symbol]:
        space = equation.space
        return [space.symbol(a, index) for a, index in space.indices(formula) if a in unknowns]

    slopes = (sympy.diff(rule, s) for rule in equation.rules.values() for s in own(rule))
    return not any(own(slope) for slope in slopes)


@one_thread()
def families(
    equation: Equation,
    forms: Sequence[ClosedForm] = (),
    known: Sequence[Family] = (),
    enough: Sequence[int] = (),
    seed: int = 0,
) -> list[Family]:
    """The families of an equation, those of most arguments first.

    Functions of coordinates, of characteristic coordinates, of quotients of known symmetries, and holomorphic ones;
    none that have to solve an equation (`superposition` finds those). Monomials beside them of at most degree 2.

    Args:
        equation: any.
        forms: symmetries that are known.
        known: families that are known; left out where they are a part of the others.
        enough: the search ends where families have Taylor polynomials of these dimensions, of order 0, 1, ...
        seed: of jets and functions.

    >>> from symflow.pde import Equation
    >>> [f.form["dx"] for f in families(Equation("u_xt - exp(u) = 0"))]
    [f, 0]
    """
    space = equation.space
    found = list(known)
    spans = Spans(equation)
    for family in known:
        spans.add(spans.polynomials(family))
    tried: set[Functions] = set()
    companions = logarithmic_derivatives(equation)
    besides = [(), companions] if companions else [()]  # polynomials alone, and times special functions

    @cache
    def alone(argument: sympy.Expr) -> bool:
        return any(_Trial(equation, Functions((argument,)), special, seed).any for special in besides)

    while True:  # quotients of what was found are arguments for others
        fields = [*(_with_one(family) for family in found if not family.order), *forms]
        # a function of one argument is one of several: where it has no family, they have none
        single = [a for a in single_arguments(equation, fields) if alone(a)]
        fresh = [f for f in candidates(equation, single) if f not in tried]
        tried |= set(fresh)
        before = len(found)
        for functions, special in product(fresh, besides):
            if enough and spans.dimensions()[: len(enough)] == tuple(enough):
                break
            found += _new(_Trial(equation, functions, special, seed), spans)
        if len(found) == before:
            break
    return _named(_needed(found, equation), [c for c in LETTERS if c not in {*space.names, *equation.parameters}])


def _with_one(family: Family) -> ClosedForm:
    """The generator that it has for the function 1."""
    ones = dict.fromkeys(family.functions.symbols(0), sympy.Integer(1))
    return {key: sympy.expand(f.subs(ones)) for key, f in family.form.items()}


@dataclass(frozen=True)
class _Trial:
    """The search for families of functions of some arguments."""

    equation: Equation
    functions: Functions
    special: tuple[sympy.Expr, ...]
    seed: int

    @property
    def most(self) -> int:
        """The highest order of derivatives."""
        return ORDERS.get(len(self.functions.arguments), 0) if self.functions.turn is None else ORDERS[1]

    def library(self, order: int, degree: int) -> FamilyLibrary:
        """Derivatives up to an order times monomials up to a degree."""
        return family_library(self.equation.space.variables, self.functions, order, degree, self.seed, self.special)

    def degree(self, order: int) -> int:
        """The highest degree of monomials with not too many columns."""
        d = len(self.equation.space.variables)
        most = 1 if self.special else DEGREE if order or d > 3 else ALONE
        columns = (d * len(self.library(order, n).products) for n in range(most + 1))
        return max((n for n, count in enumerate(columns) if count <= MOST_COLUMNS), default=0)

    @property
    def any(self) -> bool:
        """Whether there are families over the largest libraries with derivatives up to each order."""
        largest: dict[int, int] = {}  # by degree, the highest order
        for order in (0, ORDERS[2], ORDERS[1]):
            largest[self.degree(order)] = order
        conditions = (self._condition(order, degree) for degree, order in largest.items())
        return any(gap_rank(c.values(), RESOLUTION, CEILING) for c in conditions if c is not None)

    def _condition(self, order: int, degree: int) -> Condition | None:
        """The determining condition over one library; ``None`` where the equation has no values to draw from."""
        equation, manifold, library = self.equation, Manifold(self.equation), self.library(order, degree)
        count = int(SPARE * len(equation.space.variables) * len(library) / len(equation.residuals)) + MORE
        try:
            return condition(equation, manifold.sample(count, self.seed), library, manifold.coordinates)
        except UserError:
            return None

    def combinations(self, order: int, degree: int) -> list[Family]:
        """A basis of the families over one library, simple ones first; none is proved."""
        reduced = self._condition(order, degree)
        if reduced is None:
            return []
        rank = gap_rank(reduced.values(), RESOLUTION, CEILING)
        names = ["d" + v.name for v in self.equation.space.variables]
        rows, units = echelon(reduced, rank) if rank else [], self.functions.units
        forms = [readout.combination(row, reduced.library.functions, names, units) for row in rows]
        exact = [f for f in forms if not any(c.has(sympy.Float) for c in f.values())]
        return [Family(f, self.functions, _highest(f, self.functions, order), False) for f in exact]


def _new(trial: _Trial, spans: Spans) -> list[Family]:
    """The families that add to a span, which grows by them."""
    whole = trial.combinations(trial.most, trial.degree(trial.most))
    found = []
    # low orders and degrees first: simple representatives, until all of the largest library is in their span
    for order, degree in product(range(trial.most + 1), range(ALONE + 1)):
        if not any(spans.adds(spans.polynomials(family)) for family in whole):
            break
        if degree > trial.degree(order):
            continue
        for family in trial.combinations(order, degree):
            rows = spans.polynomials(family)
            if spans.adds(rows) and proved(trial.equation, family):
                spans.add(rows)
                found.append(replace(family, verified=True))
    return found


def _needed(found: Sequence[Family], equation: Equation) -> list[Family]:
    """Those that are no part of the others."""
    kept = list(found)
    for family in found:
        spans = Spans(equation)
        for other in kept:
            if other is not family:
                spans.add(spans.polynomials(other))
        if not spans.adds(spans.polynomials(family)):
            kept.remove(family)
    return kept


def _named(found: Sequence[Family], letters: Sequence[str]) -> list[Family]:
    """With letters of their own."""
    named = []
    for family in found:
        named.append(family.renamed(letters))
        letters = letters[len(family.functions.names) :]
    return named


def _highest(form: ClosedForm, functions: Functions, order: int) -> int:
    used = {s for f in form.values() for s in f.free_symbols}
    return max(sum(k) for s, (_, k) in functions.located(order).items() if s in used)


def proved(equation: Equation, family: Family) -> bool:
    """Whether the linearised condition vanishes on solutions for all functions that meet their equations, exactly."""
    space, f = equation.space, family.functions
    names = ["d" + n for n in space.names]
    derived: dict[tuple[int, tuple[int, ...]], sympy.Expr] = {}

    def partial(b: int, alpha: tuple[int, ...]) -> sympy.Expr:
        if (b, alpha) not in derived:
            i = next((i for i, n in enumerate(alpha) if n), None)
            if i is None:
                return family.form[names[b]]
            lower = tuple(n - (j == i) for j, n in enumerate(alpha))
            order = family.order + sum(lower)
            derived[b, alpha] = f.along(partial(b, lower), space.variables[i], order)
        return derived[b, alpha]

    for A in coefficients(equation):
        total = sum((c * partial(b, alpha) for (b, alpha), c in A.items()), sympy.Integer(0))
        on_manifold = sympy.numer(sympy.together(total.subs(equation.rules)))
        symbols, free = f.symbols(family.order + equation.order), _free(f)
        for part in by_derivatives(on_manifold, space):
            expanded = sympy.expand(free(part))
            if not all(is_zero(expanded.coeff(s)) for s in symbols):
                return False
    return True


def _free(functions: Functions) -> Callable[[sympy.Expr], sympy.Expr]:
    """What replaces the derivatives of functions that their equations determine by the others."""
    if not functions.equations:
        return lambda formula: formula
    space = JetSpace(tuple(str(a) for a in functions.arguments), functions.names)
    solved = solve_for_principal(functions.equations, space, "; ".join(f"{e} = 0" for e in functions.equations))
    return lambda formula: reduced(sympy.expand(formula), solved, space)
