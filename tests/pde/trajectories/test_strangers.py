"""Files of people who know no layout: meshes for axes, dimensions of one, times that fall, units beside names."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import torch

from symflow.errors import UserError
from symflow.pde import audit_data, describe, load

T = np.linspace(0.0, 1.0, 41)
X = np.arange(64) * (2 * np.pi / 64)
HEAT = "u_t = 0.1*u_xx"


def heat(samples: int = 3) -> np.ndarray:
    decay = np.exp(-0.1 * T)[:, None]
    return np.stack([decay * np.sin(X + s) + decay**4 * np.cos(2 * X) for s in range(samples)])


def right(path, values) -> None:
    data = load(path, equation=HEAT)
    torch.testing.assert_close(data.u, torch.from_numpy(values))
    np.testing.assert_allclose(data.t, T)
    np.testing.assert_allclose(data.axes[0].period, 2 * np.pi)
    assert audit_data(data).verdict == "solves"


def test_meshes_of_both_axes(tmp_path):
    x, t = np.meshgrid(X, T)
    scipy.io.savemat(tmp_path / "a.mat", {"usol": heat(1)[0], "X": x, "T": t})
    right(tmp_path / "a.mat", heat(1))


def test_meshes_the_other_way_round(tmp_path):
    x, t = np.meshgrid(X, T, indexing="ij")
    np.savez(tmp_path / "a.npz", u=heat(1)[0].T, x=x, t=t)
    right(tmp_path / "a.npz", heat(1))


@pytest.mark.parametrize("place", [1, 2, 3])
def test_dimensions_of_one(tmp_path, place):
    np.savez(tmp_path / "a.npz", u=np.expand_dims(heat(), place), x=X, t=T)
    right(tmp_path / "a.npz", heat())


def test_times_that_fall_are_turned_round_and_it_is_said(tmp_path):
    np.savez(tmp_path / "a.npz", u=heat()[:, ::-1], x=X, t=T[::-1])
    right(tmp_path / "a.npz", heat())
    assert "t falls: turned round" in load(tmp_path / "a.npz", equation=HEAT).settings["notes"]


def test_times_in_disorder_are_refused(tmp_path):
    t = T.copy()
    t[[3, 9]] = t[[9, 3]]
    np.savez(tmp_path / "a.npz", u=heat(), x=X, t=t)
    with pytest.raises(UserError, match="`t` must increase"):
        load(tmp_path / "a.npz", equation=HEAT)


def test_units_beside_the_names_of_columns(tmp_path):
    t = np.linspace(0, 10, 101)
    rows = np.concatenate([np.stack([t, a * np.cos(t), -a * np.sin(t)], 1) for a in (1.0, 1.5)])
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", header="time [s],x (m),v [m/s]", comments="")
    data = load(tmp_path / "a.csv", equation="x_t = v; v_t = -x")
    assert data.values.shape == (2, 101, 2)
    assert audit_data(data).verdict == "solves"


@pytest.mark.parametrize("which", ["x", "t"])
def test_grids_that_differ_are_said_and_refused(tmp_path, which):
    own = np.stack([{"x": X, "t": T}[which] * (1 + s) for s in range(3)])
    np.savez(tmp_path / "a.npz", **({"u": heat(), "x": X, "t": T} | {which: own}))
    assert f"{which}: {own.shape[1]} nodes, different ones for each trajectory" in str(describe(tmp_path / "a.npz"))
    with pytest.raises(UserError, match=f"`{which}` must be the same for every trajectory; their grids differ"):
        load(tmp_path / "a.npz", equation=HEAT)


def test_where_a_row_ends_is_no_roughness(tmp_path):
    """Waves that differ in phase alone are alike, wherever their rows end."""
    np.savez(tmp_path / "a.npz", u=np.stack([np.exp(-0.1 * T)[:, None] * np.sin(X + s) for s in range(3)]), x=X, t=T)
    assert describe(tmp_path / "a.npz").outliers == ()


def test_arrays_with_dimensions_of_one() -> None:
    x, t = np.arange(64) / 64, np.linspace(0, 1, 30)
    u = np.sin(2 * np.pi * (x - t[:, None]))
    for array in (u[None, ..., None], u[:, None, :], u[..., None]):
        assert load(u=array, x=x, t=t, equation="u_t + u_x = 0").u.shape == (1, 30, 64)
    with pytest.raises(UserError, match=r"got \[3, 30, 1, 7\]"):
        load(u=np.zeros((3, 30, 1, 7)), x=x, t=t, equation="u_t + u_x = 0")
