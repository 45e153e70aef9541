"""The stages of a discovery that ask the equation alone: its algebra, families, a count, the boundary."""

from __future__ import annotations

from dataclasses import replace

from symflow.algebra import describe, structure_constants
from symflow.discovery import Context, known
from symflow.errors import UserError
from symflow.runs import one_thread

from ..boundaries import Boundary, kept
from ..counting import count_symmetries
from ..equations import Equation
from ..families import Whole, accounted, beside, whole_algebra
from ..symmetries import Symmetries, first_order_symmetries, restricted, spanned, symmetries
from .checks import with_period
from .state import Algebra, State
from .verdicts import FEWEST_ORDERS

LOW = (1, 2)  # degrees at which little is nearly a symmetry
MOST_BRACKETED = 40  # generators of which all brackets are taken: more are a part of an infinite algebra


@one_thread()
def solve_equation(state: State, context: Context) -> State:
    """The symmetries of the equation alone, on random jets of its manifold: nothing of the data."""
    equation, degree = known(state.source).equation, state.request.degree
    plane = symmetries(equation, degree=degree)
    periodic = known(state.source).periodic
    asked = symmetries(equation, without=periodic, degree=degree) if periodic else plane
    return replace(state, algebra=_described(plane, asked))


@one_thread()
def look_for_families(state: State, context: Context) -> State:
    """Symmetries that depend on arbitrary functions; their members are no longer listed one by one.

    Under periods these are the members of families that have them; a boundary is asked of members, too.
    """
    source, algebra = known(state.source), known(state.algebra)
    plane, asked, alone = algebra.plane, algebra.asked, algebra.asked is algebra.plane
    many = len(plane.forms)
    if not all(plane.verified):  # beside families these are mostly fields that only nearly are members
        plane = plane.proved
    found = whole_algebra(source.equation, plane.forms, plane.superposition)
    if not found.families:
        return state
    if plane.superposition is not None and (found.room or len(plane.forms) < many):
        more = symmetries(source.equation, at_least=many + found.room)
        if sum(more.verified) > len(plane.forms) and all(more.verified):
            found = accounted(source.equation, found.families, more.forms)
            plane = more
        else:
            plane = plane.left_out_by(more)
    complete = found.counted is not None and found.counted >= FEWEST_ORDERS
    if len(plane.forms) < many and not complete and state.request.degree is None:
        found, plane = _of_low_degree(source.equation, found, plane)
    proved = all(plane.verified[i] for i in found.finite)  # what is not proved bounds nothing from below
    if state.request.boundary is None:
        plane = restricted(plane, found.finite)
        periodic = with_period(found.families, source.periodic)
        asked = asked if alone else restricted(asked, beside(periodic, asked.forms, source.equation)[0])
    described = algebra if plane is algebra.plane else _described(plane, plane if alone else asked)
    counted = found.counted if proved else None
    return replace(state, algebra=replace(described, families=found.families, counted=counted))


def _of_low_degree(equation: Equation, found: Whole, plane: Symmetries) -> tuple[Whole, Symmetries]:
    """What is finite beside families, from the lowest degrees, where a larger library cannot be read.

    It nearly holds members of families, functions that polynomials approach, and these spoil its basis.
    """
    best = found, plane
    for degree in LOW:
        low = symmetries(equation, degree=degree).proved
        beside_ = accounted(equation, found.families, low.forms)
        if len(beside_.finite) > len(best[0].finite):
            best = beside_, low
    return best


def keep_boundary(state: State, context: Context) -> State:
    """The combinations of what is proved that keep the boundary, members of families in the library among them."""
    algebra, equation = known(state.algebra), known(state.source).equation
    boundary, plane = Boundary.read(equation, known(state.request.boundary)), algebra.plane
    asked = spanned(plane, kept(boundary, plane.proved.forms))
    if algebra.families:
        plane = restricted(plane, beside(algebra.families, plane.forms, equation)[0])
    described = _described(plane, asked)
    return replace(state, algebra=replace(described, families=algebra.families, counted=algebra.counted))


def count(state: State, context: Context) -> State:
    """How many symmetries there can be at most, of whatever form; where that many are proved, the others are none."""
    algebra = known(state.algebra)
    proved = sum(algebra.plane.verified)
    try:
        found = count_symmetries(known(state.source).equation, proved)
    except UserError:  # a function that has no values modulo a prime: nothing is said
        return state
    if found.at_most == proved < len(algebra.plane.forms):
        algebra = _described(algebra.plane.proved, algebra.asked.proved)
    return replace(state, at_most=found.at_most, endless=found.endless, algebra=algebra)


@one_thread()
def widen(state: State, context: Context) -> State:
    """Where the count leaves room, the library grows beyond the degrees at which the dimension stood still."""
    algebra, equation = known(state.algebra), known(state.source).equation
    more = symmetries(equation, at_least=known(state.at_most))
    if sum(more.verified) <= sum(algebra.plane.verified):
        plane = algebra.plane.left_out_by(more)
        asked = plane if algebra.asked is algebra.plane else algebra.asked
        return replace(state, algebra=replace(algebra, plane=plane, asked=asked))
    plane = asked = more.proved
    if algebra.asked is not algebra.plane:
        asked = symmetries(equation, without=known(state.source).periodic, degree=max(more.counts)).proved
    return replace(state, algebra=_described(plane, asked))


def _described(plane: Symmetries, asked: Symmetries) -> Algebra:
    """With what the brackets say."""
    many = len(asked.forms) > MOST_BRACKETED
    constants = None if many else structure_constants(asked.forms) if asked.forms else []
    return Algebra(plane, asked, constants, describe(constants) if constants else None)


def perturb(state: State, context: Context) -> State:
    """What becomes of the symmetries of the equation without its small parameter, to first order in it."""
    found = first_order_symmetries(known(state.source).equation, known(state.request.small))
    return replace(state, first_order=found)
