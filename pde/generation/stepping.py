"""Exponential Runge-Kutta steps of ``y_t = L y + N(t, y)`` whose size is chosen by doubling, in whatever basis.

Krogstad's scheme (J. Comput. Phys. 203, 2005, equation 51). From one output time to the next a trajectory is solved
with m and with 2 m steps, and m is doubled until both agree.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from symflow.errors import UserError
from symflow.runs import processes

from ..equations import Equation
from .integrator import Array

MOST_STEPS = 1 << 14  # per output interval
TAIL = 1e-6  # of the spectrum, its last modes over the largest: above, the grid does not resolve the solution
TOLERANCE = 1e-8  # relative error per output interval
EVEN = 4 * np.finfo(float).eps  # of the last time: by so much less or more, output intervals are equal
SPARE = 64.0  # an error so many times smaller than allowed halves the steps

State = NDArray[Any]


class Stepper(ABC):
    """A discrete system: its state, the exponentials of its linear part, and N.

    Attributes:
        equation: for messages.
        points: of the grid along each axis.
        gain: by how much halving a step divides the error, less 1.
    """

    equation: Equation
    points: tuple[int, ...]
    gain: float

    def __init__(self) -> None:
        self._weights: dict[float, list[State]] = {}
        self._phi: dict[float, list[State]] = {}  # of the last step and of its half

    @abstractmethod
    def phi(self, h: float) -> list[State]:
        """``exp(z), phi_1, phi_2, phi_3`` of ``z = h L``."""

    @abstractmethod
    def times(self, matrix: State, y: State) -> State:
        """A function of L applied to a state."""

    @abstractmethod
    def nonlinear(self, y: State, t: float) -> State:
        """N."""

    @abstractmethod
    def start(self, initial: Array) -> State:
        """The state that takes these values on the grid, ``[variables, points...]``."""

    @abstractmethod
    def on_grid(self, y: State) -> Array:
        """All unknowns, ``[points..., unknowns]``."""

    @abstractmethod
    def tail(self, y: State) -> float:
        """The last modes of the spectrum over the largest."""

    def weights(self, h: float) -> list[State]:
        """``exp(z), exp(z/2), h phi_1(z/2)/2, h phi_2(z/2), ...`` for ``z = h L``, as of `integrator.StepWeights`."""
        if h not in self._weights:
            if len(self._weights) > 8:
                self._weights.clear()
            # steps are halved and doubled: half of this one is another's whole
            half_h = h / 2
            several = {step: self._phi[step] if step in self._phi else self.phi(step) for step in (h, half_h)}
            self._phi = several
            (whole, one, two, three), (half, half_one, half_two, _) = several[h], several[half_h]
            self._weights[h] = [
                whole,
                half,
                h * half_one / 2,
                h * half_two,
                h * (one - 2 * two),
                2 * h * two,
                h * (one - 3 * two + 4 * three),
                h * (2 * two - 4 * three),
                h * (4 * three - two),
            ]
        return self._weights[h]

    def march(self, y: State, t: float, span: float, steps: int) -> State:
        """The state after `steps` steps over a span of time."""
        h = span / steps
        whole, half, a, b, c_first, c_last, first, middle, last = self.weights(h)
        times = self.times
        for n in range(steps):
            now = t + n * h
            Ny = self.nonlinear(y, now)
            stage = times(half, y) + times(a, Ny)
            Na = self.nonlinear(stage, now + h / 2)
            Nb = self.nonlinear(stage + times(b, Na - Ny), now + h / 2)
            y = times(whole, y)
            Nc = self.nonlinear(y + times(c_first, Ny) + times(c_last, Nb), now + h)
            y = y + times(first, Ny) + times(middle, Na + Nb) + times(last, Nc)
        return y


def phi_functions(matrices: torch.Tensor) -> list[NDArray[Any]]:
    """``exp(z), phi_1, phi_2, phi_3`` of ``z [..., q, q]``: blocks of one exponential (Sidje, ACM TOMS 24, 1998)."""
    q = matrices.shape[-1]
    big = torch.zeros(*matrices.shape[:-2], 4 * q, 4 * q, dtype=matrices.dtype)
    big[..., :q, :q] = matrices
    eye = torch.eye(q, dtype=matrices.dtype)
    for n in range(3):
        big[..., n * q : (n + 1) * q, (n + 1) * q : (n + 2) * q] = eye
    top = torch.linalg.matrix_exp(big)[..., :q, :].numpy()
    return [top[..., n * q : (n + 1) * q] for n in range(4)]


def solve_each(
    stepper: Stepper,
    initial: Array,
    times: Array,
    *,
    keep: int | None = None,
    tolerance: float = TOLERANCE,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Trajectories one by one, ``[S, keep, points..., unknowns]``, float64.

    Convention: a trajectory depends on itself alone, bit for bit.

    Args:
        stepper: of the equation on a grid.
        initial: ``[S, variables, points...]``, at ``times[0]``.
        times: increasing output times.
        keep: how many of the last output times to return; all by default.
        tolerance: relative error per output interval.
        workers: processes; by default one per available processor.
        progress: called with the fraction that is done.

    Raises:
        UserError: a trajectory blows up or is not resolved.
    """
    keep = len(times) if keep is None else keep
    text, points = stepper.equation.text, stepper.points
    spans = _spans(times)
    out = processes.shared((len(initial), keep, *points, len(stepper.equation.space.dependent)))

    def work(which: int, tick: Callable[[float], None]) -> None:
        y, m = stepper.start(initial[which]), 1
        for j in range(len(times)):
            if j:
                y, m = _interval(stepper, y, float(times[j - 1]), spans[j - 1], m, tolerance, which)
                if stepper.tail(y) > TAIL:
                    raise UserError(
                        f"trajectory {which} of {text!r} is not resolved by {' x '.join(map(str, points))} "
                        f"points at t = {times[j]:g}: its spectrum ends at {stepper.tail(y):.1g} of the largest mode; "
                        "more points (`resolution`), smoother initial values or an earlier end resolve it"
                    )
            if j >= len(times) - keep:
                out[which, j - (len(times) - keep)] = stepper.on_grid(y)
            tick((j + 1) / len(times))

    workers = processes.available() if workers is None else workers
    processes.each(work, len(initial), max(min(workers, len(initial)), 1), progress)
    return out


