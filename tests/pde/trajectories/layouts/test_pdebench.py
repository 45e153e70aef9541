"""PDEBench in its four forms, and what is wrong with files that look like them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from layouts import PLANE, TRAVEL, T, grid, holds, plane_wave, wave
from symflow.errors import UserError
from symflow.pde import Equation, audit_data, describe, load

CENTRES = grid(centred=True).astype(np.float32)


def test_one_tensor_with_a_time_more(tmp_path):
    u = wave(CENTRES).astype(np.float32)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["tensor"], file["x-coordinate"] = u, CENTRES
        file["t-coordinate"] = np.linspace(0, 1.05, 22).astype(np.float32)
        file.attrs["beta"] = 1.0
    data = load(tmp_path / "a.hdf5", TRAVEL)
    holds(data, u, [2 * np.pi])
    assert float(data.t[-1]) == pytest.approx(1.0, abs=1e-6)
    assert describe(tmp_path / "a.hdf5").guess == "u_t + 1*u_x = 0"


def test_the_viscosity_of_burgers_is_divided_by_pi(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["tensor"], file["x-coordinate"], file["t-coordinate"] = wave(CENTRES), CENTRES, np.append(T, 1.05)
        file.attrs["Nu"] = 0.01
    found = describe(tmp_path / "a.hdf5")
    assert found.parameters == {"Nu": 0.01}
    assert found.guess == "u_t + u*u_x = 0.003183098862*u_xx"


def test_compressible_flow_in_the_plane(tmp_path):
    x, y = CENTRES, grid(24, centred=True).astype(np.float32)
    u = plane_wave(x, y)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for n, name in enumerate(("density", "pressure", "Vx", "Vy")):
            file[name] = u + n
        file["x-coordinate"], file["y-coordinate"], file["t-coordinate"] = x, y, np.append(T, 1.05)
    holds(load(tmp_path / "a.h5", PLANE), u + 2, [2 * np.pi, 2 * np.pi])  # u is Vx
    holds(load(tmp_path / "a.h5", PLANE, fields={"u": "density"}), u, [2 * np.pi, 2 * np.pi])
    assert "compressible flow" in describe(tmp_path / "a.h5").guess
    with pytest.raises(UserError, match="`fields` names 'rho', the file has density, pressure, Vx, Vy"):
        load(tmp_path / "a.h5", PLANE, fields={"u": "rho"})


def test_a_group_for_each_run(tmp_path):
    """Rows are ordered by y; none of these sets is periodic, whatever their ends."""
    x, y = grid(32, centred=True), grid(24, centred=True)
    u = plane_wave(x, y)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for s, run in enumerate(u):
            both = np.stack([run, 2 * run], -1).transpose(0, 2, 1, 3)
            file[f"{s:04d}/data"] = both.astype(np.float32)
            for axis, nodes in (("x", x), ("y", y), ("t", T)):
                file[f"{s:04d}/grid/{axis}"] = nodes.astype(np.float32)
            file[f"{s:04d}"].attrs["config"] = "Du: 0.001\nsim:\n  k: 5e-3\n  name: diff-react\n"
    data = load(tmp_path / "a.h5", Equation("u_t + u_x + u_y/2 = 0; v_t + v_x + v_y/2 = 0"))
    holds(data, np.stack([u, 2 * u], -1).astype(np.float32), [None, None])
    assert describe(tmp_path / "a.h5").parameters == {"Du": 1e-3, "k": 5e-3}
    assert len(load(tmp_path / "a.h5", PLANE, samples=2)) == 2


def test_incompressible_flow_whose_last_frames_are_unwritten(tmp_path):
    u = np.zeros((2, 21, 16, 16, 2))
    u[:, :11] = np.random.default_rng(0).normal(size=(2, 11, 16, 16, 2))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["velocity"], file["particles"], file["t"] = u, u[..., :1], np.tile(T, (2, 1))
        file.attrs["latestIndex"] = 10
    data = load(tmp_path / "a.h5", Equation("u_t + u_x = 0; v_t + v_y = 0"))
    holds(data, u[:, :11], [None, None])
    assert data.t.tolist() == T[:11].tolist()


def test_the_audit_of_a_plane_file(tmp_path):
    u = plane_wave(CENTRES, CENTRES)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["Vx"], file["x-coordinate"], file["y-coordinate"] = u, CENTRES, CENTRES
        file["t-coordinate"] = np.append(T, 1.05)
    assert audit_data(load(tmp_path / "a.h5", PLANE)).verdict == "solves"
    wrong = audit_data(load(tmp_path / "a.h5", Equation("u_t + u_x + 0.51*u_y = 0")))
    assert wrong.verdict == "refuted"
    assert "the data have u_y with coefficient 0.5" in wrong.sentences[0]


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        ({"tensor": wave(CENTRES)[0], "x-coordinate": CENTRES}, "`tensor` must have shape [n, nt, nx]"),
        ({"tensor": wave(CENTRES)}, "`x-coordinate` is missing"),
        ({"tensor": wave(CENTRES), "x-coordinate": CENTRES}, "`t-coordinate` is missing"),
        ({"0000/data": wave(CENTRES)[0, ..., None], "0000/grid/x": CENTRES}, "must have t and x in its grid"),
        (
            {"0000/data": wave(CENTRES)[0], "0000/grid/x": CENTRES, "0000/grid/t": T},
            "`data` must have shape [nt, nx, channels]",
        ),
    ],
)
def test_files_that_only_look_like_it(write, sentence, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, value in write.items():
            file[name] = value
    with pytest.raises(UserError) as caught:
        load(tmp_path / "a.h5", TRAVEL)
    assert sentence in str(caught.value)
