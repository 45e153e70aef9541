"""Coefficients by windows of t and of x: one that drifts is not that of an equation with constant coefficients.

The test functions are sorted by their centres into windows, and the coefficients are fitted in each (`fits`), with
intervals that all hold at once. A coefficient drifts where the intervals of two windows are apart by more than what is
material. The residual does not see it where the term is small: the 1/(2 (t + 1)) of the cylindrical KdV equation
falls by half over the paper's data and is a hundredth of the other terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symflow.runs import one_thread

from ..equations import Equation
from ..trajectories import Trajectories
from ..weak import Samples, WeakRows, rows_on_axes, widths
from .claims import Law
from .figures import Figures
from .fits import MATERIAL, MISTAKE, Fit, fit

WINDOWS = 4  # along each axis
FRACTIONS = (14, 7)  # of an axis, half-widths of the test functions that are tried: narrow enough for windows


@dataclass(frozen=True)
class Drift:
    """A coefficient along an axis: its intervals in windows, two of which are apart.

    Attributes:
        term: before which it stands.
        axis: t or x.
        places: the middle of each window.
        values, halves: the coefficient there, and the half-length of its interval.
    """

    term: str
    axis: str
    places: list[float]
    values: list[float]
    halves: list[float]

    @property
    def sentence(self) -> str:
        """From the first window to the last one in t; between the extremes in x.

        >>> Drift("u", "t", [50.0, 90.0], [0.0099, 0.0055], [1e-5, 1e-5]).sentence
        'the coefficient of u falls from 0.0099 at t = 50 to 0.0055 at t = 90'
        """
        ends = sorted(range(len(self.values)), key=lambda k: self.values[k])
        first, last = sorted((ends[0], ends[-1]))
        way = "falls" if abs(self.values[last]) < abs(self.values[first]) else "rises"
        at = [f"{self.values[k]:.3g} at {self.axis} = {self.places[k]:.3g}" for k in (first, last)]
        return f"the coefficient of {self.term} {way} from {at[0]} to {at[1]}"


@one_thread()
def drifts(data: Trajectories, equation: Equation) -> list[Drift]:
    """The coefficients of an equation that are not one number in all windows of t, or of x.

    All intervals hold at once but for a probability of 1e-3. Where the data have no room for windows, or do not
    determine a coefficient in two of them, nothing is said of it. Determinism: the same data give the same answer.

    Args:
        data: trajectories; what they claim to solve plays no part.
        equation: an evolution equation.

    >>> from symflow import pde
    >>> data = pde.generate("ckdv", samples=2, seed=0, steps=150, keep=120, end=60.0, resolution=128)
    >>> constant = Equation("u_t + 0.0109*u + u*u_x + u_xxx = 0")
    >>> [(d.term, d.axis) for d in drifts(data, constant)]
    [('u', 't')]
    >>> drifts(data, data.equation)
    []
    """
    data.require_line("a look through windows")
    samples = Samples.of(data, equation.residuals)
    law = Law.of(equation.residuals[0], samples.space)
    found = []
    for i, axis in enumerate(samples.axes):
        windows = _windows(samples, law, i)
        tests = max(len(samples.axes) * len(windows) * len(law.terms), 1)
        for j, (term, c) in enumerate(zip(law.terms, law.claimed, strict=True)):
            known = [w for w in windows if bool(w.fit.spread[j].isfinite())]
            ratios = torch.tensor([float(w.fit.ratio[j]) for w in known], dtype=torch.float64)
            halves = torch.tensor([float(w.fit.half(MISTAKE, tests)[j]) for w in known], dtype=torch.float64)
            apart = (ratios - ratios[:, None]).abs() - halves - halves[:, None]
            if bool((apart > MATERIAL).any()):
                values, lengths = (c * ratios).tolist(), (abs(c) * halves).tolist()
                found.append(Drift(str(term), axis.name, [w.place for w in known], values, lengths))
    return found


@dataclass(frozen=True)
class _Window:
    """The coefficients, over those of the equation, by test functions about one place."""

    place: float
    fit: Fit


def _windows(samples: Samples, law: Law, i: int) -> list[_Window]:
    """Windows along an axis, at the widths that give the shortest intervals; none where there is no room."""
    J = len(law.terms)
    columns, scale = law.columns(), torch.tensor(law.claimed, dtype=torch.float64)
    choices = [widths(axis, *FRACTIONS) for axis in samples.axes]
    tried = []
    for width in choices[i] if all(choices) else ():
        chosen = tuple(width if k == i else c[-1] for k, c in enumerate(choices))
        rows = rows_on_axes(samples, [*columns[: J + 1], columns[-1]], chosen)
        if bool(rows.plain.isfinite().all()):
            # the loudest trajectory does not speak for all
            rows = rows.over(Figures.of(rows, law).size.clamp_min(1e-300)).of(range(J + 1))
            parts = zip(rows.centres[i].tensor_split(WINDOWS), _split(rows, i), strict=True)
            tried.append([_Window(float(c.mean()), fit(part, scale)) for c, part in parts if len(c)])

    def length(windows: Sequence[_Window]) -> float:
        halves = torch.stack([w.fit.half(MISTAKE, J) for w in windows])
        return float(halves.clamp(1e-12, 1e12).log().mean())

    return min(tried, key=length, default=[])


def _split(rows: WeakRows, i: int) -> list[WeakRows]:
    def cut(values: Tensor) -> tuple[Tensor, ...]:
        return values.tensor_split(WINDOWS, i + 1)

    changes = zip(*(cut(c) for c in rows.change), strict=True)
    parts = zip(cut(rows.plain), cut(rows.noise), changes, cut(rows.valid), strict=True)
    return [replace(rows, plain=p, noise=n, change=tuple(c), valid=v) for p, n, c, v in parts]
