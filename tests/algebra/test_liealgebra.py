"""Lie algebras against the tables of the literature, in bases that show nothing of it.

Commutators of symmetry algebras: Olver, Applications of Lie Groups to Differential Equations, chapter 2. Bianchi types
in the form of Behr: Landau and Lifshitz, The Classical Theory of Fields, section 116. Algebras of dimension 4: Patera,
Sharp, Winternitz and Zassenhaus, J. Math. Phys. 17 (1976) 986, table I.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from fractions import Fraction as F

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.algebra import rational
from symflow.algebra.liealgebra import (
    Description,
    brackets,
    describe,
    describe_measured,
    exact,
    ideals,
    killing_form,
    levi,
    nilradical,
    radical,
    subalgebra,
)

Table = Mapping[tuple[int, int], Mapping[int, int | F]]


def algebra(n: int, table: Table) -> np.ndarray:
    """Constants from the nonzero ``[e_i, e_j] = sum_k value e_k``, counted from 1."""
    c = np.zeros((n, n, n), dtype=int).astype(object)
    for (i, j), row in table.items():
        for k, value in row.items():
            c[i - 1, j - 1, k - 1], c[j - 1, i - 1, k - 1] = value, -value
    return c


def of_matrices(matrices: list[np.ndarray]) -> np.ndarray:
    """Constants of integer matrices that span a Lie algebra with integer constants."""
    columns = np.array([m.ravel() for m in matrices]).T
    c = np.zeros((len(matrices),) * 3, dtype=int)
    for i, j in itertools.product(range(len(matrices)), repeat=2):
        commutator = (matrices[i] @ matrices[j] - matrices[j] @ matrices[i]).ravel()
        c[i, j] = np.rint(np.linalg.lstsq(columns, commutator, rcond=None)[0])
        assert (columns @ c[i, j] == commutator).all()
    return c.astype(object)


def rotations(p: int, q: int, translations: bool = False) -> np.ndarray:
    """so(p, q), and iso(p, q) with translations, as matrices of size p + q + 1."""
    metric, n = [1] * p + [-1] * q, p + q
    matrices = []
    for a, b in itertools.combinations(range(n), 2):
        m = np.zeros((n + 1, n + 1), dtype=int)
        m[a, b], m[b, a] = metric[b], -metric[a]
        matrices.append(m)
    for a in range(n if translations else 0):
        m = np.zeros((n + 1, n + 1), dtype=int)
        m[a, n] = 1
        matrices.append(m)
    return of_matrices(matrices)


def unitary(p: int, q: int) -> np.ndarray:
    """su(p, q): complex matrices as real ones of twice the size, with constants that are integers."""
    n, metric = p + q, [1] * p + [-1] * q
    turn = np.array([[0, -1], [1, 0]])

    def unit(a: int, b: int) -> np.ndarray:
        m = np.zeros((n, n), dtype=int)
        m[a, b] = 1
        return m

    matrices = []
    for a, b in itertools.combinations(range(n), 2):
        sign = metric[a] * metric[b]
        matrices.append(np.kron(unit(a, b) - sign * unit(b, a), np.eye(2, dtype=int)))
        matrices.append(np.kron(unit(a, b) + sign * unit(b, a), turn))
    matrices += [np.kron(unit(a, a) - unit(a + 1, a + 1), turn) for a in range(n - 1)]
    return of_matrices(matrices)


def special(n: int) -> np.ndarray:
    """sl(n, R)."""

    def unit(a: int, b: int) -> np.ndarray:
        m = np.zeros((n, n), dtype=int)
        m[a, b] = 1
        return m

    off_diagonal = [unit(a, b) for a, b in itertools.permutations(range(n), 2)]
    return of_matrices(off_diagonal + [unit(a, a) - unit(a + 1, a + 1) for a in range(n - 1)])


def heisenberg(n: int) -> np.ndarray:
    return algebra(2 * n + 1, {(i, n + i): {2 * n + 1: 1} for i in range(1, n + 1)})


def total(*parts: np.ndarray) -> np.ndarray:
    """The direct sum."""
    n = sum(len(part) for part in parts)
    c, start = np.zeros((n, n, n), dtype=int).astype(object), 0
    for part in parts:
        c[start : start + len(part), start : start + len(part), start : start + len(part)] = part
        start += len(part)
    return c


def extended(c: np.ndarray, polynomial: list[int]) -> np.ndarray:
    """The algebra over the number field of a monic polynomial (lowest power first, without the leading 1), over Q."""
    degree, n = len(polynomial), len(c)
    step = np.zeros((degree, degree), dtype=int).astype(object)  # multiplication by the root, on rows
    for power in range(degree - 1):
        step[power, power + 1] = 1
    step[-1] = [-v for v in polynomial]
    powers = [np.eye(degree, dtype=int).astype(object)]
    for _ in range(degree - 1):
        powers.append(powers[-1].dot(step))
    product = np.array(powers, dtype=object)  # root^a root^b in powers of the root
    return np.einsum("ijk,abc->iajbkc", c, product, optimize=False).reshape((n * degree,) * 3)


def changed(c: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The constants in the basis of the rows of a rational matrix."""
    inverse = np.array(sympy.Matrix(change.tolist()).inv().tolist(), dtype=object)
    n = len(c)
    rows = brackets(c, change, change).dot(inverse)
    return rows.reshape(n, n, n)


