"""Derivatives of data of any shape, beside functions that are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from symflow import UserError
from symflow.pde import Equation, Trajectories
from symflow.pde.trajectories import Axis, node_jets, without_jets

TURN = 2 * math.pi


def uniform(first: float, last: float, n: int) -> Tensor:
    return torch.linspace(first, last, n, dtype=torch.float64)


def box(missing: bool = False) -> Trajectories:
    """``exp(sin x) cos(2 y + t)`` and twice its square, x periodic and y on Chebyshev's nodes."""
    x = torch.arange(48, dtype=torch.float64) * (TURN / 48)
    y = 1 - torch.cos(math.pi * torch.arange(21, dtype=torch.float64) / 20)
    t = uniform(0, 1.5, 41)
    T, X, Y = torch.meshgrid(t, x, y, indexing="ij")
    u = torch.sin(X).exp() * torch.cos(2 * Y + T)
    return Trajectories(
        Equation("u_t = u_xx + u_yy; v_t = v_xx + v_yy"),
        torch.zeros(0),
        t,
        torch.stack([u, 2 * u**2], -1)[None].repeat(3, 1, 1, 1, 1),
        fields=("u", "v"),
        axes=(Axis("x", x, TURN), Axis("y", y)),
        missing=torch.rand(3, 41, 48, 21) < 0.01 if missing else None,
    )


def test_derivatives_are_those_of_the_functions() -> None:
    found = node_jets(box(), [(1, 0, 0), (0, 2, 0), (1, 1, 1), (2, 0, 0), (0, 0, 2)], 700, 1)
    at = {s.name: v for s, v in found.sample.values.items()}
    error = {s.name: e for s, e in found.error.items()}
    x, y, t = at["x"], at["y"], at["t"]
    a, b, c = torch.sin(x).exp(), torch.cos(2 * y + t), torch.sin(2 * y + t)
    exact = {
        "u": a * b,
        "u_x": torch.cos(x) * a * b,
        "u_yy": -4 * a * b,
        "u_xyt": -2 * torch.cos(x) * a * b,
        "u_xx": (torch.cos(x) ** 2 - torch.sin(x)) * a * b,
        "u_tt": -a * b,
        "v_x": 4 * torch.cos(x) * a**2 * b**2,
        "v_tt": 4 * a**2 * (c**2 - b**2),
    }
    for name, value in exact.items():
        miss = (at[name] - value).abs()
        assert float(miss.max()) < 1e-5 * float(value.abs().max())
        assert bool((miss <= 4 * error[name] + 1e-12).all())
    assert len(torch.unique(torch.stack([x, y, t], 1), dim=0)) > 600


def test_points_depend_on_the_seed_alone() -> None:
    first, again, other = (node_jets(box(), [(1, 0, 0)], 50, seed).sample.points for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("data", "index", "sentence"),
    [
        (box(missing=True), (1, 0, 0), "some of the values are missing"),
        (box(), (0, 7, 0), "derivatives of order 7 in y, where they end at 6"),
        (box(), (9, 0, 0), "derivatives of order 9 in x, where they end at 8"),
    ],
)
def test_what_has_no_derivatives_is_a_sentence(data: Trajectories, index: tuple[int, ...], sentence: str) -> None:
    assert sentence in without_jets(data, [index])
    with pytest.raises(UserError, match=sentence):
        node_jets(data, [index], 10, 0)


def test_a_few_times_have_no_derivatives() -> None:
    t = uniform(0, 1, 5)
    orbits = Trajectories(Equation("u_t = u"), torch.zeros(0), t, t.exp()[None], axes=())
    assert "5 nodes along t, where derivatives need 9" in without_jets(orbits, [(1,)])


def test_an_orbit_is_differentiated_once_however_many_jets() -> None:
    """Of as many times as there are; a column of each jet, and all times by all times, took gigabytes."""
    t = uniform(0, 60, 12_000)
    orbits = Trajectories(
        Equation("u_t - v = 0; v_t + u = 0"),
        torch.zeros(0),
        t,
        torch.stack([t.sin(), t.cos()], -1)[None].repeat(2, 1, 1),
        fields=("u", "v"),
        axes=(),
    )
    at = {s.name: v for s, v in node_jets(orbits, [(1,), (2,)], 1000, 0).sample.values.items()}
    assert float((at["u_t"] - at["t"].cos()).abs().max()) < 1e-9
    assert float((at["u_tt"] + at["t"].sin()).abs().max()) < 1e-5
