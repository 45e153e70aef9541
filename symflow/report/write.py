"""The page of a run, whatever its domain."""

from __future__ import annotations

from pathlib import Path

from symflow import domains
from symflow.discovery import kind_of
from symflow.runs import RESULT

from .page import open_run


def write_report(run: str | Path) -> Path:
    """Writes ``report.html`` and ``figures/*.svg`` of a run directory.

    What the run does not hold is left out, and the page says so. Every file is written whole or not at all. The same
    run gives the same bytes.

    Args:
        run: a directory with ``result.json`` and what its command left beside it.

    Returns:
        The path of ``report.html``.

    Raises:
        UserError: ``result.json`` is missing or no result; another file is not what its name says.

    >>> import tempfile
    >>> from symflow import pde
    >>> run = Path(tempfile.mkdtemp())
    >>> pde.discover("kdv", network="none").save(run / "result.json")
    >>> write_report(run).name
    'report.html'
    """
    folder, _ = open_run(run)
    return Path(domains.part(kind_of(folder / RESULT), "report").write_report(folder))
