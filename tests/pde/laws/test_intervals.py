"""Quantiles against those of the distributions."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from symflow.pde.laws.intervals import ellipsoid_radius, independent_t, largest_t


def test_quantiles_are_those_of_the_distributions():
    one = torch.eye(1, dtype=torch.float64)
    assert largest_t(one, 20, 0.05) == pytest.approx(stats.t.ppf(0.975, 20), rel=0.01)
    three = largest_t(torch.eye(3, dtype=torch.float64), 30, 0.05)
    # independent given the common scale: between one t and Bonferroni
    assert stats.t.ppf(0.975, 30) < three < stats.t.ppf(1 - 0.05 / 6, 30)
    hotelling = math.sqrt(4 * 30 / 27 * stats.f.ppf(0.95, 4, 27))
    assert ellipsoid_radius(4, 30, 0.05) == pytest.approx(hotelling, rel=0.01)


@pytest.mark.parametrize("degrees", [1, 2, 7, 31, 500])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 1e-3, 1e-5])
def test_one_variable_is_a_t(degrees, alpha):
    assert independent_t(1, degrees, alpha) == pytest.approx(stats.t.ppf(1 - alpha / 2, degrees), rel=1e-9)


@pytest.mark.parametrize(("count", "degrees"), [(3, 4), (20, 30), (5, 1)])
def test_several_variables_against_draws(count, degrees):
    assert independent_t(count, degrees, 0.05) == pytest.approx(
        largest_t(torch.eye(count, dtype=torch.float64), degrees, 0.05), rel=0.02
    )
