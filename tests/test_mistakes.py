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
from symflow.pde.equations import equation_of

PLANE = Coordinates(("x", "y"))
TURN = SymbolicField(PLANE, [{"dx": "-y", "dy": "x"}])
X, T = torch.arange(32.0, dtype=torch.float64), torch.linspace(0, 1, 12, dtype=torch.float64)
U = torch.sin(2 * torch.pi * X / 32) * torch.ones(2, 12, 1, dtype=torch.float64)
HEAT = pde.Equation("u_t = u_xx")
IMAGES = vision.Images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]), ("a", "b"), "mine")
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
        "a derivative without its underscore": (lambda p: pde.discover("u_t = uxx"), "did you mean u_xx"),
        "no derivative in sight": (lambda p: pde.discover("ut = uxx"), "such as u_t or u_xx"),
        "LaTeX": (lambda p: pde.discover(r"\frac{\partial u}{\partial t} = 0"), "without LaTeX"),
        "braces": (lambda p: pde.discover("u_t = u_{xx}"), "without LaTeX: u_xx"),
        "primes": (lambda p: pde.discover("u'' + u = 0"), "derivatives are written u_t, u_xx"),
        "curly derivatives": (lambda p: pde.discover("∂u/∂t = ∂²u/∂x²"), "derivatives are written u_t"),
        "a triangle": (lambda p: pde.discover("u_t = Δu"), "written laplace(u)"),
        "a Greek letter": (lambda p: pde.discover("u_t = ν*u_xx"), "of Latin letters, such as nu)"),
        "a module's function": (lambda p: pde.discover("u_t = np.sin(u)"), "by their names alone, sin(u)"),
        "a power of a function's name": (lambda p: pde.discover("u_t = sin^2(u) + u_xx"), "written sin(...)**2"),
        "two signs of equality": (lambda p: pde.discover("u_t == u_xx"), "an equation has one =;"),
        "a comma between equations": (lambda p: pde.discover("u_t = v_x, v_t = u_x"), "separated by semicolons"),
        "a comma in a number": (lambda p: pde.discover("u_t = 0,5*u_xx"), "decimals have a point"),
        "square brackets": (lambda p: pde.discover("u_t = [u_xx + u]"), "parentheses are round"),
        "a variable that is not declared": (lambda p: pde.discover("u_t = u_rr"), "independent='r, t'"),
        "a number without its value": (lambda p: pde.discover("u_t = k*u_xx"), "Equation(text, k=0.1)"),
        "a number in the wrong place": (lambda p: pde.discover("u_t = k*u_xx", k=1.0), "pde.Equation(text, nu=0.1)"),
        "numbers as a mapping": (lambda p: pde.Equation("u_t = k*u_xx", parameters={"k": 1}), "Equation(text, k=1)"),
        "numbers by place": (lambda p: pde.Equation("u_t = k*u_xx", {"k": 1}), "numbers are given by name"),
        "a file in place of an equation": (lambda p: pde.discover("mine.h5"), "`pde.load` reads files"),
        "a boundary that is a number": (lambda p: pde.discover("kdv", boundary=0), "must be text, got int"),
        "an array to classify": (lambda p: pde.classify(U), "`text` must be an equation"),
        "a run by its name": (lambda p: pde.discover("kdv", run="runs/a"), "`run` must be a symflow.runs.Run"),
        "progress as a switch": (lambda p: pde.discover("kdv", progress=True), "`progress` must be called"),
        "one number for a list": (
            lambda p: pde.generate("kdv", 2, wavenumbers=3),
            "`wavenumbers` must be a list, got 3",
        ),
        "a word for a list": (
            lambda p: pde.compare_operators(pde.Trajectories(HEAT, X, T, U), p / "o", arms="none"),
            "`arms` must be a list, got 'none'",
        ),
        "a file to audit": (lambda p: pde.audit_data("mine.h5"), "`data` must be trajectories, got str; `pde.load`"),
        "trajectories in place of a path": (
            lambda p: pde.save(p / "a.h5", pde.Trajectories(HEAT, X, T, U)),
            "`data` must be trajectories",
        ),
        "a number in place of a path": (lambda p: pde.load(3), "`path` must be the path of a file"),
        "an array in place of a path": (lambda p: pde.load(U.numpy()), "by name: u=, x= and t="),
        "nothing in place of a path": (lambda p: symflow.load_result(None), "`path` must be the path"),
        "a name in place of a mapping": (
            lambda p: pde.load(p / "a.npz", equation=HEAT, fields="velocity"),
            "`fields` must be a mapping such as {'u': 'Vx'}",
        ),
        "a result in place of a field": (
            lambda p: symflow.flow(pde.discover("kdv"), POINTS[None], torch.ones(1, 1).double()),
            "the `symbolic_field` of a result",
        ),
        "a formula in place of closed forms": (lambda p: SymbolicField(PLANE, "-y dx + x dy"), "a list of generators"),
        "one closed form without its list": (lambda p: SymbolicField(PLANE, {"dx": "-y"}), "a list of generators"),
        "names in place of coordinates": (lambda p: SymbolicField(("x", "y"), [{"dx": "1"}]), "must be Coordinates"),
        "a list in place of points": (lambda p: TURN([[0.0, 1.0]]), "a tensor or an array [..., 2], got list"),
        "an array of objects": (
            lambda p: symflow.invariance(lambda z: z, POINTS.numpy().astype(object)),
            "arrays of numbers, got one of Python objects",
        ),
        "numbers in place of points": (
            lambda p: symflow.discover(symflow.invariance(lambda z: z**2, POINTS[:, 0])),
            "z[:, None] are points of one coordinate",
        ),
        "a layer in place of a field": (
            lambda p: vision.GeneratorAugment(torch.nn.Linear(2, 2), 0.1),
            "`field` must be a field",
        ),
        "a strength that is text": (lambda p: vision.GeneratorAugment(vision.affine_field(), "0.1"), "`strength` must"),
        "a field in place of its augmentation": (
            lambda p: vision.Transform(vision.affine_field()),
            "`augment` must be GeneratorAugment or ColourAugment",
        ),
        "pixels with their channels last": (
            lambda p: vision.Images(
                torch.zeros(2, 8, 8, 3, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ("a",), "mine"
            ),
            "are the channels last?",
        ),
        "a batch with its channels last": (
            lambda p: vision.GeneratorAugment(vision.affine_field(), 0.1)(torch.zeros(2, 8, 8, 3)),
            "are the channels last?",
        ),
        "labels of another length": (
            lambda p: vision.Images(
                torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), ("a",), "mine"
            ),
            "`labels` must have shape [2], got [3]",
        ),
        "pixels to discover in": (lambda p: vision.discover_images(torch.zeros(4, 3, 8, 8)), "vision.from_dataset"),
        "a share that is text": (lambda p: vision.split(IMAGES, "0.2", 0), "`fraction` must be between 0 and 1"),
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
        (lambda r: r.generators[0]([[0.0, 0.0, 0.0]]), "got list"),
        (lambda r: r.save("."), "must be a file, got the folder '.'"),
        (lambda r: symflow.load_result(r), "a result in memory needs no loading"),
        (lambda r: pde.TrajectoryAugment(r, U, 0.1), "`data` must be trajectories"),
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
    assert len(mistakes()) >= 80


def test_a_number_of_the_catalogue_takes_the_place_of_its_own() -> None:
    """What was given is not passed over in silence."""
    assert equation_of("Burgers", nu=0.5).residuals == pde.Equation("u_t + u*u_x = 0.5*u_xx").residuals
    for name, got in (("burgers", "has the parameters nu, got 'mu'"), ("kdv", "has no parameters, got 'mu'")):
        with pytest.raises(UserError, match=got):
            equation_of(name, mu=0.1)


def test_numbers_of_numpy_are_numbers() -> None:
    """What comes out of an array is taken, and what is kept of it can be written."""
    few = pde.generate("ckdv", 2, seed=np.int64(1), steps=np.int64(20), keep=5, end=np.float64(2.0))
    assert (few.seed, type(few.seed)) == (1, int)


def test_arrays_make_a_table() -> None:
    table = np.zeros((1, 4, 4, 2))
    assert symflow.GridField(PLANE, table, (-1.0, -1.0), (1.0, 1.0)).values.dtype == torch.float64
