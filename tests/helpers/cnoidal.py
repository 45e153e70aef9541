"""Periodic exact solutions of KdV, and coordinates in which they are of size 1."""

import numpy as np
import torch
from scipy.special import ellipj, ellipk

from symflow import Coordinates
from symflow.pde import Equation, Trajectories

KDV = Equation("u_t + u*u_x + u_xxx = 0")


def waves(points: int = 256, times: int = 33) -> Trajectories:
    """Cnoidal waves of KdV, periodic and exact: ``12 m k^2 cn^2(k (x - ct); m)`` with ``c = 4 k^2 (2m - 1)``."""
    x = np.arange(points) * (20.0 / points)
    t = np.linspace(0.0, 2.0, times)[:, None]
    u = []
    for m in (0.6, 0.9, 0.99):
        k = 2 * ellipk(m) / 20.0
        u.append(12 * m * k**2 * ellipj(k * (x - 4 * k**2 * (2 * m - 1) * t), m)[1] ** 2)
    return Trajectories(KDV, torch.from_numpy(x), torch.from_numpy(t[:, 0]), torch.from_numpy(np.stack(u)))


def axes(data: Trajectories) -> Coordinates:
    return Coordinates(
        ("x", "t", "u"),
        periods=(data.length, None, None),
        offset=(float(data.x[0]), float(data.t[0]), 0.0),
        scale=(data.length, float(data.t[-1] - data.t[0]), float(data.u.std()) / 0.29),
    )
