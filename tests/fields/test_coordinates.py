"""Units: conversions are inverse to each other, and every mistake has its sentence."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow import Coordinates

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
positive = st.floats(1e-3, 1e6)


@given(st.lists(st.tuples(finite, positive, finite), min_size=1, max_size=4))
@settings(deadline=None)
def test_round_trips(axes):
    offset, scale, values = zip(*axes, strict=True)
    names = "abcd"[: len(axes)]
    c = Coordinates(tuple(names), offset=offset, scale=scale)
    points = torch.tensor([values], dtype=torch.float64)
    size = float(max(1.0, *map(abs, offset), *map(abs, values)))
    torch.testing.assert_close(c.to_physical(c.to_normalised(points)), points, rtol=1e-12, atol=1e-12 * size)
    torch.testing.assert_close(c.vectors_to_physical(c.vectors_to_normalised(points)), points, rtol=1e-14, atol=1e-300)
    # A vector is the difference of two points.
    other = points + 1
    torch.testing.assert_close(
        c.to_normalised(other) - c.to_normalised(points),
        c.vectors_to_normalised(other - points),
        rtol=1e-6,
        atol=1e-12 * size / min(scale),
    )


def test_periods_and_description():
    c = Coordinates(("x", "t"), periods=(6.0, None), offset=(1.0, 2.0), scale=(3.0, 0.5))
    assert c.normalised_periods == (2.0, None)
    assert c.dimension == 2
    assert Coordinates(**json.loads(json.dumps(c.to_dict()))) == c
    assert c.to_physical(torch.zeros(2)).tolist() == [1.0, 2.0]
    assert c.to_physical(torch.zeros(2, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ()}, "`names` must be distinct identifiers"),
        ({"names": ("x", "x")}, "`names` must be distinct identifiers"),
        ({"names": ("x", "1")}, "`names` must be distinct identifiers"),
        ({"names": ("x", 2)}, "`names` must be distinct identifiers"),
        ({"names": ("x",), "scale": (1.0, 2.0)}, "`scale` must have one entry for each of the 1 axes, got 2"),
        ({"names": ("x",), "scale": (0.0,)}, "`scale` must be positive"),
        ({"names": ("x",), "periods": (-1.0,)}, "`periods` must be positive"),
        ({"names": ("x",), "offset": (float("nan"),)}, "`offset` must be finite"),
        ({"names": ("x",), "scale": (float("inf"),)}, "`scale` must be finite"),
        ({"names": ("x",), "scale": (None,)}, "must be numbers on every axis, got None"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(ValueError, match=message):
        Coordinates(**arguments)


def test_points_of_another_dimension():
    with pytest.raises(ValueError, match=r"must hold the 2 coordinates \('x', 'y'\), got shape \(5, 3\)"):
        Coordinates(("x", "y")).to_physical(torch.zeros(5, 3))


def test_coordinates_cannot_be_changed():
    with pytest.raises(AttributeError):
        Coordinates(("x",)).scale = (2.0,)
