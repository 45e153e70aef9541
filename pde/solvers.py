"""Evolution equations on a periodic line by exponential Runge-Kutta steps in Fourier space.

The formula is split, not a class written per equation: with the rate ``u_t = -K``,

    u_t = g(t) ( L u + N(t, x, u, u_x, ...) ),        L = sum_m c_m d^m/dx^m  with constant c_m,

where g is the common factor of time of the stiff linear part. In the new time ``s = int g dt`` the stiff part is
autonomous, and ETDRK4 takes it exactly (Cox and Matthews, J. Comput. Phys. 176, 2002; coefficients by contour means
as in Kassam and Trefethen, SIAM J. Sci. Comput. 26, 2005). For nKdV, ``s = 50 (exp(t/50) - 1)``.

Three things are chosen per group of trajectories while it runs: the number of modes, by the tail of the spectrum; the
step, by ``h sum_m max |dN/du_m| k^m <= 1.5`` on the modes that the linear part does not damp; and a smaller step where
a comparison with half as many steps says so.
"""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from symflow import expressions
from symflow.errors import UserError

from .equation import Equation, derivative_order, derivative_symbol, t, total_derivative_x, u, x

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

GROUP = 8  # trajectories solved together; a constant, so that their bits do not depend on how many are asked for
STABILITY = 1.5  # h max|u| k_max: above 2, single trajectories become NaN or drift in energy
TAIL = 1e-9  # the last eighth of the modes, relative to the largest: above it the grid is refined
TAIL_SPARE = 1e-11  # a smaller grid is taken only when its tail is below this
PADDING = 2.5  # points per mode: what is aliased is below TAIL^1.5, for a spectrum that decays geometrically
FEWEST_MODES = 32
MOST_MODES = 16_384
MOST_STEPS = 1 << 16  # per output interval
CHECK_EVERY = 8  # output intervals between comparisons with half as many steps
TOLERANCE = 1e-9  # relative error per output interval
MEAN_TOLERANCE = 1e-9
ENERGY_TOLERANCE = 1e-5

