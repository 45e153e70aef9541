"""The terms that an equation of data may have, for unknowns on any axes.

Linear ones up to a fourth derivative in space, mixed ones included; products and cubes of unknowns, and a constant;
``w_b w_c,i`` for all unknowns and axes of space, and products of two slopes, while there are few unknowns. Of one
unknown on a line ``u^2 u_x`` and ``u^a u_xx, ...`` besides, of orbits of second order central forces.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import sympy

from ..equations import Index, JetSpace

HIGHEST = 4  # derivatives of the linear terms
MOST_CUBED = 3  # unknowns, of which all cubic terms are candidates
MOST_SLOPES = 2  # unknowns, of which products of slopes are
MOST_LINEAR = 3  # unknowns, beyond which linear terms have no more than two derivatives


def time_index(space: JetSpace, order: int) -> Index:
    """Of a derivative in t."""
    return tuple(order if name == "t" else 0 for name in space.independent)


def derivatives_of(space: JetSpace, unknown: int, order: int) -> list[sympy.Symbol]:
    """The pure derivative in the first axis of space, of an order; none without axes of space."""
    places = [i for i, name in enumerate(space.independent) if name != "t"]
    index = tuple(order if places and i == places[0] else 0 for i in range(len(space.independent)))
    return [space.symbol(unknown, index)] if places else []


def candidates(space: JetSpace, order: int, *, slopes: bool = True) -> tuple[sympy.Expr, ...]:
    """Terms beside the order-th derivative in t of any unknown, simple ones first.

    Args:
        space: the variables.
        order: of the leading term in t; 0 for equations without derivatives in t.
        slopes: whether derivatives can be taken of the data; without, products are in conservation form.

    >>> [str(m) for m in candidates(JetSpace(("t",), ("u", "v")), 1)]
    ['1', 'u', 'v', 'u**2', 'u*v', 'v**2', 'u**3', 'u**2*v', 'u*v**2', 'v**3']
    """
    q = range(len(space.dependent))
    unknowns = [space.symbol(a, time_index(space, 0)) for a in q]
    highest = HIGHEST if len(q) <= MOST_LINEAR else 2
    time = space.independent.index("t") if "t" in space.independent else None
    still = [k for k in space.up_to(highest if order else 2) if time is None or k[time] == 0]
    first = [k for k in still if sum(k) == 1]
    found: list[sympy.Expr] = [sympy.S.One, *unknowns]
    found += [space.symbol(a, time_index(space, n)) for n in range(1, order) for a in q]
    found += [space.symbol(a, k) for k in still if sum(k) for a in q]
    found += [a * b for a, b in combinations_with_replacement(unknowns, 2)]
    if slopes:
        found += [b * space.symbol(c, k) for b in unknowns for c in q for k in first]
    else:
        pairs = list(combinations_with_replacement(unknowns, 2))
        found += [space.total_derivative(b * c, k.index(1)) / (2 if b == c else 1) for b, c in pairs for k in first]
    if slopes and len(q) <= MOST_SLOPES:
        found += [a * b for a, b in combinations_with_replacement([space.symbol(c, k) for c in q for k in first], 2)]
    if len(q) <= MOST_CUBED:
        found += [sympy.Mul(*some) for some in combinations_with_replacement(unknowns, 3)]
    if len(q) == 1:
        (w,) = unknowns
        found += [w**2 * space.symbol(0, k) for k in first]
        if slopes and len(first) == 1:
            found += [w**n * space.symbol(0, k) for n in (1, 2) for k in still if sum(k) > 1]
    if order == 2 and not first and len(q) > 1:
        found += central_forces(unknowns)
    return tuple(dict.fromkeys(found))


def central_forces(unknowns: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
    """``w/r^n``, ``r^2`` the sum of the squares of the unknowns, n from 1 to 4."""
    r = sum(w**2 for w in unknowns)
    return [w / r ** sympy.Rational(n, 2) for n in range(1, 5) for w in unknowns]


def powers(space: JetSpace) -> list[sympy.Expr]:
    """Terms that are no candidates: powers of unknowns beyond cubes, alone and times a slope of the same unknown."""
    unknowns = [space.symbol(a, time_index(space, 0)) for a in range(len(space.dependent))]
    found = [w**n for n in (4, 5) for w in unknowns]
    slopes = [(a, k) for a in range(len(unknowns)) for k in space.up_to(1) if sum(k) and k != time_index(space, 1)]
    return found + [unknowns[a] ** n * space.symbol(a, k) for n in (2, 3) for a, k in slopes]
