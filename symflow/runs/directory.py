"""Run directories: what a run was asked to do, how it goes, where it can continue, what it found.

A run directory holds ``config.json``, ``metrics.jsonl``, checkpoints (safetensors), ``result.json``, figures and
``report.html``. Everything but the metrics is written whole or not at all (`symflow.runs.files`). A line of the metrics
that a kill cut short is dropped when the run is resumed. One process at a time writes in a directory (`.claims`).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from symflow.errors import UserError, path_of
from symflow.fields import NeuralField

from .claims import claimed
from .files import leftovers, replacing, write_json
from .records import read_record
from .tensors import load_tensors, save_field, save_tensors

CONFIG, METRICS, RESULT, REPORT = "config.json", "metrics.jsonl", "result.json", "report.html"
_OWN = (CONFIG, METRICS, RESULT, REPORT)
_OWN_PATTERNS = ("*.safetensors", "figures/*.svg", "figures/*.png", "tensorboard/*/events.out.*")  # PNGs: before 0.2
_UNTYPED = ("command", "data", "identity")  # entries of a configuration that are no options


class Run:
    """A run directory.

    Args:
        path: of the directory; made when it is missing.
        config: what the run is asked to do, JSON values; compared with ``config.json`` when the run is resumed.
        resume: continue a run from its checkpoints instead of beginning one.
        replace: remove an earlier run's own files first; anything else in the directory stays.

    A directory in which an earlier process was killed before it wrote what it was asked holds no run: one begins there,
    with `resume` too.

    Raises:
        UserError: the directory holds a run and neither `resume` nor `replace` is given, or it holds other files only;
            there is nothing to resume; the run to resume was asked to do something else; or another process is at work
            in the directory.
    """

    def __init__(
        self, path: str | Path, config: Mapping[str, Any], *, resume: bool = False, replace: bool = False
    ) -> None:
        self.path = path_of("path", path)
        self.config: dict[str, Any] = json.loads(json.dumps(config))
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"`out` must be a directory, got the file {str(path)!r}")
        if resume and not self.path.is_dir():
            raise UserError(f"there is no run to resume in {str(path)!r}: there is no such directory")
        self._new = not self.path.exists()
        self._begun = False  # by this process, so that it may be taken back
        self.path.mkdir(parents=True, exist_ok=True)
        self._claim = claimed(self.path)
        dead = leftovers(self.path)
        held = set(self.path.iterdir()) - {*dead}
        if resume and held:
            earlier, now = read_config(self.path, missing=False), self.config
            differing = sorted(k for k in {*earlier, *now} if earlier.get(k) != now.get(k))
            if differing:
                raise UserError(
                    f"{str(path)!r} cannot be resumed: it was begun with "
                    + ", ".join(f"{k} = {earlier.get(k)!r} (now {now.get(k)!r})" for k in differing)
                )
            return
        own = [p for p in (self.path / name for name in _OWN) if p.exists()]
        own += [p for pattern in _OWN_PATTERNS for p in self.path.glob(pattern)]
        if held and not own:
            raise UserError(f"`out` must be a new or empty directory, got {str(path)!r}, which holds other files")
        if own and not replace:
            raise UserError(
                f"{str(path)!r} holds a run already; resume it (`--resume`), replace it (`--force`), or name another "
                "directory"
            )
        for p in (*own, *dead):
            p.unlink(missing_ok=True)
        write_json(self.path / CONFIG, self.config)
        self._begun = True

    def discard(self) -> None:
        """Takes a run back that was refused before it left anything, so that the next one finds its place free."""
        if self._begun and [p.name for p in self.path.iterdir()] == [CONFIG]:
            (self.path / CONFIG).unlink()
            if self._new:
                self.path.rmdir()

    def log(self, *records: Mapping[str, Any]) -> None:
        """Appends lines to ``metrics.jsonl``."""
        with open(self.path / METRICS, "a") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records))

    def rewind(self, stage: str, step: int) -> None:
        """Drops the lines of ``metrics.jsonl`` that a stage wrote at or after a step, and lines cut short."""
        keep = []
        for line, record in _lines(self.path):
            at = record.get("step", 0)
            if record.get("stage") == stage and isinstance(at, int | float) and at >= step:
                continue
            keep.append(line + "\n")
        with replacing(self.path / METRICS) as temporary:
            temporary.write_text("".join(keep))

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], about: Any) -> None:
        """Writes ``name.safetensors``; `about`, a record or JSON values, is kept in its header."""
        save_tensors(self.path / f"{name}.safetensors", tensors, about)

    def save_field(self, name: str, field: NeuralField) -> None:
        """Writes a learned field as ``name.safetensors``; `load_field` reads it back."""
        save_field(self.path / f"{name}.safetensors", field)

    def load_tensors(self, name: str, schema: Any = dict[str, Any]) -> tuple[dict[str, Tensor], Any] | None:
        """What `save_tensors` wrote, or ``None``.

        Raises:
            UserError: the file is no checkpoint, or what it says of itself is no record of the schema.
        """
        return load_tensors(self.path / f"{name}.safetensors", schema)


def read_config(run: Path, *, missing: bool = True) -> dict[str, Any]:
    """What a run was asked to do.

    Args:
        run: the directory.
        missing: whether a directory without a configuration has an empty one.

    Raises:
        UserError: the file is no configuration, or missing where it must not be.
    """
    if missing and not (run / CONFIG).exists():
        return {}
    config: dict[str, Any] = read_record(run / CONFIG, dict[str, Any], "be the configuration of a run")
    return config


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The whole lines of ``metrics.jsonl``, up to the first that is none; empty without the file."""
    return [record for _, record in _lines(run)]


def _lines(run: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    path = run / METRICS
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            text = line.decode()
            record = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(record, dict):
            return
        yield text, record


def command(config: Mapping[str, Any], out: str | None = None) -> str | None:
    """What to type for what a configuration asks, or ``None`` where it names no command.

    Args:
        config: as of `Run`; entries that are ``None`` or empty are left to their defaults.
        out: the run directory, if it is to be said.

    >>> command({"command": "discover", "data": "my data.h5", "seed": 0, "labels": False, "steps": None}, "run")
    "symflow discover 'my data.h5' --out run --seed 0 --no-labels"
    """
    if not isinstance(config.get("command"), str):
        return None
    words = ["symflow", config["command"], *([config["data"]] if isinstance(config.get("data"), str) else [])]
    words += [] if out is None else ["--out", out]
    for name, value in config.items():
        if name in _UNTYPED or value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, str | int | float):
            words += [f"--{name}", str(value)]
        elif isinstance(value, list) and value:
            words += [f"--{name}", *map(str, value)]
    return shlex.join(words)
