"""Libraries of coefficient functions for generators, proposed from the equation itself.

A library is monomials in all coordinates, up to a degree, times special functions of single coordinates. Special
functions come from the formula of the equation, and from the translations it allows: with ``d/dz`` a symmetry, the
algebra splits into parts ``exp(lambda z) W`` with W free of z up to polynomials, and the rates lambda are eigenvalues of
the determining condition (`rates`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import sympy
import torch
from torch import Tensor

from symflow import expressions, readout, series
from symflow.series import Series

from .equation import Equation
from .jets import DEPENDENT, INDEPENDENT, JetSample
from .prolongation import relative_coefficients, row_factors, solution_lines

MOST_SPECIAL = 12
RATE_DEGREE = 2  # of the polynomials W
RATE_LEAST, RATE_MOST = 1e-3, 1e2  # of |lambda| in normalised units
ROUGH, EXACT = 1e-5, 1e-11  # violation at an eigenvalue before and after it is rounded
MOST_RATES = 6  # of one coordinate: more belong to solutions that can be superposed


@dataclass(frozen=True)
class Library:
    """Products of monomials and special functions, from simple to complex.

    Attributes:
        variables: the coordinates.
        monomials: exponents of the coordinates.
        special: functions of the coordinates, the first of them 1.
    """

    variables: tuple[sympy.Symbol, ...]
    monomials: tuple[tuple[int, ...], ...]
    special: tuple[sympy.Expr, ...] = (sympy.Integer(1),)

    @cached_property
    def functions(self) -> tuple[sympy.Expr, ...]:
        """Every product, monomials outside."""
        return tuple(
            sympy.Mul(*(v**n for v, n in zip(self.variables, m, strict=True))) * s
            for m in self.monomials
            for s in self.special
        )

    def __len__(self) -> int:
        return len(self.monomials) * len(self.special)

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, d]`` to ``[C, N, functions]``."""
        values = dict(zip(self.variables, columns(points), strict=True))
        zero = Series(points.truncation, torch.zeros_like(points.coefficients[..., 0]))
        special = [zero + expressions.evaluate(s, values, series.FUNCTIONS) for s in self.special]
        powers: dict[tuple[int, ...], list[Series]] = {(0,) * len(self.variables): special}
        for m in sorted(self.monomials, key=sum):
            self._power(m, powers, values)
        return torch.stack([f.coefficients for m in self.monomials for f in powers[m]], -1)

    def _power(
        self, m: tuple[int, ...], powers: dict[tuple[int, ...], list[Series]], values: dict[sympy.Symbol, Series]
    ) -> list[Series]:
        if m not in powers:
            i = next(i for i, n in enumerate(m) if n)
            lower = self._power(tuple(n - (j == i) for j, n in enumerate(m)), powers, values)
            powers[m] = [f * values[self.variables[i]] for f in lower]
        return powers[m]

    def __call__(self, points: Tensor) -> Tensor:
        """Values on physical points, ``[N, d]`` to ``[N, functions]``."""
        return self.on_series(Series(series.line(0), points[None]))[0]


def columns(points: Series) -> list[Series]:
    """The coordinates of points ``[C, N, d]``, one by one."""
    return [Series(points.truncation, column) for column in points.coefficients.unbind(-1)]


def polynomial_library(
    equation: Equation, degree: int, special: Sequence[sympy.Expr] | None = None, without: Sequence[str] = ()
) -> Library:
    """Monomials in the coordinates up to a total degree, times special functions.

    Args:
        equation: whose coordinates they are.
        degree: the highest total degree of the monomials.
        special: by default `own_functions` of the equation.
        without: coordinates to leave out: those in which fields must be periodic.
    """
    variables = equation.space.variables
    special = own_functions(equation) if special is None else special
    absent = {v for v in variables if v.name in without}
    exponents = [
        m
        for m in product(range(degree + 1), repeat=len(variables))
        if sum(m) <= degree and not any(n and v in absent for n, v in zip(m, variables, strict=True))
    ]
    # x before t before u: simple generators are those of space and time
    exponents.sort(key=lambda m: (sum(m), tuple(reversed(m))))
    kept = [s for s in special if not s.free_symbols & absent]
    return Library(variables, tuple(exponents), tuple(dict.fromkeys([sympy.Integer(1), *kept])))


