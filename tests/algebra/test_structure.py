"""Radicals and Levi factors by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from lie_algebras import HEAT, LINE, NAMED, changed, changes, total
from symflow.algebra import rational
from symflow.algebra.description import describe
from symflow.algebra.structure import brackets, exact, killing_form, levi, nilradical, radical, subalgebra


@pytest.mark.parametrize("name", ["sl(2,R) semidirect 2A1", "sch(1)", "e(3)", "p(3,1)", "sl(2,R) + so(3)"])
@settings(max_examples=1, deadline=None)
@given(data=st.data())
def test_levi_decomposition(name: str, data: st.DataObject) -> None:
    c = exact(changed(NAMED[name], data.draw(changes(len(NAMED[name])))))
    factor, solvable = levi(c), radical(c)
    assert len(rational.span(np.concatenate([factor, solvable]))) == len(c) == len(factor) + len(solvable)
    assert len(rational.span(np.concatenate([factor, brackets(c, factor, factor)]))) == len(factor)
    _, own = subalgebra(c, factor)
    assert sum(rational.signature(killing_form(own))) == len(factor)  # Cartan's criterion


def test_levi_factor_that_no_representative_hits() -> None:
    """The radical's derived series has three terms; representatives need corrections at each."""
    seven = total(HEAT, LINE)
    change = np.array(sympy.eye(7) + sympy.Matrix(7, 7, lambda i, j: (i + 2 * j) % 3 if i > j else 0), dtype=object)
    c = exact(changed(seven, change))
    factor = levi(c)
    assert len(factor) == 3
    assert len(rational.span(np.concatenate([factor, brackets(c, factor, factor)]))) == 3


@pytest.mark.parametrize("name", ["A4,9(b = -2/3)", "sch(1)", "h(2) + 2A1", "p(2,1)"])
def test_nilradical_is_an_ideal_and_holds_every_nilpotent_ideal(name: str) -> None:
    c = NAMED[name]
    found = nilradical(c)
    whole = np.eye(len(c), dtype=int).astype(object)
    assert len(rational.span(np.concatenate([found, brackets(c, found, whole)]))) == len(found)
    assert describe(subalgebra(c, found)[1]).nilpotent
    inside = rational.span(brackets(c, radical(c), whole))  # [g, R] is a nilpotent ideal (Jacobson, II.7)
    assert len(rational.span(np.concatenate([found, inside]))) == len(found)
