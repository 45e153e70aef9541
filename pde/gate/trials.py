"""Each trajectory by itself: its weak residual, its own coefficients, and whether it is unlike the others.

Unlike the others is a trajectory that is refuted; that has another noise or another residual; that has rows out of
place (`misplaced`); or whose rows change so much from one time to the next that nothing can be told of it, where of the
others it can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from symflow.errors import UserError

from ..laws.claims import Law
from ..laws.figures import Figures
from ..laws.fits import MATERIAL, MISTAKE, Fit, fit
from ..laws.intervals import independent_t
from ..weak import SIGNAL, Samples, WeakRows, rows_on_axes
from .exchanged import exchanged
from .misplaced import misplaced
from .verdict import FACTOR, KNOWN, NOT, UNKNOWN, Trial, word_of

UNLIKE = 10.0  # times the median: another residual
LOUDER = 3.0  # times the median: another noise
UNALIKE = 1e-4  # of the terms: trajectories that differ by less are alike
SOLVERS = 1e-5  # of the terms: a residual up to which a trajectory's own coefficients may answer to its solver's error
MOST_TIMES = 4  # that are named
NOISY = "too noisy"
COARSE = "too coarse in t"


@dataclass(frozen=True)
class Own:
    """A coefficient that a trajectory refuses by itself: of which law and term, fitted over claimed, half-length."""

    trajectory: int
    law: int
    term: int
    ratio: float
    half: float


def trials(
    samples: Samples,
    rows: Sequence[Sequence[WeakRows]],
    figures: Sequence[Figures],
    sigma: Tensor,
    independent: Tensor,
    laws: Sequence[Law],
) -> tuple[list[Trial], list[Own]]:
    """A word for each trajectory, and the coefficients that refute one by itself.

    Args:
        samples: the data.
        rows: of each rung and law.
        figures: of each law at the rung that is judged.
        sigma: ``[S, unknowns]``, the noise as measured there.
        independent: ``[S]``, how many test functions there are independent.
        laws: the equations.

    Raises:
        UserError: the figures of a trajectory are not finite.
    """
    residual, error = (torch.stack([getattr(f, n) for f in figures]) for n in ("residual", "error"))
    still = torch.tensor([samples.unchanging(s) for s in range(len(samples))])
    allowed = _allowed(figures, independent, ~still)
    worst = (residual / allowed).argmax(0)
    loud, times = _loud(figures, sigma)
    strange = (_above(residual, UNLIKE) & (residual > allowed - MATERIAL)).any(0)
    torn = (error > KNOWN).any(0) & _above(error, UNLIKE).any(0)
    wrong = misplaced(samples) | exchanged(samples)
    some = wrong.any(1)
    some &= 2 * int(some.sum()) < len(some)  # what most have is no mistake of one
    found, own = [], []
    for s in range(len(samples)):
        if bool(still[s]):
            found.append(Trial(s, UNKNOWN, "nothing changes", None, None, True))
            continue
        r, e = float(residual[worst[s], s]), float(error[worst[s], s])
        if not (math.isfinite(r) and math.isfinite(e)):
            raise UserError(f"the values of trajectory {s} are too large for their squares")
        of = f" in the equation of {laws[int(worst[s])].leading}" if len(laws) > 1 else ""
        word, reason = word_of(r, e, float(allowed[worst[s], s])), f"weak residual {r:.2g} of its terms{of}"
        if word == NOT:
            reason += f", where {e:.1g} is explained"
        elif word == UNKNOWN or bool((error[:, s] > KNOWN).any()):
            word, reason = UNKNOWN, _largest(samples, figures, s)
        elif off := _own(samples, rows, laws, s, residual[:, s] > SOLVERS):
            own.append(off)
            of = f" in the equation of {laws[off.law].leading}" if len(laws) > 1 else ""
            word, reason = NOT, f"{laws[off.law].terms[off.term]}{of} has {off.ratio:.4g} times the coefficient"
        # a small solution is noisy and a steep one too coarse in space, but rows in a wrong order change too much in t
        unlike = word == NOT or (bool(torn[s]) and reason == COARSE)
        if word != NOT and bool(loud[s]):
            unlike, reason = True, f"another noise, {float(times[s]):.1f} times theirs"
        elif word != NOT and bool(strange[s]):
            unlike, reason = (
                True,
                f"another residual, {r / max(float(residual[worst[s]].nanmedian()), 1e-300):.0f} times theirs",
            )
        if bool(some[s]):
            where = _places(samples, wrong[s])
            unlike, reason = True, f"{reason}; {where}" if word == NOT else where
        found.append(Trial(s, word, reason, r, e, unlike, int(worst[s]), float(allowed[worst[s], s])))
    return found, own


def _allowed(figures: Sequence[Figures], independent: Tensor, changing: Tensor) -> Tensor:
    """The largest residuals that noise and grid allow, ``[laws, S]``.

    On n independent test functions the square of a residual of noise over that of the noise rows is F(n, n), which for
    small n goes far beyond ``FACTOR**2`` by chance: trajectories with few are asked together, too, and where all that
    are allowed by themselves have too large a residual together, chance explains none of them.
    """
    residual, error, noise = (torch.stack([getattr(f, n) for f in figures]) for n in ("residual", "error", "noise"))
    tests = residual.numel()
    few = torch.tensor([_chance(int(n), tests) - FACTOR for n in independent], dtype=torch.float64)
    strict = FACTOR * error + MATERIAL
    allowed = strict + few * noise
    for n, (r, e, white) in enumerate(zip(residual, error, noise, strict=True)):
        alike = changing & (r <= allowed[n])
        if bool(alike.any()):
            of_all, error_of_all, noise_of_all = (v[alike].square().mean().sqrt() for v in (r, e, white))
            more = _chance(int(independent[alike].sum()), len(figures)) - FACTOR
            if of_all > FACTOR * error_of_all + more * noise_of_all + MATERIAL:
                allowed[n] = strict[n]
    return allowed


@lru_cache(maxsize=1024)
def _chance(degrees: int, tests: int) -> float:
    """The factor that none of so many residuals of noise goes beyond by chance, and `FACTOR` at least.

    If ``F`` is F(n, n), ``sqrt(n)/2 (sqrt(F) - 1/sqrt(F))`` is t with n degrees of freedom (Cacoullos, J. Am. Stat.
    Assoc. 60, 1965).
    """
    a = independent_t(tests, max(degrees, 1), 2 * MISTAKE) / math.sqrt(max(degrees, 1))
    return max(FACTOR, a + math.hypot(a, 1))


def _above(values: Tensor, factor: float) -> Tensor:
    """Which of ``[laws, S]`` are so many times the median, and more than nothing."""
    return (values > factor * values.nanmedian(1, keepdim=True).values) & (values > UNALIKE)


def _loud(figures: Sequence[Figures], sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Which trajectories have another noise, ``[S]``, and how many times the median their standard deviation is."""
    times = (sigma / sigma.nanmedian(0, keepdim=True).values.clamp_min(1e-300)).amax(1)
    noise = torch.stack([f.noise for f in figures])
    # noise rows see a grid that is too coarse, too: then one axis alone changes more, or the residual is smaller
    white = torch.stack([(f.rough <= 2 * f.noise).all(0) & (f.residual > f.noise / FACTOR) for f in figures])
    return (_above(noise, LOUDER) & white).any(0) & (times > LOUDER), times


