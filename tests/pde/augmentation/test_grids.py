"""Trajectories of any shape moved along closed forms: against what the moved functions are, known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from symflow import Coordinates, SymbolicField, pde
from symflow.errors import UserError
from symflow.pde import Equation, Trajectories, TrajectoryAugment
from symflow.pde.augmentation import keeping_grid
from symflow.pde.augmentation.files import augment_file
from symflow.pde.augmentation.grids import Box, Interpolant, grid_of
from symflow.pde.augmentation.residuals import residuals
from symflow.pde.gate import gate
from symflow.pde.trajectories import Axis

TURN = 2 * math.pi
T = torch.linspace(0, 2, 41, dtype=torch.float64)
X = torch.arange(32, dtype=torch.float64) * (TURN / 32)
Y = torch.arange(24, dtype=torch.float64) * (TURN / 24)
WALL = -torch.cos(math.pi * torch.arange(33, dtype=torch.float64) / 32)  # of Chebyshev
SYSTEM = "u_t + u*u_x + v*u_y + h_x = 0; v_t + u*v_x + v*v_y + h_y = 0; h_t + h_x + h_y = 0"

Waves = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, ...]]


def waves(t: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Any smooth functions: how data are moved has nothing to do with what they solve."""
    return torch.sin(x - t + 0.3) * torch.cos(y), torch.cos(x + y) * torch.exp(-t / 3), 1 + torch.sin(2 * y + t) / 3


def in_box(functions: Waves = waves) -> Trajectories:
    t, x, y = torch.meshgrid(T, X, Y, indexing="ij")
    axes = (Axis("x", X, TURN), Axis("y", Y, TURN))
    values = torch.stack(functions(t, x, y), -1)[None]
    return Trajectories(Equation(SYSTEM), torch.zeros(0), T, values, fields=("u", "v", "h"), axes=axes)


def field_of(data: Trajectories, *forms: Mapping[str, str]) -> SymbolicField:
    return SymbolicField(Coordinates(data.equation.space.names), forms)


MOVES: list[tuple[dict[str, str], Callable[[float], Waves]]] = [
    ({"dx": "1"}, lambda a: lambda t, x, y: waves(t, x - a, y)),
    ({"dy": "1", "dt": "1"}, lambda a: lambda t, x, y: waves(t - a, x, y - a)),
    (
        {"dx": "t", "du": "1"},
        lambda a: (
            lambda t, x, y: tuple(w + shift for w, shift in zip(waves(t, x - a * t, y), (a, 0.0, 0.0), strict=True))
        ),
    ),
    (
        {"dt": "t", "du": "-u", "dv": "-v", "dh": "-2*h"},
        lambda a: (
            lambda t, x, y: tuple(
                w * math.exp(-power * a) for w, power in zip(waves(t * math.exp(-a), x, y), (1, 1, 2), strict=True)
            )
        ),
    ),
    (
        {"du": "v", "dv": "-u"},
        lambda a: (
            lambda t, x, y: (
                math.cos(a) * waves(t, x, y)[0] + math.sin(a) * waves(t, x, y)[1],
                math.cos(a) * waves(t, x, y)[1] - math.sin(a) * waves(t, x, y)[0],
                waves(t, x, y)[2],
            )
        ),
    ),
]


@pytest.mark.parametrize(("form", "moved"), MOVES, ids=[" ".join(form) for form, _ in MOVES])
@pytest.mark.parametrize("a", [0.21, -0.13])
def test_data_are_moved_as_the_functions_they_are_of(
    form: dict[str, str], moved: Callable[[float], Waves], a: float
) -> None:
    data = in_box()
    augment = TrajectoryAugment(field_of(data, form), data, 1.0, steps=8)
    values, valid = augment.move(data.u, torch.tensor([[a]], dtype=torch.float64))
    assert 0.8 * len(T) < int(valid.sum()) <= len(T)
    torch.testing.assert_close(values[valid], in_box(moved(a)).u[valid], rtol=0, atol=3e-6)


