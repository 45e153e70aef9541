"""Coefficients of weak rows relative to what is claimed, with half-lengths that noise and grid explain.

Least squares on noisy rows is biased towards 0. The noise rows have the noise of the plain ones and nothing else, so
``G = Z^T Z - D^T D`` is the Gram matrix without it. Columns are multiplied by the claimed coefficients: a fit of 1
agrees, in any units. With the standard error of the jackknife over clusters (trajectories, cut into blocks at least a
test function wide) and the fit on every second node of each axis, which moves it by ``delta_a``,

    h_j = t(n_j) se_j + sum_a max(4 delta_a^2, delta_a/64).

A coefficient may be carried by few of the clusters: of a solution that decays, by the first. Then the standard error is
that of those few, and t has the degrees of freedom of their number. With ``w_ij = |r_i|^2 (G^-1 P_i G^-1)_jj`` the part
of cluster i in the variance, r_i its residuals and P_i its Gram matrix,

    n_j = (sum_i w_ij)^2 / sum_i w_ij^2 - 1

(Satterthwaite, Biometrics Bull. 2, 1946; of cluster jackknives: Bell and McCaffrey, Surv. Methodol. 28, 2002).

A term may be absent from the data: a second derivative of straight lines. Then its column is noise and the error of the
grid, and its "coefficient" a quotient of errors, whose spread does not show that. So the part of a column that no other
carries, ``Z w`` with the energy ``w^T G w``, is there only if noise and grid do not explain it: with N the Gram matrix
of the noise rows and C_a that of the change on axis a,

    w^T Z^T Z w > F w^T N w,    sum_a max(4 d_a^2, d_a/64) < 1,    d_a^2 = w^T (C_a - N) w / w^T G w,

F the quantile of F(K, K) on K independent test functions.

The sums of smooth test functions converge like a power of the spacing no less than 6, or faster than any: what the half
grid is off, the full one is off by a 64th of or by its square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..weak import OVERLAP, WeakRows
from .intervals import independent_t

MISTAKE = 1e-3  # probability that any interval of a file refuses a right coefficient
MATERIAL = 2e-3  # of the terms, or of a coefficient: what is smaller refutes nothing
CLUSTERS = 32  # wanted: more make the quantiles shorter
FEWEST = 6
COLLINEAR = 1e-6  # square of the sine of the angle of a column to those before it
NEGLIGIBLE = 1e-10  # of the energy of the largest column: what is smaller does not move the others
RELEVANT = 1e-2  # part of a column that another one carries, from which both are uncertain together


def sharp(change: Tensor) -> Tensor:
    """The error of the full grid from what the half grid changes, both relative: ``max(4 d^2, d/64)``."""
    return torch.maximum(4 * change.square(), change / 64)


@dataclass(frozen=True)
class Fit:
    """Relative coefficients, ``[J]`` each; those that are not determined agree with the claim and have no interval.

    Attributes:
        ratio: fitted over claimed.
        spread: their standard errors by the jackknife, infinite where undetermined.
        grid: what the half grids change, made sharp.
        degrees: of freedom of the spreads, 1 at least.
        alone: the norm of the part of each column that no other column carries.
    """

    ratio: Tensor
    spread: Tensor
    grid: Tensor
    degrees: Tensor
    alone: Tensor

    def half(self, alpha: float, tests: int) -> Tensor:
        """Half-lengths of the intervals of so many coefficients that all hold with probability ``1 - alpha``."""
        quantiles = [independent_t(tests, int(n), alpha) for n in self.degrees]
        return torch.tensor(quantiles, dtype=torch.float64) * self.spread + self.grid

    def less_sure(self, by: Tensor) -> Fit:
        """With longer intervals."""
        return replace(self, grid=self.grid + by)


def clusters(rows: Tensor, samples: int) -> Tensor:
    """Gram matrices ``[clusters, columns, columns]`` of rows ``[S, c_1, ..., c_d, columns]``."""
    wanted = math.ceil(CLUSTERS / samples)
    parts = [rows]
    for i in range(1, rows.ndim - 1):
        count = min(wanted, max(rows.shape[i] // (2 * OVERLAP), 1))  # a block is at least a test function wide
        parts = [block for part in parts for block in part.tensor_split(count, i)]
        wanted = math.ceil(wanted / count)
    return torch.cat([block.flatten(1, -2).mT @ block.flatten(1, -2) for block in parts])


def fit(rows: WeakRows, scale: Tensor) -> Fit:
    """The coefficients of columns 1, 2, ... in ``column 0 + sum_j ratio_j scale_j column j = 0``.

    A column that is a combination of those before it keeps the claim and has no interval; neither have those that
    carry it. One that noise and grid explain has none either; it is fitted beside the others, whose intervals know of
    it, unless it is too small to move them.

    Args:
        rows: of the trajectories that are fitted together.
        scale: ``[J]``, the claimed coefficients.
    """
    J = len(scale)
    columns = torch.cat([torch.ones(1, dtype=torch.float64), scale])
    samples = len(rows.plain)
    plain, noise = rows.plain * columns, rows.noise * columns
    noises = clusters(noise, samples)
    seen = clusters(plain, samples)
    grams = seen - noises
    total = grams.sum(0)
    errors = _Errors.of(rows, columns, total, noises)
    absent = errors.absent()
    kept, lost = _independent(total, absent)
    one, zero = torch.ones(J, dtype=torch.float64), torch.zeros(J, dtype=torch.float64)
    nothing = Fit(one, one / 0, zero, one, zero)
    if not kept or len(grams) < max(FEWEST, len(kept) + 2):
        return nothing
    # what is lost counts with the claim, on the left side
    join = torch.zeros(J + 1, len(kept) + 1, dtype=torch.float64)
    join[[0, *(j + 1 for j in lost)], 0] = 1.0
    join[[j + 1 for j in kept], range(1, len(kept) + 1)] = 1.0
    theta, replicates = _solve(join.T @ total @ join), _solve(join.T @ (total - grams) @ join)
    if theta is None or replicates is None:
        return nothing
    n = len(grams)
    ratio, spread, grid, degrees, alone = one.clone(), one / 0, zero.clone(), one.clone(), zero.clone()
    ratio[kept] = theta
    degrees[kept] = _degrees(join.T @ seen @ join, join.T @ total @ join, theta)
    spread[kept] = ((n - 1) / n * (replicates - replicates.mean(0)).square().sum(0)).sqrt()
    for change in rows.change:
        # every second node has twice the variance
        coarse = (clusters(plain - change * columns, samples) - 2 * noises).sum(0)
        moved = _solve(join.T @ coarse @ join)
        grid[kept] += torch.inf if moved is None else sharp((moved - theta).abs())
    alone[kept] = torch.linalg.inv((join.T @ total @ join)[1:, 1:]).diagonal().clamp_min(1e-300).rsqrt()
    spread[_carriers(total, kept, [j for j in lost if j not in absent])] = torch.inf
    for j in kept:
        if not errors.beyond(_alone(total, [k for k in kept if k != j], j)):
            ratio[j], spread[j] = 1.0, torch.inf
    return Fit(ratio, spread, grid, degrees, alone)


def _degrees(seen: Tensor, total: Tensor, theta: Tensor) -> Tensor:
    """Of freedom of the jackknife's spreads, from the Gram matrices of the clusters with their noise and the sum."""
    weights = torch.cat([torch.ones(1, dtype=torch.float64), theta])
    residual = ((seen @ weights) @ weights).clamp_min(0)
    inverse = torch.linalg.inv(total[1:, 1:])
    parts = residual[:, None] * (inverse @ seen[:, 1:, 1:] @ inverse).diagonal(dim1=-2, dim2=-1)
    whole = parts.sum(0)
    carried = whole.square() / parts.square().sum(0)  # the effective number of clusters
    found: Tensor = (carried - 1).nan_to_num(nan=1.0).clamp_min(1.0)
    return found


