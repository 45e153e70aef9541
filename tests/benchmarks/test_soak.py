"""`make soak` divides its time so that no part is left out, and does not call green what it has not reached."""

from __future__ import annotations

import functools
import json
import sys
import types

import pytest

SCRIPT = "soak"


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch, bench):
    clock = Clock()
    monkeypatch.setattr(bench, "time", clock)
    return clock


def test_shares_are_of_the_time_that_is_left(bench, clock):
    """The first takes three times its share; the others get what remains in their proportions."""
    given = {}
    for name, seconds in bench.turns(100.0, {"a": 2.0, "b": 1.0, "c": 3.0, "d": 4.0}):
        given[name] = seconds
        clock.now += 3 * seconds if name == "a" else seconds
    assert given == pytest.approx({"a": 20.0, "b": 5.0, "c": 15.0, "d": 20.0})
    assert clock.now == pytest.approx(100.0)


def test_time_that_is_over_is_no_negative_time(bench, clock):
    for _, seconds in bench.turns(1.0, {"a": 1.0, "b": 1.0}):
        assert seconds >= 0.0
        clock.now += 5.0


def test_parts_without_time_are_not_green(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "LEDGER", tmp_path / "ledger.json")
    words = ["soak.py", "--minutes", "0", "--parts", "images", "kills", "--out", str(tmp_path / "soak.json")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == 1
    assert "Nothing was done of images, kills" in capsys.readouterr().out
    found = json.loads((tmp_path / "soak.json").read_text())
    assert "generate" in found["parts"]["kills"]["not reached"]
    assert any("not reached: generate, " in str(row[1]) for row in bench.rows(found))


def test_lanes_have_the_whole_time_each(bench, clock, monkeypatch):
    given = {}

    def work(part, seed, seconds, *_):
        given[part] = seconds
        clock.now += seconds

    monkeypatch.setattr(bench, "drawn", work)
    interruptions = types.SimpleNamespace(**{p: functools.partial(work, p) for p in ("kills", "limits")})
    monkeypatch.setitem(sys.modules, "_interruptions", interruptions)
    for lane in bench.LANES:
        bench.in_lane(lane, 0, 100.0, {})
        assert sum(given[part] for part in lane) == pytest.approx(100.0)
    assert set(given) == set(bench.PARTS)


def test_a_second_call_begins_with_what_was_not_reached(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "LEDGER", tmp_path / "ledger.json")
    monkeypatch.setattr(bench, "targets", lambda part: [types.SimpleNamespace(name=n, often=1) for n in "abc"])
    asked = []

    def one_target(name, seed, first, seconds):
        asked.append((name, first))
        return {**dict.fromkeys(bench.COUNTS, 1), "slowest": 0.0, "memory": 0, "faults": [], "next": first + 1}

    monkeypatch.setattr(bench, "one_target", one_target)
    ledger = {f"state: {n}": {**one_target(n, 0, 4, 0.0)} for n in "ab"}
    asked.clear()
    bench.drawn("state", 0, 30.0, ledger)
    assert asked == [("c", 0), ("a", 5), ("b", 5)]
