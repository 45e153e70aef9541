"""The flow's kernels for GPUs against the reference: emulated, and on a device where there is one."""

import pytest
import torch
from torch import Tensor

from symflow import Coordinates, NeuralField, flow
from symflow.ops import flow_ref
from symflow.ops.flow import _tf32_allowed

AXES = {
    1: Coordinates(("x",), periods=(1.0,)),
    2: Coordinates(("x", "y"), periods=(None, None)),
    3: Coordinates(("x", "t", "u"), periods=(2.0, None, None)),
    4: Coordinates(("x", "y", "t", "u"), periods=(1.0, 2.0, 0.5, 4.0)),
}


def problem(d=3, K=2, W=37, H=5, B=2, N=17, dtype=torch.float32, seed=0, weights=None):
    rng = torch.Generator().manual_seed(seed)
    field = NeuralField(AXES[d], K, width=W, head_width=H, seed=seed).to(dtype)
    points = torch.randn(B, N, d, generator=rng, dtype=torch.float64).to(dtype)
    if weights is None:
        weights = torch.randn(B, K, generator=rng, dtype=torch.float64)
    return field, points, torch.as_tensor(weights).to(dtype)


def direction(points):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(points.shape, generator=rng, dtype=torch.float64).to(points)


def reference(field, points, weights, steps):
    """End points and the gradients of points, weights and the eight parameters, in float64."""
    exact = NeuralField(field.coordinates, field.generators, *field.head_weight.shape[:0:-1]).double()
    exact.load_state_dict({name: p.double().cpu() for name, p in field.state_dict().items()})
    p, w = points.double().cpu().requires_grad_(), weights.double().cpu().requires_grad_()
    end = flow_ref(exact, p, w, steps)
    wanted = [p, w, *exact.layers]
    return [end.detach(), *torch.autograd.grad(end, wanted, direction(points).double().cpu())]


def relative(found: Tensor, exact: Tensor) -> float:
    """The distance relative to the exact tensor, in the Euclidean norm."""
    return float((found.double().cpu() - exact).norm() / exact.norm().clamp_min(1e-30))


class EmulatedFlow:
    def __init__(self, launchers, field, steps, tf32=False):
        self.launchers, self.field, self.steps, self.tf32 = launchers, field, steps, int(tf32)
        self.layers = [t.detach().contiguous() for t in field.layers]
        self.type = "float" if self.layers[0].dtype == torch.float32 else "double"
        self.periods = [p or 0.0 for p in field.coordinates.normalised_periods]

    def sizes(self, points):
        W, e = self.layers[0].shape
        K, H, _ = self.layers[4].shape
        return torch.tensor([*points.shape, e, W, K, H, self.steps])

    def forward(self, points, weights, save_states=True):
        end = torch.full_like(points, torch.nan)
        states = points.new_full((self.steps, *points.shape), torch.nan)
        self.launchers(
            f"forward_{self.type}", self.sizes(points), self.periods, self.tf32, points, weights, *self.layers, end,
            states if save_states else None,
        )  # fmt: skip
        return end, states

    def backward(self, grad, states, weights, weight_gradients=True, parameter_gradients=True):
        grad_points = torch.full_like(grad, torch.nan)
        grad_weights = torch.full_like(weights, torch.nan) if weight_gradients else None
        grads = [torch.full_like(t, torch.nan) if parameter_gradients else None for t in self.layers]
        self.launchers(
            f"backward_{self.type}", self.sizes(grad), self.periods, self.tf32, weights, *self.layers, grad, states,
            grad_points, grad_weights, *grads,
        )  # fmt: skip
        return [grad_points, grad_weights, *grads]

    def __call__(self, points, weights):
        end, states = self.forward(points, weights)
        return [end, *self.backward(direction(points), states, weights)]


def assert_agrees(found, expected, dtype):
    """As the kernels for the CPU: rounding apart, the reference."""
    small = dtype == torch.float32
    assert relative(found[0], expected[0]) < (1e-7 if small else 1e-15)
    assert relative(found[1], expected[1]) < (3e-7 if small else 2e-15)
    for gradient, exact in zip(found[2:], expected[2:], strict=True):
        assert relative(gradient, exact) < (1e-6 if small else 1e-14)


