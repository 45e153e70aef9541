"""Jets of trajectories on a lattice of their grid: the points at which a defect is measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..equations import Jets
from ..trajectories import Trajectories
from ..weak import SIGNAL, Samples

POINTS = 16_000  # 4,000 random ones scatter a defect by up to 12 %
MOST_TRAJECTORIES = 32
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Lattice:
    """Points of the grid, a trajectory after the other, times before places.

    Attributes:
        jets: x-derivatives of the data there, the modes lost in noise left out.
        trajectory: ``[N]``, from 0 to S - 1.
        shape: ``(S, times, places)``, whose product is N.
    """

    jets: Jets
    trajectory: Tensor
    shape: tuple[int, int, int]

    def map(self, values: Tensor) -> Tensor:
        """Values ``[N]`` as ``[S, times, places]``."""
        return values.reshape(self.shape)


def lattice(data: Trajectories, order: int, sigma: float, points: int = POINTS) -> Lattice:
    """About so many points, evenly over trajectories, times and places; places are shifted from time to time.

    The shift, by multiples of the golden ratio, keeps features that move with a speed from being met at the same place
    over and over. Nothing is drawn at random.

    Args:
        data: trajectories.
        order: the highest x-derivative.
        sigma: standard deviation of the noise of u.
        points: how many.
    """
    which = torch.linspace(0, len(data) - 1, min(len(data), MOST_TRAJECTORIES)).round().long()
    each = max(points // len(which), 64)
    i = _even(len(data.t), max(int(each**0.5), 8))
    j = _even(len(data.x), max(each // len(i), 8))
    stride = int(j[1] - j[0])
    shift = (torch.arange(len(i), dtype=torch.float64) * GOLDEN).remainder(1.0) * stride
    j = (j + shift.long()[:, None]).remainder(len(data.x))  # [rows, columns]
    samples, u = Samples.of(data), []
    for s in which.tolist():  # every mode is judged by itself: a solution of even modes alone has gaps
        v = samples.smoothed(s, 0, sigma, SIGNAL)[i]
        derivatives = torch.stack([samples.along(v, 1, m) for m in range(order + 1)])
        u.append(derivatives.gather(2, j.expand(order + 1, -1, -1)).flatten(1))
    shape = (len(which), *j.shape)
    x, t = data.x[j].expand(shape), data.t[i][:, None].expand(shape)
    trajectory = torch.arange(len(which)).repeat_interleave(j.numel())
    return Lattice(Jets(x.reshape(-1), t.reshape(-1), torch.cat(u, 1)), trajectory, shape)


def _even(nodes: int, wanted: int) -> Tensor:
    """Nodes at one distance from each other, about so many: any other choice weighs some more than others."""
    stride = max(-(-nodes // wanted), 1)
    return torch.arange((nodes - 1) % stride // 2, nodes, stride)
