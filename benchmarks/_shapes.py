"""Data of every shape with the equation that they solve: systems, boxes, walls, second order in time, orbits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow import pde
from symflow.pde import Equation, Trajectories
from symflow.pde.generation.boxes import random_plane_waves
from symflow.pde.trajectories import Axis

TURN = 2 * math.pi


@dataclass(frozen=True)
class Shape:
    """One kind of data.

    Attributes:
        text: the equation.
        make: trajectories by number and seed.
        due: symmetries that keep the periods and walls, as the literature has them, members of families left out.
        families: how many of these there are.
    """

    text: str
    make: Callable[[int, int], Trajectories]
    due: int
    families: int = 0


def solved(text: str, samples: int, seed: int, *, still: str = "", **settings: Any) -> Trajectories:
    """By the package's solvers; `still` is an unknown that is 1 beside its waves."""
    if not still:
        return pde.generate(text, samples, seed, **settings)
    equation = Equation(text)
    unknowns, axes = equation.space.dependent, len(equation.space.independent) - 1
    points = (settings["resolution"],) * axes
    waves = {k: settings.pop(k) for k in ("amplitude", "wavenumbers") if k in settings}
    start = np.array(random_plane_waves(samples, seed, points, len(unknowns), **({"waves": 4} | waves)))
    start[:, unknowns.index(still)] += 1.0
    return pde.generate(text, samples, seed, initial=start, **settings)


def kepler(samples: int, seed: int) -> Trajectories:
    """Ellipses in the plane, by the series of Kepler's equation: nothing is integrated.

    ``p = a (cos E - e), q = a sqrt(1 - e^2) sin E, E - e sin E = (t - t_0) a^(-3/2)``, turned by an angle.
    """
    random = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 8, 200, dtype=torch.float64)
    a, e, first, angle = (
        low + (high - low) * torch.rand(samples, 1, generator=random, dtype=torch.float64)
        for low, high in ((0.8, 1.2), (0.1, 0.4), (0.0, TURN), (0.0, TURN))
    )
    mean = t * a**-1.5 + first
    E = mean.clone()
    for _ in range(60):
        E = E - (E - e * torch.sin(E) - mean) / (1 - e * torch.cos(E))
    x, y = a * (torch.cos(E) - e), a * (1 - e**2).sqrt() * torch.sin(E)
    orbits = torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], -1)
    return Trajectories(Equation(KEPLER), torch.zeros(0), t, orbits, fields=("p", "q"), axes=())


def between_walls(
    text: str, profile: Callable[[Tensor, Tensor, Tensor], Tensor], samples: int, seed: int
) -> Trajectories:
    """On [0, 1], from random coefficients ``[samples, 4]`` of cosines."""
    random = torch.Generator().manual_seed(seed)
    x, t = torch.linspace(0, 1, 65, dtype=torch.float64), torch.linspace(0, 1, 81, dtype=torch.float64)
    c = 2 * torch.rand(samples, 4, generator=random, dtype=torch.float64) - 1
    return Trajectories(Equation(text), x, t, profile(c, t, x), axes=(Axis("x", x),))


def cosines(c: Tensor, t: Tensor, x: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """``sum c_k exp(-rate (k pi)^2 t) cos(k pi x)``, k from 1, and its slope, ``[samples, T, X]``."""
    k = math.pi * torch.arange(1, c.shape[1] + 1, dtype=torch.float64)
    size = c[:, None, :, None] * torch.exp(-rate * k**2 * t[:, None])[None, :, :, None]
    return (size * torch.cos(k[:, None] * x)).sum(2), (-k[:, None] * size * torch.sin(k[:, None] * x)).sum(2)


def burgers(c: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """``-2 nu theta_x/theta`` with nu = .1 and theta a solution of the heat equation (Hopf, Cole): 0 at both walls."""
    theta, slope = cosines(0.2 * c, t, x, 0.1)
    return -0.2 * slope / (1 + theta)


def heat(c: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """With the slope 0 at both walls."""
    return cosines(c, t, x, 0.1)[0]


KEPLER = "p_tt = -p/(p**2 + q**2)**(3/2); q_tt = -q/(p**2 + q**2)**(3/2)"
LAMBDA_OMEGA = (
    "u_t = 0.2*(u_xx + u_yy) + u - u*(u**2 + v**2) + v*(u**2 + v**2); "
    "v_t = 0.2*(v_xx + v_yy) + v - v*(u**2 + v**2) - u*(u**2 + v**2)"
)
GRAY_SCOTT = "u_t = 0.02*(u_xx + u_yy) - u*v**2 + 0.04*(1 - u); v_t = 0.01*(v_xx + v_yy) + u*v**2 - 0.1*v"
VORTICITY = "w_t + q_y*w_x - q_x*w_y = 0.05*(w_xx + w_yy); q_xx + q_yy + w = 0"
KURAMOTO = "u_t + u_x**2/2 + u_y**2/2 + u_xx + u_yy + u_xxxx + 2*u_xxyy + u_yyyy = 0"
SHALLOW = "h_t + Derivative(h*v, x) = 0; v_t + v*v_x + h_x = 0"
SHALLOW_2D = (
    "h_t + Derivative(h*u, x) + Derivative(h*v, y) = 0; u_t + u*u_x + v*u_y + h_x = 0; v_t + u*v_x + v*v_y + h_y = 0"
)
BOX = {"length": TURN, "resolution": 32, "steps": 61}


def _by_solver(text: str, due: int, families: int = 0, **settings: Any) -> Shape:
    return Shape(text, lambda samples, seed: solved(text, samples, seed, **settings), due, families)


SHAPES = {
    "NLS": _by_solver("i*psi_t + psi_xx + 2*|psi|**2*psi = 0", 3, end=1.0, length=2 * TURN, amplitude=0.4),
    "Gray-Scott": _by_solver(GRAY_SCOTT, 3, end=4.0, amplitude=0.2, wavenumbers=(0, 1), **{**BOX, "resolution": 48}),
    "lambda-omega": _by_solver(LAMBDA_OMEGA, 4, end=5.0, amplitude=0.3, wavenumbers=(0, 1), **BOX),
    "Navier-Stokes": _by_solver(VORTICITY, 3, 1, end=4.0, **BOX),
    "2-D KS": _by_solver(KURAMOTO, 4, end=4.0, length=4 * TURN, resolution=48, steps=61),
    "Klein-Gordon": _by_solver("u_tt = u_xx - u - u**3", 2, end=6.0, length=TURN),
    "2-D wave": _by_solver("u_tt = u_xx + u_yy", 4, 1, end=4.0, **BOX),
    "shallow water": _by_solver(
        SHALLOW, 2, 1, still="h", end=0.4, length=TURN, resolution=256, steps=61, amplitude=0.1, wavenumbers=(0, 1, 2)
    ),
    "2-D shallow water": _by_solver(SHALLOW_2D, 6, still="h", end=0.4, amplitude=0.1, wavenumbers=(0, 1, 2), **BOX),
    "Burgers, u = 0": Shape("u_t + u*u_x = 0.1*u_xx", partial(between_walls, "u_t + u*u_x = 0.1*u_xx", burgers), 1),
    "heat, u_x = 0": Shape("u_t = 0.1*u_xx", partial(between_walls, "u_t = 0.1*u_xx", heat), 2, 1),
    "Lotka-Volterra": _by_solver("u_t = 2/3*u - 4/3*u*v; v_t = u*v - v", 1, 1, end=12.0, steps=200),
    "Kepler": Shape(KEPLER, kepler, 3),
}
