"""What commands share: their answers, exit codes, and progress on the standard error, so that results can be piped."""

from __future__ import annotations

import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from symflow.errors import UserError

Progress = Callable[[str, float, dict[str, float]], None]
Told = Callable[[str, float, str], None]
"""What is called with a job, the fraction of it that is done, and a note; an empty one leaves what stands there."""

HOLDS, REFUTED, MISTAKE, CANNOT_TELL, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: the answer holds; the data or a proof say no; the user's mistake; cannot be told; interrupted."""
MEANINGS = {
    HOLDS: "the answer holds",
    REFUTED: "refuted: the data, or a proof, say no",
    MISTAKE: "a mistake in what was asked; the sentence on the standard error says which",
    CANNOT_TELL: "cannot be told from these data",
    INTERRUPTED: "interrupted; `--resume` continues a run",
}

EVERY = 10.0  # seconds between lines where there is no terminal

Loudness = Literal["quiet", "normal", "verbose"]
_loudness: list[Loudness] = ["normal"]


@dataclass(frozen=True)
class Answer:
    """What a command answers.

    Attributes:
        text: for people.
        record: the same for programs, JSON values: what `--json` prints.
        code: the exit code.
    """

    text: str
    record: dict[str, Any]
    code: int = HOLDS


@contextmanager
def loudness(word: Loudness) -> Iterator[None]:
    """How much is said on the standard error: nothing but mistakes, or every step with its time."""
    _loudness.append(word)
    try:
        yield
    finally:
        _loudness.pop()


def verbose() -> bool:
    """Whether every step is to be told."""
    return _loudness[-1] == "verbose"


def note(sentence: str) -> None:
    """Says something beside the answer, on the standard error."""
    if _loudness[-1] != "quiet":
        print(f"symflow: {sentence}", file=sys.stderr)


@contextmanager
def noted() -> Iterator[Told]:
    """Progress of jobs, each as it comes: bars in a terminal, elsewhere a line now and then, which a log can keep."""
    if _loudness[-1] == "quiet":
        yield lambda job, done, note: None
    elif sys.stderr.isatty():
        with _bars() as told:
            yield told
    else:
        with _lines() as told:
            yield told


@contextmanager
def staged(note: Callable[[dict[str, float]], str] = lambda figures: "") -> Iterator[Progress]:
    """Progress of the stages of a discovery.

    Args:
        note: what to write beside a stage, from its figures.

    Yields:
        What a discovery tells its progress to: the stage, the fraction of it that is done, and figures.
    """
    with noted() as told:
        yield lambda stage, done, figures: told(stage, done, note(figures))


@contextmanager
def _bars() -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<28}", markup=False),  # of the user's words, in which brackets are brackets
        BarColumn(24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}

        def told(job: str, done: float, note: str) -> None:
            if job not in tasks:
                tasks[job] = shown.add_task(job, total=1.0, note="")
            shown.update(tasks[job], completed=done)
            if note:
                shown.update(tasks[job], note=note)

        yield told


@dataclass
class _Job:
    name: str
    begun: float
    done: float = 0.0
    note: str = ""


@dataclass
class _Log:
    """The job at hand, said every so many seconds by a thread of its own: a stage may tell nothing for minutes."""

    jobs: dict[str, _Job] = field(default_factory=dict)
    current: _Job | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self, name: str, done: float, note: str) -> None:
        with self.lock:
            new = name not in self.jobs
            job = self.current = self.jobs.setdefault(name, _Job(name, time.monotonic()))
            finished = done >= 1.0 > job.done
            job.done, job.note = done, note or job.note
        if verbose() and (new or finished):
            self.say(job)

    def say(self, job: _Job) -> None:
        seconds = f"{time.monotonic() - job.begun:.0f} s"
        parts = [f"{job.name} {job.done:.0%}", seconds, *([job.note] if job.note else [])]
        print(f"symflow: {', '.join(parts)}", file=sys.stderr, flush=True)

    def watch(self, end: threading.Event) -> None:
        while not end.wait(EVERY):
            with self.lock:
                job = self.current
            if job is not None and job.done < 1.0:
                self.say(job)


@contextmanager
def _lines() -> Iterator[Told]:
    log, end = _Log(), threading.Event()
    watcher = threading.Thread(target=log.watch, args=(end,), daemon=True)
    watcher.start()
    try:
        yield log.told
    finally:
        end.set()
        watcher.join()


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
