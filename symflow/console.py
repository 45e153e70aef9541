"""What commands share: exit codes, and progress on the standard error, so that results can be piped."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from symflow.errors import UserError

if TYPE_CHECKING:  # what prints exit codes only needs no bars
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

Progress = Callable[[str, float, dict[str, float]], None]

HOLDS, REFUTED, MISTAKE, CANNOT_TELL, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: the answer holds; the data or a proof say no; the user's mistake; cannot be told; interrupted."""


@contextmanager
def bars() -> Iterator[Bars]:
    """Progress bars, each with a note."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<28}", markup=False),  # of the user's words, in which brackets are brackets
        BarColumn(24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        yield shown


@contextmanager
def staged(note: Callable[[dict[str, float]], str] = lambda figures: "") -> Iterator[Progress]:
    """A bar for every stage, as it comes.

    Args:
        note: what to write beside a bar, from the figures of its stage; where it is empty, what stands there stays.

    Yields:
        What a discovery tells its progress to: the stage, the fraction of it that is done, and figures.
    """
    with bars() as shown:
        tasks: dict[str, TaskID] = {}

        def progress(stage: str, done: float, figures: dict[str, float]) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=1.0, note="")
            shown.update(tasks[stage], completed=done)
            if text := note(figures):
                shown.update(tasks[stage], note=text)

        yield progress


@contextmanager
def noted() -> Iterator[Callable[[str, float, str], None]]:
    """A bar for every job, as it comes, with the note that comes with it.

    Yields:
        What is called with the job, the fraction of it that is done, and the note.
    """
    with bars() as shown:
        tasks: dict[str, TaskID] = {}

        def report(job: str, done: float, note: str) -> None:
            if job not in tasks:
                tasks[job] = shown.add_task(job, total=1.0, note="")
            shown.update(tasks[job], completed=done, note=note)

        yield report


@contextmanager
def loading() -> Iterator[None]:
    """Imports without the garbage collector, which finds nothing in what they make and takes a tenth of their time.

    What is there at the end is never looked at again, so later collections are short too.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def check_new(out: Path, force: bool) -> None:
    """Refuses a file that exists, unless it may be replaced, and one that cannot be written; makes its folder.

    It is asked before the work, so that no work is lost at its end.

    Raises:
        UserError: it exists, it is a folder, or its folder cannot be made or written to.
    """
    if out.is_dir():
        raise UserError(f"`out` must be a file, got the folder {str(out)!r}")
    if out.exists() and not force:
        raise UserError(f"`out` must be a new file, got {str(out)!r}, which exists; `--force` replaces it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(
            f"`out` must be a file in a folder that can be written to, got {str(out)!r} "
            f"({(error.strerror or str(error)).lower()})"
        ) from None
