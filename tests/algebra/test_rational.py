"""Exact linear algebra against computer algebra, with numbers far beyond one residue."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.algebra import rational


def low_rank(rows: int, columns: int, rank: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    left, right = (rng.integers(-9, 10, shape).astype(object) for shape in ((rows, rank), (rank, columns)))
    return left.dot(right)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 10_000))
def test_echelon_and_kernel_are_those_of_computer_algebra(rows: int, columns: int, rank: int, seed: int) -> None:
    matrix = low_rank(rows, columns, rank, seed)
    reference, pivots = sympy.Matrix(matrix.tolist()).rref()
    found, leading = rational.echelon(matrix)
    assert leading == list(pivots)
    for row, lead, expected in zip(found, leading, reference.tolist(), strict=False):
        assert [sympy.Rational(v, row[lead]) for v in row] == expected
    kernel = rational.kernel(matrix)
    assert kernel.shape == (columns - len(leading), columns)
    assert not np.any(matrix.dot(kernel.T))
    assert len(rational.span(kernel)) == len(kernel)


def test_numbers_far_beyond_one_residue() -> None:
    random = Random(0)
    matrix = np.array([[random.randint(-(10**30), 10**30) for _ in range(24)] for _ in range(20)], dtype=object)
    kernel = rational.kernel(matrix)
    assert kernel.shape == (4, 24)
    assert not np.any(matrix.dot(kernel.T))
    assert max(len(str(v)) for v in kernel.flat) > 500


def test_a_prime_that_loses_rank_is_outvoted() -> None:
    """The first prime divides an entry: modulo it the matrix has another rank and other leading columns."""
    matrix = np.array([[rational.LARGEST_PRIME, 1], [0, 1]], dtype=object)
    rows, leading = rational.echelon(matrix)
    assert (rows.tolist(), leading) == ([[1, 0], [0, 1]], [0, 1])
    singular = np.array([[rational.LARGEST_PRIME, 2 * rational.LARGEST_PRIME]], dtype=object)
    assert rational.echelon(singular)[0].tolist() == [[1, 2]]
    assert rational.kernel(singular).tolist() == [[-2, 1]]


@pytest.mark.parametrize("shape", [(0, 3), (2, 3)])
def test_no_rows_and_zero_rows(shape: tuple[int, int]) -> None:
    zero = np.zeros(shape, dtype=int).astype(object)
    assert rational.span(zero).shape == (0, 3)
    assert rational.kernel(zero).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 10_000))
def test_signature_obeys_sylvester(positive: int, negative: int, zero: int, seed: int) -> None:
    n = positive + negative + zero
    if n == 0:
        return
    change = np.random.default_rng(seed).integers(-3, 4, (n, n))
    if round(abs(np.linalg.det(change))) == 0:
        return
    form = np.diag([2] * positive + [-3] * negative + [0] * zero)
    assert rational.signature((change.T @ form @ change).astype(object)) == (positive, negative)
