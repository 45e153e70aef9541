"""The compiled flow on a grid against its reference in plain torch: values, derivatives, bits, transforms of torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels import assert_close, assert_threads_change_no_bit, assert_transforms_agree
from symflow import Coordinates, GridField, SymbolicField, flow
from symflow.ops import _ext, grid_flow_kernel, grid_flow_ref

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")

# Coordinates and grids of each dimension, periodic and not, with axes of one node.
GRIDS = {
    "line": (Coordinates(("x",)), (7,)),
    "circle": (Coordinates(("x",), periods=(2.0,)), (5,)),
    "plane": (Coordinates(("x", "y")), (5, 9)),
    "torus": (Coordinates(("x", "y"), periods=(2.0, 2.0)), (6, 3)),
    "cylinder": (Coordinates(("x", "y"), periods=(None, 2.0)), (17, 1)),
    "space": (Coordinates(("x", "t", "u"), periods=(2.0, None, None)), (4, 1, 6)),
    "four": (Coordinates(("x", "y", "t", "u"), periods=(2.0, None, None, 2.0)), (3, 4, 2, 5)),
}


def random(*shape, seed, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def problem(grid="plane", K=3, B=2, N=100, dtype=torch.float64, speed=0.2):
    """A random table on [-1, 1]^d, points inside and outside of it."""
    coordinates, sizes = GRIDS[grid]
    d = coordinates.dimension
    values = speed * random(K, *sizes, d, seed=0, dtype=dtype)
    field = GridField(coordinates, values, [-1.0] * d, [1.0] * d)
    points, weights = 0.8 * random(B, N, d, seed=1, dtype=dtype), random(B, K, seed=2, dtype=dtype)
    return field, points.requires_grad_(), weights.requires_grad_()


def value_and_gradients(call, field, points, weights):
    """The end points and the gradients of a random functional of them: points, weights, values."""
    end = call(field, points, weights)
    direction = random(*end.shape, seed=3, dtype=end.dtype)
    return [end.detach(), *torch.autograd.grad(end, [points, weights, field.values], direction)]


def relative(a: Tensor, b: Tensor) -> float:
    """The distance of two tensors relative to the second, in the Euclidean norm."""
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30))


def assert_agrees(field, points, weights, steps=3):
    """Rounding apart, the kernel is the reference."""
    exact = GridField(field.coordinates, field.values.double(), field.lower, field.upper)
    p, w = points.detach().double().requires_grad_(), weights.detach().double().requires_grad_()
    found = value_and_gradients(lambda f, p, w: flow(f, p, w, steps=steps), field, points, weights)
    expected = value_and_gradients(lambda f, p, w: grid_flow_ref(f, p, w, steps), exact, p, w)
    small = points.dtype == torch.float32
    assert relative(found[0], expected[0]) < (1e-6 if small else 1e-14)
    for gradient, exact_gradient in zip(found[1:], expected[1:], strict=True):
        assert relative(gradient, exact_gradient) < (5e-6 if small else 1e-13)


# ---- values and gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grid", GRIDS)
def test_kernel_is_the_reference(isa, grid, dtype):
    assert_agrees(*problem(grid, dtype=dtype))


@pytest.mark.parametrize("N", [1, 17, 37, 193, 2500])
def test_numbers_of_points(isa, N):
    assert_agrees(*problem(N=N))
    assert_agrees(*problem("space", N=N, dtype=torch.float32))


@pytest.mark.parametrize("K", [1, 2, 7, 32])
def test_numbers_of_generators(isa, K):
    assert_agrees(*problem(K=K, speed=0.2 / K**0.5))


def test_rows_of_weights(isa):
    """One-hot, dense, partly zero and zero rows: a zero weight's field moves nothing, but its gradient counts."""
    field, points, _ = problem(K=5, B=5, N=50)
    rows = [[0, 0, 0.7, 0, 0], [0.1, -0.2, 0.3, 0.4, -0.5], [0, 0.5, 0, -0.5, 0], [0] * 5, [-0.0, 0, 0, 0, 1]]
    weights = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    assert_agrees(field, points, weights)
    assert torch.equal(flow(field, points, weights)[3], points[3])


def test_zero_weights_keep_even_the_sign_of_zero(isa):
    field, points, weights = problem(dtype=torch.float32)
    with torch.no_grad():
        points[0, :3] = torch.tensor([-0.0, 0.0])
        end = flow(field, points, torch.zeros_like(weights))
    assert torch.equal(end.signbit(), points.signbit())
    assert torch.equal(end, points)


