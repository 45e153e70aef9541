"""The Well: components, axes that are absent, boundary conditions with their masks."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from layouts import PLANE, T, grid, holds, plane_wave
from symflow.errors import UserError
from symflow.pde import Equation, describe, load

X, Y = grid(32), grid(24)


def well(path, fields, kind="PERIODIC", mask=True, x=X):
    """A file with the given ``{(order, name): (values, attributes)}``."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"dataset_name": "waves", "n_spatial_dims": 2, "n_trajectories": 3, "speed": 0.5})
        file.attrs["simulation_parameters"] = ["speed"]
        file["dimensions/time"], file["dimensions/x"], file["dimensions/y"] = T, x, Y
        file["dimensions"].attrs["spatial_dims"] = ["x", "y"]
        for axis, nodes in (("x", x), ("y", Y)):
            group = file.create_group(f"boundary_conditions/{axis}_periodic")
            group.attrs["bc_type"], group.attrs["associated_dims"] = kind, axis
            group["mask"] = np.zeros(len(nodes), bool)
            group["mask"][0] = group["mask"][-1] = mask
        for order in range(3):
            group = file.create_group(f"t{order}_fields")
            names = [name for o, name in fields if o == order]
            group.attrs["field_names"] = np.array(names, h5py.string_dtype())
            for name in names:
                values, said = fields[order, name]
                group[name] = values
                group[name].attrs.update(
                    {"sample_varying": True, "time_varying": True, "dim_varying": [True, True]} | said
                )
    return path


def test_vectors_are_fields_by_component(tmp_path):
    u = plane_wave(X, Y)
    path = well(tmp_path / "a.hdf5", {(1, "velocity"): (np.stack([u, 3 * u], -1), {}), (0, "s"): (u, {})})
    two = Equation("u_t + u_x + u_y/2 = 0; v_t + v_x + v_y/2 = 0")
    holds(load(path, two), np.stack([u, 3 * u], -1), [2 * np.pi] * 2)
    holds(load(path, PLANE, fields={"u": "velocity_y"}, samples=2), 3 * u[:2], [2 * np.pi] * 2)
    found = describe(path)
    assert found.parameters == {"speed": 0.5}
    assert {f.name for f in found.fields} == {"s", "velocity_x", "velocity_y"}


def test_axes_that_a_field_does_not_vary_along_are_absent(tmp_path):
    u = plane_wave(X, Y)
    still = {"time_varying": False, "dim_varying": [True, False], "sample_varying": False}
    path = well(tmp_path / "a.hdf5", {(0, "u"): (u, {}), (0, "v"): (np.sin(X), still)})
    data = load(path, Equation("u_t + u_x + u_y/2 = 0; v_t + v_y = 0"))
    holds(data, np.stack(np.broadcast_arrays(u, np.sin(X)[:, None]), -1), [2 * np.pi] * 2)


@pytest.mark.parametrize(
    ("kind", "mask", "period"), [("periodic", True, 2 * np.pi), ("WALL", True, None), ("PERIODIC", False, 2 * np.pi)]
)
def test_conditions_hold_where_their_mask_says_so(kind, mask, period, tmp_path):
    """Where no mask is set the file says nothing, and the ends of the data decide."""
    path = well(tmp_path / "a.hdf5", {(0, "u"): (plane_wave(X, Y), {})}, kind, mask)
    assert [a.period and round(a.period, 9) for a in load(path, PLANE).axes] == [period and round(period, 9)] * 2


def test_nodes_of_their_own(tmp_path):
    x = np.pi * (1 - np.cos(np.pi * (np.arange(32) + 0.5) / 32))
    data = load(well(tmp_path / "a.hdf5", {(0, "u"): (plane_wave(x, Y), {})}, "WALL", x=x), PLANE)
    np.testing.assert_array_equal(data.axes[0].nodes, x)
    assert data.axes[0].period is None


def test_shapes_that_are_not_those_of_the_attributes(tmp_path):
    path = well(tmp_path / "a.hdf5", {(0, "u"): (plane_wave(X, Y)[0], {})})
    with pytest.raises(UserError, match="`u` must have the dimensions sample, t, x, y and 0 of components"):
        load(path, PLANE)
    with pytest.raises(UserError, match="the file has no fields"):
        load(well(tmp_path / "b.hdf5", {}), PLANE)
