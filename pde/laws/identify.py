"""The equation of data that come without one: an equation for every unknown, on any axes.

The candidates of each unknown (`candidates`) are set against test functions, `selection` proposes the few of them that
explain its first derivative in t, and `fitted` decides by intervals what stays, rounds nothing that the intervals
exclude, and accepts a law only if noise and grid explain what it leaves. Where no law of first order explains the data,
one of second order in t is looked for; and for an unknown that has neither, an equation without derivatives in t, such
as that of a streamfunction. An unknown that no equation explains is named, and then nothing is returned.

Of u on a periodic line coefficients are looked at in windows of t (`drift`); those that change with t get factors of t
(`clock`), when the law then fits better and nothing changes any more.

An equation found so is a hypothesis about the data at hand: terms outside the candidates, or too small for the noise,
are not in it. It is fitted to one part of the data, and whatever is said of it afterwards rests on the other (`split`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import sympy

from symflow.errors import UserError
from symflow.runs import one_thread

from ..equations import Equation, JetSpace, in_order
from ..trajectories import Trajectories, tears
from ..weak import FEWEST_STEPS, Samples
from .candidates import candidates, derivatives_of, time_index
from .clock import candidates_with_time
from .drift import drifts
from .fitted import SPACE_PROPOSES, TIME_PROPOSES, Columns, Fitted, Proposal, decide, explained, figures_of, rungs_of
from .intervals import MOST_DIGITS, rounded
from .regression import Coefficients, check_alpha, effective_coefficients

ORDERS = (1, 2)  # in t, that are tried
DRIFTING = 0.2  # of the terms: what a law may leave whose coefficients are then asked whether they depend on t
LINE = Equation("u_t + u_x = 0")


@one_thread()
def identify(x: Any, t: Any = None, u: Any = None, *, alpha: float = 0.05) -> Equation:
    """The equation, or the system, that data solve, as far as they tell.

    ``identify(data)`` of trajectories of any shape, whose own equation plays no part but for the names of the unknowns;
    ``identify(x, t, u)`` of arrays on a periodic line.

    Determinism: the same data give the same equation.

    Args:
        x: trajectories; or ``[X]``, uniform over one period without its right end.
        t: ``[T]``, increasing.
        u: ``[S, T, X]``.
        alpha: probability of error of the simultaneous intervals that decide over terms and digits.

    Raises:
        UserError: arrays that are no trajectories, or an unknown that no law fits.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=60, keep=60, end=20.0, resolution=128)
    >>> identify(data.x, data.t, data.u).text
    'u_t + u*u_x + u_xxx = 0'
    >>> orbits = pde.generate("u_t = 2/3*u - 4/3*u*v; v_t = u*v - v", 4, end=12.0, steps=200)
    >>> identify(orbits).text
    'u_t - 0.66667*u + 1.33333*u*v = 0; v_t - u*v + v = 0'
    """
    if isinstance(x, Trajectories):
        data = x
        if t is not None or u is not None:
            raise UserError("`identify` takes trajectories, or x, t and u, got both")
    else:
        # the container checks the arrays; it needs an equation, of which nothing is used
        data = Trajectories(LINE, x, t, u)
    return written(fitted_laws(data, alpha), Samples.of(data).space)


@one_thread()
def fitted_laws(data: Trajectories, alpha: float = 0.05) -> list[tuple[sympy.Expr, Fitted | Coefficients]]:
    """Leading term, other terms and their intervals of the equation of each unknown, in their order.

    Raises:
        UserError: as `identify`.
    """
    check_alpha(alpha)
    samples = Samples.of(data, torn=tears(data))
    if not rungs_of(samples, TIME_PROPOSES, SPACE_PROPOSES):
        short = min(samples.axes, key=len)
        raise UserError(
            f"a fit of an equation needs at least {2 * FEWEST_STEPS + 1} nodes along {short.name}, got {len(short)}"
        )
    if all(samples.unchanging(s) for s in range(len(samples))):
        raise UserError("no law fits the data: nothing changes in them")
    space = samples.space
    open_ = any(a.period is None for a in samples.axes if a.name != "t")
    found: dict[int, tuple[sympy.Expr, Fitted | Coefficients]] = {}
    failed: dict[int, list[tuple[sympy.Expr, Fitted | Proposal | None]]] = {}
    for order in ORDERS if "t" in space.independent else ():
        left = [a for a in range(len(space.dependent)) if a not in found and not _nearly(failed.get(a, ()))]
        leading = [space.symbol(a, time_index(space, order)) for a in left]
        if not left:
            break
        columns = Columns.of(samples, leading, candidates(space, order, slopes=not open_))
        for which, a in enumerate(left):
            best = decide(columns, which, alpha)
            with_time = _with_time(data, columns, best, alpha) if order == 1 and data.on_line else None
            if with_time is not None:
                found[a] = leading[which], with_time
            elif isinstance(best, Fitted) and best.accepted:
                found[a] = leading[which], best
            else:
                failed.setdefault(a, []).append((leading[which], best))
    for a, name in enumerate(space.dependent):
        if a not in found and (still := _without_time(samples, a, alpha, slopes=not open_)):
            found[a] = still
        if a not in found:
            of = f" of {name}" if len(space.dependent) > 1 else ""
            raise UserError(f"no law{of} fits the data: {_failure(failed.get(a, ()))}")
    return [found[a] for a in sorted(found)]


def _failure(tried: Sequence[tuple[sympy.Expr, Fitted | Proposal | None]]) -> str:
    """Of the law that leaves least."""
    known = [(float(best.figures.residual.nanmedian()), m, best) for m, best in tried if best is not None]
    if not known:
        return "no candidate term is certain"
    residual, leading, best = min(known, key=lambda k: k[0])
    near = next(((m, best) for m, best in tried if best is not None and explained(best.figures, math.inf)), None)
    leading, best = near or (leading, best)
    law = f"{leading} + a combination of {', '.join(map(str, best.terms))} = 0"
    residual, error = (float(v.nanmedian()) for v in (best.figures.residual, best.figures.error))
    if near and not explained(best.figures):
        return f"the best, {law}, leaves {residual:.2g} of its terms, and noise and grid explain {error:.1g} of any"
    if near and not (isinstance(best, Fitted) and best.sure):
        return f"{law} would, but the data are too few, or too alike, to tell how sure"
    more = "; other terms, or higher powers, leave less" if near else ""
    return f"the best, {law}, leaves {residual:.2g} of its terms, where {error:.1g} is explained{more}"


def _nearly(tried: Sequence[tuple[sympy.Expr, Fitted | Proposal | None]]) -> bool:
    """Whether an equation of lower order fits but for what noise and grid hide: then none of higher order is tried."""
    return any(best is not None and explained(best.figures, math.inf) for _, best in tried)


def _without_time(samples: Samples, unknown: int, alpha: float, *, slopes: bool) -> tuple[sympy.Expr, Fitted] | None:
    """An equation without derivatives in t, of a second derivative in space or of a first one, and of other unknowns.

    One without others says of what shapes these data are made, not how they change.
    """
    space = samples.space
    terms = candidates(space, 0, slopes=slopes)
    leading = [m for n in (2, 1) for m in derivatives_of(space, unknown, n)]
    if not leading or len(space.dependent) == 1:
        return None
    columns = Columns.of(samples, leading, terms)
    for which, m in enumerate(leading):
        best = decide(columns, which, alpha, without=[m])
        others = best is not None and any(a != unknown for n in best.terms for a, _ in space.indices(n))
        if isinstance(best, Fitted) and best.accepted and others:
            return m, best
    return None


def _with_time(
    data: Trajectories, columns: Columns, best: Fitted | Proposal | None, alpha: float
) -> Coefficients | None:
    """A law of u on a periodic line with factors of t where coefficients drift; ``None`` where none do or none fits."""
    accepted = best is not None and best.accepted
    for terms in [best.terms] if accepted and best is not None else columns.fewest(0, DRIFTING):
        try:
            fit = effective_coefficients(data, terms, alpha)
        except UserError:
            continue
        drifting = [d for d in drifts(data, _on_line(fit)) if d.axis == "t"]
        for found in candidates_with_time(data, fit.terms, drifting, alpha) if drifting else ():
            better = found.misfit < fit.misfit and bool(((found.lower > 0) | (found.upper < 0)).all())
            if not better or drifts(data, _on_line(found)):
                continue
            if accepted or explained(figures_of(columns.samples, columns.leading[0], found.terms)):
                return found
    return None


def _on_line(fit: Coefficients) -> Equation:
    space = JetSpace(("t", "x"), ("u",))
    return Equation(_text(space.symbol(0, (1, 0)), fit, space))


def _text(leading: sympy.Expr, fit: Fitted | Coefficients, space: JetSpace) -> str:
    """One equation, its coefficients rounded to the fewest digits that their intervals allow."""
    text, terms = str(leading), fit.terms
    rank = {m: (max((sum(k) for _, k in space.indices(m)), default=0), str(m)) for m in terms}
    for j in sorted(range(len(terms)), key=lambda j: rank[terms[j]]):
        value = rounded(*(float(v[j]) for v in (fit.theta, fit.lower, fit.upper)))
        size, term = f"{abs(value):.{MOST_DIGITS}g}", str(terms[j])
        term = f"({term})" if terms[j].is_Add else term
        product = size if term == "1" else term if size == "1" else f"{size}*{term}"
        text += f" {'-' if value < 0 else '+'} {product}"
    return text + " = 0"


def written(laws: Sequence[tuple[sympy.Expr, Fitted | Coefficients]], space: JetSpace) -> Equation:
    """Laws as one equation or system, with their names declared only where these would not be read so."""
    text, names = "; ".join(_text(leading, fit, space) for leading, fit in laws), in_order(space.independent)
    try:
        found = Equation(text)
        if found.space == JetSpace(tuple(names), space.dependent):
            return found
    except UserError:
        pass
    return Equation(text, names, space.dependent)
