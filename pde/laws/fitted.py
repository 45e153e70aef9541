"""An equation for one unknown: terms proposed, reduced by intervals, and accepted only if they explain the data.

Proposals (`selection`) come from wide test functions and all candidates. Each is fitted at a ladder of widths, and the
one with the shortest intervals decides. Terms whose interval holds 0, all intervals at once and for all candidates, or
which bring less than `NEGLIGIBLE` of the terms, leave one by one, the least certain first. What is then left of the
rows must be what noise and grid explain (`figures`), with the bounds of the gate, in most of the trajectories. What is
small and not explained, as the errors of other solvers, must be left by other terms, too, higher powers among them:
else the law is the beginning of a series, in the place of a function that is no candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import sympy
import torch
from torch import Tensor

from ..weak import HalfWidths, Samples, WeakRows, moved, rows_on_ladder, widths
from .candidates import powers
from .figures import FEW_TIMES, Figures
from .fits import MATERIAL, fit
from .selection import MOST_TERMS, Grams, best_of_each_number, needed, proposed

FACTOR = 3.0  # of the error that a residual may have
ACCOUNTED = 1.5  # of the error: up to it a residual is no reason for other terms
KNOWN = 0.02  # of the terms: a larger error explains too much
NEGLIGIBLE = 1e-3  # of the terms
HELPS = 0.5  # of what a law leaves that noise and grid do not explain: if other terms leave less, it is none
LARGEST = 2**26  # numbers in the rows of all candidates: a rung that has more is left out
SURE = 0.3  # of a coefficient: a longer interval about one of them makes no law
TRIED = 4  # proposals
STEPS = 6  # in a half-width: with fewer, every second node says too little of the error
FEW = 5  # terms whose coefficients may depend on t
# of an axis, half-widths of test functions: of many times, and of few
TIME_PROPOSES, TIME_DECIDES = ((7, 3), (4, 2)), ((14, 10, 7, 4, 3), (8, 6, 4, 3, 2))
SPACE_PROPOSES, SPACE_DECIDES = (5, 3), (8, 5, 3)


@dataclass(frozen=True)
class Fitted:
    """``leading + sum_j theta_j m_j = 0`` with intervals that all hold at once.

    Attributes:
        leading: the term with the coefficient 1.
        terms: the m_j.
        theta, lower, upper: ``[J]``.
        figures: what is left of the rows, and what noise and grid explain, where they explain least.
        accepted: whether that explains the data, and further candidates would not do so better.
    """

    leading: sympy.Expr
    terms: tuple[sympy.Expr, ...]
    theta: Tensor
    lower: Tensor
    upper: Tensor
    figures: Figures
    accepted: bool = False

    @property
    def sure(self) -> bool:
        """Whether every coefficient is known to a part of itself."""
        return bool((self.upper - self.theta <= SURE * self.theta.abs()).all())


@dataclass(frozen=True)
class Columns:
    """Rows of the leading terms and of the candidates at the widths that propose."""

    samples: Samples
    leading: tuple[sympy.Expr, ...]
    candidates: tuple[sympy.Expr, ...]
    rungs: tuple[WeakRows, ...]

    @staticmethod
    def of(samples: Samples, leading: Sequence[sympy.Expr], candidates: Sequence[sympy.Expr]) -> Columns:
        """As many rungs as there is room for, the widest at least."""
        columns = [moved(m, samples.space) for m in (*leading, *candidates)]
        rungs: list[WeakRows] = []
        for wanted in reversed(rungs_of(samples, TIME_PROPOSES, SPACE_PROPOSES)):
            count = len(samples) * math.prod(
                (len(a) if a.period is not None else len(a) - 2 * w) // max(w // 4, 1) + 1
                for a, w in zip(samples.axes, wanted, strict=True)
            )
            if not rungs or count * len(columns) * (2 + len(samples.axes)) < LARGEST:
                rungs += rows_on_ladder(samples, columns, [wanted])
        return Columns(samples, tuple(leading), tuple(candidates), tuple(rungs))

    def proposals(self, which: int, without: Sequence[sympy.Expr] = ()) -> list[Proposal]:
        """Terms for one of the leading ones, those that are needed first."""
        there = [j for j, m in enumerate(self.candidates) if m not in without]
        rungs = [rows.of([which, *(len(self.leading) + j for j in there)]) for rows in self.rungs]
        rungs = [rows.over(unit(rows)) for rows in rungs if bool(rows.plain.isfinite().all())]
        grams = [Grams.of(rows) for rows in rungs]
        supports = sorted({tuple(s) for g in grams for s in proposed(g)[:TRIED]})
        judged = sorted(zip(map(sum, zip(*(needed(g, supports) for g in grams), strict=True)), supports, strict=True))
        found = []
        for cost, s in judged[:TRIED]:
            if math.isfinite(cost):
                terms = tuple(self.candidates[there[j - 1]] for j in s)
                found.append(Proposal(terms, quietest([_figures(rows.of([0, *s])) for rows in rungs])))
        return found

    def complete(self, which: int, terms: Sequence[sympy.Expr], without: Sequence[sympy.Expr] = ()) -> bool:
        """Whether other candidates and higher powers leave nearly as much as these terms (widest test functions)."""
        space = self.samples.space
        there = [m for m in self.candidates if m not in without] + powers(space)
        columns = [moved(m, space) for m in (self.leading[which], *there)]
        (rows,) = rows_on_ladder(self.samples, columns, [self.rungs[0].widths])
        if not bool(rows.plain.isfinite().all()):
            return True
        grams = Grams.of(rows.over(unit(rows)))
        own = [n for n, m in enumerate(there, 1) if m in terms]
        more = [sum(grams.left(s)) for s in best_of_each_number(grams, MOST_TERMS) if len(s) > len(own)]
        return min(more, default=math.inf) > HELPS**2 * grams.left(own)[0]

    def explain(self, found: Fitted, which: int, without: Sequence[sympy.Expr] = ()) -> bool:
        """Whether a law leaves no more than noise and grid explain, or no more than other terms would."""
        if not explained(found.figures) or not found.sure:
            return False
        return accounted_for(found.figures) or self.complete(which, found.terms, without)

    def fewest(self, which: int, most: float) -> list[tuple[sympy.Expr, ...]]:
        """The best few terms of each number, from one on, that leave no more than a part of their size."""
        rows = self.rungs[0].of([which, *range(len(self.leading), len(self.leading) + len(self.candidates))])
        rows = rows.over(unit(rows))
        found = []
        for s in best_of_each_number(Grams.of(rows), FEW):
            if float(_figures(rows.of([0, *s])).residual.nanmedian()) < most:
                found.append(tuple(self.candidates[j - 1] for j in s))
        return found


@dataclass(frozen=True)
class Proposal:
    """Terms beside a leading one, and what they leave of its rows where noise and grid explain least."""

    terms: tuple[sympy.Expr, ...]
    figures: Figures
    accepted: bool = False


def rungs_of(samples: Samples, times: Sequence[Sequence[int]], spaces: Sequence[int]) -> list[HalfWidths]:
    """Half-widths from narrow to wide, axes of space together; none where an axis has no room."""
    choices = []
    for axis in samples.axes:
        found = widths(axis, *(times[len(axis) < FEW_TIMES] if axis.name == "t" else spaces))
        choices.append([w for w in found if w >= STEPS] or found[-1:])
    if not all(choices):
        return []
    time = [n for n, axis in enumerate(samples.axes) if axis.name == "t"]
    late = max((len(choices[n]) for n in time), default=1)
    wide = max((len(c) for n, c in enumerate(choices) if n not in time), default=1)
    rungs = [
        tuple(c[min(i if n in time else j, len(c) - 1)] for n, c in enumerate(choices))
        for i, j in product(range(late), range(wide))
    ]
    return list(dict.fromkeys(rungs))


def unit(rows: WeakRows) -> Tensor:
    """What the rows of each trajectory are divided by, from their first column: the loudest does not speak for all."""
    return (rows.rms(rows.noise[..., 0]) + MATERIAL * rows.rms(rows.plain[..., 0])).clamp_min(1e-300)


def decide(columns: Columns, which: int, alpha: float, without: Sequence[sympy.Expr] = ()) -> Fitted | Proposal | None:
    """The equation of one of the leading terms: the first proposal that explains the data, else what came nearest.

    ``None`` where there is no proposal.
    """
    best: Fitted | Proposal | None = None
    for proposal in columns.proposals(which, without):
        if not explained(proposal.figures):  # fewer terms would leave more
            best = best or proposal
            continue
        found = reduced(columns.samples, columns.leading[which], proposal.terms, alpha, len(columns.candidates))
        if found is not None and columns.explain(found, which, without):
            return replace(found, accepted=True)
        if not isinstance(best, Fitted):
            best = found or proposal  # whose coefficients are not determined
    return best


def reduced(
    samples: Samples, leading: sympy.Expr, terms: Sequence[sympy.Expr], alpha: float, tests: int
) -> Fitted | None:
    """A law without the terms that it can do without; ``None`` where none is left or none is determined."""
    space = samples.space
    ladder = rungs_of(samples, TIME_DECIDES, SPACE_DECIDES)
    rungs = [
        rows.over(unit(rows))
        for rows in rows_on_ladder(samples, [moved(m, space) for m in (leading, *terms)], ladder)
        if bool(rows.plain.isfinite().all())
    ]
    kept = list(range(len(terms)))
    while kept:
        own = [rows.of([0, *(j + 1 for j in kept)]) for rows in rungs]
        fits = [(rows, scale, fit(rows, scale)) for rows in own for scale in [least_squares(rows)] if scale is not None]
        fits = [f for f in fits if bool(f[2].spread.isfinite().any())]
        if not fits:
            return None
        rows, scale, found = min(fits, key=lambda f: float(f[2].half(alpha, tests).clamp(1e-12, 1e12).log().mean()))
        half, theta = found.half(alpha, tests), scale * found.ratio
        sizes = rows.plain.square().flatten(0, -2).mean(0).sqrt() * torch.cat([torch.ones(1), theta.abs()])
        doubtful = ~(half < found.ratio.abs()) | (sizes[1:] < NEGLIGIBLE * sizes.max())
        if not bool(doubtful.any()):
            figures = quietest([_figures(r) for r in own])
            width = scale.abs() * half
            return Fitted(leading, tuple(terms[j] for j in kept), theta, theta - width, theta + width, figures)
        certainty = torch.where(doubtful, found.ratio.abs() / half.clamp_min(1e-300), torch.inf)
        kept.pop(int(certainty.argmin()))
    return None


def figures_of(samples: Samples, leading: sympy.Expr, terms: Sequence[sympy.Expr]) -> Figures:
    """What terms leave of a leading one where noise and grid explain least."""
    columns = [moved(m, samples.space) for m in (leading, *terms)]
    ladder = rungs_of(samples, TIME_DECIDES, SPACE_DECIDES)
    return quietest([_figures(rows) for rows in rows_on_ladder(samples, columns, ladder)])


def least_squares(rows: WeakRows) -> Tensor | None:
    """Coefficients of columns 1, 2, ... without the noise; ``None`` where they are not determined."""
    flat, white = rows.plain.flatten(0, -2), rows.noise.flatten(0, -2)
    gram = flat.T @ flat - white.T @ white
    size = gram.diagonal()[1:].clamp_min(0).sqrt()
    if not bool((size > 0).all()):
        return None
    inner, b = gram[1:, 1:] / size / size[:, None], (gram[1:, 0] / size)[:, None]
    found: Tensor = -torch.linalg.lstsq(inner, b, driver="gelsd").solution[:, 0] / size
    return found if bool((found.abs() > 0).all()) else None


def _figures(rows: WeakRows) -> Figures:
    """Of the leading column with the others at their coefficients; infinite where these are not determined."""
    theta = least_squares(rows)
    if theta is None:
        nothing = torch.full((len(rows.plain),), torch.inf, dtype=torch.float64)
        return Figures(nothing, nothing, nothing, nothing[None])
    weights = torch.cat([torch.ones(1, dtype=torch.float64), theta])

    def more(some: Tensor) -> Tensor:
        return torch.cat([some, (some @ weights)[..., None]], -1)

    change = tuple(more(c) for c in rows.change)
    return Figures.of(replace(rows, plain=more(rows.plain), noise=more(rows.noise), change=change), theta.tolist())


def quietest(figures: Sequence[Figures]) -> Figures:
    """Those where noise and grid explain least."""
    return min(figures, key=lambda f: float(f.error.nan_to_num(nan=torch.inf).median()))


def accounted_for(figures: Figures) -> bool:
    """Whether noise and grid leave nothing to other terms."""
    return bool((figures.residual - ACCOUNTED * figures.error).nanmedian() <= 0)


def explained(figures: Figures, known: float = KNOWN) -> bool:
    """Whether noise and grid, which must be small themselves, explain what is left of most trajectories."""
    fine = (figures.residual <= FACTOR * figures.error + MATERIAL) & (figures.error <= known)
    return 2 * int(fine.sum()) > len(fine)
