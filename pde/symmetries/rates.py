"""Exponential and power functions of one coordinate: their rates are eigenvalues of a polynomial in the rate.

A rate is known to a few digits, and what number it is follows from trying: simple fractions and their roots, up to a
third root and the complex ones, and simple fractions of the numbers in the formula.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import TypeAlias

import sympy
import torch
from torch import Tensor

from symflow.algebra import readout
from symflow.fields import Series, series
from symflow.formulas import expressions

from ..equations import Equation, JetSample
from .library import Library, polynomial_library
from .prolongation import relative_coefficients, row_factors, solution_lines

RATE_DEGREE = 3  # of the polynomials W
AWKWARD, MOST_AWKWARD = 100, 2  # numerators and denominators beyond which a number may be a unit; how many may
ROUGH, EXACT = 1e-4, 1e-9  # violation at an eigenvalue before and after it is rounded to a number of few digits
LONG = 1e-11  # and after it is rounded to one of many digits, which is near any
RATE_LEAST, RATE_MOST = 1e-3, 1e2  # of |lambda| in normalised units
CLEAR = 1e-9  # of singular values: above the rounding unit's
SINGULAR = 1e14
ANY = complex(0.7390851, 0.5671432)  # a rate that no equation has
MOST_BESIDE = 360  # unknowns of W, else polynomials of a lower degree: several decompositions of so many columns
MOST_TRIED = 400  # exact numbers near the eigenvalues of one coordinate
FEW_DIGITS = 200  # a denominator up to which a fraction within 1e-9 is no chance
SIMPLE_NUMERATOR = 1_000  # of a fraction whose root a rate may be
POLYNOMIAL = 3  # the highest power that is left to polynomials
_EXPONENTS = tuple(sympy.Rational(n, 2) for n in (2, -2, 1, -1))  # of the numbers of a formula
MOST_RATES = 6  # of one coordinate: more belong to solutions that can be superposed


@dataclass(frozen=True)
class Rate:
    """``exp((a + i b) s)``: a the growth, b the turn, s the coordinate z, or the logarithm of a base such as z + 1."""

    z: sympy.Symbol
    growth: sympy.Expr
    turn: sympy.Expr
    base: sympy.Expr | None = None

    @property
    def functions(self) -> list[sympy.Expr]:
        """Its real and, where it turns, imaginary part."""
        s = self.z if self.base is None else sympy.log(self.base)
        grown = sympy.exp(self.growth * s) if self.base is None else self.base**self.growth
        if self.turn == 0:
            return [grown]
        return [grown * sympy.cos(self.turn * s), grown * sympy.sin(self.turn * s)]


def rates(
    equation: Equation,
    sample: JetSample,
    z: sympy.Symbol,
    scale: Sequence[float],
    base: sympy.Expr | None = None,
    linear: bool = False,
    special: Sequence[sympy.Expr] = (),
    degree: int = RATE_DEGREE,
) -> tuple[list[Rate], bool]:
    """The functions ``exp(a s)``, ``exp(a s) cos(b s)``, ``exp(a s) sin(b s)`` that generators of the equation hold.

    With s = z, or the logarithm of a base, ``exp(lambda s) W`` solves the determining condition where the matrix
    polynomial ``R(lambda) = sum_j lambda^j R_j``, its condition on polynomials W in the other coordinates, loses rank.
    Its eigenvalues come from the companion matrix of a random square compression about a random centre; one counts if
    the uncompressed matrix loses rank at an exact number near it.

    Args:
        equation: any; rates in z belong to one of which the translation in z is a symmetry.
        sample: of its manifold.
        z: a coordinate.
        scale: of the coordinates.
        base: look for powers of it, a function of z.
        linear: leave out what only holds solutions of a linear equation, fields of the unknowns free of the unknowns.
        special: functions of other coordinates that W may hold.
        degree: of the polynomials W.

    Returns:
        The rates, and whether all numbers near the eigenvalues were tried, over polynomials of that degree:
        `MOST_TRIED` of them are, and W has `MOST_BESIDE` unknowns.
    """
    beside = next((n for n in range(degree, 1, -1) if _unknowns(equation, z, special, n) <= MOST_BESIDE), 1)
    whole_degree = beside == degree
    matrices, free = _polynomial_in_rate(equation, sample, z, scale, base, special, beside)  # [m + 1, rows, n]
    solutions = matrices[:, :, free if linear else torch.zeros_like(free)]
    R = matrices
    if degree == RATE_DEGREE or _nullity(R, ANY):  # of few functions that stand apart nothing needs to be taken away
        R, solutions = _deflated(R), _deflated(solutions)
    unit = 1.0 if base is not None else scale[equation.space.variables.index(z)]
    units = [(sympy.Integer(1), 1.0), *((u, float(u)) for u in own_units(equation))]
    if _nullity(R, ANY) > _nullity(solutions, ANY):
        return [], whole_degree  # at every number alike: there are arbitrary functions of z
    found: list[Rate] = []
    tried = 0
    values = _eigenvalues(R)
    for value in values:
        if value.imag < -1e-9:  # its conjugate is there
            continue
        others = [other / unit for other in values if other is not value]
        for growth, turn, number, limit in chain(
            _radicals(value / unit), _near_pairs(value / unit, units), _surds(value / unit, others)
        ):
            if tried == MOST_TRIED:
                return _sorted(found), False
            tried += 1
            if _nullity(R, number * unit, limit) > _nullity(solutions, number * unit, limit):
                whole = turn == 0 and growth.is_Integer and 0 < growth <= POLYNOMIAL
                if base is None or not whole:  # else a polynomial
                    found.append(Rate(z, growth, turn, base))
                break
        if len(set(found)) > MOST_RATES:
            return [], whole_degree
    return _sorted(found), whole_degree


Guess: TypeAlias = tuple[sympy.Expr, sympy.Expr, complex, float]
"""Real and imaginary part, the number they make, and how little may be violated there."""


def _near_pairs(value: complex, units: Sequence[tuple[sympy.Expr, float]]) -> Iterator[Guess]:
    """Pairs of numbers of `_near`."""
    for a, b in product(_near(value.real, units), _near(value.imag, units)):
        yield a.exact, b.exact, complex(a.value, b.value), LONG if a.long or b.long else EXACT


def _radicals(value: complex) -> Iterator[Guess]:
    """Third, fourth and sixth roots of simple fractions: a large number is near the power of any."""
    for n in (3, 4, 6):
        power = value**n
        fraction = readout.rational(power.real, 1e-3, 24)
        if fraction and abs(fraction.p) <= SIMPLE_NUMERATOR and abs(power.imag) < 1e-3 * abs(power):
            size = sympy.root(abs(fraction), n)
            k = round(cmath.phase(value) * n / math.pi)
            angle = sympy.pi * k / n
            yield size * sympy.cos(angle), size * sympy.sin(angle), cmath.rect(float(size), math.pi * k / n), EXACT


def _surds(value: complex, others: Sequence[complex]) -> Iterator[Guess]:
    """Roots of quadratic equations with simple fractions, the other of which is there too: ``(1 + sqrt(5))/2``."""
    for other in others:
        total, times = value + other, value * other
        if max(abs(total.imag), abs(times.imag)) > 1e-4:
            continue
        middle, last = (readout.rational(number.real, 1e-4, 24) for number in (total, times))
        if middle is None or last is None:
            continue
        square = middle**2 / 4 - last
        root = sympy.sqrt(abs(square)) * (1 if (value - other).real >= 0 else -1)
        growth, turn = (middle / 2 + root, sympy.Integer(0)) if square > 0 else (middle / 2, abs(root))
        yield growth, turn, complex(float(growth), float(turn)), EXACT


def _sorted(found: Sequence[Rate]) -> list[Rate]:
    return sorted(set(found), key=lambda r: (abs(r.growth) + abs(r.turn), -r.growth))


def _beside(equation: Equation, z: sympy.Symbol, special: Sequence[sympy.Expr], degree: int) -> Library:
    """The functions of W."""
    others = [s for s in special if z not in s.free_symbols]
    return polynomial_library(equation, degree, others, [z.name])


def _unknowns(equation: Equation, z: sympy.Symbol, special: Sequence[sympy.Expr], degree: int) -> int:
    return len(equation.space.names) * len(_beside(equation, z, special, degree))


def _polynomial_in_rate(
    equation: Equation,
    sample: JetSample,
    z: sympy.Symbol,
    scale: Sequence[float],
    base: sympy.Expr | None,
    special: Sequence[sympy.Expr],
    degree: int,
) -> tuple[Tensor, Tensor]:
    """``R_j`` on functions W, in units of the flow's parameter, and which unknowns are free of the unknowns."""
    library = _beside(equation, z, special, degree)
    p = len(equation.space.independent)
    # what is free of the unknowns comes first, so that orthonormal functions keep it apart
    library = Library(library.variables, tuple(sorted(library.monomials, key=lambda m: any(m[p:]))), library.special)
    if base is not None:  # the component along z carries one power of it more than the others
        library = Library(library.variables, library.monomials, (*library.special, base))
    d = len(library.variables)
    sample = sample[: 2 * d * len(library) // len(equation.residuals) + 50]
    lines = solution_lines(equation, sample)
    W = library.on_series(lines)  # [C, N, f]
    size = W[0].square().mean(0).sqrt()
    triangle = torch.linalg.qr(W[0] / size, mode="r")[1]
    keep = triangle.diagonal().abs() > 1e-9 * triangle.diagonal().abs().max()
    W = W[..., keep] / size[keep]
    triangle = torch.linalg.qr(W[0] / len(sample) ** 0.5, mode="r")[1]
    i = library.variables.index(z)
    along = Series(lines.truncation, lines.coefficients[..., i])
    if base is None:
        step = along.coefficients / scale[i]
    else:
        step = series.FUNCTIONS["log"](expressions.evaluate(base, {z: along}, series.FUNCTIONS)).coefficients.clone()
    step[0] = 0.0
    power = Series(lines.truncation, torch.zeros_like(step))
    power.coefficients[0] = 1.0
    coefficients = relative_coefficients(equation, sample, scale)  # [E, d, C, N]
    factors = W.new_tensor(row_factors(lines.truncation))
    matrices = []
    for j in range(lines.truncation.degree + 1):
        if j:
            power = power * Series(lines.truncation, step) / float(j)
        weighted = torch.stack(
            [(power * Series(lines.truncation, f)).coefficients for f in W.unbind(-1)], -1
        )  # [C, N, f]
        weighted = torch.linalg.solve_triangular(triangle, weighted, upper=True, left=False)
        R = torch.einsum("edrn,rnf->endf", coefficients * factors[:, None], weighted) / len(sample) ** 0.5
        if j and not bool(R.any()):
            break
        matrices.append(R.flatten(2).flatten(0, 1))
    free = torch.zeros(d, len(library), dtype=torch.bool)
    free[p:] = torch.tensor([not f.free_symbols & set(library.variables[p:]) for f in library.functions])
    return torch.stack(matrices), free[:, keep].flatten()


def _deflated(R: Tensor) -> Tensor:
    """The matrix polynomial without the unknowns that its rows free of lambda exclude, at every lambda alike."""
    while R.shape[2]:
        # the same singular values in as many rows as columns
        R = torch.stack(torch.linalg.qr(torch.cat(list(R), 1), mode="r")[1].split(R.shape[2], 1))
        free = R[0]
        if len(R) > 1:
            left, values, _ = torch.linalg.svd(torch.cat(list(R[1:]), 1))
            free = left[:, int((values > CLEAR * values[:1]).sum()) :].T @ R[0]
        _, values, right = torch.linalg.svd(free)
        excluded = int((values > CLEAR).sum())
        if excluded == 0:
            break
        R = R @ right[excluded:].T
    return R


def _eigenvalues(R: Tensor) -> list[complex]:
    """Numbers at which ``R(lambda)`` loses rank, roughly, from a random square compression of it."""
    degree, n = R.shape[0] - 1, R.shape[2]
    if degree == 0 or n == 0:
        return []
    generator = torch.Generator().manual_seed(0)
    centre = complex(*torch.randn(2, generator=generator, dtype=torch.float64).tolist())
    projection = torch.randn(n, R.shape[1], generator=generator, dtype=torch.float64) / R.shape[1] ** 0.5
    square = (projection @ R).to(torch.complex128)
    # in h = lambda - centre, and then in 1/h: the leading coefficient is the matrix at the centre, which is regular
    shifted = [
        torch.stack([square[j] * (math.comb(j, k) * centre ** (j - k)) for j in range(k, degree + 1)]).sum(0)
        for k in range(degree + 1)
    ]
    if torch.linalg.cond(shifted[0]) > SINGULAR:
        return []
    companion = torch.zeros(degree * n, degree * n, dtype=torch.complex128)
    companion[:n] = -torch.linalg.solve(shifted[0], torch.cat(shifted[1:], 1))
    companion[n:, : (degree - 1) * n] = torch.eye((degree - 1) * n)
    values, vectors = torch.linalg.eig(companion)
    found = []
    for value, vector in zip(values.tolist(), vectors.T, strict=True):
        rate = centre + 1.0 / value if abs(value) > 1e-12 else math.inf
        if RATE_LEAST < abs(rate) < RATE_MOST:
            c = vector[-n:] / vector[-n:].norm()  # the lowest power of 1/h: the coefficients of W
            if float((_at(R, rate) @ c).norm()) < ROUGH * max(1.0, abs(rate)) ** degree:
                found.append(rate)
    return found


def _at(R: Tensor, value: complex) -> Tensor:
    """``R(lambda)``."""
    powers = torch.tensor([value**j for j in range(len(R))], dtype=torch.complex128)
    return torch.einsum("j,jrn->rn", powers, R.to(torch.complex128))


def _nullity(R: Tensor, value: complex, limit: float = EXACT) -> int:
    """How many singular values of ``R(lambda)`` are zero."""
    return int((torch.linalg.svdvals(_at(R, value)) < limit).sum()) if R.shape[2] else 0


@dataclass(frozen=True)
class _Number:
    """``sign * unit * fraction**(1/root)``, its value beside it."""

    value: float
    unit: sympy.Expr
    fraction: sympy.Rational
    root: int
    long: bool = False  # of so many digits that there is one near any number

    @property
    def exact(self) -> sympy.Expr:
        size = self.unit * (self.fraction if self.root == 1 else sympy.sqrt(self.fraction))
        return -size if self.value < 0 else size


def _near(value: float, units: Sequence[tuple[sympy.Expr, float]]) -> list[_Number]:
    """Rational numbers near a number and roots of such, with few digits or in `own_units`."""
    if abs(value) < 1e-4:
        return [_Number(0.0, sympy.Integer(1), sympy.Integer(0), 1)]
    found: dict[str, _Number] = {}  # by their digits: the same number may be written in several ways
    one, *own = units
    attempts = [(one, 1e-4, 24), *((u, 1e-8, 24) for u in own)]
    attempts += [(one, 1e-9, FEW_DIGITS), (one, 1e-8, readout.LARGEST_DENOMINATOR)]
    for (unit, size), tolerance, largest in attempts:
        for root in (1, 2):
            fraction = readout.rational(abs(value / size) ** root, tolerance, largest)
            if fraction is not None:
                near = math.copysign(size * float(fraction) ** (1 / root), value)
                found.setdefault(f"{near:.13e}", _Number(near, unit, fraction, root, largest > FEW_DIGITS))
    return list(found.values())


def own_units(equation: Equation, found: Sequence[Rate] = ()) -> list[sympy.Expr]:
    """Products of powers of the numbers of the formula that are no simple fractions: 2.718 and pi, but not 3/7.

    Numbers in the generators are then simple fractions of these, or of the irrational numbers of their rates.
    """
    whole = {n for F in equation.residuals for n in F.atoms(sympy.NumberSymbol)}
    whole |= {p for F in equation.residuals for p in F.atoms(sympy.Pow) if p.is_number and not p.is_Rational}
    irrational = [n**e for n in sorted(whole, key=str)[:MOST_AWKWARD] for e in _EXPONENTS]
    parts = [part for rate in found for part in (rate.growth, rate.turn) if not part.is_Rational]
    irrational += [abs(part.as_coeff_Mul()[1]) for part in parts]
    irrational += [root for part in parts for root in sorted(part.atoms(sympy.Pow), key=str)]
    numbers = {abs(n) for F in equation.residuals for n in F.atoms(sympy.Rational) if max(abs(n.p), n.q) > AWKWARD}
    chosen = sorted(numbers)[:MOST_AWKWARD]
    rational = [
        sympy.Mul(*(n**e for n, e in zip(chosen, powers, strict=True)))
        for powers in product((sympy.Integer(0), *_EXPONENTS), repeat=len(chosen))
        if any(powers)
    ]
    return list(dict.fromkeys([*rational, *irrational]))