@st.composite
def changes(draw: st.DrawFn, n: int) -> np.ndarray:
    """Elements of GL(n, Q)."""
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    while True:
        numerators, denominators = rng.integers(-3, 4, (n, n)), rng.integers(1, 4, (n, n))
        if abs(np.linalg.det(numerators / denominators)) > 1e-3:
            ratios = [
                [sympy.Rational(int(a), int(b)) for a, b in zip(r, s, strict=True)]
                for r, s in zip(numerators, denominators, strict=True)
            ]
            return np.array(ratios, dtype=object)


KDV = algebra(4, {(1, 4): {1: 1}, (2, 3): {1: 1}, (2, 4): {2: 3}, (3, 4): {3: -2}})
KS = algebra(3, {(2, 3): {1: 1}})
BURGERS = algebra(
    5, {(1, 4): {1: 1}, (1, 5): {3: 1}, (2, 3): {1: 1}, (2, 4): {2: 2}, (2, 5): {4: 1}, (3, 4): {3: -1}, (4, 5): {5: 2}}
)
CKDV = algebra(4, {(1, 3): {1: 1}, (1, 4): {2: F(1, 4)}, (2, 3): {2: F(-1, 2)}, (3, 4): {4: F(3, 2)}})
# dx, dt, u du, x dx + 2t dt, 2t dx - x u du, 4tx dx + 4t^2 dt - (x^2 + 2t) u du
HEAT = algebra(
    6,
    {
        (1, 4): {1: 1},
        (1, 5): {3: -1},
        (1, 6): {5: 2},
        (2, 4): {2: 2},
        (2, 5): {1: 2},
        (2, 6): {4: 4, 3: -2},
        (4, 5): {5: 1},
        (4, 6): {6: 2},
    },
)
AFFINE = algebra(2, {(1, 2): {2: 1}})
LINE = algebra(1, {})


def behr(a: int | F, n1: int, n2: int, n3: int) -> np.ndarray:
    return algebra(3, {(1, 2): {2: -a, 3: n3}, (2, 3): {1: n1}, (3, 1): {2: n2, 3: a}})


BIANCHI = {
    "I": (behr(0, 0, 0, 0), "3A1"),
    "II": (behr(0, 1, 0, 0), "h(1)"),
    "III": (behr(1, 0, 1, -1), "A2 + A1"),
    "IV": (behr(1, 0, 0, 1), "Bianchi IV"),
    "V": (behr(1, 0, 0, 0), "Bianchi V"),
    "VI_0": (behr(0, 1, -1, 0), "e(1,1)"),
    "VI_a": (behr(F(1, 3), 0, 1, -1), "Bianchi VI(h = -1/9)"),
    "VII_0": (behr(0, 1, 1, 0), "e(2)"),
    "VII_a": (behr(F(3, 2), 0, 1, 1), "Bianchi VII(h = 9/4)"),
    "VIII": (behr(0, 1, 1, -1), "sl(2,R)"),
    "IX": (behr(0, 1, 1, 1), "so(3)"),
}


def four(heisenberg: bool, e1: Mapping, e2: Mapping, e3: Mapping) -> np.ndarray:
    """``[e_i, e_4]``, with ``[e2, e3] = e1`` over the Heisenberg algebra."""
    table = {(1, 4): e1, (2, 4): e2, (3, 4): e3}
    return algebra(4, table | ({(2, 3): {1: 1}} if heisenberg else {}))


