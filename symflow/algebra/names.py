"""The names of algebras, from exact structure constants.

Names of small algebras: Patera, Sharp, Winternitz and Zassenhaus, J. Math. Phys. 17 (1976) 986; Bianchi types: Ellis
and MacCallum, Commun. Math. Phys. 12 (1969) 108.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import sympy

from symflow.algebra import rational
from symflow.algebra.ideals import _complement, ideals
from symflow.algebra.rational import Matrix
from symflow.algebra.structure import (
    _derived,
    brackets,
    centre,
    killing_form,
    nilradical,
    quotient,
    radical,
    subalgebra,
)

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
