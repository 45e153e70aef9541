"""A study: one figure or table of the paper, and the record of having carried it out with one seed.

A domain that has studies has a room ``paper``: ``STUDIES``, by group and name; ``page``, which makes its sections of
the page (`symflow.reproduction.page`) from records; and ``figures``, if there are any, SVG from records by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from symflow import domains
from symflow.errors import UserError
from symflow.runs import read_record

Size = Literal["small", "paper"]
"""Of a study: what two cores do in minutes, or the paper's own settings."""

SIZES: tuple[Size, ...] = get_args(Size)

Group = Literal["pde", "images", "augmentation", "operators"]
GROUPS: tuple[Group, ...] = get_args(Group)

Tell = Callable[[float, str], None]
"""What a study tells its progress to: the fraction that is done, and a note."""

Run = Callable[[Size, int, Path, Tell], dict[str, Any]]
"""``(size, seed, folder, tell) -> JSON values``.

The same size and seed give the same values, but for times. Whatever is worth keeping is kept in the folder, so that a
call after a kill goes on from there, with the same values at the end.
"""


def _ready() -> None: ...


@dataclass(frozen=True)
class Study:
    """One figure or table of the paper.

    Attributes:
        title: a line.
        seconds: what one seed takes at ``small``, about, on one core.
        run: carries it out.
        check: raises UserError where it lacks what it cannot make, before any study is begun.
    """

    title: str
    seconds: float
    run: Run
    check: Callable[[], object] = _ready


@dataclass(frozen=True)
class Record:
    """What a study found with one seed: the schema of its file.

    Attributes:
        group, name, size, seed: of the study.
        seconds: that it took, without those before a kill.
        symflow: the version.
        result: its own.
    """

    group: str
    name: str
    size: Size
    seed: int
    seconds: float
    symflow: str
    result: dict[str, Any]
    schema: Literal[1] = 1


def studies(group: str) -> Mapping[str, Study]:
    """The studies of a group by name, in the order of the page.

    Raises:
        UserError: no domain has studies of that group.
    """
    found: dict[str, Study] = {}
    groups: list[str] = []
    for kind in domains.having("paper"):
        of_domain: Mapping[str, Mapping[str, Study]] = domains.part(kind, "paper").STUDIES
        groups += of_domain
        found |= of_domain.get(group, {})
    if group not in groups:
        raise UserError(f"`group` must be one of {', '.join(groups)}, got {group!r}")
    return found


def path_of(folder: Path, group: str, name: str, size: Size, seed: int) -> Path:
    """Where a record is kept, or, without ``.json``, what is kept on the way to it."""
    return folder / group / f"{name}-{size}-{seed}.json"


def read_records(folder: Path) -> list[Record]:
    """The records in a folder, by group, name, size and seed.

    Raises:
        UserError: a file is none.
    """
    found = [read_record(path, Record, "be the record of a study") for path in sorted(folder.glob("*/*.json"))]
    return sorted(found, key=lambda r: (r.group, r.name, r.size, r.seed))


def results(records: Iterable[Record], group: str, name: str, size: Size = "small") -> dict[int, dict[str, Any]]:
    """What one study found, by seed; empty where it was not carried out."""
    return {r.seed: r.result for r in records if (r.group, r.name, r.size) == (group, name, size)}