DIMENSION_4 = {
    "A4,1": four(False, {}, {1: 1}, {2: 1}),
    "A4,2(a = -3)": four(False, {1: -3}, {2: 1}, {2: 1, 3: 1}),
    "A4,2(a = 1)": four(False, {1: 1}, {2: 1}, {2: 1, 3: 1}),
    "A4,3": four(False, {1: 1}, {}, {2: 1}),
    "A4,4": four(False, {1: 1}, {1: 1, 2: 1}, {2: 1, 3: 1}),
    "A4,5(a = 1, b = 1)": four(False, {1: 1}, {2: 1}, {3: 1}),
    "A4,5(a = 1/2, b = -1/3)": four(False, {1: 1}, {2: F(1, 2)}, {3: F(-1, 3)}),
    "A4,5(a = 1, b = -2/3)": four(False, {1: 1}, {2: 1}, {3: F(-2, 3)}),
    "A4,5(a = 1/2, b = -1)": four(False, {1: 1}, {2: F(-1, 2)}, {3: -1}),
    "A4,5": four(False, {1: 1}, {2: 1, 3: 1}, {2: 1}),  # the golden section: parameters are not rational
    "A4,6": four(False, {1: 2}, {2: 1, 3: -1}, {2: 1, 3: 1}),
    "A4,7": four(True, {1: 2}, {2: 1}, {2: 1, 3: 1}),
    "A4,8": four(True, {}, {2: 1}, {3: -1}),
    "A4,9(b = 1)": four(True, {1: 2}, {2: 1}, {3: 1}),
    "A4,9(b = 0)": four(True, {1: 1}, {2: 1}, {}),
    "A4,9(b = -1/2)": four(True, {1: F(1, 2)}, {2: 1}, {3: F(-1, 2)}),
    "A4,9": four(True, {1: 1}, {2: 1, 3: 1}, {2: 1}),
    "A4,10": four(True, {}, {3: -1}, {2: 1}),
    "A4,11(a^2 = 4)": four(True, {1: 4}, {2: 2, 3: -1}, {2: 1, 3: 2}),
    "A4,12": algebra(4, {(1, 3): {1: 1}, (2, 3): {2: 1}, (1, 4): {2: -1}, (2, 4): {1: 1}}),
    "2A2": total(AFFINE, AFFINE),
    "e(2) + A1": total(behr(0, 1, 1, 0), LINE),
    "sl(2,R) + A1": total(special(2), LINE),
}

NAMED = {
    "A4,9(b = -2/3)": KDV,
    "sl(2,R) semidirect 2A1": BURGERS,
    "sch(1)": HEAT,
    "h(2)": heisenberg(2),
    "h(2) + 2A1": total(heisenberg(2), LINE, LINE),
    "e(3)": rotations(3, 0, True),
    "p(2,1)": rotations(2, 1, True),
    "p(3,1)": rotations(3, 1, True),
    "iso(2,2)": rotations(2, 2, True),
    "e(4)": rotations(4, 0, True),
    "so(3,1)": rotations(3, 1),
    "2so(3)": rotations(4, 0),
    "2sl(2,R)": rotations(2, 2),
    "so(5)": rotations(5, 0),
    "so(4,1)": rotations(4, 1),
    "so(3,2)": rotations(3, 2),
    "sl(3,R)": special(3),
    "su(3)": unitary(3, 0),
    "su(2,1)": unitary(2, 1),
    "sl(2,R) + so(3)": total(special(2), rotations(3, 0)),
    "sl(3,R) + so(3) + A1": total(special(3), rotations(3, 0), LINE),
}
LARGE = {
    "so(4,2)": rotations(4, 2),
    "so(5,1)": rotations(5, 1),
    "sl(4,R)": rotations(3, 3),
    "su(4)": rotations(6, 0),
    "su(3,1)": unitary(3, 1),
    "p(4,1)": rotations(4, 1, True),
}
# restriction of scalars: what decomposes over the real numbers with irrational constants only
FIELDS = {
    "2sl(2,R)": extended(special(2), [-2, 0]),
    "2so(3)": extended(rotations(3, 0), [-2, 0]),
    "so(3,1)": extended(rotations(3, 0), [1, 0]),
    "sl(2,R) + so(3,1)": extended(special(2), [-2, 0, 0]),
    "2A2": extended(AFFINE, [-3, 0]),
    "A4,12": extended(AFFINE, [1, 1]),
    "sl(3,C)": extended(special(3), [1, 0]),
}


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


@pytest.mark.parametrize("name", FIELDS)
def test_ideals_with_irrational_constants(name: str) -> None:
    assert describe(FIELDS[name]).name == name


def test_the_same_algebra_of_two_equations() -> None:
    """KdV and cylindrical KdV are equivalent, so their algebras are isomorphic; KS is the Heisenberg algebra."""
    assert describe(KDV) == describe(CKDV)
    assert describe(KS).name == "h(1)"


def test_burgers_in_words() -> None:
    found = describe(BURGERS)
    assert found.sentence.startswith("dimension 5, perfect, not solvable: sl(2,R) semidirect 2A1")
    assert found.sentence.endswith("; centre 0")
    assert (found.derived_series, found.centre, found.radical, found.nilradical) == ((5,), 0, 2, 2)
    assert found.levi == ("sl(2,R)",)
    assert found.unimodular
    assert not found.semisimple


