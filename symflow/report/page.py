"""What the pages of all domains share: figures as files and inside the page, and the page itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from symflow.formulas import notation
from symflow.report import figures
from symflow.runs import REPORT, replacing

FIGURES = "figures"


@dataclass(frozen=True)
class Picture:
    """A figure on the page: its file, its bytes, what it shows in a sentence for those who cannot see it."""

    name: str
    data: str
    alt: str
    width: int
    height: int


def save_picture(run: Path, name: str, figure: Figure, alt: str) -> Picture:
    """Writes a figure to ``figures/`` of a run and returns it for the page."""
    content = figures.png(figure)
    directory = run / FIGURES
    directory.mkdir(exist_ok=True)
    with replacing(directory / f"{name}.png") as temporary:
        temporary.write_bytes(content)
    width, height = (round(inches * figure.dpi) for inches in figure.get_size_inches())
    return Picture(name, base64.b64encode(content).decode(), alt, width, height)


def write_page(run: Path, package: str, content: Mapping[str, Any]) -> Path:
    """Writes ``report.html`` of a run from the template of this name in a domain's package, whole or not at all."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in (package, "symflow.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = notation.number
    html = environment.get_template(REPORT).render(content)
    with replacing(run / REPORT) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return run / REPORT
