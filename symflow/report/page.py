"""The frame of a page: what it shows of any result, its figures as files and inside it, and the page itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import jinja2
from markupsafe import Markup
from torch import Tensor

from symflow._version import __version__
from symflow.discovery import Result
from symflow.formulas import notation
from symflow.runs import REPORT, command, load_tensors, read_config, replacing

from .svg import COLOURS, SHEET, Figure

FIGURES, EVIDENCE = "figures", "evidence.safetensors"

R = TypeVar("R", bound=Result, covariant=True)


@dataclass(frozen=True)
class Picture:
    """A figure on the page: its file, and itself, with what it shows in a sentence for those who cannot see it."""

    name: str
    html: Markup


@dataclass(frozen=True)
class Page(Generic[R]):
    """The page of a run; a domain extends it by its sections.

    The template ``report.html`` of this package has the blocks head (the headline), lede, generators, verdict,
    evidence, studied, reproduce, limits and footer; between head and lede stand the lines of `Result.statements`. That
    of a domain begins with ``{% extends "report.html" %}`` and fills in what it knows better.

    Attributes:
        run: the directory.
        result: of the run.
        config: what the run was asked to do; empty where it does not say.
        package: whose templates are used, beside those of this package.
        template: the name of the page's.
    """

    package: ClassVar[str] = "symflow.report"
    template: ClassVar[str] = REPORT

    run: Path
    result: R
    config: dict[str, Any]

    def content(self) -> dict[str, Any]:
        """What the template shows, by name; a domain adds to it."""
        return {
            "result": self.result,
            "version": __version__,
            "command": command(self.config, self.run.name),
            "identity": self.config.get("identity"),
        }

    def evidence(self) -> dict[str, Tensor]:
        """The arrays behind the figures that the command left; empty without them."""
        saved = load_tensors(self.run / EVIDENCE)
        return {} if saved is None else saved[0]

    def picture(self, name: str, figure: Figure, alt: str) -> Picture:
        """Writes a figure to ``figures/`` and returns it for the page."""
        directory = self.run / FIGURES
        directory.mkdir(exist_ok=True)
        with replacing(directory / f"{name}.svg") as temporary:
            temporary.write_text(figure.file(alt), encoding="utf-8")
        return Picture(name, figure.html(alt))

    def write(self) -> Path:
        """Writes the figures and ``report.html``, each whole or not at all."""
        html = _environment(self.package).get_template(self.template).render(self.content())
        with replacing(self.run / REPORT) as temporary:
            temporary.write_text(html, encoding="utf-8")
        return self.run / REPORT


def open_run(run: str | Path) -> tuple[Path, dict[str, Any]]:
    """A run directory and its configuration.

    Raises:
        UserError: the configuration is none.
    """
    return Path(run), read_config(Path(run))


def readable(sentence: str) -> str:
    """A sentence with its numbers as a page writes them.

    >>> readable("weak residual 8e-10 of its terms")
    'weak residual 8×10⁻¹⁰ of its terms'
    """
    return re.sub(
        r"\b\d+(\.\d+)?e[+-]\d+\b",
        lambda found: notation.number(float(found[0]), len(found[0].partition("e")[0].replace(".", ""))),
        sentence,
    )


def _environment(package: str) -> jinja2.Environment:
    packages: Mapping[str, None] = dict.fromkeys((package, "symflow.report"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = notation.number
    environment.filters["readable"] = readable
    environment.globals |= {"colours": COLOURS, "sheet": Markup(SHEET)}  # noqa: S704
    return environment
