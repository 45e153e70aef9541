"""The compiled flow against its reference in plain torch: values, derivatives, bits, memory, transforms of torch."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels import assert_close, assert_threads_change_no_bit, assert_transforms_agree, printed_kilobytes
from symflow import Coordinates, NeuralField, flow
from symflow.ops import _ext, flow_kernel, flow_ref

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")

# Coordinates of each dimension, periodic and not.
AXES = {
    1: Coordinates(("x",), periods=(1.0,)),
    2: Coordinates(("x", "y"), periods=(None, None)),
    3: Coordinates(("x", "t", "u"), periods=(2.0, None, None)),
    4: Coordinates(("x", "y", "t", "u"), periods=(1.0, 0.5, None, None)),
}
CLOSED = Coordinates(("x", "y", "t", "u"), periods=(1.0, 2.0, 0.5, 4.0))  # every axis periodic


def problem(coordinates=AXES[3], K=4, W=64, H=32, B=2, N=100, dtype=torch.float64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    field = NeuralField(coordinates, K, width=W, head_width=H, seed=seed).to(dtype)
    points = torch.randn(B, N, coordinates.dimension, generator=rng, dtype=torch.float64).to(dtype)
    weights = torch.randn(B, K, generator=rng, dtype=torch.float64).to(dtype)
    return field, points.requires_grad_(), weights.requires_grad_()


def value_and_gradients(call, field, points, weights, seed=1):
    """The end points and the gradients of a random functional of them: points, weights, eight parameters."""
    end = call(field, points, weights)
    direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(end)
    return [end.detach(), *torch.autograd.grad(end, [points, weights, *field.layers], direction)]


def relative(a: Tensor, b: Tensor) -> float:
    """The distance of two tensors relative to the second, in the Euclidean norm."""
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30))


def reference(field, points, weights, steps):
    """`flow_ref` and its gradients in float64."""
    exact = NeuralField(field.coordinates, field.generators, *field.head_weight.shape[:0:-1]).double()
    exact.load_state_dict(field.state_dict())
    exact.requires_grad_()
    p, w = points.detach().double().requires_grad_(), weights.detach().double().requires_grad_()
    return value_and_gradients(lambda f, p, w: flow_ref(f, p, w, steps), exact, p, w)


def assert_agrees(field, points, weights, steps=4):
    """Rounding apart, the kernel is the reference. In float32 the end points' errors count against the displacement or
    the size of the points, whichever rounding acts on; the bounds are a few times the rounding unit 6e-8."""
    found = value_and_gradients(lambda f, p, w: flow(f, p, w, steps=steps), field, points, weights)
    expected = reference(field, points, weights, steps)
    small = points.dtype == torch.float32
    assert relative(found[0], expected[0]) < (1e-7 if small else 1e-15)
    assert relative(found[1], expected[1]) < (3e-7 if small else 2e-15)
    for gradient, exact in zip(found[2:], expected[2:], strict=True):
        assert relative(gradient, exact) < (1e-6 if small else 1e-14)


# ---- values and gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("W", "H", "N"), [(64, 32, 193), (37, 5, 1), (37, 5, 17), (37, 5, 1000), (130, 33, 49)])
def test_kernel_is_the_reference(isa, W, H, N, dtype):
    assert_agrees(*problem(W=W, H=H, N=N, dtype=dtype))


def test_smallest_network(isa):
    assert_agrees(*problem(W=1, H=1, K=1, N=100))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("coordinates", [*AXES.values(), CLOSED], ids=lambda c: f"d{c.dimension}")
def test_dimensions_and_periods(isa, coordinates, dtype):
    assert_agrees(*problem(coordinates, W=32, N=101, dtype=dtype))


@pytest.mark.parametrize("K", [1, 2, 7, 32])
def test_numbers_of_generators(isa, K):
    assert_agrees(*problem(K=K, W=32, H=8, dtype=torch.float32))


@pytest.mark.parametrize("W", [32, 256])
def test_widths(isa, W):
    assert_agrees(*problem(W=W, B=1, N=100, dtype=torch.float32), steps=2)


def test_rows_of_weights(isa):
    """One-hot, dense, partly zero and zero rows: a zero weight's head moves nothing, but its gradient counts."""
    field, points, _ = problem(K=5, B=5, N=50)
    rows = [[0, 0, 0.7, 0, 0], [0.1, -0.2, 0.3, 0.4, -0.5], [0, 0.5, 0, -0.5, 0], [0] * 5, [-0.0, 0, 0, 0, 1]]
    weights = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    assert_agrees(field, points, weights)
    assert torch.equal(flow(field, points, weights)[3], points[3])


