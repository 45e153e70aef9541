"""What commands are given, as data and equations."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.errors import UserError

from .settings import Reading, Variables

if TYPE_CHECKING:
    from symflow.pde import Equation, Trajectories


def formula(text: str, parameters: dict[str, float], variables: Variables) -> Equation:
    """An equation by its name or its text."""
    from symflow import pde

    if text in pde.CATALOGUE:
        return pde.CATALOGUE[text].equation
    return pde.Equation(text, variables.independent, variables.unknowns, **parameters)


def read(
    data: str | None, equation: str | None, parameters: dict[str, float], variables: Variables, reading: Reading
) -> tuple[Trajectories | Equation, str]:
    """The data or equation, and a string that tells it from any other."""
    from symflow import pde

    if data is None and equation is None:
        raise UserError("a file of trajectories or `--equation` must be given, got neither")
    if data is not None and Path(data).exists():
        trajectories = load(Path(data), equation, parameters, variables, reading, check=False)
        content = hashlib.sha256(trajectories.u.numpy().tobytes())
        content.update(f"{trajectories.equation.text} {trajectories.equation.parameters}".encode())
        return trajectories, content.hexdigest()
    text = data if data is not None and equation is None else equation
    if text is None or (data is not None and equation is not None):
        raise UserError(f"`data` must be a file of trajectories, got {data!r}, and there is no such file")
    if text not in pde.CATALOGUE and "=" not in text and "_" not in text:
        raise UserError(f"`data` must be a file of trajectories or a formula, got {text!r}, and there is no such file")
    found = formula(text, parameters, variables)
    return found, f"{found.text} {found.parameters} {found.names}"


def load(
    path: Path,
    equation: str | None,
    parameters: dict[str, float],
    variables: Variables,
    reading: Reading,
    *,
    check: bool,
) -> Trajectories:
    """Data with their equation, which is fitted to them where neither the file nor the command line says it."""
    from symflow import pde

    named = None if equation is None else formula(equation, parameters, variables)
    how: dict[str, Any] = {"samples": reading.samples, "group": reading.group, "boundary": reading.ends}
    how |= reading.names
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