def _places(samples: Samples, wrong: Tensor) -> str:
    """Which rows of a trajectory are out of place, in words."""
    (t,) = (a.nodes for a in samples.axes if a.name == "t")
    times = [f"{float(v):.4g}" for v in t[wrong]]
    named = ", ".join(times[:MOST_TIMES]) + (f" and {len(times) - MOST_TIMES} others" if times[MOST_TIMES:] else "")
    return f"the values at t = {named} do not lie between those before and after"


def _largest(samples: Samples, figures: Sequence[Figures], s: int) -> str:
    """Why the error of a trajectory is too large."""
    f = max(figures, key=lambda f: float(f.error[s]))
    parts = {"noise": float(f.noise[s])} | {a.name: float(g) for a, g in zip(samples.axes, f.grid[:, s], strict=True)}
    name = max(parts, key=lambda n: parts[n])
    return NOISY if name == "noise" else f"too coarse in {name}"


def _own(
    samples: Samples, rows: Sequence[Sequence[WeakRows]], laws: Sequence[Law], s: int, asked: Tensor
) -> Own | None:
    """The coefficient that one trajectory refuses, if there is one, in one of the laws that are asked, ``[laws]``.

    Where terms nearly coincide, an error of a solution that is no noise moves coefficients by any amount, and their
    spread does not show it; the residual does.
    """
    tests = len(rows[0][0].plain) * sum(len(law.terms) for law in laws)
    for n, law in enumerate(laws):
        J = len(law.terms)
        if not J or not bool(asked[n]):
            continue
        scale = torch.tensor(law.claimed, dtype=torch.float64)
        own = [of_laws[n].only([s]).of(range(J + 1)) for of_laws in rows]
        fits = [fit(r, scale) for r in own]
        # the shortest interval would be one of few blocks by chance
        rung = max(range(len(fits)), key=lambda i: float(fits[i].degrees.min()))
        best = fits[rung]
        off = _off(best, tests)
        if float(off.max()) > 0 and law.smoothed():
            best = best.less_sure(smoothing_bias(samples, law, own[rung], [s], best, scale))
            off = _off(best, tests)
        j = int(off.argmax())
        if float(off[j]) > 0:
            return Own(s, n, j, float(best.ratio[j]), float(best.half(MISTAKE, tests)[j]))
    return None


def _off(found: Fit, tests: int) -> Tensor:
    """By how much coefficients are farther from the claims than their intervals allow."""
    return ((found.ratio - 1).abs() - found.half(MISTAKE, tests) - MATERIAL).nan_to_num(nan=-1.0)


def smoothing_bias(
    samples: Samples, law: Law, rows: WeakRows, which: Sequence[int], found: Fit, scale: Tensor
) -> Tensor:
    """What smoothing four times as much moves the coefficients: the bias of derivatives in factors that keep them.

    Args:
        samples: the data.
        law: their equation.
        rows: of some of the trajectories.
        which: their numbers.
        found: the fit to the rows.
        scale: the claimed coefficients.
    """
    some = law.columns()[: len(law.terms) + 1]
    harder = fit(rows_on_axes(samples[list(which)], some, rows.widths, 4 * SIGNAL).over(rows.unit), scale)
    return (harder.ratio - found.ratio).abs()