def test_which_gradients_are_wanted_does_not_matter(isa):
    field, points, weights = problem(dtype=torch.float32, N=77)
    expected = value_and_gradients(flow, field, points, weights)
    wanted = [points, weights, *field.layers]
    for chosen in ([0], [1], [0, 1], [4], [1, 9], [0, 7]):
        for i, t in enumerate(wanted):
            t.requires_grad_(i in chosen)
        end = flow(field, points, weights)
        direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).float()
        gradients = torch.autograd.grad(end, [wanted[i] for i in chosen], direction)
        assert torch.equal(end, expected[0])
        for i, g in zip(chosen, gradients, strict=True):
            # Weights' gradients evaluate more heads, in another order.
            assert relative(g, expected[1 + i]) < 1e-6


@pytest.mark.parametrize("coordinates", [AXES[3], AXES[2], CLOSED], ids=["mixed", "open", "closed"])
def test_gradcheck(isa, coordinates):
    field, points, weights = problem(coordinates, K=2, W=6, H=3, B=2, N=3)

    def call(points, weights, *layers):
        return flow_kernel(points, weights, layers, coordinates.normalised_periods, 2)

    assert torch.autograd.gradcheck(call, (points, weights, *field.layers), fast_mode=False)


def test_inputs_need_not_be_contiguous(isa):
    field, points, weights = problem(N=31)
    flipped = points.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    wide = torch.stack([weights, weights], -1).detach()[..., 0].requires_grad_()
    assert not flipped.is_contiguous()
    assert not wide.is_contiguous()
    for a, b in zip(
        value_and_gradients(flow, field, points, weights), value_and_gradients(flow, field, flipped, wide), strict=True
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("B", "N"), [(0, 5), (2, 0), (0, 0)])
def test_empty(isa, B, N):
    field, points, weights = problem(B=B, N=N)
    end, *gradients = value_and_gradients(flow, field, points, weights)
    assert end.shape == (B, N, 3)
    assert all(g.shape == t.shape for g, t in zip(gradients, [points, weights, *field.layers], strict=True))
    assert all(not g.any() for g in gradients)


def test_not_finite_stays_so(isa):
    """A point that is not finite taints all its coordinates, as in the reference, and no other point."""
    field, points, weights = problem(N=40, dtype=torch.float32)
    with torch.no_grad():
        expected = flow(field, points, weights)
        for i, bad in enumerate((torch.nan, torch.inf, -torch.inf)):
            for j in range(3):
                points[0, 3 * i + j, j] = bad
        end = flow(field, points, weights)
        assert torch.equal(end[0, 9:], expected[0, 9:])
        assert torch.equal(end[1], expected[1])
        assert not end[0, :9].isfinite().all(-1).any()
        # A periodic coordinate at infinity or NaN has no direction to point in.
        for p in (0, 3, 6):
            assert end[0, p].isnan().all()
        weights[1, 0] = torch.nan
        assert flow(field, points, weights)[1].isnan().all()


# ---- the elementary functions ---------------------------------------------------------------------------------------


