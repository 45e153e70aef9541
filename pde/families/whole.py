"""The whole algebra of an equation that may be infinite: families, the finite part beside them, and a count of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symflow.algebra import ClosedForm
from symflow.errors import UserError

from ..counting import at_order, taylor_coefficients
from ..equations import Equation
from ..symmetries import Superposition
from .family import Family
from .search import families, hodographs, superposed
from .spans import TAYLOR, Spans

MOST_COLUMNS = 2_000  # Taylor coefficients of all components together: seconds
SEEN = 2  # the order of the Taylor polynomials by which generators are missed
FEW_COLUMNS = 700  # of a first bound, at which the search ends, and of more than orders up to `SEEN`


@dataclass(frozen=True)
class Whole:
    """An algebra as families and what is finite beside them.

    Attributes:
        families: proved, with letters of their own.
        finite: which of the known generators are no members of the families.
        counted: the order up to which their Taylor polynomials at a point are all there can be; ``None`` where the
            count leaves room, or where the equation has no values modulo a prime.
        room: how many more there may be of order `SEEN`.
    """

    families: tuple[Family, ...]
    finite: tuple[int, ...]
    counted: int | None
    room: int = 0


def whole_algebra(
    equation: Equation, forms: Sequence[ClosedForm], superposition: Superposition | None, seed: int = 0
) -> Whole:
    """Looks for families, takes them out of the known generators, and counts.

    Args:
        equation: any.
        forms: symmetries that are known, simple ones first.
        superposition: solutions that can be superposed, where it is known that they can.
        seed: of jets, functions and the count.

    >>> from symflow.pde.symmetries import symmetries
    >>> liouville = Equation("u_xt - exp(u) = 0")
    >>> found = whole_algebra(liouville, symmetries(liouville).forms, None)
    >>> [f.form["du"] for f in found.families], found.finite, found.counted is not None
    ([-f_x, -g_t], (), True)
    """
    known = [] if superposition is None else [superposed(equation, superposition)]
    found = families(equation, forms, [*known, *hodographs(equation, bool(known))], _bound(equation, seed), seed)
    return accounted(equation, found, forms, seed)


def accounted(equation: Equation, found: Sequence[Family], forms: Sequence[ClosedForm], seed: int = 0) -> Whole:
    """The algebra of some families and generators: which of these are no members, and whether a count leaves room."""
    finite, spans = beside(found, forms, equation)
    counted, room = _counted(equation, spans.dimensions(), seed) if found else (None, 0)
    if counted is not None and finite:
        # what is finite is known by its Taylor polynomials of a low order; generators of which every order brings more
        # belong to a family that is not known
        alone, order = beside(found, (), equation)[1].dimensions(), max(counted, SEEN + 1)
        grown = [both - less for both, less in zip(spans.dimensions(), alone, strict=True)]
        counted = None if grown[order] > grown[order - 1] else counted
    return Whole(tuple(found), tuple(finite), counted, room)


def beside(found: Sequence[Family], forms: Sequence[ClosedForm], equation: Equation) -> tuple[list[int], Spans]:
    """Which generators are no members of families, nor combinations with others; and what all of them span."""
    spans = Spans(equation)
    for family in found:
        spans.add(spans.polynomials(family))
    finite = []
    for i, form in enumerate(forms):
        polynomial = spans.polynomial(form)
        if spans.adds(polynomial):
            spans.add(polynomial)
            finite.append(i)
    return finite, spans


def _bound(equation: Equation, seed: int) -> tuple[int, ...]:
    """Dimensions that families reach which are all of an infinite algebra; empty where there is no count."""
    order = equation.order + 1
    if _too_large(equation) or _of_paths(equation):
        return ()
    while taylor_coefficients(equation, order + 1) <= FEW_COLUMNS:
        order += 1
    try:
        return at_order(equation, order, seed).dimensions[: min(order - equation.order, TAYLOR) + 1]
    except UserError:
        return ()


def _too_large(equation: Equation) -> bool:
    """Whether only the order after the equation's could be counted, at which nothing shows."""
    return taylor_coefficients(equation, equation.order + 2) > MOST_COLUMNS


def _of_paths(equation: Equation) -> bool:
    """Whether a solution is a path through each point: then any function of the integrals makes symmetries.

    Of these no list of closed forms is complete, and an upper bound says nothing.
    """
    space = equation.space
    return len(space.independent) == 1 and equation.order == 1 and len(equation.residuals) == len(space.dependent)


def _counted(equation: Equation, lower: Sequence[int], seed: int) -> tuple[int | None, int]:
    """The order up to which the upper bounds meet the lower ones, and by how much they are apart at `SEEN`."""
    best, order, room = None, equation.order + 1, 0
    if _too_large(equation) or _of_paths(equation):
        return None, 0
    before: tuple[int, ...] = ()
    while taylor_coefficients(equation, order) <= MOST_COLUMNS:
        try:
            upper = at_order(equation, order, seed).dimensions
        except UserError:
            return None, 0
        met, room = 0, max(upper[SEEN] - lower[SEEN], 0)
        while met < len(lower) and met <= order and upper[met] == lower[met]:
            met += 1
        best = met - 1 if met else best
        order += 1
        if met >= len(lower) - 1:  # the last but one: bounds are sharp only well below the order they come from
            break
        if met > SEEN and taylor_coefficients(equation, order) > FEW_COLUMNS:
            break
        if upper[: len(lower)] == before:  # they fall no more
            break
        before = upper[: len(lower)]
    return best, room
