"""The references of resampling in plain torch, by Fourier sums."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symflow.ops._fine_rows import cell_sizes

LEAST_ROWS = 6
"""Rows that the interpolation in time of `resample` needs."""


def mean_where_dense(sums: Tensor, weight: Tensor) -> Tensor:
    """``sums / weight``, 0 where the weight is below the square root of the precision: only rounding is left there."""
    enough = weight > torch.finfo(weight.dtype).eps ** 0.5
    return torch.where(enough, sums / torch.where(enough, weight, 1), 0)


def scatter_ref(
    points: Tensor, shape: tuple[int, int], period: float, times: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """`symflow.scatter` in plain torch, by Fourier sums over all points.

    Any floating dtype and device, derivatives of any order. It takes ``N columns`` complex numbers of memory per
    trajectory. This is what the kernels are tested against.

    Args:
        points: ``[B, N, 3]``.
        shape: ``(rows, columns)``.
        period: of x.
        times: of the first and the last row.

    Returns:
        Values and weight, ``[B, rows, columns]``.
    """
    rows, columns = shape
    dx, dt = cell_sizes(rows, columns, period, *times)
    x, t, u = points.unbind(-1)
    row = (t - times[0]) / dt
    phase = -2 * math.pi / columns * (x / dx)[..., None] * torch.arange(columns // 2 + 1, device=points.device)
    waves = torch.complex(phase.cos(), phase.sin())
    batch = torch.arange(points.shape[0], device=points.device)[:, None]
    spectra = waves.new_zeros(2, points.shape[0], rows, columns // 2 + 1)
    below = row.detach().floor()
    for at, share in ((below, 1 - (row - below)), (below + 1, row - below)):
        inside = (at >= 0) & (at < rows)
        where = (batch, torch.where(inside, at, 0).long())
        share = torch.where(inside, share, 0)
        spectra = torch.stack(
            [s.index_put(where, v[..., None] * waves, True) for s, v in zip(spectra, (share * u, share), strict=True)]
        )
    if points.shape[0] == 0:  # which not every transform of torch takes
        return (empty := points.sum() * points.new_zeros(0, rows, columns)), empty
    sums, weight = torch.fft.irfft(spectra, columns)
    return mean_where_dense(sums, weight), weight


def resample_ref(points: Tensor, period: float, times: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """`symflow.resample` in plain torch, by a Fourier sum per node, row and step of Newton's method.

    Any device that has float64; derivatives up to the third order and forward mode, because the last two steps of the
    method are differentiated and each squares the order to which the source is known. This is what the kernels are
    tested against.

    Args:
        points: ``[B, rows, columns, 3]``.
        period: of x.
        times: of the first and the last row.

    Returns:
        Values ``[B, rows, columns]`` and support, of the same shape, boolean.
    """
    B, rows, columns = points.shape[:3]
    if B == 0:  # which not every transform of torch takes
        return points[..., 2], torch.zeros(points.shape[:3], dtype=torch.bool, device=points.device)
    dx, dt = cell_sizes(rows, columns, period, *times)
    x, t, u = points.double().unbind(-1)
    node = torch.arange(columns, dtype=torch.float64, device=points.device)
    level = torch.arange(rows, dtype=torch.float64, device=points.device)[:, None]
    moved = torch.stack([x / dx - node, (t - times[0]) / dt - level, u], 2)  # [B, rows, 3, columns]
    wave = torch.arange(columns // 2 + 1, dtype=torch.float64, device=points.device) * (2 * math.pi / columns)
    spectra = torch.fft.rfft(moved, norm="forward") * torch.where((wave == 0) | (wave == math.pi), 1, 2)
    batch = torch.arange(B, device=points.device)[:, None, None]

    def jets(spectra: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three fields at points ``[B, columns]`` with their derivatives: each ``[B, columns, 3]``."""
        first = (row.detach().floor().long() - 2).clamp(0, rows - LEAST_ROWS)
        weights, slopes = _lagrange(row - first)
        phase = column[..., None] * wave
        waves = torch.complex(phase.cos(), phase.sin())
        rows_of = spectra[batch, first[..., None] + torch.arange(LEAST_ROWS, device=points.device)]
        sums = torch.einsum("bnjfk,bnk->bnjf", rows_of, waves).real
        along = torch.einsum("bnjfk,bnk->bnjf", rows_of, waves * 1j * wave).real

        def across_rows(of: Tensor, by: Tensor) -> Tensor:
            return torch.einsum("bnjf,bnj->bnf", of, by)

        return across_rows(sums, weights), across_rows(along, weights), across_rows(sums, slopes)

    def newton(spectra: Tensor, column: Tensor, row: Tensor, i: int) -> tuple[Tensor, Tensor, Tensor]:
        """One step towards the sources of row i, and its length."""
        value, along, across = jets(spectra, column, row)
        (a, c), (b, d) = ((f[..., 0] + s, f[..., 1] + 1 - s) for f, s in ((along, 1), (across, 0)))
        p, q = column + value[..., 0] - node, row + value[..., 1] - i
        determinant = a * d - b * c
        p, q = (d * p - b * q) / determinant, (a * q - c * p) / determinant
        return column - p, row - q, torch.maximum(p.abs(), q.abs())

    values, support = [], []
    for i in range(rows):
        with torch.no_grad():
            fixed = spectra.detach()
            column, row = (node - moved[:, i, 0]).detach(), (i - moved[:, i, 1]).detach()
            lost = torch.zeros_like(row, dtype=torch.bool)
            held = lost
            for _ in range(14):
                was_held, held = held, (row < -1) | (row > rows)
                lost = lost | (held & was_held) | ~(column.isfinite() & row.isfinite())
                column, row = torch.where(lost, 0, column), torch.where(lost, 0, row).clamp(-1, rows)
                column, row, length = newton(fixed, column, row, i)
                if bool((lost | (length <= 1e-3)).all()):
                    break
            lost = lost | ~(length <= 1e-3)
            column, row = torch.where(lost, 0, column), torch.where(lost, 0, row)
        for _ in range(2):
            column, row, length = newton(spectra, column, row, i)
        found = ~lost & (length <= 1e-7) & (row >= -1e-9) & (row <= rows - 1 + 1e-9)
        value = jets(spectra, column, torch.where(found, row, 0))[0][..., 2]
        values.append(torch.where(found, value, 0))
        support.append(found)
    return torch.stack(values, 1).to(points.dtype), torch.stack(support, 1)


def _lagrange(z: Tensor) -> tuple[Tensor, Tensor]:
    """The polynomials through 0 .. 5 that are 1 at one of them, and their derivatives, at z: ``[..., 6]`` each."""
    weights, slopes = [], []
    for j in range(LEAST_ROWS):
        factors = [(z - k) / (j - k) for k in range(LEAST_ROWS) if k != j]
        rates = [1 / (j - k) for k in range(LEAST_ROWS) if k != j]
        weights.append(torch.stack(factors).prod(0))
        without = [torch.stack(factors[:m] + factors[m + 1 :]).prod(0) for m in range(len(factors))]
        slopes.append(torch.stack([r * w for r, w in zip(rates, without, strict=True)]).sum(0))
    return torch.stack(weights, -1), torch.stack(slopes, -1)
