"""The linearised condition at a jet, as linear equations for the Taylor coefficients of a field.

``pr V(F) = sum_b sum_alpha A_(b alpha) d^alpha b`` with b the components of the field, alpha multi-indices over all
coordinates z = (independent, unknowns). With ``D_J b = sum_alpha P_(J alpha) d^alpha b`` (`chain`),

    A_(phi_a alpha) = sum_J dF/du_(a,J) P_(J alpha),
    A_(xi_i alpha) = dF/dx_i [alpha = 0] - sum_(a,J) dF/du_(a,J) sum_(0 < K <= J) (J over K) u_(a,J-K+i) P_(K alpha)

(Olver, theorem 2.36). At a jet on the equation whose derivatives but the principal ones stand still while z moves,
every A is a power series in the distance from the point, and so is ``d^alpha b``: each power gives an equation.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import sympy

from ..equations import Equation, JetSpace, choices, difference, divisors, raised
from .modular import PRIME, Index, Ring, monomials


@lru_cache(maxsize=256)
def chain(space: JetSpace, index: Index) -> dict[Index, sympy.Expr]:
    """The P of ``D_J b = sum_alpha P_alpha d^alpha b``, polynomials in derivatives of the unknowns."""
    d, p = len(space.names), len(space.independent)
    if not any(index):
        return {(0,) * d: sympy.Integer(1)}
    i = next(n for n, count in enumerate(index) if count)
    before = chain(space, tuple(count - (n == i) for n, count in enumerate(index)))
    found: dict[Index, sympy.Expr] = {}

    def add(alpha: Index, value: sympy.Expr) -> None:
        found[alpha] = found.get(alpha, sympy.Integer(0)) + value

    for alpha, factor in before.items():
        add(alpha, space.total_derivative(factor, i))
        add(raised(alpha, i), factor)
        for a in range(len(space.dependent)):
            add(raised(alpha, p + a), factor * space.symbol(a, space.units[i]))
    return {alpha: sympy.expand(value) for alpha, value in found.items() if value != 0}


def coefficients(equation: Equation) -> list[dict[tuple[int, Index], sympy.Expr]]:
    """The A of every equation, by component and alpha."""
    space = equation.space
    p, d = len(space.independent), len(space.names)
    result = []
    for F in equation.residuals:
        A: dict[tuple[int, Index], sympy.Expr] = {}

        def add(b: int, alpha: Index, value: sympy.Expr, A: dict[tuple[int, Index], sympy.Expr] = A) -> None:
            A[b, alpha] = A.get((b, alpha), sympy.Integer(0)) + value

        for i in range(p):
            add(i, (0,) * d, sympy.diff(F, space.variables[i]))
        for a, index in space.indices(F):
            slope = sympy.diff(F, space.symbol(a, index))
            for alpha, factor in chain(space, index).items():
                add(p + a, alpha, slope * factor)
            for part in divisors(index):
                rest = difference(index, part)
                if rest is None or not any(part):
                    continue
                for i in range(p):
                    along = space.symbol(a, raised(rest, i))
                    for alpha, factor in chain(space, part).items():
                        add(i, alpha, -choices(index, part) * slope * along * factor)
        result.append({key: value for key, value in A.items() if value != 0})
    return result


def jet(equation: Equation, ring: Ring, point: Sequence[int], seed: int) -> Mapping[sympy.Symbol, np.ndarray]:
    """A random jet on the equation over a point, as series: derivatives stand still, principal ones follow."""
    space = equation.space
    ring.next_jet(space.variables)
    draw = random.Random(seed)  # noqa: S311 - no secret
    at = {s: ring.variable(i, point[i]) for i, s in enumerate(space.variables)}
    for index in space.up_to(equation.order)[1:]:
        for a in range(len(space.dependent)):
            at[space.symbol(a, index)] = ring.constant(pow(draw.randrange(2, PRIME - 1), 2, PRIME))
    values = {symbol: ring.value(rule, at) for symbol, rule in equation.rules.items()}
    return at | values


def equations_at(
    A: Mapping[tuple[int, Index], sympy.Expr], ring: Ring, at: Mapping[sympy.Symbol, np.ndarray], order: int
) -> np.ndarray:
    """Rows for the Taylor coefficients of the components up to an order, one for each monomial of the ring.

    The coefficient of ``z^beta`` in component b stands in the column ``d n + b``, n counting the beta from the highest
    order to the lowest.
    """
    d = ring.variables
    rows = np.zeros((len(ring.monomials), d * len(monomials(d, order))), np.int64)
    for (b, alpha), formula in A.items():
        place, row, column, weight = _terms(d, ring.degree, order, alpha)
        entries = weight * ring.value(formula, at)[place] % PRIME
        rows[row, column + b] = (rows[row, column + b] + entries) % PRIME
    return rows


@lru_cache(maxsize=512)
def _terms(d: int, degree: int, order: int, alpha: Index) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """At ``delta^gamma``, ``A d^alpha b`` has ``[delta^(gamma - beta + alpha)] A  beta!/(beta - alpha)! b_beta``.

    Which coefficient of A, which row gamma, which column of beta, and the factor, for all these terms.
    """
    powers = monomials(d, degree)
    place = {m: n for n, m in enumerate(powers)}
    betas = monomials(d, order)
    found = []
    for n, beta in enumerate(betas):
        moved = tuple(m - k for m, k in zip(beta, alpha, strict=True))
        if min(moved) < 0 or sum(moved) > degree:
            continue
        weight = math.prod(math.perm(m, k) for m, k in zip(beta, alpha, strict=True)) % PRIME
        for i, power in enumerate(powers):
            row = place.get(tuple(m + k for m, k in zip(power, moved, strict=True)))
            if row is not None:
                found.append((i, row, d * (len(betas) - 1 - n), weight))
    which = np.array(found, np.int64).reshape(-1, 4)
    return which[:, 0], which[:, 1], which[:, 2], which[:, 3]
