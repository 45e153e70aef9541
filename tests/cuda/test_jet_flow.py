"""The flow of jets on the GPU, emulated and on the device, against the reference in plain torch."""

import pytest
import torch

from symflow import Coordinates, NeuralField, jet_flow
from symflow.fields.series import Series, line, total_degree
from symflow.ops import jet_flow_ref

AXES = Coordinates(("x", "t", "u"), periods=(2.0, None, 1.5))
DTYPES = [torch.float32, torch.float64]


def problem(order=3, coordinates=AXES, K=3, W=37, H=5, B=2, N=17, dtype=torch.float64, seed=0):
    truncation, d = total_degree(order), coordinates.dimension
    rng = torch.Generator().manual_seed(seed)
    field = NeuralField(coordinates, K, width=W, head_width=H, seed=seed).to(dtype)
    sizes = torch.tensor([0.2 ** sum(m) for m in truncation.monomials], dtype=torch.float64)
    surface = torch.randn(len(truncation), B, N, d, generator=rng, dtype=torch.float64) * sizes[:, None, None, None]
    weights = torch.randn(B, K, generator=rng, dtype=torch.float64)
    if B > 1:
        weights[1, 0] = 0.0
    return field, Series(truncation, surface.to(dtype)), weights.to(dtype)


def relative(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30))


def reference(field, surface, weights, steps):
    """The end and all gradients of a random functional of it, in float64, and the direction of that functional."""
    exact = NeuralField(field.coordinates, field.generators, *field.head_weight.shape[:0:-1]).double()
    exact.load_state_dict(field.state_dict())
    c, w = surface.coefficients.double().requires_grad_(), weights.double().requires_grad_()
    end = jet_flow_ref(exact, Series(surface.truncation, c), w, steps).coefficients
    direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad(end, [c, w, *exact.layers], direction)
    return end.detach(), direction, gradients


class Emulation:
    """The launchers on one problem."""

    def __init__(self, emulated, field, surface, weights, steps):
        self.e, self.name = emulated("jet_flow"), str(weights.dtype).removeprefix("torch.")
        self.name = {"float32": "float", "float64": "double"}[self.name]
        self.surface, self.weights, self.steps = surface.coefficients, weights, steps
        layers = [t.detach() for t in field.layers]
        _, B, N, d = self.surface.shape
        K, H, W = layers[4].shape
        periods = [p or 0.0 for p in field.coordinates.normalised_periods]
        self.count = sum(t.numel() for t in layers)
        self.given = [self.surface, weights, torch.cat([t.flatten() for t in layers]), layers[2].T.contiguous()]
        self.given += [layers[4].transpose(1, 2).contiguous(), periods, surface.truncation.degree]
        self.given += [B, N, d, layers[0].shape[1], W, K, H, steps]

    def empty(self, *shape):
        return torch.full(shape, torch.nan, dtype=self.weights.dtype)

    def forward(self):
        end, states = self.empty(*self.surface.shape), self.empty(self.steps, *self.surface.shape)
        self.e(f"forward_{self.name}", *self.given, end, states)
        return end, states

    def backward(self, grad, states, weight_gradients=True, parameter_gradients=True):
        size = torch.zeros(1, dtype=torch.int64)
        self.e(f"workspace_{self.name}", *self.given, int(weight_gradients), int(parameter_gradients), size)
        grad_surface = self.empty(*self.surface.shape)
        grad_weights = self.empty(*self.weights.shape) if weight_gradients else None
        grad_parameters = self.empty(self.count) if parameter_gradients else None
        workspace = self.empty(int(size))
        out = (grad_surface, grad_weights, grad_parameters)
        self.e(f"backward_{self.name}", *self.given, grad, states, *out, workspace)
        return out


def assert_agrees(found, end, gradients, dtype):
    """The bounds of tests/ops/test_jet_flow.py."""
    small = dtype == torch.float32
    assert relative(found[0], end) < (3e-7 if small else 3e-15)
    assert relative(found[1], gradients[0]) < (1e-6 if small else 6e-15)
    assert relative(found[2], gradients[1]) < (3e-6 if small else 3e-14)
    start = 0
    for exact in gradients[2:]:
        part = found[3][start : start + exact.numel()].view(exact.shape)
        assert relative(part, exact) < (3e-6 if small else 3e-14)
        start += exact.numel()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("order", "W", "H", "N"), [(3, 37, 5, 17), (4, 33, 33, 5), (1, 5, 3, 37), (2, 8, 4, 1), (5, 12, 7, 3)]
)
def test_emulated_is_the_reference(emulated, order, W, H, N, dtype):
    field, surface, weights = problem(order, W=W, H=H, N=N, dtype=dtype)
    end, direction, gradients = reference(field, surface, weights, 2)
    emulation = Emulation(emulated, field, surface, weights, 2)
    found, states = emulation.forward()
    assert torch.equal(states[0], surface.coefficients)
    backward = emulation.backward(direction.to(dtype), states)
    assert_agrees((found, *backward), end, gradients, dtype)


