"""Coefficients that trajectories have together: of the terms of an equation, and of its neighbours one by one.

The residual alone does not see a small term: 2 % of one that is a hundredth of the others is 2e-4. Its coefficient
does, with an interval of 1 % or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..laws.claims import Law
from ..laws.fits import MATERIAL, MISTAKE, Fit, fit
from ..weak import Samples, WeakRows
from .spacing import wrong_spacing
from .trials import Own, smoothing_bias
from .verdict import FACTOR, Coefficient

TESTED = 0.01  # half-length of the interval of a coefficient that is tested
HIDDEN = 0.5  # part of a neighbour's rows that is noise, from which nothing excludes it
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
        fits: whether the terms with these coefficients, and what is missing, leave no more than noise and grid explain.
    """

    terms: list[Coefficient]
    missing: list[Coefficient]
    open: list[str]
    ratios: list[Tensor]
    halves: list[Tensor]
    spacing: str
    fits: bool = True

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
    found, fits = Found([], [], [], [], [], ""), True
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
            bias = torch.zeros_like(scale)
            if law.smoothed():
                bias = smoothing_bias(samples, law, own[rung], left, best, scale)
            best = best.less_sure(bias)
            found.ratios.append(best.ratio)
            found.halves.append(best.half(MISTAKE, tests))
            found.terms.extend(_claims(n, law, named[n], best, tests, alpha))
        else:
            found.ratios.append(scale)
            found.halves.append(scale)
        # a missing term shows at more than one width, an accident of the noise less often
        beside, open_ = _absent(law, own[rung], scale, absent)
        complete: list[_Beside] = []
        if beside:
            others = sorted((i for i in range(len(own)) if i != rung), key=lambda i: (lengths[i], i) if J else i)
            widths = [beside, *(_absent(law, own[i], scale, absent)[0] for i in others)]
            again = {b.term for b in (widths[1] if others else beside)}
            beside = [b for b in beside if b.term in again]
            # without it no width is known to be the best: the first that agrees at each, and of these the best known
            agreeing = [
                next((b for b in seen if J and _agree(b.terms.less_sure(bias), tests)), None) for seen in widths
            ]
            complete = [b for b in agreeing if b is not None and beside]
            if complete:
                whole = min(complete, key=lambda b: float(b.fit.half(MISTAKE, tests).clamp(1e-12, 1e12).log().mean()))
                beside = [whole]  # with it the claims are right
                found.terms[-J:] = _claims(n, law, named[n], whole.terms.less_sure(bias), tests, alpha)
        found.missing.extend(replace(b.coefficient(n, absent, alpha), leading=named[n]) for b in beside)
        found.open.extend(f"{m} in the equation of {named[n]}" if named[n] else m for m in open_)
        if J:
            fits &= _left(own[rung], scale, best) <= FACTOR or bool(complete)
    if any(c.refused for c in found.terms) and not found.missing:
        found = replace(found, spacing=wrong_spacing(laws, samples.axes, found.ratios, found.halves))
    return replace(found, fits=fits)


def _left(rows: WeakRows, scale: Tensor, found: Fit) -> float:
    """What a fit leaves of rows in units of what is explained, RMS of the middle trajectory."""
    weights = torch.cat([torch.ones(1, dtype=torch.float64), scale * found.ratio])
    return float(rows.rms(rows.plain[..., : len(weights)] @ weights).nanmedian())


def _agree(found: Fit, tests: int) -> bool:
    """Whether no claim is refused."""
    return bool(((found.ratio - 1).abs() <= found.half(MISTAKE, tests) + MATERIAL).all())


def _claims(n: int, law: Law, leading: str, found: Fit, tests: int, alpha: float) -> list[Coefficient]:
    half, shown = found.half(MISTAKE, tests), found.half(alpha, tests)
    claims = []
    for j, (m, c) in enumerate(zip(law.terms, law.claimed, strict=True)):
        ratio, refuses, width = (float(v[j]) for v in (found.ratio, half, shown))
        if refuses == float("inf"):
            claims.append(Coefficient(n, str(m), c, None, None, None, None, False, False, leading))
            continue
        low, high = sorted((c * (ratio - width), c * (ratio + width)))
        refused = abs(ratio - 1) > refuses + MATERIAL
        claims.append(Coefficient(n, str(m), c, c * ratio, low, high, None, refuses <= TESTED, refused, leading))
    return claims


@dataclass(frozen=True)
class _Beside:
    """A fit of the terms and of a neighbour beside them, the last of its columns.

    Attributes:
        term: the neighbour.
        unit: the coefficient with which it is as large as the terms.
        size: of these.
        fit: relative to the claims and to the unit.
        left: what the fit leaves of the rows.
    """

    term: str
    unit: float
    size: float
    fit: Fit
    left: float

    @property
    def share(self) -> float:
        """The part of the terms that it would bring by itself with the coefficient `unit`."""
        return float(self.fit.alone[-1]) / self.size

    @property
    def terms(self) -> Fit:
        """Of the terms alone."""
        f = self.fit
        return Fit(f.ratio[:-1], f.spread[:-1], f.grid[:-1], f.degrees[:-1], f.alone[:-1])

    def half(self, alpha: float, tests: int) -> float:
        """Half-length of the interval of its relative coefficient."""
        return float(self.fit.half(alpha, tests)[-1])

    def coefficient(self, n: int, tests: int, alpha: float) -> Coefficient:
        """What the data say of it."""
        ratio, shown = float(self.fit.ratio[-1]), self.half(alpha, tests) * self.unit
        value, known = ratio * self.unit, self.half(MISTAKE, tests) * self.share <= TESTED
        part = abs(ratio) * self.share
        return Coefficient(n, self.term, 0.0, value, value - shown, value + shown, part, known, True)


def _absent(law: Law, rows: WeakRows, scale: Tensor, tests: int) -> tuple[list[_Beside], list[str]]:
    """Neighbours one by one beside the terms: those that the data have, and names of those that they do not exclude.

    First comes the one that leaves least of the rows.
    """
    J = len(law.terms)
    weights = torch.cat([torch.ones(1, dtype=torch.float64), scale])
    size = float((rows.plain[..., : J + 1] * weights).square().sum().sqrt())
    seen, loose = [], []
    for column, m in enumerate(law.neighbours, J + 1):
        norm = float(rows.plain[..., column].square().sum().sqrt())
        if not norm > 1e-12 * size:
            continue
        unit = size / norm
        those, columns = rows.of([*range(J + 1), column]), torch.cat([scale, torch.tensor([unit], dtype=torch.float64)])
        found = fit(those, columns)
        if not bool(found.spread[-1].isfinite()):  # on these data it is a combination of the terms, or nothing
            if float(those.noise[..., -1].norm()) > HIDDEN * norm:
                loose.append(str(m))
            continue
        left = those.plain @ torch.cat([torch.ones(1, dtype=torch.float64), columns * found.ratio])
        beside = _Beside(str(m), unit, size, found, float(left.square().sum()))
        half = beside.half(MISTAKE, tests)
        if (abs(float(found.ratio[-1])) - half) * beside.share > MISSING:
            seen.append(beside)
        elif half * beside.share > TESTED:
            loose.append(str(m))
    return sorted(seen, key=lambda b: b.left), loose
