"""Every reader of files, called on damaged ones: what comes back is read, refused in a sentence, or a fault."""

from __future__ import annotations

import contextlib
import io
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mutations import mutated
from symflow.cli import main
from symflow.errors import UserError

LONGEST = 60.0  # seconds of one case


@dataclass(frozen=True)
class Target:
    """What is damaged, and by whom it is read.

    Attributes:
        name: of it.
        make: writes whole files into a folder.
        damaged: patterns of those that are damaged, one at a time.
        use: reads the folder by everything that reads such files; it may raise `UserError` only.
        often: how many of ten thousand cases it gets; those of slow readers are fewer.
    """

    name: str
    make: Callable[[Path], None]
    damaged: tuple[str, ...]
    use: Callable[[Path], Any]
    often: int = 1_000


@dataclass(frozen=True)
class Outcome:
    """How one case ended: "read", "refused", or "fault" with what was raised or how long it took."""

    word: str
    text: str
    seconds: float


class Late(BaseException):
    """A case took too long; no reader catches this."""


def case(target: Target, whole: Path, scratch: Path, seed: int, number: int) -> Outcome:
    """One damaged copy of the whole files, read. The same seed and number give the same case."""
    random = Random(f"{target.name} {seed} {number}")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(whole, scratch)
    files = sorted({p for pattern in target.damaged for p in scratch.glob(pattern) if p.is_file()})
    mutated(random.choice(files), random)
    return timed(lambda: target.use(scratch))


def timed(work: Callable[[], Any]) -> Outcome:
    """How some work ends: it may raise `UserError` only, and must end in time."""

    def late(*_: Any) -> None:
        raise Late(f"it took more than {LONGEST:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    begun = time.monotonic()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            work()
        word, text = "read", ""
    except UserError as error:
        word, text = "refused", str(error)
        if "\n" in text.strip() or not text.strip():
            word, text = "fault", f"a sentence of several lines, or none: {text!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        word, text = "fault", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return Outcome(word, text, time.monotonic() - begun)


def command(*words: str) -> None:
    """The command line; a sentence with exit code 2 is a `UserError`, any other end but 0, 1 and 3 a fault."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            main(words)
    except SystemExit as end:
        if end.code == 2:
            said = errors.getvalue().strip().splitlines()
            raise UserError(said[-1] if said else "") from None
        if end.code not in (None, 0, 1, 3):
            raise RuntimeError(f"exit code {end.code}: {errors.getvalue()[-500:]}") from None
