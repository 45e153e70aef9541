"""Studies one after the other: what has a record is passed over, what was interrupted goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from symflow import __version__
from symflow.errors import UserError, check_integer
from symflow.runs import write_record

from .study import SIZES, Record, Size, Study, path_of, studies

Report = Callable[[str, float, str], None]
"""What shows progress: the study, the fraction of it that is done, and a note with the time that is left."""


def _silent(title: str, done: float, note: str) -> None: ...


@dataclass(frozen=True)
class Job:
    """A study and a seed."""

    group: str
    name: str
    study: Study
    size: Size
    seed: int

    @property
    def title(self) -> str:
        """A name for progress."""
        return f"{self.group} {self.name}, seed {self.seed}"


def find(groups: Sequence[str], name: str | None, size: Size, seeds: int, first: int = 0) -> list[Job]:
    """Every study that is asked for with every seed, the first seed of all of them first.

    Args:
        groups: of studies.
        name: of one in them, or all.
        size: of the studies.
        seeds: how many.
        first: the first of them.

    Raises:
        UserError: an argument is out of its range, or there is no study of that name.
    """
    check_integer("seeds", seeds, 1)
    check_integer("seed", first, 0)
    if size not in SIZES:
        raise UserError(f"`size` must be one of {', '.join(SIZES)}, got {size!r}")
    of_group = {group: studies(group) for group in groups}
    known = [study for group in of_group.values() for study in group]
    if name is not None and name not in known:
        raise UserError(f"`name` must be one of {', '.join(known)}, got {name!r}")
    return [
        Job(group, each, study, size, seed)
        for seed in range(first, first + seeds)
        for group, found in of_group.items()
        for each, study in found.items()
        if name in (None, each)
    ]


def reproduce(jobs: Sequence[Job], out: Path, runs: Path, report: Report = _silent) -> Iterator[Path]:
    """Carries out studies and writes a record for each, whole or not at all, as its path is asked for.

    A study whose record exists is not carried out again. What a study keeps on its way is under `runs`, from where it
    goes on after a kill at any time; it stays there when the study is finished.

    Args:
        jobs: as of `find`.
        out: the directory of the records, ``out/group/name-size-seed.json``.
        runs: the directory of what studies keep, ``runs/group/name-size-seed``.
        report: called as it goes on.

    Yields:
        The paths of the records, those that are there already first.

    Raises:
        UserError: a study lacks what it cannot make; none is begun then.
    """
    paths = [(job, path_of(out, job.group, job.name, job.size, job.seed)) for job in jobs]
    there = [path for _, path in paths if path.exists()]
    waiting = [(job, path) for job, path in paths if path not in there]
    for job, _ in waiting:
        job.study.check()
    yield from there
    clock = _Clock([job for job, _ in waiting])
    for job, path in waiting:
        folder = path_of(runs, job.group, job.name, job.size, job.seed).with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        clock.begin()
        begun = time.monotonic()

        def tell(done: float, note: str, job: Job = job) -> None:
            report(job.title, done, ", ".join(part for part in (note, clock.left(done)) if part))

        tell(0.0, "")
        found = job.study.run(job.size, job.seed, folder, tell)
        seconds = time.monotonic() - begun
        write_record(path, Record(job.group, job.name, job.size, job.seed, seconds, __version__, found))
        clock.end(seconds)
        report(job.title, 1.0, spoken(seconds))
        yield path


class _Clock:
    """How long it will still take, by what has been done so far."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.later = [job.study.seconds if job.size == "small" else None for job in jobs]
        self.pace = 1.0  # seconds per expected second

    def begin(self) -> None:
        """The next job begins."""
        self.expected = self.later.pop(0)
        self.since: tuple[float, float] | None = None  # when this job first told anything, and what

    def end(self, seconds: float) -> None:
        """It has ended; the next ones are expected to be off as it was."""
        share = 1 - (self.since[1] if self.since else 0.0)  # of it, after what an earlier call had done
        if self.expected and share > 0:
            self.pace = seconds / (self.expected * share)

    def left(self, done: float) -> str:
        """The time that is left, in words; empty while there is nothing to go by."""
        now = time.monotonic()
        if self.since is None and done > 0:
            self.since = now, done
        advanced = done - self.since[1] if self.since else 0.0
        if self.since and advanced > 0.02:
            here = (now - self.since[0]) * (1 - done) / advanced
        elif self.expected is not None:
            here = self.expected * self.pace * (1 - done)
        else:
            return ""
        if None in self.later:
            return f"{spoken(here)} left of this one"
        return f"{spoken(here + self.pace * sum(e for e in self.later if e is not None))} left"


def spoken(seconds: float) -> str:
    """A time in words, such as "40 s", "7 min" or "1 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
