"""Effective coefficients of an evolution law, from trajectories, in weak form and with intervals.

The law is ``u_t + sum_j theta_j m_j = 0``, its terms m_j known and its coefficients not. Against a test function psi
of compact support, with every total derivative moved onto psi (`by_parts`),

    -<u, psi_t> + sum_j theta_j sum_k (-1)^k <f_jk(x, t, u), D_x^k psi> = 0,        m_j = sum_k D_x^k f_jk,

no derivative of the data is taken. Each psi, one for every centre of a lattice in space and time, gives a row
``y + Z theta = 0``. Here ``psi = b((x - x_c)/h_x) b((t - t_c)/h_t)`` with ``b(s) = (1 - s^2)^p``; integrals are sums
over the grid, whose weights follow the times (`quadrature_weights`) and which converge fast because psi is smooth and
vanishes at its ends. What is no total derivative (``u_x^2``) is evaluated with spectral derivatives of u, the modes
lost in noise left out (`smooth_spectrum`); such terms are named in the result.

**Noise.** Least squares on noisy rows is biased towards 0 (errors in variables). The grid is coloured as a
checkerboard, ``c_ij = (-1)^(i+j)``. Rows from the black and from the white half have independent noise, E and O, and
the same signal, so each half is an instrument for the other: ``E^T O + O^T E``. With ``Z = (E + O)/2``, the rows of
the full grid, and ``D = (E - O)/2``, the rows of the test functions ``c psi``, which see the noise and, u being
smooth, nothing else,

    theta = -(Z^T Z - D^T D)^-1 (Z^T y - D^T d):

the Gram matrix of the noise is measured and subtracted, and without noise nothing happens. The mean of f(u) is shifted
by noise as well; ``f - s^2/2 f_uu + ...`` is used instead, exact for Gaussian noise and polynomial f, its variance s^2
measured by the same D. The noise is assumed independent from sample to sample; where it is not, `misfit`, the size of
``y + Z theta`` relative to ``d + D theta``, is above 1, as it is when the law is not that of the data.

**Intervals.** The covariance is that of the jackknife over clusters: trajectories, cut into blocks at least a test
function wide where there are few (Efron and Stein, Ann. Statist. 9, 1981). Simultaneous intervals take the quantile of
the largest of correlated t variables. The sums over the grid have an error, too. It falls with the widths of the test
functions (for ``b`` as their power -11), so what changes from one step of a ladder of widths to the next bounds it; the
changes in x and in t are the doubts, and both are added to the intervals. The widths are those of the ladder that give
the shortest intervals on a few trajectories.

Sources of the method: Reinbold, Gurevich and Grigoriev, Phys. Rev. E 101 (2020) 010203; Messenger and Bortz, J. Comput.
Phys. 443 (2021) 110525; instruments: Fuller, *Measurement Error Models*, Wiley 1987, section 1.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.formulas import expressions
from symflow.runs import one_thread

from ..equations import Equation, derivative_order, derivative_symbol, t, total_derivative_x, u, x
from ..trajectories import Trajectories

POWER = 10  # p of the bump: at ten grid steps of half-width and more its sums are exact to 1e-4 and better
LADDER_X = (12, 18, 27, 40)  # half-widths in grid steps, each 1.5 times the last
LADDER_T = (8, 12, 18, 27)
SELECTION = 6  # trajectories on which the widths are chosen
OVERLAP = 4  # centres per half-width
CLUSTERS = 64  # with fewer trajectories, each is cut into blocks
FEWEST_CLUSTERS = 6
COLLINEAR = 1e-6  # square of the sine of the angle of a term to those before it
SINGULAR = 1e-12  # eigenvalues of Gram matrices of columns of unit size up to it are rounding
SIGNAL = 4.0  # a mode is kept while its mean power is so many times the noise's
DRAWS = 100_000
CORRECTIONS = 2  # terms of the correction of the mean of f(u): exact for polynomials of degree up to 5

Grouped = tuple[tuple[int, sympy.Expr], ...]
_FUNCTIONS: dict[str, Any] = {
    name: getattr(torch, name) for name in ("exp", "log", "sin", "cos", "tanh", "sqrt", "sinh", "cosh", "sign")
} | {"Abs": torch.abs}


# ---------------------------------------------------------------- the terms of a law


def law(equation: Equation) -> dict[sympy.Expr, float]:
    """The summands of K as ``{monomial: number}``, in a fixed order.

    >>> law(Equation("u_t + 6*u*u_x + u_xxx/2 = 0"))
    {u*u_x: 6.0, u_xxx: 0.5}
    """
    found: dict[sympy.Expr, float] = {}
    for summand in sympy.Add.make_args(sympy.expand(equation.K)):
        number, monomial = summand.as_independent(*summand.free_symbols, as_Add=False)
        found[monomial] = found.get(monomial, 0.0) + float(number)
    return dict(sorted(found.items(), key=lambda item: (_order(item[0]), str(item[0]))))


@lru_cache(maxsize=1024)
def by_parts(expression: sympy.Expr) -> Grouped:
    """``(k, f_k), ...`` with ``expression = sum_k D_x^k f_k``, so many derivatives taken out as can be.

    A term ``a u_n`` that is linear in its highest derivative, with a free of ``u_n``, is ``D_x A - (D_x A - a u_n)``
    with ``A = int a du_(n-1)``; the rest has lower order, and A is treated again.

    >>> u_x, u_xx = derivative_symbol(1), derivative_symbol(2)
    >>> by_parts(u * u_x)
    ((1, u**2/2),)
    >>> by_parts(u * u_xx)
    ((0, -u_x**2), (2, u**2/2))
    """
    parts: dict[int, sympy.Expr] = {}

    def take(expression: sympy.Expr, k: int) -> None:
        for summand in sympy.Add.make_args(sympy.expand(expression)):
            n = _order(summand)
            top, below = derivative_symbol(n), derivative_symbol(n - 1) if n else u
            a = sympy.diff(summand, top) if n else sympy.S.Zero
            if n == 0 or a.has(top):
                parts[k] = parts.get(k, sympy.S.Zero) + summand
                continue
            A = sympy.integrate(a, below)
            if A.has(sympy.Integral):
                parts[k] = parts.get(k, sympy.S.Zero) + summand
                continue
            take(A, k + 1)
            rest = sympy.expand(summand - total_derivative_x(A))
            if rest != 0:
                take(rest, k)

    take(expression, 0)
    return tuple((k, f) for k, f in sorted(parts.items()) if f != 0)


def _order(expression: sympy.Expr) -> int:
    return max((derivative_order(s) or 0 for s in expression.free_symbols), default=0)


# ---------------------------------------------------------------- rows


def quadrature_weights(times: Tensor) -> Tensor:
    """Weights ``[T]`` of an integral over all times, exact for polynomials of degree 7 between neighbours.

    Each interval integrates Lagrange's polynomial through the 8 nearest times; inside uniform times this is the
    trapezoidal rule, which is what smooth functions that vanish at their ends want.

    Raises:
        UserError: some times cannot be told apart beside the distance of the others.
    """
    nodes = times.numpy()
    q = min(8, len(nodes))
    weights = np.zeros(len(nodes))
    moments = np.array([2.0 / (j + 1) if j % 2 == 0 else 0.0 for j in range(q)])
    for i in range(len(nodes) - 1):
        first = min(max(i + 1 - q // 2, 0), len(nodes) - q)
        half = (nodes[i + 1] - nodes[i]) / 2
        s = (nodes[first : first + q] - nodes[i] - half) / half
        try:
            weights[first : first + q] += half * np.linalg.solve(np.vander(s, increasing=True).T, moments)
        except np.linalg.LinAlgError:  # beside -1e30 in place of a missing time the others are one
            raise UserError(
                "`t` must have times that are apart beside the distance of the others, "
                f"got spacings from {np.diff(nodes).min():g} to {np.diff(nodes).max():g}"
            ) from None
    return torch.from_numpy(weights)


@dataclass(frozen=True)
class Widths:
    """Half-widths of the test functions, in steps of the grid."""

    x: int
    t: int

    def narrower(self) -> tuple[Widths, Widths]:
        """The next narrower ones in x, and in t."""
        return Widths(round(self.x / 1.5), self.t), Widths(self.x, round(self.t / 1.5))


@dataclass(frozen=True)
class Rows:
    """The weak form of data: ``values[..., 0] + sum_j theta_j values[..., j]`` vanishes for the law of the data.

    ``values`` and ``noise``, ``[S, centres in t, centres in x, 1 + terms]``: the rows of the test functions and of
    those times the checkerboard; ``t`` and ``x``: the centres, physical; ``sigma [S]``: the noise of u.
    """

    values: Tensor
    noise: Tensor
    t: Tensor
    x: Tensor
    sigma: Tensor
    widths: Widths

    def of(self, terms: Sequence[int]) -> Rows:
        """With some of the terms only."""
        columns = [0, *(j + 1 for j in terms)]
        return replace(self, values=self.values[..., columns], noise=self.noise[..., columns])

    def residual(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """``y + Z theta`` and ``d + D theta``, ``[S, centres in t, centres in x]``."""
        weights = torch.cat([torch.ones(1, dtype=torch.float64), theta])
        return self.values @ weights, self.noise @ weights

    def clusters(self) -> Tensor:
        """Gram matrices without the noise's, ``[clusters, 1 + terms, 1 + terms]``."""
        S, n_t, n_x, _ = self.values.shape
        wanted = math.ceil(CLUSTERS / S)
        # a block is at least a test function wide: 2 half-widths, of OVERLAP centres each
        in_x = min(wanted, max(n_x // (2 * OVERLAP), 1))
        in_t = min(math.ceil(wanted / in_x), max(n_t // (2 * OVERLAP), 1))
        grams = []
        for rows, noise in zip(_blocks(self.values, in_t, in_x), _blocks(self.noise, in_t, in_x), strict=True):
            grams.append(rows.mT @ rows - noise.mT @ noise)
        return torch.cat(grams)


def _blocks(rows: Tensor, in_t: int, in_x: int) -> list[Tensor]:
    return [block.flatten(1, 2) for strip in rows.tensor_split(in_t, 1) for block in strip.tensor_split(in_x, 2)]


def weak_rows(data: Trajectories, terms: Sequence[sympy.Expr], widths: Widths) -> Rows:
    """The rows of every test function on the lattice of centres, for each of the terms.

    Args:
        data: trajectories.
        terms: the m_j, expressions in x, t, u and x-derivatives of u.
        widths: of the test functions.

    Raises:
        UserError: the data have too few times or points for the widths, or a term is not finite on them.
    """
    T, X = len(data.t), len(data.x)
    if 2 * widths.t >= T or 2 * widths.x >= X:
        raise UserError(
            f"test functions of {2 * widths.t + 1} times and {2 * widths.x + 1} points need more than "
            f"the {T} times and {X} points of the data"
        )
    grouped = [by_parts(term) for term in terms]
    step = data.length / X
    turn = any(f.has(x) for parts in grouped for _, f in parts)  # a function of x has no period: nothing may wrap
    first, last = (widths.x, X - widths.x) if turn else (0, X)
    x_centres = torch.arange(first, last, max(widths.x // OVERLAP, 1))
    t_centres = torch.arange(widths.t, T - widths.t, max(widths.t // OVERLAP, 1))
    offsets = (torch.arange(X) - x_centres[:, None] + X // 2) % X - X // 2
    h_x = widths.x * step
    start, end = data.t[t_centres - widths.t], data.t[t_centres + widths.t]
    h_t = ((end - start) / 2)[:, None]
    s = (data.t - (start + end)[:, None] / 2) / h_t
    measure = quadrature_weights(data.t) / h_t
    in_time, in_time_dt = bump(s) * measure, bump(s, 1) * measure / h_t
    highest = max((k for parts in grouped for k, _ in parts), default=0)
    # (-1)^k <f, D_x^k psi>: the sign goes with the test function
    in_space = [bump(offsets / widths.x, k) * ((-1) ** k / h_x**k / widths.x) for k in range(highest + 1)]
    colour_t, colour_x = (1 - 2 * (torch.arange(n) % 2).double() for n in (T, X))
    energy = in_time.square().sum() * in_space[0].square().sum()
    zero = torch.zeros((), dtype=torch.float64)

    values, noise, sigmas = [], [], []
    needs = max((_order(f) for parts in grouped for _, f in parts), default=0)
    for v in data.u:
        seen = (in_time * colour_t) @ (v * colour_x) @ in_space[0].T
        sigma = float(seen.square().sum() / energy) ** 0.5
        jet = smooth_derivatives(data, v, needs, sigma) if needs else v[None]
        columns = [[(-v, in_time_dt, 0)]]
        for parts in grouped:
            columns.append([(_values(f, data, v, jet, sigma), in_time, k) for k, f in parts])
        plain = [sum((w @ f @ in_space[k].T for f, w, k in column), zero) for column in columns]
        coloured = [
            sum(((w * colour_t) @ (f * colour_x) @ in_space[k].T for f, w, k in column), zero) for column in columns
        ]
        values.append(torch.stack(plain, -1))
        noise.append(torch.stack(coloured, -1))
        sigmas.append(sigma)
    rows = Rows(
        torch.stack(values),
        torch.stack(noise),
        (start + end) / 2,
        data.x[x_centres],
        torch.tensor(sigmas, dtype=torch.float64),
        widths,
    )
    if not bool(rows.values.isfinite().all()):
        raise UserError(f"the terms {', '.join(map(str, terms))} must be finite on the data, got values that are not")
    return rows


def bump(s: Tensor, derivative: int = 0) -> Tensor:
    """``(1 - s^2)^p`` for ``|s| < 1`` and 0 elsewhere, or a derivative of it."""
    polynomial = np.polynomial.Polynomial([1.0, 0.0, -1.0]) ** POWER
    if derivative:
        polynomial = polynomial.deriv(derivative)
    values = np.where(np.abs(s.numpy()) < 1.0, polynomial(s.numpy()), 0.0)
    return torch.from_numpy(values)


def _values(f: sympy.Expr, data: Trajectories, v: Tensor, jet: Tensor, sigma: float) -> Tensor:
    """f on the grid ``[T, X]``, its mean corrected for the noise where it takes u itself."""
    at = {x: data.x.expand_as(v), t: data.t[:, None].expand_as(v)}
    if _order(f) == 0:
        at[u] = v
        value = torch.zeros_like(v)
        for n, curvature in enumerate(_curvatures(f)):
            weight = (-(sigma**2) / 2) ** n / math.factorial(n)
            value = value + weight * expressions.evaluate(curvature, at, _FUNCTIONS)
        return value
    at |= {derivative_symbol(m): d for m, d in enumerate(jet)}
    return torch.zeros_like(v) + expressions.evaluate(f, at, _FUNCTIONS)


@lru_cache(maxsize=1024)
def _curvatures(f: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """f and its even derivatives with respect to u, as far as `CORRECTIONS` wants and they do not vanish."""
    found = [f]
    while len(found) <= CORRECTIONS and (curvature := sympy.diff(found[-1], u, 2)) != 0:
        found.append(curvature)
    return tuple(found)


def smooth_spectrum(data: Trajectories, v: Tensor, sigma: float) -> Tensor:
    """Fourier coefficients of rows ``[T, X]``, from the first mode on that is lost in noise 0.

    The mean power over the times must be `SIGNAL` times that of the noise, ``sigma^2 / X``, and above round-off.
    """
    points = v.shape[-1]
    spectrum = torch.fft.rfft(v, norm="forward")[..., : (points + 1) // 2]
    power = spectrum.abs().square().mean(0)
    floor = max(SIGNAL * sigma**2 / points, 1e-28 * float(power.max()))
    lost = (power < floor).nonzero()[:, 0]
    lost = lost[lost > 0]
    cut = int(lost[0]) if len(lost) else len(power)
    # symmetric solutions have gaps: cut where all that follows is lost, too, but for chance
    kept = (power >= floor).nonzero()[:, 0]
    cut = max(cut, int(kept.max()) + 1 if sigma == 0 and len(kept) else cut)
    return spectrum * (torch.arange(len(power)) < max(cut, 2))


def smooth_derivatives(data: Trajectories, v: Tensor, order: int, sigma: float) -> Tensor:
    """x-derivatives 0 ... order of rows ``[T, X]`` by `smooth_spectrum`, ``[order + 1, T, X]``."""
    spectrum = smooth_spectrum(data, v, sigma)
    ik = 2j * math.pi / data.length * torch.arange(spectrum.shape[-1], dtype=torch.float64)
    return torch.stack([torch.fft.irfft(spectrum * ik**m, v.shape[-1], norm="forward") for m in range(order + 1)])


# ---------------------------------------------------------------- coefficients


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of ``u_t + sum_j theta_j m_j = 0`` that data show, with their intervals.

    Attributes:
        terms: the m_j.
        theta: the estimates.
        lower, upper: the ends of intervals that hold all coefficients at once with probability ``1 - alpha``.
        covariance: of the estimates, by the jackknife.
        doubt: ``[2, terms]``, the change of the estimates with test functions narrower in x, and in t.
        degrees: of freedom of the covariance, clusters less one.
        collinear: terms left out because on these data they are combinations of those before them.
        smoothed: terms that needed derivatives of u, the noisy modes left out; their bias is not removed.
        noise: standard deviation of the noise of u, as measured.
        misfit: RMS of ``y + Z theta`` over that of its noise; near 1 for data of the law, large without noise.
        residual: RMS of ``y + Z theta`` relative to the terms' own.
        alpha: the intervals' probability of error.
    """

    terms: tuple[sympy.Expr, ...]
    theta: Tensor
    lower: Tensor
    upper: Tensor
    covariance: Tensor
    doubt: Tensor
    degrees: int
    collinear: tuple[sympy.Expr, ...]
    smoothed: tuple[sympy.Expr, ...]
    noise: float
    misfit: float
    residual: float
    alpha: float

    @property
    def error(self) -> Tensor:
        """Standard errors, ``[terms]``."""
        return self.covariance.diagonal().sqrt()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: terms as text, numbers as lists."""
        return {
            "terms": [
                {"term": str(m), "coefficient": a, "lower": low, "upper": high, "standard_error": e, "doubt": d}
                for m, a, low, high, e, d in zip(
                    self.terms,
                    *(v.tolist() for v in (self.theta, self.lower, self.upper, self.error, self.doubt.abs().sum(0))),
                    strict=True,
                )
            ],
            "collinear": [str(m) for m in self.collinear],
            "smoothed": [str(m) for m in self.smoothed],
            "noise": self.noise,
            "misfit": self.misfit,
            "residual": self.residual,
            "alpha": self.alpha,
        }


@one_thread()
def effective_coefficients(
    data: Trajectories,
    terms: Sequence[sympy.Expr] | None = None,
    alpha: float = 0.05,
    *,
    simultaneous: bool = True,
    widths: Widths | None = None,
) -> Coefficients:
    """The coefficients that the data have in ``u_t + sum_j theta_j m_j = 0``.

    Determinism: the same data give the same numbers; nothing is drawn at random but the quantile of the largest of
    correlated t variables, from a fixed seed.

    Args:
        data: trajectories; their equation says no more than the terms.
        terms: the m_j, in the order in which collinear ones give way to those before them; by default the summands of
            the data's equation.
        alpha: probability of error of the intervals.
        simultaneous: intervals for all coefficients at once, or for each by itself.
        widths: of the test functions; chosen by the data unless given.

    Raises:
        UserError: too few times, points or trajectories, or data that do not tell the terms apart.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=50, keep=50, end=20.0, resolution=128)
    >>> fit = effective_coefficients(data)
    >>> [round(float(a), 3) for a in fit.theta]
    [1.0, 1.0]
    """
    check_alpha(alpha)
    terms = tuple(law(data.equation)) if terms is None else tuple(terms)
    if not terms:
        raise UserError("`terms` must hold at least one term, got none")
    widths = choose_widths(data, terms) if widths is None else widths
    rows = weak_rows(data, terms, widths)
    columns = independent_columns(rows)
    if len(columns) < len(terms):
        rows = rows.of(columns)
    collinear = tuple(m for c, m in enumerate(terms) if c not in columns)
    kept = tuple(terms[c] for c in columns)
    theta, replicates = jackknife(rows)
    degrees = len(replicates) - 1
    covariance = _covariance(replicates)
    doubt = torch.stack([theta - jackknife(weak_rows(data, kept, w))[0] for w in widths.narrower()])
    quantile = largest_t(covariance, degrees, alpha) if simultaneous else largest_t(covariance[:1, :1], degrees, alpha)
    half = quantile * covariance.diagonal().sqrt() + doubt.abs().sum(0)
    r, d = rows.residual(theta)
    size = (rows.values * torch.cat([torch.ones(1, dtype=torch.float64), theta])).square().sum(-1).mean()
    return Coefficients(
        terms=kept,
        theta=theta,
        lower=theta - half,
        upper=theta + half,
        covariance=covariance,
        doubt=doubt,
        degrees=degrees,
        collinear=collinear,
        smoothed=tuple(m for m in kept if any(_order(f) for _, f in by_parts(m))),
        noise=float(rows.sigma.square().mean().sqrt()),
        misfit=float((r.square().mean() / d.square().mean().clamp_min(1e-300)).sqrt()),
        residual=float((r.square().mean() / size.clamp_min(1e-300)).sqrt()),
        alpha=alpha,
    )


def check_alpha(alpha: float) -> None:
    """Raises ValueError unless ``alpha`` is a probability that intervals can have."""
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 1e-4 <= alpha < 1:
        raise ValueError(f"`alpha` must be a probability from 1e-4 to below 1, got {alpha!r}")


def candidates(data: Trajectories) -> list[Widths]:
    """The ladder of widths that the data have room for, from narrow to wide.

    Raises:
        UserError: there is room for none.
    """
    T, X = len(data.t), len(data.x)
    in_t = [m for m in LADDER_T if 3 * m < T] or [m for m in ((T - 1) // 3,) if m >= 4]
    in_x = [m for m in LADDER_X if 3 * m <= X] or [m for m in (X // 3,) if m >= 6]
    if not in_t or not in_x:
        raise UserError(f"coefficients need at least 13 times and 18 points, got {T} times and {X} points")
    return [Widths(a, b) for a in in_x for b in in_t]


def choose_widths(data: Trajectories, terms: Sequence[sympy.Expr]) -> Widths:
    """The widths that give the shortest intervals, noise and doubt together, on a few trajectories.

    Intervals are compared by the mean of their logarithms, so that the units of the coefficients do not count. Terms
    that are combinations of others have none, whatever rounding makes of them; widths that tell more terms apart come
    first.
    """
    few = data[:: max(1, len(data) // SELECTION)]
    fits: dict[Widths, tuple[list[int], Tensor, Tensor] | None] = {}

    def fit(widths: Widths) -> tuple[list[int], Tensor, Tensor] | None:
        if widths not in fits:
            try:
                rows = weak_rows(few, terms, widths)
                columns = independent_columns(rows)
                fits[widths] = (columns, *jackknife(rows.of(columns)))
            except UserError:
                fits[widths] = None
        return fits[widths]

    best, least = None, (0, math.inf)
    for widths in candidates(data):
        wide, in_x, in_t = fit(widths), *(fit(w) for w in widths.narrower())
        if wide is None or in_x is None or in_t is None or not wide[0] == in_x[0] == in_t[0]:
            continue
        doubt = (wide[1] - in_x[1]).abs() + (wide[1] - in_t[1]).abs()
        half = 2 * _covariance(wide[2]).diagonal().sqrt() + doubt
        length = -len(wide[0]), float((half / wide[1].abs().clamp_min(1e-12)).log().mean())
        if length < least:
            best, least = widths, length
    return best or candidates(data)[len(candidates(data)) // 2]


def independent_columns(rows: Rows) -> list[int]:
    """The terms that are no combination of those before them, on the data and with the noise taken out."""
    gram = rows.clusters().sum(0)[1:, 1:]
    kept: list[int] = []
    for j in range(len(gram)):
        if not float(gram[j, j]) > 0:
            continue
        rest = gram[j, j]
        if kept:
            inner = gram[kept][:, kept]
            scale = inner.diagonal().sqrt()
            b = gram[kept, j] / scale
            rest = rest - b @ torch.linalg.lstsq(inner / scale / scale[:, None], b[:, None]).solution[:, 0]
        if float(rest) > COLLINEAR * float(gram[j, j]):
            kept.append(j)
    if not kept:
        raise UserError("the data do not determine any coefficient: every term is lost in noise or zero")
    return kept


def jackknife(rows: Rows) -> tuple[Tensor, Tensor]:
    """The estimate ``[terms]`` and those without one cluster each, ``[clusters, terms]``.

    Raises:
        UserError: too few clusters, or the rows do not determine the coefficients.
    """
    grams = rows.clusters()
    if len(grams) < max(FEWEST_CLUSTERS, grams.shape[-1] + 1):
        raise UserError(
            f"intervals for {grams.shape[-1] - 1} coefficients need more data: {len(grams)} independent blocks of "
            f"trajectories, at least {max(FEWEST_CLUSTERS, grams.shape[-1] + 1)} are needed"
        )
    total = grams.sum(0)
    scale = total.diagonal().abs().clamp_min(1e-300).sqrt()
    total, grams = total / scale / scale[:, None], grams / scale / scale[:, None]
    if not _definite(total[1:, 1:]):
        raise UserError("the data do not determine the coefficients: the noise is as large as what tells them apart")
    back = scale[0] / scale[1:]
    theta = -torch.linalg.solve(total[1:, 1:], total[1:, 0])
    without = total - grams
    if not _definite(without[:, 1:, 1:]):
        raise UserError(
            f"the data do not determine the coefficients: one of the {len(grams)} blocks of trajectories alone tells "
            "them apart, or the noise is as large as what the others do"
        )
    replicates = -torch.linalg.solve(without[:, 1:, 1:], without[:, 1:, 0])
    return theta * back, replicates * back


def _definite(grams: Tensor) -> bool:
    """Whether all of the Gram matrices ``[..., K, K]`` are so by more than rounding, whatever the units.

    A singular one comes out of the sums with an eigenvalue of either sign, or of 0, on which a solver stops.
    """
    size = grams.diagonal(dim1=-2, dim2=-1)
    if not bool(grams.isfinite().all() and (size > 0).all()):
        return False
    unit = grams / size.sqrt()[..., None] / size.sqrt()[..., None, :]
    return float(torch.linalg.eigvalsh(unit)[..., 0].min()) > SINGULAR


def _covariance(replicates: Tensor) -> Tensor:
    n = len(replicates)
    deviation = replicates - replicates.mean(0)
    return (n - 1) / n * deviation.T @ deviation


@one_thread()
def largest_t(covariance: Tensor, degrees: int, alpha: float) -> float:
    """The ``1 - alpha`` quantile of ``max_j |t_j|``, t variables with the correlation of a covariance.

    By 100,000 draws of a fixed seed: within 1 % at alpha = 0.05.
    """
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    values, vectors = torch.linalg.eigh(covariance / scale / scale[:, None])
    root = vectors * values.clamp_min(0).sqrt()
    random = np.random.default_rng(0)
    # by torch: the bits of a product of NumPy's may depend on its own number of threads
    z = (torch.from_numpy(random.standard_normal((DRAWS, len(scale)))) @ root.T).numpy()
    return float(np.quantile(np.abs(z).max(1) / np.sqrt(random.chisquare(degrees, DRAWS) / degrees), 1 - alpha))


def ellipsoid_radius(dimension: int, degrees: int, alpha: float) -> float:
    """Hotelling's: ``|L^-1 (estimate - truth)| <= radius`` with probability ``1 - alpha``, ``L L^T`` the covariance.

    ``T^2 = p n/(n - p + 1) F_(p, n - p + 1)`` for p dimensions and n degrees of freedom, by draws as in `largest_t`.

    Raises:
        UserError: fewer degrees of freedom than dimensions.
    """
    rest = degrees - dimension + 1
    if rest < 1:
        raise UserError(f"a region for {dimension} coefficients needs more than {dimension} blocks, got {degrees + 1}")
    random = np.random.default_rng(0)
    ratio = random.chisquare(dimension, DRAWS) / (random.chisquare(rest, DRAWS) / rest)
    return math.sqrt(float(np.quantile(ratio, 1 - alpha)) * degrees / rest)
