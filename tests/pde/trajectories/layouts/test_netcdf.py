"""netCDF, classic by scipy's writer and 4 by h5py: masks, packed numbers, records, dates, damage."""

from __future__ import annotations

import contextlib

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from layouts import PLANE, TRAVEL, T, grid, holds, plane_wave, wave
from symflow.errors import UserError
from symflow.pde import audit_data, describe, load, save

X, Y = grid(32), grid(24)


def classic(path, version=1, record=False, dtype="f8"):
    with scipy.io.netcdf_file(path, "w", version=version) as file:
        file.createDimension("time", None if record else len(T))
        file.createDimension("lat", len(Y))
        file.createDimension("lon", len(X))
        for name, nodes in (("time", T), ("lat", Y), ("lon", X)):
            variable = file.createVariable(name, "f8", (name,))
            variable[:] = nodes
        u = file.createVariable("phi", dtype, ("time", "lat", "lon"))
        u[:] = plane_wave(X, Y, samples=1)[0].transpose(0, 2, 1)
        file.nu = 0.5
    return path


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("record", [False, True])
def test_classic_files(version, record, tmp_path):
    path = classic(tmp_path / "a.nc", version, record)
    holds(load(path, PLANE), plane_wave(X, Y, samples=1), [2 * np.pi] * 2)
    assert describe(path).parameters == {"nu": 0.5}


def test_a_single_record_variable_is_not_padded(tmp_path):
    with scipy.io.netcdf_file(tmp_path / "a.nc", "w") as file:
        file.createDimension("t", None)
        file.createDimension("x", 9)
        u = file.createVariable("u", "i2", ("t", "x"))
        u[:] = np.arange(5 * 9).reshape(5, 9)
    found = describe(tmp_path / "a.nc")
    assert (found.fields[0].high, found.fields[0].shape) == (44.0, (5, 9))


def test_truncated_and_damaged_classic_files(tmp_path):
    whole = np.frombuffer(classic(tmp_path / "a.nc").read_bytes(), np.uint8)
    for share in (0.001, 0.01, 0.5, 0.99):
        (tmp_path / "b.nc").write_bytes(whole[: int(share * len(whole))].tobytes())
        with pytest.raises(UserError):
            load(tmp_path / "b.nc", PLANE)
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = whole.copy()
        damaged[random.integers(4, 400, 6)] = random.integers(0, 256, 6)
        (tmp_path / "b.nc").write_bytes(damaged.tobytes())
        with contextlib.suppress(UserError):
            load(tmp_path / "b.nc", PLANE)


def netcdf4(path, u, attributes=(), times=T):
    with h5py.File(path, "w") as file:
        for name, nodes in (("sample", np.arange(len(u))), ("time", times), ("x", X)):
            file[name] = nodes
            file[name].make_scale(name)
        file["phi"] = u
        for i, name in enumerate(("sample", "time", "x")):
            file["phi"].dims[i].attach_scale(file[name])
        file["phi"].attrs.update(dict(attributes))
    return path


def test_packed_numbers_and_fill_values(tmp_path):
    u = wave(X)
    packed = np.round((u - 1.0) / 1e-4).astype(np.int16)
    packed[0, 3, 5] = -32768
    said = {"scale_factor": 1e-4, "add_offset": 1.0, "_FillValue": np.int16(-32768)}
    data = load(netcdf4(tmp_path / "a.nc", packed, said), TRAVEL)
    assert data.missing is not None
    assert data.missing.nonzero().tolist() == [[0, 3, 5]]
    np.testing.assert_allclose(data.u[1:], u[1:], atol=6e-5)
    assert describe(tmp_path / "a.nc").fields[0].missing == pytest.approx(1 / u.size)


