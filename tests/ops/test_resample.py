"""Moved points back on the grid: exact transforms, laws, the references, derivatives, bits, transforms of torch."""

import sys
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import symflow
from kernels import printed_kilobytes
from symflow.ops import _ext, resample_kernel, resample_ref, scatter_kernel, scatter_ref
from symflow.ops._fine_rows import fine_rows, moved_fields, window_on

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")

F64 = torch.float64
PERIOD, TIMES = 3.0, (1.0, 3.0)


def nodes(rows: int, columns: int, period: float = PERIOD, times=TIMES) -> tuple[Tensor, Tensor]:
    """x and t at the nodes of a grid, both ``[rows, columns]``."""
    x = torch.arange(columns, dtype=F64) * (period / columns)
    return x.expand(rows, columns), torch.linspace(*times, rows, dtype=F64)[:, None].expand(rows, columns)


def moved(rows=9, columns=12, B=2, amplitude=0.1, dtype=F64) -> Tensor:
    """Smooth maps close to the identity, and smooth values: ``[B, rows, columns, 3]``."""
    x, t = nodes(rows, columns)
    k = 2 * torch.pi / PERIOD
    trajectories = []
    for b in range(B):
        X = x + 0.4 + amplitude * torch.sin(k * x + t + b)
        T = t + 0.1 + amplitude * torch.cos(2 * k * x + b * t)
        trajectories.append(torch.stack([X, T, torch.sin(k * x - t) + 0.3 * torch.cos(2 * k * x + b) + b], -1))
    return torch.stack(trajectories).to(dtype)


def resampled(points: Tensor) -> tuple[Tensor, Tensor]:
    return symflow.resample(points, period=PERIOD, times=TIMES)


