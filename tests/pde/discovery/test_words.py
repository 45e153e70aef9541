"""What is said of a discovery: the same words on a terminal, in the file, in a line, and only what was tested."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from symflow import UserError, pde
from symflow.pde import Result, Trajectories, load_result


@cache
def kdv() -> Trajectories:
    return pde.generate("kdv", 4, seed=0, steps=60, keep=60, end=20.0, resolution=128)


def noise() -> Trajectories:
    random = torch.Generator().manual_seed(0)
    return replace(kdv(), u=torch.randn(kdv().u.shape, dtype=torch.float64, generator=random))


def one_scaled() -> Trajectories:
    u = kdv().u.clone()
    u[2] *= 1.05
    return replace(kdv(), u=u)


CASES = {
    "measured": kdv,
    "refuted": lambda: replace(kdv(), u=1.02 * kdv().u),
    "cannot be told": noise,
    "outliers": one_scaled,
}


@cache
def found(case: str) -> Result:
    return pde.discover(CASES[case](), network="none")


def word(case: str) -> str:
    return "refuted" if case == "outliers" else case


@pytest.mark.parametrize("case", CASES)
def test_every_place_says_the_same_word(case: str, tmp_path: Path) -> None:
    result = found(case)
    result.save(tmp_path / "result.json")
    content = json.loads((tmp_path / "result.json").read_text())
    said = {s.level: s.word for s in result.statements}
    assert said == {"equation": "proved", "domain": "proved", "data": word(case)}
    assert {level: content["verdicts"][level]["word"] for level in said} == said
    assert result.verdict == word(case)
    assert [g["data"]["word"] for g in content["generators"]] == [word(case)] * 3
    assert [g["valid"] for g in content["generators"]] == [case == "measured"] * 3
    rows = [line.split() for line in str(result).splitlines() if line.startswith((" V1", " V2", " V3"))]
    assert [" ".join(row).endswith(f"proved {word(case)}") for row in rows] == [True] * 3
    assert repr(result) == f"<Result: {result.headline}>"
    assert load_result(tmp_path) == result


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (
            "measured",
            "4 trajectories of u_t + u*u_x + u_xxx = 0: 3 symmetries with the period of the data, proved and ",
        ),
        ("refuted", ", proved. These data do not solve it: nothing is said of the data."),
        ("cannot be told", ", proved. Whether these data solve it cannot be told: nothing is said of the data."),
        ("outliers", ", proved. These data solve it but for some trajectories."),
    ],
)
def test_the_headline_says_no_more_than_the_data_do(case: str, sentence: str) -> None:
    assert sentence in found(case).headline
    head, _, rest = str(found(case)).partition("\n\n")
    assert head.replace("\n", " ") == found(case).headline
    assert rest.startswith("equation   proved ")
    assert max(map(len, rest.partition("\n\n")[0].splitlines())) <= 120
    assert ("valid for these data" in found(case).headline) == (case == "measured")


def test_a_table_has_no_column_that_looks_like_evidence_from_data() -> None:
    """For a proved generator moved scores, floors and controls are a check of the code."""
    for case in CASES:
        heads = next(line for line in str(found(case)).splitlines() if "generator " in line and "V1" not in line)
        assert heads.split() == ["generator", "equation", "data"]
        assert not any(name in str(found(case)) for name in ("moved", "floor", "control"))


def test_what_is_not_proved_shows_its_figures_and_is_not_valid() -> None:
    """There the scores inform."""
    result = found("measured")
    doubtful = replace(result.generators[0], verified=False, valid=False, score=1e-3)
    text = str(replace(result, generators=[doubtful, *result.generators[1:]]))
    assert "V1 is not proved; moved along it, the residual with u_t from the equation is 1e-03 (floor " in text
    assert "2 of them proved and valid for these data" in text
    broken = replace(result.generators[0], score=1e-3)
    assert "V1 fails a check of the code" in str(replace(result, generators=[broken, *result.generators[1:]]))


def test_the_line_of_the_data_says_what_was_tested() -> None:
    said = {s.level: s.text for s in found("measured").statements}["data"]
    assert said.startswith("these data solve it (weak residual ")
    assert "4 of 4 trajectories); the coefficients are known to " in said
    gate = found("measured").gate
    assert gate is not None
    known = max((c.upper - c.lower) / 2 / c.claimed for c in gate.coefficients if c.upper is not None and c.lower)
    assert f"{known:.0e} of their values" in said
    # 1 % noise on one trajectory: the coefficients are known less well than to 1 %, and named
    few = kdv()[:1]
    random = torch.Generator().manual_seed(1)
    noisy = replace(few, u=few.u + 0.01 * few.u.std() * torch.randn(few.u.shape, generator=random, dtype=few.u.dtype))
    result = pde.discover(noisy, network="none")
    assert result.gate is not None
    assert result.gate.not_tested
    assert result.verdicts.data is not None
    if result.verdict == "measured":
        assert f"not tested to 1 %: {', '.join(result.gate.not_tested)}" in result.verdicts.data.reason


def test_how_far_others_were_looked_for_is_said() -> None:
    assert pde.discover("kdv", network="none").statements[0].text == (
        "4 symmetries; no others of any form, counted modulo a prime"
    )
    heat = pde.discover("u_t = u_xx", network="none").statements[0].text
    assert heat.startswith("6 symmetries and 1 infinite family; no others up to order 3 of their Taylor polynomials, ")
    assert pde.discover("kdv", network="none").headline == "u_t + u*u_x + u_xxx = 0: 4 symmetries on the plane, proved"


def test_trust_is_recorded_and_not_read_off_a_sentence(tmp_path: Path) -> None:
    result = pde.discover(CASES["refuted"](), network="none", trust=True)
    assert (result.trusted, result.verdict) == (True, "cannot be told")
    assert "proved and valid for data that are trusted to solve it" in result.headline
    other = replace(result.verdicts, data=replace(result.verdicts.data, reason="asked by somebody else"))
    assert replace(result, verdicts=other).of_data
    assert not pde.discover("kdv", network="none", trust=True).trusted  # there is nothing to trust
    # earlier files of schema 3 say it by the reason alone
    content = result.to_dict()
    del content["trusted"], content["gate"]
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert load_result(tmp_path) == result
    content = found("refuted").to_dict()
    del content["trusted"], content["gate"]
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert not load_result(tmp_path).trusted
    assert load_result(tmp_path).verdict == "refuted"


def test_data_are_moved_only_if_they_solve_the_equation_of_the_generators() -> None:
    good, bad = found("measured"), CASES["refuted"]()
    assert good.augment(kdv()).u.shape[0] == 4
    for result in (good, pde.discover(kdv().equation, domain="periodic", network="none")):
        with pytest.raises(
            UserError, match=r"`data` must solve u_t .*, but these data do not solve it .*unproved=True"
        ):
            result.augment(bad)
        with pytest.raises(UserError, match="must solve"):
            pde.TrajectoryAugment(result, bad, 0.1)
        assert len(result.augment(bad, unproved=True)) == 4
        assert pde.TrajectoryAugment(result, bad, 0.1, unproved=True).field.generators == 3
    with pytest.raises(UserError, match="must hold a generator that is valid for data to move them along, got none"):
        found("refuted").augment(bad)
    with pytest.raises(UserError, match="must solve"):  # another equation than that of the generators
        found("measured").augment(replace(noise(), equation=pde.Equation("u_t = u_xx")))
    assert len(pde.discover(bad, network="none", trust=True).augment(bad)) == 4
