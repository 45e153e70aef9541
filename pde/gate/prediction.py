"""Prediction by one row: where rows are too few or too coarse for the weak form, the solver goes from one to the next.

With S the solver of the claimed equation, ``p = |S(u_n) - u_(n+1)| / |u_(n+1) - u_n|``. Its error is that of the rows,

    e = sqrt(2) sigma/|u_(n+1) - u_n| + |S(u_n) - S(u_n, its last third of modes left out)| / |u_(n+1) - u_n|,

sigma from the last third of the modes, where a grid that is too coarse shows as well. A wrong equation may blow up or
take for ever: the work of a solution and of a file is bounded in steps and modes, the same on every machine, and a
failure tells nothing.
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
from ..generation import Budget, solve
from ..laws.fits import MATERIAL
from ..trajectories import Trajectories
from .verdict import FACTOR, KNOWN, UNKNOWN, word_of

WORK = 2e7  # of a file: some seconds
MOST_WORK = WORK / 10  # from one row to the next
ACCURATE = 1e-4  # of the step from row to row: the solver's error, a twentieth of what is material
TOLERANCES = (1e-10, 1e-6)  # of the row
BLURRED = "rows too noisy or too coarse in x for a prediction"
SPENT = "not asked: the predictions of others took the work that is allowed"
STILL = 1e-12  # of a row: smaller steps are rounding


@dataclass(frozen=True)
class Prediction:
    """Of one trajectory: the p of the worst of its pairs of rows, with its error; ``None`` where the solver failed."""

    residual: float | None
    error: float | None
    reason: str


def predict(data: Trajectories, s: int, budget: Budget) -> Prediction:
    """Prediction of rows of trajectory s where it steps farthest, each by the row before it.

    A row that is torn or filled makes the largest steps, into it and out of it; so does the fastest change.

    Args:
        data: with an evolution equation.
        s: which trajectory.
        budget: of work, which is spent from it.
    """
    if budget.left < MOST_WORK:
        return Prediction(None, None, SPENT)
    steps = _steps(data, s)
    largest = steps.topk(min(2, len(steps))).indices.tolist()
    found: list[tuple[float, float]] = []
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
            went, rough = _step(data.equation, data, n, torch.stack([now, smooth]), step, budget)
        except UserError as error:
            failed = f"the solver does not get from t = {float(data.t[n]):g} to the next row: {error}"
            continue
        p = float((went - data.u[s, n + 1]).norm()) / step
        found.append((p, noise + float((went - rough).norm()) / step))
    if not found:
        return Prediction(None, None, failed or "nothing changes between the rows")
    p, e = max(found, key=lambda pair: pair[0] - FACTOR * pair[1])
    if failed and p <= FACTOR * e + MATERIAL:
        return Prediction(None, None, failed)
    return Prediction(
        p, e, BLURRED if word_of(p, e) == UNKNOWN else f"prediction by one row off by {p:.2g} of what changes"
    )


def answers(data: Trajectories, s: int, nudged: Sequence[Equation], budget: Budget) -> list[float]:
    """How far one changed coefficient each moves what is predicted of trajectory s, in the units of p.

    0 where the solver fails.

    Args:
        data: with an evolution equation.
        s: which trajectory.
        nudged: equations with one coefficient changed.
        budget: of work, which is spent from it.
    """
    steps = _steps(data, s)
    n = int(steps.argmax())
    now, step = data.u[s, n], float(steps[n])

    def went(equation: Equation) -> Tensor | None:
        try:
            return _step(equation, data, n, now[None], step, budget)[0]
        except UserError:
            return None

    straight, moved = went(data.equation), [went(equation) for equation in nudged]
    return [0.0 if v is None or straight is None else float((v - straight).norm()) / step for v in moved]


def _steps(data: Trajectories, s: int) -> Tensor:
    found: Tensor = data.u[s].diff(dim=0).norm(dim=1)
    return found


def _step(equation: Equation, data: Trajectories, n: int, rows: Tensor, step: float, budget: Budget) -> Tensor:
    """What becomes of rows ``[k, X]`` from time n to n + 1, by the solver; the work is spent from the budget."""
    least, most = TOLERANCES
    own = Budget(min(MOST_WORK, budget.left))
    before = own.left
    try:
        out = solve(
            equation,
            rows.numpy(),
            data.t[n : n + 2].numpy(),
            length=data.length,
            resolution=len(data.x),
            keep=1,
            tolerance=min(max(ACCURATE * step / max(float(rows[0].norm()), 1e-300), least), most),
            budget=own,
        )
    finally:
        budget.left -= before - own.left
    return torch.from_numpy(np.array(out[:, 0]))


def _smooth(row: Tensor) -> tuple[Tensor, float]:
    """The row without its last third of modes, and the standard deviation that noise has if those are noise."""
    v = torch.fft.rfft(row, norm="forward")
    first = 2 * len(v) // 3
    power = v[first:].abs().square().mean()
    smooth = v.clone()
    smooth[first:] = 0
    return torch.fft.irfft(smooth, len(row), norm="forward"), float((power * len(row)).sqrt())
