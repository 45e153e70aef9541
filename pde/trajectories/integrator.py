"""An exponential Runge-Kutta method on a splitting, in Fourier space.

ETDRK4 takes the stiff linear part exactly, in Krogstad's form (J. Comput. Phys. 203, 2005), which loses less to
stiffness than that of Cox and Matthews; coefficients by contour means (Kassam and Trefethen, SIAM J. Sci. Comput. 26,
2005).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from symflow.formulas import expressions

from ..equations import derivative_order, derivative_symbol, highest_derivative, t, x
from .splitting import Splitting

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
STABILITY = 1.5  # h max|u| k_max: above 2, single trajectories become NaN or drift in energy
PADDING = 2.5  # points per mode: what is aliased is below TAIL^1.5, for a spectrum that decays geometrically
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
}


def _compiled(expression: sympy.Expr) -> Callable[[dict[sympy.Symbol, Any]], Any]:
    """A formula as nested closures: `expressions.evaluate` without looking at sympy objects at every call."""
    if expression.is_Symbol:
        return lambda values: values[expression]
    if expression.is_number:
        number = float(expression)
        return lambda values: number
    parts = [_compiled(argument) for argument in expression.args]
    if expression.is_Pow and expression.exp == 2:
        return lambda values: np.square(parts[0](values))
    if expression.is_Add or expression.is_Mul:
        operation = operator.add if expression.is_Add else operator.mul
        return lambda values: reduce(operation, (part(values) for part in parts))
    if expression.is_Pow and expression.exp.is_Integer:
        exponent = int(expression.exp)
        return lambda values: parts[0](values) ** exponent
    if expression.is_Pow and expression.base != sympy.E:
        return lambda values: parts[0](values) ** parts[1](values)
    function = _FUNCTIONS["exp" if expression.is_Pow else type(expression).__name__]
    argument = parts[-1]
    return lambda values: function(argument(values))


def _value(expression: sympy.Expr, time: float | Array | None) -> float | Array:
    value: float | Array = expressions.evaluate(expression, {t: time}, _FUNCTIONS)
    return value


@lru_cache(maxsize=256)
def _even_fast_length(least: int) -> int:
    size = least + least % 2
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2


@dataclass(frozen=True)
class StepWeights:
    """The multipliers of one step of Krogstad's scheme, ``[modes]`` or ``[S, modes]``, for ``z = h L``."""

    whole: NDArray[Any]  # exp(z)
    half: NDArray[Any]  # exp(z/2)
    a: NDArray[Any]  # h phi_1(z/2)/2
    b: NDArray[Any]  # h phi_2(z/2)
    c_first: NDArray[Any]  # h (phi_1(z) - 2 phi_2(z))
    c_last: NDArray[Any]  # 2 h phi_2(z)
    first: NDArray[Any]  # h (phi_1 - 3 phi_2 + 4 phi_3)
    middle: NDArray[Any]  # h (2 phi_2 - 4 phi_3)
    last: NDArray[Any]  # h (4 phi_3 - phi_2)

    def __getitem__(self, rows: slice) -> StepWeights:
        return StepWeights(*(getattr(self, f.name)[rows] for f in fields(self)))


def step_weights(z: ComplexArray, h: float) -> StepWeights:
    """The multipliers for ``z = h L``.

    Below ``|z| = 1`` the closed forms cancel; there they are means over a circle of radius 2 about z, which stays at
    least 1 away from the removable singularity.
    """

    def closed(z: ComplexArray) -> ComplexArray:
        half = np.expm1(z / 2) / (z / 2)
        one = np.expm1(z) / z
        two = (one - 1) / z
        three = (two - 0.5) / z
        return np.stack(
            [
                half / 2,
                (half - 1) / (z / 2),
                one - 2 * two,
                2 * two,
                one - 3 * two + 4 * three,
                2 * two - 4 * three,
                4 * three - two,
            ]
        )

    small = np.abs(z) < 1.0
    circle = 2.0 * np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)
    weights = np.empty((7, z.size), complex)
    weights[:, ~small] = closed(z[~small])
    weights[:, small] = closed((z[small, None] + circle).ravel()).reshape(7, -1, 32).mean(-1)
    every = [np.exp(z), np.exp(z / 2), *(h * weights)]
    if not np.any(z.imag):
        every = [c.real.copy() for c in every]
    return StepWeights(*every)


