"""Linear combinations of the neighbours of each node of an axis: derivatives of polynomials through them or near them.

Weights belong to the axis and are made once. Windows that are equal but for rounding share theirs, and they are applied
in blocks of nodes: nothing here is as large as all nodes by all nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symflow.errors import UserError

from .axes import Axis

STENCIL = 9  # nodes of a difference
BLOCK = 64  # nodes that are combined in one product
PART = 4096  # windows that are fitted at once
ALIKE = 12  # digits of the places in a window, in units of its half-length
KEPT = 64  # sets of weights


@dataclass(frozen=True, eq=False)
class Stencils:
    """Weights of the nodes in a window about each node.

    Attributes:
        first: ``[n]``, the first node of each window; on a periodic axis it may lie before the first of the axis, and
            the window go beyond the last.
        rows: ``[m, w]``, the weights of windows that differ.
        which: ``[n]``, the row of each node.
    """

    first: Tensor
    rows: Tensor
    which: Tensor

    def of(self, values: Tensor, dim: int = -1) -> Tensor:
        """The combination at every node, of values ``[..., n, ...]`` with the nodes in dimension `dim`."""
        v, n, w = values.movedim(dim, -1), len(self.first), self.rows.shape[1]
        before, after = max(-int(self.first.min()), 0), max(int(self.first.max()) + w - n, 0)
        if before or after:
            v = torch.cat([v[..., n - before :], v, v[..., :after]], -1)
        found = torch.empty(*v.shape[:-1], n, dtype=torch.float64)
        inside = torch.arange(w)
        for nodes in torch.arange(n).split(BLOCK):
            first = self.first[nodes] + before
            begin, end = int(first.min()), int(first.max()) + w
            matrix = torch.zeros(end - begin, len(nodes), dtype=torch.float64)
            matrix[(first - begin)[:, None] + inside, (nodes - nodes[0])[:, None]] = self.rows[self.which[nodes]]
            found[..., nodes[0] : nodes[-1] + 1] = v[..., begin:end] @ matrix
        return found.movedim(-1, dim)

    @property
    def norm(self) -> Tensor:
        """By how much each combination enlarges white noise, ``[n]``."""
        found: Tensor = self.rows.norm(dim=1)[self.which]
        return found

    @property
    def bound(self) -> Tensor:
        """By how much each combination enlarges what is at most 1, ``[n]``."""
        return self.rows.abs().sum(1)[self.which]


def differences(axis: Axis, order: int) -> Stencils:
    """The order-th derivative at every node of the polynomial through the `STENCIL` nearest.

    Raises:
        UserError: the axis has too few nodes for it.

    >>> axis = Axis("t", torch.arange(12, dtype=torch.float64))
    >>> bool((differences(axis, 1).of(axis.nodes**3) - 3 * axis.nodes**2).abs().max() < 1e-9)
    True
    """
    if order >= min(STENCIL, len(axis)):
        raise UserError(f"a derivative of order {order} in {axis.name} needs {order + 1} nodes, got {len(axis)}")
    return _differences(*_key(axis), order)


def fits(axis: Axis, order: int, window: int, degree: int) -> Stencils:
    """The order-th derivative at every node of the least squares polynomial in its window, of nodes on an open axis."""
    return _fits(_key(axis)[0], order, window, degree)


def left_by_fits(axis: Axis, window: int, degree: int) -> Stencils:
    """What least squares polynomials leave at their nodes, in units in which white noise keeps its size."""
    return _left_by_fits(_key(axis)[0], window, degree)


def _key(axis: Axis) -> tuple[bytes, float | None]:
    """By what weights are remembered: a uniform period has its step alone."""
    return axis.nodes.numpy().tobytes(), None if axis.period is None else axis.step


@lru_cache(maxsize=KEPT)
def _differences(content: bytes, step: float | None, order: int) -> Stencils:
    nodes = np.frombuffer(content)
    n = len(nodes)
    q = min(STENCIL, n)
    i = np.arange(n)
    if step is None:
        first = np.clip(i - q // 2, 0, n - q)
        away = nodes[first[:, None] + np.arange(q)] - nodes[:, None]
    else:
        first = i - q // 2
        away = np.broadcast_to((np.arange(q) - q // 2) * step, (n, q))
    scale = np.abs(away).max(1)
    which, back = _different(np.c_[away / scale[:, None], scale / scale.mean()])
    moments = torch.zeros(len(which), q, dtype=torch.float64)
    moments[:, order] = torch.from_numpy(math.factorial(order) / scale[which] ** order)
    powers = torch.linalg.vander(torch.from_numpy(away[which] / scale[which, None]))
    return Stencils(torch.from_numpy(first), torch.linalg.solve(powers.mT, moments), torch.from_numpy(back))


@lru_cache(maxsize=KEPT)
def _fits(content: bytes, order: int, window: int, degree: int) -> Stencils:
    first, s, scale, back = _windows(content, window)
    at = _at_centre(order, degree)
    rows = [
        torch.linalg.lstsq(legendre.mT, at.expand(len(legendre), -1)[..., None], driver="gelsd").solution[..., 0]
        for legendre in (
            torch.from_numpy(np.polynomial.legendre.legvander(part, degree))
            for part in np.array_split(s, -(-len(s) // PART))
        )
    ]
    return Stencils(torch.from_numpy(first), torch.cat(rows) / torch.from_numpy(scale)[:, None] ** order, back)


@lru_cache(maxsize=KEPT)
def _left_by_fits(content: bytes, window: int, degree: int) -> Stencils:
    _, s, _, _ = _windows(content, window)
    fitted = _fits(content, 0, window, degree)
    rows = -fitted.rows
    rows[torch.arange(len(rows)), torch.from_numpy(np.abs(s).argmin(1))] += 1
    return Stencils(fitted.first, rows / rows.norm(dim=1, keepdim=True), fitted.which)


def _windows(content: bytes, window: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], Tensor]:
    """The first node of each, places in those that differ from -1 to 1 with their half-lengths, which each node has."""
    nodes = np.frombuffer(content)
    n = len(nodes)
    first = np.clip(np.arange(n) - window // 2, 0, n - window)
    away = nodes[first[:, None] + np.arange(window)] - nodes[:, None]
    scale = np.abs(away).max(1)
    which, back = _different(np.c_[away / scale[:, None], scale / scale.mean()])
    return first, away[which] / scale[which, None], scale[which], torch.from_numpy(back)


def _different(rows: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of rows that are equal but for rounding the first one, and which of these each row is."""
    _, which, back = np.unique(np.round(rows, ALIKE), axis=0, return_index=True, return_inverse=True)
    return which, back.reshape(-1)


@lru_cache(maxsize=KEPT)
def _at_centre(order: int, degree: int) -> Tensor:
    """The order-th derivatives of Legendre's polynomials at 0."""
    legendre = np.polynomial.legendre
    rows = [legendre.legval(0.0, legendre.legder(e, order)) for e in np.eye(degree + 1)]
    return torch.tensor(rows, dtype=torch.float64)
