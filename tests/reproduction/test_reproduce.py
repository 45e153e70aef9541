"""Studies of a domain of its own: found through the list of domains, killed and resumed, read back, shown."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command_line import symflow
from symflow import UserError, domains
from symflow.reproduction import find, read_records, reproduce, results, studies
from symflow.reproduction.reproduce import Job
from symflow.runs import read_json

HERE = Path(__file__).parent
KILLED = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
from symflow import domains
domains.PACKAGES.clear(); domains.PACKAGES["drawn"] = "drawn"
from symflow.cli import main
main(["reproduce", "pde", "--out", "out", "--runs", "runs"])
"""


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """The domain beside this file, alone in the list."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(domains, "PACKAGES", {"drawn": "drawn"})
    yield
    for name in [name for name in sys.modules if name == "drawn" or name.startswith("drawn.")]:
        monkeypatch.delitem(sys.modules, name)


def jobs(seeds: int = 1) -> list[Job]:
    return find(["pde", "operators"], None, "small", seeds)


def carried_out(*how: Any) -> list[Path]:
    return list(reproduce(*how))


def test_every_study_is_carried_out_with_every_seed(tmp_path: Path) -> None:
    titles = []
    paths = carried_out(jobs(2), tmp_path / "out", tmp_path / "runs", lambda title, done, note: titles.append(title))
    assert [str(p.relative_to(tmp_path / "out")) for p in paths] == [
        "pde/walk-small-0.json",
        "operators/point-small-0.json",
        "pde/walk-small-1.json",
        "operators/point-small-1.json",
    ]
    assert list(dict.fromkeys(titles)) == [job.title for job in jobs(2)]
    records = read_records(tmp_path / "out")
    assert results(records, "operators", "point") == {0: {"x": 0.0}, 1: {"x": 1.0}}
    assert [job.seed for job in find(["pde"], None, "small", 2, first=3)] == [3, 4]
    assert results(records, "operators", "point", "paper") == {}


def test_what_has_a_record_is_passed_over(tmp_path: Path) -> None:
    first = carried_out(jobs(), tmp_path / "out", tmp_path / "runs")
    before = [p.read_bytes() for p in first]
    assert next(reproduce(jobs(2), tmp_path / "out", tmp_path / "runs")) == first[0]
    assert not (tmp_path / "runs/pde/walk-small-1").exists()  # what is there is said before anything is begun
    carried_out(jobs(2), tmp_path / "out", tmp_path / "runs")
    assert [p.read_bytes() for p in first] == before
    assert (tmp_path / "runs/pde/walk-small-0/calls").read_text() == "0\n"


def test_a_killed_study_goes_on_and_ends_as_one_that_was_not(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED], cwd=tmp_path, stderr=subprocess.DEVNULL)
    kept = tmp_path / "runs/pde/walk-small-0/walk.json"
    end = time.monotonic() + 60
    while not kept.exists() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "out").glob("pde/*.json"))

    carried_out(find(["pde"], None, "small", 1), tmp_path / "out", tmp_path / "runs")
    starts = [int(line) for line in (tmp_path / "runs/pde/walk-small-0/calls").read_text().split()]
    assert len(starts) == 2
    assert starts[1] > 0
    whole = carried_out(find(["pde"], None, "small", 1), tmp_path / "whole", tmp_path / "others")
    assert read_json(tmp_path / "out/pde/walk-small-0.json")["result"] == read_json(whole[0])["result"]


def test_what_is_missing_is_said_before_anything_is_begun(tmp_path: Path) -> None:
    def lacking() -> None:
        raise UserError("there are no images")

    first, second = jobs()
    late = replace(second, study=replace(second.study, check=lacking))
    with pytest.raises(UserError, match="there are no images"):
        carried_out([first, late], tmp_path / "out", tmp_path / "runs")
    assert not list(tmp_path.iterdir())
    for job in (first, second):
        carried_out([job], tmp_path / "out", tmp_path / "runs")
    assert len(carried_out([first, late], tmp_path / "out", tmp_path / "runs")) == 2  # what has a record needs nothing


def test_progress_says_what_is_left(tmp_path: Path) -> None:
    notes: list[str] = []
    carried_out(jobs(), tmp_path / "out", tmp_path / "runs", lambda title, done, note: notes.append(note))
    assert notes[0] == "1 s left"  # what is expected of both
    assert notes[10].startswith("place")
    assert notes[10].endswith("s left")


def test_the_command_carries_out_and_writes_the_page(tmp_path: Path) -> None:
    empty = symflow("reproduce", "page", "--out", "out", "--page", "page.md", cwd=tmp_path)
    assert empty.returncode == 0, empty.stderr
    assert "## Walks\nnot run\n" in (tmp_path / "page.md").read_text()
    assert (tmp_path / "paper/walks.svg").read_text() == "<svg>0</svg>"
    answer = symflow("reproduce", "pde", "walk", "--out", "out", "--runs", "runs", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (0, "out/pde/walk-small-0.json\n")
    symflow("reproduce", "page", "--out", "out", "--page", "page.md", cwd=tmp_path)
    place = read_json(tmp_path / "out/pde/walk-small-0.json")["result"]["place"]
    assert f"## Walks\n{place:.3f}\n" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("pde", "run"), "`name` must be one of walk, got 'run'"),
        (("pde", "--seeds", "0"), "`seeds` must be an integer of at least 1, got 0"),
        (("images",), "`group` must be one of pde, operators, got 'images'"),
    ],
)
def test_mistakes_get_a_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    answer = symflow("reproduce", *arguments, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert sentence in answer.stderr


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pde").mkdir()
    (tmp_path / "pde/walk-small-0.json").write_text('{"group": "pde"}')
    with pytest.raises(UserError, match="must be the record of a study"):
        read_records(tmp_path)


def test_groups_are_those_of_the_domains() -> None:
    assert list(studies("pde")) == ["walk"]
    with pytest.raises(UserError, match="must be one of pde, operators"):
        studies("walk")
