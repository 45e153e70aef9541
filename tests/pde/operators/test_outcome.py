"""Changes between arms are geometric means of pairs."""

from __future__ import annotations

import json
import math

import pytest
import torch

from symflow.pde.operators.outcome import Arm, OperatorComparison


def comparison(**errors: tuple[float, ...]) -> OperatorComparison:
    arms = tuple(Arm(name, errors=e) for name, e in errors.items())
    return OperatorComparison("", 16, 128, (20, 20), 64, 32, 24, 4, 100, 16, arms=arms)


def test_changes_are_geometric_means_of_pairs_with_students_interval() -> None:
    found = comparison(none=(1.0, 2.0, 4.0), exact=(0.5, 1.0, 2.0), learned=(0.5, 0.5, 2.0))
    assert found.change("exact", "none") == pytest.approx((-0.5, -0.5, -0.5))
    mean, low, high = found.change("learned", "none")
    logs = torch.tensor([0.5, 0.25, 0.5], dtype=torch.float64).log()
    half = 4.302652730 * float(logs.std()) / math.sqrt(3)
    assert (mean, low, high) == pytest.approx([math.expm1(float(logs.mean()) + s) for s in (0, -half, half)])
    assert f"{100 * mean:+.0f} % ({100 * low:+.0f} to {100 * high:+.0f})" in str(found)


def test_one_seed_has_no_interval() -> None:
    found = comparison(none=(1.0,), exact=(0.5,))
    assert "-50 %" in str(found)
    mean, *_, high = found.to_dict()["arms"][1]["changes"]["none"]
    assert (mean, high) == (pytest.approx(-0.5), None)
    json.dumps(found.to_dict(), allow_nan=False)
