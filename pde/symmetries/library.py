"""Libraries of coefficient functions for generators, proposed from the equation itself.

A library is monomials in all coordinates, up to a degree, times special functions of single coordinates. Special
functions come from the formula of the equation, and from the translations it allows: with ``d/dz`` a symmetry, the
algebra splits into parts ``exp(lambda z) W`` with W free of z up to polynomials, and the rates lambda are eigenvalues
of the determining condition (`rates`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import sympy
import torch
from torch import Tensor

from symflow.algebra import readout
from symflow.fields import Series, series
from symflow.formulas import expressions

from ..equations import DEPENDENT, INDEPENDENT, Equation, JetSample
from .prolongation import relative_coefficients, row_factors, solution_lines

MOST_SPECIAL = 12
BESIDE_SPECIAL = 2  # highest power of a coordinate that multiplies a special function of it
RATE_DEGREE = 3  # of the polynomials W
RATE_LEAST, RATE_MOST = 1e-3, 1e2  # of |lambda| in normalised units
ROUGH, EXACT = 1e-4, 1e-11  # violation at an eigenvalue before and after it is rounded
CLEAR = 1e-9  # of singular values: above the rounding unit's
SINGULAR = 1e14
AWKWARD, MOST_AWKWARD = 100, 2  # numerators and denominators beyond which a number may be a unit; how many may
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
    def products(self) -> tuple[tuple[int, int], ...]:
        """Which monomials multiply which special functions, monomials outside.

        A special function of z comes with powers of z up to `BESIDE_SPECIAL` only: with more of them, the products
        would nearly coincide with each other on any interval, and rank could not be told from rounding.
        """
        own = [[i for i, v in enumerate(self.variables) if s.has(v)] for s in self.special]
        return tuple(
            (k, j)
            for k, m in enumerate(self.monomials)
            for j in range(len(self.special))
            if all(m[i] <= BESIDE_SPECIAL for i in own[j])
        )

    @cached_property
    def functions(self) -> tuple[sympy.Expr, ...]:
        """The products."""
        monomials = [sympy.Mul(*(v**n for v, n in zip(self.variables, m, strict=True))) for m in self.monomials]
        return tuple(monomials[k] * self.special[j] for k, j in self.products)

    def __len__(self) -> int:
        return len(self.products)

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, d]`` to ``[C, N, functions]``."""
        values = dict(zip(self.variables, columns(points), strict=True))
        zero = Series(points.truncation, torch.zeros_like(points.coefficients[..., 0]))
        special = [zero + expressions.evaluate(s, values, series.FUNCTIONS) for s in self.special]
        powers: dict[tuple[int, ...], list[Series]] = {(0,) * len(self.variables): special}
        for m in sorted(self.monomials, key=sum):
            self._power(m, powers, values)
        return torch.stack([powers[self.monomials[k]][j].coefficients for k, j in self.products], -1)

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


def literal_functions(equation: Equation, residuals: Sequence[sympy.Expr] | None = None) -> list[sympy.Expr]:
    """Functions of one independent variable that stand in the formula, beginning with 1, with their companions.

    ``exp(a t)`` brings its reciprocal, ``sin`` and ``cos`` bring each other; functions g of t before derivatives bring
    what the time ``s = G(t)`` with ``G' = g`` brings: 1/g, G/g and G^2/g.

    Args:
        equation: whose variables they are of.
        residuals: those of the equation by default; `Equation.general` for functions that name the parameters.
    """
    residuals = equation.residuals if residuals is None else residuals
    found: list[sympy.Expr] = [sympy.Integer(1)]
    for z in equation.space.variables[: len(equation.space.independent)]:
        for part in (p for F in residuals for p in sympy.preorder_traversal(F)):
            if not part.has(z) or _others(part, z):
                continue
            if (part.is_Pow and part.base == sympy.E) or isinstance(part, sympy.exp):
                found += [part, 1 / part]
            elif isinstance(part, sympy.sin | sympy.cos):
                found += [sympy.sin(part.args[0]), sympy.cos(part.args[0])]
            elif part.is_Function:
                found += [part, 1 / part]
            if part.is_Function and not isinstance(part, sympy.exp) and z.name == "t" and _slows(part, equation):
                if isinstance(part, sympy.tanh):  # in functions that exist here
                    G = sympy.log(sympy.exp(part.args[0]) + sympy.exp(-part.args[0])) / sympy.diff(part.args[0], z)
                else:
                    G = sympy.integrate(part, z)
                found += [G, 1 / part, G / part, G**2 / part]
    return list(dict.fromkeys(found))[:MOST_SPECIAL]


def _slows(function: sympy.Expr, equation: Equation) -> bool:
    """Whether a function stands before derivatives."""
    return any(sympy.diff(F, s).has(function) for F in equation.residuals for s in _derivatives(F, equation))


