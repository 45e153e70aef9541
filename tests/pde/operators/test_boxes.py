"""Operators on systems in boxes: shapes, units, arms along what keeps the grid, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from symflow import pde
from symflow.errors import UserError
from symflow.pde.operators.arms import exact_field, moved_copies
from symflow.pde.operators.comparison import compare_operators
from symflow.pde.operators.operators import Operator, errors
from symflow.pde.operators.windows import Task
from symflow.pde.trajectories import Axis

SYSTEM = "u_t + u*u_x + v*u_y = 0.2*(u_xx + u_yy); v_t + u*v_x + v*v_y = 0.2*(v_xx + v_yy)"
SMALL: dict[str, Any] = {
    "trajectories": 2,
    "seeds": 2,
    "points": 8,
    "width": 4,
    "modes": 3,
    "layers": 1,
    "steps": 4,
    "batch": 2,
    "copies": 2,
    "strengths": (0.05,),
    "validation": 1,
    "test": 1,
    "unproved": True,
}


@pytest.fixture(scope="module")
def system() -> pde.Trajectories:
    return pde.generate(SYSTEM, 6, seed=0, end=1.0, length=2 * math.pi, resolution=16, steps=45, amplitude=0.3)


def test_an_operator_keeps_the_layout_and_commutes_with_shifts() -> None:
    task = Task(4, (4, 5, 6), True)
    operator = Operator(task, 2.0, width=4, modes=3, layers=2, axes=2, fields=2)
    u = torch.randn(3, 4, 16, 12, 2, generator=torch.Generator().manual_seed(0))
    found = operator(u)
    assert found.shape == (3, 3, 16, 12, 2)
    torch.testing.assert_close(operator(u.roll((3, 5), (2, 3))), found.roll((3, 5), (2, 3)), rtol=0, atol=1e-5)
    target = torch.randn(3, 12, 16, 12, 2, generator=torch.Generator().manual_seed(1))
    each = errors(operator, target, task)
    seen, after = target[:, :4], target[:, 4:7]
    with torch.no_grad():
        first = (operator(seen) - after).flatten(1).norm(dim=1) / after.flatten(1).norm(dim=1)
        second = (operator(target[:, 4:8]) - target[:, 8:11]).flatten(1).norm(dim=1)
    second = second / target[:, 8:11].flatten(1).norm(dim=1)
    assert each.tolist() == pytest.approx(((first**2 + second**2) / 2).tolist(), rel=1e-5)


def test_every_axis_is_coarsened_by_one_stride(system: pde.Trajectories) -> None:
    coarse = system.coarsen(8)
    assert torch.equal(coarse.u, system.u[:, :, ::2, ::2])
    assert [axis.period for axis in coarse.axes] == [axis.period for axis in system.axes]
    wide = replace(system, x=torch.zeros(0), axes=(system.axes[0], Axis("y", torch.arange(16.0), 16.0)))
    assert len(wide.coarsen(8).axes[1]) == 8
    with pytest.raises(UserError, match="must be at least 8 and divide the 16 points in x"):
        system.coarsen(5)


def test_copies_lie_on_the_grid_and_solve_the_equation(system: pde.Trajectories) -> None:
    field = exact_field(system)
    kept = {tuple(str(c) for c in row) for row in field.components}
    assert kept == {
        ("1", "0", "0", "0", "0"),
        ("0", "1", "0", "0", "0"),
        ("0", "0", "1", "0", "0"),
        ("t", "0", "0", "1", "0"),
        ("0", "t", "0", "0", "1"),
    }
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        pool = moved_copies(system[:2], field, 0.05, 3, Task(20, tuple(range(20, 40)), True))
    assert pool.u.shape == (2, 3, 45, 16, 16, 2)
    assert bool(pool.starts.any(-1).all())
    assert not torch.equal(pool.u[:, 0], pool.u[:, 1])


def test_arms_are_compared(system: pde.Trajectories) -> None:
    found = compare_operators(system, arms=("none", "exact", "wrong"), **SMALL)
    assert [len(arm.errors) for arm in found.arms] == [2, 2, 2]
    assert all(math.isfinite(e) and e > 0 for arm in found.arms for e in arm.errors)
    assert len({arm.errors for arm in found.arms}) == 3
    assert "8 points in x" in str(found)
    large = replace(system, u=system.u * torch.tensor([1.0, 1e3], dtype=torch.float64))
    only = SMALL | {"seeds": 1}
    own, other = (compare_operators(d, arms=("none",), **only).arms[0].errors[0] for d in (system, large))
    assert own == pytest.approx(other, rel=1e-3)  # fields count alike, in whatever unit they come


def test_what_cannot_be_trained_on_is_named(system: pde.Trajectories) -> None:
    with pytest.raises(
        UserError, match=r"the arms learned, penalty learn fields from one unknown u .* got u, v over t, x"
    ):
        compare_operators(system, arms=("none", "learned", "penalty"), **SMALL)
    walls = replace(system, x=torch.zeros(0), axes=(Axis("x", system.x), system.axes[1]))
    with pytest.raises(UserError, match=r"an operator needs periodic axes and all values, got u, v over t, x, y \(per"):
        compare_operators(walls, arms=("none",), **SMALL)
