"""Prediction by one row: where rows are too few or too coarse for the weak form, the solver goes from one to the next.

With S the solver of the claimed equation, ``p = |S(u_n) - u_(n+1)| / |u_(n+1) - u_n|``. Its error is that of the rows,

    e = sqrt(2) sigma/|u_(n+1) - u_n| + |S(u_n) - S(u_n, its last third of modes left out)| / |u_(n+1) - u_n|,

sigma from the last third of the modes, where a grid that is too coarse shows as well. A wrong equation may blow up or
take for ever: steps and modes are limited, and a failure tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError

from ..equations import Equation
from ..trajectories import Trajectories
from ..trajectories.solvers import solve
from .verdict import FACTOR, KNOWN, MATERIAL, UNKNOWN, word_of

MOST_STEPS = 2048  # from one row to the next
MOST_MODES = 1024
TOLERANCE = 1e-8
BLURRED = "rows too noisy or too coarse in x for a prediction"
STILL = 1e-12  # of a row: smaller steps are rounding


@dataclass(frozen=True)
class Prediction:
    """Of one trajectory: the p of the worst of its pairs of rows, with its error; ``None`` where the solver failed.

    ``answers`` is how far one changed coefficient each moves what is predicted, in the units of p.
    """

    residual: float | None
    error: float | None
    answers: tuple[float, ...]
    reason: str


def predict(data: Trajectories, s: int, nudged: Sequence[Equation] = ()) -> Prediction:
    """Prediction of rows of trajectory s where it steps farthest, each by the row before it.

    A row that is torn or filled makes the largest steps, into it and out of it; so does the fastest change.

    Args:
        data: with an evolution equation.
        s: which trajectory.
        nudged: equations with one coefficient changed, for `Prediction.answers`.
    """
    steps = (data.u[s].diff(dim=0)).norm(dim=1)
    largest = steps.topk(min(2, len(steps))).indices.tolist()
    found: list[tuple[float, float]] = []
    answers = [0.0] * len(nudged)
    failed = ""
    for n in sorted({max(n - before, 0) for n in largest for before in (0, 1)}):
        now, step = data.u[s, n], float(steps[n])
        if step <= STILL * float(now.norm()):
            continue
        smooth, sigma = _smooth(now)
        noise = math.sqrt(2 * len(now)) * sigma / step
        if noise > KNOWN:  # the solver need not start from noise
            failed = BLURRED
            continue
        try:
            went = _step(data.equation, data, n, now)
            rough = _step(data.equation, data, n, smooth)
        except UserError as error:
            failed = f"the solver does not get from t = {float(data.t[n]):g} to the next row: {error}"
            continue
        p = float((went - data.u[s, n + 1]).norm()) / step
        found.append((p, noise + float((went - rough).norm()) / step))
        for j, equation in enumerate(nudged):
            try:
                answers[j] = max(answers[j], float((_step(equation, data, n, now) - went).norm()) / step)
            except UserError:
                continue
    if not found:
        return Prediction(None, None, (), failed or "nothing changes between the rows")
    p, e = max(found, key=lambda pair: pair[0] - FACTOR * pair[1])
    if failed and p <= FACTOR * e + MATERIAL:
        return Prediction(None, None, (), failed)
    reason = f"prediction by one row off by {p:.2g} of what changes"
    if word_of(p, e) == UNKNOWN:
        reason = BLURRED
    return Prediction(p, e, tuple(answers), reason)


def _step(equation: Equation, data: Trajectories, n: int, row: Tensor) -> Tensor:
    times = data.t[n : n + 2].numpy()
    out = solve(
        equation,
        row[None].numpy(),
        times,
        length=data.length,
        resolution=len(data.x),
        keep=1,
        tolerance=TOLERANCE,
        workers=1,
        most_steps=MOST_STEPS,
        most_modes=max(MOST_MODES, len(data.x)),
    )
    return torch.from_numpy(np.array(out[0, 0]))


def _smooth(row: Tensor) -> tuple[Tensor, float]:
    """The row without its last third of modes, and the standard deviation that noise has if those are noise."""
    v = torch.fft.rfft(row, norm="forward")
    first = 2 * len(v) // 3
    power = v[first:].abs().square().mean()
    smooth = v.clone()
    smooth[first:] = 0
    return torch.fft.irfft(smooth, len(row), norm="forward"), float((power * len(row)).sqrt())
