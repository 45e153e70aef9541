"""Intervals of coefficients: the jackknife over clusters, and quantiles of the largest of correlated t variables."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.runs import one_thread

from ..weak import Rows

DRAWS = 100_000
SINGULAR = 1e-12  # eigenvalues of Gram matrices of columns of unit size up to it are rounding
FEWEST_CLUSTERS = 6
MOST_DIGITS = 8
MARGIN = 1e-5  # of a number: what solvers leave in its later digits is no reason to write them


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


@lru_cache(maxsize=1024)
@one_thread()
def independent_t(count: int, degrees: int, alpha: float) -> float:
    """The ``1 - alpha`` quantile of the largest of so many ``|t_j|``, independent but for the scale they share.

    ``P(max_j |t_j| <= q) = E[(2 Phi(q s) - 1)^count]``, ``degrees s^2`` chi-squared; never below that of correlated
    t variables (Sidak, J. Am. Stat. Assoc. 62, 1967).

    >>> round(independent_t(1, 10, 0.05), 3)
    2.228
    """
    x = torch.linspace(-60, 4, 1 << 14, dtype=torch.float64)  # log s
    density = torch.exp(degrees * (x - (torch.exp(2 * x) - 1) / 2))
    known = density > 1e-20 * density.max()  # all but 1e-15 of the whole
    x, density = x[known], density[known] / density.sum()

    def beyond(q: float) -> float:
        one = torch.special.erfc(q * torch.exp(x) / math.sqrt(2))
        return float(-(density * torch.expm1(count * torch.log1p(-one))).sum())

    low, high = 0.0, 1.0
    while beyond(high) > alpha:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > alpha else (low, middle)
    return high


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


def rounded(value: float, lower: float, upper: float) -> float:
    """The value to the fewest significant digits that stay within an interval.

    >>> rounded(0.99998, 0.9999, 1.0001)
    1.0
    """
    least, most = min(lower, value - MARGIN * abs(value)), max(upper, value + MARGIN * abs(value))
    for digits in range(1, MOST_DIGITS):
        short = float(f"{value:.{digits}g}")
        if least <= short <= most:
            return short
    return value
