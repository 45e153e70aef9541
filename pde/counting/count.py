"""An upper bound of the number of symmetries of an equation, without a library.

The Taylor polynomials of order r of a field at a point that extend to one of order Q, and there satisfy what the
determining equations say up to order Q, have a dimension ``D_Q(r)``: columns less pivots, over a finite field, of the
linear equations at random jets (`condition`). It falls with Q to the dimension of the r-jets of symmetries. Where
``D_Q(r) = D_Q(r + 1)`` the derivatives of order r + 1 follow from lower ones, at this point and so at all that are like
it: the algebra is finite, of at most that dimension. Points, jets and prime are random: a bound is too small with a
probability of about (columns/p), 1e-6, and an algebra of a point that is unlike others may be larger.

Sources: Reid, Wittkopf and Boulton, Eur. J. Appl. Math. 7 (1996) 635; Seiler, *Involution*, Springer 2010.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
import sympy

from symflow.errors import UserError

from ..equations import Equation, JetSpace, equation_of
from .condition import coefficients, equations_at, jet
from .echelon import Echelon
from .modular import PRIME, Index, NoValue, Ring, monomials

MOST_COLUMNS = 2_000
MOST_BEYOND = 8  # orders beyond the equation
TRIES = 20
USUAL = 5  # orders beyond the equation: KdV, Burgers and nearly all others show theirs there or before
CHEAP = 700  # columns of a count that is made beyond these, too: under a second
SURE = 2  # jets in a row that add nothing


@dataclass(frozen=True)
class Count:
    """Dimensions of Taylor polynomials of fields.

    Attributes:
        order: Q.
        dimensions: ``D_Q(0), ..., D_Q(Q)``; none where there are too many columns to begin with.
        at_most: the dimension of a finite algebra is at most this; ``None`` where no two dimensions in a row agree.
        beyond: how many orders Q is above that of the equation.
    """

    order: int
    dimensions: tuple[int, ...]
    at_most: int | None
    beyond: int = 0

    @property
    def endless(self) -> bool:
        """Whether no end shows at orders at which those of finite algebras do: by experience, not by proof."""
        return self.at_most is None and self.beyond >= USUAL


def count_symmetries(
    equation: Equation | str, at_least: int = 0, *, most_columns: int = MOST_COLUMNS, seed: int = 0
) -> Count:
    """The smallest bound that Taylor polynomials of so many coefficients give.

    Determinism: the same seed gives the same count.

    Args:
        equation: any that is solved for its principal derivatives, or its name or formula.
        at_least: how many symmetries are known: a bound that meets it ends the search.
        most_columns: Taylor coefficients of all components together.
        seed: of the point and the jets.

    Raises:
        UserError: the equation has no value modulo the prime.

    >>> count_symmetries(Equation("u_t + u*u_x - u_xx = 0"), 5).at_most
    5
    """
    equation = equation_of(equation)
    order, best = equation.order + 1, None
    if taylor_coefficients(equation, order) > most_columns:
        return Count(order, (), None)
    while True:
        found = at_order(equation, order, seed)
        if best is None or found.at_most is not None or best.at_most is None:
            best = found
        if found.at_most is not None and found.at_most <= at_least:
            return found
        order += 1
        if found.endless and taylor_coefficients(equation, order) > CHEAP:
            return best
        if taylor_coefficients(equation, order) > most_columns or order - equation.order > MOST_BEYOND:
            return best


def taylor_coefficients(equation: Equation, order: int) -> int:
    """Of all components up to an order: the columns of a count."""
    d = len(equation.space.names)
    return d * len(monomials(d, order))


@dataclass(frozen=True)
class _Asked:
    """What a count depends on."""

    equation: Equation = field(compare=False, repr=False)
    space: JetSpace
    residuals: tuple[sympy.Expr, ...]
    order: int
    seed: int


def at_order(equation: Equation, order: int, seed: int = 0) -> Count:
    """The dimensions for one order Q; the last ones are kept, for several searches ask for the same."""
    return _at_order(_Asked(equation, equation.space, equation.residuals, order, seed))


@lru_cache(maxsize=64)
def _at_order(asked: _Asked) -> Count:
    equation, order, seed = asked.equation, asked.order, asked.seed
    d = len(equation.space.names)
    A = coefficients(equation)
    for attempt in range(TRIES):
        draw = random.Random(f"{seed} {attempt}")  # noqa: S311 - no secret
        ring = Ring(d, order - equation.order, draw.randrange(PRIME))
        point = tuple(pow(draw.randrange(2, PRIME - 1), 2, PRIME) for _ in range(d))
        try:
            pivots = _pivots(equation, A, ring, point, order, draw)
        except NoValue:
            continue
        orders = [sum(beta) for beta in reversed(monomials(d, order)) for _ in range(d)]  # of the columns
        free = [o for c, o in enumerate(orders) if c not in pivots]
        dimensions = tuple(sum(o <= r for o in free) for r in range(order + 1))
        at_most = min((a for a, b in pairwise(dimensions) if a == b), default=None)
        return Count(order, dimensions, at_most, order - equation.order)
    raise UserError(f"the equation must have values modulo a prime at some point, got {equation.text!r}")


def _pivots(
    equation: Equation,
    A: Sequence[Mapping[tuple[int, Index], sympy.Expr]],
    ring: Ring,
    point: Sequence[int],
    order: int,
    draw: random.Random,
) -> set[int]:
    """The columns that follow from later ones, at as many jets over the point as add anything."""
    form, quiet, failed = Echelon(ring.variables * len(monomials(ring.variables, order))), 0, 0
    while quiet < SURE:
        try:
            at = jet(equation, ring, point, draw.randrange(PRIME))
            rows = np.concatenate([equations_at(a, ring, at, order) for a in A])
        except NoValue:
            failed += 1
            if failed > TRIES:
                raise
            continue
        quiet = 0 if form.add(rows) else quiet + 1
    return set(form.pivots.tolist())
