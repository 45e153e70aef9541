"""Evolution equations on a periodic line by exponential Runge-Kutta steps in Fourier space.

The formula is split, not a class written per equation (`splitting`), and stepped by ETDRK4 (`integrator`). Three things
are chosen for each trajectory while it runs: the number of modes, by the tail of the spectrum; the step, by
``h sum_m max |dN/du_m| k^m <= 1.5`` on the modes that the linear part does not damp; and a smaller step where a
comparison with half as many steps says so. Trajectories are solved side by side, and each leaves the row when its steps
are done: the hard ones do not hold up the easy ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symflow.errors import UserError
from symflow.runs import processes

from ..equations import Equation, t
from .balances import balances
from .integrator import Array, ComplexArray, SpectralGrid, _value
from .splitting import split

MOST_ROWS = 64  # trajectories solved side by side: enough to make calls of numpy cheap, few enough for the cache
FEWEST_ROWS = 8  # per process: below that a second one is not worth its start
TAIL = 1e-9  # the last eighth of the modes, relative to the largest: above it the grid is refined
TAIL_SPARE = 1e-11  # a smaller grid is taken only when its tail is below this
FEWEST_MODES = 32
MOST_MODES = 16_384
MOST_STEPS = 1 << 16  # per output interval
STEP = 256  # modes that cost as much as the calls of one step
CHECK_EVERY = 8  # output intervals between comparisons with half as many steps
TOLERANCE = 1e-9  # relative error per output interval
MEAN_TOLERANCE = 1e-9
ENERGY_TOLERANCE = 1e-5


@dataclass
class Budget:
    """Work that may still be done: steps times modes, a step costing what `STEP` modes do beside those it has."""

    left: float

    def spend(self, steps: float, modes: int) -> bool:
        """Whether there is so much left; it is then spent."""
        work = steps * (modes + STEP)
        if work > self.left:
            return False
        self.left -= work
        return True


class _Run:
    """What the trajectories of one call share: the splitting, the grids made so far, the output times."""

    def __init__(
        self, equation: Equation, times: Array, length: float, tolerance: float, budget: Budget | None
    ) -> None:
        self.equation, self.times, self.length, self.tolerance = equation, times, length, tolerance
        self.budget = budget
        self.splitting = split(equation)
        self.balances = balances(equation)
        with np.errstate(all="ignore"):
            self.s = np.asarray(_value(self.splitting.elapsed, times), float)
            decays = [np.broadcast_to(np.asarray(_value(b.decay, times), float), times.shape) for b in self.balances]
        if not np.all(np.isfinite(self.s)) or not np.all(np.diff(self.s) > 0):
            raise UserError(
                f"cannot solve {equation.text!r} from t = {times[0]:g} to {times[-1]:g}: the factor of time "
                f"{self.splitting.clock} must be positive and finite there"
            )
        self.decays = [d / d[0] for d in decays]
        self._grids: dict[int, SpectralGrid] = {}
        symbol = self.grid(MOST_MODES).symbol.real
        if symbol[-1] > 0 and symbol[-1] >= symbol.max():
            raise UserError(
                f"cannot solve {equation.text!r} forwards in time: short waves grow without bound; "
                "check the sign of the highest even x-derivative"
            )

    def grid(self, modes: int) -> SpectralGrid:
        if modes not in self._grids:
            self._grids[modes] = SpectralGrid(self.splitting, self.length, modes)
        return self._grids[modes]

    @lru_cache(maxsize=256)  # noqa: B019 - lives and dies with the run
    def stage_times(self, j: int, steps: int) -> Array:
        """Physical times of the stages of interval j, ``[2 steps + 1]``, by Newton's method on ``s(t)``."""
        low, high = self.times[j], self.times[j + 1]
        if not self.splitting.clock.has(t):
            return np.linspace(low, high, 2 * steps + 1)
        target = np.linspace(self.s[j], self.s[j + 1], 2 * steps + 1)
        guess: Array = np.interp(target, [self.s[j], self.s[j + 1]], [low, high])
        for _ in range(60):
            miss = np.asarray(_value(self.splitting.elapsed, guess)) - target
            update = np.clip(guess - miss / np.asarray(_value(self.splitting.clock, guess)), low, high)
            if np.max(np.abs(update - guess)) <= 1e-15 * max(abs(low), abs(high)):
                break
            guess = update
        return guess


_LADDER = sorted({1 << i for i in range(17)} | {3 << i for i in range(15)} | {5 << i for i in range(14)})


def _rung(value: float) -> int:
    """The smallest of 1, 2, 3, 4, 5, 6, 8, 10, 12, ... that is at least `value`."""
    return next((n for n in _LADDER if n >= value), _LADDER[-1] + 1)