def scattered(points: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    return symflow.scatter(points, shape, period=PERIOD, times=TIMES)


def worst(a: Tensor, b: Tensor, where: Tensor | None = None) -> float:
    difference = (a.double() - b.double()).abs()
    return float((difference if where is None else difference[where]).max())


# ---- exact transforms -----------------------------------------------------------------------------------------------

# A long period with a KdV soliton, u = 12 k^2 / cosh^2 (k (x - 4 k^2 t)), and the modes of a smooth function.
LONG, WINDOW, ROWS, COLUMNS = 128.0, (44.0, 100.0), 140, 256


def soliton(x: Tensor, t: Tensor, k: float = 0.3) -> Tensor:
    distance = torch.remainder(x - 4 * k**2 * t, LONG) - LONG / 2
    return 12 * k**2 / torch.cosh(k * distance) ** 2


def waves(x: Tensor, t: Tensor) -> Tensor:
    modes = [(0.5, 1, 0.3, 0.1), (0.3, 2, 0.2, 1.0), (0.1, 7, -0.4, 2.0), (0.01, 20, 0.5, 0.4)]
    return sum(a * torch.sin(2 * torch.pi * n / LONG * x - w * t + p) for a, n, w, p in modes)


def boost(a):
    """x += a t, u += a."""
    return lambda x, t, u: (x + a * t, t, u + a), lambda x, t, u: u(x - a * t, t) + a


def time_shift(s):
    return lambda x, t, u: (x, t + s, u), lambda x, t, u: u(x, t - s)


def slower_time(s):
    """exp(t / 50) += s, a symmetry of nKdV."""
    return (
        lambda x, t, u: (x, 50 * torch.log(torch.exp(t / 50) + s), u),
        lambda x, t, u: u(x, 50 * torch.log(torch.exp(t / 50) - s)),
    )


def stretch(share):
    """Rows whose columns are denser and sparser by a share; x = X - s sin(...) by iteration."""

    def back(x, t, u):
        source = x
        for _ in range(20):
            source = x - displacement(source, t)
        return u(source, t)

    def displacement(x, t):
        k = 2 * torch.pi * 3 / LONG
        return share / k * torch.sin(k * x - 0.2 * t)

    return lambda x, t, u: (x + displacement(x, t), t, u), back


def error(transform, u, route) -> tuple[float, float]:
    """The largest error against the exact transform relative to the size of u, and the share of nodes that count."""
    x, t = nodes(ROWS, COLUMNS, LONG, WINDOW)
    forward, exact = transform
    points = torch.stack(forward(x, t, u(x, t)), -1)[None]
    if route == "resample":
        values, support = symflow.resample(points, period=LONG, times=WINDOW)
    else:
        values, weight = symflow.scatter(points.flatten(1, 2), (ROWS, COLUMNS), period=LONG, times=WINDOW)
        support = (weight.amin(-1, keepdim=True) > 0.8).expand_as(weight)
    reference = exact(x, t, u)
    return worst(values[0], reference, support[0]) / float(reference.abs().max()), float(support.double().mean())


@pytest.mark.parametrize("u", [soliton, waves])
def test_boosts_are_exact(u):
    for route in ("resample", "scatter"):
        for a in (0.4, -1.7, 0.01):
            off, supported = error(boost(a), u, route)
            assert supported == 1
            assert off < 1e-12


@pytest.mark.parametrize("u", [soliton, waves])
@pytest.mark.parametrize("transform", [time_shift(0.37 * 0.4), time_shift(-3.3), slower_time(0.2), slower_time(-0.07)])
def test_shifts_and_stretches_of_time(u, transform):
    """The polynomials in t decide: their error is that of degree five over the distance of rows."""
    off, supported = error(transform, u, "resample")
    assert 0.6 < supported < 1  # rows that moved out of the window, or were never in it, do not count
    assert off < 2e-6
    scatter_off, _ = error(transform, u, "scatter")
    assert scatter_off > 100 * off


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
@pytest.mark.parametrize("u", [soliton, waves])
def test_stretched_rows(u, share):
    off, supported = error(stretch(share), u, "resample")
    assert supported == 1
    assert off < 1e-10


def test_all_at_once():
    """A boost, then a shift of time, then a stretch: every coordinate moves at once."""
    k = 2 * torch.pi * 3 / LONG

    def forward(x, t, u):
        x, t, u = x + 0.3 * t, t + 0.7 * torch.sin(0.1 * t), u + 0.3
        return x + 0.05 / k * torch.sin(k * x), t, u

    def exact(x, t, u):
        source = x
        for _ in range(40):
            source = x - 0.05 / k * torch.sin(k * source)
        before = t
        for _ in range(60):
            before = t - 0.7 * torch.sin(0.1 * before)
        return u(source - 0.3 * before, before) + 0.3

    off, supported = error((forward, exact), waves, "resample")
    assert supported > 0.95
    assert off < 1e-6


def test_order_in_time():
    """The error of a fractional shift falls with the sixth power of the distance of rows."""
    errors, counts = [], [24, 36, 54, 81]
    for rows in counts:
        x, t = nodes(rows, 16)
        gap = float(t[1, 0] - t[0, 0])
        points = torch.stack([x, t + 0.5 * gap, torch.sin(3 * t + x)], -1)[None]
        points[..., 2] = torch.sin(3 * t + torch.sin(2 * torch.pi / PERIOD * x))
        values, support = resampled(points)
        exact = torch.sin(3 * (t - 0.5 * gap) + torch.sin(2 * torch.pi / PERIOD * x))
        inner = support[0].clone()
        inner[:3] = inner[-3:] = False
        errors.append(worst(values[0], exact, inner))
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert -6.3 < slope < -5.7


# ---- against the references and closed forms ------------------------------------------------------------------------


@cache
def reference_of(rows: int, columns: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Once for all instruction sets."""
    return resample_ref(moved(rows, columns, dtype=dtype, amplitude=0.03).double(), PERIOD, TIMES)


@pytest.mark.parametrize(("rows", "columns"), [(6, 1), (7, 2), (9, 17), (37, 12), (6, 193), (13, 40)])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_kernels_are_the_references(isa, rows, columns, dtype):
    """In float32 the kernel computes in float64 and rounds once: the error is half a unit of the largest value."""
    points = moved(rows, columns, dtype=dtype, amplitude=0.03)
    limit = 1e-13 if dtype == F64 else 2e-7
    values, support = resampled(points)
    expected, expected_support = reference_of(rows, columns, dtype)
    assert values.dtype == dtype
    assert torch.equal(support, expected_support)
    assert worst(values, expected) < limit
    values, weight = scattered(points.flatten(1, 2), (rows, columns))
    expected, expected_weight = scatter_ref(points.double().flatten(1, 2), (rows, columns), PERIOD, TIMES)
    assert values.dtype == weight.dtype == dtype
    assert worst(weight, expected_weight) < limit
    enough = expected_weight > 0.3
    assert worst(values, expected, enough) < 4 * limit


@pytest.mark.parametrize("columns", [1, 2, 5, 16, 37, 64])
def test_scatter_is_the_dirichlet_kernel(isa, columns):
    """Against the closed form, at, very near and between nodes, and far outside the period."""
    rng = np.random.default_rng(0)
    cells = np.concatenate(
        [
            rng.uniform(-3 * columns, 3 * columns, 20),
            np.arange(-columns, 2 * columns, 3.0),
            np.arange(columns) + 1e-9,
            np.arange(columns) - 1e-15,
            [1e-300, -1e-300, 0.5, columns - 0.5],
        ]
    )
    step = PERIOD / columns
    x = cells * step
    for point in range(0, len(x), 3):
        points = torch.tensor([[[x[point], 1.5, 2.0]]], dtype=F64)
        values, weight = scattered(points, (5, columns))
        angle = np.pi * (np.arange(columns) - np.longdouble(x[point]) / step)
        with np.errstate(invalid="ignore", divide="ignore"):
            below = columns * (np.sin(angle / columns) if columns % 2 else np.tan(angle / columns))
            kernel = np.sin(angle) / below
        kernel[np.abs(np.sin(angle / columns)) < 1e-12] = 1
        # x / dx rounds, and the kernel's slope is at most pi.
        limit = 2e-14 + np.pi * abs(x[point] / step) * 2**-53
        assert np.abs(weight[0, 1].numpy() - kernel.astype(float)).max() < limit
        assert not weight[0, [0, 3, 4]].any()
        assert worst(values[0, 1], torch.full((columns,), 2.0, dtype=F64), weight[0, 1] > 0.1) < 1e-12


def test_linear_weights_in_time(isa):
    t = torch.tensor([0.0, 0.5, 0.75, 1.0, 1.25, 2.9, 3.0, 3.25, 3.5, 4.0], dtype=F64)  # rows at 1, 1.5, .., 3
    expected = torch.zeros(10, 5, dtype=F64)
    expected[2, 0], expected[3, 0], expected[4, :2] = 0.5, 1.0, 0.5
    expected[5, 3], expected[5, 4], expected[6, 4], expected[7, 4] = 0.2, 0.8, 1.0, 0.5
    for when, row in zip(t, expected, strict=True):
        weight = scattered(torch.tensor([[[0.0, when, 1.0]]], dtype=F64), (5, 3))[1]
        assert worst(weight[0, :, 0], row) < 1e-14


# ---- laws -----------------------------------------------------------------------------------------------------------

sizes = st.tuples(st.integers(6, 11), st.integers(1, 23))
seeds = st.integers(0, 2**31 - 1)
quick = settings(max_examples=40, deadline=None)


def random_points(rows, columns, seed) -> Tensor:
    """A map within its bounds of invertibility, and rough values."""
    points = moved(rows, columns, B=1, amplitude=0.04)
    return points + 0.3 * torch.rand(points.shape, generator=torch.Generator().manual_seed(seed), dtype=F64) * (
        torch.tensor([0.0, 0.0, 1.0], dtype=F64)
    )


@quick
@given(sizes, seeds, st.floats(-1e3, 1e3, allow_subnormal=False))
def test_constants_are_reproduced(size, seed, constant):
    points = random_points(*size, seed)
    points[..., 2] = constant
    values, support = resampled(points)
    assert worst(values, torch.full_like(values, constant), support) <= 1e-13 * abs(constant) + 1e-300
    scattered_points = points.flatten(1, 2)[:, :: 1 + seed % 3]
    values, weight = scattered(scattered_points, size)
    assert worst(values * weight, constant * weight, weight > 1e-6) <= 1e-13 * abs(constant) + 1e-300


@quick
@given(sizes, seeds)
def test_points_that_did_not_move(size, seed):
    x, t = nodes(*size)
    u = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=F64)
    points = torch.stack([x, t, u], -1)[None]
    values, support = resampled(points)
    assert support.all()
    assert worst(values[0], u) < 3e-13
    values, weight = scattered(points.flatten(1, 2), size)
    assert worst(weight, torch.ones_like(weight)) < 1e-13
    assert worst(values[0], u) < 3e-13


@quick
@given(sizes, seeds, st.integers(-40, 40), st.integers(-2, 2))
def test_shifts_by_whole_cells_permute(size, seed, by_columns, by_rows):
    rows, columns = size
    gap = (TIMES[1] - TIMES[0]) / (rows - 1)
    shift = torch.tensor([by_columns * PERIOD / columns, by_rows * gap, 0.0], dtype=F64)
    kept = slice(max(by_rows, 0), rows + min(by_rows, 0))  # rows that are still there
    x, t = nodes(rows, columns)
    u = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=F64)
    values, support = resampled((torch.stack([x, t, u], -1) + shift)[None])
    expected = u.roll((by_rows, by_columns), (0, 1))
    assert support[0, kept].all()
    assert int(support.sum()) == (rows - abs(by_rows)) * columns
    assert worst(values[0, kept], expected[kept]) < 1e-11
    points = random_points(rows, columns, seed).flatten(1, 2)
    before, weight_before = scatter_kernel(points, size, PERIOD, TIMES)
    after, weight_after = scatter_kernel(points + shift * torch.tensor([1, 0, 0]), size, PERIOD, TIMES)
    assert worst(weight_after, weight_before.roll(by_columns, 2)) < 1e-12
    assert worst((after * weight_after), (before * weight_before).roll(by_columns, 2)) < 1e-11


@quick
@given(sizes, seeds, st.floats(-3, 3))
def test_linear_in_u(size, seed, factor):
    first, second = random_points(*size, seed), random_points(*size, seed + 1)
    both = first.clone()
    both[..., 2] += factor * second[..., 2]
    parts = [resampled(p)[0] for p in (first, second, both)]
    assert worst(parts[2], parts[0] + factor * parts[1]) < 1e-12
    flat = [scattered(p.flatten(1, 2), size) for p in (first, second, both)]
    values = [v * w for v, w in flat]
    assert worst(values[2], values[0] + factor * values[1]) < 1e-12


def test_scatter_does_not_mind_the_order():
    points = moved(9, 12, B=1).flatten(1, 2)
    order = torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(0))
    for a, b in zip(scattered(points, (9, 12)), scattered(points[:, order], (9, 12)), strict=True):
        assert worst(a, b) < 1e-13


def test_a_map_and_its_inverse():
    """Resampling by a map and then by the exact inverse map gives back what the grid resolves."""
    x, t = nodes(40, 64)
    k = 2 * torch.pi / PERIOD
    u = torch.exp(torch.sin(k * x) * torch.cos(t))
    a = 0.05
    there = resampled(torch.stack([x + a * torch.sin(k * (x - t)), t, u], -1)[None])[0][0]
    # X = x + a sin(k (x - t)) at the nodes as sources: their images are where the second map comes from.
    source = x
    for _ in range(60):
        source = x - a * torch.sin(k * (source - t))
    back = resampled(torch.stack([source, t, there], -1)[None])[0][0]
    assert worst(back, u) < 1e-11


# ---- support --------------------------------------------------------------------------------------------------------


def test_support_and_what_lies_outside(isa):
    """Rows whose sources are outside the window are 0, with support False and no gradient."""
    points = moved(12, 10, B=1)
    points[..., 1] = nodes(12, 10)[1] + 0.5  # 2.75 rows
    points.requires_grad_()
    values, support = resampled(points)
    assert not support[:, :3].any()
    assert support[:, 3:].all()
    assert not values[:, :3].any()
    (gradient,) = torch.autograd.grad(values[:, :3].sum(), points)
    assert not gradient.any()
    far = points.detach() + torch.tensor([0, 1e6, 0], dtype=F64)
    values, support = resampled(far)
    assert not support.any()
    assert not values.any()


def test_maps_that_fold_or_collapse_are_refused_or_solved(isa):
    """Whatever is reported as supported satisfies the equation; nothing else is claimed."""
    x, t = nodes(12, 32)
    k = 2 * torch.pi / PERIOD
    folding = torch.stack([x + 0.9 * torch.sin(k * x), t + 0.2 * torch.sin(k * x), x], -1)[None]
    _, sources = torch.ops.symflow.resample(folding, PERIOD, *TIMES)
    column, row = sources[0].unbind(-1)
    found = ~row.isnan()
    assert 0 < int(found.sum()) < found.numel()
    at = column * PERIOD / 32
    image = at + 0.9 * torch.sin(k * at)
    assert worst(image, x, found) < 1e-9
    collapsed = torch.stack([x, torch.full_like(t, 2.0), x], -1)[None]
    assert not resampled(collapsed)[1].any()


def test_not_finite(isa):
    points = moved(14, 10, B=2)
    expected, expected_support = resampled(points)
    for bad in (torch.nan, torch.inf, -torch.inf, 1e308):
        for axis in (0, 1):
            spoilt = points.clone()
            spoilt[0, 7, 3, axis] = bad
            values, support = resampled(spoilt)
            assert values.isfinite().all()
            assert not support[0, 7].any()
            assert torch.equal(values[1], expected[1])
            assert torch.equal(support[1], expected_support[1])
    spoilt = points.clone()
    spoilt[0, 7, 3, 2] = torch.nan
    values, support = resampled(spoilt)
    assert torch.equal(support, expected_support)
    assert values[0, 7].isnan().all()
    assert torch.equal(values[0, 0], expected[0, 0])

    flat = points.flatten(1, 2)
    expected, weight = scattered(flat, (14, 10))
    at = int((flat[0, 60, 1] - TIMES[0]) / (TIMES[1] - TIMES[0]) * 13)
    others = [row for row in range(14) if row not in (at, at + 1)]
    for axis in (0, 2):
        for bad in (torch.nan, torch.inf):
            spoilt = flat.clone()
            spoilt[0, 60, axis] = bad
            values, weights = scattered(spoilt, (14, 10))
            assert torch.equal(values[1], expected[1])
            assert torch.equal(values[0, others], expected[0, others])
            assert torch.equal(weights[0, others], weight[0, others])
            if axis == 0:
                assert weights[0, [at, at + 1]].isnan().all()
                assert not values[0, [at, at + 1]].any()
            else:
                assert values[0, at].isnan().all()
    for bad in (torch.nan, torch.inf, -torch.inf, 1e300):
        spoilt = flat.clone()
        spoilt[0, 60, 1] = bad
        without = torch.cat([flat[:1, :60], flat[:1, 61:]], 1)
        for a, b in zip(scattered(spoilt[:1], (14, 10)), scattered(without, (14, 10)), strict=True):
            assert worst(a, b) < 1e-12


def test_no_weight_gives_zero(isa):
    values, _ = scattered(torch.tensor([[[0.0, 1.0, 7.0]]], dtype=F64), (3, 4))
    assert worst(values[0, 0], torch.tensor([7.0, 0, 0, 0], dtype=F64)) < 1e-13
    assert values.isfinite().all()
    assert not values[0, 1:].any()


# ---- derivatives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [3, 4])
def test_gradcheck(isa, columns):
    points = moved(6, columns, B=1, amplitude=0.03).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: resample_kernel(p, PERIOD, TIMES)[0], points)
    flat = points.detach().flatten(1, 2).requires_grad_()
    enough = scatter_kernel(flat, (6, columns), PERIOD, TIMES)[1].detach() > 0.2

    def call(p):
        values, weight = scatter_kernel(p, (6, columns), PERIOD, TIMES)
        return values[enough], weight

    assert torch.autograd.gradcheck(call, flat)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(("rows", "columns"), [(7, 13), (23, 40)])
def test_gradients_are_those_of_the_references(isa, rows, columns, dtype):
    exact = moved(rows, columns).to(dtype).double().requires_grad_()
    points = exact.detach().to(dtype).requires_grad_()
    direction = torch.randn(2, rows, columns, generator=torch.Generator().manual_seed(0), dtype=F64)

    def gradient(values, at):
        return torch.autograd.grad(values, at, direction.to(values.dtype), retain_graph=True)[0]

    found, expected = gradient(resampled(points)[0], points), gradient(resample_ref(exact, PERIOD, TIMES)[0], exact)
    limit = 1e-11 if dtype == F64 else 1e-6
    assert float((found - expected).norm() / expected.norm()) < limit

    # Away from the seam where the values are cut to 0.
    points, exact = (p.detach().flatten(1, 2).requires_grad_() for p in (points, exact))
    values, weight = scattered(points, (rows, columns))
    expected_values, expected_weight = scatter_ref(exact, (rows, columns), PERIOD, TIMES)
    enough = (expected_weight > 0.3).detach()
    for a, b in ((weight, expected_weight), (torch.where(enough, values, 0), torch.where(enough, expected_values, 0))):
        found, expected = gradient(a, points), gradient(b, exact)
        assert float((found - expected).norm() / expected.norm()) < limit


def test_references_have_higher_derivatives():
    """What the kernels' refusal promises."""
    points = moved(6, 4, B=1, amplitude=0.05)
    points[..., 1] = nodes(6, 4)[1] + 0.02 * torch.sin(points[..., 0])
    flat = points.flatten(1, 2)
    direction = torch.randn(points.shape, generator=torch.Generator().manual_seed(0), dtype=F64)
    for call, at in (
        (lambda p: resample_ref(p, PERIOD, TIMES)[0].square().sum(), points),
        (lambda p: scatter_ref(p, (6, 4), PERIOD, TIMES)[1].square().sum(), flat),
    ):
        toward = direction.reshape(at.shape)
        one = torch.func.jvp(call, (at,), (toward,))[1]
        assert_close(one, (torch.func.grad(call)(at) * toward).sum())
        assert torch.autograd.gradgradcheck(call, at.clone().requires_grad_(), fast_mode=True)


# ---- bits -----------------------------------------------------------------------------------------------------------


def value_and_gradient(call, points, seed=1):
    points = points.detach().clone().requires_grad_()
    values = call(points)
    direction = torch.randn(values.shape[1:], generator=torch.Generator().manual_seed(seed), dtype=F64)
    return values.detach(), torch.autograd.grad(values, points, direction.to(values).expand_as(values))[0]


CALLS = {
    "resample": lambda p: resampled(p)[0],
    "scatter": lambda p: scattered(p.flatten(1, 2), (11, 19))[0],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(("rows", "columns"), [(17, 19), (16, 64)])
def test_a_trajectory_does_not_know_its_company(isa, name, dtype, rows, columns):
    points = moved(rows, columns, B=5, dtype=dtype)
    values, gradients = value_and_gradient(CALLS[name], points)
    for chosen in ([3], [4, 0], [1, 1, 1, 2]):
        some, some_gradients = value_and_gradient(CALLS[name], points[chosen])
        assert torch.equal(some, values[chosen])
        assert torch.equal(some_gradients, gradients[chosen])


@pytest.mark.determinism
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("rows", "columns"), [(61, 97), (64, 128)])
def test_threads_change_no_bit(name, rows, columns):
    points = moved(rows, columns, B=2)
    threads = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3, 2):
            torch.set_num_threads(n)
            results.append(value_and_gradient(CALLS[name], points))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


# ---- shapes and arguments -------------------------------------------------------------------------------------------


def test_inputs_need_not_be_contiguous(isa):
    points = moved(11, 19)
    strange = points.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    assert not strange.is_contiguous()
    for call in CALLS.values():
        for a, b in zip(value_and_gradient(call, points), value_and_gradient(call, strange), strict=True):
            assert torch.equal(a, b)


def test_empty(isa):
    nothing = torch.zeros(0, 7, 5, 3, dtype=F64, requires_grad=True)
    values, support = resampled(nothing)
    assert values.shape == support.shape == (0, 7, 5)
    values.sum().backward()
    assert nothing.grad.shape == nothing.shape
    for B, N in ((0, 4), (2, 0), (0, 0)):
        points = torch.zeros(B, N, 3, requires_grad=True)
        values, weight = scattered(points, (3, 5))
        assert values.shape == weight.shape == (B, 3, 5)
        assert not values.any()
        assert not weight.any()
        values.sum().backward()
        assert points.grad.shape == points.shape


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes_run_in_the_reference(dtype):
    points = moved(9, 12, B=1)
    values, support = resampled(points.to(dtype))
    assert values.dtype == dtype
    expected = resample_ref(points.to(dtype).double(), PERIOD, TIMES)
    assert torch.equal(support, expected[1])
    assert worst(values, expected[0]) < 0.01


def test_wrong_arguments():
    points, flat = moved(), moved().flatten(1, 2)
    for call, kind, message in [
        (lambda: resampled(None), TypeError, "`points` must be a floating-point tensor, got NoneType"),
        (lambda: resampled(points.long()), TypeError, "`points` must be a floating-point tensor, got torch.int64"),
        (lambda: resampled(flat), ValueError, r"`points` must have shape \[B, rows, columns, 3\], got \[2, 108, 3\]"),
        (lambda: resampled(points[..., :2]), ValueError, r"columns, 3\], got \[2, 9, 12, 2\]"),
        (lambda: resampled(points[:, :5]), ValueError, "at least 6 rows and 1 column, got 5 and 12"),
        (lambda: resampled(points[:, :, :0]), ValueError, "at least 6 rows and 1 column, got 9 and 0"),
        (lambda: scattered(points, (9, 12)), ValueError, r"`points` must have shape \[B, N, 3\], got \[2, 9, 12, 3\]"),
        (lambda: scattered(flat, 9), TypeError, r"`shape` must be two integers, \(rows, columns\), got 9"),
        (lambda: scattered(flat, (9, 12.0)), TypeError, r"`shape` must be two integers"),
        (lambda: scattered(flat, (1, 12)), ValueError, r"at least 2 rows and 1 column, got \(1, 12\)"),
        (lambda: symflow.resample(points, period=0, times=TIMES), ValueError, "`period` must be positive and finite"),
        (
            lambda: symflow.resample(points, period=torch.inf, times=TIMES),
            ValueError,
            "`period` must be positive and finite, got inf",
        ),
        (
            lambda: symflow.scatter(flat, (9, 12), period=1, times=(2, 2)),
            ValueError,
            r"`times` must be two finite numbers, the first one smaller, got \(2.0, 2.0\)",
        ),
    ]:
        with pytest.raises(kind, match=message):
            call()


def test_operators_check_their_arguments():
    ops = torch.ops.symflow
    window = torch.ones(3, 16, dtype=F64)
    points = torch.zeros(4, 3, dtype=F64)
    table = torch.zeros(6, 3, 26, dtype=F64)
    fields, grid = torch.zeros(6, 3, 5, dtype=F64), torch.zeros(6, 5, dtype=F64)
    sources = torch.zeros(6, 5, 2, dtype=F64)
    for call, message in [
        (lambda: ops.scatter_spread(points.float(), window, 5, 5), "`points` must have the dtype"),
        (lambda: ops.scatter_spread(points[0], window, 5, 5), r"`points` must have shape \[N, 3\]"),
        (lambda: ops.scatter_spread(points, window, 1, 5), "at least 2 rows and one column, got 1 and 5"),
        (lambda: ops.scatter_spread(points, window[:, :8], 5, 5), r"`window` must have shape \[3, 16\], got \[3, 8\]"),
        (lambda: ops.scatter_read(table, points, window), r"`grad_table` must have shape \[6, 2, 26\]"),
        (lambda: ops.resample_solve(fields[:, :, :4], table, window), r"`moved` must have shape \[6, 3, 5\]"),
        (lambda: ops.resample_solve(fields, table[:, :, :25], window), r"`table` must have shape \[6, 3, 24\]"),
        (lambda: ops.resample_solve(fields[:5], table[:5], window), "at least 6 rows and one column, got 5 and 5"),
        (lambda: ops.resample_transpose(grid.t(), table, window, sources), r"`grad` must have shape \[6, 5\]"),
        (lambda: ops.resample_transpose(grid, table, window, sources[0]), r"`sources` must have shape \[6, 5, 2\]"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["resample", "scatter"])
def test_memory_is_that_of_one_trajectory(name):
    """Beyond the results: the fine rows of one trajectory a few times over, whatever the batch."""
    script = f"""
        import torch, symflow

        def kilobytes(key):
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

        def run(B):
            points = torch.zeros(B, 64, 128, 3, dtype=torch.float64)
            points[..., 1] = torch.linspace(0, 1, 64)[:, None]
            before = kilobytes("VmRSS")
            open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
            if "{name}" == "resample":
                symflow.resample(points, period=1.0, times=(0.0, 1.0))
            else:
                symflow.scatter(points.flatten(1, 2), (64, 128), period=1.0, times=(0.0, 1.0))
            return kilobytes("VmHWM") - before

        run(1)
        print(run(64))
    """
    done = printed_kilobytes(script)
    result = 64 * 64 * 128 * 8 / 2**20  # one number per node
    assert done / 1024 < 5 * result + 8


# ---- torch's transforms ---------------------------------------------------------------------------------------------


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def small() -> tuple[Tensor, Tensor]:
    """Points of a grid [1, 6, 4, 3], and a batch of such."""
    points = moved(6, 4, B=3, amplitude=0.05)
    points[..., 1] = nodes(6, 4)[1] + 0.03 * torch.sin(points[..., 0])
    return points[:1], points[:, None]


PAIRS = {
    "resample": (lambda p: resampled(p)[0], lambda p: resample_ref(p, PERIOD, TIMES)[0]),
    "scatter": (
        lambda p: scattered(p.flatten(1, 2), (6, 4))[1],
        lambda p: scatter_ref(p.flatten(1, 2), (6, 4), PERIOD, TIMES)[1],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_func_transforms_equal_the_reference(name):
    kernel, plain = PAIRS[name]
    points, batch = small()
    func = torch.func

    def loss(call):
        return lambda p: call(p).square().sum()

    assert_close(func.grad(loss(kernel))(points), func.grad(loss(plain))(points))
    ones = torch.ones(1, 6, 4, dtype=F64)
    assert_close(func.vjp(kernel, points)[1](ones)[0], func.vjp(plain, points)[1](ones)[0])
    assert_close(func.jacrev(kernel)(points), func.jacrev(plain, chunk_size=1)(points))
    assert_close(func.vmap(kernel)(batch), torch.stack([plain(p) for p in batch]))
    inner = func.vmap(kernel, in_dims=2)(batch.movedim(0, 2))
    assert_close(inner, torch.stack([plain(p) for p in batch]))
    assert_close(func.vmap(func.grad(loss(kernel)))(batch), torch.stack([func.grad(loss(plain))(p) for p in batch]))
    found = func.grad(lambda b: func.vmap(loss(kernel))(b).sum())(batch)
    assert_close(found, torch.stack([func.grad(loss(plain))(p) for p in batch]))


@pytest.mark.parametrize("name", PAIRS)
def test_missing_derivatives_raise_and_are_never_zero(name):
    call = PAIRS[name][0]
    points, _ = small()

    def loss(p):
        return call(p).square().sum()

    def dual():
        with torch.autograd.forward_ad.dual_level():
            call(torch.autograd.forward_ad.make_dual(points, torch.ones_like(points)))

    def twice(square):
        p = points.clone().requires_grad_()
        value = call(p).square() if square else call(p)
        (g,) = torch.autograd.grad(value.sum(), p, create_graph=True)
        torch.autograd.grad(g.sum(), p)

    for attempt in (
        lambda: torch.func.jvp(call, (points,), (torch.ones_like(points),)),
        lambda: torch.func.jacfwd(call)(points),
        lambda: torch.func.hessian(loss)(points),
        lambda: torch.func.grad(lambda p: torch.func.grad(loss)(p).sum())(points),
        dual,
        lambda: twice(False),
        lambda: twice(True),
    ):
        with pytest.raises(NotImplementedError, match=rf"{name} have first derivatives.*symflow\.ops\.{name}_ref"):
            attempt()
    raw = {
        "resample": lambda p: torch.ops.symflow.resample(p, PERIOD, *TIMES),
        "scatter": lambda p: torch.ops.symflow.scatter(p.flatten(1, 2), 6, 4, PERIOD, *TIMES),
    }[name]
    with pytest.raises(NotImplementedError), torch.autograd.forward_ad.dual_level():
        raw(torch.autograd.forward_ad.make_dual(points, torch.ones_like(points)))


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_compile(name, backend):
    call = PAIRS[name][0]

    def function(p):
        return 2 * call(p).sin()

    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, backend=backend)
    points, batch = small()
    for a, b in zip(value_and_gradient(compiled, points), value_and_gradient(function, points), strict=True):
        assert_close(a, b)
    dynamic = torch.compile(function, fullgraph=True, backend=backend, dynamic=True)
    for B in (1, 2, 3):
        assert_close(dynamic(batch[:B, 0]), function(batch[:B, 0]))
    assert_close(
        torch.compile(torch.func.vmap(call), fullgraph=True, backend=backend)(batch), torch.func.vmap(call)(batch)
    )


@pytest.mark.filterwarnings("ignore")
def test_opcheck():
    ops = torch.ops.symflow
    points, _ = small()
    points[..., 1] = nodes(6, 4)[1]  # every source is found: a NaN would equal nothing
    extent = (PERIOD, *TIMES)
    flat = points.flatten(1, 2)
    values, sources = ops.resample(points, *extent)
    window = window_on(points.device)
    fields = moved_fields(points[0], *extent)
    table = fine_rows(fields)
    for op, arguments in [
        (ops.resample, (points.clone().requires_grad_(), *extent)),
        (ops.resample_backward, (values, points, sources, *extent)),
        (ops.scatter, (flat.clone().requires_grad_(), 6, 4, *extent)),
        (ops.scatter_backward, (torch.ones(1, 2, 6, 4, dtype=F64), flat, *extent)),
        (ops.scatter_spread, (flat[0], window, 6, 4)),
        (ops.scatter_read, (table[:, :2].contiguous(), flat[0], window)),
        (ops.resample_solve, (fields, table, window)),
        (ops.resample_transpose, (values[0], table, window, sources[0])),
    ]:
        torch.library.opcheck(op.default, arguments)
