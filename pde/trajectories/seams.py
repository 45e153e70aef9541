"""Whether data on a line that is said to be periodic are: do the ends of their rows meet?

A row is interpolated at each node from n nodes on either side, across the seam as if it were periodic. At the two nodes
next to the seam that leaves A_n, elsewhere I_n, RMS over the times. Of smooth periodic rows A and I are alike; where
the ends do not meet, A has their jump, or that of the slopes. A wave that is narrow and stands at the seam has a large
A too, but one that falls fast with n, as a jump does not:

    not periodic    A_4 > 4 I_4,  A_8 > A_4/2,  A_4 > 1e-5 RMS(u - mean),     for most of the trajectories

Measured on data of five equations at 0, .1, 1 and 5 % noise: A_4/I_4 is at most 2.8 on a period and 5 to 1e5 on windows
of it, 2 to 14 at 5 % noise, where half of them are missed; A_8/A_4 is at least .96 on windows, and .08 for a soliton of
ten nodes at the seam, whose A_4/I_4 is 18. Rows of fewer than 32 nodes are interpolated from n/8 and n/4 on either side
instead; of fewer than 12 nothing can be told.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .data import Trajectories

APART = 4.0  # A over I
FALLING = 0.5  # A_8 over A_4: below, what misses is smooth
LEAST = 1e-5  # of u: a smaller jump may be rounding
NEAR = 4  # nodes on either side, of rows that are long enough; and twice as many
FEWEST = 12  # nodes of a row that can be told


def meets(data: Trajectories, axis: int = 0) -> bool:
    """Whether the right ends along an axis of space go over into the left ones, for half of the trajectories or more.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=2, seed=0, steps=40, keep=20, end=20.0, resolution=128)
    >>> meets(data)
    True
    >>> from dataclasses import replace
    >>> meets(replace(data, x=data.x[:100], u=data.u[..., :100]))  # a window
    False
    """
    return not any(joined(u.movedim(axis + 2, -1).flatten(1, -2)) is False for u in map(data.field, data.fields))


def tears(data: Trajectories) -> list[str]:
    """Names of the axes that are said to be periodic, and whose ends do not meet."""
    return [a.name for i, a in enumerate(data.axes) if a.period is not None and not meets(data, i)]


def joined(u: Tensor) -> bool | None:
    """The same of rows ``[S, rows, n]`` along one axis; ``None`` where they are too short to tell."""
    n = u.shape[-1]
    if n < FEWEST:
        return None
    near = min(NEAR, n // 8)
    across, inside, again = (
        missed(_seam(u, near), near),
        missed(u, near),
        missed(_seam(u, 2 * near), 2 * near),
    )
    size = (u - u.mean((1, 2), keepdim=True)).square().mean((1, 2)).sqrt()
    apart = (across > APART * inside) & (again > FALLING * across) & (across > LEAST * size)
    return 2 * int(apart.sum()) <= len(u)


def doubled(u: Tensor) -> bool:
    """Whether rows ``[S, rows, n]`` whose last node equals the first are smoother across the seam without it.

    A grid with both ends of the period has the node twice. On centres of cells the ends are equal, too, where data are
    even about them, and both nodes are meant.
    """
    n = min(NEAR, (u.shape[-1] - 2) // 2)
    return n > 0 and float(missed(_seam(u[..., :-1], n), n).norm()) <= float(missed(_seam(u, n), n).norm())


def _seam(u: Tensor, n: int) -> Tensor:
    """The nodes from which the two next to the seam are interpolated, with themselves."""
    return torch.cat([u[..., -n - 1 :], u[..., : n + 1]], -1)


def missed(u: Tensor, n: int) -> Tensor:
    """RMS of what interpolation from n nodes on either side misses, at the nodes that have them, ``[S]``."""
    inner = u.shape[-1] - 2 * n
    miss = u[..., n:-n].clone()
    for k in range(1, n + 1):  # the even polynomial through the nodes
        weight = (-1) ** (k + 1) * math.factorial(n) ** 2 / (math.factorial(n - k) * math.factorial(n + k))
        miss -= weight * (u[..., n - k :][..., :inner] + u[..., n + k :][..., :inner])
    return miss.square().mean((1, 2)).sqrt()