@pytest.fixture
def launchers(emulated):
    return emulated("flow")


def check(launchers, steps=2, **sizes):
    field, points, weights = problem(**sizes)
    found = EmulatedFlow(launchers, field, steps)(points, weights)
    assert_agrees(found, reference(field, points, weights, steps), points.dtype)


# ---- emulated: values and gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("d", AXES)
def test_dimensions_and_periods(launchers, d, dtype):
    check(launchers, d=d, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_default_size_over_several_tiles(launchers, dtype):
    """Nine blocks' worth of tiles for a machine of four: the blocks of the adjoint take more than one each."""
    check(launchers, W=64, H=32, K=1, B=3, N=193, steps=1, dtype=dtype)


@pytest.mark.parametrize("K", [1, 3, 5])
def test_numbers_of_generators(launchers, K):
    check(launchers, K=K, N=70, steps=1)


@pytest.mark.parametrize(("W", "H", "K"), [(100, 33, 1), (31, 64, 2)])
def test_odd_sizes(launchers, W, H, K):
    check(launchers, W=W, H=H, K=K, B=1, N=33, steps=1)


def test_smallest_network(launchers):
    check(launchers, W=1, H=1, K=1, N=33, steps=1, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_widest(launchers, dtype):
    check(launchers, W=256, H=32, B=1, K=1, N=65, steps=1, dtype=dtype)


def test_rows_of_weights(launchers):
    """One-hot, dense, partly zero and zero rows: a zero weight's head moves nothing, but its gradient counts."""
    rows = [[0, 0, 0.7, 0, 0], [0.1, -0.2, 0.3, 0.4, -0.5], [0, 0.5, 0, -0.5, 0], [0] * 5, [-0.0, 0, 0, 0, 1]]
    field, points, weights = problem(K=5, B=5, N=9, weights=rows)
    points[3, 0, 0] = -0.0
    emulated_flow = EmulatedFlow(launchers, field, 2)
    found = emulated_flow(points, weights)
    assert_agrees(found, reference(field, points, weights, 2), torch.float32)
    assert torch.equal(found[0][3], points[3])
    assert torch.signbit(found[0][3, 0, 0])


def test_gradients_that_are_not_wanted_are_left_out(launchers):
    field, points, weights = problem(K=3, weights=[[0.5, 0, -1], [0, 0, 2]])
    emulated_flow = EmulatedFlow(launchers, field, 2)
    states = emulated_flow.forward(points, weights)[1]
    everything = emulated_flow.backward(direction(points), states, weights)
    for wanted in ((True, False), (False, True), (False, False)):
        found = emulated_flow.backward(direction(points), states, weights, *wanted)
        for some, whole in zip(found, everything, strict=True):
            assert some is None or torch.equal(some, whole)


def test_states_are_the_points_before_each_step(launchers):
    field, points, weights = problem()
    emulated_flow = EmulatedFlow(launchers, field, 3)
    end, states = emulated_flow.forward(points, weights)
    assert torch.equal(states[0], points)
    exact = reference(field, points, weights, 3)[0]
    assert relative(end, exact) < 1e-7
    assert torch.equal(emulated_flow.forward(points, weights, save_states=False)[0], end)


def test_not_finite_stays_so(launchers):
    """A point that is not finite taints all its coordinates and no other point."""
    field, points, weights = problem(N=12, B=1)
    emulated_flow = EmulatedFlow(launchers, field, 2)
    expected = emulated_flow.forward(points, weights)[0]
    for i, bad in enumerate((torch.nan, torch.inf, -torch.inf)):
        for j in range(3):
            points[0, 3 * i + j, j] = bad
    end = emulated_flow.forward(points, weights)[0]
    assert torch.equal(end[0, 9:], expected[0, 9:])
    assert not end[0, :9].isfinite().all(-1).any()


# ---- emulated: bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_order_of_threads_and_blocks_changes_no_bit(launchers, dtype):
    """A missing barrier would show here, whichever way the race ends."""
    field, points, weights = problem(N=70, dtype=dtype)
    emulated_flow = EmulatedFlow(launchers, field, 1)
    results = []
    for seed in range(3):
        launchers.seed(seed)
        results.append(emulated_flow(points, weights))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("tf32", [False, True])
def test_a_point_does_not_know_its_company(launchers, tf32):
    """Bit for bit: end point and gradient are those of the point alone, in tiles of either size."""
    field, points, weights = problem(N=70)
    emulated_flow = EmulatedFlow(launchers, field, 1, tf32)
    end, gradient = emulated_flow(points, weights)[:2]
    order = torch.randperm(70, generator=torch.Generator().manual_seed(2))
    for chosen in (order[:1], order[:40]):
        few = points[:, chosen].contiguous()
        for limit in (227 * 1024, 60 * 1024):  # tiles of 64, of 32 points
            launchers.shared_memory_limit(limit)
            found, states = emulated_flow.forward(few, weights)
            assert torch.equal(found, end[:, chosen])
            grad = direction(points)[:, chosen].contiguous()
            assert torch.equal(emulated_flow.backward(grad, states, weights)[0], gradient[:, chosen])


# ---- emulated: precision, limits ------------------------------------------------------------------------------------


def test_tf32_is_as_accurate_as_tf32(launchers):
    """Two products in a row, each with factors rounded to 2^-11; without permission nothing of that is seen."""
    field, points, weights = problem(W=64, H=32, N=40)
    exact = reference(field, points, weights, 2)
    displacement = exact[0] - points.double()
    end, *gradients = EmulatedFlow(launchers, field, 2, tf32=True)(points, weights)
    error = float((end.double() - exact[0]).norm() / displacement.norm())
    assert 1e-6 < error < 2**-10
    for found, expected in zip(gradients, exact[1:], strict=True):
        assert relative(found, expected) < 2**-10


def test_too_little_shared_memory_is_refused(launchers):
    field, points, weights = problem(W=256, dtype=torch.float64, N=1)
    emulated_flow = EmulatedFlow(launchers, field, 1)
    launchers.shared_memory_limit(99 * 1024)
    with pytest.raises(Exception, match="returned the CUDA error 1"):
        emulated_flow.forward(points, weights)


@pytest.mark.parametrize(("B", "N"), [(0, 5), (2, 0)])
def test_empty(launchers, B, N):
    field, points, weights = problem(B=B, N=N)
    EmulatedFlow(launchers, field, 2).forward(points, weights)


# ---- the products themselves ----------------------------------------------------------------------------------------

# Of the sum of the terms' sizes. Tensor cores cut off each of five sums of eight to float32.
BOUNDS = {"fma_double": 40 * 2**-53, "split": 2**-21, "tf32": 5 * 2**-23}


@pytest.mark.parametrize("way", BOUNDS)
@pytest.mark.parametrize("case", ["along along", "along across", "across across", "weights", "weights transposed"])
def test_products(emulated, way, case):
    """Every way to multiply, for every layout of the factors, against float64: [64, 40] by [40, 64]."""
    dtype = torch.float64 if way == "fma_double" else torch.float32
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randn(64, 40, generator=rng, dtype=torch.float64).to(dtype) for _ in range(2))
    if way == "tf32":  # whose factors are rounded before
        a, b = (t.view(torch.int32).add(0x1000).bitwise_and(~0x1FFF).view(torch.float32) for t in (a, b))
    first, second = a, b
    if case == "across across":
        first = a.T.contiguous()
    if case in ("along across", "across across", "weights transposed"):
        second = b.T.contiguous()
    found = torch.full((64, 64), torch.nan, dtype=dtype)
    emulated("products")(f"{way}_{case.replace(' ', '_')}", first, second, found)
    exact = a.double() @ b.double().T
    terms = a.double().abs() @ b.double().abs().T
    assert ((found.double() - exact).abs() / terms).max() < BOUNDS[way]
    assert torch.equal(found.isfinite(), torch.ones(64, 64, dtype=torch.bool))


# ---- the choice of the precision ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compiled", [False, True])
def test_torch_decides_on_tf32(compiled):
    """By its older and its newer setting, also when it changes after compilation."""
    matmul, before = torch.backends.cuda.matmul, torch.backends.cuda.matmul.fp32_precision

    def call(x):
        return 2 * x if _tf32_allowed() else x

    torch._dynamo.reset()
    asked = torch.compile(call, fullgraph=True, backend="aot_eager") if compiled else call
    try:
        for name, value, allowed in [
            ("allow_tf32", False, False),
            ("allow_tf32", True, True),
            ("fp32_precision", "ieee", False),
            ("fp32_precision", "tf32", True),
        ]:
            setattr(matmul, name, value)
            assert asked(torch.ones(1)).item() == 1 + allowed
    finally:
        matmul.allow_tf32 = False
        matmul.fp32_precision = before


# ---- on a device ----------------------------------------------------------------------------------------------------


def on_gpu(**sizes):
    field, points, weights = problem(**sizes)
    return field.cuda(), points.cuda().requires_grad_(), weights.cuda().requires_grad_()


def value_and_gradients(field, points, weights, steps=2):
    end = flow(field, points, weights, steps=steps)
    return [end.detach(), *torch.autograd.grad(end, [points, weights, *field.layers], direction(points))]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("d", AXES)
@pytest.mark.parametrize(("W", "H", "K", "N"), [(37, 5, 3, 17), (64, 32, 1, 1000), (128, 64, 2, 65), (256, 32, 4, 200)])
def test_device_agrees(d, W, H, K, N, dtype):
    problem = on_gpu(d=d, W=W, H=H, K=K, N=N, dtype=dtype)
    assert_agrees(value_and_gradients(*problem), reference(*problem, 2), dtype)


@pytest.mark.gpu
@pytest.mark.parametrize(("W", "tf32"), [(64, False), (256, False), (256, True)])
def test_device_gives_the_same_bits_each_time(W, tf32, monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", tf32)
    problem = on_gpu(W=W, H=32, N=5000, B=3)
    first = value_and_gradients(*problem)
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(value_and_gradients(*problem), first, strict=True))


@pytest.mark.gpu
def test_device_follows_torch_in_tf32(monkeypatch):
    field, points, weights = on_gpu(W=256, H=32, N=500)
    exact = reference(field, points, weights, 2)[0]
    errors = []
    for allowed in (False, True):
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", allowed)
        errors.append(relative(flow(field, points, weights, steps=2).detach(), exact))
    assert errors[0] < 1e-7 < errors[1] < 2**-10


@pytest.mark.gpu
def test_device_uses_the_current_stream():
    problem = on_gpu(W=64, H=32, N=20_000)
    expected = value_and_gradients(*problem)
    stream = torch.cuda.Stream()
    points = problem[1].detach()
    busy = torch.randn(4096, 4096, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for _ in range(20):
            busy = busy @ busy * 1e-2  # what follows on this stream must wait for this
        late = (points + 0 * busy[0, 0].nan_to_num()).requires_grad_()
        found = value_and_gradients(problem[0], late, problem[2])
    stream.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.gpu
def test_device_graph_capture():
    field, points, weights = on_gpu(W=64, H=32, N=3000)
    expected = value_and_gradients(field, points, weights)
    static = points.detach().clone().requires_grad_()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        value_and_gradients(field, static, weights)  # warms up
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = value_and_gradients(field, static, weights)
    with torch.no_grad():
        static.zero_()
        graph.replay()
        static.copy_(points)
    graph.replay()
    torch.cuda.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.gpu
def test_device_refuses_in_sentences():
    field, points, weights = on_gpu(W=64)
    layers, periods = [t.detach() for t in field.layers], [0.0, 0.0, 0.0]
    with pytest.raises(RuntimeError, match=r"`weights` must be on GPU \d"):
        torch.ops.symflow.flow(points.detach(), weights.detach().cpu(), *layers, periods, 2, False, False)
    wide = NeuralField(AXES[3], 2, width=300).cuda()
    layers, periods = [t.detach() for t in wide.layers], wide.coordinates.normalised_periods
    with pytest.raises(RuntimeError, match="at most 256 hidden units, got a width of 300"):
        torch.ops.symflow.flow(points.detach(), weights.detach(), *layers, [p or 0.0 for p in periods], 2, False, False)
    assert flow(wide, points, weights).isfinite().all()  # in plain torch
