"""Rows of periodic functions, known at their nodes, as the kernels of resampling read them between.

A row of n numbers on a period stands for its Fourier series. To read it anywhere, it is divided in Fourier space by the
transform of a window, put on a grid twice as fine, and summed over sixteen fine nodes with the window as weights: a
non-uniform Fourier transform (Dutt and Rokhlin, 1993) with the window of Kaiser and Bessel (Fourmont, 2003), exact to
about 1e-14 of the largest value. Its transpose adds points to rows. The sums over nodes are the kernels'; torch.fft
does the rest here.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from symflow.runs import one_thread

TAPS = 16  # window_taps of core/resample.h
_TERMS = 13  # of the polynomials: the window to 1e-14
_SHAPE = math.pi * TAPS * 0.75  # the best for twice as many nodes


@cache
def window_on(device: torch.device) -> Tensor:
    """The window as a polynomial per tap in the offset -1 .. 1 across a fine cell: ``[terms, taps]``, rising powers."""
    offset = chebyshev.chebpts1(_TERMS)[:, None]
    # The first tap is the node 7 fine cells left of the one at the point's left.
    distance = (offset + 1) / 2 + (TAPS // 2 - 1) - np.arange(TAPS)
    values = np.i0(_SHAPE * np.sqrt(1 - (distance / (TAPS / 2)) ** 2)) / np.i0(_SHAPE)
    fitted = chebyshev.chebfit(offset[:, 0], values, _TERMS - 1)
    return torch.tensor(np.stack([chebyshev.cheb2poly(tap) for tap in fitted.T], axis=1), device=device)


@cache
def _division(columns: int, device: torch.device) -> Tensor:
    """One over the window's Fourier transform at the frequencies of a row: ``[columns // 2 + 1]``."""
    phase = math.pi * TAPS / 2 * np.arange(columns // 2 + 1) / columns
    root = np.sqrt(_SHAPE**2 - phase**2)
    return torch.tensor(np.i0(_SHAPE) * root / (TAPS * np.sinh(root)), device=device)


@one_thread()  # transforms of torch have other bits with more
def fine_rows(rows: Tensor) -> Tensor:
    """The table that the kernels read: ``[..., columns] -> [..., 2 columns + 16]``, column q at fine node q - 7."""
    columns = rows.shape[-1]
    spectrum = torch.fft.rfft(rows, norm="forward") * _division(columns, rows.device)
    if columns % 2 == 0:
        spectrum[..., -1] *= 0.5  # the highest cosine: on the fine grid it counts twice
    fine: Tensor = torch.fft.irfft(spectrum, 2 * columns, norm="forward")
    nodes = torch.arange(-(TAPS // 2 - 1), 2 * columns + TAPS // 2 + 1, device=rows.device) % (2 * columns)
    return fine[..., nodes]


@one_thread()
def transpose_to_rows(table: Tensor, columns: int) -> Tensor:
    """The transpose of `fine_rows`."""
    period = 2 * columns
    before = -(TAPS // 2 - 1) % period
    after = -(before + table.shape[-1]) % period
    fine = torch.nn.functional.pad(table, (before, after)).unflatten(-1, (-1, period)).sum(-2)
    spectrum = torch.fft.rfft(fine)[..., : columns // 2 + 1] * _division(columns, table.device)
    rows: Tensor = torch.fft.irfft(spectrum, columns)
    return rows


# ---- points in cells of the grid ------------------------------------------------------------------------------------


def cell_sizes(rows: int, columns: int, period: float, first: float, last: float) -> tuple[float, float]:
    return period / columns, (last - first) / (rows - 1)


def in_cells(points: Tensor, rows: int, columns: int, period: float, first: float, last: float) -> Tensor:
    """Points ``(x, t, u)`` as (column, row, u), float64."""
    dx, dt = cell_sizes(rows, columns, period, first, last)
    x, t, u = points.double().unbind(-1)
    return torch.stack([x / dx, (t - first) / dt, u], -1)


def per_unit(grad: Tensor, dx: float, dt: float) -> Tensor:
    """A gradient per cell as one per unit of x, t and u."""
    x, t, u = grad.unbind(-1)
    return torch.stack([x / dx, t / dt, u], -1)


def moved_fields(points: Tensor, period: float, first: float, last: float) -> Tensor:
    """Points ``[rows, columns, 3]`` that a grid moved to as displacements in cells and u: ``[rows, 3, columns]``."""
    rows, columns = points.shape[:2]
    fields = in_cells(points, rows, columns, period, first, last).movedim(-1, 1).contiguous()
    fields[:, 0] -= torch.arange(columns, device=points.device)
    fields[:, 1] -= torch.arange(rows, device=points.device)[:, None]
    return fields
