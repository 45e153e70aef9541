"""The page of failures quotes what is said: each sentence is provoked here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import symflow
from symflow import UserError, pde
from symflow._version import namesake
from symflow.discovery import EquationVerdict
from symflow.pde.augmentation import keeping_grid
from symflow.problems.count import count

PAGE = re.sub(r"\s+", " ", (Path(__file__).parents[1] / "docs" / "faq.md").read_text())
QUOTED = re.findall(r'\*\*"(.*?)"', PAGE)


@pytest.fixture(scope="module")
def waves() -> pde.Trajectories:
    return pde.generate("kdv", 4, seed=0, steps=100, keep=100, end=50.0, resolution=128)


def said(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as refusal:
        call()
    return str(refusal.value)


def spaced(data: pde.Trajectories, factor: float) -> pde.Trajectories:
    """With nodes in x that are too close or too far, as where L was divided by n + 1."""
    return pde.Trajectories(data.equation, data.x * factor, data.t, data.u)


def beside_a_namesake(folder: Path) -> str:
    (folder / "symflow-0.1.0.dist-info").mkdir()
    return str(namesake(folder))


def described(folder: Path) -> str:
    x, t = np.linspace(0, 1, 64), np.linspace(0, 1, 30)
    np.savez(folder / "open.npz", u=np.exp(-3 * x - t[:, None])[None], x=x, t=t)
    return str(pde.describe(folder / "open.npz"))


def near() -> str:
    """The second field violates by five times what replicates leave open, and the third by ten times."""
    values, noise = torch.tensor([0.01, 0.05, 0.1]), torch.full((3,), 0.01)
    return "; ".join(count(values, noise, values, noise, "replicates").why)


def nothing_valid(waves: pde.Trajectories) -> str:
    found = pde.discover("u_t = u_xx")
    found = replace(found, generators=[replace(g, valid=False) for g in found.generators])
    return said(lambda: found.augment(waves, strength=0.1))


def sentences() -> dict[str, Callable[[Path, pde.Trajectories], str]]:
    alone = pde.Equation("u_t = u_xx")
    return {
        "the package symflow 0.1.0 of another project is installed": lambda p, w: beside_a_namesake(p),
        "where they end was not found: there may be infinitely many": lambda p, w: (
            EquationVerdict("proved", 4, stable=False).reach
        ),
        "at most 1 of 7 not found in closed form, counted modulo a prime": lambda p, w: (
            EquationVerdict("proved", 6, missing=1).reach
        ),
        "unknown name 'nu'": lambda p, w: said(lambda: pde.discover("u_t = nu*u_xx")),
        "every coefficient would agree if the spacing of x were 0.992188 times what is stored": lambda p, w: str(
            pde.audit_data(spaced(w, 128 / 127))
        ),
        "too coarse in x": lambda p, w: str(pde.audit_data(w.coarsen(16))),
        "nothing changes in them": lambda p, w: str(pde.audit_data(replace(w, u=torch.ones_like(w.u)))),
        "the ends of the data do not meet ... open": lambda p, w: described(p),
        "`result` must hold a generator that is valid for data to move them along": lambda p, w: nothing_valid(w),
        "`data` must solve ... to be moved along its symmetries": lambda p, w: said(
            lambda: pde.discover(alone).augment(w, strength=0.1)
        ),
        "holds no generator with the period of the data": lambda p, w: said(
            lambda: keeping_grid([{"dx": "x", "dt": "3*t", "du": "-2*u"}], w)
        ),
        "too near to tell": lambda p, w: near(),
        "`residual` must keep the gradient of its points": lambda p, w: said(
            lambda: symflow.discover(
                symflow.invariance(lambda z: z.detach().square().sum(-1), torch.randn(50, 2, dtype=torch.float64))
            )
        ),
    }


def test_every_quotation_is_provoked() -> None:
    assert set(QUOTED) == set(sentences())


@pytest.mark.parametrize("sentence", sentences())
def test_what_is_quoted_is_said(sentence: str, tmp_path: Path, waves: pde.Trajectories) -> None:
    answer = re.sub(r"\s+", " ", sentences()[sentence](tmp_path, waves))
    for part in sentence.split(" ... "):
        assert part in answer, answer
