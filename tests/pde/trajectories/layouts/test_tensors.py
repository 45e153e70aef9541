"""Tensors that torch saved, and nothing else that a pickle could hold."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from layouts import TRAVEL, T, grid, holds, wave
from symflow.errors import UserError
from symflow.pde import describe, load

X = grid(32)


def test_tensors_by_name(tmp_path):
    torch.save({"u": torch.from_numpy(wave(X)), "x": torch.from_numpy(X), "t": torch.from_numpy(T)}, tmp_path / "a.pt")
    holds(load(tmp_path / "a.pt", TRAVEL), wave(X), [2 * np.pi])


def test_neuraloperator_stores_no_coordinates(tmp_path):
    x = np.arange(32) / 32
    y = torch.from_numpy(wave(2 * np.pi * x, 2 * np.pi * T))
    torch.save({"x": y[:, 0].clone(), "y": y, "visc": torch.tensor([[0.01]])}, tmp_path / "a.pt")
    data = load(tmp_path / "a.pt", TRAVEL)
    holds(data, y, [1.0])
    assert data.settings["notes"] == ["coordinates are not stored: t from 0 to 1, x over a period of 1"]
    assert describe(tmp_path / "a.pt").guess == "u_t + u*u_x = 0.01*u_xx"


def test_nothing_is_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "boom"),))

    torch.save({"u": Bomb(), "x": torch.from_numpy(X)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="the file must hold tensors and nothing else"):
        load(tmp_path / "a.pt", TRAVEL)
    assert not (tmp_path / "boom").exists()


def test_an_array_without_coordinates(tmp_path):
    np.save(tmp_path / "a.npy", wave(X))
    with pytest.raises(UserError, match=r"holds one array of shape \[3, 21, 32\] without coordinates"):
        load(tmp_path / "a.npy", TRAVEL)
