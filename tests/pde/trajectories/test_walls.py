"""What data keep at the ends of an axis."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from symflow.pde import Equation, Trajectories
from symflow.pde.trajectories import Axis, boundary_of

t, x = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (31, 65))


def heat(rows: Tensor, text: str = "u_t = u_xx") -> Trajectories:
    return Trajectories(Equation(text), x, t, rows[None], axes=(Axis("x", x),))


def decaying(profile: Tensor, rate: float = 1.0) -> Tensor:
    return torch.exp(-rate * t)[:, None] * profile


@pytest.mark.parametrize(
    ("profile", "boundary"),
    [
        (torch.sin(2 * math.pi * x), "u(0, t) = 0; u(1, t) = 0"),
        (torch.cos(3 * math.pi * x), "u_x(0, t) = 0; u_x(1, t) = 0"),
        (torch.sin(math.pi * x / 2), "u(0, t) = 0; u_x(1, t) = 0"),
        (torch.sin(2 * x) + x**3, None),  # a window of something larger, though u(0, t) = 0
    ],
)
def test_conditions_are_read_from_the_values(profile: Tensor, boundary: str | None) -> None:
    found = boundary_of(heat(decaying(profile)))
    assert found == (boundary or "u(0, t) = 0")


def test_a_window_keeps_nothing() -> None:
    assert boundary_of(heat(decaying(torch.cos(x + 0.3)))) is None


def test_values_that_are_not_zero() -> None:
    assert boundary_of(heat(1.5 + decaying(torch.sin(math.pi * x)))) == "u(0, t) = 1.5; u(1, t) = 1.5"


def test_noise_hides_a_wall() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = decaying(torch.sin(math.pi * x))
    noise = 1e-3 * torch.randn(rows.shape, generator=generator, dtype=torch.float64)
    assert boundary_of(heat(rows + noise)) is None


def test_a_channel_has_walls_and_a_period() -> None:
    y = torch.arange(32, dtype=torch.float64) / 32
    T, X, Y = torch.meshgrid(t, x, y, indexing="ij")
    u = torch.exp(-T) * torch.sin(math.pi * X) * torch.cos(2 * math.pi * Y + 0.2)
    channel = Trajectories(Equation("u_t = u_xx + u_yy"), x, t, u[None], axes=(Axis("x", x), Axis("y", y, 1.0)))
    assert boundary_of(channel) == "u(0, y, t) = 0; u(1, y, t) = 0; u(x, y + 1, t) = u(x, y, t)"


def test_every_unknown_must_keep_something() -> None:
    u, v = decaying(torch.sin(math.pi * x)), decaying(torch.cos(x + 0.3))
    both = Trajectories(
        Equation("u_t = u_xx; v_t = v_xx"), x, t, torch.stack([u, v], -1)[None], fields=("u", "v"), axes=(Axis("x", x),)
    )
    assert boundary_of(both) is None
    assert boundary_of(replace(both, u=torch.stack([u, u], -1)[None])) is not None
