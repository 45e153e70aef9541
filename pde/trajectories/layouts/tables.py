"""Time series as text: a header of names, and a row of numbers for each time."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from symflow.errors import UserError

from .contents import SAMPLE, TIME, Contents, Field, Nodes, Wanted, affordable
from .named import TIMES

MARKS = (",", ";", "\t")
UNIT = re.compile(r"(?P<name>[^\[(]*[^\[(\s])\s*[\[(](?P<unit>[^\])=,]*)[\])]")
SAMPLES = ("sample", "run", "trajectory", "id")


def looks_like(start: bytes) -> bool:
    """Whether the beginning of a file is a line of several names and a line of as many numbers."""
    try:
        lines = start.decode("utf-8-sig").splitlines()[:2]
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # not only a character that is cut
            return False
        lines = start[: error.start].decode("utf-8-sig", "replace").splitlines()[:2]
    if not lines or "\0" in lines[0]:
        return False
    names = _cells(lines[0])
    if len(names) < 2 or any(not n or _number(n) for n in names):
        return False
    marked = any(mark in lines[0] for mark in MARKS)  # words with spaces between them may be any text
    return marked or (len(lines) > 1 and len(_cells(lines[1])) == len(names) and all(map(_number, _cells(lines[1]))))


def from_table(path: Path, wanted: Wanted) -> Contents:
    """Columns ``t`` and unknowns; several runs follow each other, with a column ``sample`` or times that start anew."""
    size = path.stat().st_size
    affordable("the file", (2 * size,), 1, size)  # Python's numbers take 32 bytes, one of two characters at least
    with open(path, newline="", encoding="utf-8-sig") as file:
        names, units = _without_units(_cells(file.readline()))
        if len(set(names)) < len(names):
            raise UserError(f"the columns must have different names, got {', '.join(names)[:80]}")
        rows = []
        for n, line in enumerate(file, 2):
            if not line.strip():
                continue
            cells = _cells(line)
            if len(cells) != len(names) or not all(_number(c) or c == "" for c in cells):
                raise UserError(f"line {n} must hold {len(names)} numbers, got {line.strip()[:60]!r}")
            rows.append([float(c) if c else np.nan for c in cells])
    if not rows:
        raise UserError("the file holds names and no numbers")
    table = np.array(rows)
    time = wanted.axes.get(TIME) or next((n for n in names if n.lower() in TIMES), None)
    if time is None or time not in names:
        raise UserError(f"no column is the time, which is called t, time ...; found {', '.join(names)}")
    t = table[:, names.index(time)]
    run = next((n for n in names if n.lower() in SAMPLES), None)
    starts = np.flatnonzero(np.diff(t) < 0) if run is None else np.flatnonzero(np.diff(table[:, names.index(run)]))
    parts = np.split(table, starts + 1)
    if any(len(p) != len(parts[0]) for p in parts):
        raise UserError(
            f"every run must have the same times; they have from {min(map(len, parts))} to {max(map(len, parts))}"
        )
    runs = np.stack(parts)[: wanted.samples]
    fields = {}
    for i, name in enumerate(names):
        if name not in (time, run):
            missing = np.isnan(runs[..., i])
            fields[name] = Field(runs[..., i], (SAMPLE, TIME), missing if missing.any() else None)
    said = {(TIME if name == time else name): {"units": unit} for name, unit in units.items() if name != run}
    return Contents("table", fields, {TIME: Nodes(runs[..., names.index(time)])}, attributes=said)


def _without_units(heads: list[str]) -> tuple[list[str], dict[str, str]]:
    """Names of columns without what stands in brackets behind them, and these by name; as they are if names coincide.

    >>> _without_units(["time [s]", "x (m)", "v"])
    (['time', 'x', 'v'], {'time': 's', 'x': 'm'})
    """
    found = [UNIT.fullmatch(head) for head in heads]
    names = [head if m is None else m["name"] for head, m in zip(heads, found, strict=True)]
    if len(set(names)) < len(names):
        return heads, {}
    return names, {m["name"]: m["unit"].strip() for m in found if m is not None and m["unit"].strip()}


def _cells(line: str) -> list[str]:
    mark = next((m for m in MARKS if m in line), None)
    cells = line.split() if mark is None else next(csv.reader([line], delimiter=mark), [])
    return [c.strip() for c in cells]


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
