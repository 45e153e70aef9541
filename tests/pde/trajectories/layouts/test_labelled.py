"""xarray and zarr where they are installed; without them a sentence, and stand-ins with their interface."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from layouts import PLANE, T, grid, holds, plane_wave
from symflow.errors import UserError
from symflow.pde import Equation, Trajectories, load, save
from symflow.pde.trajectories import Axis
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

    def __init__(self, dims, values, attrs=None):
        self.dims = (dims,) if isinstance(dims, str) else tuple(dims)
        self.values, self.attrs = np.asarray(values), dict(attrs or {})
        self.shape = self.values.shape


class Dataset:
    """What is asked of a Dataset, and how one is made."""

    def __init__(self, data_vars, coords, attrs):
        given = {**data_vars, **coords}
        self.variables = {k: Variable(*(v if isinstance(v, tuple) else (k, v))) for k, v in given.items()}
        self.data_vars, self.coords, self.attrs = list(data_vars), list(coords), attrs

    @property
    def sizes(self):
        return {d: n for v in self.variables.values() for d, n in zip(v.dims, v.shape, strict=True)}

    dims = sizes

    def isel(self, which):
        """A part along some dimensions."""
        found = Dataset({}, {}, self.attrs)
        for name, v in self.variables.items():
            place = tuple(which.get(d, slice(None)) for d in v.dims)
            found.variables[name] = Variable(v.dims, v.values[place], v.attrs)
        return found


Dataset.__module__ = "xarray.core.dataset"


@pytest.fixture(params=["xarray", "stand-in"])
def xarray(request, monkeypatch):
    """xarray, or what is asked of it."""
    if request.param == "xarray":
        return pytest.importorskip("xarray", reason="xarray is not installed")
    stand = SimpleNamespace(Dataset=Dataset)
    monkeypatch.setitem(sys.modules, "xarray", stand)
    return stand


SHALLOW = Equation("h_t + h*v_x + v*h_x + v_y = 0; v_t + v*v_x + h_x = 0")
SAID = {
    "": {"history": "made by hand", "runs": 3, "levels": [1.5, 2.5]},
    "h": {"units": "m", "long_name": "depth of the water"},
    "v": {"units": "m s-1"},
    "t": {"units": "s"},
    "x": {"units": "m", "axis": "X"},
}


def trajectories():
    """Two unknowns, an axis of each kind, something missing, attributes of all."""
    random = np.random.default_rng(0)
    missing = torch.zeros(2, 5, 16, 12, dtype=torch.bool)
    missing[1, 2, 3] = True
    nodes = torch.from_numpy(np.sort(random.random(12)))
    return Trajectories(
        SHALLOW,
        torch.zeros(0),
        torch.from_numpy(np.cumsum(random.random(5))),
        torch.from_numpy(random.random((2, 5, 16, 12, 2))),
        settings={"origin": "a test", "notes": ["by hand"], "attributes": SAID},
        fields=SHALLOW.space.dependent,
        axes=(Axis("x", torch.from_numpy(0.3 + np.arange(16) / 8), 2.0), Axis("y", nodes)),
        missing=missing,
    )


def same(one, other):
    """Bit for bit, and in all that is said."""
    assert torch.equal(one.u, other.u)
    assert torch.equal(one.t, other.t)
    assert torch.equal(one.missing, other.missing)
    assert [a.name for a in one.axes] == [a.name for a in other.axes]
    for a, b in zip(one.axes, other.axes, strict=True):
        assert a.period is b.period or a.period == pytest.approx(b.period, rel=1e-15)  # which is made of the nodes
    assert all(torch.equal(a.nodes, b.nodes) for a, b in zip(one.axes, other.axes, strict=True))
    for what in ("fields", "name", "seed", "version", "settings"):
        assert getattr(one, what) == getattr(other, what), what
    assert one.equation.text == other.equation.text


def test_nothing_is_lost_on_the_way_to_xarray_and_back(xarray, tmp_path):
    data = trajectories()
    dataset = data.to_xarray()
    assert isinstance(dataset, xarray.Dataset)
    for name, said in SAID.items():
        held = dataset.attrs if name == "" else dataset.variables[name].attrs
        assert said.items() <= held.items()
    same(load(dataset), data)
    save(data, tmp_path / "a.h5")  # nor in a file, on which attributes are those of its data sets
    same(load(tmp_path / "a.h5"), data)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["h"].attrs["units"] == "m"


def test_what_a_dataset_of_others_says_is_kept(xarray):
    u = plane_wave(X, Y)
    u[0, 0, 0, 0] = np.nan
    dims = ("sample", "time", "x", "y")
    made = xarray.Dataset(
        {"phi": (dims, u, {"units": "K"}), "mask": (("x", "y"), np.ones((32, 24)))},
        {"time": ("time", T, {"units": "s"}), "x": ("x", X, {"units": "m"}), "y": ("y", Y)},
        {"title": "plane waves", "nu": 0.5},
    )
    data = load(made, PLANE, fields={"u": "phi"})
    assert data.settings["attributes"] == {
        "": {"title": "plane waves", "nu": 0.5},
        "u": {"units": "K"},
        "t": {"units": "s"},
        "x": {"units": "m"},
    }
    again = data.to_xarray()
    assert again.variables["u"].attrs == {"units": "K"}
    np.testing.assert_array_equal(again.variables["u"].values, u)
    part = load(made, PLANE, fields={"u": "phi"}, most=u[0].nbytes)
    assert torch.equal(part.u, data.u[:1])
    assert "one trajectory in 3 was read: 1 of 3" in part.settings["notes"]


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
    dataset = SimpleNamespace(variables=variables, data_vars=["phi"], attrs={"nu": 0.5}, sizes={})
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


def test_attributes_that_no_file_can_hold_are_left_out(xarray, tmp_path):
    """Of a Dataset, and of a file of our own whose settings say anything."""
    strange = {
        "units": "m\0", "": "no name", "CLASS": "DIMENSION_SCALE", "list": [1, "a"], "nothing": None, "big": 1 << 70,
        "nan": float("nan"), "deep": {"a": 1}, "long": "x" * 5000, "torn": "a\0b", "yes": True,
    }  # fmt: skip
    coords = {"time": T, "x": ("x", X, strange), "y": Y}
    made = xarray.Dataset({"u": (("sample", "time", "x", "y"), plane_wave(X, Y))}, coords, {})
    data = load(made, PLANE)
    assert data.settings["attributes"] == {"x": {"units": "m"}}
    anything = {"x": strange, "/": {"format": "none"}, "u": 3}
    odd = replace(data, settings={"attributes": {k: v for k, v in anything.items() if k != "x"} | {"x": {"deep": {}}}})
    again = load(save(odd, tmp_path / "a.h5"))
    assert torch.equal(again.u, data.u)
    many = {f"{i}": "x" * 4000 for i in range(20)}
    crowded = load(xarray.Dataset({"u": (("sample", "time", "x", "y"), plane_wave(X, Y))}, coords, many), PLANE)
    assert "attributes" not in crowded.settings
    assert "the attributes of the file are too long to be kept" in crowded.settings["notes"]
    save(crowded, tmp_path / "b.h5")
