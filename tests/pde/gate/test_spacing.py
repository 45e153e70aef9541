"""Spacings that coefficients cannot test are those of scaling symmetries with u fixed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from symflow.pde import Equation, Trajectories
from symflow.pde.equations import JetSpace
from symflow.pde.gate import gate
from symflow.pde.gate.spacing import blind
from symflow.pde.laws.claims import Law
from symflow.pde.trajectories import Axis


def sentences(text: str) -> tuple[str, ...]:
    space = JetSpace(("t", "x"), ("u",))
    residual = Equation(text).residuals[0]
    known = {str(s): s for s in residual.free_symbols}
    places = {"u": (0, 0), "u_t": (1, 0), "u_tt": (2, 0), "u_x": (0, 1), "u_xx": (0, 2), "u_xxx": (0, 3)}
    at = {known[name]: space.symbol(0, index) for name, index in places.items() if name in known}
    axes = [Axis(name, torch.arange(9, dtype=torch.float64)) for name in "tx"]
    return blind([Law.of(residual.subs(at), space)], axes)


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("u_t + u*u_x + u_xxx = 0", ()),
        ("u_t + u*u_x = u_xx", ()),
        ("u_t = u_xx + u", ()),
        ("u_t = u_xx", ("of t that is wrong by a factor a**2 and of x by a factor a",)),
        ("u_t + u_xxx = 0", ("of t that is wrong by a factor a**3 and of x by a factor a",)),
        ("u_t + u*u_x = 0", ("of t that is wrong by a factor a and of x by a factor a",)),
        ("u_tt = u_xx", ("of t that is wrong by a factor a and of x by a factor a",)),
    ],
)
def test_blind_spacings(text, factors):
    assert sentences(text) == tuple(f"a spacing {f} would not show" for f in factors)


def test_a_blind_spacing_is_said_and_does_not_show():
    """Heat, ``exp(-k^2 t) cos(k x + p)``: t stretched by 1.21 and x by 1.1 solve it too."""
    random = torch.Generator().manual_seed(0)
    x = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
    t = torch.linspace(0, 0.5, 70, dtype=torch.float64)
    k = torch.arange(1, 5, dtype=torch.float64)
    a, phase = torch.randn(2, 6, 1, 1, 4, dtype=torch.float64, generator=random)
    u = (a * torch.exp(-(k**2) * t[:, None, None]) * torch.cos(k * x[:, None] + phase)).sum(-1)
    data = Trajectories(Equation("u_t = u_xx"), x, t, u)
    for stretched in (data, replace(data, t=1.21 * t, x=1.1 * x)):
        found = gate(stretched)
        assert found.verdict == "solves", found.sentence
        assert "a spacing of t that is wrong by a factor a**2 and of x by a factor a would not show" in found.sentence
    assert gate(replace(data, x=1.1 * x)).verdict == "refuted"


def test_spacings_that_explain_the_same_are_both_named():
    """Of 64 points and 65 times: the speed of a wave is off by 65/64 if either is counted wrong."""
    random = torch.Generator().manual_seed(0)
    x = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
    t = torch.linspace(0, 3, 65, dtype=torch.float64)
    k = torch.arange(1, 4, dtype=torch.float64)
    a, b, p, q = torch.randn(4, 6, 1, 1, 3, dtype=torch.float64, generator=random)
    X, T = x[:, None], t[:, None, None]
    u = (a * torch.cos(k * (X - T) + p) + b * torch.cos(k * (X + T) + q)).sum(-1)
    data = Trajectories(Equation("u_tt = u_xx"), x, t, u)
    assert gate(data).verdict == "solves"
    found = gate(replace(data, x=x * 64 / 65))
    assert found.verdict == "refuted"
    for axis, factor in (("x", "1.01562"), ("t", "0.984615")):
        assert f"the spacing of {axis} were {factor} times what is stored" in found.sentence
