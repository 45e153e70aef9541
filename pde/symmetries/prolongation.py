"""The determining condition of a point symmetry: numerically on jets, and exactly on formulas.

A field ``V = sum_i xi_i d/dx_i + sum_a phi_a d/du_a`` generates symmetries of ``F = 0`` if its prolongation annihilates
F on solutions (Olver, theorems 2.31 and 2.36):

    pr V(F) = sum_i xi_i dF/dx_i + sum_a,J phi_a^J dF/du_a,J = 0   wherever F = 0,
    phi_a^J = D_J (phi_a - sum_i xi_i u_a,i) + sum_i xi_i u_a,Ji.

The derivatives of higher order than F's cancel, so the condition lives on the jet space of the equation's own order,
where F = 0 is all there is to ask. It is linear in the field: with b running over its components,

    pr V(F) = sum_b sum_K A_bK D_K b,

and the coefficients A depend on the jet alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sympy
import torch
from torch import Tensor

from symflow.algebra import is_zero, simplified
from symflow.fields import Series, Truncation, series
from symflow.formulas import expressions

from ..equations import Equation, Index, Jets, JetSample, JetSpace, choices, difference, divisors, raised

SOFTENING = 1e-3  # of the median squared size, added at every point: one tall soliton would hide the rest in a mean


def jet_order(equation: Equation) -> int:
    """The highest x-derivative that data of an evolution equation must give to `complete_jets`."""
    return max(i + equation.order * j for i, j in needed(equation))


def complete_jets(equation: Equation, jets: Jets, indices: Sequence[Index] | None = None) -> JetSample:
    """Derivatives of solutions of an evolution equation from their x-derivatives.

    Those in t follow from the equation (`Equation.surface`).

    Args:
        equation: an evolution equation.
        jets: x-derivatives of at least the order ``max(i + order * j)`` of the indices (i, j).
        indices: which derivatives; those that the determining condition needs by default.
    """
    surface = equation.surface(jets.x, jets.t, jets.u, Truncation(_closure(indices or needed(equation))))
    values = dict(zip(equation.space.variables, jets.points.unbind(-1), strict=True))
    for index in surface.truncation.monomials:
        values[equation.space.symbol(0, index)] = surface.derivative_at_origin(index)
    return JetSample(equation.space, values)


def needed(equation: Equation) -> list[Index]:
    """The derivatives of every unknown that `determining_coefficients` and `term_scale` ask for."""
    indices = {index for F in equation.residuals for _, index in equation.space.indices(F)}
    return sorted({raised(index, i) for index in indices for i in range(len(equation.space.independent))} | indices)


def derivatives_in(equation: Equation) -> list[Index]:
    """`needed`, and those in what the equation is solved by, with every index those that divide it."""
    space = equation.space
    rules = {index for rule in equation.rules.items() for side in rule for _, index in space.indices(side)}
    return _closure([*needed(equation), *rules])


def _closure(indices: Sequence[Index]) -> list[Index]:
    """With every index those that divide it, the constant first."""
    closed = {part for index in indices for part in divisors(index)}
    return sorted(closed, key=lambda m: (sum(m), tuple(-n for n in m)))


def truncation(equation: Equation) -> Truncation:
    """Which derivatives ``D_K`` of a field the determining condition asks for."""
    return _truncation(tuple(sorted({index for F in equation.residuals for _, index in equation.space.indices(F)})))


@lru_cache
def _truncation(indices: tuple[Index, ...]) -> Truncation:
    return Truncation(_closure(indices))


def _on_jets(expression: sympy.Expr, sample: JetSample) -> Tensor:
    like = next(iter(sample.values.values()))
    value: Tensor = torch.zeros_like(like) + expressions.evaluate(expression, sample.values, series.FUNCTIONS)
    return value


def determining_coefficients(equation: Equation, sample: JetSample) -> Tensor:
    """The coefficients A of the determining condition on jets.

    Returns:
        ``[E, d, C, N]`` float64, physical units: equations; components in the order of the coordinates; derivatives
        ``D_K`` in the order of `truncation`.
    """
    space, rows = equation.space, truncation(equation).index
    p, d = len(space.independent), len(space.names)
    N = len(sample)
    A = torch.zeros(len(equation.residuals), d, len(rows), N, dtype=torch.float64)
    for e, F in enumerate(equation.residuals):
        for i in range(p):
            A[e, i, 0] = _on_jets(sympy.diff(F, space.variables[i]), sample)
        for a, index in space.indices(F):
            S = _on_jets(sympy.diff(F, space.symbol(a, index)), sample)
            A[e, p + a, rows[index]] += S
            for part in divisors(index):
                rest = difference(index, part)
                if rest is None or not any(part):
                    continue
                for i in range(p):
                    u_rest = sample.values[space.symbol(a, raised(rest, i))]
                    A[e, i, rows[part]] -= choices(index, part) * S * u_rest
    return A


def term_scale(equation: Equation, sample: JetSample, scale: Sequence[float]) -> Tensor:
    """The size of the terms that must cancel for the fields of unit size that translate, ``[E, N]``.

    The root of the sum of squares of the terms ``dF/du_a,J D_J Q_a`` of the linearised equation, for the
    characteristics ``Q = scale_i u_i`` and ``Q = scale_a``, and of ``SOFTENING`` times its median: ``pr V(F)`` divided
    by it is relative.
    """
    space = equation.space
    p = len(space.independent)
    sizes = []
    for F in equation.residuals:
        squares = torch.zeros(len(sample), dtype=torch.float64)
        for a, index in space.indices(F):
            S = _on_jets(sympy.diff(F, space.symbol(a, index)), sample)
            for i in range(p):
                squares += (scale[i] * S * sample.values[space.symbol(a, raised(index, i))]) ** 2
            if not any(index):
                squares += (scale[p + a] * S) ** 2
        sizes.append(torch.sqrt(squares + SOFTENING * squares.median()))
    return torch.stack(sizes)


def relative_coefficients(equation: Equation, sample: JetSample, scale: Sequence[float]) -> Tensor:
    """The coefficients of the derivatives of normalised components in ``pr V(F)/w``, ``[E, d, C, N]``."""
    A = determining_coefficients(equation, sample) / term_scale(equation, sample, scale)[:, None, None]
    return A * A.new_tensor(scale)[:, None, None]


def solution_lines(equation: Equation, sample: JetSample) -> Series:
    """The points ``(x_i + s_i, u_a(x + s))`` as polynomials ``[C, N, d]``, physical, over `truncation`."""
    space, rows = equation.space, truncation(equation)
    p = len(space.independent)
    coefficients = torch.zeros(len(rows), len(sample), len(space.names), dtype=torch.float64)
    for i in range(p):
        coefficients[0, :, i] = sample.values[space.variables[i]]
        if space.units[i] in rows.index:
            coefficients[rows.index[space.units[i]], :, i] = 1.0
    for k, index in enumerate(rows.monomials):
        for a in range(len(space.dependent)):
            coefficients[k, :, p + a] = sample.values[space.symbol(a, index)] / math.prod(map(math.factorial, index))
    return Series(rows, coefficients)


def row_factors(truncation: Truncation) -> list[int]:
    """What turns Taylor coefficients into derivatives, row by row."""
    return [math.prod(map(math.factorial, m)) for m in truncation.monomials]


# ---------------------------------------------------------------- exact


def prolonged(
    space: JetSpace, residuals: Sequence[sympy.Expr], closed_form: Mapping[str, sympy.Expr]
) -> list[sympy.Expr]:
    """``pr V(F)`` of every equation, on all of jet space."""
    p = len(space.independent)
    components = [closed_form["d" + name] for name in space.names]
    derived: dict[tuple[int, Index], sympy.Expr] = {}

    def along(b: int, index: Index) -> sympy.Expr:  # D_K of a component
        if (b, index) not in derived:
            i = next((i for i, n in enumerate(index) if n), None)
            if i is None:
                return components[b]
            lower = tuple(n - (j == i) for j, n in enumerate(index))
            derived[b, index] = sympy.expand(space.total_derivative(along(b, lower), i))
        return derived[b, index]

    results = []
    for F in residuals:
        total = sum((components[i] * sympy.diff(F, space.variables[i]) for i in range(p)), sympy.Integer(0))
        for a, index in space.indices(F):
            moved = along(p + a, index)
            for part in divisors(index):
                if any(part):
                    rest: Any = difference(index, part)
                    for i in range(p):
                        moved -= choices(index, part) * along(i, part) * space.symbol(a, raised(rest, i))
            total += sympy.diff(F, space.symbol(a, index)) * moved
        if total.has(sympy.DiracDelta):  # of signs: on either side of their jump
            total = total.replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
        results.append(sympy.expand(total))
    return results


def determining_equations(
    equation: Equation, closed_form: Mapping[str, sympy.Expr], general: bool = False
) -> list[sympy.Expr]:
    """The determining equations of a closed form: expressions in the coordinates that vanish for a symmetry, only then.

    ``pr V(F)`` on the solution manifold is a polynomial in (functions of) the derivatives that are free there; its
    coefficients must vanish one by one.

    Args:
        equation: any equation or system.
        closed_form: ``{"dx": xi, "dt": tau, "du": phi}``, expressions in the coordinates; with ``dy`` and ``dv`` where
            the equation has y and v.
        general: keep parameters as symbols instead of their values.
    """
    space = equation.space
    residuals, rules = (equation.general, equation.general_rules) if general else (equation.residuals, equation.rules)
    found: list[sympy.Expr] = []
    for R in prolonged(space, residuals, closed_form):
        on_manifold = R.subs(rules) if R.has(*rules) else R
        found += by_derivatives(sympy.numer(sympy.together(on_manifold)) if _fractional(rules) else on_manifold, space)
    return found


def by_derivatives(expression: sympy.Expr, space: JetSpace) -> list[sympy.Expr]:
    """The coefficients of the powers of the derivatives in an expression; itself where it is no polynomial of them."""
    expanded = sympy.expand(expression)
    free = [s for s in expanded.free_symbols if (where := space.locate(s)) is not None and any(where[1])]
    free.sort(key=lambda s: s.name)
    if not free or not expanded.is_polynomial(*free):
        return [expanded]
    coefficients: list[sympy.Expr] = sympy.Poly(expanded, *free).coeffs()
    return coefficients


def _fractional(rules: Mapping[sympy.Symbol, sympy.Expr]) -> bool:
    """Whether a principal derivative has a denominator with other derivatives or unknowns in it."""
    return any(p.exp.is_negative for rule in rules.values() for p in rule.atoms(sympy.Pow))


def is_symmetry(equation: Equation, closed_form: Mapping[str, sympy.Expr], general: bool = False) -> bool:
    """Whether a closed form satisfies the determining equations exactly, by symbolic computation.

    ``False`` also when the computer algebra cannot decide, and for decimal numbers: a proof is claimed only when it
    exists.
    """
    if any(f.has(sympy.Float) for f in closed_form.values()):
        return False
    return all(is_zero(e) for e in determining_equations(equation, closed_form, general))


def multiplier(equation: Equation, closed_form: Mapping[str, sympy.Expr]) -> sympy.Expr | None:
    """lambda with ``pr V(F) = lambda F``, an identity on all of jet space: what a proof comes down to.

    The quotient of the polynomials in the principal derivative; ``None`` for systems, for what is no polynomial, and
    where the identity does not hold.
    """
    if len(equation.residuals) > 1:
        return None
    (F,), (principal,) = equation.residuals, equation.principal
    (R,) = prolonged(equation.space, equation.residuals, closed_form)
    if not R.is_polynomial(principal):
        return None
    quotient = sympy.div(sympy.Poly(R, principal), sympy.Poly(F, principal))[0].as_expr()
    return simplified(quotient) if is_zero(R - quotient * F) else None
