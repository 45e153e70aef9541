"""Structure constants of known algebras, their direct sums and extensions, in any basis."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction as F

import numpy as np
import sympy
from hypothesis import strategies as st

from symflow.algebra.structure import brackets

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