def _solve(gram: Tensor) -> Tensor | None:
    """``-G^-1 g`` of Gram matrices ``[..., 1 + K, 1 + K]``; ``None`` unless all are definite beyond rounding."""
    inner = gram[..., 1:, 1:]
    size = inner.diagonal(dim1=-2, dim2=-1)
    if not bool(gram.isfinite().all() and (size > 0).all()):
        return None
    root = size.sqrt()
    unit = inner / root[..., None] / root[..., None, :]
    if float(torch.linalg.eigvalsh(unit)[..., 0].min()) <= COLLINEAR / 100:
        return None
    found: Tensor = -torch.linalg.solve(unit, gram[..., 1:, 0] / root) / root
    return found


@dataclass(frozen=True)
class _Errors:
    """What noise and grid make of columns: Gram matrices, all trajectories together but for the noise.

    Attributes:
        total: without noise, ``[1 + J, 1 + J]``.
        noises: of the noise rows, ``[S, 1 + J, 1 + J]``.
        changes: of the change on every axis, ``[axes, 1 + J, 1 + J]``.
        independent: ``[S]``, test functions.
    """

    total: Tensor
    noises: Tensor
    changes: Tensor
    independent: Tensor

    @staticmethod
    def of(rows: WeakRows, columns: Tensor, total: Tensor, noises: Tensor) -> _Errors:
        samples, scale = len(rows.plain), columns[:, None] * columns
        flat = (change.flatten(0, -2) for change in rows.change)
        changes = (
            torch.stack([c.T @ c * scale for c in flat])
            if rows.change
            else torch.zeros(0, *total.shape, dtype=torch.float64)
        )
        return _Errors(total, noises.reshape(-1, samples, *total.shape).sum(0), changes, rows.independent)

    def energy(self, w: Tensor) -> float:
        """Of a combination of columns, without its noise."""
        return float(w @ self.total @ w)

    def absent(self) -> list[int]:
        """Columns that noise and grid explain, and so small that they carry nothing of the others."""
        seen = (self.total + self.noises.sum(0)).diagonal()
        small = [j for j in range(len(seen) - 1) if not float(seen[j + 1]) > NEGLIGIBLE * float(seen.max())]
        return [j for j in small if not self.beyond(_alone(self.total, [], j))]

    def beyond(self, w: Tensor) -> bool:
        """Whether a combination of columns is more than noise and grid explain."""
        energy, each = self.energy(w), (self.noises @ w) @ w
        noise = float(each.sum())
        if not energy > 0:
            return False
        if noise > 0:
            degrees = noise**2 / float((each.square() / self.independent).sum())
            a = independent_t(1, max(int(degrees), 1), MISTAKE) / math.sqrt(max(int(degrees), 1))
            if not energy + noise > (a + math.hypot(a, 1)) ** 2 * noise:  # Cacoullos, J. Am. Stat. Assoc. 60, 1965
                return False
        moved = (((self.changes @ w) @ w - noise).clamp_min(0) / energy).sqrt()
        return float(sharp(moved).sum()) < 1