@dataclass
class _Row:
    """One trajectory on its way: spectrum, step, and what the next step is chosen by."""

    index: int
    v: ComplexArray  # [modes]
    sensitivities: Array  # max |dN/du_m|
    moments: Array  # means of u and u^2 at the start
    accurate: float = math.inf  # the largest step that halving has found accurate
    steps: int = 0


class _Rows:
    """Trajectories solved side by side; each takes the steps and the grid that it needs, whoever its neighbours are."""

    def __init__(self, run: _Run, v: ComplexArray, first: int) -> None:
        self.run = run
        grid = run.grid(v.shape[1])
        sensitivities, moments = grid.sensitivities(v, run.times[0]), _moments(v).T
        self.rows = [_Row(first + i, v[i], sensitivities[i], moments[i]) for i in range(v.shape[0])]

    def _fail(self, row: _Row, j: int, what: str) -> UserError:
        return UserError(
            f"trajectory {row.index} of {self.run.equation.text!r} {what} at t = {self.run.times[j + 1]:g}"
        )

    def interval(self, j: int) -> None:
        """From output time j to j + 1."""
        span = self.run.s[j + 1] - self.run.s[j]
        pending = self.rows
        for row in pending:
            row.steps = 0
        while pending:
            refused = []
            for modes, rows in _by(pending, lambda row: row.v.size).items():
                grid = self.run.grid(modes)
                stable = grid.largest_step(np.stack([row.sensitivities for row in rows]))
                for row, limit in zip(rows, stable, strict=True):
                    # compared with half as many steps: at least two
                    least = 2 if self._due(row, j) else 1
                    row.steps = _rung(max(span / min(row.accurate, limit), row.steps, least))
                    if row.steps > MOST_STEPS:
                        raise self._fail(row, j, f"needs more than {MOST_STEPS} steps per output time")
                    if self.run.budget and not self.run.budget.spend(1.5 * row.steps, modes):
                        raise self._fail(row, j, "needs more work than is allowed")
                refused += self._attempt(grid, rows, j, span)
            pending = refused

    @staticmethod
    def _due(row: _Row, j: int) -> bool:
        return j % CHECK_EVERY == 0 or row.accurate == math.inf

    def _advance(
        self, grid: SpectralGrid, rows: Sequence[_Row], j: int, span: float, steps: Sequence[int]
    ) -> ComplexArray:
        order = sorted(range(len(rows)), key=lambda i: -steps[i])  # the most steps first
        counts = [steps[i] for i in order]
        times = None if self.run.splitting.autonomous else [self.run.stage_times(j, n) for n in counts]
        v = np.stack([rows[i].v for i in order])
        new = np.empty_like(v)
        new[order] = grid.advance(v, [span / n for n in counts], counts, times)
        return new

    def _attempt(self, grid: SpectralGrid, rows: list[_Row], j: int, span: float) -> list[_Row]:
        """One try for rows of one grid; those that have to try again come back."""
        run = self.run
        due = [i for i, row in enumerate(rows) if self._due(row, j)]
        steps = [row.steps for row in rows] + [rows[i].steps // 2 for i in due]
        with np.errstate(all="ignore"):
            both = self._advance(grid, [*rows, *(rows[i] for i in due)], j, span, steps)
            new, coarse = both[: len(rows)], both[len(rows) :]
            sensitivities = grid.sensitivities(new, run.times[j + 1])
            stable = grid.largest_step(sensitivities)
            size = np.abs(new)
            tail = _tail(size, grid.modes)
            error = np.zeros(len(rows))
            if due:
                difference = (np.abs(new[due] - coarse) ** 2).sum(-1) / (size[due] ** 2).sum(-1)
                ratio = np.array([rows[i].steps / (rows[i].steps // 2) for i in due])
                error[due] = np.where(size[due].any(-1), np.sqrt(difference), 0.0) / (ratio**4 - 1)
        moments = _moments(new)
        fewer = _LADDER[_LADDER.index(grid.modes) - 1]
        spare = _tail(size, fewer) <= TAIL_SPARE if fewer >= FEWEST_MODES else np.zeros(len(rows), bool)
        refused = []
        for i, row in enumerate(rows):
            h = span / row.steps
            if not np.isfinite(size[i, 0]) or not np.isfinite(size[i]).all():
                row.steps *= 2
            elif h > 1.25 * stable[i]:
                row.sensitivities = sensitivities[i]
                row.steps += 1
            elif tail[i] > TAIL:
                modes = _rung(grid.modes + 1)
                if modes > MOST_MODES:
                    raise self._fail(row, j, f"is not resolved by {2 * MOST_MODES} points in x")
                row.v = np.pad(row.v, (0, modes - grid.modes))
                row.steps = 0
            else:
                if i in due:
                    gain = 0.9 * (run.tolerance / max(error[i], 1e-300)) ** 0.25 if np.isfinite(error[i]) else 0.0
                    row.accurate = h * min(max(gain, 0.4), 2.0)
                if error[i] <= run.tolerance:
                    self._check(row, j, moments[:, i])
                    row.v, row.sensitivities = new[i, : fewer if spare[i] else None].copy(), sensitivities[i]
                    continue
                row.steps += 1
            refused.append(row)
        return refused

    def _check(self, row: _Row, j: int, moments: Array) -> None:
        for balance, decay in zip(self.run.balances, self.run.decays, strict=True):
            i = balance.power - 1
            expected = row.moments[i] * decay[j + 1]
            allowed = MEAN_TOLERANCE * row.moments[1] ** 0.5 if i == 0 else ENERGY_TOLERANCE * abs(expected)
            if not abs(moments[i] - expected) <= allowed + 1e-300:
                raise self._fail(
                    row, j, f"breaks the balance of the {balance.name} ({moments[i]:.9g}, expected {expected:.9g})"
                )

    def on_grid(self, points: int) -> Array:
        """u on a uniform grid, ``[S, points]``, exact whatever the number of modes."""
        out = np.empty((len(self.rows), points))
        for modes, rows in _by(range(len(self.rows)), lambda i: self.rows[i].v.size).items():
            stride = max(math.ceil(2 * modes / points), 1)
            v = np.stack([self.rows[i].v for i in rows])
            out[rows] = np.fft.irfft(v, stride * points, norm="forward")[:, ::stride]
        return out


def _by(items: Iterable[Any], key: Callable[[Any], int]) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _moments(v: ComplexArray) -> Array:
    """Means of u and u^2, ``[2, S]``."""
    return np.stack([v[:, 0].real, np.abs(v[:, 0]) ** 2 + 2 * (np.abs(v[:, 1:]) ** 2).sum(-1)])


def _tail(size: Array, modes: int) -> Array:
    """The largest of the modes in the last eighth of `modes` and beyond, relative to the largest of all."""
    share: Array = size[:, modes - modes // 8 :].max(-1) / np.maximum(size.max(-1), 1e-300)
    return share


def spectrum(u: Array) -> ComplexArray:
    """Fourier coefficients of rows on a uniform grid, ``u = Re sum_k (2 - [k = 0]) v_k exp(2 pi i k x/L)``."""
    v = np.fft.rfft(u, norm="forward")
    if u.shape[-1] % 2 == 0:
        v[..., -1] *= 0.5  # the highest cosine belongs to two modes
    return v


def solve(
    equation: Equation,
    initial: Array,  # [S, X0]
    times: Array,  # [T]
    *,
    length: float,
    resolution: int,
    keep: int | None = None,
    tolerance: float = TOLERANCE,
    first: int = 0,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
    budget: Budget | None = None,
) -> Array:
    """Solutions of an evolution equation on a periodic line, ``[S, keep, resolution]``, float64.

    Convention: a row depends on itself alone, bit for bit, not on the rows beside it or the number of processes.

    Args:
        equation: any whose highest x-derivative is linear with a coefficient that depends on t only.
        initial: u at ``times[0]``, rows on uniform grids that include the left end and exclude the right.
        times: increasing output times; how finely they lie does not bear on the accuracy.
        length: the period in x.
        resolution: points of the returned grid, which need not be those of the solution.
        keep: how many of the last output times to return; all by default.
        tolerance: relative error per output interval.
        first: the index of the first row, for messages.
        workers: processes, at most one per 8 rows; by default one per available processor.
        progress: called from this process with the fraction that is done.
        budget: of work, which is spent from it, in this process; a trajectory that needs more is refused.

    Raises:
        UserError: the equation is not of this kind, or a trajectory blows up, is not resolved or breaks a balance.
    """
    times = np.asarray(times, float)
    initial = np.asarray(initial, float)
    run = _Run(equation, times, length, tolerance, budget)
    samples = initial.shape[0]
    keep = times.size if keep is None else keep
    start = spectrum(initial)
    modes = _rung(max(FEWEST_MODES, start.shape[1]))
    start = np.pad(start, ((0, 0), (0, modes - start.shape[1])))
    out = processes.shared((samples, keep, resolution))
    workers = 1 if budget else processes.available() if workers is None else workers
    workers = max(min(workers, samples // FEWEST_ROWS), 1)
    size = min(MOST_ROWS, -(-samples // workers))
    parts = [slice(i, min(i + size, samples)) for i in range(0, samples, size)]

    def work(which: int, tick: Callable[[float], None]) -> None:
        part = parts[which]
        rows = _Rows(run, start[part], first + part.start)
        for j in range(times.size):
            if j:
                rows.interval(j - 1)
            if j >= times.size - keep:
                out[part, j - (times.size - keep)] = rows.on_grid(resolution)
            tick((j + 1) / times.size)

    processes.each(work, len(parts), workers, progress)
    return out
