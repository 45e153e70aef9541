"""The whole answer: what is planted, what is near a proved symmetry, what cannot be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from jets_of_laws import noisy
from planted import damped, small
from symflow.errors import UserError
from symflow.pde import discover, generate, load_result
from symflow.pde.approximation import approximate
from symflow.pde.symmetries import symmetries


def near(data, tolerance=None):
    return approximate(data, symmetries(data.equation).forms, tolerance)


def test_a_planted_scaling_is_independent_of_what_is_proved() -> None:
    search, (found,) = near(damped(1e-3))
    assert found.formula == "x dx + 3*t dt - 2*u du"
    assert search.tolerance == 0.02
    assert search.spectrum is not None
    assert search.spectrum.rank == 1
    assert search.spectrum.above > 0.1
    assert found.independent
    assert found.beside > found.defect
    assert found.smallest <= found.defect <= found.largest
    assert found.interval[0] <= found.defect * (1 + 1e-6)
    assert found.defect <= found.interval[1] * (1 + 1e-6)
    assert found.reach is None
    assert "whole box" in found.note
    assert sum(map(sum, found.where)) == pytest.approx(1)
    assert near(damped(1e-3), 1e-4)[1] == []


def test_later_is_near_what_slow_nkdv_has() -> None:
    search, found = near(small("u_t + exp(t/500)*(u*u_x + u_xxx) = 0"), 0.1)
    later = next(f for f in found if f.formula == "dt")
    assert not later.independent
    assert later.beside > 0.1 > later.defect
    assert later.angle is not None
    assert later.angle < 0.05
    assert "whole box" in later.note
    assert search.reason == ""


def test_the_scaling_of_burgers_on_long_waves_of_ks() -> None:
    """At wave numbers of 0.05 and less u_xxxx is 1e-3 of u_xx; solutions hardly change, so others are near as well."""
    data = generate("ks", 6, 0, length=256.0, end=4.0, steps=40, keep=40, resolution=128)
    search, found = near(data)
    if search.reason:
        assert "no gap" in search.reason
    else:
        scaling = next(f for f in found if f.formula == "x dx + 2*t dt - u du")
        assert scaling.defect < 2e-3


@pytest.mark.parametrize("level", [1e-3, 1e-2, 5e-2])
def test_with_noise_nothing_is_found_where_nothing_is(level: float) -> None:
    search, found = near(noisy(small("u_t + u*u_x + u_xxx = 0"), level))
    assert found == []
    assert search.tolerance is None or search.tolerance <= 0.1


def test_a_tolerance_below_what_the_data_tell_is_refused_in_words() -> None:
    search, found = near(noisy(damped(1e-2), 0.02), 1e-4)
    assert found == []
    assert search.tolerance is None
    assert search.reason.startswith("cannot be told: with these data even a proved symmetry may have a defect of")


@pytest.mark.parametrize("bad", [0, -1.0, 1.0, float("nan"), "much", True])
def test_tolerances_that_are_none(bad) -> None:
    with pytest.raises(UserError, match="`tolerance` must be a number above 0 and below 1"):
        discover("kdv", tolerance=bad)


def test_a_result_has_them(tmp_path: Path) -> None:
    result = discover(damped(1e-3), network="none")
    (found,) = result.approximate
    assert found.formula == "x dx + 3*t dt - 2*u du"
    assert "approximate symmetries with a defect within 0.02" in str(result)
    assert "changes the period" in str(result)
    result.save(tmp_path / "result.json")
    assert load_result(tmp_path / "result.json") == result


def test_an_equation_alone_has_none() -> None:
    result = discover("kdv", network="none")
    assert result.approximation is None
    assert result.approximate == []
