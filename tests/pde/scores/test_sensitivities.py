"""The local residual to first order: against differences of the residual itself, and what it finds in exact waves."""

from __future__ import annotations

import torch

from cnoidal import KDV, axes, waves
from symflow import NeuralField, SymbolicField
from symflow.algebra import subspace_angles
from symflow.learning import random_layer, solve, span_field
from symflow.pde.scores import LocalForms
from symflow.pde.scores.local import LocalResidual


def test_the_condition_is_the_slope_of_the_residual_along_the_field() -> None:
    """Against differences of fourth order of the residual of moved stencils, the size of its terms unmoved."""
    data = waves()
    forms = LocalForms.of(KDV, axes(data), data, 20, seed=3)
    features = NeuralField(axes(data), 1, width=5, head_width=4, seed=2).double()
    condition = forms.condition(features, torch.arange(20))
    a = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = torch.einsum("pcf,cf->p", condition.violation, a)

    with torch.no_grad():
        features.out_weight.copy_(a[None, :, :-1])
        features.out_bias.copy_(a[None, :, -1])
        velocity = features(forms.points)[:, :, 0]
        residual = LocalResidual.of(KDV, axes(data), data)

        def moved(length: float) -> torch.Tensor:
            return residual((forms.points + length * velocity).view(20, 3, 5, 3))[0].flatten()

        size = (residual(forms.points.view(20, 3, 5, 3))[1].flatten() + residual.softening).sqrt()
        slopes = (8 * (moved(1e-5) - moved(-1e-5)) - (moved(2e-5) - moved(-2e-5))) / 12e-5 / size
        torch.testing.assert_close(found, slopes, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(condition.size @ a.T, velocity[:, 7])


def test_the_bottom_of_the_spectrum_is_the_algebra_of_exact_waves() -> None:
    data = waves(256, 65)
    forms = LocalForms.of(KDV, axes(data), data, 4_000, seed=0)
    layer = random_layer(axes(data), forms.points[:, 7], seed=0, count=60)
    known, fresh = torch.arange(4_000).split([3_000, 1_000])
    solution = solve(forms.condition(layer.field, known), forms.condition(layer.field, fresh))
    truth = SymbolicField(axes(data), [{"dx": "1"}, {"dt": "1"}, {"dx": "t", "du": "1"}])
    points = forms.points[:, 7]
    angles = subspace_angles(span_field(layer.field, solution, 5)(points), truth(points))
    assert solution.values[1] < 1e-9  # translations leave differences as they are
    assert angles[-1] < 0.05


def test_the_same_seed_gives_the_same_stencils() -> None:
    data = waves()
    one, two, other = (LocalForms.of(KDV, axes(data), data, 50, seed) for seed in (1, 1, 2))
    assert torch.equal(one.sensitivities, two.sensitivities)
    assert not torch.equal(one.points, other.points)
