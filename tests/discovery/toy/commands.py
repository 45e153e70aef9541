"""Its command."""

from __future__ import annotations

from pathlib import Path

from symflow.runs import RESULT, Run

from .discovery import example


def turn_cloud(out: Path) -> None:
    """Finds what keeps a cloud of points.

    Args:
        out: the run directory to make.
    """
    result = example()
    result.save(Run(out, {"command": "turn-cloud"}).path / RESULT)
    print(result)


COMMANDS = (turn_cloud,)
