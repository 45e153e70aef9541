"""Evolution equations on a periodic line by exponential Runge-Kutta steps in Fourier space.

The formula is split, not a class written per equation: with the rate ``u_t = -K``,

    u_t = g(t) ( L u + N(t, x, u, u_x, ...) ),        L = sum_m c_m d^m/dx^m  with constant c_m,

where g is the common factor of time of the stiff linear part. In the new time ``s = int g dt`` the stiff part is
autonomous, and ETDRK4 takes it exactly, in Krogstad's form (J. Comput. Phys. 203, 2005), which loses less to stiffness
than that of Cox and Matthews; coefficients by contour means (Kassam and Trefethen, SIAM J. Sci. Comput. 26, 2005). For
nKdV, ``s = 50 (exp(t/50) - 1)``.

Three things are chosen for each trajectory while it runs: the number of modes, by the tail of the spectrum; the step,
by ``h sum_m max |dN/du_m| k^m <= 1.5`` on the modes that the linear part does not damp; and a smaller step where a
comparison with half as many steps says so. Trajectories are solved side by side, and each leaves the row when its steps
are done: the hard ones do not hold up the easy ones.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache, reduce
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from symflow.errors import UserError
from symflow.formulas import expressions
from symflow.runs import processes

from ..equations import Equation, derivative_order, derivative_symbol, t, total_derivative_x, u, x

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

MOST_ROWS = 64  # trajectories solved side by side: enough to make calls of numpy cheap, few enough for the cache
FEWEST_ROWS = 8  # per process: below that a second one is not worth its start
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


def _value(expression: sympy.Expr, time: float | Array | None) -> float | Array:
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
    """The multipliers of one step of Krogstad's scheme, ``[modes]`` or ``[S, modes]``, for ``z = h L``."""

    whole: NDArray  # exp(z)
    half: NDArray  # exp(z/2)
    a: NDArray  # h phi_1(z/2)/2
    b: NDArray  # h phi_2(z/2)
    c_first: NDArray  # h (phi_1(z) - 2 phi_2(z))
    c_last: NDArray  # 2 h phi_2(z)
    first: NDArray  # h (phi_1 - 3 phi_2 + 4 phi_3)
    middle: NDArray  # h (2 phi_2 - 4 phi_3)
    last: NDArray  # h (4 phi_3 - phi_2)

    def __getitem__(self, rows: slice) -> Coefficients:
        return Coefficients(*(getattr(self, f.name)[rows] for f in fields(self)))


def coefficients(z: Spectrum, h: float) -> Coefficients:
    """The multipliers for ``z = h L``.

    Below ``|z| = 1`` the closed forms cancel; there they are means over a circle of radius 2 about z, which stays at
    least 1 away from the removable singularity.
    """

    def closed(z: Spectrum) -> Spectrum:
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
        self._steps: dict[float, Coefficients] = {}

    def coefficients(self, h: float) -> Coefficients:
        if h not in self._steps:
            c = coefficients(np.asarray(self.symbol * h, complex), h)
            if self.folded is not None:
                weights = [getattr(c, f.name) for f in fields(c)]
                c = Coefficients(*weights[:2], *(w * self.folded for w in weights[2:]))
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

    def nonlinear(self, padded: Spectrum, time: Array | None) -> Spectrum:
        """N in Fourier space of spectra in a `room`, without what is folded into the coefficients.

        ``time``: one per row, ``[S, 1]``; ``None`` where N does not depend on it.
        """
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
            spectrum = spectrum * (self.ik**flux.order / self.points)
            spectrum *= _value(flux.coefficient, time)
            total = spectrum if total is None else total + spectrum
        for m, a in self.splitting.varying:
            spectrum = padded[:, : self.modes] * self.ik**m
            spectrum *= _value(a, time)
            total = spectrum if total is None else total + spectrum
        return np.zeros((padded.shape[0], self.modes), complex) if total is None else total

    def sensitivities(self, v: Spectrum, time: float) -> Array:
        """``max |dN/du_m|`` over x, ``[S, orders]``, for the step."""
        padded = self.room(v.shape[0])
        padded[:, : self.modes] = v
        values = {x: self.x, t: time}
        for m in range(max((_order(s) for s in self.splitting.sensitivities), default=0) + 1):
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
        return np.where((damped >= 1.0) | (speed == 0.0), np.inf, limit).min(-1)

    def advance(self, v: Spectrum, h: Sequence[float], steps: Sequence[int], times: Sequence[Array] | None) -> Spectrum:
        """ETDRK4: row i of ``v [S, modes]`` over ``steps[i]`` steps of ``h[i]``, the most steps first.

        ``times[i] [2 steps[i] + 1]`` are the physical times of the stages of row i.
        """
        own = [self.coefficients(step) for step in h]
        c = Coefficients(*(np.stack([getattr(one, f.name) for one in own]) for f in fields(Coefficients)))
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

    def _march(self, v: Spectrum, c: Coefficients, clocks: Array | None, steps: int) -> None:
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


