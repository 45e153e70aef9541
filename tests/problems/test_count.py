"""The rule that counts, by hand."""

from __future__ import annotations

import pytest
import torch

from symflow.problems.count import RULES, count

NOISE = 1e-3


def counted(values, kind="floor", noise=NOISE, fresh=None):
    values = torch.tensor(values, dtype=torch.float64)
    level = torch.full_like(values, noise)
    return count(values, level, values if fresh is None else torch.tensor(fresh, dtype=torch.float64), level, kind)


@pytest.mark.parametrize(
    ("values", "rank", "clear"),
    [
        ([1e-5, 8e-4, 0.5, 0.9], 2, True),
        ([0.5, 0.9], 0, True),
        ([1e-4, 2e-4], 2, True),  # all of them
        ([], 0, True),
        ([1e-4, 0.012, 0.9], 2, False),  # far above its noise, far below the next: it may count, and is not clear
        ([1e-4, 0.012, 0.03, 0.9], 1, False),
        ([1e-4, 0.04, 0.9], 1, False),  # nearly a symmetry
        ([5e-3, 0.02], 2, False),  # the unit is above the last
    ],
)
def test_values_and_noise(values, rank, clear):
    found = counted(values)
    assert (found.rank, found.clear) == (rank, clear)
    assert clear == (not found.why)


def test_what_fits_its_own_data_only_is_not_clear():
    found = counted([1e-4, 0.5], fresh=[0.9, 0.9])
    assert (found.rank, found.clear) == (1, False)
    assert "on fresh data" in found.why[0]


def test_a_small_next_value_is_clear_where_the_noise_is_much_smaller():
    assert not counted([1e-6, 2e-3], noise=1e-5).clear
    assert counted([1e-6, 2e-2], noise=1e-5).clear
    assert counted([1e-16, 1e-6], "rounding", noise=1e-15).clear


def test_rules_are_ordered():
    for rule in RULES.values():
        assert rule.sure <= rule.within
        assert rule.gap > 1.0
        assert rule.beyond > rule.sure


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_rounding_knows_no_other_scale_than_its_noise(scale):
    found = counted([1e-16 * scale, 1e-7 * scale], "rounding", noise=1e-15 * scale)
    assert (found.rank, found.clear) == (1, True)
