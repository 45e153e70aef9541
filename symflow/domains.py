"""The domains, by the kind of their results: the one place where the core names them, and then only as text."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from symflow.errors import UserError

PACKAGES = {"problem": "symflow.problems", "pde": "symflow.pde", "images": "symflow.vision"}
"""A package for each kind of result. A domain is a folder and its name here.

What serves all domains looks for these modules in it: ``discovery`` with ``load_result(path)``, ``report`` with
``write_report(run)`` and ``PAGE``, the class of its pages, and, where it has any, ``commands`` with ``COMMANDS``, the
functions of the command line, and ``paper`` with ``STUDIES`` and ``page`` (`symflow.reproduction`).
"""


def having(name: str) -> list[str]:
    """The kinds whose domain has a module of this name.

    >>> having("report")
    ['problem', 'pde', 'images']
    """
    return [kind for kind, package in PACKAGES.items() if find_spec(f"{package}.{name}") is not None]


def part(kind: object, name: str) -> ModuleType:
    """The module of a domain that has this name, imported when it is asked for.

    Args:
        kind: of result, as in the file of one.
        name: of the module: "discovery", "report", "commands".

    Raises:
        UserError: there is no such kind.

    >>> part("pde", "report").__name__
    'symflow.pde.report'
    """
    if kind not in PACKAGES:
        raise UserError(f"`kind` of a result must be one of {', '.join(PACKAGES)}, got {kind!r}")
    return import_module(f"{PACKAGES[str(kind)]}.{name}")