def _derivatives(F: sympy.Expr, equation: Equation) -> list[sympy.Symbol]:
    return [equation.space.symbol(a, index) for a, index in equation.space.indices(F) if any(index)]


def own_functions(equation: Equation, residuals: Sequence[sympy.Expr] | None = None) -> list[sympy.Expr]:
    """The functions that the formula suggests: `literal_functions`, and what powers are transformed away by.

    A power of ``t + c``, or x in the coefficient of a highest derivative, brings roots, the reciprocal and the
    logarithm; with the damping ``a u/(t + c)`` also the powers ``(t + c)^a`` and ``(t + c)^-a``.
    """
    residuals = equation.residuals if residuals is None else residuals
    found = literal_functions(equation, residuals)
    for z in equation.space.variables[: len(equation.space.independent)]:
        for base in _bases(equation, residuals, z):
            found += _powers(equation, residuals, base)
    return list(dict.fromkeys(found))[:MOST_SPECIAL]


def _bases(equation: Equation, residuals: Sequence[sympy.Expr], z: sympy.Symbol) -> list[sympy.Expr]:
    """Linear functions ``z + c`` of which the formula has powers, or where a highest derivative drops out."""
    bases = []
    for F in residuals:
        for part in F.atoms(sympy.Pow):
            if not part.base.has(z) or _others(part.base, z) or not part.exp.is_number or part.base == z:
                continue
            if part.base.is_polynomial(z) and sympy.degree(part.base, z) == 1:
                bases.append(sympy.expand(part.base / sympy.LC(part.base, z)))
        for term in sympy.Add.make_args(F):
            powers = [f.as_base_exp()[1] for f in sympy.Mul.make_args(term) if f.as_base_exp()[0] == z]
            if any(not (e.is_Integer and e > 0) for e in powers):
                bases.append(z)
        bases += [base for base, _ in _zeros(equation, F, z)]
    return list(dict.fromkeys(bases))


def _zeros(equation: Equation, F: sympy.Expr, z: sympy.Symbol) -> list[tuple[sympy.Expr, int]]:
    """Where the coefficients of the highest pure derivatives vanish: factors ``z + c`` with their multiplicity."""
    found = []
    for a, index in equation.space.indices(F):
        coefficient = sympy.diff(F, equation.space.symbol(a, index))
        if max(index) == equation.order and coefficient.has(z):
            for part in sympy.Mul.make_args(sympy.factor(coefficient)):
                factor, n = part.as_base_exp()
                if n.is_Integer and factor.is_polynomial(z) and not _others(factor, z) and sympy.degree(factor, z) == 1:
                    found.append((sympy.expand(factor / sympy.LC(factor, z)), int(n)))
    return found


def _others(expression: sympy.Expr, z: sympy.Symbol) -> bool:
    """Whether an expression holds another variable than z; parameters are none."""
    names = {*INDEPENDENT, *DEPENDENT}
    return any(s != z and s.name.split("_")[0] in names for s in expression.free_symbols)


def _powers(equation: Equation, residuals: Sequence[sympy.Expr], base: sympy.Expr) -> list[sympy.Expr]:
    found = [sympy.sqrt(base), 1 / sympy.sqrt(base), 1 / base, sympy.log(base), sympy.log(base) ** 2]
    z = next(iter(base.free_symbols & set(equation.space.variables)))
    for F in residuals:
        if z.name == "t":  # 1/g of the time s = G(t) with G' = g
            found += [base**-n for zero, n in _zeros(equation, F, z) if zero == base and n > 1]
        for part in F.atoms(sympy.Pow):
            if part.exp.is_number and sympy.expand(part.base - base).is_number and not part.exp.is_Integer:
                found += [part, 1 / part]
        for name in equation.space.dependent:
            unknown = sympy.Symbol(name, real=True)
            linear = F.coeff(unknown, 1)
            own = (c for c in sympy.Add.make_args(linear) if c.has(z) and not _others(c, z))
            rate = sympy.simplify(sum(own, sympy.Integer(0)) * base)
            if not rate.has(z) and rate != 0:
                found += [base**rate, base**-rate]
    return found


# ---------------------------------------------------------------- rates


@dataclass(frozen=True)
class Rate:
    """``exp((a + i b) s)``: a the growth, b the turn, s the parameter of a flow: z of ``d/dz``, log z of ``z d/dz``."""

    z: sympy.Symbol
    growth: sympy.Expr
    turn: sympy.Expr
    scaling: bool = False

    @property
    def functions(self) -> list[sympy.Expr]:
        """Its real and, where it turns, imaginary part."""
        s = sympy.log(self.z) if self.scaling else self.z
        grown = self.z**self.growth if self.scaling else sympy.exp(self.growth * s)
        if self.turn == 0:
            return [grown]
        return [grown * sympy.cos(self.turn * s), grown * sympy.sin(self.turn * s)]


