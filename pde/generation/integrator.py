"""An exponential Runge-Kutta method on a splitting, in Fourier space.

ETDRK4 takes the stiff linear part exactly, in Krogstad's form (J. Comput. Phys. 203, 2005), which loses less to
stiffness than that of Cox and Matthews.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np
import sympy
from numpy.typing import NDArray

from symflow import ops
from symflow.formulas import expressions

from ..equations import derivative_order, derivative_symbol, highest_derivative, t, u, x
from .splitting import Splitting

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
STABILITY = 1.5  # h max|u| k_max: above 2, single trajectories become NaN or drift in energy
_TERMS = 17  # of the series of phi_3 on the unit disc: 1/20! is 4e-19
PADDING = 2.5  # points per mode: what is aliased is below TAIL^1.5, for a spectrum that decays geometrically
MOST_MULTIPLIED = 16  # an exponent
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    name: getattr(np, name) for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign")
} | {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "Abs": np.abs,
    "erf": np.vectorize(math.erf, otypes=[float]),
}
"""Those of `symflow.formulas.expressions`, by sympy's names."""


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
        return lambda values: _power(parts[0](values), exponent)
    if expression.is_Pow and expression.base != sympy.E:
        return lambda values: parts[0](values) ** parts[1](values)
    function = _FUNCTIONS["exp" if expression.is_Pow else type(expression).__name__]
    argument = parts[-1]
    return lambda values: function(argument(values))


def _power(value: Any, exponent: int) -> Any:
    """By products where they are few: the general power of numpy takes as long as fifty of them."""
    if not 2 < exponent <= MOST_MULTIPLIED:
        return value**exponent
    found, square = value if exponent % 2 else None, value
    for bit in bin(exponent >> 1)[:1:-1]:
        square = square * square
        if bit == "1":
            found = square if found is None else found * square
    return found


def _value(expression: sympy.Expr, time: float | Array | None) -> float | Array:
    value: float | Array = expressions.evaluate(expression, {t: time}, _FUNCTIONS)
    return value


def _polynomial(densities: Sequence[sympy.Expr]) -> Array | None:
    """The coefficients of a single density that is a polynomial in u, lowest first."""
    if len(densities) != 1 or not densities[0].is_polynomial(u) or densities[0].free_symbols - {u}:
        return None
    return np.array([float(c) for c in reversed(sympy.Poly(densities[0], u).all_coeffs())])


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


class StepWeights(NamedTuple):
    """The multipliers of one step of Krogstad's scheme, ``[modes]`` or ``[S, modes]``, for ``z = h L``."""

    whole: ComplexArray  # exp(z)
    half: ComplexArray  # exp(z/2)
    a: ComplexArray  # h phi_1(z/2)/2
    b: ComplexArray  # h phi_2(z/2)
    c_first: ComplexArray  # h (phi_1(z) - 2 phi_2(z))
    c_last: ComplexArray  # 2 h phi_2(z)
    first: ComplexArray  # h (phi_1 - 3 phi_2 + 4 phi_3)
    middle: ComplexArray  # h (2 phi_2 - 4 phi_3)
    last: ComplexArray  # h (4 phi_3 - phi_2)