def units(found: Tensor, exact: np.ndarray, floor: float = 0.0) -> float:
    """The largest error in units of the last place of the exact value, or of `floor` where that is larger."""
    dtype = found.numpy().dtype
    scale = np.maximum(np.abs(exact), max(floor, float(np.finfo(dtype).tiny)))
    unit = np.exp2(np.floor(np.log2(scale)) - np.finfo(dtype).nmant)
    return float(np.max(np.abs(found.numpy().astype(np.longdouble) - exact) / unit))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_silu_and_turn_to_a_few_units(isa, dtype):
    if np.finfo(np.longdouble).nmant < 60:
        pytest.skip("needs numpy's extended precision as the exact value")
    limit = 85.0 if dtype == torch.float32 else 700.0  # where e^x is a normal number with a margin
    rng = torch.Generator().manual_seed(0)
    x = torch.cat(
        [
            torch.linspace(-limit, limit, 200_001, dtype=torch.float64),
            torch.randn(100_000, generator=rng, dtype=torch.float64),
            torch.logspace(-30, 1, 5_000, dtype=torch.float64),
            -torch.logspace(-30, 1, 5_000, dtype=torch.float64),
        ]
    ).to(dtype)
    silu, derivative, cos, sin = torch.ops.symflow.elementary(x)
    exact = x.numpy().astype(np.longdouble)
    sigmoid = 1 / (1 + np.exp(-exact))
    assert units(silu, exact * sigmoid) < 4
    # The derivative vanishes at -1.28 by cancellation: there in units of 0.5.
    assert units(derivative, sigmoid + exact * sigmoid * (1 - sigmoid), floor=0.5) < 4
    turns = exact - np.rint(exact)
    angle = turns * (8 * np.arctan(np.longdouble(1)))
    assert units(cos, np.cos(angle), floor=0.5) < 2
    assert units(sin, np.sin(angle), floor=0.5) < 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sine_is_accurate_near_its_zeros(isa, dtype):
    """Relative accuracy for small angles, and the quarter turns are exact."""
    x = torch.logspace(-20, -3, 10_001, dtype=torch.float64).to(dtype)
    exact = np.sin(x.numpy().astype(np.longdouble) * (8 * np.arctan(np.longdouble(1))))
    assert units(torch.ops.symflow.elementary(x)[3], exact) < 2
    quarters = torch.arange(-8, 9, dtype=dtype) / 4
    _, _, cos, sin = torch.ops.symflow.elementary(quarters)
    assert torch.equal(cos, torch.tensor([1.0, 0, -1, 0], dtype=dtype).repeat(5)[:17])
    assert torch.equal(sin, torch.tensor([0.0, 1, 0, -1], dtype=dtype).repeat(5)[:17])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_elementary_extremes(isa, dtype):
    largest = torch.finfo(dtype).max
    x = torch.tensor([largest, -largest, 1e4, -1e4, torch.inf, torch.nan, 0.0, -0.0, 1e-30, -torch.inf], dtype=dtype)
    silu, derivative, cos, sin = torch.ops.symflow.elementary(x)
    assert torch.equal(silu[[0, 2, 4, 6, 8]], torch.stack([x[0], x[2], x[4], x[6], x[8] / 2]))
    assert (silu[[1, 3, 7, 9]].abs() < 1e-30).all()
    assert derivative[[0, 2, 4]].tolist() == [1, 1, 1]
    assert (derivative[[1, 3, 9]].abs() < 1e-30).all()
    assert derivative[[6, 7, 8]].tolist() == [0.5, 0.5, 0.5]
    for t in (silu, derivative, cos, sin):
        assert t[5].isnan()
    for t in (cos, sin):
        assert t[[4, 9]].isnan().all()
        assert (t[[0, 1, 2, 3, 6, 7, 8]].abs() <= 1).all()


# ---- bits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_point_does_not_know_its_company(isa, dtype):
    """Bit for bit: end point and gradient are those of the point alone, wherever it stands."""
    field, points, weights = problem(K=3, W=40, H=9, B=3, N=211, dtype=dtype)
    end, gradient = value_and_gradients(flow, field, points, weights)[:2]
    direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    order = torch.randperm(211, generator=torch.Generator().manual_seed(2))
    subsets = [order, order[:1], order[:50], torch.arange(7, 103), torch.arange(210, 211)]
    for rows in ([0, 1, 2], [2], [1, 0]):
        for chosen in subsets:
            p = points.detach()[rows][:, chosen].requires_grad_()
            found = flow(field, p, weights.detach()[rows])
            assert torch.equal(found, end[rows][:, chosen])
            (g,) = torch.autograd.grad(found, p, direction[rows][:, chosen])
            assert torch.equal(g, gradient[rows][:, chosen])


