"""Terms that are absent from the data: right data pass, and the term is named as one that they do not test.

All solutions are in closed form, with a term of their equation that is 0 everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from symflow.pde import Equation, Trajectories, audit_data
from symflow.pde.gate import gate
from symflow.pde.laws.fits import fit
from symflow.pde.trajectories import Axis
from symflow.pde.weak import WeakRows

T = torch.linspace(0, 1, 81, dtype=torch.float64)[:, None]
WINDOW = torch.linspace(0, 1, 65, dtype=torch.float64)
CIRCLE = 2 * math.pi * torch.arange(64, dtype=torch.float64) / 64
EACH = torch.linspace(-1, 2, 8, dtype=torch.float64)[:, None, None]
SYSTEM = (
    "u_t = 0.2*u_xx + u - u*(u**2 + v**2) + v*(u**2 + v**2); v_t = 0.2*v_xx + v - v*(u**2 + v**2) - u*(u**2 + v**2)"
)
LEVELS = pytest.mark.parametrize("level", [0.0, 1e-3])

Solution = Callable[[Tensor, Tensor, Tensor], Tensor]

STRAIGHT: dict[str, tuple[str, Solution, str]] = {
    "Burgers": ("u_t + u*u_x = 0.1*u_xx", lambda a, t, x: (x + a) / (1 + t), "u_xx"),
    "advection and diffusion": ("u_t + u_x = 0.1*u_xx", lambda a, t, x: a * (x - t) + 1, "u_xx"),
    "decay": ("u_t = 0.1*u_xx - u", lambda a, t, x: (x + a) * torch.exp(-t), "u_xx"),
    "potential Burgers": ("u_t = u_xx + u_x**2", lambda a, t, x: a * x + a**2 * t, "u_xx"),
}


def straight(name: str) -> tuple[Trajectories, str]:
    text, solution, absent = STRAIGHT[name]
    u = solution(EACH, T, WINDOW)
    return Trajectories(Equation(text), WINDOW, T[:, 0], u, axes=(Axis("x", WINDOW),)), absent


def noisy(u: Tensor, level: float) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return u + level * u.std() * torch.randn(u.shape, dtype=torch.float64, generator=random)


@pytest.mark.parametrize("name", STRAIGHT)
@pytest.mark.parametrize("digits", [torch.float64, torch.float32])
def test_straight_lines_do_not_refute_a_second_derivative(name, digits):
    data, absent = straight(name)
    found = gate(Trajectories(data.equation, data.x, data.t, data.u.to(digits).double(), axes=data.axes))
    assert found.verdict == "solves", found
    assert absent in found.not_tested
    (claim,) = [c for c in found.coefficients if c.term == absent]
    assert claim.estimate is None
    assert not claim.tested


@pytest.mark.parametrize("name", [n for n in STRAIGHT if n != "potential Burgers"])
def test_nor_where_there_is_noise(name):
    """Its rows are then noise alone, of which a quotient with other noise is no coefficient."""
    data, absent = straight(name)
    found = gate(Trajectories(data.equation, data.x, data.t, noisy(data.u, 1e-3), axes=data.axes))
    assert found.verdict == "solves", found
    assert absent in found.not_tested


def test_a_third_derivative_of_straight_lines():
    u = (WINDOW + EACH) / (1 + 6 * T)
    data = Trajectories(Equation("u_t + 6*u*u_x + u_xxx = 0"), WINDOW, T[:, 0], u, axes=(Axis("x", WINDOW),))
    found = gate(data)
    assert found.verdict == "solves", found
    assert found.not_tested == ("u_xxx",)


@LEVELS
def test_what_is_the_same_everywhere_in_space(level):
    """The logistic equation alone, on a periodic line."""
    u = noisy(1 / (1 + torch.exp(EACH - T)) + 0 * CIRCLE, level)
    text = "u_t = 0.1*u_xx + u*(1 - u)"
    found = gate(Trajectories(Equation(text), CIRCLE, T[:, 0], u, axes=(Axis("x", CIRCLE, 2 * math.pi),)))
    assert found.verdict == "solves", found
    assert "u_xx" in found.not_tested
    assert {c.term for c in found.coefficients if c.tested} == {"u", "u**2"}


@LEVELS
def test_a_system_that_turns_at_once(level):
    u = torch.stack([torch.cos(EACH - T) + 0 * CIRCLE, torch.sin(EACH - T) + 0 * CIRCLE], -1)
    axes = (Axis("x", CIRCLE, 2 * math.pi),)
    data = Trajectories(Equation(SYSTEM), CIRCLE, T[:, 0], noisy(u, level), fields=("u", "v"), axes=axes)
    found = gate(data)
    assert found.verdict == "solves", found
    assert {"u_xx in the equation of u_t", "v_xx in the equation of v_t"} <= {*found.not_tested}


@LEVELS
def test_a_flow_in_layers(level):
    """Of Navier and Stokes: ``w_t = nu w_yy``, and both products are 0."""
    t, x = torch.linspace(0, 2, 41, dtype=torch.float64), CIRCLE[::2]
    size = torch.linspace(0.5, 2, 4, dtype=torch.float64).reshape(-1, 1, 1, 1)
    one, two = (torch.cos(n * x) * torch.exp(-0.05 * n**2 * t[:, None, None]) + 0 * x[:, None] for n in (1, 2))
    w, q = size * one + size**2 * two, size * one + size**2 * two / 4
    axes = tuple(Axis(name, x, 2 * math.pi) for name in "xy")
    text = "w_t + q_y*w_x - q_x*w_y = 0.05*(w_xx + w_yy); q_xx + q_yy + w = 0"
    u = noisy(torch.stack([w, q], -1), level)
    found = gate(Trajectories(Equation(text), x, t, u, fields=("w", "q"), axes=axes))
    assert found.verdict == "solves", found
    absent = {f"{m} in the equation of w_t" for m in ("q_x*w_y", "q_y*w_x", "w_xx")}
    assert absent <= {*found.not_tested}
    assert "w_yy in the equation of w_t" not in found.not_tested


def test_what_is_there_is_still_refuted():
    """Straight lines with a wrong factor before u u_x, and parabolas with a wrong one before u_xx."""
    data, _ = straight("Burgers")
    wrong = Equation("u_t + 1.02*u*u_x = 0.1*u_xx")
    found = gate(Trajectories(wrong, data.x, data.t, data.u, axes=data.axes))
    assert found.verdict == "refuted"
    assert [c.term for c in found.coefficients if c.refused] == ["u*u_x"]
    bent = EACH * (WINDOW**2 + 0.2 * T) + 1
    wrong = Equation("u_t = 0.102*u_xx")
    assert gate(Trajectories(wrong, data.x, data.t, bent, axes=data.axes)).verdict == "refuted"


def test_the_audit_says_it():
    data, _ = straight("Burgers")
    audit = audit_data(data)
    assert audit.verdict == "solves", audit
    assert "not tested to 1 %: u_xx" in str(audit)


def test_columns_of_noise_have_no_coefficient():
    """Of 100 draws, each with other noise in the noise rows: a law, not a case."""
    random = torch.Generator().manual_seed(0)
    places = (8, 20, 10)
    for _ in range(100):
        y, z, y_other, z_other = torch.randn(4, *places, dtype=torch.float64, generator=random)
        plain, noise = torch.stack([1e-3 * y, z], -1), torch.stack([1e-3 * y_other, z_other], -1)
        axes = tuple(torch.arange(n, dtype=torch.float64) for n in places[1:])
        everywhere = torch.ones(places, dtype=torch.bool)
        rows = WeakRows(plain, noise, (), everywhere, axes, torch.zeros(8, 1), (4, 4), torch.ones(8))
        assert float(fit(rows, torch.ones(1, dtype=torch.float64)).spread) == math.inf
