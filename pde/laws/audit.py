"""Whether data solve the equation they claim: residual maps, outlying trajectories, effective coefficients.

All of it is in weak form (`pde.laws.regression`): no derivative of the data is taken and noise is measured beside the
residual, so that noise is not mistaken for a false label.

**Residual.** ``r = y + Z theta`` at the claimed theta, for one test function, and d, the same with the checkerboard:
what the noise alone contributes. With W the RMS of the terms of the trajectory,

    relative = RMS(r) / W,        excess = r / (noise + FLOOR W),

the noise being the median of ``|d|`` over the trajectory, scaled to a standard deviation: a local fault does not move
it.

**Outliers** among trajectories are found by the median and the median absolute deviation (MAD), on a logarithmic scale,
of three figures: the RMS of the excess (another law), its largest value (a local fault: a row that is shifted or in
the wrong place, a burst of noise), and the noise itself (another noise). A figure counts when it is `THRESHOLD`
deviations above the median, and beyond the size from which it means something at all.

**Coefficients.** Those of the trajectories that are no outliers, with simultaneous intervals. A claimed value is
refused when it is outside its interval and further from the estimate than a thousandth of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.formulas import text_table
from symflow.runs import one_thread

from ..trajectories import Trajectories
from .regression import Coefficients, candidates, check_alpha, effective_coefficients
from .terms import law
from .weak_form import Rows, Widths, weak_rows

FLOOR = 1e-3  # of the terms: smaller residuals are those of grids and solvers
THRESHOLD = 6.0  # deviations above the median, on a logarithmic scale
LEAST_SPREAD = 0.1  # of the logarithm: trajectories that agree better than 10 % do not make others outliers
MATERIAL = 1e-3  # relative difference of coefficients below which nothing is refused
EXCESS = 2.0  # RMS of residuals over noise and floor, from which a law is doubted
PEAK = 10.0  # the same for the largest of them
FEWEST = 4  # trajectories among which one can be called an outlier
CONSISTENT = 1.4826  # the MAD of a normal variable times this is its standard deviation


@dataclass(frozen=True)
class Outlier:
    """A trajectory unlike the others: its index, which figure says so, and where its residual is largest."""

    trajectory: int
    reason: str
    t: float
    x: float


@dataclass(frozen=True)
class Claim:
    """A coefficient of the equation beside that of the data.

    Attributes:
        term: with ``u_t`` at coefficient 1 on the same side.
        claimed: by the equation.
        estimate, lower, upper: of the data; ``None`` when they cannot tell.
        refused: whether the data contradict the claim.
        sentence: how they do, or an empty text.
    """

    term: str
    claimed: float
    estimate: float | None
    lower: float | None
    upper: float | None
    refused: bool
    sentence: str


@dataclass(frozen=True)
class DataAudit:
    """What an audit of data found; ``print(audit)`` shows it as a table with a verdict.

    Attributes:
        equation: the text of the equation the data claim.
        verdict: one of "consistent", "outliers", "refused", "undecided".
        sentences: what is wrong, in words; what is right, when nothing is.
        claims: the coefficients.
        outliers: trajectories unlike the others.
        residual: ``[S]``, relative RMS of each trajectory.
        excess: ``[S]``, RMS of the residual over noise and floor: about 1 and less for data of the equation.
        noise: standard deviation of the noise of u over that of u.
        map: ``[S, times, places]``, residuals relative to the RMS of the trajectory's terms.
        t, x: the centres of the test functions of the map.
        coefficients: the regression behind the claims, ``None`` where it failed.
        alpha: probability of error of the intervals, all together.
    """

    equation: str
    verdict: str
    sentences: tuple[str, ...]
    claims: tuple[Claim, ...]
    outliers: tuple[Outlier, ...]
    residual: Tensor
    excess: Tensor
    noise: float
    map: Tensor
    t: Tensor
    x: Tensor
    coefficients: Coefficients | None
    alpha: float

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the equation in any trajectory."""
        return self.verdict == "consistent"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the map."""
        return {
            "equation": self.equation,
            "verdict": self.verdict,
            "sentences": list(self.sentences),
            "claims": [vars(c) for c in self.claims],
            "outliers": [vars(o) for o in self.outliers],
            "residual": self.residual.tolist(),
            "excess": self.excess.tolist(),
            "noise": self.noise,
            "coefficients": self.coefficients.to_dict() if self.coefficients else None,
            "alpha": self.alpha,
        }

    def __str__(self) -> str:
        rows = []
        for c in self.claims:
            if c.estimate is None or c.lower is None or c.upper is None:
                rows.append([c.term, f"{c.claimed:g}", "-", "-", "no"])
                continue
            interval = f"{c.lower:.6g} ... {c.upper:.6g}"
            rows.append([c.term, f"{c.claimed:g}", f"{c.estimate:.6g}", interval, "yes" if c.refused else "no"])
        level = f">{100 * (1 - self.alpha):g} % interval"
        lines = text_table(["term", ">equation", ">data", level, "refused"], rows)
        head = f"{len(self.residual)} trajectories that claim {self.equation}: {self.verdict}"
        return "\n".join([head, "", lines, "", *self.sentences])


@one_thread()
def audit_data(data: Trajectories, alpha: float = 0.05) -> DataAudit:
    """Whether data solve the equation they claim, trajectory by trajectory and coefficient by coefficient.

    Determinism: the same data give the same audit.

    Args:
        data: trajectories with the equation they claim.
        alpha: probability that any of the intervals of coefficients misses.

    Raises:
        UserError: too few times or points for any test function, or terms that are not finite on the data.
        ValueError: `alpha` is no probability.

    >>> from dataclasses import replace
    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=60, keep=60, end=20.0, resolution=128)
    >>> audit_data(data).verdict
    'consistent'
    >>> audit_data(replace(data, equation=pde.Equation("u_t + 6*u*u_x + u_xxx = 0"))).sentences[0]
    'the data have u*u_x with coefficient 1.0000 ± 0.0001, the equation says 6'
    """
    check_alpha(alpha)
    own = law(data.equation)
    terms = tuple(own)
    theta = torch.tensor(list(own.values()), dtype=torch.float64)
    figures, rows = _residuals(data, theta)
    outliers = _outliers(figures, rows)
    left = [s for s in range(len(data)) if s not in {o.trajectory for o in outliers}]
    noise = float(figures.sigma.median()) / max(figures.scale, 1e-300)
    sentences = []
    try:
        fit = effective_coefficients(data[left], terms, alpha)
    except UserError as error:
        fit = None
        sentences.append(f"the coefficients are undecided: {error}")
    claims = tuple(_claim(str(m), a, fit, terms.index(m)) for m, a in own.items())
    refused = [c for c in claims if c.refused]
    excess = float(figures.excess[left].median())
    sentences[:0] = [c.sentence for c in refused]
    for o in outliers:
        sentences.append(f"trajectory {o.trajectory} is unlike the others: {o.reason} (t = {o.t:.4g}, x = {o.x:.4g})")
    if refused:
        verdict = "refused"
    elif excess > EXCESS:
        verdict = "refused"
        sentences.insert(
            0,
            f"the data do not solve the equation: its weak residual is {float(figures.relative[left].median()):.2g} "
            f"of its terms, {excess:.1f} times what noise and grid explain, though no coefficient is wrong by itself",
        )
    elif outliers:
        verdict = "outliers"
    elif fit is None or fit.collinear or _vague(claims):
        verdict = "undecided"
        if fit is not None:
            sentences.append("the residual is that of noise, but the data do not tell every coefficient from 0")
    else:
        verdict = "consistent"
        sentences.append(
            f"nothing speaks against the equation: the weak residual is {float(figures.relative.median()):.1g} of its "
            f"terms, the noise of u {noise:.1g} of u, and every coefficient agrees"
        )
    return DataAudit(
        equation=data.equation.text,
        verdict=verdict,
        sentences=tuple(sentences),
        claims=claims,
        outliers=tuple(outliers),
        residual=figures.relative,
        excess=figures.excess,
        noise=noise,
        map=figures.map,
        t=rows.t,
        x=rows.x,
        coefficients=fit,
        alpha=alpha,
    )


@dataclass(frozen=True)
class _Figures:
    relative: Tensor  # [S]
    excess: Tensor  # [S]
    peak: Tensor  # [S]
    sigma: Tensor  # [S]
    scale: float  # standard deviation of u
    map: Tensor


def _residuals(data: Trajectories, theta: Tensor) -> tuple[_Figures, Rows]:
    """Residuals for test functions from narrow to wide, of which each trajectory takes its own.

    What the grid leaves out of the sums vanishes with the width, later for fast trajectories; a fault of the data
    stays. So a trajectory is judged by its smallest excess, and its peak is that of the narrowest test functions that
    come near it, for they see a fault best. The map is for the narrowest that do for most trajectories.
    """
    terms = tuple(law(data.equation))
    ladder = [weak_rows(data, terms, widths) for widths in _diagonal(candidates(data))]
    residuals = [rows.residual(theta)[0] for rows in ladder]
    units = [_unit(rows, theta) for rows in ladder]
    sizes = [_size(rows, theta) for rows in ladder]
    rms = [r.square().mean((1, 2)).sqrt() for r in residuals]
    excess = torch.stack([v / unit for v, unit in zip(rms, units, strict=True)])
    peak = torch.stack([r.abs().amax((1, 2)) / unit for r, unit in zip(residuals, units, strict=True)])
    relative = torch.stack([v / size for v, size in zip(rms, sizes, strict=True)])
    near = excess <= 1.5 * excess.amin(0)
    narrowest = near.to(torch.uint8).argmax(0, keepdim=True)
    typical = excess.median(1).values
    shown = int((typical <= 1.5 * typical.min()).to(torch.uint8).argmax())
    rows = ladder[shown]
    return _Figures(
        relative=relative.gather(0, narrowest)[0],
        excess=excess.amin(0),
        peak=peak.gather(0, narrowest)[0],
        sigma=rows.sigma,
        scale=float(data.u.std()),
        map=residuals[shown] / sizes[shown][:, None, None],
    ), rows


def _diagonal(widths: list[Widths]) -> list[Widths]:
    """From the narrowest to the widest, both at once."""
    in_x, in_t = (sorted({getattr(w, name) for w in widths}) for name in ("x", "t"))
    steps = max(len(in_x), len(in_t))
    return [Widths(in_x[min(n, len(in_x) - 1)], in_t[min(n, len(in_t) - 1)]) for n in range(steps)]


def _size(rows: Rows, theta: Tensor) -> Tensor:
    weights = torch.cat([torch.ones(1, dtype=torch.float64), theta])
    return (rows.values * weights).square().sum(-1).mean((1, 2)).sqrt().clamp_min(1e-300)


def _unit(rows: Rows, theta: Tensor) -> Tensor:
    _, d = rows.residual(theta)
    return CONSISTENT * d.abs().flatten(1).median(1).values + FLOOR * _size(rows, theta)


def _outliers(figures: _Figures, rows: Rows) -> list[Outlier]:
    if len(figures.excess) < FEWEST:
        return []
    noise = figures.sigma.clamp_min(1e-300)
    tests = (
        (figures.excess, EXCESS, "it does not solve the equation as the others do, residual {:.1f} times theirs"),
        (figures.peak, PEAK, "a local fault, largest residual {:.1f} times theirs"),
        (noise, FLOOR * figures.scale, "another noise, {:.1f} times theirs"),
    )
    found: dict[int, Outlier] = {}
    for values, least, reason in tests:
        logs = values.clamp_min(1e-300).log()
        middle = logs.median()
        spread = max(CONSISTENT * float((logs - middle).abs().median()), LEAST_SPREAD)
        for s in ((logs - middle > THRESHOLD * spread) & (values > least)).nonzero()[:, 0].tolist():
            at = int(figures.map[s].abs().argmax())
            i, j = divmod(at, figures.map.shape[2])
            text = reason.format(float(values[s] / values.median()))
            found.setdefault(s, Outlier(s, text, float(rows.t[i]), float(rows.x[j])))
    return [found[s] for s in sorted(found)]


def _claim(term: str, claimed: float, fit: Coefficients | None, index: int) -> Claim:
    names = [] if fit is None else [str(m) for m in fit.terms]
    if fit is None or term not in names:
        return Claim(term, claimed, None, None, None, False, "")
    j = names.index(term)
    estimate, lower, upper = (float(v[j]) for v in (fit.theta, fit.lower, fit.upper))
    outside = not lower <= claimed <= upper
    refused = outside and abs(claimed - estimate) > MATERIAL * abs(claimed)
    half = max((upper - lower) / 2, 1e-300)
    digits = min(max(3, -math.floor(math.log10(half))), 4)
    margin = max(half, 10.0**-digits)
    found = f"the data have {term} with coefficient {estimate:.{digits}f} ± {margin:.{digits}f}"
    sentence = f"{found}, the equation says {claimed:g}" if refused else ""
    return Claim(term, claimed, estimate, lower, upper, refused, sentence)


def _vague(claims: tuple[Claim, ...]) -> bool:
    """Whether an interval also holds 0: then the term could be missing."""
    return any(c.lower is not None and c.upper is not None and c.lower <= 0 <= c.upper for c in claims)
