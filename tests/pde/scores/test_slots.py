"""The paper's step: what it scores, that its gradient is that of its loss, that it resumes, and that it learns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from cnoidal import KDV, axes, waves
from symflow import NeuralField, SymbolicField, flow
from symflow.learning.loop import learn
from symflow.pde.scores.jets import unit_weights
from symflow.pde.scores.local import THRESHOLD, cut
from symflow.pde.scores.slots import Slots
from symflow.runs import Run


def slots(**settings: Any) -> Slots:
    """Cnoidal waves ``12 m k^2 cn^2(k (x - ct); m)``, ``c = 4 k^2 (2m - 1)``, at small settings."""
    data = waves(64, 17)
    chosen = {"steps": 60, "batch": 2, "patch": (8, 8), "lengths": 2} | settings
    return Slots(KDV, axes(data), data, **chosen)


def network(objective: Slots, **sizes: int) -> NeuralField:
    return NeuralField(objective.coordinates, 3, **({"width": 8, "head_width": 4, "seed": 1} | sizes)).double()


def test_the_score_of_a_slot_is_that_of_its_own_flow_at_each_length() -> None:
    """From the definition: separate flows of each generator from the start to every length."""
    objective = slots(lengths=3)
    field = network(objective)
    record = objective.backward(field, 7)
    patches, alpha = objective.draw(7, 3)
    with torch.no_grad():
        unit = unit_weights(field, objective.sample)
        for k in range(3):
            total = 0.0
            for j in (1, 2, 3):
                weights = torch.zeros(2, 3, dtype=torch.float64)
                weights[:, k] = alpha[k] * j / 3 * unit[k]
                moved = flow(field, patches.flatten(1, 2), weights, steps=40).view_as(patches)
                total += objective.residual.log_mean(moved).mean().item() / 3
            assert record[f"score{k + 1}"] == pytest.approx(total, abs=1e-3)  # 2 steps between lengths against 40


def test_the_loss_is_the_weighted_sum_and_sobolev_comes_last() -> None:
    objective = slots(steps=10)
    for step in (7, 8):
        record = objective.backward(network(objective), step)
        expected = sum(record[f"score{k}"] for k in (1, 2, 3)) + 3 * record["orthonormality"] + record["lipschitz"]
        assert record["sobolev"] > 0
        assert record["loss"] == pytest.approx(expected + (step == 8) * record["sobolev"])


def test_the_gradient_is_that_of_the_loss() -> None:
    """Against central differences of the loss in the last layer of slot 0, which no stop-gradient hides, and slot 2."""
    objective = slots(steps=10, thresholds=(0.05, 0.05))  # at a small one the logarithm bends within a difference
    field = network(objective)
    objective.backward(field, 9)
    gradient = field.out_bias.grad.clone()
    for k, c in ((2, 0), (2, 2)):
        values = []
        for step in (1e-6, -1e-6):
            moved = network(objective)
            with torch.no_grad():
                moved.out_bias[k, c] += step
            values.append(objective.backward(moved, 9)["loss"])
        # the last slot is the one whose orthonormality carries no stop-gradient
        assert gradient[k, c].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_patches_wrap_and_never_leave_the_data_in_t() -> None:
    objective = slots(batch=3, patch=(12, 16))
    lengths = []
    for step in range(20):
        patches, alpha = objective.draw(step, 5)
        assert patches.shape == (3, 12, 16, 3)
        assert patches[..., 1].min() >= 0
        assert patches[..., 1].max() <= 1
        lengths.append(alpha)
        rows = {patch[0, 0, 2].item() for patch in patches}
        assert len(rows) == 3  # different trajectories
    drawn = torch.stack(lengths)  # U(-sigma, sigma), one for every patch and slot
    assert drawn.shape == (20, 5, 3)
    assert len(drawn.unique()) == 300
    assert drawn.abs().max() <= objective.sigma
    assert drawn.mean().abs() < 0.1 * objective.sigma
    assert drawn.square().mean().sqrt() == pytest.approx(objective.sigma / 3**0.5, rel=0.1)


def test_draws_depend_on_seed_and_step_alone() -> None:
    objective = slots()
    torch.testing.assert_close(objective.draw(5, 3)[0], slots().draw(5, 3)[0], rtol=0, atol=0)
    assert not torch.equal(objective.draw(5, 3)[0], objective.draw(6, 3)[0])
    assert not torch.equal(objective.draw(5, 3)[0], slots(seed=1).draw(5, 3)[0])


def test_true_generators_are_scored_at_the_floor() -> None:
    """The field plays no part in the score but through its flow; a flow of length 0 is the floor."""
    objective = slots()
    field = SymbolicField(objective.coordinates, [{"dx": "1"}, {"dx": "t", "du": "1"}, {"du": "u"}])
    patches, _ = objective.draw(0, 3)
    unit = unit_weights(field, objective.sample)
    floor = objective.residual.log_mean(patches).mean()
    scores = objective._scores(field, patches, 0.4 * unit[:, None].expand(3, len(patches)), THRESHOLD) - floor
    assert scores[:2].max() < 0.2
    assert scores[2] > 2.0


def test_the_measure_is_the_data() -> None:
    objective = slots()
    assert objective.sample.shape == (4096, 3)
    u = cut(objective.data, objective.coordinates, torch.tensor([[s, 0, 0] for s in range(3)]), 17, 64)[..., 2]
    assert torch.isin(objective.sample[:, 2], u.flatten()).all()


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    objective = slots(steps=30)

    def stop(step: int, _: dict[str, float]) -> None:
        if step == 27:
            raise KeyboardInterrupt

    whole = network(objective)
    learn(whole, objective)
    with pytest.raises(KeyboardInterrupt):
        learn(network(objective), objective, run=Run(tmp_path / "run", {}), progress=stop)
    resumed = network(objective)
    learn(resumed, objective, run=Run(tmp_path / "run", {}, resume=True))
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_rates_of_the_paper() -> None:
    objective = slots(steps=100)
    assert objective.rate(0) == objective.rate(49) == 1e-4
    assert objective.rate(50) == objective.rate(99) == pytest.approx(1e-5)


def test_the_threshold_falls_to_its_last_value_by_half_of_the_steps() -> None:
    objective = slots(steps=100, thresholds=(16.0, 1.0))
    assert [objective.threshold(step) for step in (0, 25, 50, 99)] == pytest.approx([16.0, 4.0, 1.0, 1.0])
    fixed = slots(thresholds=(1e6, 1e6))  # beyond every residual: the score is its logarithm, and has no slope
    record = fixed.backward(network(fixed), 0)
    assert record["score1"] == record["score2"] == pytest.approx(math.log(1e6 * fixed.residual.size))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch": (18, 18)}, r"`patch` must be from 3 points in t to the 17 of the data, got 18"),
        ({"patch": (8, 4)}, "`patch` must be from 5 points in x to the 64 of the data, got 4"),
        ({"lengths": 0}, "`lengths` must be at least 1, got 0"),
    ],
)
def test_settings_that_do_not_fit_get_a_sentence(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        slots(**settings)
