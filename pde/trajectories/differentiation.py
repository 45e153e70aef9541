"""Derivatives along an axis of any kind, each with an error: by Fourier, by Chebyshev, or by polynomials fitted nearby.

What the axis is decides. On a periodic one the trigonometric interpolant is differentiated. On Chebyshev's nodes it is
the polynomial through all of them. On other nodes it is, at each of them, the least squares polynomial of degree 8 in a
window: of 9 nodes, which is a central difference of high order, or of more where noise would be louder than what a
wider window leaves out; that is chosen for the whole by the smallest median of the errors.

Errors are of this kind. A spectrum that falls by a factor r from its third quarter to its last is taken to fall on so:
with A the largest mode of the last quarter, of n modes, beyond rounding, what the grid does not hold is at most

    4 sum_{j > 0} A r^(4 j/n) max|D^m f_(n + j)|,

f the modes; twice for what is folded back, and twice because spectra do not fall evenly. A fit is off by what it
changes when the degree is 6, there or in one of the four nodes on either side, and by the noise: sigma times the norm
of its weights, sigma from what polynomials of degree 6 leave in windows of 9 nodes. Rounding is added. The estimates
are no bounds, for a spectrum may rise again beyond the grid: on ``exp(sin(r x))``, all kinds of axes, resolved or not,
errors were at most 1.5 times what is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symflow.errors import UserError, check_integer

from .axes import Axis
from .stencils import STENCIL, fits, left_by_fits

DEGREE = STENCIL - 1
WINDOWS = (9, 13, 19, 27, 39, 55)
KNOWN = 0.02  # of the RMS of the derivative: where the error is larger, it is not known
HIGHEST = 8  # derivative
MARGIN = 4.0  # noise and rounding add up in hundreds of places: so many standard deviations
FAR = 4  # times the modes of the grid: as far as a spectrum is continued


@dataclass(frozen=True)
class Derivative:
    """A derivative along one axis.

    Attributes:
        values: of the shape of what was differentiated.
        error: an estimate of the error of each value, likewise.
        method: "Fourier", "Chebyshev", or "windows of n nodes".
    """

    values: Tensor
    error: Tensor
    method: str

    @property
    def known(self) -> Tensor:
        """Where the error is at most 2 % of the RMS of the values: elsewhere an end or a shock is too near."""
        return self.error <= KNOWN * self.values.square().mean().sqrt()

    @property
    def left_out(self) -> int:
        """How many values are not known."""
        return int((~self.known).sum())


def differentiate(values: Tensor, axis: Axis, order: int, dim: int = -1) -> Derivative:
    """The order-th derivative along an axis, with an estimate of its error at every node.

    Args:
        values: ``[..., n, ...]``, real and finite, n nodes in dimension `dim`.
        axis: where the nodes are.
        order: 0 to 8.
        dim: of the nodes.

    Raises:
        UserError: the order is out of range, or the axis has too few nodes for it.

    >>> axis = Axis("x", torch.linspace(0, 3, 61, dtype=torch.float64))
    >>> found = differentiate(axis.nodes.sin(), axis, 1)
    >>> miss = (found.values - axis.nodes.cos()).abs()
    >>> bool((miss <= found.error).all()), float(miss.max()) < 1e-9
    (True, True)
    """
    check_integer("order", order, 0, HIGHEST)
    v = torch.as_tensor(values, dtype=torch.float64).movedim(dim, -1)
    if v.shape[-1] != len(axis):
        raise UserError(f"`values` must have {len(axis)} nodes along {axis.name}, got {v.shape[-1]}")
    if order == 0:
        found = Derivative(v, torch.zeros_like(v), "none")
    elif axis.period is not None:
        found = _fourier(v, axis.period, order)
    elif (kind := chebyshev(axis)) is not None:
        found = _polynomial(v, axis, order, kind)
    else:
        found = _windows(v, axis, order)
    return Derivative(found.values.movedim(-1, dim), found.error.movedim(-1, dim), found.method)


# ---------------------------------------------------------------- spectra


def fourier_derivative(v: Tensor, period: float, order: int, dim: int = -1) -> Tensor:
    """Of the trigonometric interpolant of values over one period."""
    n = v.shape[dim]
    spectrum = torch.fft.rfft(v, dim=dim)
    k = torch.arange(spectrum.shape[dim], dtype=torch.float64) * (2 * math.pi / period)
    if n % 2 == 0:
        k[-1] = 0.0  # the highest cosine has no odd derivative, and no room for an even one
    shape = [-1 if i == dim % v.ndim else 1 for i in range(v.ndim)]
    found: Tensor = torch.fft.irfft(spectrum * ((1j * k) ** order).reshape(shape), n, dim=dim)
    return found


def _fourier(v: Tensor, period: float, order: int) -> Derivative:
    n = v.shape[-1]
    size = torch.fft.rfft(v, norm="forward").abs()
    size[..., 1:] *= 2
    scale = 2 * math.pi / period
    modes = size.shape[-1]
    k = torch.arange(modes * (FAR + 1), dtype=torch.float64) * scale
    rounding = torch.finfo(torch.float64).eps * v.abs().amax(-1, keepdim=True) * float(k[:modes].pow(order).norm())
    error = _beyond(size, k.pow(order)) + MARGIN * rounding
    return Derivative(fourier_derivative(v, period, order), error.expand(*v.shape[:-1], n), "Fourier")


def _beyond(size: Tensor, growth: Tensor) -> Tensor:
    """What modes beyond the grid add to a derivative at most, ``[..., 1]``, if the spectrum falls on as it does.

    Args:
        size: of the modes, ``[..., n]``.
        growth: the largest derivative of each mode, ``[FAR n or more]``.
    """
    n = size.shape[-1]
    quarter = max(n // 4, 1)
    rounding = MARGIN * torch.finfo(torch.float64).eps * size.amax(-1, keepdim=True)
    last = (size[..., -quarter:].amax(-1, keepdim=True) - rounding).clamp_min(0)
    before = size[..., -2 * quarter : -quarter].amax(-1, keepdim=True)
    falls = (last / before.clamp_min(1e-300)).clamp(max=1.0)
    j = torch.arange(1, len(growth) - n + 1, dtype=torch.float64)
    return 4 * last * (falls ** (j / quarter) * growth[n:]).sum(-1, keepdim=True)


def chebyshev(axis: Axis) -> str | None:
    """Whether the nodes are Chebyshev's, on any interval: "ends" with the ends, "roots" without; ``None`` if not.

    >>> chebyshev(Axis("r", 2 - torch.cos(torch.pi * torch.arange(9) / 8)))
    'ends'
    """
    n = len(axis)
    if n < STENCIL:
        return None
    k = torch.arange(n, dtype=torch.float64)
    for kind, angle in (("ends", k / (n - 1)), ("roots", (k + 0.5) / n)):
        s = -torch.cos(math.pi * angle)
        fitted = axis.nodes[0] + (s - s[0]) * (axis.nodes[-1] - axis.nodes[0]) / (s[-1] - s[0])
        if float((fitted - axis.nodes).abs().max()) <= 1e-6 * axis.step:
            return kind
    return None


def _chebyshev_basis(kind: str, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chebyshev's polynomials at their nodes ``[node, degree]``, and the inverse, a cosine transform.

    Both to the rounding unit: of angles that are whole multiples of one, and without a recurrence or an elimination,
    whose errors derivatives enlarge by ``n**(2 order)``.
    """
    k, steps = (np.arange(n), 2 * (n - 1)) if kind == "ends" else (2 * np.arange(n) + 1, 4 * n)
    j = np.arange(n)
    basis = np.where(j % 2, -1.0, 1.0) * np.cos(2 * np.pi / steps * (k[:, None] * j % steps))
    inverse = basis.T * (2.0 / (n - 1 if kind == "ends" else n))
    inverse[0] /= 2
    if kind == "ends":
        inverse[-1] /= 2
        inverse[:, [0, -1]] /= 2
    return basis, inverse


