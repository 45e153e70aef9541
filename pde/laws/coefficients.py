"""Coefficients that trajectories have together: of the terms of an equation, and of its neighbours one by one.

The residual alone does not see a small term: 2 % of one that is a hundredth of the others is 2e-4. Its coefficient
does, with an interval of 1 % or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy
import torch
from torch import Tensor

from ..weak import SIGNAL, Samples, WeakRows, rows_on_axes
from .claims import Law
from .fits import Fit, fit
from .spacing import wrong_spacing
from .trials import MISTAKE, Own
from .verdict import MATERIAL, Coefficient

TESTED = 0.01  # half-length of the interval of a coefficient that is tested
MISSING = 1e-4  # of the terms: a smaller contribution of a neighbour may be the solver's


@dataclass(frozen=True)
class Found:
    """What trajectories have together.

    Attributes:
        terms: of the equations.
        missing: neighbours that the data have.
        open: names of neighbours that they do not exclude.
        ratios, halves: for each law, fitted over claimed coefficients and the half-lengths of what refuses.
        spacing: which spacing is wrong, in words.
    """

    terms: list[Coefficient]
    missing: list[Coefficient]
    open: list[str]
    ratios: list[Tensor]
    halves: list[Tensor]
    spacing: str

    def agrees(self, own: Own) -> bool:
        """Whether a coefficient of one trajectory by itself is that of those here."""
        apart = abs(own.ratio - float(self.ratios[own.law][own.term]))
        return apart <= own.half + float(self.halves[own.law][own.term]) + MATERIAL

    @property
    def refused(self) -> list[Coefficient]:
        """Those that refute the equation."""
        return [c for c in (*self.terms, *self.missing) if c.refused]


def coefficients(
    samples: Samples, rows: Sequence[Sequence[WeakRows]], laws: Sequence[Law], left: Sequence[int], alpha: float
) -> Found:
    """The coefficients of some trajectories together, for each law at the widths that give the shortest intervals.

    Args:
        samples: the data.
        rows: of each rung and law.
        laws: the equations.
        left: the trajectories.
        alpha: probability of error of the intervals that are shown.
    """
    found = Found([], [], [], [], [], "")
    named = [str(law.leading) if len(laws) > 1 else "" for law in laws]
    tests = max(sum(len(law.terms) for law in laws), 1)
    absent = max(sum(len(law.neighbours) for law in laws), 1)
    for n, law in enumerate(laws):
        J = len(law.terms)
        scale = torch.tensor(law.claimed, dtype=torch.float64)
        own = [of_laws[n].only(left) for of_laws in rows]
        rung, lengths = len(own) - 1, [0.0]
        if J:
            tried = [fit(r.of(range(J + 1)), scale) for r in own]
            lengths = [float(f.half(MISTAKE, tests).clamp(1e-12, 1e12).log().mean()) for f in tried]
            rung = lengths.index(min(lengths))
            best = tried[rung]
            if law.smoothed():
                best = replace(best, grid=best.grid + _bias(samples, law, own[rung], left, best, scale))
            half, shown = best.half(MISTAKE, tests), best.half(alpha, tests)
            found.ratios.append(best.ratio)
            found.halves.append(half)
            for j, m in enumerate(law.terms):
                figures = (float(v[j]) for v in (best.ratio, half, shown))
                found.terms.append(replace(_claim(n, m, law.claimed[j], *figures), leading=named[n]))
        else:
            found.ratios.append(scale)
            found.halves.append(scale)
        # a missing term shows at more than one width, an accident of the noise less often
        second = sorted(range(len(own)), key=lambda i: (lengths[i], i))[:2][-1] if J else rung
        seen, open_ = _absent(n, law, own[rung], scale, absent, alpha)
        if seen:
            again = {c.term for c in _absent(n, law, own[second], scale, absent, alpha)[0]}
            seen = [c for c in seen if c.term in again]
        found.missing.extend(replace(c, leading=named[n]) for c in seen)
        found.open.extend(f"{m} in the equation of {named[n]}" if named[n] else m for m in open_)
    if any(c.refused for c in found.terms) and not found.missing:
        return replace(found, spacing=wrong_spacing(laws, samples.axes, found.ratios, found.halves))
    return found


def _claim(n: int, m: sympy.Expr, c: float, ratio: float, half: float, shown: float) -> Coefficient:
    if half == float("inf"):
        return Coefficient(n, str(m), c, None, None, None, None, False, False)
    low, high = sorted((c * (ratio - shown), c * (ratio + shown)))
    return Coefficient(n, str(m), c, c * ratio, low, high, None, half <= TESTED, abs(ratio - 1) > half + MATERIAL)


def _bias(samples: Samples, law: Law, rows: WeakRows, left: Sequence[int], found: Fit, scale: Tensor) -> Tensor:
    """What smoothing four times as much moves the coefficients: the bias of derivatives in factors that keep them."""
    some = law.columns()[: len(law.terms) + 1]
    harder = fit(rows_on_axes(samples[list(left)], some, rows.widths, 4 * SIGNAL).over(rows.unit), scale)
    return (harder.ratio - found.ratio).abs()


def _absent(
    n: int, law: Law, rows: WeakRows, scale: Tensor, tests: int, alpha: float
) -> tuple[list[Coefficient], list[str]]:
    """Neighbours one by one beside the terms: those that the data have, and names of those that they do not exclude."""
    J = len(law.terms)
    weights = torch.cat([torch.ones(1, dtype=torch.float64), scale])
    size = float((rows.plain[..., : J + 1] * weights).square().sum().sqrt())
    seen, loose = [], []
    for column, m in enumerate(law.neighbours, J + 1):
        norm = float(rows.plain[..., column].square().sum().sqrt())
        if not norm > 1e-12 * size:
            continue
        unit = size / norm
        found = fit(rows.of([*range(J + 1), column]), torch.cat([scale, torch.tensor([unit], dtype=torch.float64)]))
        if not bool(found.spread[-1].isfinite()):
            continue  # on these data it is a combination of the terms
        half, shown = float(found.half(MISTAKE, tests)[-1]), float(found.half(alpha, tests)[-1]) * unit
        ratio, share = float(found.ratio[-1]), float(found.alone[-1]) / size
        value, known = ratio * unit, half * share <= TESTED
        if (abs(ratio) - half) * share > MISSING:
            part = abs(ratio) * share
            seen.append(Coefficient(n, str(m), 0.0, value, value - shown, value + shown, part, known, True))
        elif not known:
            loose.append(str(m))
    return sorted(seen, key=lambda c: -(c.share or 0.0)), loose