class _Run:
    """What the trajectories of one call share: the splitting, the grids made so far, the output times."""

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

    @lru_cache(maxsize=256)  # noqa: B019 - lives and dies with the run
    def stage_times(self, j: int, steps: int) -> Array:
        """Physical times of the stages of interval j, ``[2 steps + 1]``, by Newton's method on ``s(t)``."""
        low, high = self.times[j], self.times[j + 1]
        if not self.splitting.clock.has(t):
            return np.linspace(low, high, 2 * steps + 1)
        target = np.linspace(self.s[j], self.s[j + 1], 2 * steps + 1)
        guess = np.interp(target, [self.s[j], self.s[j + 1]], [low, high])
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
    v: Spectrum  # [modes]
    sensitivities: Array  # max |dN/du_m|
    moments: Array  # means of u and u^2 at the start
    accurate: float = math.inf  # the largest step that halving has found accurate
    steps: int = 0


class _Rows:
    """Trajectories solved side by side; each takes the steps and the grid that it needs, whoever its neighbours are."""

    def __init__(self, run: _Run, v: Spectrum, first: int) -> None:
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
                refused += self._attempt(grid, sorted(rows, key=lambda row: -row.steps), j, span)
            pending = refused

    @staticmethod
    def _due(row: _Row, j: int) -> bool:
        return j % CHECK_EVERY == 0 or row.accurate == math.inf

    def _advance(self, grid: _Grid, rows: Sequence[_Row], j: int, span: float, steps: Sequence[int]) -> Spectrum:
        v = np.stack([row.v for row in rows])
        times = None if self.run.splitting.autonomous else [self.run.stage_times(j, n) for n in steps]
        return grid.advance(v, [span / n for n in steps], steps, times)

    def _attempt(self, grid: _Grid, rows: list[_Row], j: int, span: float) -> list[_Row]:
        """One try for rows of one grid, the most steps first; those that have to try again come back."""
        run = self.run
        with np.errstate(all="ignore"):
            new = self._advance(grid, rows, j, span, [row.steps for row in rows])
            sensitivities = grid.sensitivities(new, run.times[j + 1])
            stable = grid.largest_step(sensitivities)
            size = np.abs(new)
            tail = _tail(size, grid.modes)
            due = [i for i, row in enumerate(rows) if self._due(row, j)]
            error = np.zeros(len(rows))
            if due:
                coarse = self._advance(grid, [rows[i] for i in due], j, span, [rows[i].steps // 2 for i in due])
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


def _moments(v: Spectrum) -> Array:
    """Means of u and u^2, ``[2, S]``."""
    return np.stack([v[:, 0].real, np.abs(v[:, 0]) ** 2 + 2 * (np.abs(v[:, 1:]) ** 2).sum(-1)])


def _tail(size: Array, modes: int) -> Array:
    """The largest of the modes in the last eighth of `modes` and beyond, relative to the largest of all."""
    return size[:, modes - modes // 8 :].max(-1) / np.maximum(size.max(-1), 1e-300)


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
    start = np.pad(start, ((0, 0), (0, modes - start.shape[1])))
    out = processes.shared((samples, keep, resolution))
    workers = max(min(processes.available() if workers is None else workers, samples // FEWEST_ROWS), 1)
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
