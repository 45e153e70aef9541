"""Rows out of place: stored times whose values are not between those before and after.

The weak form hardly sees one row among many, as two that are swapped: wide test functions average over it, and at a
percent of noise it is lost. A row is interpolated from n on either side,

    m_i = u_i - sum_k w_ik u_(i + k),    0 < |k| <= n,

and if row i is put where its neighbours want it, u_i - m_i, what their own interpolations miss becomes
``m_j + w_j(i-j) m_i``. A row that is out of place by itself has a large m, and without it the others fit. Where a
solution is too fast for its rows, or a shock forms, m is as large in the rows beside it, and putting one of them
elsewhere mends nothing. So is it where there is noise. And where the slope jumps in time, the row goes on from those
on one side; one that is out of place goes on from neither. With l_i and r_i what the polynomials through n rows before
it and after it miss,

    out of place    |m_i| > c max(max_j |m_j + w m_i|, 1.5 median |m|),    |l_i|, |r_i| > .75 |m_i| > 7.5e-5 |u - mean|

for rows 2 n or more from the ends, with RMS over all unknowns and nodes of space, and c such that of noise in q values
no row of a file goes beyond it by chance, 3 at least: ``P(chi^2_q > q + 2 sqrt(q x) + 2 x) <= exp(-x)`` (Laurent and
Massart, Ann. Statist. 28, 2000). Two rows out of place within n of each other hide each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..weak import Samples

NEAR = 3  # rows on either side
LEAST = 3.0
TYPICAL = 1.5  # times the median: what rows miss that are not special
NEITHER = 0.75  # of m: what the rows on either side miss alone
SMALLEST = 1e-4  # of the values about their mean
CHANCE = 1e-3  # that a row of noise is found in a file


def misplaced(samples: Samples) -> Tensor:
    """Which rows are out of place, ``[S, T]``; none where values are missing, there is no t, or rows are too few.

    >>> from symflow.pde.equations import JetSpace
    >>> from symflow.pde.trajectories import Axis
    >>> t, x = torch.linspace(0, 3, 61, dtype=torch.float64), torch.arange(16, dtype=torch.float64)
    >>> u = torch.exp(-t)[:, None] * torch.cos(x)
    >>> u[[19, 37]] = u[[37, 19]]
    >>> found = misplaced(Samples(JetSpace(("t", "x"), ("u",)), (Axis("t", t), Axis("x", x)), u[None, None]))
    >>> found.nonzero()[:, 1].tolist()
    [19, 37]
    """
    t, rows = in_time(samples)
    T = len(t)
    found = torch.zeros(len(samples), T, dtype=torch.bool)
    if not len(rows):
        return found
    before, after = range(-NEAR, 0), range(1, NEAR + 1)
    out, left, right = (missed(t, some) for some in ([*before, *after], before, after))
    q = rows.shape[2]
    x = math.log(len(rows) * T / CHANCE)
    c = max(LEAST, TYPICAL * math.sqrt(1 + 2 * math.sqrt(x / q) + 2 * x / q))
    inside = torch.arange(2 * NEAR, T - 2 * NEAR)  # rows whose neighbours have misses, too
    for s, u in enumerate(rows):
        miss = out @ u
        size = miss.square().mean(1).sqrt()
        whole = (u - u.mean()).square().mean().sqrt()
        typical = TYPICAL * size[inside].median()
        for i in inside[size[inside] > c * typical].tolist():
            if size[i] <= SMALLEST * whole:
                continue
            beside = [j for j in range(i - NEAR, i + NEAR + 1) if j != i]
            mended = torch.stack([miss[j] - out[j, i] * miss[i] for j in beside]).square().mean(1).sqrt()
            sides = torch.stack([left[i] @ u, right[i] @ u]).square().mean(1).sqrt()
            found[s, i] = bool(size[i] > c * mended.max()) and bool(sides.min() > NEITHER * size[i])
    return found


def in_time(samples: Samples) -> tuple[Tensor, Tensor]:
    """The times ``[T]``, and all values of each row, ``[S, T, values]``: none where they cannot be judged."""
    names = [a.name for a in samples.axes]
    if "t" not in names:
        return torch.zeros(0), torch.zeros(0)
    axis = names.index("t")
    t = samples.axes[axis].nodes
    if len(t) < 4 * NEAR + 1 or samples.missing is not None:
        return t, torch.zeros(0)
    return t, samples.values.movedim(axis + 2, 1).flatten(2)


def missed(t: Tensor, which: Sequence[int]) -> Tensor:
    """The matrix ``[T, T]`` of what the polynomials through some rows miss of each, told by their places beside it."""
    T = len(t)
    matrix = torch.zeros(T, T, dtype=torch.float64)
    for i in range(NEAR, T - NEAR):
        matrix[i, i] = 1.0
        for k in which:
            factors = [(t[i] - t[i + m]) / (t[i + k] - t[i + m]) for m in which if m != k]
            matrix[i, i + k] = -torch.stack(factors).prod()
    return matrix