def _independent(gram: Tensor, absent: Sequence[int]) -> tuple[list[int], list[int]]:
    """Columns that are no combination of those before them and not absent, and the others."""
    kept: list[int] = []
    lost: list[int] = []
    for j in range(len(gram) - 1):
        w = _alone(gram, kept, j)
        there = j not in absent and float(w @ gram @ w) > COLLINEAR * float(gram[j + 1, j + 1]) > 0
        (kept if there else lost).append(j)
    return kept, lost


def _alone(gram: Tensor, kept: Sequence[int], j: int) -> Tensor:
    """The combination of columns that is the part of column j that the kept ones do not carry."""
    w = torch.zeros(len(gram), dtype=torch.float64)
    w[j + 1] = 1.0
    if kept:
        w[[k + 1 for k in kept]] = -_weights(gram, kept, j)
    return w


def _weights(gram: Tensor, kept: Sequence[int], j: int) -> Tensor:
    at = [k + 1 for k in kept]
    inner = gram[at][:, at]
    root = inner.diagonal().clamp_min(1e-300).sqrt()
    b = (gram[at, j + 1] / root)[:, None]
    found: Tensor = torch.linalg.lstsq(inner / root / root[:, None], b, driver="gelsd").solution[:, 0] / root
    return found


def _carriers(gram: Tensor, kept: Sequence[int], lost: Sequence[int]) -> list[int]:
    """The kept columns of which a lost one is made."""
    found = set()
    size = gram.diagonal().clamp_min(0).sqrt()
    for j in lost:
        if float(size[j + 1]) > 0:
            parts = _weights(gram, kept, j).abs() * size[[k + 1 for k in kept]]
            found |= {k for k, part in zip(kept, parts.tolist(), strict=True) if part > RELEVANT * float(size[j + 1])}
    return sorted(found)