def test_there_and_back_is_nothing() -> None:
    data = in_box()
    forms = [form for form, _ in MOVES]
    augment = TrajectoryAugment(field_of(data, *forms), data, 0.2)
    weights = torch.tensor([[0.2, 0.15, 0.1, -0.1, 0.3]], dtype=torch.float64)
    once, kept = augment.move(data.u, weights)
    assert 0 < int((~kept).sum()) < 10
    back, valid = augment.move(once, -weights)
    deep = slice(10, 31)  # far from rows that have no source
    assert bool(valid[0, deep].all())
    torch.testing.assert_close(back[:, deep], data.u[:, deep], rtol=0, atol=3e-5)


def test_on_a_line_it_is_what_resampling_finds() -> None:
    data = pde.generate("kdv", 2, seed=0, end=5.0, steps=60, keep=60, resolution=128)
    field = keeping_grid(pde.CATALOGUE["kdv"].symmetries, data)
    augment = TrajectoryAugment(field, data, 0.2)
    weights = augment.draw(2, torch.Generator().manual_seed(1))
    values, valid = augment.move(data.u, weights)
    assert grid_of(data).sizes == {"T": 60, "X": 128}
    others, support = Box((Axis("t", data.t), *data.axes), ("u",)).moved(field, data.u, weights, 4)
    assert bool((support.all(-1) == valid).all())
    torch.testing.assert_close(others[valid], values[valid], rtol=0, atol=2e-6)


def test_orbits() -> None:
    """A spring: the phase is shifted by a shift in time, and rows are lost where nothing is known."""
    t = torch.linspace(0, 6, 121, dtype=torch.float64)
    spring = Equation("u_t - v = 0; v_t + u = 0")
    orbit = torch.stack([t.sin(), t.cos()], -1)[None]
    data = Trajectories(spring, torch.zeros(0), t, orbit, fields=("u", "v"), axes=())
    augment = TrajectoryAugment(field_of(data, {"dt": "1"}), data, 0.1)
    values, valid = augment.move(data.u, torch.tensor([[0.31]], dtype=torch.float64))
    assert valid[0].tolist() == (t - 0.31 >= 0).tolist()
    expected = torch.stack([(t - 0.31).sin(), (t - 0.31).cos()], -1)
    torch.testing.assert_close(values[0][valid[0]], expected[valid[0]], rtol=0, atol=1e-8)


def test_walls_stay() -> None:
    """Between walls what moves them is left out, by name where it is asked for; on their nodes nothing is periodic."""
    heat = Equation("u_t = u_xx")
    t, x = torch.meshgrid(T, WALL, indexing="ij")
    u = torch.exp(-(math.pi**2) * t / 4) * torch.cos(math.pi * x / 2)
    data = Trajectories(heat, WALL, T, u[None], axes=(Axis("x", WALL),))
    forms = [{"dx": "1"}, {"dt": "1"}, {"du": "u"}, {"dx": "1 - x**2"}, {"dx": "x", "dt": "2*t"}]
    kept = keeping_grid(forms, data)
    assert [[str(c) for c in row] for row in kept.components] == [
        ["0", "1", "0"],
        ["0", "0", "u"],
        ["1 - x**2", "0", "0"],
    ]
    with pytest.raises(UserError, match="must leave the ends of x where they are"):
        TrajectoryAugment(field_of(data, {"dx": "1"}), data, 0.1)
    inner = TrajectoryAugment(field_of(data, {"dx": "1 - x**2"}), data, 0.1, steps=16)
    values, valid = inner.move(data.u, torch.tensor([[0.4]], dtype=torch.float64))
    assert bool(valid.all())
    source = torch.tanh(torch.atanh(WALL) - 0.4)  # dx/da = 1 - x^2
    expected = torch.exp(-(math.pi**2) * T / 4)[:, None] * torch.cos(math.pi * source / 2)
    torch.testing.assert_close(values[0], expected, rtol=0, atol=1e-6)


