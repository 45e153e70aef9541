"""Resampling on the GPU, emulated and on the device, against the CPU."""

import pytest
import torch
from torch import Tensor

import symflow
from symflow.ops import _ext
from symflow.ops._fine_rows import fine_rows, in_cells, moved_fields, window_on

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")
F64 = torch.float64
EXTENT = (3.0, 1.0, 3.0)  # the period, the first and the last time
GRIDS = [(6, 1), (7, 17), (9, 12), (6, 401)]


def moved(rows: int, columns: int, B: int = 1) -> Tensor:
    x = (torch.arange(columns, dtype=F64) * (3 / columns)).expand(rows, columns)
    t = torch.linspace(1, 3, rows, dtype=F64)[:, None].expand(rows, columns)
    k = 2 * torch.pi / 3
    trajectories = [
        torch.stack(
            [x + 4 + 0.1 * torch.sin(k * x + t + b), t + 0.3 + 0.1 * torch.cos(k * x + b), torch.sin(k * x) + t], -1
        )
        for b in range(B)
    ]
    return torch.stack(trajectories)


def nans(*shape: int) -> Tensor:
    return torch.full(shape, torch.nan, dtype=F64)


def assert_near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12 * float(expected.nan_to_num().abs().max()))


class Problem:
    """One trajectory on a grid, as the kernels take it, and what they take first."""

    def __init__(self, rows: int, columns: int) -> None:
        self.window = window_on(torch.device("cpu")).contiguous()
        self.grid = (rows, columns, self.window.shape[0], self.window)
        points = moved(rows, columns)[0]
        self.points = in_cells(points.flatten(0, 1), rows, columns, *EXTENT)
        self.fields = moved_fields(points, *EXTENT)
        self.table = fine_rows(self.fields)


@pytest.mark.parametrize(("rows", "columns"), GRIDS)
def test_emulated_scatter(emulated, rows, columns):
    p = Problem(rows, columns)
    e = emulated("resample")
    expected = torch.ops.symflow.scatter_spread(p.points, p.window, rows, columns)
    results = []
    for seed in range(3):
        e.seed(seed)
        results.append(nans(*expected.shape))
        e("scatter_spread", *p.grid, p.points, len(p.points), results[-1])
        assert torch.equal(results[0], results[-1])
    assert_near(results[0], expected)

    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0), dtype=F64)
    found = nans(*p.points.shape)
    e("scatter_read", *p.grid, p.points, len(p.points), direction, found)
    assert_near(found, torch.ops.symflow.scatter_read(direction, p.points, p.window))


def test_emulated_scatter_of_few_and_strange_points(emulated):
    rows, columns = 5, 9
    window = window_on(torch.device("cpu")).contiguous()
    bad = (torch.nan, torch.inf, -torch.inf, 1e300, -3.0, 5.0, -1.0, -0.5, 4.5, 0.0)
    points = torch.tensor([[2.0, b, 1.0] for b in bad] + [[b, 2.0, 1.0] for b in bad[4:]], dtype=F64)
    for some in (points[:0], points[:1], points):
        found = nans(rows, 2, 2 * columns + 16)
        emulated("resample")("scatter_spread", rows, columns, len(window), window, some, len(some), found)
        assert_near(found, torch.ops.symflow.scatter_spread(some, window, rows, columns))
    spoilt = torch.cat([points, torch.tensor([[torch.nan, 2.0, 1.0]], dtype=F64)])
    found = nans(rows, 2, 2 * columns + 16)
    emulated("resample")("scatter_spread", rows, columns, len(window), window, spoilt, len(spoilt), found)
    expected = torch.ops.symflow.scatter_spread(spoilt, window, rows, columns)
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert found.isnan().any()


@pytest.mark.parametrize(("rows", "columns"), GRIDS)
def test_emulated_resample(emulated, rows, columns):
    p = Problem(rows, columns)
    e = emulated("resample")
    values, sources = nans(rows, columns), torch.zeros(rows, columns, 2, dtype=F64)
    e("resample_solve", *p.grid, p.fields, p.table, values, sources)
    expected, expected_sources = torch.ops.symflow.resample_solve(p.fields, p.table, p.window)
    assert_near(values, expected)
    assert torch.equal(sources.isnan(), expected_sources.isnan())
    assert 0 < int(sources.isnan().sum()) < sources.numel()
    assert_near(sources.nan_to_num(), expected_sources.nan_to_num())

    grad = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0), dtype=F64)
    results = []
    for seed in range(2):
        e.seed(seed)
        results.append(nans(*p.table.shape))
        e("resample_transpose", *p.grid, p.table, sources, grad, nans(rows, columns, 3), results[-1])
        assert torch.equal(results[0], results[-1])
    assert_near(results[0], torch.ops.symflow.resample_transpose(grad, p.table, p.window, sources))


# ---- on the device --------------------------------------------------------------------------------------------------


def values_and_gradients(name: str, points: Tensor) -> list[Tensor]:
    points = points.detach().clone().requires_grad_()
    extent = {"period": EXTENT[0], "times": EXTENT[1:]}
    if name == "resample":
        values, support = symflow.resample(points, **extent)
    else:
        values, support = symflow.scatter(points.flatten(1, 2), tuple(points.shape[1:3]), **extent)
        values = values * (support > 0.3)  # apart from what only rounding decides
    direction = torch.randn(values.shape, generator=torch.Generator().manual_seed(0), dtype=F64).to(values)
    (gradient,) = torch.autograd.grad(values, points, direction)
    return [values.detach(), support.detach(), gradient]


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["resample", "scatter"])
@pytest.mark.parametrize(("rows", "columns"), [(7, 17), (37, 193), (140, 256)])
def test_on_the_device(name, rows, columns):
    points = moved(rows, columns, B=3)
    expected = values_and_gradients(name, points)
    found = values_and_gradients(name, points.cuda())
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-10, atol=1e-10)
    for a, b in zip(found, values_and_gradients(name, points.cuda()), strict=True):
        assert torch.equal(a, b)
    single = values_and_gradients(name, points[1:2].cuda())
    assert torch.equal(single[0][0], found[0][1])
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        aside = values_and_gradients(name, points.cuda())
    stream.synchronize()
    for a, b in zip(found, aside, strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["resample", "scatter"])
def test_in_a_graph(name):
    points = moved(20, 64, B=2).cuda()
    static = points.clone()
    with torch.no_grad():

        def call() -> Tensor:
            if name == "resample":
                return symflow.resample(static, period=EXTENT[0], times=EXTENT[1:])[0]
            return symflow.scatter(static.flatten(1, 2), (20, 64), period=EXTENT[0], times=EXTENT[1:])[0]

        call()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = call()
        static.copy_(points.flip(0))
        graph.replay()
        found = result.clone()
        static.copy_(points.flip(0))
        assert torch.equal(found, call())
