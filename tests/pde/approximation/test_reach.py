"""Moved weak residuals against data that are moved exactly, and the reach they give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import sympy
import torch

from planted import BOOST, LATER, NO, SCALING, small
from symflow.pde import Trajectories, generate
from symflow.pde.approximation.measure import Measure, middle
from symflow.pde.approximation.reach import DELTA, MovedRows, reach
from symflow.pde.equations import t, u, x
from symflow.pde.laws.claims import Law
from symflow.pde.laws.figures import Figures
from symflow.pde.symmetries import displacement
from symflow.pde.weak import Samples, rows_on_axes

Move = Callable[[Trajectories, float], Trajectories]


def later(data: Trajectories, h: float) -> Trajectories:
    return replace(data, t=data.t + h)


def scaled(data: Trajectories, h: float) -> Trajectories:
    return replace(data, x=data.x * math.exp(h), t=data.t * math.exp(3 * h), u=data.u * math.exp(-2 * h))


def bent(data: Trajectories, h: float) -> Trajectories:
    """Along u^2 du: u/(1 - h u)."""
    return replace(data, u=data.u / (1 - h * data.u))


def exact(rows: MovedRows, move: Move, h: float) -> float:
    """The weak residual of data that are moved on their grid, by the rows of the gate."""
    data = move(rows.data, h)
    (F,) = data.equation.residuals
    samples = Samples.of(data, (F,))
    law = Law.of(F, samples.space)
    return float(middle(Figures.of(rows_on_axes(samples, law.columns(), rows.widths), law).residual))


@pytest.mark.parametrize(
    ("equation", "form", "move", "lengths"),
    [
        ("u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0", LATER, later, (0.1, 0.4, -0.4)),
        ("u_t + u*u_x + u_xxx = 0.3*u_xx", SCALING, scaled, (0.1, 0.3, -0.3)),
        ("u_t + u*u_x + u_xxx = 0", {"dx": NO, "dt": NO, "du": u**2}, bent, (0.02, 0.1)),
    ],
)
def test_moved_rows_are_those_of_moved_data(equation: str, form: dict, move: Move, lengths: tuple) -> None:
    data = small(equation)
    rows = MovedRows(data, MovedRows.columns_of(data.equation) or (), (8, 20))
    for h in lengths:
        assert float(middle(rows.residual(form, h))) == pytest.approx(exact(rows, move, h), rel=1e-3)


def test_a_symmetry_that_shears_and_one_that_bends_time_leave_the_data_alone() -> None:
    data = small("u_t + u*u_x + u_xxx = 0")
    rows = MovedRows(data, MovedRows.columns_of(data.equation) or (), (8, 20))
    own = float(rows.residual(BOOST, 0.0).max())
    assert float(rows.residual(BOOST, 0.5).max()) < 10 * own + 1e-6
    ckdv = small("u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0")
    root = sympy.sqrt(t + 1)
    bends = {"dx": x * root / 2, "dt": (t + 1) * root, "du": (x - 4 * (t + 1) * u) / (4 * root)}
    rows = MovedRows(ckdv, MovedRows.columns_of(ckdv.equation) or (), (8, 20))
    assert float(middle(rows.residual(bends, 0.01))) < 1e-3
    assert float(middle(rows.residual({**bends, "du": NO}, 0.01))) > 1e-2


def test_the_reach_of_later_in_ckdv() -> None:
    """Within 15 % of where data moved exactly miss the equation by delta, found here by bisection."""
    data = generate("ckdv", 6, 0)
    measure = Measure.of(data)
    defect = float(middle(measure.defects([LATER]))[0])
    found = reach(data, LATER, defect, float(displacement(measure.values([LATER])[1], measure.scale)[0]))
    rows = MovedRows(data, MovedRows.columns_of(data.equation) or (), (20, 64))
    low, high = -20.0, 0.0  # earlier is the shorter way
    for _ in range(30):
        middle_ = (low + high) / 2
        low, high = (middle_, high) if exact(rows, later, middle_) > DELTA else (low, middle_)
    assert found.parameter == pytest.approx(-low, rel=0.15)
    assert found.length == pytest.approx(found.parameter / float(data.t[-1] - data.t[0]), rel=1e-9)


def test_what_is_not_measured_says_why() -> None:
    data = small("u_t + u*u_x + u_xxx = 0")
    assert "depend on u or x" in reach(data, {"dx": u, "dt": NO, "du": NO}, 0.1, 1.0).reason
    assert "depend on u or x" in reach(data, {"dx": NO, "dt": x, "du": NO}, 0.1, 1.0).reason
    squares = replace(data, equation=type(data.equation)("u_t + u_x**2 + u_xxx = 0"))
    assert "no weak form" in reach(squares, SCALING, 0.1, 1.0).reason
    noise = torch.randn(data.u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert "own residual" in reach(replace(data, u=noise), SCALING, 0.1, 1.0).reason
    assert "only" in reach(data, BOOST, 1e-12, 1.0).reason
