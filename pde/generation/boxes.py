"""Systems of evolution equations on periodic boxes in one to three dimensions, by exponential Runge-Kutta steps.

The formula is split (`systems`) and stepped in Fourier space by ETDRK4 (`stepping`), as scalar equations on a line are
(`integrator`), with matrices in the place of numbers: the linear part couples the variables of the state. Products are
taken on a finer grid, fine enough for the degree of the equation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import sympy
import torch
from numpy.typing import NDArray

from symflow.errors import UserError

from ..equations import Equation, variable
from .integrator import Array, ComplexArray, _compiled, _even_fast_length
from .stepping import TOLERANCE, Stepper, phi_functions, solve_each
from .systems import Operator, system_of

LARGEST = 1e8  # modes times variables squared: the weights of a step are held in memory


class Box(Stepper):
    """A system on a grid: wavenumbers, weights, the nonlinear term.

    Args:
        equation: a system that `system_of` knows.
        lengths: the periods.
        points: of the grid along each axis.

    Raises:
        UserError: as of `system_of`; or short waves grow without bound.
    """

    def __init__(self, equation: Equation, lengths: Sequence[float], points: Sequence[int]) -> None:
        super().__init__()
        self.equation, self.system, self.gain = equation, system_of(equation), 15.0
        self.lengths, self.points = tuple(lengths), tuple(points)
        d = len(self.points)
        self.dims = tuple(range(-d, 0))
        factor = (self.system.degree + 1) / 2
        self.fine = tuple(_even_fast_length(math.ceil(factor * n)) for n in self.points)
        frequencies = [np.fft.fftfreq(n, 1 / n).astype(int) for n in self.points[:-1]]
        frequencies.append(np.arange(self.points[-1] // 2 + 1))
        self.k = np.meshgrid(
            *(2 * np.pi / length * f for length, f in zip(self.lengths, frequencies, strict=True)), indexing="ij"
        )
        # the highest cosine has no derivative: it is left out on every axis
        kept = [2 * np.abs(f) < n for f, n in zip(frequencies, self.points, strict=True)]
        self.kept = np.logical_and.reduce(np.meshgrid(*kept, indexing="ij"))
        self.inside = np.ix_(*(np.flatnonzero(keep) for keep in kept))
        self.outside = np.ix_(*(f[keep] % n for f, keep, n in zip(frequencies, kept, self.fine, strict=True)))
        self.modes = self.k[0].shape
        self.q = len(self.system.state)
        if self.kept.size * (4 * self.q) ** 2 > LARGEST * 16:
            raise UserError(f"a grid of {' x '.join(map(str, self.points))} points is too fine for {self.q} variables")
        self.L = self._operator(self.system.linear, self.q, self.q)
        self._check_growth()
        self.given = self._given()
        self.places = [
            np.arange(m).reshape([-1 if i == j else 1 for j in range(d)]) * (length / m)
            for i, (m, length) in enumerate(zip(self.fine, self.lengths, strict=True))
        ]
        self.rates = [None if N == 0 else _compiled(N) for N in self.system.rest]

    def _operator(self, operator: Operator, rows: int, columns: int) -> ComplexArray:
        """``[rows, columns, modes]``."""
        found = np.zeros((rows, columns, *self.modes), complex)
        for (row, column), terms in operator.items():
            for index, c in terms.items():
                factor: Any = c
                for k, n in zip(self.k, index, strict=True):
                    factor = factor * (1j * k) ** n
                found[row, column] += factor
        return found

    def _check_growth(self) -> None:
        matrices = np.moveaxis(self.L, (0, 1), (-2, -1))
        growth = np.linalg.eigvals(matrices).real.max(-1)
        size = np.sqrt(sum(k**2 for k in self.k))
        largest = float(growth[self.kept].max(initial=0.0))
        at_end = float(growth[self.kept & (size > 0.9 * size[self.kept].max())].max(initial=0.0))
        if at_end > 0 and at_end >= 0.99 * largest and at_end > 1e-6 * float(np.abs(self.L).max()):
            raise UserError(
                f"cannot solve {self.equation.text!r} forwards in time: short waves grow without bound; check the sign "
                "of the highest even derivatives"
            )

    def _given(self) -> ComplexArray | None:
        """The unknowns of the constraints by the state, ``[given, state, modes]``; their means are 0 where C is."""
        m = len(self.system.given)
        if not m:
            return None
        C = np.moveaxis(self._operator(self.system.constraint, m, m), (0, 1), (-2, -1))
        B = np.moveaxis(self._operator(self.system.source, m, self.q), (0, 1), (-2, -1))
        found: ComplexArray = np.moveaxis(-np.linalg.pinv(C) @ B, (-2, -1), (0, 1))
        return found

    def phi(self, h: float) -> list[ComplexArray]:
        """Matrices of one mode each, ``[state, state, modes]``."""
        count = int(np.prod(self.modes))
        z = torch.from_numpy(np.moveaxis(self.L, (0, 1), (-2, -1)).reshape(count, self.q, self.q) * h)
        several = (top.reshape(*self.modes, self.q, self.q) for top in phi_functions(z))
        return [np.ascontiguousarray(np.moveaxis(top, (-2, -1), (0, 1))) for top in several]

    def times(self, matrix: ComplexArray, y: ComplexArray) -> ComplexArray:
        """Mode by mode."""
        found: ComplexArray = np.einsum("ab...,b...->a...", matrix, y)
        return found

    def physical(self, v: ComplexArray) -> Array:
        """On the fine grid, of one spectrum."""
        room = np.zeros((*self.fine[:-1], self.fine[-1] // 2 + 1), complex)
        room[self.outside] = v[self.inside]
        return np.fft.irfftn(room, self.fine, axes=self.dims, norm="forward")

    def spectrum(self, values: Array) -> ComplexArray:
        """Of values on the fine grid."""
        room = np.fft.rfftn(np.broadcast_to(values, self.fine), axes=self.dims, norm="forward")
        found = np.zeros(self.modes, complex)
        found[self.inside] = room[self.outside]
        return found

    def nonlinear(self, y: ComplexArray, t: float) -> ComplexArray:
        """N in Fourier space, ``[state, modes]``."""
        whole = y if self.given is None else np.concatenate([y, np.einsum("ab...,b...->a...", self.given, y)])
        values: dict[sympy.Symbol, Any] = {variable("t"): t}
        values |= {variable(name): x for name, x in zip(self.system.axes, self.places, strict=True)}
        for symbol, (n, index) in self.system.symbols.items():
            v = whole[n]
            for k, order in zip(self.k, index, strict=True):
                v = v * (1j * k) ** order if order else v
            values[symbol] = self.physical(v)
        found = np.zeros_like(y)
        for n, rate in enumerate(self.rates):
            if rate is not None:
                found[n] = self.spectrum(np.asarray(rate(values), float))
        return found

    def start(self, initial: Array) -> ComplexArray:
        """The spectrum of the state at the first time, ``[state, points...]``, on a grid no finer than this."""
        v = np.fft.rfftn(initial, axes=self.dims, norm="forward")
        found: ComplexArray = np.where(self.kept, v, 0)
        return found

    def on_grid(self, y: ComplexArray) -> Array:
        """All unknowns, ``[points..., unknowns]``."""
        whole = y if self.given is None else np.concatenate([y, np.einsum("ab...,b...->a...", self.given, y)])
        of_unknown = {a: n for n, (a, j) in enumerate(self.system.state) if j == 0}
        of_unknown |= {a: self.q + n for n, a in enumerate(self.system.given)}
        columns = [
            np.fft.irfftn(whole[of_unknown[a]], self.points, axes=self.dims, norm="forward") for a in sorted(of_unknown)
        ]
        return np.stack(columns, -1)

    def tail(self, y: ComplexArray) -> float:
        """The largest of the modes beyond seven eighths of an axis, over the largest."""
        size = np.abs(y).max(0)
        edge = np.zeros(self.modes, bool)
        for k, n, length in zip(self.k, self.points, self.lengths, strict=True):
            edge |= np.abs(k) > 7 / 8 * np.pi * n / length
        return float(size[edge].max(initial=0.0) / (size.max() or 1.0))


def solve_box(
    equation: Equation,
    initial: Array,
    times: Array,
    *,
    lengths: Sequence[float],
    keep: int | None = None,
    tolerance: float = TOLERANCE,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Solutions of a system on a periodic box, ``[S, keep, points..., unknowns]``, float64.

    Convention: a trajectory depends on itself alone, bit for bit.

    Args:
        equation: of first or second order in time for each unknown, or an unknown that a linear equation gives.
        initial: ``[S, state, points...]``, at ``times[0]``, the state as of `systems.System`, on uniform grids that
            include the left ends and exclude the right.
        times: increasing output times.
        lengths: the periods.
        keep: how many of the last output times to return; all by default.
        tolerance: relative error per output interval.
        workers: processes; by default one per available processor.
        progress: called with the fraction that is done.

    Raises:
        UserError: the equation is not of this kind, or a trajectory blows up or is not resolved.
    """
    box = Box(equation, lengths, initial.shape[2:])
    return solve_each(box, initial, times, keep=keep, tolerance=tolerance, workers=workers, progress=progress)


