"""What a discovery found: the record that the results of all domains share."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import symflow
from symflow.runs import write_json

SCHEMA = 3

Kind = Literal["pde", "images", "problem"]


@dataclass(frozen=True)
class Verdict:
    """What is stated at one level, in one word.

    Attributes:
        word: "proved" or "found" of an equation, "proved" or "refuted" of a domain, "measured", "refuted" or "cannot
            be told" of data.
        reason: what the word rests on, or why nothing can be told.
        figures: numbers behind it.
    """

    word: Literal["proved", "found", "measured", "refuted", "cannot be told"]
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"word": self.word, "reason": self.reason, **self.figures}


@dataclass(frozen=True, kw_only=True)
class Result:
    """The core of every result; a domain adds what only it knows.

    Attributes:
        kind: of the discovery.
        rank: how many generators were found.
        verdicts: by level, "equation", "domain" and "data"; a level that was not asked is absent.
        seed: of everything drawn.
        seconds: by stage.
        command: what made it.
        created: when, in UTC.
    """

    kind: Kind
    rank: int
    verdicts: Mapping[str, Verdict]
    seed: int
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    command: str = field(default="symflow.discover", compare=False)
    created: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        compare=False,
    )

    @property
    def verdict(self) -> Verdict:
        """The weakest level that was asked: data before domain before equation."""
        return next(self.verdicts[level] for level in ("data", "domain", "equation") if level in self.verdicts)

    def generator_records(self) -> Sequence[Mapping[str, Any]]:
        """The generators as JSON values; each has ``name``, ``closed_form`` and ``verified`` at least."""
        return []

    def details(self) -> Mapping[str, Any]:
        """What a domain adds to the file."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``, schema 3."""
        levels = {level: v.to_dict() for level, v in self.verdicts.items()}
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "symflow": symflow.__version__,
            "created": self.created,
            "command": self.command,
            "seed": self.seed,
            "seconds": dict(self.seconds),
            "rank": self.rank,
            "verdicts": {level: levels.get(level) for level in ("equation", "domain", "data")},
            "generators": [dict(record) for record in self.generator_records()],
            "families": [],
            "approximate": [],
            **self.details(),
        }

    def save(self, path: str | Path) -> None:
        """Writes ``result.json``, whole or not at all."""
        write_json(path, self.to_dict())
