"""The gate: do these data solve this equation? Weak residuals, coefficients, and prediction where rows are too few.

Each trajectory is judged by itself (`trials`), with r its weak residual, e what noise and grid explain (`figures`), and
the coefficients of a fit to it alone, h the half-length of an interval (`fits`):

    refuted          r > 3 e + 2e-3, with few test functions more (`trials`), or |theta_j/c_j - 1| > h_j + 2e-3
    cannot be told   e > .02, or nothing changes
    solves           else

The trajectories that are not unlike the others are fitted together, and with each neighbouring term that the equation
claims to be without (`coefficients`): the residual alone does not see a small term. A file is refuted by most of the
trajectories that can be told, or by a coefficient; coefficients whose interval is longer than 1 % are not tested, and
named. Where rows are too few or too coarse for the weak form, the solver predicts each by the one before it
(`prediction`), and the same bounds hold for p and its error. Where the ends of the rows do not meet (`seams`), test
functions are taken inside only, and nothing is predicted. Spacings that no coefficient tests are named (`spacing`).

Where the bounds come from, and how often they were wrong: `benchmarks/verdicts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.runs import one_thread

from ..equations import Equation
from ..generation import Budget
from ..laws.claims import Law
from ..laws.figures import Figures, all_rows, best_rung
from ..laws.fits import MATERIAL
from ..trajectories import Trajectories, tears
from ..weak import Samples
from .coefficients import Found, coefficients
from .prediction import BLURRED, SPENT, WORK, answers, predict
from .spacing import blind, open_spacings
from .trials import COARSE, trials
from .verdict import FACTOR, NOT, OUTLIERS, SOLVES, UNKNOWN, Coefficient, Gate, Trial, word_of

MOST_NAMED = 4  # trajectories that cannot be told
NUDGED = 2  # trajectories that are asked which coefficients a prediction answers to
TORN = "{} is not periodic, for the ends of the rows do not meet: judged inside, not at the ends"
NO_FIT = "no coefficients of its terms fit them, nor does one other term beside these"
OPEN = "{} is open: judged inside, not at the ends"


@one_thread()
def gate(
    data: Trajectories | Samples,
    equations: Sequence[sympy.Expr] | None = None,
    *,
    alpha: float = 0.05,
    prediction: bool = True,
) -> Gate:
    """Whether data solve an equation, trajectory by trajectory and coefficient by coefficient.

    Determinism: the same data give the same verdict and figures; nothing depends on time or on threads.

    Args:
        data: trajectories with the equation they claim, or samples of any unknowns on any axes.
        equations: for samples, expressions that vanish on solutions, one per equation.
        alpha: probability of error of the intervals that are shown, all together; those that refuse have 1e-3.
        prediction: ask the solver where the weak form cannot tell for the rows' sake.

    Raises:
        UserError: an equation without a term that is linear in a derivative.
        ValueError: samples without equations.

    >>> from dataclasses import replace
    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=60, keep=60, end=20.0, resolution=128)
    >>> gate(data).verdict
    'solves'
    >>> gate(replace(data, u=1.02 * data.u)).verdict
    'refuted'
    """
    if isinstance(data, Trajectories):
        text, residuals = data.equation.text, data.equation.residuals
        if len(data.t) < 2 and "t" in data.equation.space.independent:
            return _silent(text, len(data), "there is one stored time", alpha)
        torn = tears(data)
        ends = (*(TORN.format(n) for n in torn), *(OPEN.format(a.name) for a in data.axes if a.period is None))
        samples = Samples.of(data, residuals, torn=torn)
    elif equations:
        text, residuals, samples = "; ".join(f"{F} = 0" for F in equations), tuple(equations), data
        torn, ends = [], ()
    else:
        raise ValueError("`equations` must be given for samples")
    laws = [Law.of(F, samples.space) for F in residuals]
    if all(samples.unchanging(s) for s in range(len(samples))):
        return _silent(text, len(samples), "nothing changes in them", alpha)
    solvable = isinstance(data, Trajectories) and data.on_line and data.equation.evolutionary
    solver = data if isinstance(data, Trajectories) and prediction and solvable and not torn else None
    try:
        found = _weak(samples, laws, text, alpha, solver)
    except UserError as error:
        found = _silent(text, len(samples), str(error), alpha)
    few = any(t.word == UNKNOWN and (t.reason == COARSE or "along t" in t.reason) for t in found.trials)
    if solver is not None and few and found.verdict == UNKNOWN:
        found = _predicted(solver, laws[0], found)
    remarks = blind(laws, samples.axes) if found.verdict in (SOLVES, OUTLIERS) else ()
    return replace(found, periodic=not torn, remarks=(*ends, *found.remarks, *remarks))


def _silent(text: str, count: int, reason: str, alpha: float) -> Gate:
    """Of data that say nothing."""
    trials = tuple(Trial(s, UNKNOWN, reason.removesuffix(" in them"), None, None, False) for s in range(count))
    return Gate(text, UNKNOWN, reason, trials, (), (), (), "weak form", alpha)


def _weak(samples: Samples, laws: Sequence[Law], text: str, alpha: float, data: Trajectories | None) -> Gate:
    rows = all_rows(samples, laws)
    figures = [[Figures.of(r, law) for r, law in zip(of_laws, laws, strict=True)] for of_laws in rows]
    best = best_rung(figures)
    judged, own = trials(samples, rows, figures[best], rows[best][0].sigma, rows[best][0].independent, laws)
    if data is not None and not _open(judged):
        budget = Budget(WORK)
        judged = [_asked(data, trial, budget) for trial in judged]
    refuted = [t for t in judged if t.word == NOT]
    most = bool(refuted) and 2 * len(refuted) >= sum(t.word != UNKNOWN for t in judged)
    if most:  # then nobody is unlike the others: all that change are fitted
        judged = [replace(t, outlier=False) for t in judged]
    # in units of what is explained: the loudest trajectory does not speak for all
    even = [[r.over(_unit(f)) for r, f in zip(*both, strict=True)] for both in zip(rows, figures, strict=True)]
    found = coefficients(samples, even, laws, _alike(judged), alpha)
    agree = [o.trajectory for o in own if not most and found.agrees(o)]
    if agree:  # their coefficients are those of the others: what all have together decides
        judged = [replace(t, outlier=False) if t.trajectory in agree else t for t in judged]
        found = coefficients(samples, even, laws, _alike(judged), alpha)
        if not any(c.refused for c in found.terms):
            judged = [replace(t, word=SOLVES) if t.trajectory in agree else t for t in judged]
    names = [*(c.name for c in found.terms if not c.tested), *found.open]
    verdict, reason = _file(judged, found, most)
    open_ = open_spacings(laws, samples.axes, found.ratios, found.halves) if verdict in (SOLVES, OUTLIERS) else ()
    terms, missing = tuple(found.terms), tuple(found.missing)
    return Gate(text, verdict, reason, tuple(judged), terms, missing, tuple(names), "weak form", alpha, open_)


def _unit(figures: Figures) -> Tensor:
    return ((figures.error + MATERIAL) * figures.size).clamp_min(1e-300)


def _alike(judged: Sequence[Trial]) -> list[int]:
    """The trajectories that are fitted together."""
    return [t.trajectory for t in judged if not t.outlier and t.residual is not None] or [t.trajectory for t in judged]


def _file(judged: Sequence[Trial], found: Found, most: bool) -> tuple[str, str]:
    """The verdict on the file, and its reason."""
    refuted = [t for t in judged if t.word == NOT]
    why = [found.spacing, *(c.sentence for c in found.refused[:2])] if found.refused else []
    if most and not found.fits:  # then no coefficient is that of the data
        why = [NO_FIT]
    if most:
        return NOT, _reason(_figure(refuted, "weak residual {:.2g} of its terms", len(judged)), *why)
    if _open(judged):
        return UNKNOWN, _commonest(judged)
    if found.refused:
        return NOT, _reason(*why)
    if outliers := [t for t in judged if t.outlier]:
        named = "; ".join(f"trajectory {t.trajectory}: {t.reason}" for t in outliers)
        return OUTLIERS, f"{len(outliers)} of {len(judged)} are unlike the others: {named}"
    told = [t for t in judged if t.word == SOLVES]
    return SOLVES, _reason(_figure(told, "weak residual {:.1g} of its terms", len(judged)), _untold(judged))


def _untold(judged: Sequence[Trial]) -> str:
    """Which trajectories cannot be told, of others that can."""
    some = [t for t in judged if t.word == UNKNOWN]
    named = [f"{t.trajectory} ({t.reason})" for t in some[:MOST_NAMED]]
    more = f" and {len(some) - MOST_NAMED} others" if len(some) > MOST_NAMED else ""
    return f"cannot be told of trajectory {', '.join(named)}{more}" if some else ""


def _open(judged: Sequence[Trial]) -> bool:
    """Whether fewer than half of the trajectories that are alike can be told."""
    alike = [t for t in judged if not t.outlier]
    told = [t for t in alike if t.word != UNKNOWN]
    return not told or 2 * len(told) < len(alike)


def _commonest(judged: Sequence[Trial]) -> str:
    reasons = [t.reason for t in judged if t.word == UNKNOWN]
    return max(sorted(set(reasons)), key=reasons.count)


def _figure(those: Sequence[Trial], figure: str, count: int) -> str:
    middle = sorted(t.residual or 0.0 for t in those)[len(those) // 2]
    return f"{figure.format(middle)}, {len(those)} of {count} trajectories"


def _reason(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _asked(data: Trajectories, trial: Trial, budget: Budget) -> Trial:
    """A trajectory that is too coarse, among others that are not: the solver tells a fast one from a torn one."""
    if trial.word != UNKNOWN or not trial.reason.startswith("too coarse"):
        return trial
    found = predict(data, trial.trajectory, budget)
    word = UNKNOWN if found.residual is None or found.error is None else word_of(found.residual, found.error)
    if word == UNKNOWN:  # a solution may be too fast for the solver; too noisy for it, the rows of others were fine
        return replace(trial, outlier=trial.outlier and trial.reason == COARSE and found.reason == BLURRED)
    return replace(
        trial,
        word=word,
        reason=found.reason,
        residual=found.residual,
        error=found.error,
        outlier=word == NOT,
        allowed=None,
    )


def _predicted(data: Trajectories, law: Law, weak: Gate) -> Gate:
    """The verdict of the solver, where the weak form has none."""
    nudged = [
        Equation(f"{data.equation.residuals[0]} + ({sympy.Rational(str(c)) / 100})*({m}) = 0")
        for c, m in zip(law.claimed, law.terms, strict=True)
    ]
    judged: list[Trial] = []
    budget = Budget(WORK)
    for s in range(len(data)):
        found = predict(data, s, budget)
        p, e = found.residual, found.error
        word = UNKNOWN if p is None or e is None else word_of(p, e)
        judged.append(Trial(s, word, found.reason, p, e, False))
    tested = torch.zeros(len(nudged), dtype=torch.bool)
    for t in [t for t in judged if t.word == SOLVES][:NUDGED]:
        one_percent = torch.tensor(answers(data, t.trajectory, nudged, budget), dtype=torch.float64)
        tested |= one_percent > FACTOR * (t.error or 0.0) + MATERIAL
    told = [t for t in judged if t.word != UNKNOWN]
    asked = [t for t in judged if t.reason != SPENT]
    refuted = [t for t in told if t.word == NOT]
    figure = "prediction by one row off by {:.1g} of what changes"
    if not told or 2 * len(told) < len(asked):
        verdict, reason = UNKNOWN, _commonest(asked)
    elif 2 * len(refuted) >= len(told):
        verdict, reason = NOT, _figure(refuted, figure, len(judged))
    elif refuted:
        judged = [replace(t, outlier=t.word == NOT) for t in judged]
        verdict, reason = OUTLIERS, "; ".join(f"trajectory {t.trajectory}: {t.reason}" for t in refuted)
    else:
        verdict, reason = SOLVES, _figure(told, figure, len(judged))
    terms = tuple(
        Coefficient(0, str(m), c, None, None, None, None, ok, False)
        for m, c, ok in zip(law.terms, law.claimed, tested.tolist(), strict=True)
    )
    names = tuple(c.term for c in terms if not c.tested)
    method = "prediction by one row"
    return Gate(weak.equation, verdict, reason, tuple(judged), terms, (), names, method, weak.alpha)
