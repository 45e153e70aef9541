"""Exact linear algebra over the rational numbers: echelon forms by residues, verified; kernels, spans, signatures.

Matrices are numpy arrays of Python integers (dtype object): row spaces and kernels do not change when rows are scaled.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy.polys.matrices import DomainMatrix

Matrix = NDArray[Any]
"""Python integers or fractions in an array of dtype object."""

LARGEST_PRIME = 2**31 - 1  # products of two residues fit 63 bits


def integers(rows: object) -> Matrix:
    """Rows of rational numbers as rows of integers without a common factor, with the same span.

    >>> from fractions import Fraction
    >>> integers([[Fraction(1, 2), Fraction(1, 3)]]).tolist()
    [[3, 2]]
    """
    result = np.array(rows, dtype=object)
    for index, row in enumerate(result):
        denominator = math.lcm(*(int(v.denominator) for v in row))
        row = [int(v * denominator) for v in row]
        factor = math.gcd(*row) or 1
        result[index] = [v // factor for v in row]
    return result


def _residues(matrix: Matrix, prime: int) -> tuple[NDArray[np.int64], list[int]]:
    """The reduced row echelon form modulo a prime, and its leading columns."""
    rows = (matrix % prime).astype(np.int64)
    leading: list[int] = []
    for column in range(rows.shape[1]):
        k = len(leading)
        below = np.flatnonzero(rows[k:, column])
        if below.size == 0:
            continue
        rows[[k, k + below[0]]] = rows[[k + below[0], k]]
        rows[k] = rows[k] * pow(int(rows[k, column]), -1, prime) % prime
        factors = rows[:, column].copy()
        factors[k] = 0
        touched = np.flatnonzero(factors)
        rows[touched] = (rows[touched] - factors[touched, None] * rows[k] % prime) % prime
        leading.append(column)
    return rows[: len(leading)], leading


def _fraction(residue: int, modulus: int) -> tuple[int, int] | None:
    """The fraction ``p/q``, ``|p|, q <= sqrt(modulus / 2)``, with this residue: Euclid's algorithm (Wang, 1981)."""
    bound = math.isqrt(modulus // 2)
    a, b, x, y = modulus, residue, 0, 1
    while b > bound:
        quotient = a // b
        a, b, x, y = b, a - quotient * b, y, x - quotient * y
    if abs(y) > bound or math.gcd(b, y) != 1:
        return None
    return (b, y) if y > 0 else (-b, -y)


def _kernel_of_echelon(rows: Matrix, leading: Sequence[int]) -> Matrix:
    """The kernel of integer rows, each with zeros in the leading columns of the others."""
    free = [column for column in range(rows.shape[1]) if column not in set(leading)]
    kernel = np.full((len(free), rows.shape[1]), 0, dtype=object)
    for vector, column in zip(kernel, free, strict=True):
        scale = math.lcm(*(int(row[lead]) for row, lead in zip(rows, leading, strict=True)))
        vector[column] = scale
        for row, lead in zip(rows, leading, strict=True):
            vector[lead] = -row[column] * (scale // row[lead])
    return integers(kernel)


def echelon(matrix: Matrix) -> tuple[Matrix, list[int]]:
    """The reduced row echelon form, each row scaled to integers without a common factor, and its leading columns.

    The form is found modulo primes, joined by the Chinese remainder theorem, read as fractions, and accepted only when
    its kernel is annihilated by the matrix exactly. The rank modulo a prime is never above the true one, so an accepted
    form is the true one; whatever prime was unlucky.

    Args:
        matrix: ``[m, n]`` integers.

    Returns:
        ``[rank, n]`` integers with positive leading entries, and the leading columns, ascending.

    >>> rows, leading = echelon(np.array([[2, 4, 0], [1, 2, 3]], dtype=object))
    >>> rows.tolist(), leading
    ([[1, 2, 0], [0, 0, 1]], [0, 2])
    """
    prime, modulus, wanted = LARGEST_PRIME, 1, 1
    known: Matrix = np.empty((0, 0), dtype=object)
    best: list[int] | None = None
    used = 0
    while True:
        residues, leading = _residues(matrix, prime)
        # More leading columns, and earlier ones, are nearer the truth: an unlucky prime can only lose and delay them.
        if best is None or (-len(leading), leading) < (-len(best), best):
            known, modulus, best, used, wanted = residues.astype(object), prime, leading, 1, 1
        elif leading == best:
            lift = (residues - known) * pow(modulus, -1, prime) % prime
            known, modulus, used = known + modulus * lift, modulus * prime, used + 1
        if leading == best and used >= wanted:
            wanted = 2 * used
            fractions = [[_fraction(int(v), modulus) for v in row] for row in known]
            if all(v is not None for row in fractions for v in row):
                rows = np.full(known.shape, 0, dtype=object)
                for row, values in zip(rows, fractions, strict=True):
                    pairs = [v for v in values if v is not None]
                    denominator = math.lcm(*(q for _, q in pairs))
                    row[:] = [p * (denominator // q) for p, q in pairs]
                kernel = _kernel_of_echelon(rows, best)
                if not np.any(matrix.dot(kernel.T)):
                    return rows, best
        prime = sympy.prevprime(prime)


def span(rows: Matrix) -> Matrix:
    """A basis of the row space, the one of `echelon`.

    >>> span(np.array([[2, 4], [3, 6]], dtype=object)).tolist()
    [[1, 2]]
    """
    return echelon(rows)[0] if rows.size else rows[:0]


def kernel(matrix: Matrix) -> Matrix:
    """A basis ``[n - rank, n]`` of the vectors that a matrix ``[m, n]`` takes to zero.

    >>> kernel(np.array([[2, 4, 0], [1, 2, 3]], dtype=object)).tolist()
    [[-2, 1, 0]]
    """
    if not matrix.shape[0]:
        return np.array(np.eye(matrix.shape[1], dtype=int), dtype=object)
    return _kernel_of_echelon(*echelon(matrix))


def characteristic(matrix: Matrix) -> list[int]:
    """Coefficients of ``det(z - M)`` for a square integer matrix, the highest power first."""
    n = matrix.shape[0]
    entries = [[sympy.ZZ(int(v)) for v in row] for row in matrix]
    return [int(v) for v in DomainMatrix(entries, (n, n), sympy.ZZ).charpoly()]


def signature(matrix: Matrix) -> tuple[int, int]:
    """The numbers of positive and of negative eigenvalues of a symmetric integer matrix.

    All roots of the characteristic polynomial are real, so Descartes' rule of signs counts them exactly.

    >>> signature(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=object))
    (1, 1)
    """
    coefficients = characteristic(matrix)

    def changes(signs: Sequence[int]) -> int:
        signs = [v for v in signs if v]
        return sum(a * b < 0 for a, b in itertools.pairwise(signs))

    degree = len(coefficients) - 1
    reflected = [v * (-1) ** (degree - index) for index, v in enumerate(coefficients)]
    return changes(coefficients), changes(reflected)
