"""Reduced echelon forms modulo the prime, by products of float64 matrices that are exact."""

from __future__ import annotations

import numpy as np

from .modular import PRIME, inverse

HALF = 16  # bits of the low part of a residue; sums of 2^19 products of two sums of halves are below 2^53
_SHIFT = pow(2, 2 * HALF, PRIME)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a @ b`` of residues, by three products of their halves (Karatsuba), each exact in float64.

    >>> int(product(np.array([[PRIME - 1, 2]]), np.array([[PRIME - 1], [3]]))[0, 0])
    7
    """
    high_a, low_a = (a >> HALF).astype(np.float64), (a & (2**HALF - 1)).astype(np.float64)
    high_b, low_b = (b >> HALF).astype(np.float64), (b & (2**HALF - 1)).astype(np.float64)
    high, low = high_a @ high_b, low_a @ low_b
    middle = (high_a + low_a) @ (high_b + low_b) - high - low
    top, mid, bottom = (part.astype(np.int64) % PRIME for part in (high, middle, low))
    found: np.ndarray = (top * _SHIFT % PRIME + mid * 2**HALF % PRIME + bottom) % PRIME
    return found


class Echelon:
    """A reduced echelon form that grows by a few rows at a time; pivots are the first columns that can be.

    Attributes:
        pivots: the columns of the leading ones.
        free: the other columns, in order.
        rows: ``[pivots, free]``; in the columns of the pivots they are the unit matrix.
    """

    def __init__(self, columns: int) -> None:
        self.pivots, self.free = np.zeros(0, np.int64), np.arange(columns)
        self.rows = np.zeros((0, columns), np.int64)

    def add(self, rows: np.ndarray) -> int:
        """How many of the rows are new."""
        rest = rows[:, self.free] % PRIME
        if len(self.pivots):
            rest = (rest - product(rows[:, self.pivots] % PRIME, self.rows)) % PRIME
        columns, new = _eliminated(rest)
        if not len(columns):
            return 0
        kept = np.ones(len(self.free), bool)
        kept[columns] = False
        if len(self.pivots):
            self.rows = (self.rows - product(self.rows[:, columns], new)) % PRIME
        self.rows = np.concatenate([self.rows, new])[:, kept]
        self.pivots, self.free = np.concatenate([self.pivots, self.free[columns]]), self.free[kept]
        return len(columns)


def _eliminated(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The leading columns of some rows and their reduced echelon form."""
    columns: list[int] = []
    done = np.zeros((0, rest.shape[1]), np.int64)
    while len(rest := rest[rest.any(1)]):
        leads = (rest != 0).argmax(1)
        which = int(leads.argmin())
        column = int(leads[which])
        own = rest[which] * inverse(int(rest[which, column])) % PRIME
        rest = np.delete(rest, which, 0)
        for part in (rest, done):
            hit = np.flatnonzero(part[:, column])
            part[hit, column:] = (part[hit, column:] - part[hit, column, None] * own[column:] % PRIME) % PRIME
        columns.append(column)
        done = np.concatenate([done, own[None]])
    return np.array(columns, np.int64), done
