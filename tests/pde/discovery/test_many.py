"""Many equations of a file: read line by line, each answered by itself, the same for any number of processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symflow import UserError, pde
from symflow.pde.discovery import discover_many, many, read_equations, table
from symflow.pde.settings import Discovery

TEXT = """\ufeff# the five, and others

kdv
u_t = u_xx   # heat
  {"equation": "u_t = nu*u_xx", "name": "slow heat", "parameters": {"nu": 0.3}}
u_t = exp(
u_tt = c*u_xx\r
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "equations.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_line_is_an_equation(file: Path) -> None:
    asked = read_equations(file, {"c": 2.0})
    assert [(a.line, a.equation, a.name) for a in asked] == [
        (3, "kdv", ""),
        (4, "u_t = u_xx", ""),
        (5, "u_t = nu*u_xx", "slow heat"),
        (6, "u_t = exp(", ""),
        (7, "u_tt = c*u_xx", ""),
    ]
    assert asked[2].parameters == {"nu": 0.3, "c": 2.0}
    assert asked[0].formula == pde.CATALOGUE["kdv"].equation


def test_answers_stand_in_the_order_of_the_file_for_any_number_of_processes(file: Path) -> None:
    asked = read_equations(file)
    one, two = (discover_many(asked, Discovery(), workers=n) for n in (1, 2))
    lines = [json.dumps(answer.to_dict(), allow_nan=False) for answer in one]
    assert lines == [json.dumps(answer.to_dict(), allow_nan=False) for answer in two]
    assert [answer.result is None for answer in one] == [False, False, False, True, True]
    assert "unexpected end at column 11" in one[3].refused
    assert "unknown name 'c'" in one[4].refused

    alone = pde.discover("u_t = u_xx").to_dict()
    assert one[1].result is not None
    assert one[1].result["generators"] == alone["generators"]
    assert one[1].result["families"] == alone["families"]
    shown = table(one)
    assert "6 + 1 infinite" in shown
    assert "sch(1)" in shown
    assert "slow heat" in shown


def test_a_mistake_of_the_program_is_said_of_its_equation(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    discover = many.discover

    def broken(equation: pde.Equation, settings: Discovery) -> pde.Result:
        if equation.parameters:
            raise RecursionError("too deep")
        return discover(equation, settings=settings)

    monkeypatch.setattr(many, "discover", broken)
    answers = discover_many(read_equations(file)[1:3], Discovery(), workers=2)
    assert answers[0].result is not None
    assert answers[1].refused == "a mistake of this program: RecursionError: too deep"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "must hold an equation a line, got none"),
        (b"# nothing\n\n  \n", "must hold an equation a line, got none"),
        (b"u_t = u_xx\n\xff\xfe", "must be a text in UTF-8, got one that is none at byte 11"),
        (b'{"equation": 3}', "line 1 of"),
        (b'\n{"equation": "kdv", "colour": 3}', "line 2 of"),
        (b'{"equation": "kdv"', "line 1 of"),
        (b"{" * 100_000, "line 1 of"),
        (b"u_t = u_xx\n" * (many.MOST_EQUATIONS + 1), f"at most {many.MOST_EQUATIONS} equations"),
        (b" " * (many.MOST_BYTES + 1), f"at most {many.MOST_BYTES} bytes"),
    ],
)
def test_a_bad_file_costs_a_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "equations.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_equations(path)


def test_no_file_costs_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError, match="`equations` must be a file"):
            read_equations(path)
