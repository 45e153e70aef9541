"""What is known of u on a periodic line only says so of data of another shape, in a sentence and with exit code 2."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from command_line import symflow
from symflow.pde import Equation, Trajectories, save
from symflow.pde.trajectories import Axis

T = np.linspace(0.0, 1.0, 41)
X = np.arange(32) * (2 * math.pi / 32)
WALL = np.linspace(0.0, math.pi, 33)


def plane() -> Trajectories:
    """Two unknowns over two axes: heat of each."""
    u, v = (
        np.stack([np.exp(-2 * T)[:, None, None] * np.sin(X[:, None] + s + shift) * np.cos(X) for s in range(3)])
        for shift in (0, 1)
    )
    axes = tuple(Axis(name, torch.from_numpy(X), 2 * math.pi) for name in "xy")
    equation = Equation("u_t = u_xx + u_yy; v_t = v_xx + v_yy")
    return Trajectories(equation, torch.zeros(0), T, np.stack([u, v], -1), fields=("u", "v"), axes=axes)


def wave() -> Trajectories:
    u = np.stack([np.sin(X - T[:, None] + s) + np.cos(2 * (X + T[:, None])) for s in range(3)])
    return Trajectories(Equation("u_tt = u_xx"), torch.from_numpy(X), torch.from_numpy(T), torch.from_numpy(u))


def orbit() -> Trajectories:
    u = np.stack([np.stack([a * np.cos(T), -a * np.sin(T)], -1) for a in (1.0, 1.5, 2.0)])
    return Trajectories(Equation("u_t = v; v_t = -u"), torch.zeros(0), T, u, fields=("u", "v"), axes=())


def walls() -> Trajectories:
    u = np.stack(
        [np.exp(-T)[:, None] * np.sin(WALL) + a * np.exp(-4 * T)[:, None] * np.sin(2 * WALL) for a in (1, 2, 3)]
    )
    return Trajectories(Equation("u_t = u_xx"), torch.zeros(0), T, u, axes=(Axis("x", torch.from_numpy(WALL)),))


SHAPES = {
    "plane": (plane, "got u, v over t, x (periodic), y (periodic)"),
    "wave": (wave, "needs an equation u_t = ... in x, t and u, got 'u_tt = u_xx'"),
    "orbit": (orbit, "got u, v over t"),
    "walls": (walls, "got u over t, x"),
}
OPERATOR = ("train-operator", "a.h5", "--trajectories", "1", "--seeds", "1", "--validation", "1", "--test", "1")


@pytest.mark.parametrize("shape", SHAPES)
def test_what_needs_a_line_says_what_it_got(shape, tmp_path):
    make, got = SHAPES[shape]
    save(make(), tmp_path / "a.h5")
    answer = symflow("discover", "a.h5", "--score", "local", "--trust", "--out", "run", cwd=tmp_path)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert "symflow: the score local needs" in answer.stderr.splitlines()[-1]
    assert got in answer.stderr.splitlines()[-1]


@pytest.mark.parametrize("shape", SHAPES)
def test_operators_take_periodic_axes(shape, tmp_path):
    make, got = SHAPES[shape]
    save(make(), tmp_path / "a.h5")
    answer = symflow(*OPERATOR, "--steps", "2", "--width", "4", "--copies", "2", "--out", "run", cwd=tmp_path)
    if shape in ("plane", "wave"):
        assert answer.returncode == 0, answer.stderr
        assert "20 times to 20 on 32 points in x" in answer.stdout
    else:
        assert answer.returncode == 2, answer.stdout + answer.stderr
        assert f"an operator needs periodic axes and all values, {got}" in answer.stderr.splitlines()[-1]


@pytest.mark.parametrize("shape", SHAPES)
def test_generators_must_be_in_the_variables_of_the_data(shape, tmp_path):
    save(SHAPES[shape][0](), tmp_path / "a.h5")
    answer = symflow("augment", "a.h5", "--generators", "kdv", "--unproved", "--out", "more.h5", cwd=tmp_path)
    if shape == "orbit":
        assert answer.returncode == 2, answer.stdout + answer.stderr
        said = "'kdv' must be in the variables and unknowns of the data, t, u, v, got x"
        assert said in answer.stderr.splitlines()[-1]
    else:
        assert answer.returncode == 0, answer.stderr
        assert "48 trajectories, 45 of them moved" in answer.stdout


@pytest.mark.parametrize("shape", SHAPES)
def test_describe_and_audit_take_any_shape(shape, tmp_path):
    make, _ = SHAPES[shape]
    save(make(), tmp_path / "a.h5")
    assert symflow("describe", "a.h5", cwd=tmp_path).returncode == 0
    answer = symflow("audit", "a.h5", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout
    assert "these data solve it" in answer.stdout


@pytest.mark.parametrize(
    ("shape", "said"),
    [("orbit", "u_t - v = 0; v_t + u = 0"), ("walls", "u_t - u_xx = 0")],
)
def test_equations_are_identified_where_none_is_given(shape, said, tmp_path):
    data = SHAPES[shape][0]()
    arrays = {name: data.field(name).numpy() for name in data.fields} | {a.name: a.nodes.numpy() for a in data.axes}
    np.savez(tmp_path / "a.npz", t=data.t.numpy(), **arrays)
    answer = symflow("audit", "a.npz", "--boundary", "open", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{said}, fitted to the first 2 of 3 trajectories" in answer.stdout
    assert "these data solve it" in answer.stdout


def test_discovery_goes_on_with_a_system_that_was_identified(tmp_path):
    data = orbit()
    np.savez(tmp_path / "a.npz", t=data.t.numpy(), u=data.field("u").numpy(), v=data.field("v").numpy())
    answer = symflow("discover", "a.npz", "--network", "none", cwd=tmp_path)
    assert answer.returncode in (0, 3), answer.stderr
    assert "the equation was not given: it was identified in the data" in answer.stdout
    assert "fitted to the first 2 of 3 trajectories" in answer.stdout