def test_which_gradients_are_wanted_does_not_matter(isa):
    field, points, weights = problem(N=77)
    expected = value_and_gradients(flow, field, points, weights)
    wanted = [points, weights, field.values]
    for chosen in ([0], [1], [2], [0, 1], [1, 2]):
        for i, t in enumerate(wanted):
            t.requires_grad_(i in chosen)
        end = flow(field, points, weights)
        gradients = torch.autograd.grad(end, [wanted[i] for i in chosen], random(*end.shape, seed=3))
        assert all(torch.equal(g, expected[1 + i]) for i, g in zip(chosen, gradients, strict=True))


@pytest.mark.parametrize("grid", GRIDS)
def test_gradcheck(isa, grid):
    """Points and stages keep away from the nodes, where one-sided derivatives and differences disagree."""
    field, _, weights = problem(grid, K=2, speed=0.01)
    d = field.coordinates.dimension
    places = torch.randint(-1, 3, (2, 4, d), generator=torch.Generator().manual_seed(0))
    fractions = 0.3 + 0.4 * torch.rand(2, 4, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rates = [field.table._rate(a) or 1.0 for a in range(d)]
    points = (torch.tensor(field.lower) + (places + fractions) / torch.tensor(rates)).double()
    box = (field.lower, field.upper, field.coordinates.normalised_periods)
    weights = weights.detach()[:, :2].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, w, v: grid_flow_kernel(p, w, v, *box, 2), (points.requires_grad_(), weights, field.values)
    )


def test_derivatives_on_nodes_are_those_of_the_cell_above(isa):
    """V(z) = |z| tabulated at its kink, and its ends."""
    field = GridField(Coordinates(("x",)), torch.tensor([[[1.0], [0.0], [1.0]]]).double(), (-1.0,), (1.0,))
    points = torch.tensor([[[-2.0], [-1.0], [-0.5], [0.0], [0.5], [1.0], [2.0]]]).double().requires_grad_()
    tiny = torch.tensor([[1e-8]], dtype=torch.float64)
    for call in (flow, lambda f, p, w, steps: grid_flow_ref(f, p, w, steps)):
        (gradient,) = torch.autograd.grad(call(field, points, tiny, steps=1).sum(), points)
        assert ((gradient[0, :, 0] - 1) / tiny).round().flatten().tolist() == [0, -1, -1, 1, 1, 0, 0]


def test_inputs_need_not_be_contiguous(isa):
    field, points, weights = problem(N=31)
    flipped = points.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    wide = torch.stack([weights, weights], -1).detach()[..., 0].requires_grad_()
    assert not flipped.is_contiguous()
    assert not wide.is_contiguous()
    pairs = (value_and_gradients(flow, field, points, weights), value_and_gradients(flow, field, flipped, wide))
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))


