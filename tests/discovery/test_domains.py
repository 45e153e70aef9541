"""A third domain is one folder and one name in a list: everything that serves all domains then reaches it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import symflow
from symflow import UserError, cli, domains
from symflow.report import write_report


@pytest.fixture
def toy(monkeypatch):
    """The domain in the folder beside this file, installed by its name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setitem(domains.PACKAGES, "toy", "toy")
    yield domains.part("toy", "discovery")
    for name in [name for name in sys.modules if name == "toy" or name.startswith("toy.")]:
        monkeypatch.delitem(sys.modules, name)


def test_its_results_are_written_and_read(toy, tmp_path):
    result = toy.example()
    assert (result.rank, result.verdict, list(result.seconds)) == (1, "measured", ["finite flow"])
    result.save(tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text())["kind"] == "toy"
    assert symflow.load_result(tmp_path) == result
    (tmp_path / "result.json").write_text(json.dumps(result.to_dict() | {"points": 1.5}))
    with pytest.raises(UserError, match=r"`points` must be an integer of at most 64 bits, got 1\.5"):
        symflow.load_result(tmp_path)


def test_they_have_the_page_of_all_results_and_what_it_adds(toy, tmp_path):
    toy.example().save(tmp_path / "result.json")
    page = write_report(tmp_path).read_text()
    assert "<dt>cloud</dt><dd>50 points</dd>" in page
    assert "-y dx + x dy" in page
    assert "<dt>data</dt><dd>measured</dd>" in page


def test_its_command_is_found(toy, tmp_path, capsys):
    cli.main(["turn-cloud", "--out", str(tmp_path / "run")])
    assert "-y dx + x dy" in capsys.readouterr().out
    cli.main(["report", str(tmp_path / "run")])
    assert "symflow turn-cloud --out run" in (tmp_path / "run" / "report.html").read_text()


def test_without_its_name_in_the_list_it_is_unknown(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"schema": 3, "kind": "toy"}))
    with pytest.raises(UserError, match="must hold a result of kind problem, pde, images, got 'toy'"):
        symflow.load_result(tmp_path)
