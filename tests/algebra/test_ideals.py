"""Direct sums in any basis, also those that only irrational numbers split."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from lie_algebras import AFFINE, FIELDS, KDV, LINE, algebra, changed, changes, total
from symflow.algebra.description import describe
from symflow.algebra.ideals import ideals
from symflow.algebra.structure import brackets, exact


@pytest.mark.parametrize("name", FIELDS)
def test_ideals_with_irrational_constants(name: str) -> None:
    assert describe(FIELDS[name]).name == name


def test_summands_without_a_name_are_counted() -> None:
    """The filiform algebra of dimension 5 has no name here; sl(2) over a cubic field with one real place is 3 + 6."""
    filiform = algebra(5, {(1, 2): {3: 1}, (1, 3): {4: 1}, (1, 4): {5: 1}})
    found = describe(total(filiform, AFFINE))
    assert (found.name, found.summands) == (None, (5, 2))
    assert "direct sum of dimensions 5 + 2" in found.sentence
    assert describe(FIELDS["sl(2,R) + so(3,1)"]).summands == (6, 3)


@settings(max_examples=5, deadline=None)
@given(change=changes(7))
def test_direct_sums_are_found_in_any_basis(change: np.ndarray) -> None:
    c = exact(changed(total(KDV, AFFINE, LINE), change))
    found = ideals(c)
    assert sorted(len(ideal.basis) for ideal in found) == [1, 2, 4]
    for one, other in itertools.combinations(found, 2):
        assert not np.any(brackets(c, one.basis, other.basis))
