"""Lie algebras against the tables of the literature, in bases that show nothing of it.

Commutators of symmetry algebras: Olver, Applications of Lie Groups to Differential Equations, chapter 2. Bianchi types
in the form of Behr: Landau and Lifshitz, The Classical Theory of Fields, section 116. Algebras of dimension 4: Patera,
Sharp, Winternitz and Zassenhaus, J. Math. Phys. 17 (1976) 986, table I.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lie_algebras import BIANCHI, CKDV, DIMENSION_4, KDV, KS, LARGE, NAMED, algebra, changed, changes
from symflow.algebra.description import describe


@pytest.mark.parametrize("kind", BIANCHI)
@settings(max_examples=5, deadline=None)
@given(change=changes(3))
def test_bianchi_types(kind: str, change: np.ndarray) -> None:
    c, name = BIANCHI[kind]
    assert describe(c).name == name
    assert describe(changed(c, change)) == describe(c)


@pytest.mark.parametrize("name", DIMENSION_4)
@settings(max_examples=5, deadline=None)
@given(change=changes(4))
def test_dimension_4(name: str, change: np.ndarray) -> None:
    assert describe(DIMENSION_4[name]).name == name
    assert describe(changed(DIMENSION_4[name], change)) == describe(DIMENSION_4[name])


@pytest.mark.parametrize("name", NAMED)
@settings(max_examples=1, deadline=None)
@given(data=st.data())
def test_names_do_not_depend_on_the_basis(name: str, data: st.DataObject) -> None:
    c = NAMED[name]
    assert describe(c).name == name
    assert describe(changed(c, data.draw(changes(len(c))))) == describe(c)


@pytest.mark.parametrize("name", LARGE)
def test_dimension_15(name: str) -> None:
    assert describe(LARGE[name]).name == name


def test_the_same_algebra_of_two_equations() -> None:
    """KdV and cylindrical KdV are equivalent, so their algebras are isomorphic; KS is the Heisenberg algebra."""
    assert describe(KDV) == describe(CKDV)
    assert describe(KS).name == "h(1)"


def test_a_semidirect_sum_is_named_only_by_parts_with_names() -> None:
    """sl(2,R) on the Heisenberg algebra h(2), with the rotation that commutes with it: heat in two dimensions."""
    table = {
        (2, 6): {1: 1},
        (3, 7): {1: 1},
        (4, 2): {3: -1},  # the rotation
        (4, 3): {2: 1},
        (4, 6): {7: -1},
        (4, 7): {6: 1},
        (5, 2): {2: 1},  # the scaling, h
        (5, 3): {3: 1},
        (5, 6): {6: -1},
        (5, 7): {7: -1},
        (8, 6): {2: 1},  # e, f: [h, e] = 2 e
        (8, 7): {3: 1},
        (9, 2): {6: 1},
        (9, 3): {7: 1},
        (5, 8): {8: 2},
        (5, 9): {9: -2},
        (8, 9): {5: 1},
    }
    found = describe(algebra(9, table))
    assert found.name is None
    assert found.sentence == (
        "dimension 9, neither solvable nor perfect: Levi factor sl(2,R), radical of dimension 6, nilradical h(2); "
        "centre 1"
    )