def test_emulated_rows_of_weights(emulated):
    """One-hot and zero rows: a zero weight's head moves nothing, but its gradient counts."""
    field, surface, _ = problem(2, B=3, N=3)
    weights = torch.tensor([[0, 0.7, 0], [0, 0, 0], [-0.0, 0, 1]], dtype=torch.float64)
    end, direction, gradients = reference(field, surface, weights, 1)
    emulation = Emulation(emulated, field, surface, weights, 1)
    found, states = emulation.forward()
    assert torch.equal(found[:, 1], surface.coefficients[:, 1])
    assert_agrees((found, *emulation.backward(direction, states)), end, gradients, torch.float64)


def test_emulated_blocks_take_more_than_one_tile(emulated):
    """300 tiles, of one point each, for 256 blocks."""
    field, surface, _ = problem(1, K=1, W=3, H=2, B=300, N=1)
    weights = torch.linspace(-1, 1, 300, dtype=torch.float64)[:, None]
    end, direction, gradients = reference(field, surface, weights, 1)
    emulation = Emulation(emulated, field, surface, weights, 1)
    found, states = emulation.forward()
    assert_agrees((found, *emulation.backward(direction, states)), end, gradients, torch.float64)


def test_emulated_order_of_threads_changes_no_bit(emulated):
    """Nor does it matter which gradients are wanted."""
    field, surface, weights = problem(3, W=9, N=19, dtype=torch.float32)
    emulation = Emulation(emulated, field, surface, weights, 1)
    direction = torch.randn_like(surface.coefficients)
    results = []
    for seed in (0, 1, 2):
        emulation.e.seed(seed)
        end, states = emulation.forward()
        results.append((end, *emulation.backward(direction, states)))
    emulation.e.seed(0)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
    assert torch.equal(emulation.backward(direction, states, False, False)[0], results[0][1])
    assert torch.equal(emulation.backward(direction, states, True, False)[1], results[0][2])
    assert torch.equal(emulation.backward(direction, states, False, True)[2], results[0][3])


def test_emulated_point_does_not_know_its_company(emulated):
    field, surface, weights = problem(3, W=9, N=19, B=1)
    direction = torch.randn_like(surface.coefficients)

    def run(chosen):
        some = Series(surface.truncation, surface.coefficients[:, :, chosen].contiguous())
        emulation = Emulation(emulated, field, some, weights, 1)
        end, states = emulation.forward()
        return end, emulation.backward(direction[:, :, chosen].contiguous(), states)[0]

    whole = run(torch.arange(19))
    for chosen in (torch.tensor([18]), torch.tensor([5, 2, 11])):
        for part, full in zip(run(chosen), whole, strict=True):
            assert torch.equal(part, full[:, :, chosen])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("order", "W"), [(3, 64), (4, 64), (3, 256), (4, 256), (2, 37)])
def test_on_the_device(order, W, dtype):
    field, surface, weights = problem(order, W=W, H=32, N=193, dtype=dtype)
    end, direction, gradients = reference(field, surface, weights, 2)
    moved = field.cuda()

    def run():
        c, w = surface.coefficients.cuda().requires_grad_(), weights.cuda().requires_grad_()
        found = jet_flow(moved, Series(surface.truncation, c), w, steps=2).coefficients
        grads = torch.autograd.grad(found, [c, w, *moved.layers], direction.to(found))
        return [found.detach().cpu(), grads[0].cpu(), grads[1].cpu(), torch.cat([g.cpu().flatten() for g in grads[2:]])]

    first, second = run(), run()
    assert_agrees(first, end, gradients, dtype)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.gpu
def test_streams_graphs_and_other_truncations_on_the_device():
    field, surface, weights = problem(3, W=64, H=32, N=50, dtype=torch.float32)
    field, weights = field.cuda().requires_grad_(False), weights.cuda()
    surface = Series(surface.truncation, surface.coefficients.cuda())
    expected = jet_flow(field, surface, weights).coefficients
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        found = jet_flow(field, surface, weights).coefficients
    torch.cuda.current_stream().wait_stream(side)
    assert torch.equal(found, expected)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = jet_flow(field, surface, weights).coefficients
    graph.replay()
    assert torch.equal(captured, expected)
    along = Series(line(1), surface.coefficients[:2])
    assert relative(jet_flow(field, along, weights).coefficients, expected[:2]) < 1e-6
