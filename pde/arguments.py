"""What commands are given, as data and equations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.console import note
from symflow.errors import UserError, nearest
from symflow.words import number

from .settings import Reading, Variables

if TYPE_CHECKING:
    from symflow.pde import Equation, Trajectories


def formula(text: str, parameters: dict[str, float], variables: Variables) -> Equation:
    """An equation by its name, in any case, or its text."""
    from symflow import pde

    return pde.equations.equation_of(text, variables.independent, variables.unknowns, **parameters)


def read(
    data: str | None, equation: str | None, parameters: dict[str, float], variables: Variables, reading: Reading
) -> tuple[Trajectories | Equation, str]:
    """The data or equation, and a string that tells it from any other."""
    from symflow import pde

    if data is None and equation is None:
        raise UserError("a file of trajectories or `--equation` must be given, got neither")
    if data is not None and Path(data).exists():
        trajectories = load(Path(data), equation, parameters, variables, reading, check=False, part=True)
        content = hashlib.sha256(trajectories.u.numpy().tobytes())
        content.update(f"{trajectories.equation.text} {trajectories.equation.parameters}".encode())
        return trajectories, content.hexdigest()
    text = data if data is not None and equation is None else equation
    if text is None or (data is not None and equation is not None):
        raise UserError(f"`data` must be a file of trajectories, got {data!r}, and {_missing(str(data))}")
    names_file = pde.equations.FILE.search(text) or not any(sign in text for sign in "=_(")
    if data is not None and text.lower() not in pde.CATALOGUE and names_file:
        raise UserError(
            f"`data` must be a file of trajectories or a formula, got {text!r}, and {_missing(text, pde.CATALOGUE)}"
        )
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
    part: bool = False,
) -> Trajectories:
    """Data with their equation, which is fitted to them where neither the file nor the command line says it.

    What asks a few trajectories only takes a part of a large file.
    """
    from symflow import pde
    from symflow.pde.trajectories import ENOUGH

    named = None if equation is None else formula(equation, parameters, variables)
    how: dict[str, Any] = {"samples": reading.samples, "group": reading.group, "boundary": reading.ends}
    how["most"] = ENOUGH if part else None
    how |= reading.names
    try:
        loaded = pde.load(path, equation=named, check=check, **how)
    except pde.UnknownEquation:
        note("the data do not name their equation; one is fitted to them")
        loaded = pde.load_identified(path, **how)
    for said in loaded.settings.get("notes", ()):
        note(said)
    return loaded


@contextmanager
def laid_out(
    path: Path,
    out: Path,
    equation: str | None,
    parameters: dict[str, float],
    variables: Variables,
    reading: Reading,
) -> Iterator[Path]:
    """Data as a file of `pde.save`: the user's own, or a copy beside `out` while it is needed."""
    from symflow import pde
    from symflow.pde.trajectories import is_own

    if equation is None and reading == Reading() and is_own(path):
        yield path
        return
    loaded = load(path, equation, parameters, variables, reading, check=False)
    copy = out.with_name(f"{out.stem}.source.h5")
    pde.save(loaded, copy, overwrite=True)
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _missing(name: str, others: Iterable[str] = ()) -> str:
    """That there is no such file, and what may have been meant: one beside it, or a name."""
    folder = Path(name).parent
    try:
        beside = {str(folder / p.name) if folder != Path() else p.name for p in folder.iterdir()}
    except OSError:
        beside = set()
    return f"there is no such file{nearest(name, [*others, *sorted(beside)])}"


def numbers(parameters: Sequence[str]) -> dict[str, float]:
    """``("nu=0.01",)`` as a dictionary; a value may be a formula of numbers, such as pi/4."""
    values = {}
    for text in parameters:
        name, sign, value = text.partition("=")
        try:
            values[name.strip()] = number(value)
        except ValueError:
            sign = ""
        if not sign:
            raise UserError(f"`parameters` must be of the form name=number, got {text!r}")
    return values
