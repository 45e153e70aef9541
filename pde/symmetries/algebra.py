"""The symmetry algebra of an equation, complete over its library and proven: nothing is simulated, no data are needed.

The library grows, degree by degree, until the dimension of the null space is stable (`search`). What grows for ever is
told apart: the finite part of the algebra is what is left without superposed solutions (`superposition`). Parameters of
the equation appear by name where that can be proven (`parameters`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product

import sympy
from torch import Tensor

from symflow.algebra import ClosedForm, complete_algebra, readout, simplest, structure_constants
from symflow.fields import Coordinates
from symflow.runs import one_thread

from ..equations import Equation, variable
from . import prolongation
from .nullspace import Condition, complexity
from .parameters import has_parameters, named_forms
from .rates import own_units
from .search import Search, Step
from .superposition import Superposition, factors, superposition

LEAST_DEGREE = 3  # up to which the library grows
MOST_AT_LEAST = (1_000, 2_500)  # unknowns of its polynomials, and of all of it, else of a lower degree: large systems
MOST_DEGREE = 6
MOST_DEGREE_OF_TWO = 9  # in two coordinates: one equation of one unknown in one variable
MOST_UNKNOWNS = 1_600  # to which the library grows by itself
MOST_CLOSED = 32  # generators whose brackets are looked at
WIDEST_DEGREE, WIDEST_UNKNOWNS = 8, 1_800  # where symmetries are known to be missing


@dataclass(frozen=True)
class Symmetries:
    """The algebra of an equation.

    Attributes:
        equation: whose algebra it is.
        coordinates: units in which the random jets lie in a unit cube.
        condition: the determining condition over the library the generators were read from.
        values: its singular values, ascending.
        rank: of the null space; superposed solutions are in it where they could not be looked for apart.
        forms: a basis of the finite part, in closed form.
        verified: which of them are proven.
        named: the same with parameters by name, where it is proven for every value of them; else as in `forms`.
        superposition: what makes the algebra infinite, or ``None``.
        counts: by degree of the library, the dimension of the finite part.
        left_out: what was not looked for to the end, because it is too much, in words.
    """

    equation: Equation
    coordinates: Coordinates
    condition: Condition
    values: Tensor
    rank: int
    forms: tuple[ClosedForm, ...]
    verified: tuple[bool, ...]
    named: tuple[ClosedForm, ...]
    superposition: Superposition | None
    counts: dict[int, int]
    left_out: tuple[str, ...] = ()

    @property
    def proved(self) -> Symmetries:
        """Those that are proved, alone."""
        kept = [k for k, proved in enumerate(self.verified) if proved]
        less = len(self.forms) - len(kept)
        counts = {degree: count - less for degree, count in self.counts.items()}
        return replace(restricted(self, kept), rank=self.rank - less, counts=counts)

    def left_out_by(self, more: Symmetries) -> Symmetries:
        """With what a search for more, which found none, did not look through to the end."""
        return replace(self, left_out=tuple(dict.fromkeys([*self.left_out, *more.left_out])))

    @property
    def stable(self) -> bool:
        """Whether the dimension stopped growing with the library: if not, the algebra may be infinite."""
        last = list(self.counts.values())[-2:]
        return len(last) == 2 and last[0] == last[1]


def spanned(found: Symmetries, forms: Sequence[ClosedForm]) -> Symmetries:
    """With combinations of the generators that are proved, in their place."""
    return replace(found, forms=tuple(forms), verified=(True,) * len(forms), named=tuple(forms))


def restricted(found: Symmetries, which: Sequence[int]) -> Symmetries:
    """With some of the generators only."""
    return replace(
        found,
        forms=tuple(found.forms[i] for i in which),
        verified=tuple(found.verified[i] for i in which),
        named=tuple(found.named[i] for i in which),
    )


@dataclass(frozen=True)
class _Reading:
    """The null space of a rank as closed forms: coefficients, forms, and which are proved."""

    rank: int
    rows: list[Tensor]
    forms: list[ClosedForm]
    proved: list[bool]


def _most_proved(step: Step, search: Search, units: Sequence[sympy.Expr]) -> _Reading:
    """The closed forms of a step; where some are not proved, of fewer values if then more are.

    A field that violates the condition by 1e-10 is none of its symmetries, whatever gap lies above it, and spoils the
    basis of those that are.
    """
    best = _Reading(0, [], [], [])
    for rank in step.ranks:
        rows = replace(step, rank=rank).rows
        reading = _Reading(rank, rows, *_read(rows, step, search, units))
        if not best.rows or sum(reading.proved) > sum(best.proved):
            best = reading
        if all(reading.proved):
            break
    return best


def _read(
    rows: Sequence[Tensor], step: Step, search: Search, units: Sequence[sympy.Expr]
) -> tuple[list[ClosedForm], list[bool]]:
    """Rows as closed forms, and which are proved; in rationals of fewer digits where all digits prove nothing."""
    forms, proved = [], []
    for row in rows:
        read = partial(readout.combination, row, step.library.functions, search.components)
        form = read(units)
        right = prolongation.is_symmetry(search.equation, form)
        if not right and prolongation.is_symmetry(search.equation, coarse := read(tolerance=readout.COARSE)):
            form, right = coarse, True
        forms.append(form)
        proved.append(right)
    return forms, proved


@dataclass(frozen=True)
class _Widest:
    """The step of a degree and a library at which most was proved."""

    degree: int
    step: Step
    reading: _Reading
    cut: int | None = None  # the degree at which the budget was spent


def _least_degree(search: Search, special: Sequence[sympy.Expr]) -> int:
    """`LEAST_DEGREE`, but for systems of so many coordinates that it would be too much."""
    polynomials, all_ = MOST_AT_LEAST
    return next(
        (n for n in (LEAST_DEGREE, 2) if search.unknowns([], n) <= polynomials and search.unknowns(special, n) <= all_),
        1,
    )


def _widest(
    search: Search,
    libraries: Sequence[Sequence[sympy.Expr]],
    factor: sympy.Expr | None,
    at_least: int,
    units: Sequence[sympy.Expr],
) -> _Widest:
    """The first step with so many proved generators, else that with most, over all degrees and some libraries.

    It ends where the budget of the search is spent.
    """
    best = _Widest(0, search.step(libraries[0], 0, factor), _Reading(0, [], [], []))
    for degree, functions in product(range(WIDEST_DEGREE + 1), libraries):
        if search.unknowns(functions, degree) > WIDEST_UNKNOWNS:
            continue
        if not search.budget.pays(search.unknowns(functions, degree)):
            return replace(best, cut=degree)
        step = search.step(functions, degree, factor)
        if sum(best.reading.proved) < step.finite <= at_least:  # more would hold fields that only nearly are symmetries
            reading = _most_proved(step, search, units)
            if sum(reading.proved) > sum(best.reading.proved):
                best = _Widest(degree, step, reading)
        if sum(best.reading.proved) >= at_least:
            break
    return best


def without_solutions(forms: Sequence[ClosedForm], equation: Equation) -> list[ClosedForm]:
    """The finite part of an inhomogeneous linear equation, without the solutions that are mixed into it.

    With ``E = (u - p) d/du`` among the forms, p a solution, ``[E, f d/du] = -f d/du``, so ``V + [E, V]`` has none.
    """
    unknowns = equation.space.dependent

    def is_degree(form: ClosedForm) -> bool:
        rest = {
            u: form[f"d{u}"] - variable(u) * sympy.diff(form[f"d{unknowns[0]}"], variable(unknowns[0]))
            for u in unknowns
        }
        free = {variable(u) for u in unknowns}
        return all(form[f"d{z}"] == 0 for z in equation.space.independent) and not any(
            sympy.expand(e).free_symbols & free for e in rest.values()
        )

    degree = next((form for form in forms if is_degree(form)), None)
    if degree is None:
        return list(forms)
    u = unknowns[0]
    size = sympy.diff(degree[f"d{u}"], variable(u))
    if size == 0 or not size.is_number:
        return list(forms)
    found = []
    for form in forms:
        bracket = readout.exact_bracket(degree, form)
        found.append({key: simplest(sympy.expand(f + bracket[key] / size)) for key, f in form.items()})
    return found


@one_thread()
def symmetries(
    equation: Equation,
    *,
    without: Sequence[str] = (),
    degree: int | None = None,
    at_least: int = 0,
    seed: int = 0,
) -> Symmetries:
    """The point symmetries of an equation, from random jets on its manifold.

    Args:
        equation: any.
        without: coordinates that generators must not depend on: those of periodic axes.
        degree: of the library's polynomials; by default as high as needed until the dimension is stable.
        at_least: how many there are known to be; for them the search goes to higher degrees, and to other functions.
        seed: of the jets.

    Raises:
        UserError: the library of that degree is too large, or the equation has no finite values to draw from.

    >>> [form["dt"] for form in symmetries(Equation("u_tt - u_xx + sin(u) = 0")).forms]
    [0, 1, x]
    """
    search = Search(equation, tuple(without), seed)
    superposed = superposition(equation, [sympy.Integer(1)])
    found, cut = search.rates(linear=superposed is not None)
    superposed = superposed or superposition(equation, factors(equation, found))
    late = superposed.factor if superposed is not None else None
    special = search.special(found, late)
    units = own_units(equation, found)

    @cache
    def at(degree: int) -> Step:
        return search.step(special, degree, late)

    counts: dict[int, int] = {}
    stable, widest = False, None
    if degree is None and at_least:
        several = (special, search.few(found, late), search.wide(found, late))
        widest = _widest(search, several, late, at_least, units)
        degree = widest.degree
    elif degree is None:
        least = degree = _least_degree(search, special)
        if least < LEAST_DEGREE:
            counts[least - 1] = at(least - 1).finite
        counts[degree] = at(degree).finite
        stable = counts.get(degree - 1) == counts[degree]
        most = least if least < LEAST_DEGREE else MOST_DEGREE if len(equation.space.names) > 2 else MOST_DEGREE_OF_TWO
        while not stable and degree < most and search.unknowns(special, degree + 1) <= MOST_UNKNOWNS:
            degree += 1
            counts[degree] = at(degree).finite
            stable = counts[degree] == counts[degree - 1]
        target = counts[degree] if stable else counts[least]
        # read from the smallest library that holds them all
        degree = next(n for n in range(degree + 1) if at(n).finite >= target)
    step = at(degree) if widest is None else widest.step
    counts.setdefault(degree, step.finite)
    reading = _most_proved(step, search, units) if widest is None else widest.reading
    counts = {n: count - (step.rank - reading.rank) for n, count in counts.items()}
    usual = bool(equation.parameters) and step.library.special[1:] == tuple(s for s in special if s != 1)
    # those that hold for all values as they are have no parameters in them
    usual = usual and not all(prolongation.is_symmetry(equation, form, general=True) for form in reading.forms)
    by_name = named_forms(equation, reading.rows, tuple(without), degree, late, seed) if usual else None
    found_ = sorted(
        zip(reading.forms, by_name or reading.forms, reading.proved, strict=True), key=lambda f: complexity(f[0])
    )
    forms, verified = [form for form, _, _ in found_], tuple(proved for _, _, proved in found_)
    named = [general if has_parameters(general) else form for form, general, _ in found_]
    if superposed is not None and all(verified) and not search.homogeneous(superposed.factor):
        forms = named = without_solutions(forms, equation)
    elif 0 < len(forms) <= MOST_CLOSED and stable and all(verified) and structure_constants(forms) is None:
        # a bracket of symmetries is one, also where the library does not hold it
        closed, _ = complete_algebra(forms, lambda form: prolongation.is_symmetry(equation, form))
        forms, named = closed, [*named, *closed[len(forms) :]]
        verified = (True,) * len(forms)
    left_out = [f"not all exponentials and powers of {', '.join(cut)} were tried"] if cut else []
    if widest is not None and widest.cut is not None:
        left_out.append(f"the search for more ended at polynomials of degree {widest.cut}: its budget was spent")
    return Symmetries(
        equation,
        search.manifold.coordinates,
        step.condition,
        step.values,
        reading.rank,
        tuple(forms),
        verified,
        tuple(named),
        superposed,
        dict(sorted(counts.items())),
        tuple(left_out),
    )