def _polynomial(v: Tensor, axis: Axis, order: int, kind: str) -> Derivative:
    """Of the polynomial through Chebyshev's nodes, by its Chebyshev coefficients."""
    n = len(axis)
    basis, inverse = _chebyshev_basis(kind, n)
    half = float(axis.nodes[-1] - axis.nodes[0]) / (basis[-1, 1] - basis[0, 1])  # of the interval
    turned = np.stack([np.polynomial.chebyshev.chebder(row, order) for row in np.eye(n)], 1)
    values = basis[:, : n - order] @ turned @ inverse / half**order
    matrix = torch.from_numpy(values)
    coefficients = (v @ torch.from_numpy(inverse).T).abs()
    degrees = torch.arange(n * (FAR + 1), dtype=torch.float64)
    growth = torch.ones_like(degrees)
    for i in range(order):  # the largest derivative of a Chebyshev polynomial is at the ends
        growth = growth * (degrees**2 - i**2) / (2 * i + 1)
    beyond = _beyond(coefficients, growth.clamp_min(0) / half**order)
    # Nodes are rounded as values are, which moves these by their slope.
    slope = (v.diff(dim=-1) / axis.nodes.diff()).abs().amax(-1, keepdim=True)
    size = v.abs().amax(-1, keepdim=True) + axis.nodes.abs().max() * slope
    rounding = torch.finfo(torch.float64).eps * size * matrix.abs().sum(1)
    return Derivative(v @ matrix.T, beyond + MARGIN * rounding, "Chebyshev")


# ---------------------------------------------------------------- windows


def _windows(v: Tensor, axis: Axis, order: int) -> Derivative:
    n = len(axis)
    if n < STENCIL or order > DEGREE - 2:
        raise UserError(
            f"a derivative of order {order} in {axis.name} needs at least {STENCIL} nodes and an order up to "
            f"{DEGREE - 2}, got {n}"
        )
    sigma = _noise(v, axis)
    best: Derivative | None = None
    for window in (w for w in WINDOWS if w <= n):
        sharp, blunt = (fits(axis, order, window, degree) for degree in (DEGREE, DEGREE - 2))
        found = sharp.of(v)
        rounding = torch.finfo(torch.float64).eps * v.abs().amax(-1, keepdim=True) * sharp.bound
        error = _nearby((found - blunt.of(v)).abs()) + MARGIN * (sigma * sharp.norm + rounding)
        if best is None or float(error.median()) < float(best.error.median()):
            best = Derivative(found, error, f"windows of {window} nodes")
        elif window > STENCIL:
            break
    assert best is not None  # noqa: S101  of 9 nodes there is one
    return best


def _nearby(values: Tensor) -> Tensor:
    """The largest within four nodes on either side."""
    half = STENCIL // 2
    flat = torch.nn.functional.max_pool1d(values.reshape(-1, 1, values.shape[-1]), STENCIL, 1, half)
    return flat.reshape(values.shape)


def _noise(v: Tensor, axis: Axis) -> Tensor:
    """Standard deviation of the noise of each row, ``[..., 1]``: what degree 6 leaves in windows of 9 nodes."""
    rows = left_by_fits(axis, STENCIL, DEGREE - 2).of(v)
    # the median: a shock is no noise
    found: Tensor = rows.abs().median(-1, keepdim=True).values / 0.6745
    return found
