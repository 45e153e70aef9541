"""The page of a run, whatever its domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symflow import domains
from symflow.discovery import Result, kind_of, load_result
from symflow.runs import RESULT

from .page import NOWHERE, Page, open_run
from .side_by_side import SideBySide


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


def write_comparison(run: str | Path, other: str | Path, out: str | Path | None = None) -> Path:
    """Writes a page that shows two runs side by side, and which generators they share.

    Args:
        run, other: directories with ``result.json``, of any kind.
        out: the file to write; by default ``comparison.html`` in the first directory.

    Returns:
        Its path.

    Raises:
        UserError: as of `write_report`.
    """
    return SideBySide(_page(run), _page(other)).write(Path(run) / "comparison.html" if out is None else Path(out))


def page_of(result: Result, run: Path = NOWHERE, config: dict[str, Any] | None = None) -> Page[Any]:
    """The page of a result, as its domain makes it; of one in memory only what that holds is shown."""
    found: Page[Any] = getattr(domains.part(result.kind, "report"), "PAGE", Page)(run, result, config or {})
    return found


def _page(run: str | Path) -> Page[Any]:
    folder, config = open_run(run)
    return page_of(load_result(folder), folder, config)
