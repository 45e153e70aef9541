"""What follows from the structure constants of a Lie algebra alone: series, radical, Levi factor, ideals, names.

Constants are ``c[i][j][k]`` with ``[e_i, e_j] = sum_k c_ijk e_k`` over the real numbers. From rational constants
everything is decided exactly. Definitions: Jacobson, *Lie Algebras*; algorithms: de Graaf, *Lie Algebras: Theory and
Algorithms*, chapters 1 to 4; names of small algebras: Patera, Sharp, Winternitz and Zassenhaus, J. Math. Phys. 17
(1976) 986; Bianchi types: Ellis and MacCallum, Commun. Math. Phys. 12 (1969) 108.

Subspaces are given by basis rows; rows of integers stand for rational subspaces.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from symflow.algebra import rational
from symflow.algebra.rational import Matrix

Constants = Sequence[Sequence[Sequence[Any]]] | NDArray[Any]
"""``c[i][j][k]``: int, Fraction or sympy.Rational."""

MARGIN = 3.0  # standard errors up to which a measured singular value counts as zero
CLEAR = 2.0  # the least gap that is certain: nothing lies between 1.5 and 3 standard errors

# Semisimple real algebras by dimension and by the signature of the Killing form, as far as these determine them:
# Helgason, Differential Geometry, Lie Groups and Symmetric Spaces, chapter X, table V.
SEMISIMPLE = {
    (3, (2, 1)): ("sl(2,R)",),
    (3, (0, 3)): ("so(3)",),
    (6, (4, 2)): ("sl(2,R)", "sl(2,R)"),
    (6, (2, 4)): ("sl(2,R)", "so(3)"),
    (6, (0, 6)): ("so(3)", "so(3)"),
    (6, (3, 3)): ("so(3,1)",),
    (8, (5, 3)): ("sl(3,R)",),
    (8, (4, 4)): ("su(2,1)",),
    (8, (0, 8)): ("su(3)",),
    (9, (6, 3)): ("sl(2,R)", "sl(2,R)", "sl(2,R)"),
    (9, (4, 5)): ("sl(2,R)", "sl(2,R)", "so(3)"),
    (9, (2, 7)): ("sl(2,R)", "so(3)", "so(3)"),
    (9, (0, 9)): ("so(3)", "so(3)", "so(3)"),
    (9, (5, 4)): ("sl(2,R)", "so(3,1)"),
    (9, (3, 6)): ("so(3)", "so(3,1)"),
    (10, (6, 4)): ("so(3,2)",),
    (10, (4, 6)): ("so(4,1)",),
    (10, (0, 10)): ("so(5)",),
}
# The same for algebras that are known to be simple and to stay so over the complex numbers.
SIMPLE = {
    (14, (8, 6)): "split g2",
    (14, (0, 14)): "compact g2",
    (15, (9, 6)): "sl(4,R)",
    (15, (8, 7)): "so(4,2)",
    (15, (6, 9)): "su(3,1)",
    (15, (5, 10)): "so(5,1)",
    (15, (0, 15)): "su(4)",
}
# Simple over the real numbers, not over the complex ones: by the dimension.
COMPLEX = {6: "so(3,1)", 16: "sl(3,C)", 20: "so(5,C)", 28: "complex g2", 30: "sl(4,C)"}

NOTES = {
    "A2": "the affine algebra of the line",
    "h(1)": "Heisenberg, Bianchi II",
    "e(2)": "Euclidean motions of the plane, Bianchi VII_0",
    "e(1,1)": "Poincare algebra p(1,1), Bianchi VI_0",
    "sl(2,R)": "so(2,1), Bianchi VIII",
    "so(3)": "su(2), Bianchi IX",
    "A2 + A1": "Bianchi III",
    "so(3,1)": "sl(2,C), the Lorentz algebra",
    "so(4,2)": "su(2,2), conformal algebra of space-time in 3+1 dimensions",
    "so(3,2)": "sp(4,R), conformal algebra of space-time in 2+1 dimensions",
    "2sl(2,R)": "so(2,2), conformal algebra of space-time in 1+1 dimensions",
    "2so(3)": "so(4)",
    "sl(2,R) + A1": "gl(2,R)",
    "so(3) + A1": "u(2)",
    "A4,9(b = -2/3)": "the algebra of the KdV equation",
    "sl(2,R) semidirect 2A1": "special affine motions of the plane; the algebra of the Burgers equation",
    "sch(1)": "Schroedinger algebra in 1+1 dimensions, sl(2,R) semidirect h(1)",
    "e(3)": "Euclidean motions of space",
    "p(2,1)": "Poincare algebra in 2+1 dimensions",
    "p(3,1)": "Poincare algebra in 3+1 dimensions",
}


# ---- structure ------------------------------------------------------------------------------------------------------


def brackets(constants: NDArray[Any], a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """All brackets of two sets of elements, rows ``[r, n]`` and ``[s, n]`` to rows ``[r s, n]``, the second fastest."""
    left = np.tensordot(a, constants, (1, 0))  # [r, n, n]
    return np.tensordot(left, b, (1, 1)).transpose(0, 2, 1).reshape(-1, constants.shape[0])


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
    return np.vectorize(lambda v: int(v * denominator), otypes=[object])(fractions)


def jacobiator(constants: NDArray[Any]) -> NDArray[Any]:
    """``[[e_i, e_j], e_k] + cyclic``, ``[n, n, n, n]``: zero for a Lie algebra."""
    double = np.tensordot(constants, constants, (2, 0))  # [i, j, k, m]
    return double + double.transpose(2, 0, 1, 3) + double.transpose(1, 2, 0, 3)


def killing_form(constants: NDArray[Any]) -> NDArray[Any]:
    """``K(x, y) = tr(ad x ad y)``, ``[n, n]``.

    >>> killing_form(exact([[[0, 0], [0, 1]], [[0, -1], [0, 0]]])).tolist()
    [[1, 0], [0, 0]]
    """
    return np.tensordot(constants, constants, ((1, 2), (2, 1)))


Span = Callable[[NDArray[Any]], NDArray[Any]]


def derived_series(constants: NDArray[Any], span: Span = rational.span) -> list[NDArray[Any]]:
    """Bases of ``g, [g, g], [[g, g], [g, g]], ...`` until a term repeats, which is left out."""
    return _series(constants, span, lambda last, _: last)


def lower_central_series(constants: NDArray[Any], span: Span = rational.span) -> list[NDArray[Any]]:
    """Bases of ``g, [g, g], [g, [g, g]], ...`` until a term repeats, which is left out."""
    return _series(constants, span, lambda _, whole: whole)


def _series(constants: NDArray[Any], span: Span, partner: Callable) -> list[NDArray[Any]]:
    whole = np.eye(constants.shape[0], dtype=int).astype(constants.dtype)
    terms = [whole]
    while len(terms[-1]):
        following = span(brackets(constants, terms[-1], partner(terms[-1], whole)))
        if len(following) == len(terms[-1]):
            break
        terms.append(following)
    return terms


def centre(constants: NDArray[Any], kernel: Span = rational.kernel) -> NDArray[Any]:
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


# ---- direct sums ----------------------------------------------------------------------------------------------------


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


# ---- names ----------------------------------------------------------------------------------------------------------


def _total(names: Sequence[str]) -> str:
    """``2A1``, ``sl(2,R) + A1``: non-abelian summands first, in alphabetical order."""
    counts = Counter(names)
    order = sorted(counts, key=lambda name: (name == "A1", name))
    return " + ".join(name if counts[name] == 1 else f"{counts[name]}{name}" for name in order)


def _names(constants: Matrix) -> list[str | None]:
    """The names of the indecomposable summands; ``None`` for one that is not named."""
    if not constants.shape[0]:
        return []
    result: list[str | None] = []
    for ideal in ideals(constants):
        _, c = subalgebra(constants, ideal.basis)
        result += _indecomposable(c, ideal.real, ideal.pairs)
    return result


def _name(constants: Matrix) -> str | None:
    names = _names(constants)
    known = [name for name in names if name is not None]
    return _total(known) if len(known) == len(names) else None


def _levi_names(constants: Matrix, solvable: Matrix) -> list[str]:
    """The simple ideals of ``g / R``."""
    c, _ = quotient(constants, solvable)
    names = _names(c)
    return [name for name in names if name is not None] + ["a simple algebra"] * names.count(None)


def _indecomposable(c: Matrix, real: int, pairs: int) -> list[str | None]:
    """Names of the real summands of an algebra that does not decompose over the rational numbers."""
    n = c.shape[0]
    unnamed: list[str | None] = [None] * (real + pairs)
    solvable = radical(c)
    if not len(solvable):
        return list(_semisimple(c, real, pairs)) or unnamed
    if (real, pairs) in ((1, 0), (0, 1)):
        if n == 1:
            return ["A1"]
        if len(solvable) < n:
            return [_semidirect(c, solvable)]
        return [_solvable(c)]
    # Over the real numbers it decomposes, with irrational constants, into `real` algebras of one dimension.
    if (n, real, pairs) == (4, 2, 0):
        return ["A2", "A2"]  # the only indecomposable algebra of dimension 2 besides the line
    return unnamed


def _semisimple(c: Matrix, real: int, pairs: int) -> Sequence[str]:
    n = c.shape[0]
    form = rational.signature(killing_form(c))
    if (real, pairs) == (0, 1):
        return [COMPLEX[n]] if n in COMPLEX else []
    if (real, pairs) == (1, 0) and (n, form) in SIMPLE:
        return [SIMPLE[n, form]]
    if n == 3 * (real + 2 * pairs):
        split = (form[0] - 3 * pairs) // 2
        return ["sl(2,R)"] * split + ["so(3)"] * (real - split) + ["so(3,1)"] * pairs
    return SEMISIMPLE.get((n, form), []) if (real, pairs) == (1, 0) else []


def _semidirect(c: Matrix, solvable: Matrix) -> str | None:
    """An indecomposable algebra that is neither semisimple nor solvable."""
    n, m = c.shape[0], len(solvable)
    simple = _total(_levi_names(c, solvable))
    _, inner = subalgebra(c, solvable)
    if not np.any(inner) and 2 * (n - m) == m * (m - 1) and (motions := _motions(c, solvable)):
        return motions
    inside = _name(inner)
    if inside is None:
        return None
    if (simple, inside) == ("sl(2,R)", "h(1)"):
        return "sch(1)"  # it acts on h(1)/Z, else the sum were direct; sl(2,R) has one representation on the plane
    simple, inside = (f"({name})" if " + " in name else name for name in (simple, inside))
    return f"{simple} semidirect {inside}"


def _motions(c: Matrix, translations: Matrix) -> str | None:
    """``so(p,q) semidirect R^(p+q)``: a form on the abelian radical R that g keeps, where g/R acts faithfully."""
    m = len(translations)
    basis, leading = rational.echelon(translations)
    identity = np.eye(m, dtype=int).astype(object)
    heads = np.array([int(row[lead]) for row, lead in zip(basis, leading, strict=True)], dtype=object)
    scale = math.lcm(*heads)
    unit = np.eye(c.shape[0], dtype=int).astype(object)
    actions = [brackets(c, x[None], basis)[:, leading] * (scale // heads) for x in unit]  # on rows of coordinates
    if len(rational.span(np.array(actions, dtype=object).reshape(len(unit), m * m))) != m * (m - 1) // 2:
        return None
    forms = rational.kernel(np.concatenate([np.kron(a, identity) + np.kron(identity, a) for a in actions]))
    for form in forms.reshape(-1, m, m):
        symmetric = form + form.T
        p, q = sorted(rational.signature(symmetric), reverse=True)
        if p + q == m:
            return f"e({m})" if q == 0 else f"p({p},1)" if q == 1 else f"iso({p},{q})"
    return None


def _solvable(c: Matrix) -> str | None:
    """An indecomposable solvable algebra."""
    n = c.shape[0]
    derived = _derived(c)
    inner = nilradical(c)
    if n == 2:
        return "A2"
    if len(derived) == 1 and len(inner) == n and len(centre(c)) == 1:
        return f"h({(n - 1) // 2})"
    if n == 3:
        return _bianchi(c, derived)
    if n == 4:
        return _four(c, inner)
    return None


def _action(c: Matrix, ideal: Matrix) -> list[list[Fraction]]:
    """The matrix by which the one element outside an ideal of codimension 1 acts on it."""
    basis, leading = rational.echelon(ideal)
    outside = _complement(basis, np.eye(c.shape[0], dtype=int).astype(object))
    images = brackets(c, outside, basis)[:, leading]
    return [
        [Fraction(int(v), int(row[lead])) for v, row, lead in zip(image, basis, leading, strict=True)]
        for image in images
    ]


def _bianchi(c: Matrix, derived: Matrix) -> str:
    """Dimension 3, indecomposable, solvable, not nilpotent: by the action on the abelian ``[g, g]`` up to scale."""
    (p, q), (r, s) = _action(c, derived)
    trace, discriminant = p + s, (p - s) ** 2 + 4 * q * r
    if trace == 0:
        return "e(1,1)" if discriminant > 0 else "e(2)"
    if discriminant == 0:
        return "Bianchi V" if q == r == 0 else "Bianchi IV"
    h = -(trace**2) / discriminant  # a^2 / (n_2 n_3) in the form of Behr
    return f"Bianchi {'VI' if h < 0 else 'VII'}(h = {h})"


def _four(c: Matrix, inner: Matrix) -> str | None:
    """Dimension 4, indecomposable, solvable: by the nilradical and the action on it."""
    if len(inner) == 4:
        return "A4,1"
    if len(inner) == 2:
        return "A4,12"
    matrix = sympy.Matrix(_action(c, inner))
    _, nilpotent = subalgebra(c, inner)
    if np.any(nilpotent):
        return _over_heisenberg(c, inner)
    return _over_translations(matrix)


def _over_translations(matrix: sympy.Matrix) -> str:
    """A4,2 to A4,6: a matrix on the abelian ideal, up to similarity and scale."""
    polynomial = matrix.charpoly()
    discriminant = sympy.discriminant(polynomial)
    if discriminant < 0:
        return "A4,6"
    roots = sympy.roots(polynomial, filter="Q")
    if discriminant > 0:
        return f"A4,5({_ratios(list(roots))})" if len(roots) == 3 else "A4,5"
    identity = sympy.eye(3)
    repeated = max(roots, key=lambda root: roots[root])
    deficiency = (matrix - repeated * identity).rank()
    if len(roots) == 1:
        return {0: f"A4,5({_ratios([repeated] * 3)})", 1: "A4,2(a = 1)", 2: "A4,4"}[deficiency]
    (single,) = (root for root in roots if root != repeated)
    if deficiency == 1:
        return f"A4,5({_ratios([repeated, repeated, single])})"
    return "A4,3" if repeated == 0 else f"A4,2(a = {single / repeated})"


def _ratios(values: Sequence[sympy.Rational]) -> str:
    """Eigenvalues 1, a, b up to a common factor, with ``1 >= a >= b`` and ``b >= -1``, the largest of such triples."""
    candidates = []
    largest = max(abs(v) for v in values)
    for sign in (1, -1):
        scaled = sorted((v / (sign * largest) for v in values), reverse=True)
        if scaled[0] == 1:
            candidates.append(scaled)
    _, a, b = max(candidates)
    return f"a = {a}, b = {b}"


def _over_heisenberg(c: Matrix, inner: Matrix) -> str | None:
    """A4,7 to A4,11: the action on the Heisenberg ideal modulo its centre, up to scale."""
    basis, ideal = subalgebra(c, inner)
    middle = centre(ideal).dot(basis)
    smaller, _ = quotient(c, middle)
    (p, q), (r, s) = _action(smaller, nilradical(smaller))
    trace, determinant = p + s, p * s - q * r
    discriminant = trace**2 - 4 * determinant
    if trace == 0:
        return "A4,8" if discriminant > 0 else "A4,10"
    if discriminant < 0:
        return f"A4,11(a^2 = {-(trace**2) / discriminant})"
    if discriminant == 0:
        return "A4,9(b = 1)" if q == r == 0 else "A4,7"
    root = sympy.sqrt(sympy.Rational(discriminant.numerator, discriminant.denominator))
    if not root.is_Rational:
        return "A4,9"
    small, large = sorted((Fraction(int(v.p), int(v.q)) for v in (trace - root, trace + root)), key=abs)
    return f"A4,9(b = {small / large})"


# ---- descriptions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Description:
    """What is known of an algebra; none of it depends on the basis.

    ``derived_series`` and ``lower_central_series`` are dimensions, from that of the algebra to the last that differs;
    ``centre``, ``radical`` and ``nilradical`` are dimensions; ``killing`` holds the numbers of positive and of negative
    eigenvalues of the Killing form; ``levi`` names the simple ideals of the Levi factor. ``name`` is ``None`` when no
    name is proven; ``summands`` are the dimensions of the ideals of which the algebra is the direct sum, none of which
    decomposes. For measured constants ``exact`` is False, ``summands`` are ``None``, ``nilradical`` and ``name`` are
    ``None`` unless they follow from the rest, and ``gap`` is that of `describe_measured`.
    """

    dimension: int
    derived_series: tuple[int, ...]
    lower_central_series: tuple[int, ...]
    centre: int
    killing: tuple[int, int]
    radical: int
    nilradical: int | None
    nilradical_name: str | None
    levi: tuple[str, ...]
    unimodular: bool
    name: str | None
    summands: tuple[int, ...] | None = None
    exact: bool = True
    gap: float | None = None

    @property
    def abelian(self) -> bool:
        """All brackets vanish."""
        return self.centre == self.dimension

    @property
    def nilpotent(self) -> bool:
        """The lower central series ends at 0."""
        return self.lower_central_series[-1] == 0

    @property
    def solvable(self) -> bool:
        """The derived series ends at 0."""
        return self.derived_series[-1] == 0

    @property
    def perfect(self) -> bool:
        """``[g, g] = g``."""
        return len(self.derived_series) == 1

    @property
    def semisimple(self) -> bool:
        """There is no solvable ideal but 0."""
        return self.radical == 0

    @property
    def note(self) -> str | None:
        """Other common names, where there are any."""
        return NOTES.get(self.name or "")

    @property
    def sentence(self) -> str:
        """All of it for a reader: properties, the name or what is known instead, the centre."""
        if self.abelian:
            properties = ["abelian"]
        elif self.nilpotent:
            properties = ["nilpotent", "not abelian"]
        elif self.solvable:
            properties = ["solvable", "not nilpotent"]
        elif self.semisimple:
            properties = ["semisimple"]
        else:
            properties = ["perfect", "not solvable"] if self.perfect else ["neither solvable nor perfect"]
        head = ", ".join([f"dimension {self.dimension}", *properties])
        if self.name is not None:
            what = f": {self.name}" + (f" ({self.note})" if self.note else "")
        elif self.levi and self.radical:
            what = f": Levi factor {_total(self.levi)}, radical of dimension {self.radical}"
        else:
            what = ""
        if self.name is None and self.nilradical is not None and self.nilradical < self.dimension and self.radical:
            what += f"{',' if what else ':'} nilradical {self.nilradical_name or f'of dimension {self.nilradical}'}"
        if self.name is None and self.summands is not None and len(self.summands) > 1:
            what += f"{',' if what else ':'} direct sum of dimensions {' + '.join(map(str, self.summands))}"
        tail = f"; centre {self.centre}"
        if not self.exact:
            tail += "; from measured constants"
            if self.gap is not None:
                tail += f", ranks with a gap of {self.gap:.3g}{'' if self.gap >= CLEAR else ', which is not certain'}"
        return head + what + tail

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it, with the properties and the sentence."""
        result = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        for key in ("abelian", "nilpotent", "solvable", "perfect", "semisimple", "note", "sentence"):
            result[key] = getattr(self, key)
        return result


