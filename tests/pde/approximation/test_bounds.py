"""Intervals: no law of the region leaves them, and they hold planted truth under noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jets_of_laws import noisy
from planted import BOOST, LATER, LOUDER, SCALING, damped, small
from symflow.pde import Trajectories, certify
from symflow.pde.approximation.bounds import Bounds
from symflow.pde.approximation.measure import Measure, middle
from symflow.pde.laws import COMPONENTS, Region
from symflow.pde.symmetries import by_trajectory, displacement


def bounds_of(data: Trajectories) -> Bounds:
    fit = certify(data, []).law
    assert fit is not None
    return Bounds.of(data, Region.of(fit, 0.05), fit.noise)


def test_every_law_of_the_region_stays_inside() -> None:
    bounds = bounds_of(noisy(damped(1e-2), 0.02))
    bounds = replace(bounds, prolonged=bounds.prolonged[:1])
    region, prolonged = bounds.region, bounds.prolonged[0]
    random = torch.Generator().manual_seed(0)
    for form in (SCALING, LOUDER, {"dx": LOUDER["dt"], "dt": SCALING["dx"], "du": LOUDER["du"]}):
        low, high = bounds.interval(form)
        field = [form[key] for key in COMPONENTS]
        R, size = prolonged.polynomial(field), displacement(prolonged.vectors(field), bounds.scale)
        m = prolonged.rates[:, 0]
        for _ in range(100):
            z = torch.randn(len(region.theta), dtype=torch.float64, generator=random)
            s = torch.rand(2, dtype=torch.float64, generator=random) * 2 - 1
            theta = region.theta + region.root @ (z / z.norm()) + s @ region.doubt
            T = by_trajectory((theta @ m).square() + (theta[:, None] * m).square().sum(0), bounds.trajectory)
            defect = float(middle(by_trajectory(R(theta).square(), bounds.trajectory) / T / size))
            assert low <= defect <= high


@pytest.mark.parametrize("level", [0.0, 1e-3, 1e-2, 5e-2])
def test_planted_truth_is_inside(level: float) -> None:
    """One draw for each level of noise; `benchmarks/approximate.py` counts over a hundred."""
    for clean, near in ((damped(1e-2), SCALING), (small("u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0"), LATER)):
        bounds = bounds_of(noisy(clean, level))
        truth = middle(Measure.of(clean).defects([near, LOUDER])).tolist()
        for form, true in zip((near, LOUDER), truth, strict=True):
            low, high = bounds.interval(form)
            assert low * (1 - 1e-9) <= true <= high * (1 + 1e-9)


def test_intervals_are_short_without_noise_and_long_with_it() -> None:
    ends = [bounds_of(noisy(damped(1e-2), level)).interval(SCALING) for level in (0.0, 1e-3, 1e-2)]
    lengths = [high - low for low, high in ends]
    assert lengths[0] < 1e-3 * ends[0][0]
    assert lengths[0] < lengths[1] < lengths[2]
    assert bounds_of(damped(1e-2)).interval(BOOST)[0] == 0
