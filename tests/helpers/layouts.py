"""Solutions to be written in the layouts of others, and what is to be read back."""

from __future__ import annotations

import numpy as np
import torch

from symflow.pde import Equation, Trajectories

TRAVEL = Equation("u_t + u_x = 0")
PLANE = Equation("u_t + u_x + u_y/2 = 0")
PAIR = Equation("u_t + u_x = 0; v_t - v_x = 0")
T = np.linspace(0.0, 1.0, 21)


def grid(n: int = 32, *, centred: bool = False) -> np.ndarray:
    """Uniform nodes over one period, the left ends or the centres of cells."""
    return (np.arange(n) + 0.5 * centred) * (2 * np.pi / n)


def wave(x: np.ndarray, t: np.ndarray = T, samples: int = 3, sign: float = 1.0) -> np.ndarray:
    """``[samples, T, X]``, solutions of ``u_t + sign u_x = 0``."""
    return np.stack([np.exp(np.sin(x - sign * t[:, None] + s)) for s in range(samples)])


def plane_wave(x: np.ndarray, y: np.ndarray, t: np.ndarray = T, samples: int = 3) -> np.ndarray:
    """``[samples, T, X, Y]``, solutions of `PLANE` that are not the same with x and y exchanged."""
    along = np.exp(np.sin(x - t[:, None]))[:, :, None]
    across = np.cos(2 * y - t[:, None])[:, None, :]
    return np.stack([along * across + s for s in range(samples)])


def holds(data: Trajectories, values: np.ndarray, periods: list[float | None]) -> None:
    """The values bit for bit, and which axes are periodic."""
    assert torch.equal(data.u, torch.from_numpy(np.asarray(values, np.float64)))
    for axis, period in zip(data.axes, periods, strict=True):
        assert (axis.period is None) == (period is None)
        if axis.period is not None:
            np.testing.assert_allclose(axis.period, period)
