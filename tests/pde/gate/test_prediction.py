"""Prediction of a row by the one before it, within a bound of work that no equation exceeds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from symflow.pde import CATALOGUE, Equation, Trajectories, generate
from symflow.pde.gate import gate
from symflow.pde.gate.prediction import MOST_WORK, SPENT, WORK, answers, predict
from symflow.pde.generation.solvers import Budget


@pytest.fixture(scope="module")
def coarse() -> Trajectories:
    return generate("ks", 3, 0, resolution=128, steps=60, keep=4, end=40.0)


def test_right_rows_are_predicted_and_wrong_ones_are_not(coarse):
    found = predict(coarse, 0, Budget(WORK))
    assert found.residual < 1e-4
    off = replace(coarse, equation=Equation("u_t + u*u_x + u_xx + 1.1*u_xxxx = 0"), name=None)
    assert predict(off, 0, Budget(WORK)).residual > 0.02


@pytest.mark.parametrize("name", ["kdv", "burgers", "nkdv", "ckdv"])
def test_no_equation_exceeds_the_work(coarse, name):
    """Labels that blow up or need ever finer grids: what is spent is bounded, and the same each time."""
    wrong = replace(coarse, equation=CATALOGUE[name].equation, name=None, u=10 * coarse.u)
    spent = []
    for _ in range(2):
        budget = Budget(WORK / 10)
        predict(wrong, 0, budget)
        assert budget.left >= 0
        spent.append(WORK / 10 - budget.left)
    assert spent[0] == spent[1] > 0


def test_a_trajectory_that_is_not_asked_says_so(coarse):
    budget = Budget(MOST_WORK / 2)
    found = predict(coarse, 0, budget)
    assert (found.residual, found.reason) == (None, SPENT)
    assert budget.left == MOST_WORK / 2


def test_one_coefficient_at_a_time_moves_the_prediction(coarse):
    by = [Equation(f"u_t + u*u_x + u_xx + {c}*u_xxxx = 0") for c in ("1.001", "1.01")]
    little, more = answers(coarse, 0, by, Budget(WORK))
    assert 0 < little < more
    assert answers(coarse, 0, by, Budget(0.0)) == [0.0, 0.0]


def test_verdicts_rest_on_the_trajectories_that_were_asked():
    few = generate("kdv", 2, 0, resolution=128, steps=80, keep=80, end=40.0)
    many = replace(few, t=few.t[::20], u=few.u[:, ::20].repeat(8, 1, 1))
    found = gate(many)
    asked = [t for t in found.trials if t.reason != SPENT]
    assert found.verdict == "solves", found.sentence
    assert 0 < len(asked) < len(many)
    assert f"{sum(t.word == 'solves' for t in asked)} of 16 trajectories" in found.sentence
    assert torch.equal(torch.tensor([t.trajectory for t in asked]), torch.arange(len(asked)))
