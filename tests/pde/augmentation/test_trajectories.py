"""Moved trajectories against exact transforms, solutions at other times and the equation; the law of the draw."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from symflow import Coordinates, GridField, NeuralField, SymbolicField, flow, scatter
from symflow.errors import UserError
from symflow.pde import CATALOGUE, AugmentedTrajectories, Trajectories, TrajectoryAugment, discover, generate
from symflow.pde.augmentation.residuals import residuals
from symflow.pde.augmentation.trajectories import seeded_weights, windows

L, END, STEPS = 128.0, 20.0, 201
COORDINATES = Coordinates(("x", "t", "u"), (L, None, None), (0.0, 10.0, 0.0), (L, 10.0, 1.0))
PERIODIC = CATALOGUE["kdv"].symmetries[:3]  # dx, dt, t dx + du
FIELD = SymbolicField(COORDINATES, PERIODIC)


def solved(end: float = END, steps: int = STEPS, **options: int) -> Trajectories:
    return generate("kdv", 2, seed=0, end=end, steps=steps, **{"keep": steps} | options)


@pytest.fixture(scope="module")
def data() -> Trajectories:
    return solved()


def weights(*row: float) -> Tensor:
    return torch.tensor([row, row], dtype=torch.float64)


def translated(u: Tensor, by: Tensor) -> Tensor:
    """``u(x - by, t)`` by Fourier shift, ``by [T]``."""
    k = torch.arange(u.shape[-1] // 2 + 1, dtype=torch.float64) * (2 * math.pi / L)
    return torch.fft.irfft(torch.fft.rfft(u) * torch.exp(-1j * k * by[:, None]), u.shape[-1])


def at(u: Tensor, x: Tensor) -> Tensor:
    """The Fourier series of rows at other places, ``[S, T, X], [N] -> [S, T, N]``."""
    v = torch.fft.rfft(u, norm="forward")[..., :-1]
    v[..., 1:] *= 2
    k = torch.arange(v.shape[-1], dtype=torch.float64) * (2 * math.pi / L)
    return (v @ torch.exp(1j * k[:, None] * x)).real


def error(values: Tensor, exact: Tensor, valid: Tensor) -> float:
    """The largest error in valid rows, relative to the largest value."""
    assert valid.any()
    return float((values - exact).abs()[valid].max() / exact.abs().max())


# ---- exact transforms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_weights_leave_everything_as_it_is(data: Trajectories, dtype: torch.dtype) -> None:
    u = data.u.to(dtype)
    values, valid = TrajectoryAugment(FIELD, data, 0.1).move(u, weights(0, 0, 0))
    assert values.dtype == dtype
    assert bool(valid.all())
    assert error(values, u, valid) <= 100 * torch.finfo(torch.float64).eps


def test_boost(data: Trajectories) -> None:
    values, valid = TrajectoryAugment(FIELD, data, 0.1).move(data.u, weights(0, 0, 0.3))
    assert bool(valid.all())
    assert error(values, translated(data.u, 0.3 * data.t) + 0.3, valid) <= 1e-10


def test_translation(data: Trajectories) -> None:
    values, valid = TrajectoryAugment(FIELD, data, 0.1).move(data.u, weights(7.1, 0, 0))
    assert bool(valid.all())
    assert error(values, translated(data.u, torch.full_like(data.t, 7.1)), valid) <= 1e-12


def test_fractional_time_shift_against_the_solution_at_those_times(data: Trajectories) -> None:
    fine = solved(steps=2 * STEPS - 1)
    values, valid = TrajectoryAugment(FIELD, data, 0.1).move(data.u, weights(0, 0.55, 0))  # 5.5 rows
    assert valid.sum(1).tolist() == [STEPS - 6] * 2
    assert not valid[:, :6].any()
    exact = torch.zeros_like(data.u)
    exact[:, 6:] = fine.u[:, 1:-11:2]
    assert error(values, exact, valid) <= 1e-5


@pytest.mark.slow
def test_time_shift_at_the_default_settings() -> None:
    data = generate("kdv", 4, seed=0)
    fine = generate("kdv", 4, seed=0, steps=499, keep=280)
    field = SymbolicField(COORDINATES, [{"dt": "1"}])
    half = float(data.t[1] - data.t[0]) / 2
    values, valid = TrajectoryAugment(field, data, 0.1).move(data.u, torch.full((4, 1), half, dtype=torch.float64))
    exact = torch.zeros_like(data.u)
    exact[:, 1:] = fine.u[:, 2::2]  # the fine rows begin half a row earlier
    assert valid.sum(1).tolist() == [139] * 4
    assert float(((values - exact)[:, 1:].norm(dim=(1, 2)) / exact.norm(dim=(1, 2))).max()) <= 1e-5


def test_stretched_rows_against_the_solution_there_and_the_papers_spreading(data: Trajectories) -> None:
    """Rows a hundredth apart from their places, in t and, unevenly, in x; the flow of both is known exactly."""
    k, rate = 2 * math.pi / L, 0.01
    field = SymbolicField(COORDINATES, [{"dx": f"{rate / k!r}*sin({k!r}*x)", "dt": f"{rate}*t"}])
    one = torch.ones(2, 1, dtype=torch.float64)
    values, valid = TrajectoryAugment(field, data, 0.1).move(data.u, one)
    assert bool(valid.all())
    earlier = solved(end=END * math.exp(-rate))
    source = torch.atan2(math.exp(-rate) * torch.sin(k * data.x / 2), torch.cos(k * data.x / 2)) * (2 / k)
    exact = at(earlier.u, source)
    assert error(values, exact, valid) <= 1e-4

    t, x = torch.meshgrid(data.t, data.x, indexing="ij")
    points = torch.stack([x.expand_as(data.u), t.expand_as(data.u), data.u], -1)
    start = COORDINATES.to_normalised(points).flatten(1, 2)
    moved = COORDINATES.to_physical(flow(field, start, one))
    spread, weight = scatter(moved, data.u.shape[1:], period=L, times=(0.0, END))
    kept = (weight > 0.8).all(-1)
    assert bool(kept[:, 1:-1].all())
    assert error(spread, exact, kept) > 10 * error(values, exact, kept)


@pytest.mark.parametrize("row", [(7.1, 0.0, 0.3), (7.1, 0.55, 0.3)])
def test_spreading_is_nowhere_better(data: Trajectories, row: tuple[float, ...]) -> None:
    moved_exactly = solved(steps=2 * STEPS - 1)
    values, valid = TrajectoryAugment(FIELD, data, 0.1).move(data.u, weights(*row))
    t, x = torch.meshgrid(data.t, data.x, indexing="ij")
    points = torch.stack([x.expand_as(data.u), t.expand_as(data.u), data.u], -1)
    start = COORDINATES.to_normalised(points).flatten(1, 2)
    moved = COORDINATES.to_physical(flow(FIELD, start, weights(*row)))
    spread, _ = scatter(moved, data.u.shape[1:], period=L, times=(0.0, END))
    # x' = a + t e + e b/2, t' = t + b, u' = u + e for the weights (a, b, e)
    a, b, e = row
    sources = 2 * torch.arange(STEPS) - round(2 * b / 0.1)
    rows = sources >= 0
    u = moved_exactly.u[:, sources.clamp_min(0)]
    exact = translated(u, a + e * (data.t - b) + e * b / 2) + e
    inside = valid & rows
    inside[:, -3:] = False
    assert error(values, exact, inside) <= 1e-5
    assert error(values, exact, inside) <= error(spread, exact, inside) + 1e-12


def test_the_grid_may_begin_anywhere(data: Trajectories) -> None:
    k = 2 * math.pi / L
    moved = replace(data, x=data.x + 13.0, t=data.t - 40.0)
    here = SymbolicField(COORDINATES, [{"dx": f"sin({k!r}*x) + t/20", "dt": f"1 + cos({k!r}*x)/3", "du": "t/50"}])
    there = [{"dx": f"sin({k!r}*(x - 13)) + (t + 40)/20", "dt": f"1 + cos({k!r}*(x - 13))/3", "du": "(t + 40)/50"}]
    one = torch.ones(2, 1, dtype=torch.float64)
    values, valid = TrajectoryAugment(here, data, 0.1).move(data.u, one)
    others, kept = TrajectoryAugment(SymbolicField(COORDINATES, there), moved, 0.1).move(data.u, one)
    assert bool((valid == kept).all())
    assert 0 < int(valid.sum()) < valid.numel()
    torch.testing.assert_close(others[kept], values[valid], rtol=0, atol=1e-11)


# ---- the equation ---------------------------------------------------------------------------------------------------


def own(data: Trajectories) -> Tensor:
    return residuals(data, data.u, torch.ones(data.u.shape[:2], dtype=torch.bool))


def test_residuals_are_those_of_the_data(data: Trajectories) -> None:
    for i in range(2):
        assert float(own(data)[i]) == pytest.approx(data[i].residual(), rel=1e-12)
    none = residuals(data, data.u, torch.zeros(data.u.shape[:2], dtype=torch.bool))
    assert bool(none.isnan().all())


def test_residuals_do_not_look_at_rows_that_are_not_valid(data: Trajectories) -> None:
    spoilt, valid = data.u.clone(), torch.ones(data.u.shape[:2], dtype=torch.bool)
    valid[:, 90:100] = False
    spoilt[~valid] = math.nan
    assert bool((residuals(data, spoilt, valid) < 2 * own(data)).all())


def test_symmetries_keep_the_equation_and_another_field_does_not(data: Trajectories) -> None:
    torch.manual_seed(0)
    values, valid = TrajectoryAugment(FIELD, data, 0.2)(data.u)
    assert bool((residuals(data, values, valid) < 1.5 * own(data)).all())
    wrong = TrajectoryAugment(SymbolicField(COORDINATES, [{"du": "1"}]), data, 0.2)
    values, valid = wrong.move(data.u, 0.3 * torch.ones(2, 1, dtype=torch.float64))
    assert bool((residuals(data, values, valid) > 1e3 * own(data)).all())


def test_coefficients_that_depend_on_time() -> None:
    data = generate("nkdv", 2, seed=0, end=20.0, steps=STEPS, keep=STEPS)
    augment = TrajectoryAugment(SymbolicField(COORDINATES, CATALOGUE["nkdv"].symmetries[:3]), data, 0.1)
    values, valid = augment.move(data.u, weights(3.0, 1.0, 0.2))
    assert bool((valid.sum(1) > 180).all())
    assert bool((residuals(data, values, valid) < 2 * own(data) + 1e-9).all())
    shift = TrajectoryAugment(SymbolicField(COORDINATES, [{"dt": "1"}]), data, 0.1)
    values, valid = shift.move(data.u, torch.ones(2, 1, dtype=torch.float64))
    assert bool((residuals(data, values, valid) > 0.005).all())


# ---- the draw -------------------------------------------------------------------------------------------------------


def test_the_draw_does_not_depend_on_the_basis(data: Trajectories) -> None:
    """``w' A`` has the distribution of ``w``: both are images of one ball, the same ellipsoid."""
    A = torch.tensor([[2.0, 0.0, 1.0], [0.5, -3.0, 0.0], [1.0, 1.0, 40.0]], dtype=torch.float64)
    keys = ("dx", "dt", "du")

    def combined(row: list[float], key: str) -> str:
        return " + ".join(f"({a})*({form[key]})" for a, form in zip(row, PERIODIC, strict=True))

    mixed = [{key: combined(row, key) for key in keys} for row in A.tolist()]
    first = TrajectoryAugment(FIELD, data, 0.1).whitener
    other = TrajectoryAugment(SymbolicField(COORDINATES, mixed), data, 0.1).whitener
    torch.testing.assert_close(A.T @ other @ other.T @ A, first @ first.T, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("field", [FIELD, NeuralField(COORDINATES, 2, width=8).double()])
def test_the_strength_is_the_largest_displacement(data: Trajectories, field: SymbolicField | NeuralField) -> None:
    augment = TrajectoryAugment(field, data, 0.1)
    torch.manual_seed(0)
    drawn = augment.draw(4000) / 1000  # to first order
    t, x = torch.meshgrid(data.t, data.x, indexing="ij")
    points = torch.stack([x.expand_as(data.u), t.expand_as(data.u), data.u], -1).flatten(0, 2)[::10]
    vectors = field(COORDINATES.to_normalised(points)).detach()
    gram = torch.einsum("nkd,nld->kl", vectors, vectors) / len(vectors)
    size = 1000 * torch.einsum("bk,kl,bl->b", drawn, gram, drawn).sqrt()
    K = field.generators
    assert float(size.max()) <= 0.1 * 1.05  # the fixed sample is not the whole data
    assert float(size.max()) >= 0.1 * 0.95
    assert float(size.mean()) == pytest.approx(0.1 * K / (K + 1), rel=0.05)
    assert float(drawn.mean(0).abs().max() / drawn.std(0).max()) < 0.06


def test_torch_decides_the_draw(data: Trajectories) -> None:
    augment = TrajectoryAugment(FIELD, data, 0.1)
    torch.manual_seed(3)
    first = augment.draw(5)
    torch.manual_seed(3)
    assert torch.equal(augment.draw(5), first)
    assert not torch.equal(augment.draw(5), first)
    assert first.shape == (5, 3)
    assert augment.draw(0).shape == (0, 3)


# ---- manners --------------------------------------------------------------------------------------------------------


def all_fields() -> list[object]:
    smooth = NeuralField(COORDINATES, 3, width=16, seed=1).double()
    exponential = SymbolicField(COORDINATES, CATALOGUE["nkdv"].symmetries[:3])
    table = GridField.tabulate(smooth, (8, 8, 8), (0.0, -2.0, -3.0), (1.0, 2.0, 3.0))
    return [exponential, smooth, smooth.network, table]


@pytest.mark.parametrize("field", all_fields(), ids=lambda field: type(field).__name__)
def test_a_trajectory_has_the_same_bits_in_any_batch(data: Trajectories, field: object) -> None:
    small = replace(data, t=data.t[:40], u=data.u[:, :40])
    augment = TrajectoryAugment(field, small, 0.05)
    torch.manual_seed(0)
    u, w = torch.cat([small.u, small.u * 0.7, small.u * 0.4])[:5], augment.draw(5)
    values, valid = augment.move(u, w)
    assert values.isfinite().all()
    for i in range(5):
        alone, kept = augment.move(u[i : i + 1], w[i : i + 1])
        assert torch.equal(alone[0], values[i])
        assert torch.equal(kept[0], valid[i])
    nothing, none = augment.move(u[:0], w[:0])
    assert nothing.shape == (0, 40, 512)
    assert none.shape == (0, 40)


def test_a_network_is_the_field_it_came_from(data: Trajectories) -> None:
    field = NeuralField(COORDINATES, 2, width=16).double()
    first, second = (TrajectoryAugment(f, data, 0.05) for f in (field, field.network))
    w = first.draw(2)
    assert torch.equal(first.move(data.u, w)[0], second.move(data.u, w)[0])


def test_single_precision(data: Trajectories) -> None:
    exact, valid = TrajectoryAugment(FIELD, data, 0.1).move(data.u, weights(7.1, 0.0, 0.3))
    values, kept = TrajectoryAugment(FIELD, data, 0.1).move(data.u.float(), weights(7.1, 0.0, 0.3).float())
    assert torch.equal(valid, kept)
    assert error(values.double(), exact, valid) < 5e-5  # positions to 1e-7 of the period


def test_it_moves_with_its_module(data: Trajectories) -> None:
    field = NeuralField(COORDINATES, 2, width=8)
    augment = nn.Sequential(TrajectoryAugment(field, data, 0.05)).double()
    assert field.out_bias.dtype == torch.float32  # the caller's own is left alone
    assert not any(p.requires_grad for p in augment.parameters())
    assert augment(data.u)[0].dtype == torch.float64
    with pytest.raises(ValueError, match="one dtype"):
        augment(data.u.float())


def test_a_result_stands_for_its_closed_forms() -> None:
    data = generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
    augment = TrajectoryAugment(discover(data, network="none"), data, 0.1)
    values, valid = augment(data.u)
    assert augment.field.generators == 2
    assert bool(valid.all())
    assert bool((residuals(data, values, valid) < 2 * own(data)).all())


def test_windows() -> None:
    valid = torch.rand(5, 30, generator=torch.Generator().manual_seed(0)) > 0.2
    for length in (1, 4, 30):
        found = windows(valid, length)
        for b in range(5):
            for i in range(30):
                assert bool(found[b, i]) == (i + length <= 30 and bool(valid[b, i : i + length].all()))


# ---- the data set ---------------------------------------------------------------------------------------------------


def test_items_depend_on_the_seed_and_their_number_alone(data: Trajectories) -> None:
    augment = TrajectoryAugment(FIELD, data, 0.1)
    more = AugmentedTrajectories(data, augment, copies=3, seed=5)
    assert len(more) == 6
    torch.manual_seed(1)
    first = [more[i] for i in range(6)]
    loader = DataLoader(more, batch_size=None, num_workers=1, persistent_workers=True)
    again = list(loader)
    for i, (one, other) in enumerate(zip(first, again, strict=True)):
        assert one["source"] == other["source"] == i // 3
        for key in ("u", "valid", "weights"):
            assert torch.equal(one[key], other[key])
    assert torch.equal(first[3]["u"], data.u[1])
    assert not first[3]["weights"].any()
    rows = torch.stack([item["weights"] for item in first if item["weights"].any()])
    assert len(rows.unique(dim=0)) == 4
    assert torch.equal(first[5]["weights"], seeded_weights(augment, 5, 1, 2)[0])
    assert not torch.equal(AugmentedTrajectories(data, augment, 3, seed=6)[5]["weights"], first[5]["weights"])
    more.set_epoch(1)
    assert not torch.equal(more[5]["weights"], first[5]["weights"])
    assert torch.equal(more[-1]["weights"], more[5]["weights"])
    for one, other in zip(loader, range(6), strict=True):  # by the worker of the first epoch
        assert torch.equal(one["weights"], more[other]["weights"])
    with pytest.raises(IndexError):
        more[6]


# ---- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forms", "sentence"),
    [
        (PERIODIC[:2] + ({"dx": "2", "dt": "-3"},), "must be independent on the data"),
        (({"du": "0"},), "finite and not 0"),
        (({"du": "log(-1 - t**2)"},), "finite and not 0"),
    ],
)
def test_spans_that_are_none(data: Trajectories, forms: tuple[dict[str, str], ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        TrajectoryAugment(SymbolicField(COORDINATES, forms), data, 0.1)


def test_fields_without_the_period_are_refused_in_any_basis(data: Trajectories) -> None:
    scaling = CATALOGUE["kdv"].symmetries[3]
    hidden = {"dx": f"1 + 1e-4*({scaling['dx']})", "dt": f"1e-4*({scaling['dt']})", "du": f"1e-4*({scaling['du']})"}
    for last in (scaling, hidden):
        with pytest.raises(UserError, match="must have the period 128 of the data"):
            TrajectoryAugment(SymbolicField(COORDINATES, (*PERIODIC, last)), data, 0.1)
    other = Coordinates(("x", "t", "u"), (100.0, None, None), scale=(100.0, 10.0, 1.0))
    with pytest.raises(UserError, match="must have the period"):
        TrajectoryAugment(NeuralField(other, 1, width=8), data, 0.1)


def test_grids_that_resample_does_not_know(data: Trajectories) -> None:
    with pytest.raises(UserError, match="at least 6 times"):
        TrajectoryAugment(FIELD, replace(data, t=data.t[:5], u=data.u[:, :5]), 0.1)
    with pytest.raises(UserError, match="uniform times"):
        TrajectoryAugment(FIELD, replace(data, t=data.t**1.01), 0.1)


def test_programming_mistakes(data: Trajectories) -> None:
    augment = TrajectoryAugment(FIELD, data, 0.1)
    with pytest.raises(ValueError, match=r"coordinates x, t, u, got x, y"):
        TrajectoryAugment(SymbolicField(Coordinates(("x", "y")), [{"dx": "1"}]), data, 0.1)
    for strength in (-0.1, math.inf, math.nan, "much"):
        with pytest.raises(ValueError, match="`strength` must be"):
            TrajectoryAugment(FIELD, data, strength)
    with pytest.raises(TypeError, match="`u` must be a floating-point tensor"):
        augment(data.u.long())
    with pytest.raises(ValueError, match=r"`u` must have shape \[B, T, X\] = \[B, 201, 512\]"):
        augment(data.u[:, 1:])
    with pytest.raises(ValueError, match=r"`weights` must have shape \[B, K\] = \[2, 3\]"):
        augment.move(data.u, weights(0, 0))
    for length in (0, 202):
        with pytest.raises(ValueError, match="`length` must be from 1"):
            windows(torch.ones(1, 201, dtype=torch.bool), length)
    with pytest.raises(ValueError, match="`copies` must be an integer of at least 1"):
        AugmentedTrajectories(data, augment, 0)
    with pytest.raises(ValueError, match="`seed` must be an integer of at least 0"):
        AugmentedTrajectories(data, augment, 1, seed=-1)


def test_a_field_that_overflows_one_period_on_is_refused(data: Trajectories) -> None:
    field = SymbolicField(Coordinates(("x", "t", "u")), [{"du": f"exp({340 / data.length}*x)"}])
    with pytest.raises(UserError, match="`field` must have the period"):
        TrajectoryAugment(field, data, 0.1)
