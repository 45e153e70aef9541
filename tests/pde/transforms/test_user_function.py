"""Kinds of functions, their faults, and how they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symflow.errors import UserError
from symflow.pde import Equation, audit_transform, load_function
from symflow.pde.transforms.user_function import DataTransform, PointTransform, as_transform
from transformations import KDV, SINE_GORDON, boost

FAULTS: list[tuple[Equation, Callable[..., Any], str]] = [
    (KDV, lambda x, t, u: (x, t, u), r"must take \(x, t, u, epsilon\), got a function of \(x, t, u\)"),
    (KDV, lambda x, t, u, e: (x, t), "returned 2 values instead of"),
    (KDV, lambda x, t, u, e: (x, t, u[:3]), r"returned u of shape \[3\]"),
    (KDV, lambda x, t, u, e: (x, t, "u"), "returned str instead of an array for u"),
    (KDV, lambda x, t, u, e: (x, t, u * 1j), "returned complex numbers for u"),
    (KDV, lambda x, t, u, e: u[0] / 0 + [][0], "raised IndexError"),
    (KDV, lambda x, t, u, e: (x, t, u * np.nan), "must have finite values near most points"),
    (KDV, lambda x, t, u, e: (x, t, u), "must move points"),
    (KDV, lambda x, t, u, e: u + np.random.default_rng().normal(), "gave different answers to the same call"),
    (KDV, lambda x, t, u, e: u * (np.nan if e else 1.0), "must return finite data"),
    (SINE_GORDON, lambda x, t, u, e: u, r"must map \(x, t, u\) elementwise, but at points it returned one value"),
    (Equation("u_t + u_xx = 0"), lambda x, t, u, e: np.roll(u, 1, -1), "needs solutions on a period, but cannot solve"),
]


def test_kinds_are_told_apart() -> None:
    assert isinstance(as_transform(boost, KDV), PointTransform)
    assert isinstance(as_transform(lambda x, t, u, e: u + e, KDV), DataTransform)
    assert isinstance(as_transform(lambda x, t, u, e: (x, t, np.roll(u, 1, -1)), KDV), DataTransform)
    assert isinstance(as_transform(lambda x, t, u, e: torch.roll(u, 1, -1), KDV), DataTransform)


@pytest.mark.parametrize(("equation", "function", "sentence"), FAULTS)
def test_faults_of_functions_are_sentences(equation: Equation, function: Callable[..., Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        audit_transform(function, equation)
    assert "\n" not in str(caught.value)


def test_load_function(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("RATE = 2.0\n")
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from beside import RATE\n"
        "@dataclass\nclass Point:\n    x: float\n"
        "def shift(x, t, u, epsilon):\n    return x + RATE * epsilon, t, u\n"
        "number = 3\n"
    )
    assert audit_transform(load_function(f"{file}:shift"), KDV).proven
    broken = tmp_path / "broken.py"
    broken.write_text("1/0\n")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f(:\n")
    leaves = tmp_path / "leaves.py"
    leaves.write_text("import sys\nsys.exit(3)\n")
    for reference, sentence in {
        "mine": "must be given as 'path.py:function', got 'mine'",
        f"{file}": "must be given as",
        f"{tmp_path / 'none.py'}:f": "there is no file",
        f"{file}:absent": "must define 'absent'",
        f"{file}:number": "must be a function, got int",
        f"{broken}:f": "must run without an error, got ZeroDivisionError: division by zero",
        f"{wrong}:f": "must run without an error, got SyntaxError",
        f"{leaves}:f": "must run without an error, got SystemExit: 3",
    }.items():
        with pytest.raises(UserError, match=sentence) as caught:
            load_function(reference)
        assert "\n" not in str(caught.value)
