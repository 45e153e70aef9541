"""What is said of an algebra: in words, in numbers, from measured constants, and what is refused."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction as F

import numpy as np
import pytest

from lie_algebras import BURGERS, HEAT, KDV, KS, NAMED, algebra
from symflow.algebra.description import Description, describe, describe_measured


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


def test_a_description_is_json() -> None:
    stored = json.loads(json.dumps(describe(HEAT).to_dict()))
    assert stored["name"] == "sch(1)"
    assert stored["perfect"] is True
    assert stored["derived_series"] == [6]
    assert stored["sentence"] == describe(HEAT).sentence


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
