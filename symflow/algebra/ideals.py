"""An algebra as a direct sum of ideals: the idempotents of its centroid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import sympy

from symflow.algebra import rational
from symflow.algebra.rational import Matrix
from symflow.algebra.structure import _derived, brackets, centre, subalgebra


@dataclass(frozen=True)
class Ideal:
    """A direct summand that does not decompose over the rational numbers.

    Over the real numbers it is the sum of ``real`` ideals of one kind each and ``pairs`` ideals with a complex
    structure: the places of the number field that is the reduced centroid.
    """

    basis: Matrix
    real: int = 1
    pairs: int = 0

    @property
    def dimensions(self) -> list[int]:
        """Of the real ideals."""
        one = len(self.basis) // (self.real + 2 * self.pairs)
        return [one] * self.real + [2 * one] * self.pairs


def ideals(constants: Matrix) -> list[Ideal]:
    """The algebra as a direct sum of ideals that do not decompose over the rational numbers.

    A central summand is a complement of ``Z & [g, g]`` in the centre Z. The rest decomposes by the idempotents of the
    centroid ``{T: T [x, y] = [T x, y]}``, which is commutative up to nilpotent maps (Jacobson, chapter X): they
    come from the factors of the characteristic polynomial of an element T with as many eigenvalues as there can be.
    """
    n = constants.shape[0]
    z, derived = centre(constants), _derived(constants)
    identity = np.eye(n, dtype=int).astype(object)
    central = _complement(_intersection(z, derived), z)
    # a complement of the central summand that contains [g, g] is an ideal
    rest = np.concatenate([derived, _complement(np.concatenate([derived, central]), identity)])
    found = [Ideal(row[None]) for row in central]
    if len(rest):
        basis, c = subalgebra(constants, rest)
        found += [Ideal(rational.span(ideal.basis.dot(basis)), ideal.real, ideal.pairs) for ideal in _by_centroid(c)]
    return found


def _intersection(a: Matrix, b: Matrix) -> Matrix:
    if not len(a) or not len(b):
        return a[:0]
    relations = rational.kernel(np.concatenate([a, b]).T)
    return rational.span(relations[:, : len(a)].dot(a))


def _complement(inner: Matrix, outer: Matrix) -> Matrix:
    """Rows of `outer` that complete `inner` to a basis of the sum of both."""
    _, leading = rational.echelon(np.concatenate([inner, outer]).T)
    return outer[[k - len(inner) for k in leading if k >= len(inner)]]


def _generators(constants: Matrix) -> list[int]:
    """Basis elements that generate the algebra."""
    n = constants.shape[0]
    chosen: list[int] = []
    reached = np.empty((0, n), dtype=object)
    for k in range(n):
        unit = np.eye(n, dtype=int).astype(object)[k : k + 1]
        larger = rational.span(np.concatenate([reached, unit]))
        if len(larger) == len(reached):
            continue
        chosen.append(k)
        while len(larger) > len(reached):
            reached = larger
            larger = rational.span(np.concatenate([reached, brackets(constants, reached, reached)]))
        if len(reached) == n:
            break
    return chosen


def centroid(constants: Matrix) -> Matrix:
    """A basis of ``{T: T [x, y] = [T x, y]}`` as matrices ``[k, n, n]`` that act on rows."""
    n = constants.shape[0]
    identity = np.eye(n, dtype=int).astype(object)
    # T commutes with ad x: with those of generators of the algebra, and so with all
    conditions = [np.kron(identity, constants[x].T) - np.kron(constants[x], identity) for x in _generators(constants)]
    return rational.kernel(np.concatenate(conditions)).reshape(-1, n, n)


def _by_centroid(constants: Matrix) -> list[Ideal]:
    n = constants.shape[0]
    maps = centroid(constants)
    z = sympy.Symbol("z")
    degree = len(rational.span(np.tensordot(maps, maps, ((1, 2), (2, 1)))))  # of the reduced centroid
    for trial in itertools.count(1):
        t = np.tensordot(np.array([trial**i for i in range(len(maps))], dtype=object), maps, (0, 0))
        _, factors = sympy.Poly(rational.characteristic(t), z).factor_list()
        if sum(factor.degree() for factor, _ in factors) == degree:
            break
    result = []
    for factor, multiplicity in factors:
        value = np.full((n, n), 0, dtype=object)
        for coefficient in factor.all_coeffs():
            value = value.dot(t) + int(coefficient) * np.eye(n, dtype=int).astype(object)
        power = value
        for _ in range(multiplicity - 1):
            power = rational.integers(power.dot(value).reshape(1, -1)).reshape(n, n)
        real = int(factor.count_roots())
        result.append(Ideal(rational.kernel(power.T), real, (factor.degree() - real) // 2))
    return result