def test_periodic_shifts_change_no_bit(isa):
    """Points that a whole number of periods separates, exactly in floating point, see the very same field."""
    coordinates = Coordinates(("x", "t", "u"), periods=(0.5, None, None))
    field, points, weights = problem(coordinates, N=64, dtype=torch.float32)
    with torch.no_grad():
        field.out_weight[:, 0] = 0  # nothing moves along x, where sums would round
        field.out_bias[:, 0] = 0
        points.mul_(64).round_().div_(256)  # on a grid, where sums with periods are exact
        ends = [flow(field, points + torch.tensor([n * 0.5, 0, 0]), weights) for n in (0, 7, -4, 1000)]
    for end in ends[1:]:
        assert torch.equal(end[..., 1:], ends[0][..., 1:])


@pytest.mark.determinism
def test_threads_change_no_bit(isa):
    field, points, weights = problem(B=3, N=1000, dtype=torch.float32)
    assert_threads_change_no_bit(lambda: value_and_gradients(flow, field, points, weights))


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("W", [64, 256])
def test_memory_is_the_states(W):
    """Forward and backward need the states, the points and gradients that torch holds anyway, and at most 8 MB."""
    N, d, steps = 16_384, 3, 4
    script = f"""
        import torch, symflow

        def kilobytes(key):
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

        field = symflow.NeuralField(symflow.Coordinates(("x", "t", "u"), periods=(1.0, None, None)), 4, width={W})
        weights = torch.tensor([[1.0, 0.0, 0.0, 0.0]], requires_grad=True)

        def run(n):
            points = torch.rand(1, n, {d})
            points.requires_grad_()
            symflow.flow(field, points, weights, steps={steps}).backward(torch.ones(1, n, {d}))

        run(64)
        run(64)
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")  # forget the peak so far
        before = kilobytes("VmRSS")
        run({N})
        print(kilobytes("VmHWM") - before)
    """
    done = printed_kilobytes(script)
    array = N * d * 4 / 2**20
    # Points, end points, their gradients, and the states.
    assert done / 1024 < (4 + steps) * array + 8


# ---- torch's transforms ---------------------------------------------------------------------------------------------


def small(B=2, N=5):
    field, points, weights = problem(AXES[2], K=2, W=8, H=4, B=B, N=N)
    return field, points.detach(), weights.detach()


def test_func_transforms_equal_the_reference():
    field, points, weights = small()

    def kernel(p, w):
        return flow(field, p, w, steps=2)

    def plain(p, w):
        return flow_ref(field, p, w, 2)

    assert_transforms_agree(kernel, plain, points, weights)

    def jacobian(call):
        return torch.autograd.functional.jacobian(call, (points, weights), vectorize=True)

    assert_close(jacobian(kernel), jacobian(plain))


def test_func_on_parameters_and_ensembles():
    class Loss(torch.nn.Module):
        def __init__(self, call):
            super().__init__()
            self.field, self.call = field, call

        def forward(self, points, weights):
            return self.call(self.field, points, weights).square().sum()

    field, points, weights = small()
    parameters = {f"field.{name}": p.detach() for name, p in field.named_parameters()}

    def gradient(call):
        return torch.func.grad(lambda p: torch.func.functional_call(Loss(call), p, (points, weights)))

    assert_close(gradient(flow)(parameters), gradient(flow_ref)(parameters))
    ensemble = {name: torch.stack([p, 1.5 * p]) for name, p in parameters.items()}
    assert_close(torch.func.vmap(gradient(flow))(ensemble), torch.func.vmap(gradient(flow_ref))(ensemble))


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

    p, w, parameter = points.clone().requires_grad_(), weights.clone().requires_grad_(), field.trunk1_weight
    ones = torch.ones_like(points)
    attempts = [
        lambda: torch.func.jvp(call, (points,), (ones,)),
        lambda: torch.func.jvp(lambda w: call(points, w), (weights,), (torch.ones_like(weights),)),
        lambda: torch.func.jacfwd(call)(points),
        lambda: torch.func.hessian(loss)(points),
        lambda: torch.func.jacrev(torch.func.jacrev(loss))(points),
        lambda: torch.func.grad(lambda p: torch.func.grad(loss)(p).sum())(points),
        dual,
        lambda: twice(call(p).sum(), p, p),  # the first gradient does not contain p as an argument
        lambda: twice(call(p).square().sum(), p, p),
        lambda: twice(call(points, w).sum(), w, parameter),
        lambda: twice(call(p, w).sum(), p, w),
    ]
    for attempt in attempts:
        with pytest.raises(NotImplementedError, match=r"first derivatives by reverse mode only.*flow_ref"):
            attempt()
    # Raw operators too, as torch.compile sees them.
    arguments = (weights, *[t.detach() for t in field.layers], [0.0, 0.0], 2, True, False)
    with pytest.raises(NotImplementedError), torch.autograd.forward_ad.dual_level():
        torch.ops.symflow.flow(torch.autograd.forward_ad.make_dual(points, ones), *arguments)


