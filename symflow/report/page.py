"""The frame of a page: what it shows of any result, its figures as files and inside it, and the page itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar
from zlib import crc32

import jinja2
from markupsafe import Markup
from torch import Tensor

from symflow._version import __version__
from symflow.discovery import Generator, OneSpaceResult, Result
from symflow.errors import UserError, path_of
from symflow.fields import Coordinates
from symflow.formulas import notation
from symflow.runs import REPORT, command, load_tensors, read_config, replacing

from .motion import MOTION, in_plane
from .svg import COLOURS, SHEET, Figure

MOST_CARDS = 12  # generators that have a picture of what they do
NOWHERE = Path(os.devnull)  # the directory of a result that lies in none
FIGURES, EVIDENCE = "figures", "evidence.safetensors"

R = TypeVar("R", bound=Result, covariant=True)


@dataclass(frozen=True)
class Picture:
    """A figure on the page: its file, and itself, with what it shows in a sentence for those who cannot see it."""

    name: str
    html: Markup


@dataclass(frozen=True)
class Card:
    """One generator at a glance.

    Attributes:
        name: ``V1``.
        formula: in mathematics; empty without a closed form.
        meaning: in words; may be empty.
        words: what is said of it, by level.
        picture: of what it does, or ``None``.
        link: of the place on the page that says more, or ``None``.
    """

    name: str
    formula: Markup
    meaning: str
    words: dict[str, str]
    picture: Markup | None
    link: str | None = None


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
            "question": self.question,
            "cards": self.cards(),
            "moving": self.moving,
            "version": __version__,
            "command": command(self.config, self.run.name) or self.result.command,
            "identity": self.config.get("identity"),
        }

    @property
    def question(self) -> Markup:
        """What was asked, in a sentence."""
        return Markup("Which continuous transformations leave these data valid?")

    @property
    def coordinates(self) -> Coordinates | None:
        """Of the space of points, where there is one."""
        return self.result.coordinates if isinstance(self.result, OneSpaceResult) else None

    def cards(self) -> list[Card]:
        """The generators at a glance, the first few with a picture of what they do."""
        return [self.card(k) for k in range(len(self.result.generators))]

    def card(self, k: int) -> Card:
        """One of them."""
        g = self.result.generators[k]
        name = f"V{k + 1}"
        formula = Markup("") if g.closed_form is None else notation.generator(list(g.sympy().values()), self.names(g))
        picture = self.motion(k) if k < MOST_CARDS else None
        return Card(name, formula, "", self.result.words(g), picture)

    @staticmethod
    def names(g: Generator) -> list[str]:
        """The coordinates that a closed form names."""
        return [key[1:] for key in g.closed_form or {}]

    def motion(self, k: int) -> Markup | None:
        """A picture of what a generator does: a net in the plane that it fills most."""
        g, coordinates = self.result.generators[k], self.coordinates
        if g.closed_form is None or coordinates is None:
            return None
        return in_plane(f"{self.place}{k + 1}", g.closed_form, coordinates, f"A net of points moved along {g.formula}.")

    @property
    def moving(self) -> str:
        """What the pictures of `motion` show."""
        return "A net of points in the plane that a generator fills most: grey as it is, blue as it is moved."

    @property
    def place(self) -> str:
        """The beginning of the names of pictures: one of its own for each run, where several are on a page."""
        name = re.sub(r"[^A-Za-z0-9]", "-", self.run.name)
        return f"motion-{name if self.run != NOWHERE else crc32(str(self.result.to_dict()).encode())}-"

    def notebook(self) -> str:
        """The first screen alone, for a notebook: no files are written."""
        found: str = environment(self.package).get_template("notebook.html").render(self.content_of_card())
        return found

    def content_of_card(self) -> dict[str, Any]:
        """What the first screen shows."""
        return {"result": self.result, "question": self.question, "cards": self.cards(), "headline": self.headline} | {
            "moving": self.moving
        }

    @property
    def headline(self) -> str:
        """The answer in a line."""
        return self.result.headline

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
        html = environment(self.package).get_template(self.template).render(self.content())
        with replacing(self.run / REPORT) as temporary:
            temporary.write_text(html, encoding="utf-8")
        return self.run / REPORT


def open_run(run: str | Path) -> tuple[Path, dict[str, Any]]:
    """A run directory and its configuration.

    Raises:
        UserError: it is a file, or the configuration is none.
    """
    folder = path_of("run", run)
    if folder.is_file():
        raise UserError(f"`run` must be a run directory, got the file {str(folder)!r}")
    return folder, read_config(folder)


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


def environment(package: str) -> jinja2.Environment:
    """The templates of a package and those of this one, with what all of them use."""
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
    environment.filters["listing"] = notation.listing
    environment.globals |= {"colours": COLOURS, "sheet": Markup(SHEET + MOTION)}  # noqa: S704
    return environment
