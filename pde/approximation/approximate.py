"""Approximate symmetries that data show: which, how far from exact, how sure that is, and how far they reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symflow import discovery
from symflow.algebra import ClosedForm
from symflow.discovery import Spectrum
from symflow.errors import UserError
from symflow.formulas.notation import number
from symflow.runs import one_thread

from ..laws import Certificates, Region, certify
from ..settings import check_tolerance
from ..symmetries import displacement
from ..trajectories import Trajectories
from .bounds import Bounds
from .forms import Forms
from .measure import Measure, middle
from .reach import DELTA, reach
from .search import EXACT, MOST, Candidate, candidates, singles

TOLERANCE = 0.02  # fields of degree 2 without a symmetry begin at 0.1 to 0.2
MEANINGLESS = 0.1  # a tolerance above this lets them in
CONSTANT = 1e-12  # relative changes below it are rounding
SHOWN = 12  # values of the spectrum
PARTS = 8  # of t and x, for where a defect sits


@dataclass(frozen=True)
class Approximate(discovery.Approximate):
    """A field that nearly is a symmetry of what the data show.

    Beside what every such field has:

    Attributes:
        defect: the median over the trajectories of ``RMS(pr V(F))/(T |V|)``: the residual, relative to the terms of the
            equation, that moved data acquire per unit of length of the flow.
        interval: that holds it for the law that the data obey, with the probability that the search states.
        reach: in units of the box.
        parameter: the reach in the field's own parameter.
        note: why there is no reach, or an empty text.
        smallest, largest: defect of a trajectory.
        beside: the defect of the part of the field that is no combination of proved symmetries.
        independent: whether that is within the tolerance, too; else the field is near because a proved symmetry is.
        nearest: the proved symmetry at the smallest angle, and ``None`` where none is proved.
        angle: to the span of the proved symmetries, radians.
        where: the share of the square of the violation in each eighth of t, by each eighth of x.
    """

    parameter: float | None
    note: str
    smallest: float
    largest: float
    beside: float
    independent: bool
    nearest: dict[str, str] | None
    angle: float | None
    where: list[list[float]]

    def __post_init__(self) -> None:
        if [len(row) for row in self.where] != [PARTS] * PARTS:
            raise ValueError(f"the places of a violation are not {PARTS} parts of t by {PARTS} of x")


@dataclass(frozen=True)
class Search:
    """What was looked for, and how well these data can tell.

    Attributes:
        tolerance: the largest defect that was looked for, ``None`` where none can be told.
        floor: the largest defect that the data leave open for a proved symmetry; ``None`` where no law could be fitted.
        alpha: probability that an interval misses.
        delta: the relative residual of moved data that ends the reach.
        spectrum: defects of all polynomial fields of degree 2 beside the proved symmetries; its rank counts those
            within the tolerance.
        reason: why nothing is told, or an empty text.
    """

    tolerance: float | None
    floor: float | None
    alpha: float
    delta: float
    spectrum: Spectrum | None
    reason: str


@one_thread()
def approximate(
    data: Trajectories,
    known: Sequence[ClosedForm],
    tolerance: float | None = None,
    *,
    certificates: Certificates | None = None,
    alpha: float = 0.05,
) -> tuple[Search, list[Approximate]]:
    """Polynomial fields of degree 2 whose defect is at most a tolerance, simplest first, beside proved symmetries.

    Determinism: the same data and arguments give the same result; nothing is drawn at random.

    Args:
        data: trajectories that solve their equation, as far as it can be told.
        known: the symmetries of the equation, which have defect 0.
        tolerance: by default 0.02, or what the data leave open for a proved symmetry, where that is more.
        certificates: of the data at `alpha`, for their law; fitted unless given.
        alpha: probability that an interval misses.

    Raises:
        UserError: the tolerance is no number between 0 and 1.

    >>> import sympy
    >>> from symflow import pde
    >>> damped = "u_t + u*u_x + u_xxx = 0.001*u_xx"
    >>> data = pde.generate(damped, 6, 0, length=64.0, end=20.0, steps=60, keep=50, resolution=160)
    >>> one, no, t = sympy.Integer(1), sympy.Integer(0), sympy.Symbol("t", real=True)
    >>> proved = [{"dx": one, "dt": no, "du": no}, {"dx": no, "dt": one, "du": no}, {"dx": t, "dt": no, "du": one}]
    >>> search, (found,) = approximate(data, proved)
    >>> found.formula, found.defect < 1e-3
    ('x dx + 3*t dt - 2*u du', True)
    """
    check_tolerance(tolerance)
    fitted = certify(data, [], alpha) if certificates is None else certificates
    if fitted.law is None or fitted.reason:
        return Search(None, None, alpha, DELTA, None, f"cannot be told: {fitted.reason}"), []
    try:
        region = Region.of(fitted.law, alpha)
    except UserError as error:
        return Search(None, None, alpha, DELTA, None, f"cannot be told: {error}"), []
    data = changing(data)
    bounds = Bounds.of(data, region, fitted.law.noise)
    floor = max((bounds.interval(form)[1] for form in known), default=0.0)
    limit = max(TOLERANCE, floor) if tolerance is None else tolerance
    if floor > limit or (tolerance is None and limit > MEANINGLESS):
        why = f"with these data even a proved symmetry may have a defect of {number(floor)}"
        beyond = (
            f"more than the tolerance of {number(limit)}"
            if tolerance is not None
            else "as fields without symmetry have"
        )
        return Search(None, floor, alpha, DELTA, None, f"cannot be told: {why}, {beyond}"), []
    measure = Measure.of(data, fitted.law.noise)
    forms = Forms.of(measure, known)
    values = forms.spectrum()
    rank = int((values <= limit).sum())
    spectrum = Spectrum(values[: max(SHOWN, rank + 1)].tolist(), rank, EXACT)
    new = int(((values > EXACT) & (values <= limit)).sum())
    if new > MOST:
        reason = (
            f"no gap: {new} directions have a defect within {number(limit)}, for in this window solutions hardly change"
        )
        return Search(limit, floor, alpha, DELTA, spectrum, reason), []
    found = [_described(data, forms, c, known, limit, bounds) for c in _all(forms, known, limit)]
    return Search(limit, floor, alpha, DELTA, spectrum, ""), found


def changing(data: Trajectories) -> Trajectories:
    """The trajectories that are no constants, where the terms of an equation vanish: a defect is relative to them."""
    low, high = data.u.flatten(1).aminmax(dim=1)
    return replace(data, u=data.u[high - low > CONSTANT * torch.maximum(low.abs(), high.abs())])


def _all(forms: Forms, known: Sequence[ClosedForm], tolerance: float) -> list[Candidate]:
    """Independent fields first; then single columns, and sums no longer than it, that are near a proved symmetry."""
    found = list(candidates(forms, tolerance))
    found += [c for c in singles(forms.alone, tolerance) if not any(c.is_along(other) for other in found)]
    for c in candidates(forms.without.beside([c.coefficients for c in found]), tolerance, (2, 3)):
        closest, _ = forms.nearest(c.coefficients)
        if closest is not None and c.terms <= sum(f != 0 for f in known[closest].values()):
            found.append(c)
    return found[:MOST]


def _described(
    data: Trajectories,
    forms: Forms,
    candidate: Candidate,
    known: Sequence[ClosedForm],
    tolerance: float,
    bounds: Bounds,
) -> Approximate:
    measure, form = forms.measure, forms.form(candidate.physical)
    each = measure.defects([form])[0]
    defect = float(middle(each))
    R, vectors = measure.values([form])
    moved = reach(data, form, defect, float(displacement(vectors, measure.scale)))
    beside = forms.defect(candidate.coefficients)
    closest, angle = forms.nearest(candidate.coefficients)
    return Approximate(
        closed_form={key: str(f) for key, f in form.items()},
        defect=defect,
        interval=bounds.interval(form),
        reach=moved.length,
        parameter=moved.parameter,
        note=moved.reason,
        smallest=float(each.min()),
        largest=float(each.max()),
        beside=beside if math.isfinite(beside) else defect,
        independent=beside <= tolerance,
        nearest=None if closest is None else {key: str(f) for key, f in known[closest].items()},
        angle=angle,
        where=shares((R[0] / measure.terms).square(), forms).tolist(),
    )


def shares(squares: Tensor, forms: Forms) -> Tensor:
    """The share of a sum over points ``[N]`` in each eighth of t, by each eighth of x."""
    jets = forms.measure.lattice.jets

    def part(z: Tensor) -> Tensor:
        low, high = z.min(), z.max()
        return ((z - low) / (high - low).clamp_min(1e-300) * PARTS).long().clamp_max(PARTS - 1)

    cells = torch.bincount(part(jets.t) * PARTS + part(jets.x), weights=squares, minlength=PARTS**2)
    return cells.reshape(PARTS, PARTS) / cells.sum().clamp_min(1e-300)