def test_what_is_missing_is_left_out_by_the_audit(tmp_path):
    x, t = grid(64), np.linspace(0, 2, 61)
    u = wave(x, t)
    u[1, 20:23, 10:13] = np.nan
    with h5py.File(tmp_path / "a.nc", "w") as file:
        for name, nodes in (("sample", np.arange(3)), ("t", t), ("x", x)):
            file[name] = nodes
            file[name].make_scale(name)
        file["u"] = u
        file["u"].attrs["_FillValue"] = np.nan
        for i, name in enumerate(("sample", "t", "x")):
            file["u"].dims[i].attach_scale(file[name])
    data = load(tmp_path / "a.nc", TRAVEL, boundary="periodic")
    assert audit_data(data).verdict == "solves"
    again = load(save(data, tmp_path / "b.h5"))
    assert torch.equal(again.missing, data.missing)
    assert torch.equal(again.u, data.u)
    with pytest.raises(UserError, match=r"a jet needs one unknown u on a periodic line, .* some values missing"):
        data.jets(10, 2)
    with h5py.File(tmp_path / "a.nc", "a") as file:
        del file["u"].attrs["_FillValue"]
    with pytest.raises(UserError, match="`u` must be finite, got nan first in trajectory 1"):
        load(tmp_path / "a.nc", TRAVEL)


def test_what_was_never_written_is_missing(tmp_path):
    """netCDF's own mark stands where a file names none."""
    u = wave(X)
    u[2, 7, 4] = 9.969209968386869e36
    data = load(netcdf4(tmp_path / "a.nc", u, {}), TRAVEL)
    assert data.missing.nonzero().tolist() == [[2, 7, 4]]
    assert data.axes[0].period is not None  # as the other rows tell
    u[:, :, 3] = np.nan
    data = load(netcdf4(tmp_path / "b.nc", u, {"_FillValue": np.nan}), TRAVEL)
    assert data.axes[0].period is None
    assert "x is open: whether the ends of 32 nodes meet cannot be told" in data.settings["notes"]


@pytest.mark.parametrize("offset", [(1.0, 0.5), (0.5, 1.0), (1.0, 1.0)])
def test_velocities_on_the_faces_of_cells(offset, tmp_path):
    """As jax-cfd stores them; the audit of a flow without divergence, u = a sin x cos y, v = -a cos x sin y."""
    x, y = grid(32, centred=True), grid(24, centred=True)
    h = np.array([x[1] - x[0], y[1] - y[0]])
    t = np.linspace(0, 1, 31)
    shifts = {"u": (np.array(offset) - 0.5) * h, "v": (np.array(offset[::-1]) - 0.5) * h}

    def flow(name, sx, sy):
        px, py = x[:, None] + sx, y[None] + sy
        shape = np.sin(px) * np.cos(py) if name == "u" else -np.cos(px) * np.sin(py)
        return np.exp(-2 * t)[:, None, None] * shape

    with h5py.File(tmp_path / "a.nc", "w") as file:
        for name, nodes in (("time", t), ("x", x), ("y", y)):
            file[name] = nodes
            file[name].make_scale(name)
        for name, cells in (("u", offset), ("v", offset[::-1])):
            file[name] = flow(name, *shifts[name])
            file[name].attrs["offset"] = cells
            for i, dim in enumerate(("time", "x", "y")):
                file[name].dims[i].attach_scale(file[dim])
    data = load(tmp_path / "a.nc", "u_x + v_y = 0; u_t = u_xx + u_yy")
    common = shifts["u"] if offset[0] == offset[1] else (0.0, 0.0)  # all on one grid: that grid is theirs
    for name in ("u", "v"):
        np.testing.assert_allclose(data.field(name)[0], flow(name, *common), atol=1e-14)
    np.testing.assert_allclose(data.axes[0].nodes, x + common[0])
    assert audit_data(data).verdict == "solves"
    with (
        pytest.raises(UserError, match="must lie on the same nodes of x")
        if offset[0] != offset[1]
        else (contextlib.nullcontext())
    ):
        load(tmp_path / "a.nc", "u_x + v_y = 0; u_t = u_xx + u_yy", boundary="open")


def test_units_since_a_date_are_said(tmp_path):
    path = netcdf4(tmp_path / "a.nc", wave(X))
    with h5py.File(path, "a") as file:
        file["time"].attrs["units"] = "hours since 1996-1-1"
    assert load(path, TRAVEL).settings["notes"] == ["time in hours since 1996-1-1"]


def test_a_dimension_without_coordinates(tmp_path):
    path = netcdf4(tmp_path / "a.nc", wave(X))
    with h5py.File(path, "a") as file:
        file["x"][:] = 0
        file["x"].attrs["NAME"] = "This is a netCDF dimension but not a netCDF variable.        32"
    with pytest.raises(UserError, match="the file has no coordinates of x"):
        load(path, TRAVEL)
    assert "x: 32 nodes, whose coordinates are not stored" in describe(path).sentences
