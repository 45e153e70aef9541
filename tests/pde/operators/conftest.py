"""Few and short trajectories, made once."""

import pytest

from symflow import pde


@pytest.fixture(scope="session")
def data() -> pde.Trajectories:
    return pde.generate("kdv", samples=7, seed=1, end=40.0, steps=100, keep=60, resolution=128)