def own_functions(equation: Equation, residuals: Sequence[sympy.Expr] | None = None) -> list[sympy.Expr]:
    """Functions of one independent variable that the formula suggests, beginning with 1, from simple to complex.

    ``exp(a t)`` suggests itself and its reciprocal, ``sin`` and ``cos`` each other. A power of ``t + c``, or a
    coefficient t, suggests what such factors are transformed away by: roots, reciprocals, the logarithm, and with the
    damping ``a u/(t + c)`` the powers ``(t + c)^a`` and ``(t + c)^-a``.

    Args:
        equation: whose variables they are of.
        residuals: those of the equation by default; `Equation.general` for functions that name the parameters.
    """
    residuals = equation.residuals if residuals is None else residuals
    found: list[sympy.Expr] = [sympy.Integer(1)]
    coordinates = set(equation.space.variables)
    independent = equation.space.variables[: len(equation.space.independent)]
    for z in independent:
        for part in (p for F in residuals for p in sympy.preorder_traversal(F)):
            if {s for s in part.free_symbols if s in coordinates or equation.space.locate(s)} != {z}:
                continue
            if part.is_Pow and part.base == sympy.E or isinstance(part, sympy.exp):
                found += [part, 1 / part]
            elif isinstance(part, sympy.sin | sympy.cos):
                found += [sympy.sin(part.args[0]), sympy.cos(part.args[0])]
            elif part.is_Function:
                found += [part, 1 / part]
        for base in _bases(residuals, z):
            found += _powers(equation, residuals, base)
    return list(dict.fromkeys(found))[:MOST_SPECIAL]


def _bases(residuals: Sequence[sympy.Expr], z: sympy.Symbol) -> list[sympy.Expr]:
    """Linear functions ``z + c`` of which the formula has powers, or z itself as a coefficient."""
    bases = []
    for F in residuals:
        for part in sympy.preorder_traversal(F):
            if part.is_Pow and part.base.has(z) and not _others(part.base, z) and part.base.is_polynomial(z) and part.exp.is_number:
                if sympy.degree(part.base, z) == 1:
                    bases.append(sympy.expand(part.base / sympy.LC(part.base, z)))
            elif part == z:
                inside = any(z in f.free_symbols for f in F.atoms(sympy.Function, sympy.exp))
                sums = any(p.base.is_Add and p.base.has(z) and not _others(p.base, z) for p in F.atoms(sympy.Pow))
                if not inside and not sums:
                    bases.append(z)
    return list(dict.fromkeys(bases))


def _others(expression: sympy.Expr, z: sympy.Symbol) -> bool:
    """Whether an expression holds another variable than z; parameters are none."""
    names = {*INDEPENDENT, *DEPENDENT}
    return any(s != z and s.name.split("_")[0] in names for s in expression.free_symbols)


def _powers(equation: Equation, residuals: Sequence[sympy.Expr], base: sympy.Expr) -> list[sympy.Expr]:
    found = [sympy.sqrt(base), 1 / sympy.sqrt(base), 1 / base, sympy.log(base)]
    for F in residuals:
        for part in F.atoms(sympy.Pow):
            if part.exp.is_number and sympy.expand(part.base - base).is_number and not part.exp.is_Integer:
                found += [part, 1 / part]
        for name in equation.space.dependent:
            unknown = sympy.Symbol(name, real=True)
            linear = F.coeff(unknown, 1)
            z = next(iter(base.free_symbols & set(equation.space.variables)))
            own = (c for c in sympy.Add.make_args(linear) if c.has(z) and not _others(c, z))
            rate = sympy.simplify(sum(own, sympy.Integer(0)) * base)
            if not rate.has(z) and rate != 0:
                found += [base**rate, base**-rate]
    return found


# ---------------------------------------------------------------- rates


@dataclass(frozen=True)
class Rate:
    """``exp((a + i b) z)``: a the growth, b the turn."""

    z: sympy.Symbol
    growth: sympy.Expr
    turn: sympy.Expr

    @property
    def functions(self) -> list[sympy.Expr]:
        """Its real and, where it turns, imaginary part."""
        grown = sympy.exp(self.growth * self.z)
        if self.turn == 0:
            return [grown]
        return [grown * sympy.cos(self.turn * self.z), grown * sympy.sin(self.turn * self.z)]