def test_kdv_in_numbers() -> None:
    found = describe(KDV)
    assert found.derived_series == (4, 3, 1, 0)
    assert found.lower_central_series == (4, 3)
    assert found.nilradical_name == "h(1)"
    assert found.killing == (1, 0)
    assert not found.unimodular  # tr ad v4 = -(1 + 3 - 2)
    assert (found.solvable, found.nilpotent, found.perfect, found.abelian) == (True, False, False, False)


def test_without_a_name_the_properties_remain() -> None:
    """2D scalar Burgers: dx, dy, dt, t (dx + dy) + du, x dx + y dy + 2t dt - u du."""
    c = algebra(
        5,
        {(1, 5): {1: 1}, (2, 5): {2: 1}, (3, 4): {1: 1, 2: 1}, (3, 5): {3: 2}, (4, 5): {4: -1}},
    )
    found = describe(c)
    assert found.name is None
    assert found.sentence == "dimension 5, solvable, not nilpotent: nilradical h(1) + A1; centre 0"


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


def test_a_description_is_json() -> None:
    stored = json.loads(json.dumps(describe(HEAT).to_dict()))
    assert stored["name"] == "sch(1)"
    assert stored["perfect"] is True
    assert stored["derived_series"] == [6]
    assert stored["sentence"] == describe(HEAT).sentence


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


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_constants_that_violate_jacobi_are_refused() -> None:
    c = algebra(3, {(1, 2): {2: 1}, (1, 3): {3: 1}, (2, 3): {1: 1}})
    with pytest.raises(ValueError, match=r"must satisfy the Jacobi identity, got \[\[e1, e2\], e3\]"):
        describe(c)
    with pytest.raises(ValueError, match="must satisfy the Jacobi identity within their errors"):
        describe_measured(c.astype(float), 1e-3)


def test_other_constants_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the shape \[n, n, n\], got \[1, 2, 2\]"):
        describe(np.zeros((1, 2, 2), dtype=int))
    with pytest.raises(ValueError, match=r"must have the shape \[n, n, n\]"):
        describe([])
    with pytest.raises(ValueError, match=r"must be antisymmetric, got c\[0\]\[1\]\[0\] = 1/2 and c\[1\]\[0\]\[0\] = 0"):
        describe([[[0, 0], [F(1, 2), 0]], [[0, 0], [0, 0]]])
    with pytest.raises(TypeError, match=r"must be int, Fraction or sympy.Rational, got 0.5 \(float\)"):
        describe([[[0.5]]])
    with pytest.raises(ValueError, match="finite"):
        describe_measured(np.full((1, 1, 1), np.nan), 0.0)


# ---- measured constants ---------------------------------------------------------------------------------------------


def noisy(c: np.ndarray, error: float, seed: int) -> np.ndarray:
    """In a random orthonormal basis, with independent errors."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(len(c), len(c))))[0]
    turned = np.einsum("ai,bj,ijk,ck->abc", turn, turn, c.astype(float), turn)
    for i, j in itertools.combinations(range(len(c)), 2):
        turned[i, j] += error * rng.normal(size=len(c))
        turned[j, i] = -turned[i, j]
    return turned


MEASURED = {"KdV": KDV, "KS": KS, "Burgers": BURGERS, "heat": HEAT, "e(3)": NAMED["e(3)"], "so(3,1)": NAMED["so(3,1)"]}
INVARIANTS = (
    "dimension",
    "derived_series",
    "lower_central_series",
    "centre",
    "killing",
    "radical",
    "levi",
    "unimodular",
)


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("error", [0.0, 1e-4, 3e-3])
def test_measured_constants_tell_the_same(name: str, error: float) -> None:
    c = MEASURED[name]
    expected = describe(c)
    for seed in range(5):
        found = describe_measured(noisy(c, error, seed), error)
        assert {k: getattr(found, k) for k in INVARIANTS} == {k: getattr(expected, k) for k in INVARIANTS}
        assert found.name in (expected.name, None)
        assert not found.exact
        assert found.gap is not None
        assert found.gap >= 2


def test_where_errors_hide_the_algebra_it_is_said() -> None:
    c = MEASURED["so(3,1)"]
    wrong = 0
    for error, seed in itertools.product((0.03, 0.1, 0.2), range(10)):
        found = describe_measured(noisy(c, error, seed), error)
        if (found.killing, found.radical) != ((3, 3), 0):
            wrong += 1
            assert "which is not certain" in found.sentence
    assert wrong > 10


def test_noise_alone_is_abelian() -> None:
    found: Description = describe_measured(noisy(np.zeros((4, 4, 4), dtype=object), 1e-3, 0), 1e-3)
    assert found.sentence == "dimension 4, abelian: 4A1; centre 4; from measured constants"
