"""Dimension scales of damaged netCDF files: HDF5's own functions for them crash on some."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from symflow.pde.trajectories.layouts.hdf5 import attached, label_of

LISTS = [np.arange(3), np.zeros(2), np.array([b"x", b"t"]), 7, "axes"]


@pytest.mark.parametrize("content", LISTS, ids=["short", "floats", "texts", "number", "text"])
def test_lists_of_scales_that_are_none(tmp_path: Path, content: object) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["u"] = np.arange(4.0), np.zeros((3, 4))
        file["x"].make_scale("x")
        file["u"].dims[1].attach_scale(file["x"])
        file["u"].dims[1].label = "x"
        assert [scale.name for scale in attached(file["u"], 1)] == ["/x"]
        assert attached(file["u"], 0) == attached(file["x"], 0) == []
        assert [label_of(file["u"], i) for i in range(2)] == ["", "x"]
        file["u"].attrs["DIMENSION_LIST"] = content
        assert attached(file["u"], 1) == []
        del file["u"].attrs["DIMENSION_LIST"]
        null = np.empty(2, h5py.vlen_dtype(h5py.ref_dtype))
        null[:] = [np.array([h5py.Reference()], h5py.ref_dtype)] * 2
        file["u"].attrs.create("DIMENSION_LIST", null, dtype=h5py.vlen_dtype(h5py.ref_dtype))
        assert attached(file["u"], 1) == []
        file["u"].attrs["DIMENSION_LABELS"] = content
        assert label_of(file["u"], 0) in ("", "0.0", "x")