def test_reference_has_all_derivatives():
    """What the kernel's refusal promises."""
    field, points, weights = small(B=1, N=2)

    def loss(p):
        return flow_ref(field, p, weights[:1], 2).square().sum()

    forward_over_reverse = torch.func.hessian(loss)(points)
    reverse_over_reverse = torch.func.jacrev(torch.func.jacrev(loss))(points)
    assert_close(forward_over_reverse, reverse_over_reverse)
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
def test_compiled_transforms_are_right_or_raise():
    field, points, weights = small()

    def call(p):
        return flow(field, p, weights, steps=2)

    def run(function):
        torch._dynamo.reset()
        return torch.compile(function, fullgraph=True, backend="aot_eager")(points)

    with pytest.raises(Exception, match=r"."):
        run(lambda p: torch.func.jvp(call, (p,), (torch.ones_like(p),))[1])
    with pytest.raises(Exception, match=r"."):
        run(lambda p: torch.func.grad(lambda p: call(p).sum())(p))
    batch = torch.stack([points, points.flip(1)])
    torch._dynamo.reset()
    found = torch.compile(torch.func.vmap(call), fullgraph=True, backend="aot_eager")(batch)
    assert_close(found, torch.func.vmap(call)(batch))


@pytest.mark.filterwarnings("ignore")
def test_opcheck():
    field, points, weights = small()
    layers = [t.detach() for t in field.layers]
    states = torch.stack([points, points + 1])
    for grad in (False, True):
        for save in (False, True):
            arguments = (points.clone().requires_grad_(grad), weights, *layers, [0.0, 0.0], 2, save, False)
            torch.library.opcheck(torch.ops.symflow.flow.default, arguments)
    for wanted in (False, True):
        arguments = (points, states, weights, *layers, [0.0, 0.0], wanted, wanted, False)
        torch.library.opcheck(torch.ops.symflow.flow_backward.default, arguments)
    torch.library.opcheck(torch.ops.symflow.elementary.default, (points.flatten(),))


# ---- checks of the operators themselves -----------------------------------------------------------------------------


def test_operators_check_their_arguments():
    field, points, weights = small()
    layers = [t.detach() for t in field.layers]

    def call(points=points, weights=weights, layers=layers, periods=(0.0, 0.0), steps=2):
        torch.ops.symflow.flow(points, weights, *layers, list(periods), steps, False, False)

    for change, message in [
        ({"points": points[0]}, r"`points` must have shape \[B, N, d\]"),
        ({"points": points.half()}, "`points` must be float32 or float64"),
        ({"points": torch.zeros(2, 5, 5, dtype=torch.float64)}, "1 to 4 coordinates, got 5"),
        ({"points": points.transpose(1, 2).contiguous().transpose(1, 2)}, "`points` must be contiguous"),
        ({"weights": weights[:1]}, r"`weights` must have shape \[2, 2\], got \[1, 2\]"),
        ({"weights": weights.float()}, "`weights` must have the dtype of the other arguments"),
        ({"periods": (0.0,)}, "`periods` must have one entry per coordinate"),
        ({"periods": (1.0, 0.0)}, r"`trunk0_weight` must have shape \[8, 3\], got \[8, 2\]"),
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
        ({"layers": [*layers[:3], layers[1][:5], *layers[4:]]}, r"`trunk1_bias` must have shape \[8\], got \[5\]"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call(**change)


def test_instruction_sets_are_named():
    with pytest.raises(ValueError, match=r"`name` must be one of baseline.*, got 'mmx'"):
        _ext._C.select_isa("mmx")
    info = _ext.build_info()
    assert info["isa"] in info["available_isas"]
    assert set(info["available_isas"]) <= set(info["compiled_isas"])
