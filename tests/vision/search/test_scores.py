"""Scores of moved images, against plain torch and differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import grid_sample

from symflow import NeuralField, SymbolicField
from symflow.ops import flow_ref
from symflow.vision.features.features import Normalised
from symflow.vision.search.plane import PLANE, grid_field, pixel_centres
from symflow.vision.search.scores import COLOURS, ColourAngle, FeatureAngle, FeatureDerivative, angles


def features(images: torch.Tensor) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    matrix = torch.randn(images[0].numel(), 7, generator=random, dtype=torch.float64).to(images)
    return torch.nn.functional.normalize(torch.tanh(images.flatten(1) @ matrix / 4), dim=1)


IMAGES = torch.randn(3, 2, 6, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def network(generators: int = 3) -> NeuralField:
    return NeuralField(PLANE, generators, width=8, head_width=4, seed=2).double()


def test_an_image_that_is_not_moved_has_the_least_angle():
    score = FeatureAngle(features, length=0.0)(network(), IMAGES)
    torch.testing.assert_close(score, torch.full_like(score, 0.001414), rtol=0, atol=1e-6)


@pytest.mark.parametrize("padding", ["zeros", "reflection"])
def test_the_score_is_that_of_its_own_flow_in_plain_torch(padding):
    field = network()
    found = FeatureAngle(features, 0.3, steps=4, padding=padding).each(field, IMAGES)
    points = pixel_centres(6, 7)
    for k in range(3):
        weights = torch.zeros(1, 3, dtype=torch.float64)
        weights[0, k] = 0.3
        ends = flow_ref(field, points.view(1, -1, 2), weights, 4).view(1, 6, 7, 2).expand(3, -1, -1, -1)
        moved = grid_sample(IMAGES, ends, padding_mode=padding, align_corners=True)
        torch.testing.assert_close(found[:, k], angles(features(IMAGES), features(moved)))


def test_tables_and_networks_and_weights_agree():
    field = SymbolicField(PLANE, [{"dx": "-x", "dy": "-y/2"}])  # stays inside, where a table of it is exact
    table = grid_field(field(pixel_centres(6, 7).flatten(0, 1)), 6, 7).double()
    score = FeatureAngle(features, 0.2, padding="border")
    torch.testing.assert_close(score(field, IMAGES), score(table, IMAGES), rtol=1e-6, atol=0)
    double = FeatureAngle(features, 0.1, padding="border")(field, IMAGES, torch.tensor([2.0], dtype=torch.float64))
    torch.testing.assert_close(double, score(field, IMAGES))


def test_the_derivative_is_that_of_finite_flows():
    field, step = network(), 1e-6
    lengths = torch.tensor([0.7, -1.2, 0.4], dtype=torch.float64)
    found = FeatureDerivative(features, sigma=0.1, steps=8)(field, IMAGES, lengths)
    points = pixel_centres(6, 7)
    for k in range(3):
        ends = []
        for length in (0.1 * lengths[k] + step, 0.1 * lengths[k] - step):
            weights = torch.zeros(1, 3, dtype=torch.float64)
            weights[0, k] = length
            grid = flow_ref(field, points.view(1, -1, 2), weights, 32).view(1, 6, 7, 2).expand(3, -1, -1, -1)
            ends.append(features(grid_sample(IMAGES, grid, align_corners=True)))
        speed = (ends[0] - ends[1]) / (2 * step)
        assert found[k].item() == pytest.approx(speed.square().sum().log().item(), abs=1e-4)


def test_the_derivative_score_has_the_gradient_of_its_differences():
    """Reverse over forward through features, warp and flow: the second derivative of the warp."""
    lengths = torch.tensor([0.7, -1.2, 0.4], dtype=torch.float64)
    score = FeatureDerivative(features, sigma=0.1)
    field = network()
    score(field, IMAGES, lengths).sum().backward()
    for name, index in (("out_bias", (1, 0)), ("trunk0_weight", (3, 1))):
        values = []
        for step in (1e-6, -1e-6):
            moved = network()
            with torch.no_grad():
                getattr(moved, name)[index] += step
            values.append(score(moved, IMAGES, lengths).sum().item())
        assert getattr(field, name).grad[index].item() == pytest.approx(
            (values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-6
        )


def test_colours_move_and_pixels_stay():
    """Features that no brightness changes, under brightness and under red alone."""
    images = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def differences(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean((1, 2, 3), keepdim=True)).flatten(1)

    fields = SymbolicField(COLOURS, [{"dr": "1", "dg": "1", "db": "1"}, {"dr": "1"}])
    score = ColourAngle(Normalised(differences), (0.2, 0.3, 0.4), (1.0, 1.0, 1.0), length=0.4)(fields, images)
    assert score[0] < 0.0015  # brightness
    assert score[1] > 0.1  # red alone


def test_colours_are_physical_whatever_the_normalisation():
    images = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fields = SymbolicField(COLOURS, [{"dr": "g*b", "dg": "1 - r"}])

    def seen(mean: tuple, std: tuple) -> torch.Tensor:
        m, s = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (mean, std))
        score = ColourAngle(lambda x: features(x * s + m), mean, std, length=0.3)
        return score(fields, (images - m) / s)

    torch.testing.assert_close(seen((0.5, 0.4, 0.3), (0.2, 0.3, 0.1)), seen((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
