"""Solutions between walls against solutions in closed form, by mirror images and by Chebyshev's polynomials."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from command_line import symflow
from symflow.errors import UserError
from symflow.pde import Equation, audit_data, generate, load
from symflow.pde.generation.chebyshev import BetweenWalls, from_uniform
from symflow.pde.generation.stepping import solve_each
from symflow.pde.generation.wall_generation import mirrored
from symflow.pde.trajectories.walls import walls

N, LENGTH, END, NU = 65, 2.0, 0.6, 0.05
X, TIMES = np.linspace(0.0, LENGTH, N), np.linspace(0.0, END, 13)
K = np.pi / LENGTH
HEAT = Equation("u_t = nu*u_xx", nu=NU)
BURGERS = Equation("u_t + u*u_x = nu*u_xx", nu=NU)


def cole_hopf(t, x):
    """``u = -2 nu (log p)_x`` with p a sum of cosines that solves the heat equation: 0 at both walls."""
    modes = [(1.0, 0), (0.5, 1), (-0.2, 3)]
    p = sum(a * np.exp(-NU * (m * K) ** 2 * t) * np.cos(m * K * x) for a, m in modes)
    slope = -sum(a * m * K * np.exp(-NU * (m * K) ** 2 * t) * np.sin(m * K * x) for a, m in modes)
    return -2 * NU * slope / p


def heat_of(function):
    """Two modes of the heat equation, sines or cosines."""
    return lambda t, x: sum(
        a * np.exp(-NU * (m * K) ** 2 * t) * function(m * K * x) for a, m in ((1.0, 1), (-0.4, 2), (0.2, 5))
    )


CASES = [
    (HEAT, "dirichlet", heat_of(np.sin)),
    (HEAT, "neumann", heat_of(np.cos)),
    (BURGERS, "dirichlet", cole_hopf),
    (Equation("u_tt = u_xx"), "neumann", lambda t, x: np.cos(K * t) * np.cos(K * x)),
    (Equation("u_tt = u_xx"), "dirichlet", lambda t, x: np.cos(2 * K * t) * np.sin(2 * K * x)),
]


@pytest.mark.parametrize("forced", [False, True], ids=["mirror", "chebyshev"])
@pytest.mark.parametrize(
    ("equation", "kind", "exact"), CASES, ids=lambda v: getattr(v, "text", v) if not callable(v) else ""
)
def test_solutions_in_closed_form(equation, kind, exact, forced):
    wanted = exact(TIMES[:, None], X)
    start = exact(0.0, X)[None, None]
    if "tt" in equation.text:
        start = np.concatenate([start, 0 * start], 1)
    if forced:
        stepper = BetweenWalls(equation, LENGTH, N, {"u": kind})
        found = solve_each(stepper, from_uniform(start), TIMES, tolerance=1e-10, workers=1)[..., 0]
    else:
        data = generate(equation, 1, initial=start, length=LENGTH, end=END, steps=13, resolution=N, boundary=kind)
        assert data.settings["method"] == "mirror images"
        assert data.axes[0].period is None
        np.testing.assert_allclose(data.x.numpy(), X)
        assert {(c.order, c.value) for c in walls(data)} == {(int(kind == "neumann"), 0.0)}
        found = data.u.numpy()
    assert np.abs(found - wanted).max() < 2e-8


def test_what_has_no_mirror_image_is_solved_by_chebyshev():
    """``exp(x/2 - t/4)`` takes the drift away."""
    drift = Equation("u_t + u_x = u_xx")
    assert not mirrored(drift, {"u": "dirichlet"})

    def exact(t, x):
        return np.exp(x / 2 - t / 4 - K**2 * t) * np.sin(K * x)

    data = generate(
        drift, 1, initial=exact(0.0, X)[None], length=LENGTH, end=END, steps=13, resolution=N, boundary="dirichlet"
    )
    assert data.settings["method"] == "Chebyshev"
    assert float((data.u[0] - torch.from_numpy(exact(TIMES[:, None], X))).abs().max()) < 1e-8


def test_values_at_the_walls_are_kept():
    """``a + b x`` and a mode that decays; two trajectories keep different values."""

    def exact(t, x, a, b):
        return a + b * x + np.exp(-NU * K**2 * t) * np.sin(K * x)

    cases = [(1.0, -2.0), (0.0, 0.5)]
    start = np.stack([exact(0.0, X, *case) for case in cases])
    data = generate(HEAT, 2, initial=start, length=LENGTH, end=END, steps=13, resolution=N, boundary="dirichlet")
    for u, case in zip(data.u, cases, strict=True):
        assert float((u - torch.from_numpy(exact(TIMES[:, None], X, *case))).abs().max()) < 1e-8
        assert torch.equal(u[:, [0, -1]], u[:1, [0, -1]].expand(13, 2))


def test_two_ways_to_the_same_solution():
    """Fisher's equation has an even mirror image: cosines and Chebyshev's polynomials share no code but the steps."""
    fisher = Equation("u_t = 0.1*u_xx + u*(1 - u)")
    start = 0.4 + 0.2 * np.cos(K * X) - 0.1 * np.cos(3 * K * X)
    data = generate(fisher, 1, initial=start[None], length=LENGTH, end=2.0, steps=9, resolution=N, boundary="neumann")
    assert data.settings["method"] == "mirror images"
    stepper = BetweenWalls(fisher, LENGTH, N, {"u": "neumann"})
    other = solve_each(stepper, from_uniform(start[None, None]), np.linspace(0, 2, 9), workers=1)[..., 0]
    assert float((data.u - torch.from_numpy(other)).abs().max()) < 1e-7


def test_the_error_follows_the_tolerance():
    errors = []
    for tolerance in (1e-5, 1e-8):
        stepper = BetweenWalls(BURGERS, LENGTH, N, {"u": "dirichlet"})
        start = from_uniform(cole_hopf(0.0, X)[None, None])
        found = solve_each(stepper, start, TIMES, tolerance=tolerance, workers=1)[0, ..., 0]
        errors.append(np.abs(found - cole_hopf(TIMES[:, None], X)).max())
    assert errors[1] < errors[0] < 1e-4
    assert errors[1] < 1e-7


def test_walls_of_a_system_by_unknown():
    """Shallow water between walls: no flow through them, and the depth is even about them; mass is kept."""
    water = Equation("h_t + h*v_x + v*h_x = 0; v_t + v*v_x + h_x = 0")
    x = np.linspace(0.0, 1.0, 65)
    of = {"h": 1 + 0.05 * np.cos(np.pi * x), "v": 0 * x}
    start = np.stack([of[name] for name in water.space.dependent])[None]
    data = generate(
        water, 1, initial=start, length=1.0, end=0.5, steps=21, resolution=65, boundary="h=neumann,v=dirichlet"
    )
    assert data.settings["boundary"] == {"h": "neumann", "v": "dirichlet"}
    h = data.field("h")[0]
    mass = (h[:, 1:-1].sum(-1) + (h[:, 0] + h[:, -1]) / 2) / 64
    assert float((mass - mass[0]).abs().max()) < 1e-9
    assert {(c.unknown, c.order) for c in walls(data)} == {("h", 1), ("v", 0)}


def test_random_waves_keep_the_conditions_and_the_audit_passes():
    data = generate("burgers", 4, seed=1, length=3.0, end=1.0, steps=41, boundary="dirichlet", waves=2)
    again = generate("burgers", 2, seed=1, length=3.0, end=1.0, steps=41, boundary="dirichlet", waves=2)
    assert torch.equal(data.u[:2], again.u)
    assert float(data.u[..., [0, -1]].abs().max()) == 0.0
    assert audit_data(data).verdict == "solves"


@pytest.mark.parametrize(
    ("equation", "arguments", "sentence"),
    [
        ("u_t + u_xxx = 0", {}, "close equations with u_xx and no higher derivative, this one has order 3 in u"),
        ("u_t + u_x = 0", {}, "this one has order 1 in u"),
        ("u_t = u_xx + u_yy", {}, "walls need t and x and no other variable"),
        ("u_t = u_xx", {"boundary": "robin"}, "`boundary` must be periodic, dirichlet or neumann"),
        ("u_t = u_xx", {"boundary": "v=neumann"}, "each of the unknowns u, got v=neumann"),
        ("u_t = v_xx; v_t = u_xx", {"boundary": "u=neumann"}, "`boundary` must say what v keeps at the walls"),
        ("u_t = u_xx", {"length": None}, "`length` must be given"),
        ("u_t + u_x = u_xx", {"resolution": 2000}, "`resolution` must be at most 1024 between walls"),
        ("u_t + u_x + u_xx = 0", {}, "short waves grow without bound"),
        ("u_t + u_x = u_xx", {"initial": np.zeros((1, 20))}, r"`initial` must be finite with shape \[1, 1, 129\]"),
    ],
)
def test_what_cannot_be_solved_between_walls(equation, arguments, sentence):
    given = {"length": 1.0, "end": 0.1, "boundary": "dirichlet"} | arguments
    with pytest.raises(UserError, match=sentence):
        generate(equation, 1, **given)


def test_the_command(tmp_path):
    told = ("--length", "1", "--end", "0.1", "--boundary", "neumann", "--resolution", "33", "--steps", "21")
    answer = symflow("generate", "u_t = u_xx", "--samples", "4", *told, "--out", "heat.h5", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "4 x 21 x 33 values of u (trajectory, t, x)" in answer.stdout
    assert load(tmp_path / "heat.h5").axes[0].period is None
    answer = symflow("audit", "heat.h5", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout
