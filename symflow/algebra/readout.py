"""From a span of fields to closed forms: a sparse rational basis, its brackets and its structure constants."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import mpmath
import numpy as np
import sympy
import torch
from torch import Tensor

from symflow.algebra.simplification import SIMPLE, is_zero, simplest, values

PIVOT = 1e-6  # relative; entries below it are zero in a basis known to far more digits
LARGEST_DENOMINATOR = 10_000
LARGEST_COMMON = LARGEST_DENOMINATOR**6  # denominator of all coefficients of a field together: chance makes larger ones
OUTSIDE = 1e-6  # of a bracket, relative: more than rounding leaves of one in the span
OTHER, SURE = 4, 1e7  # a unit besides 1 must save so much; products of numerator and denominator that say something
LARGEST_RELATION = 200  # of integers between a number, 1 and an irrational unit
MOST_DOUBTFUL = 4  # numbers of a field that are less simple than `SURE`
CHANCE = 0.01  # that some pair of units has a relation with a number that means nothing
WHERE = ((0.5, 1.5), (0.1, 0.6), (-1.5, -0.5))  # points of brackets: on the first of these where all fields exist
SNAP = 1e-9  # relative distance at which a coefficient is taken for a rational number; chance hits fail the proof
COARSE = 1e-6  # the same where elimination has lost digits

ClosedForm = dict[str, sympy.Expr]
"""``{"dx": ..., "dt": ..., "du": ...}``: the physical coefficient of each ``d/d name``."""


def sparse_basis(vectors: Tensor, size: Tensor) -> Tensor:
    """The reduced row echelon basis of a span of coefficient vectors.

    Each row has the entry 1 at its leading column, where all other rows have 0: with columns from simple to complex,
    the simplest representatives there are. Elimination chooses, column by column, the row with the largest entry.

    Args:
        vectors: ``[k, n]``, linearly independent.
        size: ``[n]``, the size of each column's function, which decides what is zero.

    Returns:
        ``[k, n]`` float64.

    >>> sparse_basis(torch.tensor([[2.0, 0.0, 4.0], [0.0, -3.0, 0.0]]), torch.ones(3)).tolist()
    [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]
    """
    rows = (vectors * size).double().clone()
    rows = torch.linalg.qr(rows.T)[0].T  # orthonormal: what is zero can be told by size
    leading: list[int] = []
    for column in range(rows.shape[1]):
        k = len(leading)
        if k == rows.shape[0]:
            break
        best = k + int(rows[k:, column].abs().argmax())
        if abs(rows[best, column]) <= PIVOT:
            rows[k:, column] = 0.0
            continue
        rows[[k, best]] = rows[[best, k]]
        rows[k] = rows[k] / rows[k, column].clone()
        for i in range(rows.shape[0]):
            if i != k:
                rows[i] = rows[i] - rows[i, column].clone() * rows[k]
        leading.append(column)
    kept = rows.abs() > PIVOT * rows.abs().amax(1, keepdim=True)
    first = torch.arange(len(leading)), torch.tensor(leading)
    kept[first] = True
    physical = torch.where(kept, rows, 0.0) / size
    return physical / physical[first][:, None]


def rational(value: float, tolerance: float = SNAP, largest: int = LARGEST_DENOMINATOR) -> sympy.Rational | None:
    """The simplest rational number near a number, ``None`` when its denominator is too large.

    Args:
        value: the number.
        tolerance: relative distance, below 1.
        largest: denominator.

    >>> rational(0.333333333333)
    1/3
    """
    if value == 0:
        return sympy.Integer(0)
    size, reach = abs(Fraction(value)), abs(Fraction(tolerance) * Fraction(value))
    denominator = _simplest_between(size - reach, size + reach).denominator
    if denominator > largest:
        return None
    return sympy.Rational(round(value * denominator), denominator)


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of the smallest denominator in an interval of positive numbers, by their continued fractions."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    return whole - 1 + 1 / _simplest_between(1 / (high - whole + 1), 1 / (low - whole + 1))


def combination(
    coefficients: Tensor,
    functions: Sequence[sympy.Expr],
    components: Sequence[str],
    units: Sequence[sympy.Expr] = (),
    tolerance: float = SNAP,
) -> ClosedForm:
    """A row of `sparse_basis` as a closed form with integer coefficients without a common factor, where rational.

    What is neither rational nor a simple fraction of a unit stays a decimal number, and so do numbers with no common
    denominator to speak of: each of them alone is near some fraction.

    Args:
        coefficients: ``[components, functions]``, the leading one is 1.
        functions: of the library.
        components: ``("dx", "dt", "du")``.
        units: numbers besides 1.
        tolerance: relative distance between a number and what it is taken for.
    """
    values = {(c, f): float(v) for c, row in enumerate(coefficients) for f, v in enumerate(row) if v != 0.0}
    exact: dict[tuple[int, int], sympy.Expr]
    snapped = _all_exact(values, units, tolerance)
    common = 0 if snapped is None else math.lcm(*(int(r.q) for r, _ in snapped.values()))
    if snapped is not None and common <= LARGEST_COMMON:
        numbers = [r for r, _ in snapped.values()]
        factor = sympy.Rational(common)
        factor /= math.gcd(*(int(r * factor) for r in numbers))
        exact = {key: r * factor * unit for key, (r, unit) in snapped.items()}
    else:
        exact = {key: sympy.Float(v, 8) for key, v in values.items()}
    if exact[min(exact)] < 0:  # what is written first is positive
        exact = {key: -v for key, v in exact.items()}
    form = {}
    for c, name in enumerate(components):
        form[name] = simplest(sympy.Add(*(v * functions[f] for (i, f), v in exact.items() if i == c)))
    return form


def _all_exact(
    values: Mapping[tuple[int, int], float], units: Sequence[sympy.Expr], tolerance: float
) -> dict[tuple[int, int], tuple[sympy.Rational, sympy.Expr]] | None:
    """Every number as `exact_number` gives it; ``None`` where one has none or many are doubtful: noise costs little.

    Among many units some give almost any number, by chance.
    """
    found, doubtful = {}, 0
    for key, value in values.items():
        number = exact_number(value, units, tolerance)
        doubtful += number is not None and _length(*number) > SURE
        if number is None or doubtful > MOST_DOUBTFUL:
            return None
        found[key] = number
    return found


def _length(number: sympy.Rational, unit: sympy.Expr) -> float:
    """What it takes to write a rational times a unit: the smaller, the less likely by chance."""
    return float(abs(number.p) * number.q * (1 if unit == 1 else OTHER))


def exact_number(
    value: float, units: Sequence[sympy.Expr], tolerance: float = SNAP
) -> tuple[sympy.Rational, sympy.Expr] | None:
    """A number as a rational one times a unit, the simplest; else in 1 and an irrational unit, else of many digits.

    The second, ``r (p + q w)`` with w irrational, times a rational unit too: 0.823 (1 + sqrt(3)).
    """
    found: list[tuple[float, int, sympy.Rational, sympy.Expr]] = []
    for unit in (sympy.Integer(1), *units):
        number = rational(value / float(unit), tolerance, SIMPLE)
        if number is not None:
            found.append((_length(number, unit), len(found), number, unit))
    if found and (best := min(found))[0] <= SURE:
        return best[2], best[3]
    rational_units = [sympy.Integer(1), *(unit for unit in units if unit.is_Rational)]
    pairs = list(itertools.product(rational_units, (unit for unit in units if not unit.is_Rational)))
    # of n**3 triples of integers some are within the tolerance of any number: the more pairs, the smaller they must be
    largest = min(LARGEST_RELATION, round((CHANCE / (tolerance * max(len(pairs), 1))) ** (1 / 3)))
    for size, unit in pairs:
        if relation := mpmath.pslq([value / float(size), 1.0, float(unit)], tolerance, largest):
            own, one, other = relation
            if own:
                return sympy.Integer(1), -size * (one + other * unit) / own
    if found:
        return best[2], best[3]
    number = rational(value, tolerance)
    return None if number is None else (number, sympy.Integer(1))


def exact_bracket(a: Mapping[str, sympy.Expr], b: Mapping[str, sympy.Expr]) -> ClosedForm:
    """The Lie bracket ``[V, W]^i = V^j d_j W^i - W^j d_j V^i`` of closed forms (Olver, section 1.4)."""

    def along(field: Mapping[str, sympy.Expr], f: sympy.Expr) -> sympy.Expr:
        symbols = {s.name: s for s in f.free_symbols}
        return sum(
            (v * sympy.diff(f, symbols[name[1:]]) for name, v in field.items() if name[1:] in symbols),
            sympy.Integer(0),
        )

    return {name: sympy.expand(along(a, b[name]) - along(b, a[name])) for name in a}


def structure_constants(forms: Sequence[Mapping[str, sympy.Expr]]) -> list[list[list[sympy.Rational]]] | None:
    """``c[i][j][k]`` with ``[V_i, V_j] = sum_k c_ijk V_k``, exact.

    Found by least squares at points and accepted only when the difference vanishes symbolically; ``None`` when the
    span is not closed under brackets, by more than rounding at the points, a constant is not rational, or the fields
    have no values on common intervals.

    >>> x, t, u = sympy.symbols("x t u", real=True)
    >>> zero, one = sympy.Integer(0), sympy.Integer(1)
    >>> boost, shift = {"dx": t, "dt": zero, "du": one}, {"dx": zero, "dt": one, "du": zero}
    >>> along = {"dx": one, "dt": zero, "du": zero}
    >>> structure_constants([along, shift, boost])[1][2]
    [1, 0, 0]
    """
    symbols = sorted({s for form in forms for f in form.values() for s in f.free_symbols}, key=lambda s: s.name)
    generator = torch.Generator().manual_seed(0)
    count = 8 * len(forms) + 8
    at: dict[sympy.Symbol, np.ndarray] = {}

    def column(form: Mapping[str, sympy.Expr]) -> Tensor:
        return torch.from_numpy(np.concatenate([np.broadcast_to(values(f, at), count) for f in form.values()]))

    for low, high in WHERE:
        uniform = torch.rand(count, max(len(symbols), 1), generator=generator, dtype=torch.float64)
        at |= dict(zip(symbols, (low + (high - low) * uniform).numpy().T, strict=False))
        basis = torch.stack([column(form) for form in forms], 1)
        if basis.isfinite().all():
            break
    else:
        return None
    inverse = torch.linalg.pinv(basis)
    k = len(forms)
    constants = [[[sympy.Integer(0)] * k for _ in range(k)] for _ in range(k)]
    for i in range(k):
        for j in range(i + 1, k):
            bracket = exact_bracket(forms[i], forms[j])
            right = column(bracket)
            solution = inverse @ right
            if float((basis @ solution - right).norm()) > OUTSIDE * float(right.norm() + basis[:, [i, j]].norm()):
                return None
            row = []
            for v in solution.tolist():
                number = rational(v) if abs(v) > 1e-9 else sympy.Integer(0)
                if number is None:
                    return None
                row.append(number)
            for name in bracket:
                rest = bracket[name] - sum((c * form[name] for c, form in zip(row, forms, strict=True)), 0)
                if not is_zero(rest):
                    return None
            constants[i][j] = row
            constants[j][i] = [-c for c in row]
    return constants
