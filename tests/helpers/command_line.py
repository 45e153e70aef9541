"""The command line in the process of the tests: a process of its own spends seconds on imports."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from symflow.cli import main


@dataclass(frozen=True)
class Answer:
    """As `subprocess.CompletedProcess` has it."""

    returncode: int
    stdout: str
    stderr: str


def symflow(*arguments: str, cwd: Path) -> Answer:
    """What a command says and its exit code. An exception, which a person would see as a traceback, is the test's."""
    out, err, before, code = io.StringIO(), io.StringIO(), Path.cwd(), 0
    os.chdir(cwd)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(arguments)
    except SystemExit as end:
        code = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
    finally:
        os.chdir(before)
    return Answer(code, out.getvalue(), err.getvalue())


def symflow_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "symflow", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)
