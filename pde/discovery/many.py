"""Many equations: a file of them, answered side by side, each by itself."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from symflow.errors import UserError
from symflow.formulas import text_table
from symflow.runs import from_json, processes, write_json

from ..equations import CATALOGUE, Equation
from ..settings import Discovery, Variables
from .discovery import discover

MOST_BYTES, MOST_EQUATIONS = 4_000_000, 10_000
UNNAMED = Variables()


@dataclass(frozen=True)
class Asked:
    """An equation of a file.

    Attributes:
        equation: its text, or its name in the catalogue.
        name: what to call it; by default its text.
        parameters: numbers for the names in it.
        independent, unknowns: names that it does not show, such as "r, s".
        line: where it stands.
    """

    equation: str
    name: str = ""
    parameters: dict[str, float] = field(default_factory=dict)
    independent: str | None = None
    unknowns: str | None = None
    line: int = 0

    @property
    def formula(self) -> Equation:
        """The equation.

        Raises:
            UserError: the text is none.
        """
        if self.equation.lower() in CATALOGUE:
            return CATALOGUE[self.equation.lower()].equation
        return Equation(self.equation, self.independent, self.unknowns, **self.parameters)


@dataclass(frozen=True)
class Answer:
    """What was found of it, or why nothing was.

    Attributes:
        asked: the equation.
        result: of `discover`, as `Result.to_dict`; ``None`` where it was refused.
        refused: the sentence, or an empty text.
    """

    asked: Asked
    result: dict[str, Any] | None
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A line of JSON."""
        asked = {"line": self.asked.line, "name": self.asked.name or self.asked.equation}
        found = {"refused": self.refused} if self.result is None else {"result": self.result}
        return asked | {"equation": self.asked.equation, "parameters": self.asked.parameters} | found


def read_equations(
    path: str | Path, parameters: dict[str, float] | None = None, variables: Variables = UNNAMED
) -> list[Asked]:
    """The equations of a file, one a line: its text, its name in the catalogue, or a JSON object as of `Asked`.

    Empty lines are passed over, and what follows a ``#``.

    Args:
        path: of a text file in UTF-8.
        parameters: numbers for names, where a line does not give its own.
        variables: names that the equations do not show, where a line does not give its own.

    Raises:
        UserError: there is no such file, it is too large, no text, or holds no equation; or a line is no such object.
    """
    file = Path(path)
    try:
        with open(file, "rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"`equations` must be a file, got {str(path)!r} ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{str(path)!r} must have at most {MOST_BYTES} bytes, got more")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} must be a text in UTF-8, got one that is none at byte {error.start}") from None
    found = []
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole.strip()
        if line.startswith("{"):
            asked = _object(line, f"line {number} of {str(path)!r}")
            own = {key: getattr(asked, key) or value for key, value in asdict(variables).items()}
            found.append(replace(asked, parameters=(parameters or {}) | asked.parameters, line=number, **own))
        elif line := line.partition("#")[0].strip():
            found.append(Asked(line, parameters=dict(parameters or {}), line=number, **asdict(variables)))
    if not found:
        raise UserError(f"{str(path)!r} must hold an equation a line, got none")
    if len(found) > MOST_EQUATIONS:
        raise UserError(f"{str(path)!r} must hold at most {MOST_EQUATIONS} equations, got {len(found)}")
    return found


def _object(line: str, where: str) -> Asked:
    try:
        asked: Asked = from_json(json.loads(line), Asked)
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{where} must be an object with an equation, name and parameters: {error}") from None
    return asked


def discover_many(
    asked: Sequence[Asked],
    settings: Discovery,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Answer]:
    """The symmetries of every equation, in their order, the same for any number of processes.

    Args:
        asked: the equations.
        settings: as for `discover`, the same for all.
        workers: processes; by default one for each processor.
        progress: called with the fraction that is done.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(k) for k in range(len(asked))]

        def work(k: int, tick: Callable[[float], None]) -> None:
            torch.set_num_threads(1)
            write_json(files[k], _answer(asked[k], settings))
            tick(1.0)

        processes.each(work, len(asked), workers or processes.available(), progress)
        found = [json.loads(file.read_text()) for file in files]
    return [Answer(a, *pair) for a, pair in zip(asked, found, strict=True)]


def _answer(asked: Asked, settings: Discovery) -> tuple[dict[str, Any] | None, str]:
    """One equation; what goes wrong with it is said of it, and of no other."""
    try:
        return replace(discover(asked.formula, settings=settings), seconds={}).to_dict(), ""
    except UserError as error:
        return None, str(error)
    except Exception as error:
        return None, f"a mistake of this program: {type(error).__name__}: {error}"


def table(answers: Sequence[Answer]) -> str:
    """A line for each: how many symmetries, how many of them proved, families, the algebra; or the sentence."""
    rows = []
    for answer in answers:
        head = [str(answer.asked.line), answer.asked.name or answer.asked.equation]
        content = answer.result
        if content is None:
            rows.append([*head, "", "", f"refused: {answer.refused}"])
            continue
        generators = content["generators"]
        more = f" + {len(content['families'])} infinite" if content["families"] else ""
        more += "" if content["verdicts"]["equation"]["stable"] else " or more"
        name = (content["algebra"] or {}).get("name") or ""
        rows.append([*head, f"{len(generators)}{more}", str(sum(g["verified"] for g in generators)), name])
    return text_table([">line", "equation", "symmetries", ">proved", "algebra"], rows, width=120)
