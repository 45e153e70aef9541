"""Terms with t, for coefficients that drift: ``a + b t``, ``a/(t + c)`` and ``a exp(r t)`` before the same terms.

c and r stand in the formula and are fitted by Newton's method on the weak form: with the derivative of the term for one
more term, as in ``a m/(t + c) + b m/(t + c)^2``, the next c is ``c - b/a``. They are rounded to as few digits as their
interval allows, as coefficients are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy
import torch

from symflow.errors import UserError

from ..equations import t
from ..trajectories import Trajectories
from ..weak import Widths
from .drift import Drift
from .intervals import rounded
from .regression import Coefficients, choose_widths, effective_coefficients

ROUNDS = 8  # of Newton's method
STILL = 1e-6  # relative change of c or r at which it ends


@dataclass(frozen=True)
class Shape:
    """How a coefficient may depend on t, with one number in the formula.

    Attributes:
        factor: of a term, by the number.
        slope: the derivative of the factor by the number.
        start: the number from the coefficient in windows, by least squares.
    """

    factor: Callable[[float], sympy.Expr]
    slope: Callable[[float], sympy.Expr]
    start: Callable[[Drift], float]


def _line(places: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """``(a, b)`` of the line ``a + b t`` through values."""
    at = torch.tensor(places, dtype=torch.float64)
    rows = torch.stack([torch.ones_like(at), at], 1)
    a, b = (
        torch.linalg.lstsq(rows, torch.tensor(values, dtype=torch.float64)[:, None], driver="gelsd")
        .solution[:, 0]
        .tolist()
    )
    return a, b


def _inverse_start(drift: Drift) -> float:
    a, b = _line(drift.places, [1 / v for v in drift.values])
    return a / b


def _rate_start(drift: Drift) -> float:
    return _line(drift.places, torch.tensor(drift.values, dtype=torch.float64).abs().log().tolist())[1]


def _exact(value: float) -> sympy.Expr:
    return sympy.Rational(f"{value:.12g}")


SHAPES = (
    Shape(lambda c: 1 / (t + _exact(c)), lambda c: -1 / (t + _exact(c)) ** 2, _inverse_start),
    Shape(lambda r: sympy.exp(_exact(r) * t), lambda r: t * sympy.exp(_exact(r) * t), _rate_start),
)


def candidates_with_time(
    data: Trajectories, terms: Sequence[sympy.Expr], drifting: Sequence[Drift], alpha: float
) -> list[Coefficients]:
    """Laws in which the terms that drift have a factor of t, the best fit first.

    Args:
        data: trajectories.
        terms: of the law with constant coefficients.
        drifting: those of them whose coefficients change with t, none of them through 0.
        alpha: of the intervals.
    """
    names, widths = {d.term: d for d in drifting}, choose_widths(data, terms)
    if any(min(d.values) <= 0 <= max(d.values) for d in drifting):
        return []
    laws = [[*terms, *(t * m for m in terms if str(m) in names)]]
    for shape in SHAPES:
        numbers = {str(m): shape.start(names[str(m)]) for m in terms if str(m) in names}
        found = _newton(data, terms, shape, numbers, alpha, widths)
        if found is not None:
            laws.append([m * shape.factor(found[str(m)]) if str(m) in found else m for m in terms])
    fits = []
    for law in laws:
        try:
            fits.append(effective_coefficients(data, law, alpha, widths=widths))
        except UserError:
            continue
    return sorted(fits, key=lambda f: f.misfit)


def _newton(
    data: Trajectories,
    terms: Sequence[sympy.Expr],
    shape: Shape,
    numbers: dict[str, float],
    alpha: float,
    widths: Widths,
) -> dict[str, float] | None:
    """The numbers of a shape for each term that drifts, rounded; ``None`` where it does not settle."""
    for _ in range(ROUNDS):
        own = [m * shape.factor(numbers[str(m)]) if str(m) in numbers else m for m in terms]
        slopes = [m * shape.slope(numbers[str(m)]) for m in terms if str(m) in numbers]
        try:
            fit = effective_coefficients(data, [*own, *slopes], alpha, widths=widths)
        except UserError:
            return None
        if len(fit.terms) < len(own) + len(slopes):
            return None
        changes, halves = {}, {}
        for k, name in enumerate(numbers, len(own)):
            j = next(j for j, m in enumerate(terms) if str(m) == name)
            a = float(fit.theta[j])
            changes[name] = float(fit.theta[k]) / a
            halves[name] = float(fit.upper[k] - fit.lower[k]) / 2 / abs(a)
        numbers = {name: value + changes[name] for name, value in numbers.items()}
        if all(abs(changes[n]) <= max(STILL * abs(numbers[n]), halves[n] / 4) for n in numbers):
            return {n: rounded(v, v - halves[n], v + halves[n]) for n, v in numbers.items()}
    return None
