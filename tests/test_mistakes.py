"""Mistakes that a new user makes in Python: each is answered with a sentence that lets them go on.

Those of the command line are in tests/test_cli.py and tests/test_commands.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import symflow
from symflow import Coordinates, SymbolicField, UserError, pde, vision

PLANE = Coordinates(("x", "y"))
TURN = SymbolicField(PLANE, [{"dx": "-y", "dy": "x"}])
X, T = torch.arange(32.0, dtype=torch.float64), torch.linspace(0, 1, 12, dtype=torch.float64)
U = torch.sin(2 * torch.pi * X / 32) * torch.ones(2, 12, 1, dtype=torch.float64)
HEAT = pde.Equation("u_t = u_xx")
POINTS = torch.randn(64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found() -> pde.Result:
    return pde.discover("u_t = u_xx + u_x**2")


def mistakes() -> dict[str, tuple[Callable[[Path], Any], str]]:
    return {
        "an equation misspelled": (lambda p: pde.generate("burger", 2), "did you mean 'burgers'?"),
        "a product without its sign": (lambda p: pde.discover("u_t = 2u_xx"), "2*u_xx for 2u_xx"),
        "a function misspelled": (lambda p: pde.discover("u_t = u_xx + sni(u)"), "did you mean 'sin'"),
        "a parameter forgotten": (lambda p: pde.discover("u_t = nu*u_xx"), "unknown name 'nu'"),
        "a parameter that is text": (lambda p: pde.Equation("u_t = nu*u_xx", nu="small"), "'nu' must be a"),
        "an option misspelled": (lambda p: pde.discover("kdv", domian="plane"), "did you mean 'domain'?"),
        "a word that is none of an option's": (
            lambda p: pde.discover("kdv", domain="box"),
            "must be periodic or plane",
        ),
        "a degree beyond reach": (lambda p: pde.discover("kdv", degree=40), "`degree` must be an integer from 0 to 6"),
        "a seed that is no integer": (lambda p: pde.discover("kdv", seed=0.5), "`seed` must be an integer"),
        "an array in place of trajectories": (lambda p: pde.discover(U.numpy()), "`pde.Trajectories` holds arrays"),
        "nothing in place of trajectories": (lambda p: pde.discover(None), "`data` must be trajectories"),
        "a path in place of its data": (lambda p: pde.discover(p / "mine.h5"), "pde.load"),
        "one trajectory without its axis": (lambda p: pde.Trajectories(HEAT, X, T, U[0]), "`u` must have shape"),
        "t and x swapped": (lambda p: pde.Trajectories(HEAT, T, X, U), "swapped"),
        "t and x swapped in u": (lambda p: pde.Trajectories(HEAT, X, T, U.transpose(1, 2)), "swapped"),
        "an equation as text": (lambda p: pde.Trajectories("u_t = u_xx", X, T, U), "`equation` must be a pde.Equation"),
        "times that go back": (lambda p: pde.Trajectories(HEAT, X, T.flip(0), U), "`t` must increase"),
        "the right end of a period kept": (
            lambda p: pde.Trajectories(HEAT, X.clone().index_fill(0, torch.tensor([31]), 40.0), T, U),
            "`x` must be increasing and uniform",
        ),
        "numbers that are none": (lambda p: pde.Trajectories(HEAT, X, T, U * torch.nan), "must be finite"),
        "words in place of numbers": (lambda p: pde.Trajectories(HEAT, X, T, "u.npy"), "`u` must be an array"),
        "a folder in place of a file": (lambda p: pde.load(p), "got a folder"),
        "a file that is not there": (lambda p: pde.load(p / "mine.h5"), "no file"),
        "a folder without a run": (lambda p: symflow.load_result(p), "result.json"),
        "a file in place of a folder of images": (lambda p: vision.load(__file__), "must be a folder of images"),
        "a function in place of a field": (
            lambda p: symflow.flow(lambda z: z, POINTS[None], torch.ones(1, 1, dtype=torch.float64)),
            "`field` must be a field",
        ),
        "integers in place of points": (
            lambda p: symflow.flow(TURN, np.ones((1, 4, 2), int), np.ones((1, 1))),
            "floating-point",
        ),
        "two precisions": (lambda p: symflow.flow(TURN, POINTS[None].float(), torch.ones(1, 1).double()), "`weights`"),
        "points of another space": (lambda p: TURN(torch.zeros(4, 3)), "the 2 coordinates"),
        "points without their batch": (lambda p: symflow.flow(TURN, POINTS, torch.ones(1, 1).double()), "`points`"),
        "a component without its d": (lambda p: SymbolicField(PLANE, [{"x": "1"}]), "the keys dx, dy, got x"),
        "a grid of the wrong rank": (
            lambda p: symflow.GridField(PLANE, torch.zeros(4, 4, 2)),
            "`values` must have shape",
        ),
        "images with their channels last": (
            lambda p: symflow.warp(torch.zeros(2, 32, 32, 3), torch.zeros(1, 32, 32)),
            "`grid` must",
        ),
        "images of integers": (
            lambda p: vision.GeneratorAugment(vision.affine_field(), 0.1)(torch.zeros(3, 8, 8, dtype=torch.uint8)),
            "floating-point",
        ),
        "a function in place of a problem": (lambda p: symflow.discover(lambda z: z.sum(-1)), "symflow.invariance"),
        "data without a function": (lambda p: symflow.invariance(POINTS, POINTS), "function"),
        "one number for each datum forgotten": (
            lambda p: symflow.discover(symflow.invariance(lambda z: z.square().sum(), POINTS)),
            "`residual` must return [B, ...]",
        ),
    }


@pytest.mark.parametrize("name", mistakes())
def test_a_mistake_gets_a_sentence(name: str, tmp_path: Path) -> None:
    call, sentence = mistakes()[name]
    (tmp_path / "mine").mkdir()
    with pytest.raises((UserError, TypeError, ValueError)) as refusal:
        call(tmp_path)
    said = str(refusal.value)
    assert sentence in said, said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda r: r.augment(U), "`data` must be trajectories"),
        (lambda r: r.generators[0](torch.zeros(4, 2)), "the 3 coordinates"),
        (lambda r: r.save("/nowhere/at/all/result.json"), "/nowhere/at/all"),
        (lambda r: r.plot(axes=[]), "`axes` must hold at least"),
    ],
)
def test_a_mistake_with_a_result_gets_a_sentence(call: Callable[[Any], Any], sentence: str, found: pde.Result) -> None:
    with pytest.raises((UserError, TypeError, ValueError, OSError)) as refusal:
        call(found)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(("missing", "call"), [("pandas", "to_pandas"), ("matplotlib", "plot")])
def test_what_is_not_installed_is_named(
    missing: str, call: str, found: pde.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not there
    with pytest.raises(UserError, match=f"`{call}` needs {missing}, which is not installed: `pip install {missing}`"):
        getattr(found, call)()


def test_they_are_at_least_twenty() -> None:
    assert len(mistakes()) >= 20
