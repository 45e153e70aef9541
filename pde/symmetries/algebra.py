"""The symmetry algebra of an equation, complete over its library and proven: nothing is simulated, no data are needed.

The library grows, degree by degree, until the dimension of the null space is stable (`search`). What grows for ever is
told apart: the finite part of the algebra is what is left without superposed solutions (`superposition`). Parameters of
the equation appear by name where that can be proven (`parameters`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import sympy
from torch import Tensor

from symflow.algebra import ClosedForm, complete_algebra, readout, structure_constants
from symflow.fields import Coordinates
from symflow.runs import one_thread

from ..equations import Equation
from . import prolongation
from .nullspace import Condition, complexity
from .parameters import has_parameters, named_forms
from .rates import own_units
from .search import Search, Step
from .superposition import Superposition, factors, superposition

LEAST_DEGREE = 3  # up to which the library always grows
MOST_DEGREE = 6
MOST_DEGREE_OF_TWO = 9  # in two coordinates: one equation of one unknown in one variable
MOST_UNKNOWNS = 1_600  # to which the library grows by itself


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
    def stable(self) -> bool:
        """Whether the dimension stopped growing with the library: if not, the algebra may be infinite."""
        last = list(self.counts.values())[-2:]
        return len(last) == 2 and last[0] == last[1]


@one_thread()
def symmetries(
    equation: Equation, *, without: Sequence[str] = (), degree: int | None = None, seed: int = 0
) -> Symmetries:
    """The point symmetries of an equation, from random jets on its manifold.

    Args:
        equation: any.
        without: coordinates that generators must not depend on: those of periodic axes.
        degree: of the library's polynomials; by default as high as needed until the dimension is stable.
        seed: of the jets.

    Raises:
        UserError: the library of that degree is too large, or the equation has no finite values to draw from.

    >>> [form["dt"] for form in symmetries(Equation("u_tt - u_xx + sin(u) = 0")).forms]
    [0, 1, x]
    """
    search = Search(equation, tuple(without), seed)
    superposed = superposition(equation, [sympy.Integer(1)])
    found, cut = search.rates(linear=superposed is not None)
    special = search.special(found)
    superposed = superposed or superposition(equation, factors(equation, found))
    late = superposed.factor if superposed is not None else None

    @cache
    def at(degree: int) -> Step:
        return search.step(special, degree, late)

    counts: dict[int, int] = {}
    stable = False
    if degree is None:
        degree = LEAST_DEGREE
        counts[degree] = at(degree).finite
        most = MOST_DEGREE if len(equation.space.names) > 2 else MOST_DEGREE_OF_TWO
        while not stable and degree < most and search.unknowns(special, degree + 1) <= MOST_UNKNOWNS:
            degree += 1
            counts[degree] = at(degree).finite
            stable = counts[degree] == counts[degree - 1]
        target = counts[degree] if stable else counts[LEAST_DEGREE]
        # read from the smallest library that holds them all
        degree = next(n for n in range(degree + 1) if at(n).finite >= target)
    step = at(degree)
    counts.setdefault(degree, step.finite)
    rows = step.rows
    functions, units = step.library.functions, own_units(equation)
    read = [readout.combination(row, functions, search.components, units) for row in rows]
    named = named_forms(equation, rows, tuple(without), degree, late, seed) if equation.parameters else None
    pairs = sorted(zip(read, named or read, strict=True), key=lambda pair: complexity(pair[0]))
    forms = [form for form, _ in pairs]
    named = [by_name if has_parameters(by_name) else form for form, by_name in pairs]
    verified = tuple(prolongation.is_symmetry(equation, form) for form in forms)
    if (
        forms and stable and all(verified) and structure_constants(forms) is None
    ):  # a bracket of symmetries is one, also where the library does not hold it
        closed, _ = complete_algebra(forms, lambda form: prolongation.is_symmetry(equation, form))
        forms, named = closed, [*named, *closed[len(forms) :]]
        verified = (True,) * len(forms)
    return Symmetries(
        equation,
        search.manifold.coordinates,
        step.condition,
        step.values,
        step.rank,
        tuple(forms),
        verified,
        tuple(named),
        superposed,
        dict(sorted(counts.items())),
        (f"not all exponentials and powers of {', '.join(cut)} were tried",) if cut else (),
    )
