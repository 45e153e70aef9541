"""Axes: linear in what they show, with round marks that say what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symflow.report.scales import Scale, spanning

DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
numbers = st.floats(-1e12, 1e12, allow_nan=False)


def meaning(label: str) -> float:
    """The number that a label says."""
    mantissa, times, power = label.translate(DIGITS).rpartition("×10")
    if times:
        return float(f"{mantissa}e{power}")
    if label[:2] == "10" and label[2:3] in tuple("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"):
        return float(f"1e{label.translate(DIGITS)[2:]}")
    return float(label.translate(DIGITS))


@given(numbers, st.floats(1e-6, 1e12), st.integers(3, 12))
@settings(deadline=None)
def test_linear_marks_are_round_few_and_true(low, width, most):
    assume(width > 1e-6 * abs(low))
    scale = Scale(low, low + width)
    ticks = scale.ticks(most)
    places = np.array([place for place, _ in ticks])
    assert 1 <= len(ticks) <= most + 1
    assert (scale(places) >= -1e-6).all()
    assert (scale(places) <= 1 + 1e-6).all()
    if len(ticks) > 1:
        step = np.diff(places)
        assert step == pytest.approx(step[0], rel=1e-5)
        assert f"{step[0]:.3e}"[:5] in ("1.000", "2.000", "5.000")
        assert width / step[0] >= most / 2.6  # no finer step of 1, 2, 5 would do
    for place, label in ticks:
        assert meaning(label) == pytest.approx(place, rel=1e-6, abs=1e-6 * width)
        assert "e" not in label
        assert "-" not in label


@given(st.floats(-250, 250), st.floats(2.01, 300), st.integers(3, 10))
@settings(deadline=None)
def test_logarithmic_marks_are_decades(low, decades, most):
    assume(low + decades < 290)
    ticks = Scale(10**low, 10 ** (low + decades), log=True).ticks(most)
    exponents = np.round(np.log10([place for place, _ in ticks]))
    assert 1 <= len(ticks) <= most
    assert len(set(np.diff(exponents))) <= 1
    for place, label in ticks:
        assert low - 1e-6 <= np.log10(place) <= low + decades + 1e-6
        assert meaning(label) == pytest.approx(place, rel=1e-9)


def test_less_than_two_decades_have_marks_between():
    ticks = Scale(0.2, 3.0, log=True).ticks(6)
    assert [label for _, label in ticks] == ["0.5", "1.0", "1.5", "2.0", "2.5", "3.0"]


def test_counts_have_no_halves():
    assert [label for _, label in Scale(0.5, 3.5, whole=True).ticks(12)] == ["1", "2", "3"]


def test_a_scale_may_run_downwards():
    scale = Scale(1.2, -1.2)
    assert scale([1.2, 0.0, -1.2]).tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert [place for place, _ in scale.ticks(5)] == [-1.0, -0.5, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0, np.inf], [0.0], [1e300], [-2e-300]])
def test_a_scale_over_one_value_or_none_has_a_width(values):
    scale = spanning(np.array(values))
    assert scale.high > scale.low
    assert scale.ticks()


def test_a_scale_covers_what_is_finite():
    scale = spanning(np.array([1.0, np.nan]), np.array([3.0, np.inf]), margin=0.5)
    assert (scale.low, scale.high) == (0.0, 4.0)