def rates(
    equation: Equation, sample: JetSample, z: sympy.Symbol, special: Sequence[sympy.Expr], scale: Sequence[float]
) -> list[Rate]:
    """The functions ``exp(a z)``, ``exp(a z) cos(b z)``, ``exp(a z) sin(b z)`` that generators of the equation hold.

    With ``d/dz`` a symmetry, ``exp(lambda z) W`` solves the determining condition where the matrix polynomial
    ``R(lambda) = sum_j lambda^j R_j``, its condition on polynomials W in the other coordinates, loses rank. Its
    eigenvalues come from the companion matrix of a random square compression about a random centre; one counts if the
    uncompressed matrix loses rank at the number it is rounded to.

    Args:
        equation: in which z does not appear but in derivatives.
        sample: of its manifold.
        z: a coordinate.
        special: of the library; functions of z are left out.
        scale: of the coordinates.
    """
    R = _polynomial_in_rate(equation, sample, z, special, scale)  # [m + 1, rows, n]
    unit = scale[equation.space.variables.index(z)]
    found: list[Rate] = []
    for value in _eigenvalues(R):
        if not RATE_LEAST < abs(value) < RATE_MOST or value.imag < -1e-9 or _loss(R, value) > ROUGH:
            continue
        a, b = _rounded(value.real / unit), _rounded(value.imag / unit)
        if a is None or b is None or _loss(R, complex(float(a), float(b)) * unit) > EXACT:
            continue
        found.append(Rate(z, a, b))
    found = sorted(set(found), key=lambda r: (abs(r.growth) + abs(r.turn), -r.growth))
    return found if len(found) <= MOST_RATES else []


def _polynomial_in_rate(
    equation: Equation, sample: JetSample, z: sympy.Symbol, special: Sequence[sympy.Expr], scale: Sequence[float]
) -> np.ndarray:
    """``R_j`` on orthonormal functions W, in units of the coordinate z."""
    library = polynomial_library(equation, RATE_DEGREE, [s for s in special if z not in s.free_symbols], [z.name])
    d = len(library.variables)
    sample = sample[: 2 * d * len(library) // len(equation.residuals) + 50]
    lines = solution_lines(equation, sample)
    W = library.on_series(lines)  # [C, N, f]
    size = W[0].square().mean(0).sqrt()
    basis, triangle = torch.linalg.qr(W[0] / size)
    keep = triangle.diagonal().abs() > 1e-9 * triangle.diagonal().abs().max()
    W = W[..., keep] / size[keep]
    triangle = torch.linalg.qr(W[0] / len(sample) ** 0.5, mode="r")[1]
    i = library.variables.index(z)
    step = lines.coefficients[..., i].clone() / scale[i]
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
        R = torch.einsum("edrn,r,rnf->endf", coefficients, factors, weighted) / len(sample) ** 0.5
        if j and not bool(R.any()):
            break
        matrices.append(R.flatten(2).flatten(0, 1).numpy())
    return np.stack(matrices)


def _eigenvalues(R: np.ndarray) -> np.ndarray:
    degree, n = R.shape[0] - 1, R.shape[2]
    generator = np.random.default_rng(0)
    centre = complex(*generator.normal(size=2))
    projection = generator.normal(size=(n, R.shape[1])) / R.shape[1] ** 0.5
    square = np.einsum("ij,kjl->kil", projection, R)
    # in h = lambda - centre, and then in 1/h: the leading coefficient is the matrix at the centre, which is regular
    shifted = [
        sum(
            square[j] * (math.comb(j, k) * centre ** (j - k)) for j in range(k, degree + 1)
        )
        for k in range(degree + 1)
    ]
    if degree == 0 or np.linalg.cond(shifted[0]) > 1e14:
        return np.zeros(0)
    inverse = np.linalg.inv(shifted[0])
    companion = np.zeros((degree * n, degree * n), complex)
    companion[:n] = np.concatenate([-inverse @ shifted[k] for k in range(1, degree + 1)], axis=1)
    companion[n:, :-n] = np.eye((degree - 1) * n)
    values = np.linalg.eigvals(companion)
    return centre + 1.0 / values[np.abs(values) > 1e-12]


def _loss(R: np.ndarray, value: complex) -> float:
    """The smallest singular value of ``R(lambda)``."""
    matrix = sum(value**j * Rj for j, Rj in enumerate(R))
    return float(np.linalg.svd(matrix, compute_uv=False)[-1])


def _rounded(value: float) -> sympy.Expr | None:
    """A number as a rational one or the root of one, with few digits."""
    if abs(value) < 1e-4:
        return sympy.Integer(0)
    for power, root in ((1, lambda r: r), (2, sympy.sqrt)):
        rational = readout.rational(abs(value) ** power, tolerance=1e-4, largest=24)
        if rational is not None:
            return root(rational) if value > 0 else -root(rational)
    for power, root in ((1, lambda r: r), (2, sympy.sqrt)):
        rational = readout.rational(abs(value) ** power, tolerance=1e-8)
        if rational is not None:
            return root(rational) if value > 0 else -root(rational)
    return None
