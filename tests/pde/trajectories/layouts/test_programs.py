"""Output of Dedalus, py-pde and pyro, written as these programs write it."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from layouts import PLANE, TRAVEL, T, grid, holds, plane_wave, wave
from symflow.errors import UserError
from symflow.pde import Equation, describe, load

X, Z = grid(32), np.cos(np.pi * (np.arange(24)[::-1] + 0.5) / 24)
TWO = Equation("u_t + u_x = 0; v_t + v_x = 0")


def dedalus(path, tasks, version=3):
    """Tasks ``{name: (values, labels)}``, a label ``""`` for components and ``constant`` for a missing direction."""
    with h5py.File(path, "w") as file:
        file["scales/sim_time"], file["scales/constant"] = T, np.zeros(1)
        names = {"x": "x_hash_1a", "y": "y_hash_2b"} if version == 3 else {"x": "x/1.0", "y": "y/1.0"}
        for axis, nodes in (("x", X), ("y", Z)):
            file[f"scales/{names[axis]}"] = nodes
        for name in ("sim_time", "constant", *names.values()):
            file[f"scales/{name}"].make_scale(name)
        for name, (values, labels) in tasks.items():
            task = file.create_dataset(f"tasks/{name}", data=values)
            task.attrs["grid_space"] = [True] * (len(labels) - 1)
            for i, label in enumerate(labels):
                task.dims[i].label = label
                scale = {"t": "sim_time", "constant": "constant", **names}.get(label)
                if scale:
                    task.dims[i].attach_scale(file[f"scales/{scale}"])
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_dedalus_walls_are_told_by_the_spacing(version, tmp_path):
    u = plane_wave(X, Z, samples=1)
    path = dedalus(tmp_path / "a.h5", {"u": (u[0], ["t", "x", "y"])}, version)
    data = load(path, PLANE)
    holds(data, u, [2 * np.pi, None])
    np.testing.assert_array_equal(data.axes[1].nodes, Z)


def test_dedalus_vectors_and_missing_directions(tmp_path):
    u = plane_wave(X, Z, samples=1)[0]
    row = wave(X, samples=1)[0]
    tasks = {
        "flow": (np.stack([u, 2 * u], 1), ["t", "", "x", "y"]),
        "mean flow": (row[..., None], ["t", "x", "constant"]),
        "energy": (row[:, :1, None], ["t", "constant", "constant"]),
    }
    path = dedalus(tmp_path / "a.h5", tasks)
    holds(load(path, PLANE, fields={"u": "flow_y"}), 2 * u[None], [2 * np.pi, None])
    holds(load(path, TRAVEL, fields={"u": "mean flow"}), row[None], [2 * np.pi])
    assert {f.name: f.dims for f in describe(path).fields}["energy"] == ("t",)


def test_dedalus_without_the_files_of_its_processes(tmp_path):
    path = dedalus(tmp_path / "a.h5", {"u": (wave(X, samples=1)[0][:0], ["t", "x"])})
    with pytest.raises(UserError, match="holds 0 of 21 writes: the files of the single processes are missing"):
        load(path, TRAVEL)


def py_pde(path, values, grid_, **part):
    with h5py.File(path, "w") as file:
        file["data"], file["times"] = values, T
        about = {"class": '"ScalarField"', "grid": json.dumps(grid_), "label": "null", "dtype": '"<f8"'} | part
        file.attrs["field_attributes"] = json.dumps(about)
    return path


def test_py_pde_tells_the_period_of_each_axis(tmp_path):
    x, y = grid(32, centred=True), 0.5 + np.arange(24)
    u = plane_wave(x, y, samples=1)
    grid_ = {
        "class": "CartesianGrid",
        "bounds": [[0, 2 * np.pi], [0, 24]],
        "shape": [32, 24],
        "periodic": [True, False],
    }
    data = load(py_pde(tmp_path / "a.h5", u[0], grid_), PLANE)
    holds(data, u, [2 * np.pi, None])
    np.testing.assert_allclose(data.axes[0].nodes, x)


def test_py_pde_with_several_fields(tmp_path):
    x = grid(32, centred=True)
    u = wave(x, samples=2).transpose(1, 0, 2)
    grid_ = {"class": "CartesianGrid", "bounds": [[0, 2 * np.pi]], "shape": [32], "periodic": [True]}
    one = {"class": '"ScalarField"', "grid": json.dumps(grid_)}
    parts = [json.dumps(one | {"label": f'"{name}"'}) for name in "uv"]
    data = load(py_pde(tmp_path / "a.h5", u, grid_, fields=parts), TWO)
    holds(data, u.transpose(0, 2, 1)[None], [2 * np.pi])


@pytest.mark.parametrize(
    "grid_", [[], {"class": "CartesianGrid", "shape": [32], "bounds": [[0]]}, {"shape": [3, 3, 3, 3]}]
)
def test_py_pde_without_a_grid(grid_, tmp_path):
    with pytest.raises(UserError, match=r"grid|bounds"):
        load(py_pde(tmp_path / "a.h5", wave(X, samples=1)[0], grid_), TRAVEL)


@pytest.mark.parametrize(("kind", "periodic"), [("periodic", True), ("outflow", False)])
def test_pyro_has_one_time(kind, periodic, tmp_path):
    u = plane_wave(grid(32, centred=True), grid(24, centred=True), samples=1)[0, :1]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["state/density/data"] = u[0]
        for end in ("xlb", "xrb", "ylb", "yrb"):
            file["state/density"].attrs[end] = kind
        sizes = {"nx": 32, "ny": 24, "xmin": 0.0, "xmax": 2 * np.pi, "ymin": 0.0, "ymax": 2 * np.pi}
        file.create_group("grid").attrs.update(sizes)
        file.attrs["time"] = 0.25
    data = load(tmp_path / "a.h5", PLANE)
    assert data.t.tolist() == [0.25]
    holds(data, u[None], [2 * np.pi if periodic else None] * 2)