def step_weights(z: ComplexArray, h: float) -> StepWeights:
    """The multipliers for ``z = h L``.

    ``phi_n = 1/n! + z phi_{n+1}``: below ``|z| = 1``, where the closed forms cancel, upwards from the series of phi_3.
    """

    def phi(z: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        small = np.abs(z) < 1.0
        one, two, three = (np.empty_like(z) for _ in range(3))
        near, far = z[small], z[~small]
        series = np.zeros_like(near)
        for n in range(_TERMS + 3, 2, -1):
            series = series * near + 1 / math.factorial(n)
        three[small] = series
        two[small] = 0.5 + near * series
        one[small] = 1.0 + near * two[small]
        one[~small] = np.expm1(far) / far
        two[~small] = (one[~small] - 1) / far
        three[~small] = (two[~small] - 0.5) / far
        return one, two, three

    (half, half_two, _), (one, two, three) = phi(z / 2), phi(z)
    weights = [
        half / 2,
        half_two,
        one - 2 * two,
        2 * two,
        one - 3 * two + 4 * three,
        2 * two - 4 * three,
        4 * three - two,
    ]
    return StepWeights(*(np.exp(z), np.exp(z / 2), *(h * w for w in weights)))


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
        # N = sum_i c_i(t) m_i F[density_i] + sum_j c_j(t) m_j v, constant c within the m
        self.coefficients = [f.coefficient for f in splitting.fluxes] + [a for _, a in splitting.varying]
        self.multipliers = np.stack(
            [np.zeros(modes, complex)][len(self.coefficients) :]
            + [self.ik**f.order / self.points for f in splitting.fluxes]
            + [self.ik**m for m, _ in splitting.varying]
        )
        if splitting.autonomous:
            for multiplier, coefficient in zip(self.multipliers, self.coefficients, strict=False):
                multiplier *= float(coefficient)
        self.polynomial = _polynomial([f.density for f in splitting.fluxes])
        self.roots = np.exp(-2j * np.pi * np.arange(self.points) / self.points)
        self._steps: dict[float, ComplexArray] = {}

    def weights(self, h: float) -> ComplexArray:
        """Those of `StepWeights` as one array, ``[9, modes]``."""
        if h not in self._steps:
            if len(self._steps) > 64:
                self._steps.clear()
            self._steps[h] = np.stack(step_weights(np.asarray(self.symbol * h, complex), h))
        return self._steps[h]

    def factors(self, times: Array) -> Array:
        """The c of N at some times, ``[..., terms]``."""
        values = [np.broadcast_to(np.asarray(_value(c, times), float), times.shape) for c in self.coefficients]
        return np.stack(values, -1)

    def room(self, rows: int) -> ComplexArray:
        """A spectrum with the zeros that the inverse transform wants: the modes are ``[:, :modes]`` of it."""
        return np.zeros((rows, self.points // 2 + 1), complex)

    def physical(self, padded: ComplexArray, order: int = 0) -> Array:
        """The order-th x-derivative on the grid, of a spectrum in a `room`."""
        if order:
            padded = padded.copy()
            padded[:, : self.modes] *= self.ik**order
        return np.fft.irfft(padded, self.points, norm="forward")

    def nonlinear(self, padded: ComplexArray, factors: Array | None) -> ComplexArray:
        """N in Fourier space of spectra in a `room`; ``factors [S, terms]``, ``None`` where they are constant."""
        values: dict[sympy.Symbol, Any] = {x: self.x}
        for m in self.orders:
            values[derivative_symbol(m)] = self.physical(padded, m)
        total = np.zeros((padded.shape[0], self.modes), complex)
        for i, multiplier in enumerate(self.multipliers[: len(self.coefficients)]):
            if i < len(self.densities):
                density = self.densities[i](values)
                if np.ndim(density) < 2:
                    density = np.broadcast_to(density, (padded.shape[0], self.points))
                spectrum = np.fft.rfft(density)[:, : self.modes]
            else:
                spectrum = padded[:, : self.modes].copy()
            spectrum *= multiplier
            if factors is not None:
                spectrum *= factors[:, i, None]
            total += spectrum
        return total

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
        factors = None
        if times is not None:
            clocks = np.stack([np.pad(row, (0, times[0].size - row.size), mode="edge") for row in times])
            factors = self.factors(clocks)
        if self.polynomial is not None and ops.built:
            return ops.etdrk4(v, own, steps, self.polynomial, self.multipliers, factors, self.roots)
        c = np.stack(own, 1)
        v = v.copy()
        begin = 0
        for end in sorted(set(steps)):
            active = sum(n >= end for n in steps)  # the others are at their end
            part = None if factors is None else factors[:active, 2 * begin : 2 * end + 1]
            self._march(v[:active], StepWeights(*c[:, :active]), part, end - begin)
            begin = end
        return v

    def _march(self, v: ComplexArray, c: StepWeights, factors: Array | None, steps: int) -> None:
        """Steps in place (Krogstad 2005, equation 51): what the compiled ones do, for any N."""
        N, padded = self.nonlinear, self.room(v.shape[0])
        argument = padded[:, : self.modes]  # of N
        term = np.empty_like(v)
        t0 = t1 = t2 = None
        for i in range(steps):
            if factors is not None:
                t0, t1, t2 = (factors[:, 2 * i + stage] for stage in range(3))
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
