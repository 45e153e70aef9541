"""Discovery from data of every shape, made from solutions in closed form: number, proofs, words."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch
from torch import Tensor

from symflow import UserError, pde
from symflow.pde import Equation, Trajectories
from symflow.pde.discovery import collect
from symflow.pde.gate import gate
from symflow.pde.trajectories import Axis

TURN = 2 * math.pi


def times(end: float, n: int) -> Tensor:
    return torch.linspace(0, end, n, dtype=torch.float64)


@lru_cache
def waves(samples: int = 6) -> Trajectories:
    """Plane waves in a box, ``cos(k x + l y - w t + p)`` with ``w^2 = k^2 + l^2``, running all ways."""
    x, t = torch.arange(24, dtype=torch.float64) * (TURN / 24), times(3.0, 61)
    T, X, Y = torch.meshgrid(t, x, x, indexing="ij")
    random = torch.Generator().manual_seed(0)
    u = torch.zeros(samples, *T.shape, dtype=torch.float64)
    for s in range(samples):
        for _ in range(6):
            k, m = torch.randint(-3, 4, (2,), generator=random).tolist()
            a, phase = torch.rand(2, generator=random, dtype=torch.float64).tolist()
            u[s] += a * torch.cos(k * X + m * Y - math.hypot(k, m) * T + TURN * phase)
    axes = (Axis("x", x, TURN), Axis("y", x, TURN))
    return Trajectories(Equation("u_tt = u_xx + u_yy"), x, t, u, axes=axes)


@lru_cache
def spring() -> Trajectories:
    """``p + i q = a exp(i w t) + b exp(-i w t)``: ellipses about their centre, w^2 = 2."""
    random = torch.Generator().manual_seed(1)
    t = times(6.0, 121)
    a, b, c, d = (torch.rand(8, 1, generator=random, dtype=torch.float64) + 0.2 for _ in range(4))
    w = math.sqrt(2) * t
    orbits = torch.stack([a * w.cos() + b * w.sin(), c * w.cos() - d * w.sin()], -1)
    equation = Equation("p_tt = -2*p; q_tt = -2*q")
    return Trajectories(equation, torch.zeros(0), t, orbits, fields=("p", "q"), axes=())


@lru_cache
def between_walls(kind: str) -> Trajectories:
    """Heat between walls that let none through, and Burgers' equation by Hopf and Cole's map of the same: 0 there."""
    random = torch.Generator().manual_seed(2)
    x, t = times(1.0, 65), times(1.0, 81)
    k = math.pi * torch.arange(1, 5, dtype=torch.float64)[:, None, None]
    size = (
        0.2 * (2 * torch.rand(8, 4, 1, 1, generator=random, dtype=torch.float64) - 1) * (-0.1 * k**2 * t[:, None]).exp()
    )
    theta, slope = (size * (k * x).cos()).sum(1), (-k * size * (k * x).sin()).sum(1)
    text, u = ("u_t = 0.1*u_xx", theta) if kind == "heat" else ("u_t + u*u_x = 0.1*u_xx", -0.2 * slope / (1 + theta))
    return Trajectories(Equation(text), x, t, u, axes=(Axis("x", x),))


@lru_cache
def found(name: str) -> pde.Result:
    return pde.discover({"waves": waves, "spring": spring}[name](), network="none")


def test_waves_in_a_box() -> None:
    result = found("waves")
    assert [g.formula for g in result.generators] == ["dx", "dy", "dt", "u du"]
    assert len(result.families) == 1
    assert all(g.verified and g.valid for g in result.generators)
    assert result.verdicts.data is not None
    assert result.verdicts.data.word == "measured"
    assert result.verdicts.equation is not None
    assert result.verdicts.equation.dimension == 11
    assert all(result.verify())


def test_jets_are_those_of_the_data() -> None:
    """Every derivative from the data: the same fields, moved surfaces at the floor, controls far above."""
    result = found("waves")
    assert result.coordinates.periods == (TURN, TURN, None, None)
    assert result.observed is not None
    assert max(result.observed.angles) < 1e-6
    for g in result.generators:
        assert g.score < 10 * g.floor
        assert g.control > 1e6 * g.score


def test_what_is_left_out_is_said() -> None:
    result = found("waves")
    assert (result.certificates, result.residual, result.approximation) == (None, None, None)
    assert "certificates and approximate symmetries were left out" in str(result)


def test_orbits() -> None:
    """The plane oscillator has the symmetries of straight lines in the plane: sl(4), of dimension 15."""
    result = found("spring")
    assert result.rank == 15
    assert all(g.verified and g.valid for g in result.generators)
    assert result.domain == "plane"


@pytest.mark.parametrize(
    ("kind", "boundary", "formulas"),
    [
        ("heat", "u_x(0, t) = 0; u_x(1, t) = 0", ["dt", "u du"]),
        ("Burgers", "u(0, t) = 0; u(1, t) = 0", ["dt"]),
    ],
)
def test_walls_of_the_data_are_kept(kind, boundary, formulas) -> None:
    result = pde.discover(between_walls(kind), network="none")
    assert result.boundary == boundary
    assert [g.formula for g in result.generators if g.formula != "du"] == formulas
    assert all(g.verified and g.valid for g in result.generators)
    assert result.verdicts.domain is not None
    assert result.verdicts.domain.word == "proved"
    assert result.verdicts.data is not None
    assert result.verdicts.data.word == "measured"
    assert "fill too little of jet space" not in str(result)
    plane = pde.discover(between_walls(kind), network="none", domain="plane")
    assert (plane.boundary, plane.verdicts.domain) == (None, None)
    assert plane.rank > result.rank


def test_members_of_families_are_not_listed() -> None:
    """``u_t = -u, v_t = v``: whatever its factor, the motion itself is a symmetry; the library holds some of these."""
    t = times(3.0, 61)
    p = torch.rand(8, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.5
    orbits = torch.stack([p[:, :1] * (-t).exp(), p[:, 1:] * t.exp()], -1)
    data = Trajectories(Equation("u_t = -u; v_t = v"), torch.zeros(0), t, orbits, fields=("u", "v"), axes=())
    result = pde.discover(data, network="none")
    assert {"f": ["t", "u", "v"]} in [family.functions for family in result.families]
    assert all(family.verified for family in result.families)
    for g in result.generators:
        rates = [g.closed_form[key] for key in ("dt", "du", "dv")]
        at_one = [float(sympy.sympify(rate).subs({"t": 0.3, "u": 0.7, "v": 1.1})) for rate in rates]
        assert not np.allclose(np.cross(at_one, [1.0, -0.7, 1.1]), 0), g.formula
    assert result.verdicts.data is not None
    assert result.verdicts.data.word == "measured"


def test_a_family_may_keep_the_period_where_no_generator_is_left() -> None:
    """Right and left going waves: all symmetries depend on arbitrary functions, and the words say so."""
    x, t = torch.arange(32, dtype=torch.float64) * (TURN / 32), times(3.0, 61)
    T, X = torch.meshgrid(t, x, indexing="ij")
    random = torch.Generator().manual_seed(4)
    fields = []
    for _ in range(6):
        a, b, p, q = (torch.rand((), generator=random, dtype=torch.float64) for _ in range(4))
        right, left = a * torch.sin(X - T + TURN * p), b * torch.cos(2 * (X + T) + TURN * q)
        fields.append(torch.stack([right + left, right - left], -1))
    equation = Equation("p_t = -q_x; q_t = -p_x")
    data = Trajectories(equation, x, t, torch.stack(fields), fields=("p", "q"), axes=(Axis("x", x, TURN),))
    result = pde.discover(data, network="none")
    assert result.rank == 0
    assert result.families
    assert result.verdicts.domain is not None
    assert result.verdicts.domain.word == "proved"
    assert "none of them" not in str(result)


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    result = found("waves")
    result.save(tmp_path / "result.json")
    assert pde.load_result(tmp_path / "result.json") == result


def test_pictures_show_slices_and_maps() -> None:
    """d/dt on x and t at the middle y; the others on x and y at the middle time."""
    e = collect(waves(), found("waves"))
    assert e["shape"].tolist() == [6, 61, 24, 24]
    assert e["views"].tolist() == [[0, 2, 3], [0, 1, 3]]
    assert e["shown"].tolist() == [1, 1, 0, 1]
    rows = torch.linspace(0, 60, 32).round().long()
    torch.testing.assert_close(e["u"], waves().u[0, rows, :, 12].float())
    torch.testing.assert_close(e["1.u"], waves().u[0, 30].T.float())  # y upwards
    assert e["field"].shape == (1, 32, 24, 3)
    assert e["1.field"].shape == (3, 24, 24, 3)
    for moved, along, axis in (
        (e["moved"][0], e["t"][:, None] + e["length"][0], 1),
        (e["1.moved"][0], e["1.x"] + e["1.length"][0], 0),
        (e["1.moved"][1], e["1.t"][:, None] + e["1.length"][1], 1),
    ):
        torch.testing.assert_close(moved[..., axis], along.expand(moved.shape[:2]), rtol=1e-5, atol=1e-5)
    for view in ("", "1."):
        assert float(e[f"{view}residual.after"].max()) < 1e-6
        assert float(e[f"{view}residual.control"].median()) > 1e-3
    assert collect(spring(), found("spring")) == {}


def test_data_that_do_not_solve_it_get_no_yes() -> None:
    wrong = replace(waves(), equation=Equation("u_tt = 1.04*u_xx + u_yy"))
    result = pde.discover(wrong, network="none")
    assert result.verdicts.data is not None
    assert result.verdicts.data.word == "refuted"
    assert not any(g.valid for g in result.generators)
    assert result.observed is None


def test_too_few_nodes_for_derivatives_are_said() -> None:
    few = replace(spring(), t=spring().t[:8], u=spring().u[:, :8])
    with pytest.raises(UserError, match="must have derivatives, but there are 8 nodes along t"):
        pde.discover(few, network="none", trust=True)


def test_a_period_that_is_not_there_cannot_be_asked_for() -> None:
    with pytest.raises(UserError, match="`domain` must be plane for data without a periodic axis"):
        pde.discover(spring(), network="none", domain="periodic")


def test_boxes_are_moved_along_what_is_found() -> None:
    data = waves()
    more = found("waves").augment(data, strength=0.05)
    assert more.u.shape[2:] == data.u.shape[2:]
    assert gate(more).verdict == "solves"
