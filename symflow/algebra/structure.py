"""What follows from exact structure constants by linear algebra: series, centre, radicals, quotients, the Levi factor.

Constants are ``c[i][j][k]`` with ``[e_i, e_j] = sum_k c_ijk e_k`` over the real numbers. From rational constants
everything is decided exactly. Definitions: Jacobson, *Lie Algebras*; algorithms: de Graaf, *Lie Algebras: Theory and
Algorithms*, chapters 1 to 4.

Subspaces are given by basis rows; rows of integers stand for rational subspaces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from symflow.algebra import rational
from symflow.algebra.rational import Matrix

Constants = Sequence[Sequence[Sequence[Any]]] | NDArray[Any]
"""``c[i][j][k]``: int, Fraction or sympy.Rational."""


def brackets(constants: NDArray[Any], a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """All brackets of two sets of elements, rows ``[r, n]`` and ``[s, n]`` to rows ``[r s, n]``, the second fastest."""
    left = np.tensordot(a, constants, (1, 0))  # [r, n, n]
    both: NDArray[Any] = np.tensordot(left, b, (1, 1)).transpose(0, 2, 1)  # [r, s, n]
    return both.reshape(-1, constants.shape[0])


def exact(constants: Constants) -> Matrix:
    """Rational structure constants as integers, in the basis ``e_i / m`` with the smallest m that does it.

    Raises:
        TypeError: a constant is no int, Fraction or sympy.Rational.
        ValueError: the shape is not ``[n, n, n]``, n at least 1, or the constants are not antisymmetric or violate the
            Jacobi identity.

    >>> exact([[[0, 0], [0, Fraction(1, 2)]], [[0, Fraction(-1, 2)], [0, 0]]])[0, 1].tolist()
    [0, 1]
    """
    try:
        given = np.array(constants, dtype=object)
    except ValueError:  # ragged
        given = np.array([], dtype=object)
    if given.ndim != 3 or given.shape != (len(given),) * 3 or not len(given):
        raise ValueError(f"`constants` must have the shape [n, n, n], got {list(given.shape)}")
    for v in given.flat:
        if not isinstance(v, int | np.integer | Fraction | sympy.Rational):
            raise TypeError(f"`constants` must be int, Fraction or sympy.Rational, got {v!r} ({type(v).__name__})")
    fractions = np.vectorize(lambda v: Fraction(int(v.numerator), int(v.denominator)), otypes=[object])(given)
    c = _integral(fractions)
    if wrong := np.argwhere(c + c.transpose(1, 0, 2) != 0).tolist():
        i, j, k = wrong[0]
        raise ValueError(
            f"`constants` must be antisymmetric, got c[{i}][{j}][{k}] = {fractions[i, j, k]} "
            f"and c[{j}][{i}][{k}] = {fractions[j, i, k]}"
        )
    if broken := np.argwhere(jacobiator(c) != 0).tolist():
        i, j, k = (index + 1 for index in broken[0][:3])
        raise ValueError(
            f"`constants` must satisfy the Jacobi identity, got "
            f"[[e{i}, e{j}], e{k}] + [[e{j}, e{k}], e{i}] + [[e{k}, e{i}], e{j}] different from 0"
        )
    return c


def _integral(fractions: Matrix) -> Matrix:
    denominator = math.lcm(*(v.denominator for v in fractions.flat))
    integers: Matrix = np.vectorize(lambda v: int(v * denominator), otypes=[object])(fractions)
    return integers


def jacobiator(constants: NDArray[Any]) -> NDArray[Any]:
    """``[[e_i, e_j], e_k] + cyclic``, ``[n, n, n, n]``: zero for a Lie algebra."""
    double = np.tensordot(constants, constants, (2, 0))  # [i, j, k, m]
    total: NDArray[Any] = double + double.transpose(2, 0, 1, 3) + double.transpose(1, 2, 0, 3)
    return total


def killing_form(constants: NDArray[Any]) -> NDArray[Any]:
    """``K(x, y) = tr(ad x ad y)``, ``[n, n]``.

    >>> killing_form(exact([[[0, 0], [0, 1]], [[0, -1], [0, 0]]])).tolist()
    [[1, 0], [0, 0]]
    """
    return np.tensordot(constants, constants, ((1, 2), (2, 1)))


BasisOf = Callable[[NDArray[Any]], NDArray[Any]]


def derived_series(constants: NDArray[Any], span: BasisOf = rational.span) -> list[NDArray[Any]]:
    """Bases of ``g, [g, g], [[g, g], [g, g]], ...`` until a term repeats, which is left out."""
    return _series(constants, span, lambda last, _: last)


def lower_central_series(constants: NDArray[Any], span: BasisOf = rational.span) -> list[NDArray[Any]]:
    """Bases of ``g, [g, g], [g, [g, g]], ...`` until a term repeats, which is left out."""
    return _series(constants, span, lambda _, whole: whole)


def _series(constants: NDArray[Any], span: BasisOf, partner: Callable[..., Any]) -> list[NDArray[Any]]:
    whole = np.eye(constants.shape[0], dtype=int).astype(constants.dtype)
    terms = [whole]
    while len(terms[-1]):
        following = span(brackets(constants, terms[-1], partner(terms[-1], whole)))
        if len(following) == len(terms[-1]):
            break
        terms.append(following)
    return terms


def centre(constants: NDArray[Any], kernel: BasisOf = rational.kernel) -> NDArray[Any]:
    """A basis of the elements that commute with all.

    >>> centre(exact([[[0, 0], [0, 1]], [[0, -1], [0, 0]]])).shape
    (0, 2)
    """
    n = constants.shape[0]
    return kernel(constants.transpose(1, 2, 0).reshape(n * n, n))


def radical(constants: Matrix) -> Matrix:
    """A basis of the largest solvable ideal: what the Killing form makes orthogonal to ``[g, g]``."""
    return rational.kernel(_derived(constants).dot(killing_form(constants)))


def _derived(constants: Matrix) -> Matrix:
    n = constants.shape[0]
    return rational.span(constants.reshape(n * n, n))


def nilradical(constants: Matrix) -> Matrix:
    """A basis of the largest nilpotent ideal.

    It is the part of the radical R on which all weights of the adjoint representation of R vanish. Weights are linear
    functions that vanish on ``[R, R]``, so x lies in it exactly when ``tr(ad x (ad y)^k) = 0`` for all k and one y that
    separates the weights. Such a y is found by trial: for any y the condition gives a space between the nilradical and
    R, and the space is the nilradical as soon as it is nilpotent.
    """
    basis, c = subalgebra(constants, radical(constants))
    r = len(basis)
    if not r:
        return basis
    for trial in itertools.count(1):
        y = np.array([trial**i for i in range(r)], dtype=object)
        step = np.tensordot(y, c, (0, 0))  # the matrix of ad y on rows
        power, conditions = np.eye(r, dtype=int).astype(object), []
        for _ in range(r):
            conditions.append(np.tensordot(c, power, ((1, 2), (1, 0))))
            power = power.dot(step)
        found = rational.kernel(np.array(conditions, dtype=object).reshape(r, r))
        if not len(lower_central_series(subalgebra(c, found)[1])[-1]):
            break
    return rational.span(found.dot(basis))


def subalgebra(constants: Matrix, rows: Matrix) -> tuple[Matrix, Matrix]:
    """An integer basis of a subalgebra and the integer structure constants in it."""
    n = constants.shape[0]
    if not len(rows):
        return np.empty((0, n), dtype=object), np.empty((0, 0, 0), dtype=object)
    basis, leading = rational.echelon(rows)
    heads = [Fraction(int(row[lead])) for row, lead in zip(basis, leading, strict=True)]
    coordinates = brackets(constants, basis, basis)[:, leading] / np.array(heads, dtype=object)
    r = len(basis)
    coordinates = coordinates.reshape(r, r, r)
    scale = math.lcm(*(v.denominator for v in coordinates.flat))
    return basis * scale, _integral(coordinates)


def quotient(constants: Matrix, ideal: Matrix) -> tuple[Matrix, Matrix]:
    """Integer structure constants of ``g / ideal``, and the elements of g that represent its basis."""
    n = constants.shape[0]
    basis, leading = rational.echelon(ideal) if len(ideal) else (ideal, [])
    kept = [k for k in range(n) if k not in set(leading)]
    representatives = np.eye(n, dtype=int).astype(object)[kept]
    images = np.vectorize(Fraction, otypes=[object])(brackets(constants, representatives, representatives))
    for row, lead in zip(basis, leading, strict=True):
        images = images - np.outer(images[:, lead] / int(row[lead]), row)
    coordinates = images[:, kept].reshape((len(kept),) * 3)
    if not kept:
        return np.empty((0, 0, 0), dtype=object), representatives
    scale = math.lcm(*(v.denominator for v in coordinates.flat))
    return _integral(coordinates), representatives * scale


def levi(constants: Matrix) -> Matrix:
    """A basis of a semisimple subalgebra S with ``g = S + radical``; empty when g is solvable.

    Representatives of ``g / R`` are corrected along the derived series of R, by a linear system at each step (de Graaf,
    section 4.13).
    """
    solvable, inner = subalgebra(constants, radical(constants))
    c, elements = quotient(constants, solvable)
    m = len(elements)
    if not m or not len(solvable):
        return rational.span(elements)
    pairs = list(itertools.combinations(range(m), 2))
    layers = [term.dot(solvable) for term in derived_series(inner)]
    x = np.vectorize(Fraction, otypes=[object])(elements)
    for layer, below in zip(layers, [*layers[1:], np.empty((0, constants.shape[0]), dtype=object)], strict=True):
        # [x_a + y_a, x_b + y_b] = c_ab^d (x_d + y_d) up to `below`, for y_a in `layer`; forms that vanish on `below`
        forms = rational.kernel(below)  # [f, n]
        unknown = [(a, row) for a in range(m) for row in layer]
        equations = []
        for a, b in pairs:
            rest = brackets(constants, x[a : a + 1], x[b : b + 1])[0] - np.tensordot(c[a, b], x, (0, 0))
            columns = [
                (brackets(constants, row[None], x[b : b + 1])[0] if d == a else 0 * row)
                + (brackets(constants, x[a : a + 1], row[None])[0] if d == b else 0 * row)
                - c[a, b, d] * row
                for d, row in unknown
            ]
            equations.append(np.stack([*columns, -rest], 1))  # [n, unknowns + 1]
        system = rational.integers(np.concatenate([forms.dot(e) for e in equations]))
        rows, leading = rational.echelon(system)
        for row, lead in zip(rows, leading, strict=True):
            d, direction = unknown[lead]  # the last column never leads: Levi's theorem
            x[d] = x[d] + Fraction(int(row[-1]), int(row[lead])) * direction
    return rational.span(rational.integers(x))