def test_what_cannot_be_moved_is_named() -> None:
    data = in_box()
    for form, sentence in (
        ({"dx": "u"}, "must move variables independently of unknowns .* one that moves x by u"),
        ({"dx": "y"}, "must have the period 6.28319 of the data in y"),
        ({"dx": "y", "dy": "-x"}, "must have the period"),
    ):
        with pytest.raises(UserError, match=sentence):
            TrajectoryAugment(field_of(data, form), data, 0.1)
    with pytest.raises(UserError, match="no generator with the period of the data"):
        keeping_grid([{"dx": "y", "dy": "-x"}, {"dx": "u"}], data)
    gone = torch.zeros(data.u.shape[:-1], dtype=torch.bool)
    gone[0, 3, 2, 1] = True
    with pytest.raises(UserError, match="no missing values"):
        TrajectoryAugment(field_of(data, {"dx": "1"}), replace(data, missing=gone), 0.1)
    with pytest.raises(ValueError, match=r"\[B, T, X, Y, fields\] = \[B, 41, 32, 24, 3\], got \[1, 41, 32, 24\]"):
        TrajectoryAugment(field_of(data, {"dx": "1"}), data, 0.1).move(data.u[..., 0], torch.ones(1, 1).double())


def test_places_between_nodes() -> None:
    """Nodes are met exactly; polynomials of degree five between open ones; waves beside a finer grid."""
    t = torch.tensor([0.0, 0.1, 0.4, 0.5, 0.9, 1.3, 1.4, 2.0], dtype=torch.float64)
    values = torch.stack([t**5 - 2 * t, torch.ones_like(t)], -1)
    between = Interpolant.of(values, [Axis("t", t)])
    at = torch.tensor([[0.0], [0.33], [1.99], [2.0], [2.1], [-0.1], [math.nan]], dtype=torch.float64)
    found, within = between.at(at)
    assert within.tolist() == [True] * 4 + [False] * 3
    torch.testing.assert_close(found[:4, 0], (at**5 - 2 * at)[:4, 0], rtol=0, atol=1e-12)
    assert not found[4:].any()
    wave = torch.stack([torch.sin(5 * X), torch.cos(3 * X)], -1)
    finer, _ = Interpolant.of(wave, [Axis("x", X, TURN)]).at(X[:, None] + 0.37 * TURN / 32)
    expected = torch.stack([torch.sin(5 * (X + 0.37 * TURN / 32)), torch.cos(3 * (X + 0.37 * TURN / 32))], -1)
    torch.testing.assert_close(finer, expected, rtol=0, atol=2e-4)


@pytest.fixture(scope="module")
def found() -> tuple[Trajectories, pde.Result]:
    text = "u_t = 0.3*(u_xx + u_yy) + u*v; v_t = 0.3*(v_xx + v_yy) - u**2"
    settings = {"end": 2.0, "length": TURN, "resolution": 24, "steps": 41, "amplitude": 0.3, "wavenumbers": (0, 1)}
    data = pde.generate(text, 3, seed=0, **settings)
    return data, pde.discover(data.equation)


def test_what_is_found_moves_data_that_solve_the_equation_still(found: tuple[Trajectories, pde.Result]) -> None:
    data, result = found
    more = result.augment(data, strength=0.2, seed=1, unproved=True)
    assert more.u.shape[2:] == data.u.shape[2:]
    assert not torch.equal(more.u[:, 0], data.u[:, 0])
    assert gate(more).verdict == "solves"


def test_files_of_systems_in_boxes(tmp_path: Path, found: tuple[Trajectories, pde.Result]) -> None:
    data, result = found
    path, out = tmp_path / "in.h5", tmp_path / "out.h5"
    pde.save(data, path)
    run = tmp_path / "run"
    run.mkdir()
    result.save(run / "result.json")
    made = augment_file(path, run, out, copies=2, strength=0.1, seed=3, unproved=True)
    assert made.trajectories == 6
    assert made.kept == 3
    assert made.moved < 10 * made.original + 1e-5
    more = pde.load(out)
    torch.testing.assert_close(more.u[::2], data.u, rtol=0, atol=0)
    with h5py.File(out) as file:
        assert file["u"].shape == (6, 41, 24, 24)
        assert np.array_equal(file["source"][()], [0, 0, 1, 1, 2, 2])
        residual = file["residual"][()]
    own = residuals(data, data.u, torch.ones(3, 41, dtype=torch.bool))
    assert residual[::2] == pytest.approx(own.numpy())
    wrong = TrajectoryAugment(SymbolicField(Coordinates(data.equation.space.names), [{"du": "1"}]), data, 0.2)
    values, valid = wrong.move(data.u, 0.3 * torch.ones(3, 1, dtype=torch.float64))
    assert bool((residuals(data, values, valid) > 1e2 * own).all())
