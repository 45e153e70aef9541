"""Local interpolation against polynomials it must reproduce, a direct solve, and transforms of exact solutions."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cnoidal import KDV, axes, waves
from symflow import Coordinates, GridField, NeuralField, SymbolicField, UserError, discover
from symflow.pde import CATALOGUE, Equation, Trajectories, generate
from symflow.pde.scores.local import LocalResidual, LocalScore, cut, random_corners


def rms(data: Trajectories, points: Tensor) -> float:
    """Of the relative residual at moved points, physical, ``[S, T, X, 3]``."""
    coordinates = axes(data)
    residual = LocalResidual.of(data.equation, coordinates, data)
    return float(residual.square_mean(coordinates.to_normalised(points)).mean().sqrt())


def test_exact_finite_transforms_of_exact_solutions() -> None:
    """Boost and scaling stay near the floor, transforms that are no symmetries do not."""
    data = waves()
    x, t, u = (axes(data).to_physical(cut(data, axes(data), corners(data), 33, 256))).unbind(-1)
    floor = rms(data, torch.stack([x, t, u], -1))
    e = 0.2
    for points in (
        (x + 1.5, t, u),
        (x, t - 0.7, u),
        (x + e * t, t, u + e),
        (math.exp(e) * x, math.exp(3 * e) * t, math.exp(-2 * e) * u),
    ):
        assert rms(data, torch.stack(points, -1)) < 1.5 * floor
    for points in (
        (x, t, math.exp(e) * u),
        (math.exp(e) * x, t, u),
        (x, math.exp(e) * t, u),
        (x + e * t, t, u),
        (x, t, u + e),
        (x, t + e * x, u),
    ):
        assert rms(data, torch.stack(points, -1)) > 50 * floor


def corners(data: Trajectories) -> Tensor:
    return torch.tensor([[s, 0, 0] for s in range(len(data))])


def test_the_floor_falls_with_the_square_of_the_spacing() -> None:
    """The sub-stencils are of first order, their balanced blend on smooth data is of second."""
    floors = [LocalScore(KDV, axes(d), d, patches=12).floor for d in (waves(64, 9), waves(256, 33))]
    assert math.log(floors[0] / floors[1]) / math.log(4) == pytest.approx(2.0, abs=0.3)


def test_fields_are_taken_in_their_own_type() -> None:
    """On a coarse grid: differences of third order enlarge the rounding of moved points by the cube of its size."""
    data = waves(64, 9)
    score = LocalScore(KDV, axes(data), data, patches=3)
    table = GridField.tabulate(
        SymbolicField(axes(data), [{"dx": "1"}, {"du": "u"}]), (2, 2, 3), (0.0, -9.0, -9.0), (None, 9.0, 9.0)
    )
    whole, half = score(copy.deepcopy(table).double()), score(table.float())
    assert (whole.dtype, half.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(half.double(), whole, rtol=64**3 * torch.finfo(torch.float32).eps, atol=0)


def test_scores_of_generators() -> None:
    data = waves()
    score = LocalScore(KDV, axes(data), data, patches=12)
    true = SymbolicField(
        axes(data), [{"dx": "1"}, {"dt": "1"}, {"dx": "t", "du": "1"}, {"dx": "x", "dt": "3*t", "du": "-2*u"}]
    )
    false = SymbolicField(axes(data), [{"du": "u"}, {"dx": "x"}, {"dt": "t"}, {"du": "1"}, {"dx": "u"}])
    assert score(true).max() < 1.2 * score.floor
    assert score(false).min() > 50 * score.floor
    assert (score.log_score(true) - score.log_floor).max() < 0.2
    assert (score.log_score(false) - score.log_floor).min() > 4.0
    still = replace(score, length=0.0)
    torch.testing.assert_close(still(true), torch.full((4,), score.floor, dtype=torch.float64), rtol=1e-9, atol=0)
    torch.testing.assert_close(still.log_score(true), torch.full((4,), score.log_floor, dtype=torch.float64))
    longer = SymbolicField(axes(data), [{"dx": "7*t", "du": "7"}])  # its own length does not count
    torch.testing.assert_close(score(longer), score(true)[2:3], rtol=1e-6, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), [("kdv", -5.5), ("ks", -3.4)])
def test_floors_are_no_higher_than_the_published_ones(name: str, published: float) -> None:
    """Mean ``log max(|residual|, 1e-4)`` of data on 256 points; below, not at, them because the blend differs."""
    data = generate(name, 2, 0)
    data = data.coarsen(256)
    residual = LocalResidual.of(data.equation, axes(data), data)
    points = cut(data, axes(data), corners(data), len(data.t), 256 + 4)
    found = float(residual(points)[0].abs().clamp_min(1e-4).log().mean())
    assert published - 2.0 < found < published


def test_float32_suffices() -> None:
    """On the paper's kind of grid, a few points per feature; on very fine ones the differences drown in rounding."""
    data = waves(64, 9)
    score = LocalScore(KDV, axes(data), data, patches=4)
    residual, points = score.residual, score.points
    for average in (residual.log_mean, residual.square_mean):
        torch.testing.assert_close(average(points.float()).double(), average(points), rtol=0.01, atol=0)