@pytest.mark.parametrize(("B", "N"), [(0, 5), (2, 0), (0, 0)])
def test_empty(isa, B, N):
    field, points, weights = problem(B=B, N=N)
    end, *gradients = value_and_gradients(flow, field, points, weights)
    assert end.shape == (B, N, 2)
    assert all(g.shape == t.shape for g, t in zip(gradients, [points, weights, field.values], strict=True))
    assert all(not g.any() for g in gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_not_finite_stays_so(isa, dtype):
    """NaN taints its point and no other; infinity stays, and beyond the box the field is that of the edge."""
    field, points, weights = problem(N=40, dtype=dtype)
    with torch.no_grad():
        expected = flow(field, points, weights)
        points[0, 0, 0] = torch.nan
        points[0, 1, 1] = torch.inf
        points[0, 2] = torch.tensor([-torch.inf, torch.finfo(dtype).max])
        end = flow(field, points, weights)
        assert torch.equal(end[0, 3:], expected[0, 3:])
        assert end[0, 0].isnan().all()
        assert end[0, 1, 1] == torch.inf
        assert end[0, 1, 0].isfinite()
        assert torch.equal(end[0, 2], points[0, 2])
        torch.testing.assert_close(end[0, 1], grid_flow_ref(field, points[:1, 1:2], weights[:1])[0, 0])
        weights[1, 0] = torch.nan
        assert flow(field, points, weights)[1].isnan().all()
        ring, points, weights = problem("circle", N=5, dtype=dtype)
        points[0, 0] = torch.inf
        assert flow(ring, points, weights)[0, 0].isnan()
        assert flow(ring, points, weights)[0, 1:].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_away_places_are_in_the_table(isa, dtype):
    """No place, however large, is looked up outside the table."""
    largest = torch.finfo(dtype).max
    places = [largest, -largest, 1e30, -1e30, 1e9, -1e9, 123456.7, -1e-30, 1e-30, 2.0, 4.0, -2.0, torch.inf]
    for grid in ("circle", "torus", "line"):
        field, _, weights = problem(grid, B=1, dtype=dtype)
        d = field.coordinates.dimension
        points = torch.tensor(places, dtype=dtype)[None, :, None].expand(1, -1, d)
        step = flow(field, points, 1e-3 * weights, steps=1) - points
        bound = 1e-3 * field.values.detach().abs().amax() * weights.abs().sum() * 1.001
        near = points.abs() < 10
        assert (step[near].abs() < bound + torch.finfo(dtype).eps * 10).all()
        if grid == "line":
            assert torch.equal(step[:, :-1].isfinite(), torch.ones_like(near[:, :-1]))


# ---- laws -----------------------------------------------------------------------------------------------------------


def test_linear_fields_are_tabulated_exactly(isa):
    """Multilinear interpolation reproduces a rotation: the flow keeps radii and turns by the angle."""
    rotation = SymbolicField(Coordinates(("x", "y")), [{"dx": "-y", "dy": "x"}])
    field = GridField.tabulate(rotation, (17, 17), (-2.0, -2.0), (2.0, 2.0)).double()
    points = random(1, 50, 2, seed=0).clamp(-1.3, 1.3)
    angle = torch.tensor([[0.7]], dtype=torch.float64)
    c, s = angle.cos().item(), angle.sin().item()
    expected = points @ torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    torch.testing.assert_close(flow(field, points, angle, steps=64), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(flow(field, points, angle), flow(rotation, points, angle), rtol=0, atol=1e-14)


def test_periodic_images_move_alike(isa):
    field, points, weights = problem("torus")
    for shift in ([2.0, 0.0], [-4.0, 6.0]):
        by = torch.tensor(shift, dtype=torch.float64)
        torch.testing.assert_close(flow(field, points + by, weights) - by, flow(field, points, weights))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_kernel_is_the_reference_for_any_grid(data):
    d = data.draw(st.integers(1, 4))
    periods = data.draw(st.lists(st.sampled_from([None, 2.0]), min_size=d, max_size=d))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=d, max_size=d))
    K, N = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 70))
    coordinates = Coordinates(tuple("xyzt"[:d]), periods=periods)
    values = 0.2 * random(K, *sizes, d, seed=data.draw(st.integers(0, 99)))
    field = GridField(coordinates, values, [-1.0] * d, [1.0] * d)
    points, weights = random(1, N, d, seed=5).requires_grad_(), random(1, K, seed=6).requires_grad_()
    assert_agrees(field, points, weights, data.draw(st.integers(1, 5)))


# ---- bits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grid", ["plane", "space"])
def test_a_point_does_not_know_its_company(isa, grid, dtype):
    """Bit for bit: end point and gradient are those of the point alone, wherever it stands."""
    field, points, weights = problem(grid, B=3, N=211, dtype=dtype)
    end, gradient = value_and_gradients(flow, field, points, weights)[:2]
    direction = random(*end.shape, seed=3, dtype=dtype)
    order = torch.randperm(211, generator=torch.Generator().manual_seed(2))
    subsets = [order, order[:1], order[:50], torch.arange(7, 103), torch.arange(210, 211)]
    for rows in ([0, 1, 2], [2], [1, 0]):
        for chosen in subsets:
            p = points.detach()[rows][:, chosen].requires_grad_()
            found = flow(field, p, weights.detach()[rows])
            assert torch.equal(found, end[rows][:, chosen])
            (g,) = torch.autograd.grad(found, p, direction[rows][:, chosen])
            assert torch.equal(g, gradient[rows][:, chosen])


@pytest.mark.determinism
def test_threads_change_no_bit(isa):
    field, points, weights = problem(B=3, N=3000, dtype=torch.float32)
    assert_threads_change_no_bit(lambda: value_and_gradients(flow, field, points, weights))


# ---- torch's transforms ---------------------------------------------------------------------------------------------


def small(B=2, N=5):
    field, points, weights = problem(K=2, B=B, N=N)
    return field, points.detach(), weights.detach()


def test_func_transforms_equal_the_reference():
    field, points, weights = small()

    def kernel(p, w):
        return flow(field, p, w, steps=2)

    def plain(p, w):
        return grid_flow_ref(field, p, w, 2)

    assert_transforms_agree(kernel, plain, points, weights)

    def jacobian(call):
        return torch.autograd.functional.jacobian(call, (points, weights), vectorize=True)

    assert_close(jacobian(kernel), jacobian(plain))


