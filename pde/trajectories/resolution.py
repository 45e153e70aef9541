"""How well a grid holds data: the tail of a spectrum, what interpolation misses, the smallest scale."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .layouts import SAMPLE, Field
from .seams import NEAR, missed

SHARE = 0.999  # of the variance, up to the smallest scale that is named
MOST = 64  # trajectories that are looked at one by one


def rows_along(f: Field, name: str) -> NDArray[np.float64] | None:
    """``[S, rows, n]`` along an axis, without rows in which values are missing; ``None`` where that leaves none."""
    values = np.asarray(f.values.real, np.float64)
    gone = ~np.isfinite(values) if f.missing is None else f.missing | ~np.isfinite(values)
    order = [f.dims.index(SAMPLE)] if SAMPLE in f.dims else []
    rest = [i for i, d in enumerate(f.dims) if d not in (SAMPLE, name)]
    turned = [*order, *rest, f.dims.index(name)]
    samples = values.shape[order[0]] if order else 1
    rows, lost = (
        part.transpose(turned).reshape(samples, -1, values.shape[turned[-1]])[:MOST] for part in (values, gone)
    )
    kept: NDArray[np.float64] = rows[:, ~lost.any((0, 2))] if lost.any() else rows
    return kept if kept.shape[1] else None


def tail_of(rows: NDArray[np.float64], periodic: bool, nodes: NDArray[np.float64] | None) -> float | None:
    """How large the smallest scales are; ``None`` where there are too few nodes to tell."""
    spread = float(rows.std()) or 1.0
    if periodic:
        size = np.abs(np.fft.rfft(rows - rows.mean(), norm="forward")).max((0, 1))
        return float(size[-max(len(size) // 8, 1) :].max() / (size.max() or 1.0))
    if rows.shape[-1] <= 2 * NEAR:
        return None
    if nodes is None:
        return float(missed(torch.from_numpy(np.ascontiguousarray(rows)), NEAR).max()) / spread
    inner = range(NEAR, rows.shape[-1] - NEAR)
    miss = [
        rows[..., j] - rows[..., near] @ _through(nodes[near], nodes[j]) for j, near in ((j, _near(j)) for j in inner)
    ]
    return float(np.sqrt(np.square(np.stack(miss, -1)).mean((1, 2))).max()) / spread


def _near(j: int) -> list[int]:
    return [*range(j - NEAR, j), *range(j + 1, j + NEAR + 1)]


def _through(nodes: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    """Lagrange's weights of the polynomial through the nodes at a place."""
    apart = nodes[:, None] - nodes + np.eye(len(nodes))
    ratios = (place - nodes + np.zeros_like(apart)) / apart
    np.fill_diagonal(ratios, 1.0)
    weights: NDArray[np.float64] = ratios.prod(1)
    return weights


def scale_of(rows: NDArray[np.float64]) -> float | None:
    power = (np.abs(np.fft.rfft(rows - rows.mean(-1, keepdims=True))) ** 2).mean((0, 1))
    total = np.cumsum(power)
    if not total[-1] > 0:
        return None
    k = int(np.searchsorted(total, SHARE * total[-1]))
    return float(rows.shape[-1] / max(k, 1))