_FUNCTIONS: dict[str, Callable] = {"exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos, "tanh": np.tanh}


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


def _value(expression: sympy.Expr, time: float | Array) -> float | Array:
    return expressions.evaluate(expression, {t: time}, _FUNCTIONS)


@dataclass(frozen=True)
class Flux:
    """One nonlinear term ``coefficient(t) d^order/dx^order density(x, u, u_x, ...)``."""

    coefficient: sympy.Expr
    order: int
    density: sympy.Expr


@dataclass(frozen=True)
class Splitting:
    """``u_t = clock(t) (sum_m stiff[m] u_m + sum varying + sum fluxes)``: an equation as the stepper sees it.

    Attributes:
        clock: g(t), the common factor of time of the linear part.
        elapsed: ``s = int_0 g dt``, in closed form.
        stiff: ``c_0 ... c_n``, constant.
        varying: ``(m, a(t))``: linear terms of lower order whose time factor is another one.
        fluxes: the nonlinear terms, in conservative form where they have one.
        sensitivities: ``dN/du_m`` of everything that is not stiff, for the step.
    """

    clock: sympy.Expr
    elapsed: sympy.Expr
    stiff: tuple[float, ...]
    varying: tuple[tuple[int, sympy.Expr], ...]
    fluxes: tuple[Flux, ...]
    sensitivities: tuple[sympy.Expr, ...]

    @cached_property
    def autonomous(self) -> bool:
        """Whether time appears only through the clock."""
        return not any(a.has(t) for _, a in self.varying) and not any(f.coefficient.has(t) for f in self.fluxes)


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


def split(equation: Equation) -> Splitting:
    """The stiff linear part, its clock and the rest of an equation.

    Raises:
        UserError: the highest derivative is not linear, or the clock has no closed form; the sentence says which.

    >>> split(Equation("u_t + u*u_x + u_xxx = 0")).stiff
    (0.0, 0.0, 0.0, -1.0)
    """
    linear: dict[int, sympy.Expr] = {}
    rest: list[sympy.Expr] = []
    for term in sympy.Add.make_args(sympy.expand(-equation.K)):
        jets = {s: order for s in term.free_symbols if (order := derivative_order(s)) is not None}
        if len(jets) == 1 and x not in term.free_symbols:
            ((symbol, order),) = jets.items()
            factor = term / symbol
            if not factor.has(symbol):
                linear[order] = linear.get(order, sympy.Integer(0)) + factor
                continue
        rest.append(term)
    linear = {m: c for m, c in ((m, sympy.simplify(c)) for m, c in linear.items()) if c != 0}
    top = max(linear, default=0)
    for term in rest:
        order = _order(term)
        if order > 1 and order >= top:
            raise UserError(
                f"cannot solve {equation.text!r}: its highest x-derivative must stand alone with a coefficient "
                f"that depends on t only, got the term {-term}"
            )
    clock = _clock(linear[top]) if linear else sympy.Integer(1)
    elapsed = sympy.integrate(clock, (t, 0, t)) if clock.has(t) else t
    if elapsed.has(sympy.Integral) or not elapsed.free_symbols <= {t}:
        raise UserError(f"cannot solve {equation.text!r}: the factor of time {clock} has no integral in closed form")
    stiff, varying = [0.0] * (top + 1), []
    for m, c in linear.items():
        ratio = sympy.simplify(c / clock)
        if ratio.is_number:
            stiff[m] = float(ratio)
        else:
            varying.append((m, ratio))
    fluxes = _merged([_flux(term / clock) for term in rest])
    explicit = sum((a * derivative_symbol(m) for m, a in varying), sum(rest, sympy.Integer(0)) / clock)
    highest = _order(explicit)
    sensitivities = tuple(sympy.expand(sympy.diff(explicit, derivative_symbol(m))) for m in range(highest + 1))
    return Splitting(clock, elapsed, tuple(stiff), tuple(sorted(varying, key=lambda v: v[0])), fluxes, sensitivities)


def _order(expression: sympy.Expr) -> int:
    return max((derivative_order(s) or 0 for s in expression.free_symbols), default=0)


def _clock(coefficient: sympy.Expr) -> sympy.Expr:
    """The factor of time of the leading coefficient, 1 at t = 0 where that is possible."""
    if not coefficient.has(t):
        return sympy.Integer(1)
    first = coefficient.subs(t, 0)
    if first.is_number and first.is_finite and first != 0:
        return sympy.simplify(coefficient / first)
    return coefficient


def _flux(term: sympy.Expr) -> Flux:
    """``c(t) f(u_m) u_{m+1}`` is ``c(t) d/dx int f du_m``; any other term stays as it is."""
    others = [s for s in term.free_symbols if s != t]
    coefficient, density = sympy.powsimp(sympy.expand(term)).as_independent(*others, as_Add=False)
    top = _order(density)
    if top > 0:
        high, low = derivative_symbol(top), derivative_symbol(top - 1)
        f = density / high
        if not f.has(high) and f.free_symbols <= {low} and f.is_polynomial(low):
            number, density = sympy.integrate(f, low).as_coeff_Mul()
            return Flux(coefficient * number, 1, density)
    return Flux(coefficient, 0, density)


def _merged(fluxes: Sequence[Flux]) -> tuple[Flux, ...]:
    """Terms of one factor of time and one order are transformed together."""
    groups: dict[tuple[sympy.Expr, int], sympy.Expr] = {}
    for f in fluxes:
        number, factor = sympy.simplify(f.coefficient).as_coeff_Mul()
        key = (factor, f.order)
        groups[key] = groups.get(key, sympy.Integer(0)) + number * f.density
    merged = []
    for (factor, order), density in groups.items():
        number, density = density.as_coeff_Mul()
        if density != 0:
            merged.append(Flux(number * factor, order, density))
    return tuple(merged)


@dataclass(frozen=True)
class Balance:
    """``d/dt mean(q) = -rate(t) mean(q)`` on solutions: a law every trajectory is checked against.

    ``decay`` is ``exp(-int_0 rate dt)``.
    """

    name: str
    power: int
    decay: sympy.Expr


def balances(equation: Equation) -> tuple[Balance, ...]:
    """The balances of the mean of u and of u^2 that the formula itself implies on a periodic line.

    ``K = lambda(t) u + D_x(...)`` exactly when the Euler operator gives ``E(K) = lambda(t)``, and then the mean decays
    like ``exp(-int lambda)``; ``E(u K) = 2 lambda(t) u`` does the same for the mean of u^2 (Olver, theorem 4.7).

    >>> [b.name for b in balances(Equation("u_t + u*u_x = nu*u_xx", nu=0.1))]
    ['mean of u']
    """
    found = []
    for name, power in (("mean of u", 1), ("mean of u^2", 2)):
        density = equation.K * u ** (power - 1)
        rate = sympy.simplify(_euler(density) / (1 if power == 1 else u))
        if x in equation.K.free_symbols or not rate.free_symbols <= {t}:
            continue
        decay = sympy.exp(-sympy.integrate(rate, (t, 0, t)))
        if not decay.has(sympy.Integral):
            found.append(Balance(name, power, sympy.simplify(decay)))
    return tuple(found)


def _euler(density: sympy.Expr) -> sympy.Expr:
    """The Euler operator ``sum_m (-D_x)^m d/du_m``, which vanishes on total derivatives and only there."""
    result = sympy.Integer(0)
    for m in range(_order(density) + 1):
        term = sympy.diff(density, derivative_symbol(m))
        for _ in range(m):
            term = -total_derivative_x(term)
        result += term
    return sympy.expand(result)


@dataclass(frozen=True)
class Coefficients:
    """ETDRK4's multipliers for one step: whole and half propagator, and the weights of the nonlinear terms."""

    whole: NDArray
    half: NDArray
    stage: NDArray
    first: NDArray
    middle: NDArray
    last: NDArray


def coefficients(z: Spectrum, h: float) -> Coefficients:
    """ETDRK4 coefficients for ``z = h L``.

    Below ``|z| = 1`` the closed forms cancel; there they are means over a circle of radius 2 about z, which stays at
    least 1 away from the removable singularity.
    """

    def closed(z: Spectrum) -> Spectrum:
        e = np.exp(z)
        return np.stack(
            [
                np.expm1(z / 2) / z,
                (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
                2 * (2 + z + e * (z - 2)) / z**3,
                (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
            ]
        )

    small = np.abs(z) < 1.0
    circle = 2.0 * np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)
    weights = np.empty((4, z.size), complex)
    weights[:, ~small] = closed(z[~small])
    weights[:, small] = closed((z[small, None] + circle).ravel()).reshape(4, -1, 32).mean(-1)
    every = [np.exp(z), np.exp(z / 2), *(h * weights)]
    if not np.any(z.imag):
        every = [c.real.copy() for c in every]
    return Coefficients(*every)


class _Grid:
    """A splitting on a number of modes: wavenumbers, linear symbol, nonlinear term. Shared by the groups."""

    def __init__(self, splitting: Splitting, length: float, modes: int) -> None:
        self.splitting, self.length, self.modes = splitting, length, modes
        self.points = _even_fast_length(math.ceil(PADDING * modes))
        self.k = 2 * np.pi / length * np.arange(modes)
        self.ik = 1j * self.k
        self.symbol = np.zeros(modes, complex)
        for m, c in enumerate(splitting.stiff):
            self.symbol += c * self.ik**m
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
        self._steps: dict[float, Coefficients] = {}

    def coefficients(self, h: float) -> Coefficients:
        if h not in self._steps:
            c = coefficients(self.symbol * h, h)
            if self.folded is not None:
                weights = (w * self.folded for w in (c.stage, c.first, c.middle, c.last))
                c = Coefficients(c.whole, c.half, *weights)
            if len(self._steps) > 64:
                self._steps.clear()
            self._steps[h] = c
        return self._steps[h]

    def room(self, rows: int) -> Spectrum:
        """A spectrum with the zeros that the inverse transform wants: the modes are ``[:, :modes]`` of it."""
        return np.zeros((rows, self.points // 2 + 1), complex)

    def physical(self, padded: Spectrum, order: int = 0) -> Array:
        """The order-th x-derivative on the grid, of a spectrum in a `room`."""
        if order:
            padded = padded.copy()
            padded[:, : self.modes] *= self.ik**order
        return np.fft.irfft(padded, self.points, norm="forward")

    def nonlinear(self, padded: Spectrum, time: float) -> Spectrum:
        """N in Fourier space of a spectrum in a `room`, without what is folded into the coefficients."""
        values: dict[sympy.Symbol, Any] = {x: self.x}
        for m in self.orders:
            values[derivative_symbol(m)] = self.physical(padded, m)
        total: Spectrum | None = None
        for flux, evaluate in zip(self.splitting.fluxes, self.densities, strict=True):
            density = evaluate(values)
            if np.ndim(density) < 2:
                density = np.broadcast_to(density, (padded.shape[0], self.points))
            spectrum = np.fft.rfft(density)[:, : self.modes]
            if self.folded is not None:
                return spectrum
            spectrum = spectrum * (float(_value(flux.coefficient, time)) / self.points * self.ik**flux.order)
            total = spectrum if total is None else total + spectrum
        for m, a in self.splitting.varying:
            spectrum = padded[:, : self.modes] * (float(_value(a, time)) * self.ik**m)
            total = spectrum if total is None else total + spectrum
        return np.zeros((padded.shape[0], self.modes), complex) if total is None else total

    def sensitivities(self, v: Spectrum, time: float) -> list[float]:
        """``max |dN/du_m|`` over the group, for the step."""
        highest = max((_order(s) for s in self.splitting.sensitivities), default=0)
        padded = self.room(v.shape[0])
        padded[:, : self.modes] = v
        values = {x: self.x, t: time} | {derivative_symbol(m): self.physical(padded, m) for m in range(highest + 1)}
        return [float(np.max(np.abs(evaluate(values)))) for evaluate in self.explicit]

    def stiffness(self, sensitivities: Sequence[float], h: float) -> float:
        """``h sum_m max|dN/du_m| k^m`` where the linear part leaves the mode alone, less where it damps it."""
        damping = -h * np.minimum(self.symbol.real, 0.0)
        felt = np.where(damping > 1e-8, -np.expm1(-damping) / np.maximum(damping, 1e-8), 1.0)
        speed = np.zeros(self.modes)
        for m, a in enumerate(sensitivities):
            speed += a * self.k**m
        return float(h * np.max(speed * felt))

    def advance(self, v: Spectrum, h: float, steps: int, times: Array | None) -> Spectrum:
        """ETDRK4 over `steps` steps; `times [2 steps + 1]` are the physical times of the stages."""
        c, N = self.coefficients(h), self.nonlinear
        padded = self.room(v.shape[0])
        stage = padded[:, : self.modes]  # the argument of N
        half, term, new = np.empty_like(v), np.empty_like(v), v.copy()
        for i in range(steps):
            t0, t1, t2 = (0.0, 0.0, 0.0) if times is None else times[2 * i : 2 * i + 3]
            stage[...] = new
            Nv = N(padded, t0)
            np.multiply(c.half, new, out=half)
            pull = c.stage * Nv
            np.add(half, pull, out=stage)  # a
            pull -= np.multiply(c.half, stage, out=term)  # c = half a + stage (2 Nb - Nv)
            Na = N(padded, t1)
            np.add(half, np.multiply(c.stage, Na, out=term), out=stage)  # b
            Nb = N(padded, t1)
            np.multiply(c.stage, Nb, out=term)
            term += term
            np.subtract(term, pull, out=stage)
            new *= c.whole
            new += np.multiply(c.first, Nv, out=term)
            np.add(Na, Nb, out=term)
            term *= c.middle
            new += term
            Nc = N(padded, t2)
            new += np.multiply(c.last, Nc, out=term)
        return new


class _Run:
    """What the groups of one call share: the splitting, the grids made so far, the output times."""

    def __init__(self, equation: Equation, times: Array, length: float, tolerance: float) -> None:
        self.equation, self.times, self.length, self.tolerance = equation, times, length, tolerance
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
        self._grids: dict[int, _Grid] = {}
        symbol = self.grid(MOST_MODES).symbol.real
        if symbol[-1] > 0 and symbol[-1] >= symbol.max():
            raise UserError(
                f"cannot solve {equation.text!r} forwards in time: short waves grow without bound; "
                "check the sign of the highest even x-derivative"
            )

    def grid(self, modes: int) -> _Grid:
        if modes not in self._grids:
            self._grids[modes] = _Grid(self.splitting, self.length, modes)
        return self._grids[modes]

    def stage_times(self, j: int, steps: int) -> Array | None:
        """Physical times of the stages of interval j, by bisection and Newton's method on ``s(t)``."""
        splitting = self.splitting
        if splitting.autonomous:
            return None
        low, high = self.times[j], self.times[j + 1]
        if not splitting.clock.has(t):
            return np.linspace(low, high, 2 * steps + 1)
        target = np.linspace(self.s[j], self.s[j + 1], 2 * steps + 1)
        guess = np.interp(target, [self.s[j], self.s[j + 1]], [low, high])
        for _ in range(60):
            miss = np.asarray(_value(splitting.elapsed, guess)) - target
            update = np.clip(guess - miss / np.asarray(_value(splitting.clock, guess)), low, high)
            if np.max(np.abs(update - guess)) <= 1e-15 * max(abs(low), abs(high)):
                break
            guess = update
        return guess


_LADDER = sorted({1 << i for i in range(17)} | {3 << i for i in range(15)} | {5 << i for i in range(14)})


def _rung(value: float) -> int:
    """The smallest of 1, 2, 3, 4, 5, 6, 8, 10, 12, ... that is at least `value`."""
    return next((n for n in _LADDER if n >= value), _LADDER[-1] + 1)


class _Group:
    """Up to `GROUP` trajectories on their way: spectrum, grid, step."""

    def __init__(self, run: _Run, v: Spectrum, first: int) -> None:
        self.run, self.v, self.first = run, v, first
        self.accurate = math.inf  # the largest step that halving has found accurate
        self.initial = self._moments()

    def _moments(self) -> Array:
        """Means of u and u^2, ``[2, G]``."""
        v = self.v
        return np.stack([v[:, 0].real, np.abs(v[:, 0]) ** 2 + 2 * (np.abs(v[:, 1:]) ** 2).sum(-1)])

    def _fail(self, which: Any, j: int, what: str) -> UserError:
        index = self.first + int(np.argmax(which))
        return UserError(f"trajectory {index} of {self.run.equation.text!r} {what} at t = {self.run.times[j + 1]:g}")

    def interval(self, j: int) -> None:
        """From output time j to j + 1."""
        while True:
            v = self._integrate(j)
            tail = self._tail(v, v.shape[1])
            if np.all(tail <= TAIL):
                break
            modes = _rung(self.v.shape[1] + 1)
            if modes > MOST_MODES:
                raise self._fail(tail > TAIL, j, f"is not resolved by {2 * MOST_MODES} points in x")
            self.v = _resized(self.v, modes)
        self.v = v
        self._check(j)
        while (fewer := _LADDER[_LADDER.index(v.shape[1]) - 1]) >= FEWEST_MODES:
            if np.any(self._tail(v, fewer) > TAIL_SPARE):
                break
            self.v = v = _resized(v, fewer)

    @staticmethod
    def _tail(v: Spectrum, modes: int) -> Array:
        """The largest of the modes in the last eighth of `modes` and beyond, relative to the largest of all."""
        size = np.abs(v)
        return size[:, modes - modes // 8 :].max(-1) / np.maximum(size.max(-1), 1e-300)

    def _integrate(self, j: int) -> Spectrum:
        run, v = self.run, self.v
        grid = run.grid(v.shape[1])
        span = run.s[j + 1] - run.s[j]
        sensitivities = grid.sensitivities(v, run.times[j])
        steps = _rung(span / self.accurate)
        while steps <= MOST_STEPS:
            while steps <= MOST_STEPS and grid.stiffness(sensitivities, span / steps) > STABILITY:
                steps = _rung(steps + 1)
            with np.errstate(all="ignore"):
                new = grid.advance(v, span / steps, steps, run.stage_times(j, steps))
                finite = bool(np.all(np.isfinite(new)))
                if finite:
                    after = grid.sensitivities(new, run.times[j + 1])
                    if grid.stiffness(after, span / steps) > 1.25 * STABILITY:
                        sensitivities = after
                        steps = _rung(steps + 1)
                        continue
                if not finite:
                    steps = _rung(2 * steps)
                    continue
                if j % CHECK_EVERY and self.accurate < math.inf:
                    return new
                fewer = max(steps // 2, 1) if steps > 1 else 0
                if fewer == 0:  # one step: compare with two
                    coarse, fewer, steps = new, 1, 2
                    new = grid.advance(v, span / 2, 2, run.stage_times(j, 2))
                else:
                    coarse = grid.advance(v, span / fewer, fewer, run.stage_times(j, fewer))
            error = np.sqrt((np.abs(new - coarse) ** 2).sum(-1) / np.maximum((np.abs(new) ** 2).sum(-1), 1e-300)).max()
            error = error / ((steps / fewer) ** 4 - 1) if np.isfinite(error) else np.inf
            ratio = (run.tolerance / max(error, 1e-300)) ** 0.25
            self.accurate = span / steps * min(max(0.9 * ratio, 0.4), 2.0)
            if error <= run.tolerance:
                return new
            steps = max(_rung(span / self.accurate), _rung(steps + 1))
        raise self._fail(~np.isfinite(v).all(-1), j, f"needs more than {MOST_STEPS} steps per output time")

    def _check(self, j: int) -> None:
        moments = self._moments()
        scale = self.initial[1] ** 0.5
        for balance, decay in zip(self.run.balances, self.run.decays, strict=True):
            i = balance.power - 1
            expected = self.initial[i] * decay[j + 1]
            allowed = MEAN_TOLERANCE * scale if i == 0 else ENERGY_TOLERANCE * np.abs(expected)
            wrong = ~(np.abs(moments[i] - expected) <= allowed + 1e-300)
            if np.any(wrong):
                which = int(np.argmax(wrong))
                raise self._fail(
                    wrong,
                    j,
                    f"breaks the balance of the {balance.name} "
                    f"({moments[i][which]:.9g}, expected {expected[which]:.9g})",
                )

    def on_grid(self, points: int) -> Array:
        """u on a uniform grid, exact whatever the number of modes."""
        stride = max(math.ceil(2 * self.v.shape[1] / points), 1)
        return np.fft.irfft(self.v, stride * points, norm="forward")[:, ::stride]


def _resized(v: Spectrum, modes: int) -> Spectrum:
    if modes <= v.shape[1]:
        return v[:, :modes].copy()
    return np.pad(v, ((0, 0), (0, modes - v.shape[1])))


def spectrum(u: Array) -> Spectrum:
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
) -> Array:
    """Solutions of an evolution equation on a periodic line, ``[S, keep, resolution]``, float64.

    Rows are solved in groups of `GROUP`, in threads; the grid and the steps of a group depend on its rows alone, and
    the result does not depend on the number of threads.

    Args:
        equation: any whose highest x-derivative is linear with a coefficient that depends on t only.
        initial: u at ``times[0]``, rows on uniform grids that include the left end and exclude the right.
        times: increasing output times; how finely they lie does not bear on the accuracy.
        length: the period in x.
        resolution: points of the returned grid, which need not be those of the solution.
        keep: how many of the last output times to return; all by default.
        tolerance: relative error per output interval.
        first: the index of the first row, for messages.
        workers: threads; one per available processor by default.
        progress: called from this thread with the fraction that is done.

    Raises:
        UserError: the equation is not of this kind, or a trajectory blows up, is not resolved or breaks a balance.
    """
    times = np.asarray(times, float)
    initial = np.asarray(initial, float)
    run = _Run(equation, times, length, tolerance)
    samples = initial.shape[0]
    keep = times.size if keep is None else keep
    start = spectrum(initial)
    modes = _rung(max(FEWEST_MODES, start.shape[1]))
    out = np.empty((samples, keep, resolution))
    groups = [range(i, min(i + GROUP, samples)) for i in range(0, samples, GROUP)]
    done = [0] * len(groups)
    stop = threading.Event()

    def work(which: int) -> None:
        rows = groups[which]
        group = _Group(run, _resized(start[rows.start : rows.stop], modes), first + rows.start)
        for j in range(times.size):
            if stop.is_set():
                return
            if j:
                group.interval(j - 1)
            if j >= times.size - keep:
                out[rows.start : rows.stop, j - (times.size - keep)] = group.on_grid(resolution)
            done[which] = j + 1

    workers = workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(min(workers, len(groups)) or 1) as pool:
        futures = [pool.submit(work, i) for i in range(len(groups))]
        try:
            while True:
                finished, pending = wait(futures, timeout=0.1)
                for future in finished:
                    future.result()
                if progress is not None:
                    progress(sum(done) / (times.size * len(groups)))
                if not pending:
                    return out
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