def _spans(times: Array) -> list[float]:
    """Between output times; those that are equal but for rounding are one number, whose weights are shared."""
    spans = np.diff(times)
    even = float(times[-1] - times[0]) / max(len(spans), 1)
    equal = np.abs(spans - even) <= EVEN * np.abs(times).max(initial=0.0)
    return [even if same else float(span) for same, span in zip(equal, spans, strict=True)]


def _interval(
    stepper: Stepper, y: State, t: float, span: float, m: int, tolerance: float, which: int
) -> tuple[State, int]:
    """The state after an output interval, by twice the steps that agree with half of them; and how many those are."""
    coarse: State | None = None
    with np.errstate(all="ignore"):
        while True:
            if 2 * m > MOST_STEPS:
                raise UserError(
                    f"trajectory {which} of {stepper.equation.text!r} needs more than {MOST_STEPS} steps per output "
                    f"time at t = {t + span:g}"
                )
            coarse = stepper.march(y, t, span, m) if coarse is None else coarse
            fine = stepper.march(y, t, span, 2 * m)
            size = float(np.sqrt((np.abs(fine) ** 2).sum()))
            error = float(np.sqrt((np.abs(fine - coarse) ** 2).sum())) / stepper.gain
            if math.isfinite(size) and error <= tolerance * max(size, 1e-300):
                return fine, max(m // 2, 1) if error * SPARE <= tolerance * size else m
            m, coarse = 2 * m, fine if math.isfinite(size) else None
