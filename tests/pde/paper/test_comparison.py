"""Slots beside the truth: what true generators, rotated ones and others get."""

from __future__ import annotations

import math

import pytest
import torch

from cnoidal import KDV, axes, waves
from symflow import SymbolicField
from symflow.pde.paper.comparison import angles, points_of, slot_table
from symflow.pde.scores import LocalScore

TRUE = [{"dx": "1"}, {"dt": "1"}, {"dx": "t", "du": "1"}]


def test_true_generators_fill_their_span_and_others_do_not() -> None:
    data = waves()
    coordinates = axes(data)
    truth = SymbolicField(coordinates, TRUE)
    slots = SymbolicField(coordinates, [TRUE[1], {"dx": "t - 1", "du": "1"}, {"du": "u"}, TRUE[0]])
    score = LocalScore(KDV, coordinates, data, patches=6)
    table = slot_table(slots, truth, score, points_of(data, coordinates, 0))
    assert table.products[0][1] == pytest.approx(1.0)
    assert table.products[3][0] == pytest.approx(1.0)
    assert table.norms[0] == pytest.approx(1.0)
    assert table.norms[1] == pytest.approx(1.0)  # the boost at another time is in the span
    assert table.norms[2] < 0.95
    assert max(table.angles) < 1e-6
    near = [s < 2 * table.floor for s in table.scores]
    assert near == [True, True, False, True]
    assert table.log_scores[0] == pytest.approx(1.0, abs=0.3)
    assert table.log_scores[2] > 3.0


def test_products_and_angles_are_those_of_the_plane() -> None:
    """Two constant fields at an angle of 0.3 in normalised units."""
    data = waves()
    coordinates = axes(data)
    one = SymbolicField(coordinates, [{"dx": "1"}])
    scale = coordinates.scale
    slanted = SymbolicField(
        coordinates, [{"dx": f"{math.cos(0.3) * scale[0]!r}", "dt": f"{math.sin(0.3) * scale[1]!r}"}]
    )
    points = points_of(data, coordinates, 1)
    assert points.shape == (4096, 3)
    assert angles(one, slanted, points) == pytest.approx([0.3])
    torch.testing.assert_close(points[:, 0].amax(), torch.tensor(1.0, dtype=torch.float64), rtol=0, atol=0.01)
