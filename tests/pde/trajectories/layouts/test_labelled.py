"""xarray and zarr where they are installed; without them a sentence, and stand-ins with their interface."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from layouts import PLANE, T, grid, holds, plane_wave
from symflow.errors import UserError
from symflow.pde import load
from symflow.pde.trajectories.layouts.contents import Wanted
from symflow.pde.trajectories.layouts.labelled import from_xarray

X, Y = grid(32), grid(24)


def test_a_dataset_of_xarray(tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    u = plane_wave(X, Y)
    held = xarray.Dataset({"phi": (("sample", "time", "lon", "lat"), u)}, {"time": T, "lon": X, "lat": Y}, {"nu": 0.5})
    data = load(held, PLANE)
    holds(data, u, [2 * np.pi] * 2)
    again = load(data.to_xarray(), PLANE)
    holds(again, u, [2 * np.pi] * 2)


class Variable:
    """What is asked of a variable of xarray."""

    def __init__(self, dims, values):
        self.dims, self.values, self.attrs = dims, values, {}


def test_what_is_asked_of_a_dataset():
    """The same without xarray: dates are decoded, NaN is missing."""
    u = plane_wave(X, Y)
    u[0, 0, 0, 0] = np.nan
    dates = np.datetime64("2000-01-01", "ns") + (T * 1e9).astype("timedelta64[ns]")

    variables = {
        "phi": Variable(("sample", "time", "x", "y"), u),
        "time": Variable(("time",), dates),
        "x": Variable(("x",), X),
        "y": Variable(("y",), Y),
    }
    dataset = SimpleNamespace(variables=variables, data_vars=["phi"], attrs={"nu": 0.5}, dims={})
    found = from_xarray(dataset, Wanted())
    np.testing.assert_allclose(found.axes["t"].values, T, atol=1e-9)
    assert found.fields["phi"].missing.sum() == 1
    assert found.parameters == {"nu": 0.5}


def test_without_zarr_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group"}))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(UserError, match="a zarr store needs zarr, which is not installed; pip install zarr"):
        load(tmp_path / "a.zarr", PLANE)


def test_a_zarr_store(tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    pytest.importorskip("zarr", reason="zarr is not installed")
    u = plane_wave(X, Y)
    held = xarray.Dataset({"phi": (("sample", "time", "x", "y"), u)}, {"time": T, "x": X, "y": Y})
    held.to_zarr(tmp_path / "a.zarr")
    holds(load(tmp_path / "a.zarr", PLANE), u, [2 * np.pi] * 2)
