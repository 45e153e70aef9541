"""Trajectories against test functions of compact support: a row per centre of a lattice, no derivative of the data."""

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

from ..equations import derivative_symbol, highest_derivative, t, u, x
from ..trajectories import Trajectories
from .terms import by_parts

POWER = 10  # p of the bump: at ten grid steps of half-width and more its sums are exact to 1e-4 and better
OVERLAP = 4  # centres per half-width
CLUSTERS = 64  # with fewer trajectories, each is cut into blocks
SIGNAL = 4.0  # a mode is kept while its mean power is so many times the noise's
CORRECTIONS = 2  # terms of the correction of the mean of f(u): exact for polynomials of degree up to 5
_FUNCTIONS: dict[str, Any] = {
    name: getattr(torch, name) for name in ("exp", "log", "sin", "cos", "tanh", "sqrt", "sinh", "cosh", "sign")
} | {"Abs": torch.abs}


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
    needs = max((highest_derivative(f) for parts in grouped for _, f in parts), default=0)
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
    if highest_derivative(f) == 0:
        at[u] = v
        value = torch.zeros_like(v)
        for n, curvature in enumerate(_curvatures(f)):
            weight = (-(sigma**2) / 2) ** n / math.factorial(n)
            value = value + weight * expressions.evaluate(curvature, at, _FUNCTIONS)
        return value
    at |= {derivative_symbol(m): d for m, d in enumerate(jet)}
    found: Tensor = torch.zeros_like(v) + expressions.evaluate(f, at, _FUNCTIONS)
    return found


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
    spectrum: Tensor = torch.fft.rfft(v, norm="forward")[..., : (points + 1) // 2]
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