def describe(constants: Constants) -> Description:
    """Describes a real Lie algebra from rational structure constants; every statement is exact and proven.

    Seconds in dimension 15. An algebra is named where the name follows: direct sums of ideals with a name; dimension 1
    to 3 all, dimension 4 all up to parameters that are not rational; Heisenberg algebras; semisimple ones by dimension
    and signature of the Killing form to dimension 15; motions of a flat space with any signature; the Schroedinger
    algebra; others with a Levi factor S and a radical R that has a name as "S semidirect R", which does not say how S
    acts.

    Args:
        constants: ``c[i][j][k]`` with ``[e_i, e_j] = sum_k c_ijk e_k``, int, Fraction or sympy.Rational.

    Raises:
        TypeError: a constant is of another type.
        ValueError: the shape is not ``[n, n, n]``, or the constants are not antisymmetric or violate the Jacobi
            identity.

    >>> describe([[[0, 0], [1, 0]], [[-1, 0], [0, 0]]]).sentence
    'dimension 2, solvable, not nilpotent: A2 (the affine algebra of the line); centre 0'
    """
    c = exact(constants)
    solvable, nilpotent = radical(c), nilradical(c)
    return Description(
        dimension=c.shape[0],
        derived_series=tuple(len(term) for term in derived_series(c)),
        lower_central_series=tuple(len(term) for term in lower_central_series(c)),
        centre=len(centre(c)),
        killing=rational.signature(killing_form(c)),
        radical=len(solvable),
        nilradical=len(nilpotent),
        nilradical_name=_name(subalgebra(c, nilpotent)[1]) if len(nilpotent) else None,
        levi=tuple(sorted(_levi_names(c, solvable))),
        unimodular=not np.any(np.trace(c, axis1=1, axis2=2)),
        name=_name(c),
        summands=tuple(sorted((d for ideal in ideals(c) for d in ideal.dimensions), reverse=True)),
    )


