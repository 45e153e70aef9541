"""The page of all studies, ours beside the paper's, from the records alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from symflow import domains
from symflow.runs import refusing, replacing

from .reproduce import spoken
from .study import Record, path_of, read_records

NOT_RUN = "not run"
FIGURES = "paper"  # beside the page

HEAD = """\
# The paper, reproduced by its own route

<!-- Made by `symflow reproduce page` from the records; what is changed here by hand is lost. -->

Ko, Kim and Lee, *Learning Infinitesimal Generators of Continuous Symmetries from Data* (NeurIPS 2024, arXiv
2410.21853), is what this package starts from. Its own algorithm is built here beside what replaced it: finite flows of
slots, a validity score of moved data, stop-gradient orthonormality, Lipschitz and Sobolev losses. This page has its
figures and tables as this implementation finds them. `symflow reproduce all` carries out every study at `small`, which
two cores can, and passes over those that have a record; `make paper` does so from nothing, in `runs/paper`. `--size
paper` takes the paper's own settings. The studies of the first seed at `small` took {time} in all, as their records
say; what was kept from before a kill or from an earlier run is not counted. `make paper SEED=2`, begun from nothing in
a fresh checkout, killed on its way and called again, took 73 minutes by the clock, with one thread of an AMD EPYC. What
was not carried out says *{not_run}*.
"""


def write_page(out: Path, page: Path) -> Path:
    """Writes the page from the records in a directory; each domain that has studies gives its sections.

    Figures are written to the directory ``paper`` beside the page.

    Raises:
        UserError: a record cannot be read.
    """
    records = read_records(out)
    for r in records:  # what a study found is its own, and only the page knows what is in it
        with refusing(path_of(out, r.group, r.name, r.size, r.seed), "hold what its study found"):
            _drawn([r])
    with refusing(out, "hold records that belong together"):
        sections, figures = _drawn(records)
    for name, figure in figures.items():
        (page.parent / FIGURES).mkdir(exist_ok=True)
        with replacing(page.parent / FIGURES / f"{name}.svg") as temporary:
            temporary.write_text(figure, encoding="utf-8")
    small = [record for record in records if record.size == "small"]
    first = sum(r.seconds for r in small if r.seed == min(other.seed for other in small))
    with replacing(page) as temporary:
        temporary.write_text("\n".join([HEAD.format(not_run=NOT_RUN, time=spoken(first)), *sections]))
    return page


def _drawn(records: Sequence[Record]) -> tuple[list[str], dict[str, str]]:
    """The sections of the domains that have studies, and their figures by name."""
    rooms = [domains.part(kind, "paper") for kind in domains.having("paper")]
    figures = [drawing for room in rooms if hasattr(room, "figures") for drawing in room.figures(records).items()]
    return [room.page(records) for room in rooms], dict(figures)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
