"""Functions that take the fields of a dataclass."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import pytest

from symflow.settings import with_settings


@dataclass(frozen=True)
class Throw:
    """How far."""

    angle: float = 45.0
    """Degrees above the ground."""
    speed: float = 1.0
    """Metres a second."""

    def __post_init__(self) -> None:
        if self.speed < 0:
            raise ValueError(f"`speed` must not be negative, got {self.speed}")


@with_settings(Throw)
def throw(ball: str, settings: Throw, *, wind: float = 0.0) -> tuple[str, float, float, float]:
    """Throws a ball."""
    return ball, settings.angle, settings.speed, wind


def test_fields_are_arguments_by_place_and_by_name() -> None:
    assert throw("a") == ("a", 45.0, 1.0, 0.0)
    assert throw("a", 30.0, speed=2.0, wind=1.0) == ("a", 30.0, 2.0, 1.0)
    assert throw("a", settings=Throw(10.0), wind=3.0) == ("a", 10.0, 1.0, 3.0)


def test_the_signature_shows_the_fields_with_their_defaults() -> None:
    parameters = inspect.signature(throw).parameters
    assert list(parameters) == ["ball", "angle", "speed", "wind"]
    assert parameters["angle"].default == 45.0
    assert parameters["wind"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (("a", 1.0, 2.0, 3.0), {}, "at most 3 positional"),
        (("a", 1.0), {"angle": 2.0}, "two values of `angle`"),
        (("a",), {"colour": "red"}, "no argument `colour`; it takes angle, speed"),
        (("a",), {"settings": Throw(), "speed": 1.0}, "`settings` or speed, not both"),
    ],
)
def test_calls_that_do_not_fit_are_refused(arguments: tuple, given: dict, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        throw(*arguments, **given)


def test_what_the_dataclass_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        throw("a", speed=-1.0)
