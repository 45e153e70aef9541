"""Intervals that hold the defects of fields at the law that noisy data obey, as `pde.laws.certificates` has them.

The law is ``F_theta = u_t + sum_j theta_j m_j = 0`` over a dictionary near the equation, and with probability
``1 - alpha`` theta lies in the region

    theta = estimate + L z + s d + s' d',    |z| <= 1,  |s|, |s'| <= 1,

of Hotelling's ellipsoid and the doubts of the grid. ``R_theta = R_0 + theta R_1 + theta R_2 theta`` at every point, so
with a the value at the estimate and J the slope there, on each trajectory by itself and with norms over its points

    | |R_theta| - |a| | <= e = |J L| + sum_d |J d| + |R_2(L, L)| + 2 sum_d |R_2(L, d)| + sum_dd' |R_2(d, d')|,
    | T_theta - T | <= e_T = sum_j h_j |m_j| + (sum_j h_j^2 |m_j|^2)^(1/2),
    (|a| - e)/((T + e_T) |V|) <= d_s <= (|a| + e)/((T - e_T) |V|),

h_j the half-widths of the region: the change of ``u_t = -theta m``, and that of the other terms. The median over s of
the lower ends and of the upper ends holds the median of the defects. The points carry noise, too, although the modes
lost in it are left out; what that does is measured by leaving out more, as if there were three and ten times the noise:
the interval spans all three, and by how much they differ on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.algebra import ClosedForm
from symflow.runs import one_thread

from ..laws import COMPONENTS, Prolonged, Region, jet_order, prolong
from ..symmetries import by_trajectory, displacement
from ..trajectories import Trajectories, data_coordinates
from .lattice import lattice
from .measure import middle

SMOOTHINGS = (1.0, 3.0, 10.0)  # times the noise: modes below are left out


@dataclass(frozen=True)
class Bounds:
    """What bounds the defects of any field.

    Attributes:
        region: of the laws that the data allow.
        scale: the units of |V|.
        prolonged: the terms of the law at points of the data, for each of the `SMOOTHINGS`.
        trajectory: ``[N]``, where each point lies.
    """

    region: Region
    scale: tuple[float, ...]
    prolonged: tuple[Prolonged, ...]
    trajectory: Tensor

    @staticmethod
    @one_thread()
    def of(data: Trajectories, region: Region, sigma: float) -> Bounds:
        """At a lattice of points of data whose noise has the standard deviation sigma."""
        order = jet_order(region.terms)
        points = [lattice(data, order, n * sigma) for n in SMOOTHINGS]
        prolonged = tuple(prolong(region.terms, p.jets) for p in points)
        return Bounds(region, data_coordinates(data, periodic=False).scale, prolonged, points[0].trajectory)

    @one_thread()
    def interval(self, form: ClosedForm) -> tuple[float, float]:
        """Its ends, for the median of the defects of a field over the trajectories."""
        low, high = zip(*(self._interval(p, form) for p in self.prolonged), strict=True)
        return max(2 * min(low) - max(low), 0.0), 2 * max(high) - min(high)

    def _interval(self, prolonged: Prolonged, form: ClosedForm) -> tuple[float, float]:
        region, theta = self.region, self.region.theta
        field = [form[key] for key in COMPONENTS]
        R = prolonged.polynomial(field)
        slope = R.derivative(theta)
        once = self._sizes(region.root.T @ slope) + self._each(region.doubt @ slope).sum(0)
        ways = torch.cat([region.root.T, region.doubt])  # [W, J]
        pairs = torch.einsum("ikn,ai,bk->abn", R.quadratic, ways, ways) if bool(R.quadratic.any()) else R.quadratic
        n = len(region.root)
        root, mixed, doubt = (self._each(p) for p in (pairs[:n, :n], pairs[n:, :n], pairs[n:, n:]))
        twice = root.square().sum((0, 1)).sqrt() + 2 * mixed.square().sum(1).sqrt().sum(0) + doubt.sum((0, 1))
        value, error = self._each(R(theta)), once + twice
        m = prolonged.rates[:, 0]  # [J, N]
        each = self._each(m)
        rate = self._each(theta @ m)
        T = (rate.square() + (theta[:, None] * each).square().sum(0)).sqrt()
        h = region.half[:, None]
        unsure = (h * each).sum(0) + (h * each).square().sum(0).sqrt()
        vectors = prolonged.vectors(field)
        size = displacement(vectors, self.scale)
        low = (value - error).clamp_min(0) / (T + unsure) / size
        high = (value + error) / (T - unsure).clamp_min(1e-300) / size
        return float(middle(low)), float(middle(high))

    def _each(self, values: Tensor) -> Tensor:
        """The RMS of each row over the points of each trajectory, ``[..., N]`` to ``[..., S]``."""
        return by_trajectory(values.square(), self.trajectory)

    def _sizes(self, rows: Tensor) -> Tensor:
        """The largest RMS of ``z rows`` with ``|z| <= 1`` on each trajectory, ``[K, N]`` to ``[S]``."""
        count = torch.bincount(self.trajectory)
        parts = rows.split(count.tolist(), dim=1)  # the points of a trajectory follow each other
        largest = [torch.linalg.eigvalsh(p @ p.T / p.shape[1])[-1] for p in parts]
        return torch.stack(largest).clamp_min(0).sqrt()
