"""PDEArena's groups: grids, or steps in their place. LPSDA's are in test_files."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from layouts import PLANE, TRAVEL, T, grid, holds, plane_wave, wave
from symflow.errors import UserError
from symflow.pde import describe, load

X = grid(32)


def test_steps_in_place_of_grids(tmp_path):
    with h5py.File(tmp_path / "KS_train_3.h5", "w") as file:
        file["train/pde_21-32"] = wave(X)
        file["train/dt"], file["train/dx"] = np.full(3, T[1]), np.full(3, X[1])
        file["train/v"] = np.full(3, 0.5)
    data = load(tmp_path / "KS_train_3.h5", TRAVEL)
    holds(data, wave(X), [2 * np.pi])
    np.testing.assert_allclose(data.t, T, atol=1e-15)
    assert describe(tmp_path / "KS_train_3.h5").parameters == {"v": 0.5}
    with h5py.File(tmp_path / "KS_train_3.h5", "a") as file:
        file["train/dx"][1] *= 1.1
    with pytest.raises(UserError, match="`x` must be the same for every trajectory; their grids differ"):
        load(tmp_path / "KS_train_3.h5", TRAVEL)


def test_smoke_in_a_closed_box(tmp_path):
    u = plane_wave(X, X)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for group in ("valid", "test"):
            for name, n in (("u", 1), ("vx", 2), ("vy", 3)):
                file[f"{group}/{name}"] = n * u
            for name, nodes in (("t", T), ("x", X), ("y", X)):
                file[f"{group}/{name}"] = np.tile(nodes, (3, 1))
            file[f"{group}/buo_y"] = np.full(3, 0.5)
    holds(load(tmp_path / "a.h5", PLANE), 2 * u, [None, None])  # u of the equation is the velocity
    holds(load(tmp_path / "a.h5", PLANE, fields={"u": "s"}, group="test"), u, [None, None])
    found = describe(tmp_path / "a.h5")
    assert found.parameters == {"buo_y": 0.5}
    assert any("run to both ends of the box" in sentence for sentence in found.sentences)
    with pytest.raises(UserError, match="`group` must be one of valid, test, got 'train'"):
        load(tmp_path / "a.h5", PLANE, group="train")
