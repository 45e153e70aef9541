"""Records: what is written is read back, and whatever else is in the file is one sentence."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symflow import Coordinates, UserError
from symflow.discovery.stages import _Outcome
from symflow.learning.loop import _Checkpoint
from symflow.learning.training import _Training
from symflow.runs import (
    ASIDE,
    As,
    Figure,
    Mismatch,
    Run,
    command,
    from_json,
    load_tensors,
    read_config,
    read_metrics,
    read_record,
    save_tensors,
    to_json,
    write_record,
)
from symflow.runs.tensors import FieldShape
from symflow.vision.features.networks import _Saved


@dataclass(frozen=True)
class Inner:
    name: str
    kind: Literal["a", "b"] | None = None


@dataclass(frozen=True)
class Everything:
    """One field for each annotation that a record may have."""

    flag: bool
    count: int
    size: float
    loss: Figure
    label: str | None
    inner: Inner
    many: list[Inner]
    pair: tuple[int, float]
    several: tuple[str, ...]
    by_name: dict[str, list[float]]
    either: int | str
    anything: Any
    share: Fraction | None = field(default=None, metadata={"as": As(str, str, Fraction)})
    array: object = field(default=None, compare=False, metadata=ASIDE)


EXAMPLE = Everything(
    flag=True,
    count=3,
    size=0.5,
    loss=Figure(1.5),
    label=None,
    inner=Inner("x", "a"),
    many=[Inner("y"), Inner("z", "b")],
    pair=(1, 2.0),
    several=("p", "q"),
    by_name={"u": [1.0, 2.0]},
    either="text",
    anything={"deep": [1, None, "x"]},
    share=Fraction(2, 3),
    array=object(),
)
RECORDS = [
    EXAMPLE,
    _Checkpoint(25),
    _Training({"seed": 0, "sizes": [1, 2]}, [{"loss": Figure(0.5)}], "Adam"),
    _Outcome({"rank": 3}, 0.25),
    FieldShape(Coordinates(("x", "t"), (1.0, None)), 2, 8, 4),
    _Saved("SmallResNet", {"classes": 10}, {"classes": ["a"]}),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back(tmp_path, record):
    write_record(tmp_path / "a.json", record)
    assert read_record(tmp_path / "a.json", type(record)) == record


def test_what_is_aside_is_not_written():
    assert "array" not in to_json(EXAMPLE)
    assert from_json(to_json(EXAMPLE), Everything).array is None
    with pytest.raises(Mismatch, match="must have no entry 'array'"):
        from_json(to_json(EXAMPLE) | {"array": 1}, Everything)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"flag": 1}, "`flag` must be true or false, got 1"),
        ({"count": True}, "`count` must be an integer of at most 64 bits, got True"),
        ({"count": 2**63}, "`count` must be an integer of at most 64 bits, got one that is larger"),
        ({"size": "0.5"}, "`size` must be a finite number, got '0.5'"),
        ({"size": float("nan")}, "`size` must be a finite number, got nan"),
        ({"size": 10**400}, "`size` must be a finite number, got one that is larger"),
        ({"label": ["a"]}, "`label` must be text, got a list"),
        ({"label": "\ud800"}, "`label` must be text, got '\\ud800'"),
        ({"by_name": {"\ud800": []}}, "`by_name` must be text, got '\\ud800'"),
        ({"anything": [{"a\udfff": 1}]}, "`anything[0]` must be text, got 'a\\udfff'"),
        ({"inner": {}}, "`inner` must have an entry 'name', got none"),
        ({"inner": {"name": "x", "nom": 1}}, "`inner` must have no entry 'nom', got 1"),
        ({"many": [{"name": "y", "kind": "c"}]}, "`many[0].kind` must be 'a' or 'b', got 'c'"),
        ({"pair": [1]}, "`pair` must be a list of 2, got a list"),
        ({"by_name": {"u": [None]}}, "`by_name.u[0]` must be a finite number, got None"),
        ({"either": 1.5}, "`either` must be text, got 1.5"),
        ({"anything": [float("inf")]}, "`anything[0]` must be a finite number, got inf"),
        ({"share": "a third"}, "`share` does not hold together"),
        ({"label": "x" * 100, "flag": "y" * 100}, "`flag` must be true or false, got 'yyyyyyyy"),
    ],
)
def test_a_mistake_is_named(change, sentence):
    with pytest.raises(Mismatch) as refusal:
        from_json(to_json(EXAMPLE) | change, Everything)
    assert sentence in str(refusal.value)
    assert len(str(refusal.value)) < 150


def test_figures_may_be_infinite():
    for value in (float("inf"), float("nan"), 3):
        assert repr(from_json(value, Figure)) == repr(value)


def test_nesting_beyond_all_bounds_is_a_mistake():
    content: list = []
    for _ in range(10_000):
        content = [content]
    with pytest.raises(Mismatch, match="nested"):
        from_json(content, Any)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab") | st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_is_no_damage(tmp_path, record, data):
    content = to_json(record)
    if data.draw(st.booleans()):
        content[data.draw(st.sampled_from([*content]))] = data.draw(ANYTHING)
    elif data.draw(st.booleans()):
        del content[data.draw(st.sampled_from([*content]))]
    else:
        content = data.draw(ANYTHING)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    try:
        read = read_record(path, type(record))
    except UserError:
        return
    again = from_json(json.loads(json.dumps(to_json(read))), type(record))
    assert repr(again) == repr(read)  # a Figure may be NaN, which equals nothing


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_any_bytes_are_a_sentence_or_a_file(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    (tmp_path / "metrics.jsonl").write_bytes(content)
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="must be a checkpoint"):
        load_tensors(tmp_path / "a.safetensors", _Checkpoint)
    try:
        assert isinstance(read_config(tmp_path), dict)
    except UserError as refusal:
        assert "config.json' must be" in str(refusal)  # noqa: PT017
    assert all(isinstance(line, dict) for line in read_metrics(tmp_path))


def test_what_a_checkpoint_says_of_itself_is_checked(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.zeros(2)}, _Checkpoint(3))
    assert (load_tensors(path, _Checkpoint) or ({}, None))[1] == _Checkpoint(3)
    for about in ({"step": "3"}, {}, [3], {"step": 3, "more": 1}):
        save_tensors(path, {"x": torch.zeros(2)}, about)
        with pytest.raises(UserError, match="must be a checkpoint of symflow, got something else"):
            load_tensors(path, _Checkpoint)


@pytest.mark.parametrize("content", ["[1]", "3", '"text"', "{"])
def test_a_configuration_of_something_else_is_a_sentence(tmp_path, content):
    Run(tmp_path / "run", {"seed": 0})
    (tmp_path / "run" / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json' must be"):
        Run(tmp_path / "run", {"seed": 0}, resume=True)


def test_lines_of_metrics_with_numbers_that_are_none_stay(tmp_path):
    run = Run(tmp_path / "run", {})
    run.log({"stage": "a", "step": 0, "loss": float("nan")})
    run.log({"stage": "a", "step": 1, "loss": 0.5})
    run.rewind("a", 1)
    (line,) = read_metrics(run.path)
    assert repr(line["loss"]) == "nan"


def test_a_command_says_what_was_asked():
    assert command({"seed": 0}) is None
    config = {
        "command": "discover",
        "data": "a.h5",
        "identity": "x",
        "parameters": ["nu=1"],
        "degree": None,
        "flip": True,
    }
    assert command(config, "run") == "symflow discover a.h5 --out run --parameters nu=1 --flip"
