"""Systems on boxes and orbits against solutions in closed form, and the audit of what the solver makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from symflow.errors import UserError
from symflow.pde import Equation, audit_data, generate
from symflow.pde.generation.boxes import Box, solve_box
from symflow.pde.generation.stepping import solve_each
from symflow.pde.generation.systems import system_of

G = np.arange(32) * (2 * np.pi / 32)
X, Y = np.meshgrid(G, G, indexing="ij")
T = np.linspace(0, 1, 11)
BOX = (2 * np.pi, 2 * np.pi)


def test_a_wave_in_the_plane():
    start = np.stack([np.sin(X + 2 * Y), 0 * X])[None]
    u = solve_box(Equation("u_tt = u_xx + u_yy"), start, T, lengths=BOX, workers=1)
    exact = np.stack([np.sin(X + 2 * Y) * np.cos(5**0.5 * t) for t in T])
    assert np.abs(u[0, ..., 0] - exact).max() < 1e-13


def test_vortices_that_decay():
    """The streamfunction follows from a constraint."""
    equation = Equation("w_t + q_y*w_x - q_x*w_y = 0.05*(w_xx + w_yy); q_xx + q_yy + w = 0")
    w = np.cos(X) * np.cos(Y)
    u = solve_box(equation, w[None, None], T, lengths=BOX, workers=1)
    for name, size in (("w", 1.0), ("q", 0.5)):
        exact = np.stack([size * w * np.exp(-0.1 * t) for t in T])
        assert np.abs(u[0, ..., equation.space.dependent.index(name)] - exact).max() < 1e-13


def test_a_soliton_of_a_complex_unknown():
    x = np.arange(256) * (40 / 256) - 20
    psi = np.stack([np.exp(1j * t) / np.cosh(x) for t in T])
    start = np.stack([psi[0].real, psi[0].imag])[None]
    equation = Equation("i*psi_t + psi_xx + 2*|psi|**2*psi = 0")
    u = solve_box(equation, start, T, lengths=(40.0,), workers=1, tolerance=1e-10)
    assert np.abs(u[0, ..., 0] + 1j * u[0, ..., 1] - psi).max() < 1e-7


def test_an_orbit():
    data = generate("u_t = v; v_t = -u", 2, 0, end=6.0, steps=121)
    angle = data.t[:, None]
    first = data.u[:, :1]
    exact = torch.stack([first[..., 0] * angle.T.cos() + first[..., 1] * angle.T.sin()], -1)
    assert float((data.u[..., :1] - exact).abs().max()) < 1e-9
    assert data.axes == ()
    assert audit_data(data).verdict == "solves"


@pytest.mark.parametrize(
    ("equation", "wrong", "settings"),
    [
        ("u_tt = u_xx + u_yy", "u_tt = u_xx + 1.02*u_yy", {"end": 4.0, "resolution": 32}),
        ("u_tt = u_xx - u - u**3", "u_tt = u_xx - u - 1.02*u**3", {"end": 6.0, "resolution": 64}),
        (
            "u_t = 0.2*(u_xx + u_yy) + u - u*(u**2 + v**2) + v*(u**2 + v**2); "
            "v_t = 0.2*(v_xx + v_yy) + v - v*(u**2 + v**2) - u*(u**2 + v**2)",
            "u_t = 0.2*(u_xx + u_yy) + u - u*(u**2 + v**2) + v*(u**2 + v**2); "
            "v_t = 0.204*(v_xx + v_yy) + v - v*(u**2 + v**2) - u*(u**2 + v**2)",
            {"end": 5.0, "resolution": 32},
        ),
        ("u_t = 2*u - u*v; v_t = u*v - v", "u_t = 2*u - u*v; v_t = 1.02*u*v - v", {"end": 8.0, "steps": 201}),
    ],
)
def test_the_audit_passes_what_is_right_and_refuses_what_is_not(equation, wrong, settings):
    more = {} if "xx" not in equation else {"length": 2 * np.pi}
    data = generate(equation, 4, 0, **settings, **more)
    found = audit_data(data)
    assert found.verdict == "solves", found
    refused = audit_data(replace(data, equation=Equation(wrong)))
    assert refused.verdict == "refuted"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("u_tt = -u_xx", "short waves grow without bound"),
        ("u_ttt = u_x", "it has 3 derivatives in t, 2 at most are known"),
        ("u_t - u_xxt + u_x = 0", "mixes the last derivative in t with others"),
        ("u_xx + u_yy = 0", "it has no derivative in t"),
    ],
)
def test_what_cannot_be_solved(text, sentence):
    with pytest.raises(UserError) as caught:
        generate(text, 1, 0, end=1.0, length=1.0)
    assert sentence in str(caught.value)


def test_state_and_linear_part():
    system = system_of(Equation("u_t = u_xx + v; v_t = v*u_x"))
    assert system.state == ((0, 0), (1, 0))
    assert system.linear == {(0, 0): {(2,): 1.0}, (0, 1): {(0,): 1.0}}


def test_equal_output_intervals_share_their_weights():
    """Times that are equal but for rounding are no reason for new matrices; others are."""
    equation = Equation("u_t = u_xx + v**3; v_t = v_xx - u**3")
    start = 0.1 * np.stack([np.sin(X[:, 0]), np.cos(X[:, 0])])[None]
    box = Box(equation, BOX[:1], (32,))
    steps = []
    box.phi = lambda h: steps.append(h) or Box.phi(box, h)
    rounded = np.linspace(0, 0.7, 38)
    assert len(set(np.diff(rounded))) > 1
    u = solve_each(box, start, rounded, workers=1)
    assert len(steps) == len(set(steps)) < 8
    uneven = np.sort(np.append(rounded, 0.1234))
    other = solve_each(box, start, uneven, workers=1)
    assert np.abs(np.delete(other, np.flatnonzero(uneven == 0.1234), 1) - u).max() < 1e-8
