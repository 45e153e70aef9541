"""The bench of a catalogue: what is due is read as it is written, and every answer gets the word it deserves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = "catalogue"
FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_entries_are_read_as_they_are_written(bench, tmp_path):
    entries = [
        {"name": "heat", "equation": "u_t = nu*u_xx", "parameters": "nu=0.3", "dimension": "inf", "finite": "6"},
        {"name": "wave", "equation": "u_xt = 0", "dimension": "inf", "finite": "-"},
        {"name": "KdV", "equation": "u_t + u*u_x + u_xxx = 0", "dimension": "4"},
    ]
    (tmp_path / "catalogue.json").write_text(json.dumps({"entries": entries}))
    known = bench.Known.read(tmp_path / "catalogue.json")
    assert [(k.dimension, k.finite, k.parameters) for k in known] == [
        (None, 6, {"nu": 0.3}),
        (None, None, {}),
        (4, 4, {}),
    ]
    assert [k.due for k in known] == ["6 and a family", "? and a family", "4"]


def test_every_answer_gets_its_word(bench):
    def answer(dimension, families=0, stable=True, missing=None):
        found = {"dimension": dimension, "families": [["f_t - f_xx"]] * families}
        return found | {"stable": stable, "missing": missing}

    finite = bench.Known("", "", {}, 4, 4)
    assert bench.outcome(finite, answer(4)) == "right"
    assert [bench.outcome(finite, a) for a in (answer(3), answer(4, 1), answer(4, stable=False))] == ["wrong"] * 3
    assert [bench.outcome(finite, a) for a in (answer(3, missing=1), answer(2, missing=1))] == ["short", "wrong"]
    family, unknown = bench.Known("", "", {}, None, 6), bench.Known("", "", {}, None, None)
    assert [bench.outcome(family, a) for a in (answer(6, 1), answer(5, 1), answer(6))] == ["right", "wrong", "wrong"]
    assert [bench.outcome(unknown, a) for a in (answer(9, 1), answer(9, stable=False))] == ["right", "untold"]
    assert bench.outcome(finite, {"error": "refused", "sentence": "no formula"}) == "refused"


def test_without_a_catalogue_it_says_so(tmp_path):
    command = [sys.executable, str(FOLDER / "catalogue.py"), "--file", str(tmp_path / "nowhere.json")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr.startswith("`--file` or SYMFLOW_TRUTH must name a catalogue")


def test_the_facts_are_whole(bench):
    entries = json.loads((FOLDER / "catalogue.json").read_text())["entries"]
    assert len(bench.Known.read(FOLDER / "catalogue.json")) == len(entries) > 300
    assert all(entry["source"] for entry in entries)
