"""What commands are given: files of data, equations, and numbers for the names in them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.errors import UserError

from .settings import Reading

if TYPE_CHECKING:
    from symflow.pde import Equation, Trajectories


def read_source(
    data: str | None, equation: str | None, parameters: dict[str, float], reading: Reading
) -> tuple[Trajectories | Equation, str]:
    """The data or equation, and a string that tells it from any other."""
    from symflow import pde

    if data is None and equation is None:
        raise UserError("a file of trajectories or `--equation` must be given, got neither")
    if data is not None and Path(data).exists():
        trajectories = read_data(Path(data), equation, parameters, check=False, reading=reading)
        content = hashlib.sha256(trajectories.u.numpy().tobytes())
        content.update(f"{trajectories.equation.text} {trajectories.equation.parameters}".encode())
        return trajectories, content.hexdigest()
    text = data if data is not None and equation is None else equation
    if text is None or (data is not None and equation is not None):
        raise UserError(f"`data` must be a file of trajectories, got {data!r}, and there is no such file")
    if text in pde.CATALOGUE:
        formula = pde.CATALOGUE[text].equation
    elif "=" in text or "_" in text:
        formula = pde.Equation(text, **parameters)
    else:
        raise UserError(f"`data` must be a file of trajectories or a formula, got {text!r}, and there is no such file")
    return formula, f"{formula.text} {formula.parameters}"


def read_data(
    path: Path, equation: str | None, parameters: dict[str, float], check: bool, reading: Reading
) -> Trajectories:
    """Data with their equation, which is fitted to them where neither the file nor the command line says it."""
    from symflow import pde

    named = equation if equation is None or equation in pde.CATALOGUE else pde.Equation(equation, **parameters)
    how: dict[str, Any] = {
        "samples": reading.samples,
        "group": reading.group,
        "boundary": reading.ends,
        **reading.names,
    }
    try:
        return pde.load(path, equation=named, check=check, **how)
    except pde.UnknownEquation:
        print("symflow: the data do not name their equation; one is fitted to them", file=sys.stderr)
        return pde.load_identified(path, **how)


def numbers(parameters: Sequence[str]) -> dict[str, float]:
    """``("nu=0.01",)`` as a dictionary."""
    values = {}
    for text in parameters:
        name, sign, number = text.partition("=")
        try:
            values[name.strip()] = float(number)
        except ValueError:
            sign = ""
        if not sign:
            raise UserError(f"`parameters` must be of the form name=number, got {text!r}")
    return values