def describe_measured(constants: ArrayLike, errors: ArrayLike) -> Description:
    """Describes a real Lie algebra from structure constants with errors, by ranks at the level of the errors.

    A singular value of a matrix counts as zero when it is at most three times the standard error of the matrix
    (Frobenius, to first order in the errors). ``gap`` is the smallest ratio, over all ranks, of what was taken for
    nonzero to the larger of all that was taken for zero and one standard error; below 2, or 0 where the ranks
    contradict each other, the description is not certain. Constants smaller than the errors cannot be seen. Meant for
    an orthonormal basis, as `algebra.StructureConstants.describe` provides.

    Args:
        constants: ``[n, n, n]``, antisymmetric.
        errors: standard errors, of a shape that broadcasts to it.

    Raises:
        ValueError: the shape is not ``[n, n, n]``, a number is not finite, an error is negative, or the constants
            violate the Jacobi identity by more than three standard errors.

    >>> describe_measured([[[0, 0], [1.001, 1e-3]], [[-1.001, -1e-3], [0, 0]]], 1e-3).name
    'A2'
    """
    c = np.array(constants, dtype=np.float64)
    if c.ndim != 3 or c.shape != (len(c),) * 3 or not len(c):
        raise ValueError(f"`constants` must have the shape [n, n, n], got {list(c.shape)}")
    deviations = np.broadcast_to(np.array(errors, dtype=np.float64), c.shape)
    if not (np.isfinite(c).all() and np.isfinite(deviations).all() and (deviations >= 0).all()):
        raise ValueError("`constants` and `errors` must be finite, and errors not negative")
    c = (c - c.transpose(1, 0, 2)) / 2
    n, size = len(c), float(np.linalg.norm(c))
    deviations = np.maximum(deviations, 1e-12 * max(size, 1.0) / n)  # rounding
    deviations = deviations * (1.0 - np.eye(n))[..., None]
    error = float(np.linalg.norm(deviations))
    violation, allowed = float(np.linalg.norm(jacobiator(c))), MARGIN * 6 * size * error
    if violation > allowed:
        raise ValueError(
            f"`constants` must satisfy the Jacobi identity within their errors, got a violation of {violation:.3g} "
            f"where {allowed:.3g} is allowed"
        )
    form = killing_form(c)
    # K_ij = c_ikl c_jlk is bilinear, and the errors of c_ikl and c_kil are the same
    form_error = float(2 * np.sqrt(np.tensordot(deviations**2, c**2, ((1, 2), (2, 1))).sum()))
    gaps: list[float] = []

    def rank(values: NDArray[Any], error: float) -> int:
        """Of descending singular values."""
        count = int((values > MARGIN * error).sum())
        zero = max(error, float(np.linalg.norm(values[count:])))
        if count:
            gaps.append(values[count - 1] / zero)
        elif zero > error:
            gaps.append(MARGIN * error / zero)
        return count

    def span(rows: NDArray[Any]) -> NDArray[Any]:
        _, values, basis = np.linalg.svd(rows, full_matrices=False)
        return basis[: rank(values, error)]

    def kernel(matrix: NDArray[Any], error: float = error) -> NDArray[Any]:
        _, values, basis = np.linalg.svd(matrix)
        return basis[rank(values, error) :]

    def signature(form: NDArray[Any]) -> tuple[int, int]:
        values = np.linalg.eigvalsh(form)
        order = np.argsort(-np.abs(values))
        kept = values[order[: rank(np.abs(values[order]), form_error)]]
        return int((kept > 0).sum()), int((kept < 0).sum())

    derived, central = derived_series(c, span), lower_central_series(c, span)
    # K([x, y], z) = 0 for all x and y
    solvable = kernel((c @ form).reshape(n * n, n), size * form_error + float(np.linalg.norm(form, 2)) * error)
    outside = np.linalg.svd(solvable)[2][len(solvable) :]
    factor = np.einsum("ai,bj,ijk,ck->abc", outside, outside, c, outside)
    names: Sequence[str] = ()
    if len(outside):
        names = SEMISIMPLE.get(
            (len(outside), signature(killing_form(factor))), (f"a semisimple algebra of dimension {len(outside)}",)
        )
    if (len(solvable) == n) != (len(derived[-1]) == 0):
        gaps.append(0.0)
    description = Description(
        dimension=n,
        derived_series=tuple(len(term) for term in derived),
        lower_central_series=tuple(len(term) for term in central),
        centre=len(centre(c, kernel)),
        killing=signature(form),
        radical=len(solvable),
        nilradical=n if not len(central[-1]) else None,
        nilradical_name=None,
        levi=tuple(sorted(names)),
        unimodular=bool(np.linalg.norm(np.trace(c, axis1=1, axis2=2)) <= MARGIN * np.sqrt(n) * error),
        name=None,
        exact=False,
    )
    return replace(description, name=_named_by_numbers(description), gap=min(map(float, gaps), default=None))


def _named_by_numbers(d: Description) -> str | None:
    """The name where dimensions and signatures leave one algebra only."""
    if d.abelian:
        return _total(["A1"] * d.dimension)
    if d.dimension == 2:
        return "A2"
    if d.nilpotent and d.derived_series[1] == 1 and d.centre == 1:
        return f"h({(d.dimension - 1) // 2})"
    if d.semisimple and not d.levi[0].startswith("a "):
        return _total(d.levi)
    # The radical of a perfect algebra is nilpotent and has no quotient on which the Levi factor acts as 0.
    if d.perfect and len(d.levi) == 1 and d.dimension - d.radical == 3:
        return {
            ("sl(2,R)", 2, 0): "sl(2,R) semidirect 2A1",
            ("sl(2,R)", 3, 0): "p(2,1)",
            ("sl(2,R)", 3, 1): "sch(1)",
            ("so(3)", 3, 0): "e(3)",
        }.get((d.levi[0], d.radical, d.centre))
    return None
