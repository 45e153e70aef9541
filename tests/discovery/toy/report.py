"""What the page says of a cloud and no other result has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from symflow.report import Page, open_run

from .discovery import Turns, load_result


@dataclass(frozen=True)
class CloudPage(Page[Turns]):
    package: ClassVar[str] = "toy"
    template: ClassVar[str] = "cloud.html"

    def content(self) -> dict[str, Any]:
        return super().content() | {"points": self.result.points}


def write_report(run: str | Path) -> Path:
    """Writes the page of a run."""
    folder, config = open_run(run)
    return CloudPage(folder, load_result(folder), config).write()


PAGE = CloudPage
