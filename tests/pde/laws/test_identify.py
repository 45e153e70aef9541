"""Equations found in data alone, and what is said when there is none."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from symflow.errors import UserError
from symflow.pde import CATALOGUE, generate
from symflow.pde.laws import identify
from symflow.pde.laws.identify import _term
from symflow.pde.laws.intervals import rounded

pytest.importorskip("pysindy")


@pytest.mark.parametrize(("name", "level"), [("kdv", 0.0), ("kdv", 0.01), ("burgers", 0.0), ("burgers", 0.01)])
def test_data_give_their_equation(name, level):
    data = generate(name, 6, 0, resolution=512 if name == "burgers" else 256, keep=100 if name == "burgers" else 60)
    random = torch.Generator().manual_seed(0)
    u = data.u + level * data.u.std() * torch.randn(data.u.shape, dtype=torch.float64, generator=random)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    found = identify(data.x, data.t, u)
    assert found.K.equals(CATALOGUE[name].equation.K), found.text
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002  PySINDy's draws leave no trace


def test_noise_has_no_law():
    random = torch.Generator().manual_seed(0)
    u = torch.randn(8, 40, 64, dtype=torch.float64, generator=random)
    with pytest.raises(UserError, match=r"no law fits the data|do not determine"):
        identify(torch.arange(64.0), torch.arange(40.0), u)


def test_without_pysindy_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysindy", None)
    with pytest.raises(UserError, match=r"pip install 'symflow-torch\[identify\]'"):
        identify(torch.arange(64.0), torch.arange(40.0), torch.randn(8, 40, 64, dtype=torch.float64))


def test_names_of_features():
    names = ("x0", "x0^2", "x0_1", "x0_1111", "x0x0_1", "x0^2x0_11")
    assert [str(_term(n)) for n in names] == ["u", "u**2", "u_x", "u_xxxx", "u*u_x", "u**2*u_xx"]


def test_rounding_stays_within_the_interval():
    assert rounded(0.99998, 0.9999, 1.0001) == 1.0
    assert rounded(0.010003, 0.00999, 0.01001) == 0.01
    assert rounded(0.0123, 0.01229, 0.01231) == 0.0123
    assert rounded(1.5002, 1.5001, 1.5003) == 1.5002
