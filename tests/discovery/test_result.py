"""Results of any kind: what is written is read back, old files are read, and what was damaged is refused."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symflow
from symflow import UserError, pde, vision
from symflow.discovery import (
    DataVerdict,
    DomainVerdict,
    EquationVerdict,
    Verdicts,
    load_result,
)
from symflow.fields import Coordinates
from symflow.problems.found import Found, Generator
from symflow.report import write_report

DATA = Path(__file__).parent / "data"
OLD = ("equations-schema2.json", "family-schema2.json", "images-schema2.json")


def problem() -> Found:
    """A result of a problem of one's own."""
    form = {"dx": "-y", "dy": "x"}
    boost = Generator(name="V1", closed_form=form, rational=True, violation=1e-9, score=1e-9, control=0.5)
    verdicts = Verdicts(data=DataVerdict("measured", "by 8 replicates", 1e-9))
    other = Generator(name="V2", closed_form=None, rational=False, violation=1e-3, score=1e-3, control=0.5)
    return Found(
        verdicts=verdicts,
        rank=2,
        generators=[boost, other],
        seed=0,
        seconds={"count": 0.5},
        fields="affine",
        clear=True,
        why=("by 8 replicates",),
        source="replicates",
        error_rate=None,
        values=[1e-9, 1e-3, 0.5],
        noise=[1e-9, 1e-3, 1e-3],
        fresh=[1e-9, 1e-3, 0.5],
        floor=1e-3,
        coherence=[0.0, 0.5],
        pointwise_rank=1,
        agreement=None,
        algebra=None,
        coordinates={"in": Coordinates(("x", "y"))},
    )


@pytest.mark.parametrize("name", OLD)
def test_files_of_schema_2_are_read_and_written_anew(tmp_path, name):
    old = json.loads((DATA / name).read_text())
    result = load_result(DATA / name)
    assert result.seed == (old["setting"]["seed"] if "setting" in old else old["seed"])
    assert [g.closed_form for g in result.generators] == [g["closed_form"] for g in old["generators"]]
    assert [g.valid for g in result.generators] == [g["valid"] for g in old["generators"]]
    result.save(tmp_path / "result.json")
    again = load_result(tmp_path)  # a run directory
    assert again == result
    assert again.seconds == old["seconds"]
    content = json.loads((tmp_path / "result.json").read_text())
    assert content["schema"] == 3
    assert {"kind", "symflow", "created", "command", "seed", "seconds", "verdicts"} <= content.keys()
    assert {"generators", "families", "approximate"} <= content.keys()


def test_what_schema_2_said_of_an_equation_is_kept():
    result = pde.load_result(DATA / "family-schema2.json")
    assert isinstance(result, pde.Result)
    assert result.verdicts == Verdicts(EquationVerdict("proved", 6, complete=False, stable=True))
    assert [(f.formula, f.functions, f.conditions, f.verified) for f in result.families] == [
        ("f du", {"f": ["x", "t"]}, ["f_t - 3*f_xx/10"], True)
    ]
    result = pde.load_result(DATA / "equations-schema2.json")
    assert isinstance(result.verdicts.domain, DomainVerdict)
    assert (result.verdicts.domain.dimension, len(result.verdicts.domain.lost)) == (2, 2)
    assert result.verify() == [True, True]
    assert "certified" in str(result)


def test_one_function_reads_every_kind(tmp_path):
    problem().save(tmp_path / "result.json")
    assert symflow.load_result(tmp_path) == problem()
    assert symflow.load_result(DATA / OLD[0]) == pde.load_result(DATA / OLD[0])
    assert symflow.load_result(DATA / OLD[2]) == vision.load_image_result(DATA / OLD[2])
    for load in (pde.load_result, vision.load_image_result):
        with pytest.raises(UserError, match="must be a result of symflow"):
            load(tmp_path)


def test_a_problem_of_ones_own_has_a_page(tmp_path):
    problem().save(tmp_path / "result.json")
    page = write_report(tmp_path).read_text()
    assert page == write_report(tmp_path).read_text()
    assert "2 fields keep the data valid" in page
    assert "-y dx + x dy" in page
    assert "By 8 replicates" in page
    assert "-y dx + x dy" in str(problem())


def test_when_and_how_does_not_count():
    result = problem()
    other = copy.replace(result, created="2020-01-01") if hasattr(copy, "replace") else result
    assert other == result


def test_the_headline_is_the_weakest_level_that_was_asked():
    proved, lost = EquationVerdict("proved", 4), DomainVerdict("proved", 3, ["x dx"])
    assert Verdicts(proved).word == "proved"
    assert Verdicts(proved, lost, DataVerdict("measured")).word == "measured"
    assert Verdicts(proved, lost, DataVerdict("refuted")).word == "refuted"
    assert Verdicts().word == "cannot be told"


def test_a_generator_without_a_closed_form_says_so():
    other = problem().generators[1]
    assert other.formula == ""
    for use in (other.sympy, other.latex):
        with pytest.raises(UserError, match="the generator V2 has no closed form"):
            use()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"schema": 3, "kind": "pde", "seed": ' + b"9" * 5_000 + b"}",
        b'{"schema": 3, "kind": "weather"}',
        b'{"schema": 4, "kind": "pde"}',
        b'{"schema": true}',
        b'{"schema": 2}',
        b'{"schema": 3, "kind": "pde"}',
        b'{"schema": 3, "kind": ["pde"]}',
        b'{"schema": 3, "kind": "problem", "generators": NaN}',
    ],
)
def test_a_file_of_something_else_is_one_sentence(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    for read in (load_result, pde.load_result, vision.load_image_result, write_report):
        with pytest.raises(UserError, match=r"result\.json' must") as refusal:
            read(tmp_path)
        assert "\n" not in str(refusal.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        load_result(tmp_path / "nothing")
    with pytest.raises(UserError, match="there is no file"):
        load_result(tmp_path)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just(10**400)
    | st.just("9**9**9"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


def places(content, path=()):
    """The path of every value in JSON."""
    yield path
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield from places(value, (*path, key))


def mutated(content, data):
    """JSON with a value replaced, taken away, or doubled."""
    content = copy.deepcopy(content)
    *above, last = data.draw(st.sampled_from([p for p in places(content) if p]))
    inside = content
    for key in above:
        inside = inside[key]
    what = data.draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if what == "replace":
        inside[last] = data.draw(ANYTHING)
    elif what == "remove":
        del inside[last]
    elif isinstance(inside, dict):
        inside[data.draw(st.text(max_size=4))] = inside[last]
    else:
        inside.append(inside[last])
    return content


@pytest.mark.parametrize("name", [*OLD, "equations.json", "family.json", "images.json", "problem.json"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_is_no_damage(tmp_path, name, data):
    """What is read of a damaged file is a sentence, or a result that is shown, written and read like any other."""
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    if name in OLD:
        content = json.loads((DATA / name).read_text())
    elif name == "problem.json":
        content = problem().to_dict()
    else:
        content = load_result(DATA / name.replace(".json", "-schema2.json")).to_dict()
    path = tmp_path / "result.json"
    path.write_text(json.dumps(mutated(content, data)))
    try:
        result = load_result(path)
    except UserError:
        return
    assert str(result)
    result.save(path)
    assert load_result(path) == result
