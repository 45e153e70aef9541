"""The domains, by the kind of their results: the one place where the core names them, and then only as text."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from symflow.errors import UserError

PACKAGES = {"pde": "symflow.pde", "images": "symflow.vision"}
"""A package for each kind of result; the page and the command line look for its ``report`` and ``commands``."""


def part(kind: object, name: str) -> ModuleType:
    """The module of a domain that has this name, imported when it is asked for.

    Args:
        kind: of result, as in the file of one.
        name: of the module: "report", "commands".

    Raises:
        UserError: there is no such kind.

    >>> part("pde", "report").__name__
    'symflow.pde.report'
    """
    if kind not in PACKAGES:
        raise UserError(f"`kind` of a result must be one of {', '.join(PACKAGES)}, got {kind!r}")
    return import_module(f"{PACKAGES[str(kind)]}.{name}")