@pytest.mark.parametrize(
    "text", ["u_t + u*u_x + u_xxx = 0", "u_t + u*u_x + u_xx + exp(t/9)*u_xxxx = 0", "u_t + u*u_x = 0"]
)
def test_gradients_of_both_averages(text: str) -> None:
    data = waves(64, 9)
    residual = LocalResidual.of(Equation(text), axes(data), data)
    generator = torch.Generator().manual_seed(1)
    points = cut(data, axes(data), random_corners(data, 2, 4, 7, generator), 4, 7)
    points = points + 1e-3 * torch.randn(points.shape, dtype=torch.float64, generator=generator)
    points.requires_grad_()
    for average in (residual.square_mean, residual.log_mean):
        assert torch.autograd.gradcheck(average, points, fast_mode=True)
        assert average(points).requires_grad
        with torch.no_grad():
            assert not average(points).requires_grad


def test_gradient_of_the_score_for_a_network() -> None:
    """Against central differences along one direction of the parameters."""
    data = waves(64, 9)
    score = LocalScore(KDV, axes(data), data, length=0.1, steps=2, patches=2)
    field = NeuralField(axes(data), 2, width=6, head_width=4).double()
    loss = score(field).sum() + score.log_score(field).sum()
    gradients = torch.autograd.grad(loss, tuple(field.parameters()))
    generator = torch.Generator().manual_seed(5)
    direction = [torch.randn(p.shape, dtype=p.dtype, generator=generator) for p in field.parameters()]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    values = []
    with torch.no_grad():
        for step in (1e-6, -2e-6):
            for p, d in zip(field.parameters(), direction, strict=True):
                p += step * d
            values.append(score(field).sum() + score.log_score(field).sum())
    torch.testing.assert_close(slope, (values[0] - values[1]) / 2e-6, rtol=1e-5, atol=1e-8)


def test_a_patch_does_not_depend_on_those_beside_it() -> None:
    data = waves()
    residual = LocalResidual.of(KDV, axes(data), data)
    points = cut(data, axes(data), random_corners(data, 40, 20, 30, torch.Generator().manual_seed(0)), 20, 30)
    points.requires_grad_()
    together = residual.log_mean(points)
    (grad,) = torch.autograd.grad(together.sum(), points)
    for p in (0, 17, 39):
        alone = points[p : p + 1].detach().requires_grad_()
        one = residual.log_mean(alone)
        torch.testing.assert_close(one[0], together[p], rtol=1e-13, atol=0)
        torch.testing.assert_close(torch.autograd.grad(one.sum(), alone)[0][0], grad[p], rtol=1e-9, atol=1e-12)


def test_patches_wrap_in_x_without_a_jump() -> None:
    data = waves()
    points = axes(data).to_physical(cut(data, axes(data), torch.tensor([[1, 3, 250]]), 5, 12))[0]
    assert points.shape == (5, 12, 3)
    h = data.length / 256
    torch.testing.assert_close(points[0, :, 0].diff(), torch.full((11,), h, dtype=torch.float64))
    torch.testing.assert_close(points[:, 6, 2], data.u[1, 3:8, 0])
    torch.testing.assert_close(points[2, :, 1], data.t[5].expand(12))
    assert points[0, 6, 0].item() == pytest.approx(data.length)


def test_points_that_fall_together_stay_finite() -> None:
    data = waves(64, 9)
    residual = LocalResidual.of(KDV, axes(data), data)
    points = cut(data, axes(data), corners(data)[:1], 5, 9).float()
    points[:, :, 3] = points[:, :, 4]
    points[:, 2] = points[:, 1]
    points.requires_grad_()
    loss = residual.square_mean(points) + residual.log_mean(points)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(points.grad).all()


def test_too_little_data_gets_a_sentence() -> None:
    data = waves(64, 9)
    short = replace(data, t=data.t[:2], u=data.u[:, :2])
    with pytest.raises(UserError, match=r"needs 3 times and 5 points in x, got 2 and 64"):
        LocalResidual.of(KDV, axes(data), short)
    with pytest.raises(ValueError, match="axes x, t, u, got x, y"):
        LocalResidual.of(KDV, Coordinates(("x", "y")), data)


def test_as_a_problem_the_patches_hold_the_symmetries_and_do_not_tell_their_number() -> None:
    """The span that counts holds all four of KdV; what lies at the floor beside them makes the count unclear."""
    data = generate("kdv", samples=8, seed=0, resolution=256)
    axis = axes(data)
    problem = LocalScore(data.equation, axis, data).problem()
    found = discover(replace(problem, data=problem.data[:, :12, :24]))
    assert not found.clear
    assert 4 <= found.rank <= 11
    assert max(found.values[:2]) < 1e-12 < 1e-5 < found.values[2]  # translations are exact on a stencil, no other is
    points = problem.data[:, 6, 12]
    own = found.field.coordinates
    span = own.vectors_to_physical(found.field(own.to_normalised(points)))
    known = SymbolicField(Coordinates(("x", "t", "u")), CATALOGUE["kdv"].symmetries)(points)
    span, known = ((v / torch.tensor(axis.scale)).transpose(1, 2).flatten(0, 1) for v in (span, known))
    rest = known - span @ torch.linalg.lstsq(span, known).solution
    assert bool((rest.norm(dim=0) < 0.2 * known.norm(dim=0)).all())
