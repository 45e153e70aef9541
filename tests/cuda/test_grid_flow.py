"""The GPU's flow on a grid, emulated, against the reference in plain torch; and on a device against the CPU."""

import pytest
import torch

from symflow import Coordinates, GridField, flow
from symflow.ops import grid_flow_ref

GRIDS = {
    "line": (Coordinates(("x",)), (7,)),
    "circle": (Coordinates(("x",), periods=(2.0,)), (5,)),
    "plane": (Coordinates(("x", "y")), (5, 9)),
    "torus": (Coordinates(("x", "y"), periods=(2.0, 2.0)), (6, 1)),
    "space": (Coordinates(("x", "t", "u"), periods=(2.0, None, None)), (4, 1, 6)),
}


def random(*shape, seed, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def problem(grid="plane", K=3, B=2, N=37, dtype=torch.float64, sizes=None):
    coordinates, default = GRIDS[grid]
    d = coordinates.dimension
    values = 0.2 * random(K, *(sizes or default), d, seed=0, dtype=dtype)
    field = GridField(coordinates, values, [-1.0] * d, [1.0] * d)
    points, weights = 0.8 * random(B, N, d, seed=1, dtype=dtype), random(B, K, seed=2, dtype=dtype)
    return field, points.requires_grad_(), weights.requires_grad_()


def run(emulated, field, points, weights, steps, wanted=(True, True)):
    """End points and gradients of a random functional by the emulated kernels; None where not wanted."""
    B, N, d = points.shape
    K, *nodes, _ = field.values.shape
    name = "float" if points.dtype == torch.float32 else "double"
    box = []
    for axis, count in enumerate(nodes):
        box += [float(count), field.lower[axis], field.upper[axis], float(field.coordinates.periods[axis] is not None)]
    sizes = (B, N, d, K, steps, box, weights.detach(), field.values.detach())
    end = torch.full_like(points.detach(), torch.nan)
    states = torch.full((steps, B, N, d), torch.nan, dtype=points.dtype)
    emulated(f"forward_{name}", *sizes, points.detach(), end, states)
    direction = random(B, N, d, seed=3, dtype=points.dtype)
    gradients = [torch.full_like(t.detach(), torch.nan) for t in (points, weights, field.values)]
    pointers = [g if w else None for g, w in zip(gradients[1:], wanted, strict=True)]
    emulated(f"backward_{name}", *sizes, direction, states, gradients[0], *pointers)
    return [end, gradients[0], *pointers]


def expected(field, points, weights, steps):
    exact = GridField(field.coordinates, field.values.double(), field.lower, field.upper)
    p, w = points.detach().double().requires_grad_(), weights.detach().double().requires_grad_()
    end = grid_flow_ref(exact, p, w, steps)
    direction = random(*points.shape, seed=3, dtype=points.dtype).double()
    return [end.detach(), *torch.autograd.grad(end, [p, w, exact.values], direction)]


def assert_agrees(found, exact, dtype):
    for i, (a, b) in enumerate(zip(found, exact, strict=True)):
        if a is not None:
            error = float((a.double() - b).norm() / b.norm().clamp_min(1e-30))
            assert error < ((1e-6, 5e-6) if dtype == torch.float32 else (1e-14, 1e-13))[i > 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grid", GRIDS)
def test_emulated(emulated, grid, dtype):
    arguments = problem(grid, dtype=dtype)
    assert_agrees(run(emulated("grid_flow"), *arguments, 3), expected(*arguments, 3), dtype)


@pytest.mark.parametrize("N", [1, 17, 32, 193, 300])
def test_numbers_of_points(emulated, N):
    """Parts of a warp, and rows of more than one chunk."""
    arguments = problem(N=N, B=3)
    assert_agrees(run(emulated("grid_flow"), *arguments, 2), expected(*arguments, 2), torch.float64)


def test_tables_beyond_shared_memory(emulated):
    arguments = problem("space", N=33, B=1, K=1, sizes=(13, 11, 12))
    assert_agrees(run(emulated("grid_flow"), *arguments, 1), expected(*arguments, 1), torch.float64)


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
def test_which_gradients_are_wanted_does_not_matter(emulated, wanted):
    arguments = problem()
    everything = run(emulated("grid_flow"), *arguments, 2)
    found = run(emulated("grid_flow"), *arguments, 2, wanted)
    assert all(a is None or torch.equal(a, b) for a, b in zip(found, everything, strict=True))


def test_zero_weights_and_points_that_are_not_finite(emulated):
    field, points, weights = problem(N=40)
    with torch.no_grad():
        weights[1] = 0
        points[1, 0] = -0.0
        points[0, 0, 0] = torch.nan
        points[0, 1, 1] = torch.inf
    end, *gradients = run(emulated("grid_flow"), field, points, weights, 2)
    assert torch.equal(end[1], points[1])
    assert end[1, 0].signbit().all()
    assert end[0, 0].isnan().all()
    assert end[0, 1, 1] == torch.inf
    assert end[0, 2:].isfinite().all()
    assert gradients[0][:, 2:].isfinite().all()


def test_the_order_of_threads_changes_no_bit(emulated):
    e = emulated("grid_flow")
    arguments = problem(N=300, dtype=torch.float32)
    results = []
    for seed in (0, 1, 2):
        e.seed(seed)
        results.append(run(e, *arguments, 2))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize(("B", "N"), [(0, 5), (2, 0)])
def test_empty(emulated, B, N):
    found = run(emulated("grid_flow"), *problem(B=B, N=N), 2)
    assert all(not g.nan_to_num(0).any() for g in found)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grid", GRIDS)
def test_on_the_device(grid, dtype):
    """Against the CPU; two runs give the same bits, on another stream too, and a graph replays the call."""
    field, points, weights = problem(grid, B=5, N=1000, dtype=dtype)
    direction = random(*points.shape, seed=3, dtype=dtype).cuda()
    there = GridField(field.coordinates, field.values, field.lower, field.upper).cuda()
    p, w = points.detach().cuda().requires_grad_(), weights.detach().cuda().requires_grad_()

    def both():
        end = flow(there, p, w, steps=3)
        return [end.detach(), *torch.autograd.grad(end, [p, w, there.values], direction)]

    found, again = both(), both()
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    assert_agrees([t.cpu() for t in found], expected(field, points, weights, 3), dtype)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        aside = both()
    torch.cuda.current_stream().wait_stream(stream)
    assert all(torch.equal(a, b) for a, b in zip(found, aside, strict=True))
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        end = flow(there, p, w, steps=3)
    graph.replay()
    assert torch.equal(end, found[0])
