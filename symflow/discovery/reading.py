"""Results of a known kind, from their files."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from symflow.errors import path_of
from symflow.runs import RESULT, from_json, read_json, refusing

from .result import SCHEMA, Result

R = TypeVar("R", bound=Result)


def file_of(path: str | Path) -> Path:
    """The file of a result, whose path is given or that of its run directory."""
    given = path_of("path", path, "; a result in memory needs no loading" if isinstance(path, Result) else "")
    return given / RESULT if given.is_dir() else given


def load_as(path: str | Path, schema: type[R]) -> R:
    """The result of one class, from ``result.json`` or the run directory that holds it.

    Raises:
        UserError: there is none, or it is of another kind, another version, or damaged.
    """
    file = file_of(path)
    content = read_json(file)
    with refusing(file, "be a result of symflow"):
        if not isinstance(content, dict):
            raise ValueError(f"it holds no object, but {type(content).__name__}")
        kind, number = content.pop("kind", "pde"), content.pop("schema", None)  # schema 2 named no kind for equations
        if kind != schema.kind or number not in (2, SCHEMA) or isinstance(number, bool):
            asked = f"kind {schema.kind!r} and schema 2 or {SCHEMA}, not {kind!r} and {number!r}"
            raise ValueError(f"it must be of {asked}; symflow.load_result reads all kinds")
        content = schema.upgraded(content) if number == 2 else schema.completed(content)
        result: R = from_json({"machine": None} | content, schema)
        result.check()
        return result.beside(file.parent)
