"""Two rows that are exchanged, where noise hides that either of them is out of place (`misplaced`).

With M the matrix of what the interpolation through n rows on either side misses of each, N = M^T M and d = u_b - u_a,
exchanging rows a and b lessens the sum of the squares of all that is missed by

    G_ab = -2 d . ((N u)_a - (N u)_b) - V_ab |d|^2,    V_ab = N_aa + N_bb - 2 N_ab:

about ``-V |d|^2`` where the rows are in place, and ``+V |d|^2`` where they are exchanged. What else is missed, m = M u,
moves it by ``2 |N_a - N_b| s``, s^2 the variance of d . m_i/|M_i| over the rows i: of noise ``sigma^2 |d|^2``, and more
where solutions too fast for their rows are missed in the few directions in which they move; it is taken from the
median, which two rows do not change. The pair with the largest G is exchanged

    if  |d| > 1e-4 |u - mean|,    G > V |d|^2/2,    G > 2 z |N_a - N_b| s,    2 exp(-z^2/2) = CHANCE / pairs in the file

and rows near them are then missed by no more than twice what rows are: a shock, or a jump, stays one. It is put back,
and the next pair looked for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..weak import Samples
from .misplaced import CHANCE, NEAR, SMALLEST, in_time, missed

MEDIAN = 0.455  # of chi^2 with one degree of freedom
TWICE = 2.0  # what rows near exchanged ones may miss when they are put back, of what rows miss


def exchanged(samples: Samples) -> Tensor:
    """Which rows are exchanged with another, ``[S, T]``; none where values are missing, there is no t, or rows are few.

    >>> from symflow.pde.equations import JetSpace
    >>> from symflow.pde.trajectories import Axis
    >>> t, x = torch.linspace(0, 3, 61, dtype=torch.float64), torch.arange(64, dtype=torch.float64)
    >>> noise = torch.randn(61, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> u = torch.exp(-t)[:, None] * torch.cos(x) + 0.03 * noise
    >>> u[[19, 25]] = u[[25, 19]]
    >>> found = exchanged(Samples(JetSpace(("t", "x"), ("u",)), (Axis("t", t), Axis("x", x)), u[None, None]))
    >>> found.nonzero()[:, 1].tolist()
    [19, 25]
    """
    t, rows = in_time(samples)
    found = torch.zeros(len(samples), len(t), dtype=torch.bool)
    if not len(rows):
        return found
    asked = torch.arange(NEAR, len(t) - NEAR)  # rows that are missed themselves
    M = missed(t, [*range(-NEAR, 0), *range(1, NEAR + 1)])[asked]
    z = math.sqrt(2 * math.log(len(rows) * len(asked) ** 2 / CHANCE))
    for s, u in enumerate(rows):
        while not bool(found[s].all()) and (pair := _pair(M, u, asked, z)) is not None:
            if bool(found[s, pair].any()):
                break
            found[s, pair] = True
            u = u.clone()
            u[pair] = u[pair[::-1]]
    return found


def _pair(M: Tensor, u: Tensor, asked: Tensor, z: float) -> list[int] | None:
    """The pair of rows of ``[T, q]`` that are exchanged, that of the largest G; ``None`` without any."""
    m, gain = M @ u, M.square().sum(1).sqrt()
    N = M.T @ M
    inner, H, gram = N[asked][:, asked], u[asked] @ (N[asked] @ u).T, u[asked] @ u[asked].T
    V, d = _apart(inner), _apart(gram)
    G = 2 * (H.diagonal()[:, None] + H.diagonal() - H - H.T) - V * d
    likely = torch.triu((V * d / 2 < G) & (d > SMALLEST**2 * (u - u.mean()).square().sum(1).mean()), 1)
    unit = m / gain[:, None]
    typical = float(unit.square().mean(1).sqrt().median())
    places = likely.nonzero()
    for a, b in places[G[likely].argsort(descending=True)].tolist():
        step = u[asked[b]] - u[asked[a]]
        s = math.sqrt(float((unit @ step).square().median()) / MEDIAN)
        if not float(G[a, b]) > 2 * z * float((N[asked[a]] - N[asked[b]]).norm()) * s:
            continue
        beside = [i for i in range(len(asked)) if min(abs(i - a), abs(i - b)) <= NEAR]
        mended = m[beside] + (M[beside][:, asked[a]] - M[beside][:, asked[b]])[:, None] * step
        if float((mended.square().mean(1).sqrt() / gain[beside]).max()) <= TWICE * typical:
            return [int(asked[a]), int(asked[b])]
    return None


def _apart(gram: Tensor) -> Tensor:
    """Squared distances of vectors from their products."""
    size = gram.diagonal()
    return size[:, None] + size - 2 * gram