def rates(
    equation: Equation,
    sample: JetSample,
    z: sympy.Symbol,
    scale: Sequence[float],
    scaling: bool = False,
    linear: bool = False,
) -> list[Rate]:
    """The functions ``exp(a z)``, ``exp(a z) cos(b z)``, ``exp(a z) sin(b z)`` that generators of the equation hold.

    With ``d/dz`` a symmetry, or ``z d/dz``, ``exp(lambda s) W`` solves the determining condition where the matrix
    polynomial ``R(lambda) = sum_j lambda^j R_j``, its condition on polynomials W in the other coordinates, loses rank.
    Its eigenvalues come from the companion matrix of a random square compression about a random centre; one counts if
    the uncompressed matrix loses rank at an exact number near it.

    Args:
        equation: of which the translation or scaling in z is a symmetry.
        sample: of its manifold.
        z: a coordinate.
        scale: of the coordinates.
        scaling: look for powers of z.
        linear: leave out what only holds solutions of a linear equation, fields of the unknowns free of the unknowns.
    """
    matrices, free = _polynomial_in_rate(equation, sample, z, scale, scaling)  # [m + 1, rows, n]
    R = _deflated(matrices)
    solutions = _deflated(matrices[:, :, free]) if linear else None
    unit = 1.0 if scaling else scale[equation.space.variables.index(z)]
    units = own_units(equation)
    found: list[Rate] = []
    for value in _eigenvalues(R):
        if value.imag < -1e-9:  # its conjugate is there
            continue
        for a, b in product(_near(value.real / unit, units), _near(value.imag / unit, units)):
            if scaling and b == 0 and a.is_Integer and a > 0:  # a polynomial
                continue
            exact = complex(float(a), float(b)) * unit
            if _nullity(R, exact) > (_nullity(solutions, exact) if solutions is not None else 0):
                found.append(Rate(z, a, b, scaling))
                break
    found = sorted(set(found), key=lambda r: (abs(r.growth) + abs(r.turn), -r.growth))
    return found if len(found) <= MOST_RATES else []


def _polynomial_in_rate(
    equation: Equation,
    sample: JetSample,
    z: sympy.Symbol,
    scale: Sequence[float],
    scaling: bool,
) -> tuple[Tensor, Tensor]:
    """``R_j`` on functions W, in units of the flow's parameter, and which unknowns are free of the unknowns."""
    literal = [s for s in literal_functions(equation) if z not in s.free_symbols]
    library = polynomial_library(equation, RATE_DEGREE, literal, [z.name])
    p = len(equation.space.independent)
    # what is free of the unknowns comes first, so that orthonormal functions keep it apart
    library = Library(library.variables, tuple(sorted(library.monomials, key=lambda m: any(m[p:]))), library.special)
    if scaling:  # the component along z carries one power of z more than the others
        library = Library(library.variables, library.monomials, (*library.special, z))
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
    step = series.FUNCTIONS["log"](along).coefficients.clone() if scaling else along.coefficients / scale[i]
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


def _nullity(R: Tensor, value: complex) -> int:
    """How many singular values of ``R(lambda)`` are zero."""
    return int((torch.linalg.svdvals(_at(R, value)) < EXACT).sum()) if R.shape[2] else 0


def _near(value: float, units: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    """Rational numbers near a number and roots of such, with few digits or in `own_units`."""
    if abs(value) < 1e-4:
        return [sympy.Integer(0)]
    found = []
    for unit, tolerance, largest in (
        (sympy.Integer(1), 1e-4, 24),
        *((u, 1e-8, 24) for u in units),
        (sympy.Integer(1), 1e-8, readout.LARGEST_DENOMINATOR),
    ):
        for power, root in ((1, lambda r: r), (2, sympy.sqrt)):
            rational = readout.rational(abs(value / float(unit)) ** power, tolerance, largest)
            if rational is not None:
                found.append(unit * root(rational) * (1 if value > 0 else -1))
    return list(dict.fromkeys(found))


def own_units(equation: Equation) -> list[sympy.Expr]:
    """Products of powers of the numbers of the formula that are no simple fractions: 2.718, but not 3/7.

    Numbers in the generators are then simple fractions of these.
    """
    numbers = {abs(n) for F in equation.residuals for n in F.atoms(sympy.Rational) if max(abs(n.p), n.q) > AWKWARD}
    chosen = sorted(numbers)[:MOST_AWKWARD]
    half = sympy.Rational(1, 2)
    exponents = (0, 1, -1, half, -half)
    return [
        sympy.Mul(*(n**e for n, e in zip(chosen, powers, strict=True)))
        for powers in product(exponents, repeat=len(chosen))
        if any(powers)
    ]
