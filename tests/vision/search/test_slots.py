"""The paper's step on images: what it scores, that its gradient is that of its loss, that it resumes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from symflow import NeuralField, flow
from symflow.learning.loop import learn
from symflow.ops import warp_ref
from symflow.runs import Run
from symflow.vision.features.features import Normalised
from symflow.vision.search.plane import PLANE, pixel_centres, uniform
from symflow.vision.search.scores import angles
from symflow.vision.search.slots import Slots, slot_field


def features(images: torch.Tensor) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    matrix = torch.randn(images[0].numel(), 5, generator=random, dtype=torch.float64).to(images)
    return torch.tanh(images.flatten(1) @ matrix / 4)


def slots(**settings) -> Slots:
    images = torch.randn(20, 1, 6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight = torch.rand(48, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    chosen = {"features": Normalised(features), "steps": 40, "batch": 3} | settings
    return Slots(images, measure=weight / weight.sum(), **chosen)


def network(generators: int = 3) -> NeuralField:
    return NeuralField(PLANE, generators, width=8, head_width=4, seed=1).double()


def test_the_network_is_the_papers():
    assert sum(p.numel() for p in slot_field().parameters()) == 149_460


def test_the_score_of_a_slot_is_that_of_its_own_unit_flow():
    objective, field = slots(), network()
    record = objective.backward(field, 7)
    images, length = objective.draw(7)
    points = pixel_centres(6, 8)
    with torch.no_grad():
        values = field(points.flatten(0, 1))
        norms = torch.einsum("nkd,nkd,n->k", values, values, objective.measure).sqrt()
        for k in range(3):
            weights = torch.zeros(1, 3, dtype=torch.float64)
            weights[0, k] = length / norms[k]
            ends = flow(field, points.view(1, -1, 2), weights, steps=40).view(1, 1, 6, 8, 2)
            moved = warp_ref(images, ends, "zeros")[:, 0]
            unit = Normalised(features)
            expected = angles(unit(images), unit(moved)).mean().item()
            assert record[f"score{k + 1}"] == pytest.approx(expected, rel=1e-4)


def test_the_loss_is_the_weighted_sum_and_its_parts_are_those_of_the_definition():
    objective, field = slots(tau=0.005), network()
    record = objective.backward(field, 3)
    expected = sum(record[f"score{k}"] for k in (1, 2, 3)) + 10 * record["orthonormality"] + 10 * record["lipschitz"]
    assert record["loss"] == pytest.approx(expected)
    with torch.no_grad():
        values = field(pixel_centres(6, 8).flatten(0, 1))
        values = values / torch.einsum("nkd,nkd,n->k", values, values, objective.measure).sqrt()[:, None]
    grid = values.view(6, 8, 3, 2)
    excess = [(grid.diff(dim=axis).norm(dim=-1) - 0.005).clamp_min(0).sum() for axis in (0, 1)]
    assert record["lipschitz"] == pytest.approx(float(sum(excess)))
    assert record["lipschitz"] > 0


def test_the_gradient_is_that_of_the_loss():
    objective, field = slots(tau=0.005), network()
    objective.backward(field, 9)
    for c in (0, 1):
        values = []
        for step in (1e-6, -1e-6):
            moved = network()
            with torch.no_grad():
                moved.out_bias[2, c] += step
            values.append(objective.backward(moved, 9)["loss"])
        # the last slot is the one whose orthonormality carries no stop-gradient
        assert field.out_bias.grad[2, c].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_without_features_only_the_losses_are_left_and_images_do_not_matter():
    objective = slots(features=None)
    record = objective.backward(network(), 0)
    assert set(record) == {"loss", "orthonormality", "lipschitz"}
    assert objective.backward(network(), 11) == record


def test_draws_depend_on_seed_and_step_alone():
    (a, s), (b, t) = slots().draw(5), slots().draw(5)
    assert torch.equal(a, b)
    assert s == t
    assert not torch.equal(a, slots().draw(6)[0])
    assert s != slots(seed=1).draw(5)[1]
    lengths = torch.tensor([slots().draw(n)[1] for n in range(400)])
    assert lengths.abs().max() <= 0.4
    assert lengths.mean().abs() < 0.05
    assert lengths.std().item() == pytest.approx(0.4 / 3**0.5, rel=0.1)


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path):
    objective = slots(steps=30)

    def stop(step: int, _: dict[str, float]) -> None:
        if step == 27:
            raise KeyboardInterrupt

    whole = network()
    learn(whole, objective)
    with pytest.raises(KeyboardInterrupt):
        learn(network(), objective, run=Run(tmp_path / "run", {}), progress=stop)
    resumed = network()
    learn(resumed, objective, run=Run(tmp_path / "run", {}, resume=True))
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_slots_find_the_motion_that_features_do_not_see():
    """Features that average over x: moving along x inside a periodic pattern of x alone changes nothing."""
    size = 12
    x = torch.linspace(-1, 1, size, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 1, size, 1, generator=random, dtype=torch.float64).expand(-1, -1, -1, size)
    inside = (x.abs() < 0.6).double()

    def profile(images: torch.Tensor) -> torch.Tensor:
        return images[:, 0] @ inside

    objective = Slots(rows, Normalised(profile), uniform(size, size), steps=150, batch=8, sigma=0.2, peak=3e-3)
    field = NeuralField(PLANE, 1, width=32, head_width=8, seed=0).double()
    learn(field, objective)
    values = field(pixel_centres(size, size)[:, 3:-3].flatten(0, 1))
    assert values[..., 0].square().mean() > 20 * values[..., 1].square().mean()


def test_the_derivative_variant_scores_slots_of_unit_norm():
    """The speed of the features of a unit field, by differences of a finite flow."""
    objective, field = slots(variant="derivative"), network()
    points = pixel_centres(6, 8)
    with torch.no_grad():
        values = field(points.flatten(0, 1))
        unit = torch.einsum("nkd,nkd,n->k", values, values, objective.measure).rsqrt()
    found = objective.score(field, unit, 4)
    torch.testing.assert_close(objective.score(field, unit, 4), found)
    images, random = objective._drawn(4)
    lengths = 0.01 * torch.randn(3, generator=random).double() * unit
    with torch.no_grad():
        for k in range(3):
            ends = []
            for step in (1e-5, -1e-5):
                weights = torch.zeros(1, 3, dtype=torch.float64)
                weights[0, k] = lengths[k] + step * unit[k]
                moved = flow(field, points.view(1, -1, 2), weights, steps=40).view(1, 1, 6, 8, 2)
                ends.append(Normalised(features)(warp_ref(images, moved, "zeros")[:, 0]))
            speed = (ends[0] - ends[1]) / 2e-5
            assert float(found[k]) == pytest.approx(float(speed.square().sum().log()), abs=1e-3)


def test_slots_without_features_have_no_score():
    with pytest.raises(ValueError, match="`features` must be given to score with"):
        slots(features=None).score(network(), torch.ones(3), 0)


@pytest.mark.parametrize("name", ["steps", "batch"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        slots(**{name: 0})
