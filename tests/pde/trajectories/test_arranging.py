"""Names, orders and ends: which field is which unknown, which axis which variable, what is periodic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from layouts import PAIR, PLANE, TRAVEL, T, grid, holds, plane_wave, wave
from symflow.errors import UserError
from symflow.pde import Equation, audit_data, load

X, Y = grid(48), grid(40)
HEAT = Equation("u_t = u_xx")


def axes(**nodes):
    return {"t": T, **nodes}


def test_fields_and_axes_in_any_order():
    u = plane_wave(X, Y)
    for value in (u, u[0], u[0].transpose(1, 2, 0), u[0].transpose(0, 2, 1), u.transpose(1, 2, 3, 0)):
        data = load(fields={"u": value}, axes=axes(x=X, y=Y), equation=PLANE)
        holds(data, u if value.ndim == 4 else u[:1], [2 * np.pi] * 2)
    falling = load(fields={"u": u[..., ::-1]}, axes=axes(x=X, y=Y[::-1]), equation=PLANE)
    holds(falling, u, [2 * np.pi] * 2)
    assert "y falls: turned round" in falling.settings["notes"]


def test_a_system_needs_each_unknown():
    u, v = wave(X), wave(X, sign=-1)
    data = load(fields={"u": u, "v": v, "w": u}, axes=axes(x=X), equation=PAIR)
    holds(data, np.stack([u, v], -1), [2 * np.pi])
    assert audit_data(data).verdict == "solves"
    with pytest.raises(UserError, match=r"the unknown v of the equation must be among the fields u, w; .* such as v=u"):
        load(fields={"u": u, "w": v}, axes=axes(x=X), equation=PAIR)


def test_one_field_and_one_axis_need_no_names():
    data = load(fields={"phi": wave(X)}, axes=axes(s=X), equation=TRAVEL)
    holds(data, wave(X), [2 * np.pi])
    assert data.on_line


def test_an_axis_that_the_equation_does_not_know_makes_trajectories():
    data = load(fields={"u": wave(X)[:, :, :, None] * np.ones(5)}, axes=axes(x=X, z=np.arange(5.0)), equation=TRAVEL)
    assert data.u.shape == (15, 21, 48)
    assert data.settings["notes"] == ["each z is a trajectory of its own, for the equation does not know it"]
    with pytest.raises(UserError, match=r"the variable y of the equation must be among the axes of space, x"):
        load(fields={"u": wave(X)}, axes=axes(x=X), equation=PLANE)


def test_complex_values_are_two_unknowns_or_rounding():
    u, v = wave(X), wave(X, sign=-1)
    data = load(fields={"psi": u + 1j * v}, axes=axes(x=X), equation=PAIR)
    holds(data, np.stack([u, v], -1), [2 * np.pi])
    assert data.settings["notes"] == ["u and v are the real and the imaginary part of psi"]
    small = load(fields={"psi": u * (1 + 1e-8j)}, axes=axes(x=X), equation=TRAVEL)
    holds(small, u, [2 * np.pi])
    assert "complex with an imaginary part of at most 1e-08" in small.settings["notes"][0]
    with pytest.raises(UserError, match="an equation of it has two real unknowns, got u"):
        load(fields={"psi": u + 1j * v}, axes=axes(x=X), equation=TRAVEL)


# ---------------------------------------------------------------- ends


def window():
    """A part of a period: an open axis."""
    return np.linspace(0.0, 4.0, 60)


@pytest.mark.parametrize(
    ("x", "period"),
    [
        (grid(48), 2 * np.pi),
        (grid(48, centred=True), 2 * np.pi),
        (np.linspace(0, 2 * np.pi, 49), 2 * np.pi),
        (window(), None),
        (np.pi * (1 - np.cos(np.linspace(0, np.pi, 48))), None),
    ],
)
def test_ends_are_looked_at(x, period):
    data = load(u=wave(x), x=x, t=T, equation=TRAVEL, check=False)
    (axis,) = data.axes
    assert axis.period == pytest.approx(period) if period else axis.period is None
    assert audit_data(data).verdict == "solves"


def test_data_that_are_even_about_the_ends_of_cells_close_nothing():
    """On centres of cells the first value equals the last, and both are meant."""
    x = grid(48, centred=True)
    u = np.exp(-T[:, None]) * np.cos(x)
    holds(load(u=u, x=x, t=T, equation=HEAT), u[None], [2 * np.pi])
    closed = np.linspace(0, 2 * np.pi, 49)
    u = np.exp(-T[:, None]) * np.cos(closed)
    holds(load(u=u, x=closed, t=T, equation=HEAT), u[None, :, :-1], [2 * np.pi])


def test_walls_of_zero_are_no_period():
    """Zero at both ends looks like a repeated column; the slopes do not meet."""
    x = np.linspace(0, np.pi, 41)
    u = np.exp(-T[:, None]) * np.sin(x) + 0.3 * np.exp(-4 * T[:, None]) * np.sin(2 * x)
    data = load(u=u, x=x, t=T, equation=HEAT)
    holds(data, u[None], [None])
    audit = audit_data(data)
    assert audit.verdict == "solves"
    assert "x is open: judged inside, not at the ends" in audit.gate.remarks
    assert audit_data(load(u=u, x=x, t=T, equation="u_t = 1.02*u_xx")).verdict == "refuted"


def test_what_is_told_goes_before_what_is_seen():
    x, u = window(), wave(window())
    assert load(u=u, x=x, t=T, equation=TRAVEL, boundary="periodic", check=False).axes[0].period is not None
    both = load(
        fields={"u": plane_wave(X, Y)}, axes=axes(x=X, y=Y), equation=PLANE, boundary={"x": "open", "y": "periodic"}
    )
    assert [a.period is None for a in both.axes] == [True, False]
    assert both.settings["notes"] == ["x is open: as told"]
    assert audit_data(both).verdict == "solves"


def test_a_masked_array_is_missing_where_it_is_masked():
    u = np.ma.masked_array(wave(X), mask=False)
    u[0, 4, 5] = np.ma.masked
    data = load(u=u, x=X, t=T, equation=TRAVEL, boundary="periodic")
    assert data.missing is not None
    assert data.missing.nonzero().tolist() == [[0, 4, 5]]
    assert not data.on_line
    assert torch.equal(data.u[1:], torch.from_numpy(wave(X))[1:])
