"""Images as a problem: features that rotations keep, alone and as replicates, and features that nothing keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from symflow import discover
from symflow.vision import feature_problem
from symflow.vision.search.plane import pixel_centres

SIDE = 24


@pytest.fixture(scope="module")
def blobs() -> Tensor:
    """Smooth images: four Gaussian blobs each, away from the border."""
    random = torch.Generator().manual_seed(0)
    places = 0.9 * (torch.rand(400, 4, 2, generator=random, dtype=torch.float64) - 0.5)
    heights = torch.rand(400, 4, 1, 1, generator=random, dtype=torch.float64) + 0.5
    squares = (pixel_centres(SIDE, SIDE) - places[:, :, None, None]).square().sum(-1)
    return (heights * torch.exp(-squares / 0.03)).sum(1, keepdim=True)


def sums(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Weighted sums over the pixels, of values and of their squares."""
    return lambda x: torch.cat([torch.einsum("bchw,fhw->bfc", p, weights).flatten(1) for p in (x, x.square())], 1)


def rings(width: float, shift: float) -> Tensor:
    radius = pixel_centres(SIDE, SIDE).norm(dim=-1)
    return torch.stack([torch.exp(-((radius - k - shift) ** 2) / width) for k in torch.linspace(0, 1, 8)])


def test_replicates_that_see_rings_are_kept_by_rotations(blobs: Tensor) -> None:
    found = discover(feature_problem([sums(rings(0.04 + 0.03 * k, 0.03 * k)) for k in range(4)], blobs))
    assert found.rank == 1
    assert found.generators[0].closed_form == {"dx": "-y", "dy": "x"}
    assert found.values[0] < 0.02 < 0.2 < found.values[1]


def test_one_network_alone_keeps_nothing_exactly(blobs: Tensor) -> None:
    """Interpolation leaves a thousandth and more, and nothing says how much of that is error."""
    found = discover(feature_problem(sums(rings(0.04, 0.0)), blobs))
    assert found.rank == 0
    assert found.values[0] < 0.02


def test_features_that_see_no_rings_are_kept_by_nothing(blobs: Tensor) -> None:
    random = torch.Generator().manual_seed(1)
    several = [sums(torch.randn(8, SIDE, SIDE, generator=random, dtype=torch.float64)) for _ in range(4)]
    found = discover(feature_problem(several, blobs))
    assert found.rank == 0