def random_plane_waves(
    samples: int | range,
    seed: int,
    points: Sequence[int],
    variables: int,
    *,
    waves: int,
    wavenumbers: Sequence[int],
    amplitude: float = 0.5,
) -> NDArray[np.float64]:
    """Initial values ``sum_i A_i sin(2 pi l_i . x/L + phi_i)`` on a box, ``[samples, variables, points...]``.

    ``A ~ U(-amplitude, amplitude)``, each component of l from `wavenumbers` with either sign, not all of them 0. The
    row of number i, of all below `samples` or of those in it, depends on (seed, i) alone.
    """
    numbers = range(samples) if isinstance(samples, int) else samples
    d = len(points)
    choices = sorted({s * int(n) for n in wavenumbers for s in (1, -1)})
    vectors = np.array([v for v in product(choices, repeat=d) if any(v)])
    angles = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in points), indexing="ij")
    u = np.zeros((len(numbers), variables, *points))
    for row, i in zip(u, numbers, strict=True):
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, i))))
        for a in range(variables):
            for _ in range(waves):
                A, phase = amplitude * (2 * random.random() - 1), 2 * np.pi * random.random()
                l = vectors[min(int(random.random() * len(vectors)), len(vectors) - 1)]
                row[a] += A * np.sin(sum(n * angle for n, angle in zip(l, angles, strict=True)) + phase)
    return u
