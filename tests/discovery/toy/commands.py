"""Its command."""

from __future__ import annotations

from pathlib import Path

from symflow.console import Answer
from symflow.runs import RESULT, Run

from .discovery import example


def turn_cloud(out: Path) -> Answer:
    """Finds what keeps a cloud of points.

    Examples:
        symflow turn-cloud --out turn
        symflow turn-cloud --out turn --json

    Args:
        out: the run directory to make.
    """
    result = example()
    result.save(Run(out, {"command": "turn-cloud"}).path / RESULT)
    return Answer(str(result), result.to_dict())


COMMANDS = (turn_cloud,)