class SpectralGrid:
    """A splitting on a number of modes: wavenumbers, linear symbol, nonlinear term. Shared by the groups."""

    def __init__(self, splitting: Splitting, length: float, modes: int) -> None:
        self.splitting, self.length, self.modes = splitting, length, modes
        self.points = _even_fast_length(math.ceil(PADDING * modes))
        self.k = 2 * np.pi / length * np.arange(modes)
        self.ik = 1j * self.k
        self.symbol = np.zeros(modes, complex)
        for m, c in enumerate(splitting.stiff):
            self.symbol += c * self.ik**m
        self.damping = -np.minimum(self.symbol.real, 0.0)
        self.powers = self.k ** np.arange(len(splitting.sensitivities))[:, None]
        self.x = np.arange(self.points) * (length / self.points)
        self.densities = [_compiled(f.density) for f in splitting.fluxes]
        self.explicit = [_compiled(e) for e in splitting.sensitivities]
        symbols = {s for f in splitting.fluxes for s in f.density.free_symbols}
        self.orders = sorted(order for s in symbols if (order := derivative_order(s)) is not None)
        # one autonomous flux: its factor goes into the coefficients, once instead of at every stage
        self.folded: NDArray[Any] | None = None
        if len(splitting.fluxes) == 1 and not splitting.varying and splitting.autonomous:
            (flux,) = splitting.fluxes
            self.folded = float(flux.coefficient) / self.points * self.ik**flux.order
        self._steps: dict[float, StepWeights] = {}

    def weights(self, h: float) -> StepWeights:
        if h not in self._steps:
            c = step_weights(np.asarray(self.symbol * h, complex), h)
            if self.folded is not None:
                weights = [getattr(c, f.name) for f in fields(c)]
                c = StepWeights(*weights[:2], *(w * self.folded for w in weights[2:]))
            if len(self._steps) > 64:
                self._steps.clear()
            self._steps[h] = c
        return self._steps[h]

    def room(self, rows: int) -> ComplexArray:
        """A spectrum with the zeros that the inverse transform wants: the modes are ``[:, :modes]`` of it."""
        return np.zeros((rows, self.points // 2 + 1), complex)

    def physical(self, padded: ComplexArray, order: int = 0) -> Array:
        """The order-th x-derivative on the grid, of a spectrum in a `room`."""
        if order:
            padded = padded.copy()
            padded[:, : self.modes] *= self.ik**order
        return np.fft.irfft(padded, self.points, norm="forward")

    def nonlinear(self, padded: ComplexArray, time: Array | None) -> ComplexArray:
        """N in Fourier space of spectra in a `room`, without what is folded into the coefficients.

        ``time``: one per row, ``[S, 1]``; ``None`` where N does not depend on it.
        """
        values: dict[sympy.Symbol, Any] = {x: self.x}
        for m in self.orders:
            values[derivative_symbol(m)] = self.physical(padded, m)
        total: ComplexArray | None = None
        for flux, evaluate in zip(self.splitting.fluxes, self.densities, strict=True):
            density = evaluate(values)
            if np.ndim(density) < 2:
                density = np.broadcast_to(density, (padded.shape[0], self.points))
            spectrum = np.fft.rfft(density)[:, : self.modes]
            if self.folded is not None:
                return spectrum
            spectrum = spectrum * (self.ik**flux.order / self.points)
            spectrum *= _value(flux.coefficient, time)
            total = spectrum if total is None else total + spectrum
        for m, a in self.splitting.varying:
            spectrum = padded[:, : self.modes] * self.ik**m
            spectrum *= _value(a, time)
            total = spectrum if total is None else total + spectrum
        return np.zeros((padded.shape[0], self.modes), complex) if total is None else total

    def sensitivities(self, v: ComplexArray, time: float) -> Array:
        """``max |dN/du_m|`` over x, ``[S, orders]``, for the step."""
        padded = self.room(v.shape[0])
        padded[:, : self.modes] = v
        values = {x: self.x, t: time}
        for m in range(max((highest_derivative(s) for s in self.splitting.sensitivities), default=0) + 1):
            values[derivative_symbol(m)] = self.physical(padded, m)
        out = np.empty((v.shape[0], len(self.explicit)))
        for m, evaluate in enumerate(self.explicit):
            out[:, m] = np.abs(evaluate(values) * np.ones((v.shape[0], 1))).max(-1)
        return out

    def largest_step(self, sensitivities: Array) -> Array:
        """The largest h, ``[S]``, with ``h sum_m max|dN/du_m| k^m <= STABILITY`` at every wavenumber.

        Where the linear part damps a mode at the rate d, h counts as ``(1 - exp(-h d))/d``, the time that N acts on it.
        """
        speed = sensitivities @ self.powers  # [S, modes]
        with np.errstate(all="ignore"):
            damped = STABILITY * self.damping / speed
            limit = np.where(damped < 1e-8, STABILITY / speed, -np.log1p(-damped) / self.damping)
        least: Array = np.where((damped >= 1.0) | (speed == 0.0), np.inf, limit).min(-1)
        return least

    def advance(
        self, v: ComplexArray, h: Sequence[float], steps: Sequence[int], times: Sequence[Array] | None
    ) -> ComplexArray:
        """ETDRK4: row i of ``v [S, modes]`` over ``steps[i]`` steps of ``h[i]``, the most steps first.

        ``times[i] [2 steps[i] + 1]`` are the physical times of the stages of row i.
        """
        own = [self.weights(step) for step in h]
        c = StepWeights(*(np.stack([getattr(one, f.name) for one in own]) for f in fields(StepWeights)))
        clocks = np.zeros((2 * steps[0] + 1, v.shape[0], 1))
        for i, row in enumerate(times or ()):
            clocks[: row.size, i, 0] = row
        v = v.copy()
        begin = 0
        for end in sorted(set(steps)):
            active = sum(n >= end for n in steps)  # the others are at their end
            self._march(v[:active], c[:active], None if times is None else clocks[2 * begin : 2 * end + 1], end - begin)
            begin = end
        return v

    def _march(self, v: ComplexArray, c: StepWeights, clocks: Array | None, steps: int) -> None:
        """Steps in place (Krogstad 2005, equation 51)."""
        N, padded = self.nonlinear, self.room(v.shape[0])
        argument = padded[:, : self.modes]  # of N
        term = np.empty_like(v)
        t0 = t1 = t2 = None
        for i in range(steps):
            if clocks is not None:
                t0, t1, t2 = clocks[2 * i : 2 * i + 3, : v.shape[0]]
            argument[...] = v
            Nv = N(padded, t0)
            np.multiply(c.half, v, out=argument)
            argument += np.multiply(c.a, Nv, out=term)  # a
            Na = N(padded, t1)
            np.subtract(Na, Nv, out=term)
            term *= c.b
            argument += term  # b
            Nb = N(padded, t1)
            v *= c.whole
            np.add(v, np.multiply(c.c_first, Nv, out=term), out=argument)
            argument += np.multiply(c.c_last, Nb, out=term)  # c
            v += np.multiply(c.first, Nv, out=term)
            np.add(Na, Nb, out=term)
            term *= c.middle
            v += term
            v += np.multiply(c.last, N(padded, t2), out=term)
