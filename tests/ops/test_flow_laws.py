"""The flow as mathematics: a one-parameter group, of order 4, exact on linear fields, and sentences for misuse."""

import math

import numpy as np
import pytest
import torch

from symflow import Coordinates, NeuralField, SymbolicField, flow
from symflow.ops import flow_ref
from symflow.ops.flow import ADAPTIVE

PLANE = Coordinates(("x", "y"), offset=(1.0, -2.0), scale=(2.0, 0.5))
# A spiral, a shear and a translation; the combination below is A p + b in physical units.
LINEAR = SymbolicField(PLANE, [{"dx": "0.3*x - y", "dy": "x + 0.1*y"}, {"dx": "y"}, {"dx": "1", "dy": "-2"}])
WEIGHTS = torch.tensor([[1.0, 0.5, -0.3]], dtype=torch.float64)


def neural(dtype=torch.float64, **sizes):
    coordinates = Coordinates(("x", "t", "u"), periods=(1.0, None, None))
    return NeuralField(coordinates, 3, **{"width": 32, "head_width": 16, **sizes}, seed=3).to(dtype)


def some_points(B=2, N=40, d=3, dtype=torch.float64):
    return torch.randn(B, N, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def some_weights(B=2, K=3, dtype=torch.float64):
    return torch.randn(B, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def exact_linear(points, time=1.0):
    """The flow of `LINEAR` with `WEIGHTS` by the matrix exponential."""
    w = WEIGHTS[0]
    A = w[0] * torch.tensor([[0.3, -1.0], [1.0, 0.1]], dtype=torch.float64)
    A[0, 1] += w[1]
    b = w[2] * torch.tensor([1.0, -2.0], dtype=torch.float64)
    generator = torch.zeros(3, 3, dtype=torch.float64)
    generator[:2, :2], generator[:2, 2] = A, b
    map_ = torch.linalg.matrix_exp(time * generator)
    p = PLANE.to_physical(points)
    return PLANE.to_normalised(p @ map_[:2, :2].T + map_[:2, 2])


def slope(steps, errors):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


# ---- the group ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identity(dtype):
    field, points = neural(dtype), some_points(dtype=dtype)
    zero = torch.zeros(2, 3, dtype=dtype)
    assert torch.equal(flow(field, points, zero), points)
    assert torch.equal(flow_ref(field, points, zero), points)


def test_composition_and_inverse_to_the_order_of_the_solver():
    """phi_a phi_b = phi_{a+b} and phi_{-a} phi_a = id up to errors of order 4 in the step."""
    field, points, w = neural(), some_points(), some_weights()
    steps = np.array([2, 4, 8, 16])
    composition, inverse = [], []
    for n in map(int, steps):
        whole = flow(field, points, 1.5 * w, steps=n)
        parts = flow(field, flow(field, points, 0.5 * w, steps=n), w, steps=n)
        back = flow(field, flow(field, points, w, steps=n), -w, steps=n)
        composition.append((whole - parts).abs().max().item())
        inverse.append((back - points).abs().max().item())
    assert composition[-1] < 1e-5
    assert inverse[-1] < 1e-5
    assert slope(steps, composition) > 3.7
    assert slope(steps, inverse) > 3.7


def test_inverse_of_a_linear_flow():
    points = some_points(1, d=2)
    back = flow(LINEAR, flow(LINEAR, points, WEIGHTS, steps=64), -WEIGHTS, steps=64)
    torch.testing.assert_close(back, points, rtol=0, atol=1e-8)


def test_generators_flow_one_by_one():
    """A one-hot row times a is the flow of one generator for time a."""
    field, points = neural(), some_points()
    one_hot = torch.tensor([[0.0, 0.7, 0.0]] * 2, dtype=torch.float64)

    class Single:
        coordinates, generators = field.coordinates, 1

        def __call__(self, points):
            return field(points)[..., 1:2, :]

    alone = flow(Single(), points, torch.full((2, 1), 0.7, dtype=torch.float64))
    torch.testing.assert_close(flow(field, points, one_hot), alone, rtol=1e-13, atol=1e-13)


# ---- order and exactness --------------------------------------------------------------------------------------------


def test_order_four_against_the_matrix_exponential():
    points = some_points(1, d=2)
    exact = exact_linear(points)
    steps = np.array([2, 4, 8, 16, 32])
    errors = [(flow(LINEAR, points, WEIGHTS, steps=int(n)) - exact).abs().max().item() for n in steps]
    assert slope(steps, errors) == pytest.approx(4, abs=0.15)


def test_kernel_has_order_four():
    field, points, w = neural(), some_points(), 2 * some_weights()
    exact = flow(field, points, w, steps=256)
    steps = np.array([4, 8, 16, 32])
    errors = [(flow(field, points, w, steps=int(n)) - exact).abs().max().item() for n in steps]
    assert slope(steps, errors) == pytest.approx(4, abs=0.3)


def test_polynomial_flows_are_exact():
    """Where the solution is a polynomial in time of degree at most 4 one step is exact: the Galilean boost."""
    boost = SymbolicField(Coordinates(("x", "t", "u")), [{"dx": "t", "du": "1"}])
    points = some_points(1)
    end = flow(boost, points, torch.tensor([[0.25]], dtype=torch.float64), steps=1)
    expected = points + 0.25 * torch.stack([points[..., 1], torch.zeros(1, 40), torch.ones(1, 40)], -1)
    torch.testing.assert_close(end, expected, rtol=0, atol=1e-15)


def test_gradient_is_that_of_the_exact_flow_in_the_limit():
    """d phi / d z of a linear flow is the matrix exponential: an adjoint of the continuous problem, not of ours."""
    points = some_points(1, 1, 2)
    found = torch.func.jacrev(lambda p: flow(LINEAR, p, WEIGHTS, steps=64))(points)[0, 0, :, 0, 0]
    exact = torch.func.jacrev(exact_linear)(points)[0, 0, :, 0, 0]
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-8)


# ---- the adaptive methods -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dopri5", "dopri8", "bosh3", "adaptive_heun"])
def test_adaptive_methods_meet_their_tolerance(method):
    assert method in ADAPTIVE
    points = some_points(1, 5, 2, torch.float32)
    end = flow(LINEAR, points, WEIGHTS.float(), method=method)
    torch.testing.assert_close(end.double(), exact_linear(points.double()), rtol=0, atol=5e-4)


def test_adaptive_in_double_precision():
    points = some_points(1, 5, 2)
    torch.testing.assert_close(flow(LINEAR, points, WEIGHTS, method="dopri5"), exact_linear(points), rtol=0, atol=1e-7)


def test_adaptive_gradients():
    """The continuous adjoint of dopri5 and the discrete one of many RK4 steps approach the same derivatives."""
    field, points, w = neural(width=8, head_width=4), some_points(N=5), some_weights()
    points.requires_grad_()
    w.requires_grad_()
    wanted = [points, w, *field.layers]
    adaptive = torch.autograd.grad(flow(field, points, w, method="dopri5").square().sum(), wanted)
    ours = torch.autograd.grad(flow(field, points, w, steps=64).square().sum(), wanted)
    for a, b in zip(adaptive, ours, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    # Through the steps, for a field that is no module.
    p, v = some_points(1, 5, 2).requires_grad_(), WEIGHTS.clone().requires_grad_()
    for a, b in zip(
        torch.autograd.grad(flow(LINEAR, p, v, method="dopri5").sum(), [p, v]),
        torch.autograd.grad(flow(LINEAR, p, v, steps=64).sum(), [p, v]),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_adaptive_without_gradients_or_points():
    field = neural()
    with torch.no_grad():
        a = flow(field, some_points(), some_weights(), method="dopri5")
    torch.testing.assert_close(a, flow(field, some_points(), some_weights(), steps=64), rtol=0, atol=1e-6)
    assert flow(field, some_points(2, 0), some_weights(), method="dopri5").shape == (2, 0, 3)


def test_adaptive_says_when_it_cannot_go_on():
    blow_up = SymbolicField(Coordinates(("x",)), [{"dx": "x**2"}])  # x(1) of x(0) = 2 is beyond the pole at 1/2
    with pytest.raises(RuntimeError, match="'dopri5' cannot follow this field to time 1"):
        flow(blow_up, torch.full((1, 1, 1), 2.0), torch.ones(1, 1), method="dopri5")


# ---- which implementation -------------------------------------------------------------------------------------------


def test_a_subclass_that_computes_something_else_is_believed():
    class Doubled(NeuralField):
        def forward(self, points):
            return 2 * super().forward(points)

    field = Doubled(Coordinates(("x", "t", "u"), periods=(1.0, None, None)), 3, 32, 16, seed=3).double()
    points, w = some_points(), some_weights()
    torch.testing.assert_close(flow(field, points, w), flow(neural(), points, 2 * w), rtol=1e-12, atol=1e-12)


def test_other_types_and_dimensions_run_in_torch():
    wide = NeuralField(Coordinates(tuple("abcde")), 2, 16, 8)
    points = torch.rand(1, 7, 5, requires_grad=True)
    flow(wide, points, torch.ones(1, 2)).sum().backward()
    assert points.grad.isfinite().all()
    half = neural(torch.bfloat16)
    end = flow(half, some_points(dtype=torch.bfloat16), some_weights(dtype=torch.bfloat16))
    assert end.dtype == torch.bfloat16
    meta = neural().to("meta")
    assert flow(meta, some_points().to("meta"), some_weights().to("meta")).shape == (2, 40, 3)


def test_without_kernels(monkeypatch):
    """An installation without the extension gives the same numbers, and says how to build it."""
    import importlib.util

    from symflow.ops import _ext

    field, points, w = neural(), some_points(), some_weights()
    expected = flow(field, points, w)
    monkeypatch.setattr(_ext, "built", False)
    torch.testing.assert_close(flow(field, points, w), expected, rtol=1e-12, atol=1e-12)

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "symflow._C" else find_spec(name))
    spec = importlib.util.spec_from_file_location("bare_ext", _ext.__file__)
    bare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bare)
    assert not bare.built
    assert "pip install --no-build-isolation" in bare.problem
    assert bare.build_info()["isa"] is None


# ---- sentences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"points": torch.zeros(4, 3)}, ValueError, r"`points` must have shape \[B, N, 3\], got \[4, 3\]"),
        ({"points": torch.zeros(2, 4, 2)}, ValueError, r"`points` must have shape \[B, N, 3\], got \[2, 4, 2\]"),
        ({"points": [[0.0]]}, TypeError, "`points` must be a floating-point tensor, got list"),
        (
            {"points": torch.zeros(2, 4, 3).long()},
            TypeError,
            "`points` must be a floating-point tensor, got torch.int64",
        ),
        ({"weights": torch.zeros(3)}, ValueError, r"`weights` must have shape \[B, K\] = \[2, 3\], got \[3\]"),
        ({"weights": torch.zeros(2, 4)}, ValueError, r"`weights` must have shape \[B, K\] = \[2, 3\], got \[2, 4\]"),
        ({"weights": torch.zeros(1, 3)}, ValueError, r"`weights` must have shape \[B, K\] = \[2, 3\], got \[1, 3\]"),
        ({"weights": torch.zeros(2, 3).double()}, ValueError, "`points` and `weights` must have one dtype and device"),
        (
            {"points": torch.zeros(2, 4, 3).double(), "weights": torch.zeros(2, 3).double()},
            ValueError,
            "`points` and `field.trunk0_weight` must have one dtype .* torch.float64 on cpu and torch.float32 on cpu",
        ),
        ({"weights": torch.zeros(2, 3, device="meta")}, ValueError, "one dtype and device, .* torch.float32 on meta"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1, got 0"),
        ({"steps": 2.0}, TypeError, "`steps` must be an integer, got float"),
        ({"steps": True}, TypeError, "`steps` must be an integer, got bool"),
        ({"method": "euler"}, ValueError, "`method` must be one of rk4, dopri5, .*, adaptive_heun, got 'euler'"),
    ],
)
def test_misuse_raises_a_sentence(change, error, message):
    arguments = {"points": torch.zeros(2, 4, 3), "weights": torch.zeros(2, 3), "steps": 8, "method": "rk4"} | change
    points, weights = arguments.pop("points"), arguments.pop("weights")
    with pytest.raises(error, match=message):
        flow(neural(torch.float32), points, weights, **arguments)


def test_rotation_by_hand():
    rotation = SymbolicField(Coordinates(("x", "y")), [{"dx": "-y", "dy": "x"}])
    quarter = torch.tensor([[math.pi / 2], [math.pi]], dtype=torch.float64)
    start = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]], dtype=torch.float64)
    end = flow(rotation, start, quarter, steps=200)
    torch.testing.assert_close(end, torch.tensor([[[0.0, 1.0]], [[-1.0, 0.0]]]).double(), rtol=0, atol=1e-8)