def test_missing_derivatives_raise_and_are_never_zero():
    field, points, weights = small()

    def call(p, w=weights):
        return flow(field, p, w, steps=2)

    def loss(p):
        return call(p).square().sum()

    def dual():
        with torch.autograd.forward_ad.dual_level():
            call(torch.autograd.forward_ad.make_dual(points, torch.ones_like(points)))

    def twice(value, first, second):
        (g,) = torch.autograd.grad(value, first, create_graph=True)
        torch.autograd.grad(g.sum(), second)

    p, w = points.clone().requires_grad_(), weights.clone().requires_grad_()
    ones = torch.ones_like(points)
    attempts = [
        lambda: torch.func.jvp(call, (points,), (ones,)),
        lambda: torch.func.jvp(lambda w: call(points, w), (weights,), (torch.ones_like(weights),)),
        lambda: torch.func.jacfwd(call)(points),
        lambda: torch.func.hessian(loss)(points),
        lambda: torch.func.grad(lambda p: torch.func.grad(loss)(p).sum())(points),
        dual,
        lambda: twice(call(p).sum(), p, p),
        lambda: twice(call(points, w).sum(), w, field.values),
        lambda: twice(call(p, w).sum(), p, w),
    ]
    for attempt in attempts:
        with pytest.raises(NotImplementedError, match=r"first derivatives by reverse mode only.*grid_flow_ref"):
            attempt()
    box = ([-1.0, -1.0], [1.0, 1.0], [0.0, 0.0])
    values = field.values.detach()
    with pytest.raises(NotImplementedError), torch.autograd.forward_ad.dual_level():
        torch.ops.symflow.grid_flow(torch.autograd.forward_ad.make_dual(points, ones), weights, values, *box, 2, True)


def test_reference_has_all_derivatives():
    """What the kernel's refusal promises."""
    field, points, weights = small(B=1, N=2)

    def loss(p):
        return grid_flow_ref(field, p, weights[:1], 2).square().sum()

    forward_over_reverse = torch.func.hessian(loss)(points)
    assert_close(forward_over_reverse, torch.func.jacrev(torch.func.jacrev(loss))(points))
    assert torch.autograd.gradgradcheck(loss, points.requires_grad_())


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_compile(backend):
    field, points, weights = problem(N=9)

    def call(f, p, w):
        return 2 * flow(f, p, w, steps=2).sin()

    compiled = torch.compile(call, fullgraph=True, backend=backend)
    for a, b in zip(
        value_and_gradients(compiled, field, points, weights),
        value_and_gradients(call, field, points, weights),
        strict=True,
    ):
        assert_close(a, b)
    with torch.no_grad():
        assert_close(compiled(field, points, weights), call(field, points, weights))
    dynamic = torch.compile(call, fullgraph=True, backend=backend, dynamic=True)
    for n in (3, 7, 20):
        _, points, weights = problem(N=n)
        assert_close(dynamic(field, points, weights), call(field, points, weights))


@pytest.mark.filterwarnings("ignore")
def test_opcheck():
    field, points, weights = small()
    box = ([-1.0, -1.0], [1.0, 1.0], [0.0, 0.0])
    values, states = field.values.detach(), torch.stack([points, points + 1])
    for grad in (False, True):
        for save in (False, True):
            arguments = (points.clone().requires_grad_(grad), weights, values, *box, 2, save)
            torch.library.opcheck(torch.ops.symflow.grid_flow.default, arguments)
    for wanted in (False, True):
        arguments = (points, states, weights, values, *box, wanted, wanted)
        torch.library.opcheck(torch.ops.symflow.grid_flow_backward.default, arguments)


def test_operators_check_their_arguments():
    field, points, weights = small()
    values = field.values.detach()

    def call(points=points, weights=weights, values=values, ends=2 * [1.0], periods=2 * [0.0], steps=2):
        torch.ops.symflow.grid_flow(points, weights, values, [-1.0, -1.0], ends, periods, steps, False)

    for change, message in [
        ({"points": points[0]}, r"`points` must have shape \[B, N, d\]"),
        ({"points": points.half()}, "`points` must be float32 or float64"),
        ({"points": points.float()}, "`values` must have the dtype of `points`"),
        ({"points": points[:1]}, r"`points` must have shape \[2, 5, 2\], got \[1, 5, 2\]"),
        ({"points": points.transpose(1, 2).contiguous().transpose(1, 2)}, "`points` must be contiguous"),
        ({"weights": weights[:, :1].contiguous()}, r"`weights` must have shape \[2, 2\], got \[2, 1\]"),
        ({"weights": weights[0]}, r"`weights` must have shape \[B, K\]"),
        ({"values": values[..., :1]}, r"`values` must have shape \[K, n_1, ..., n_d, d\]"),
        ({"values": torch.zeros(2, 0, 9, 2).double()}, "`values` must have at least one node on every axis"),
        ({"values": torch.zeros(2, 1, 1, 2).double().expand(2, 2**15, 2**16, 2)}, "`values` has too many nodes"),
        ({"ends": [1.0]}, "must have one entry per coordinate"),
        ({"periods": [1.0]}, "must have one entry per coordinate"),
        ({"ends": [1.0, -1.0]}, "`upper` must be above `lower` on every axis"),
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call(**change)
