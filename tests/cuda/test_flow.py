"""The flow's kernels for GPUs against the reference: emulated, and on a device where there is one."""

import pytest
import torch
from torch import Tensor

from symflow import Coordinates, NeuralField
from symflow.ops import flow_ref

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("d", AXES)
def test_dimensions_and_periods(launchers, d, dtype):
    field, points, weights = problem(d, dtype=dtype)
    found = EmulatedFlow(launchers, field, 2)(points, weights)
    assert_agrees(found, reference(field, points, weights, 2), dtype)
