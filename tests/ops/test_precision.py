"""Low precision and autocast: what is computed is float32's, and the rounding is one."""

from __future__ import annotations

import copy

import pytest
import torch

from symflow import (
    Coordinates,
    GridField,
    NeuralField,
    SymbolicField,
    flow,
    flow_warp,
    jet_flow,
    resample,
    scatter,
    warp,
)
from symflow.fields.series import Series, line

LOW = [torch.float16, torch.bfloat16]
PLANE = Coordinates(("x", "y"))
NETWORK = NeuralField(PLANE, 2, width=8, head_width=4)
TABLE = GridField(PLANE, torch.randn(2, 5, 6, 2, generator=torch.Generator().manual_seed(1)), (-1.0, -1.0), (1.0, 1.0))
CIRCLE = SymbolicField(PLANE, [{"dx": "-y", "dy": "x"}, {"dx": "1"}])
FIELDS = pytest.mark.parametrize("field", [NETWORK, TABLE, CIRCLE], ids=["network", "table", "closed form"])


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) * 2 - 1).to(dtype)


def held(field, dtype):
    """The field with parameters that a dtype can hold, in that dtype and in float32."""
    if not isinstance(field, torch.nn.Module):
        return field, field
    low = copy.deepcopy(field).to(dtype)
    return low, copy.deepcopy(low).float()


@pytest.mark.parametrize("dtype", LOW, ids=str)
@FIELDS
def test_a_flow_is_that_of_float32_rounded_once(field, dtype):
    low, single = held(field, dtype)
    points, weights = draw(3, 50, 2, dtype=dtype), draw(3, 2, dtype=dtype)
    found = flow(low, points, weights)
    double = copy.deepcopy(single).double() if isinstance(single, torch.nn.Module) else single
    exact = flow(double, points.double(), weights.double())
    assert found.dtype == dtype
    near = (exact - found.double()).abs()
    spacing = (exact.to(dtype).double().abs() * torch.finfo(dtype).eps).clamp_min(1e-5)
    assert bool((near <= 0.51 * spacing + 1e-6).all())
    pixels = draw(2, 3, 9, 8, dtype=dtype)
    moved = flow_warp(low, pixels, weights)
    single_result = flow_warp(single, pixels.float(), weights.float())
    assert moved.dtype == dtype
    torch.testing.assert_close(moved.float(), single_result, rtol=torch.finfo(dtype).eps, atol=2e-5)


@pytest.mark.parametrize("dtype", LOW, ids=str)
def test_other_operations_are_those_of_float32_rounded_once(dtype):
    images, grid = draw(2, 3, 7, 9, dtype=dtype), draw(4, 5, 6, 2, dtype=dtype)
    assert torch.equal(warp(images, grid), warp(images.float(), grid.float()).to(dtype))
    points = draw(2, 40, 3, dtype=dtype)
    for a, b in zip(
        scatter(points, (4, 8), period=2.0, times=(-1.0, 1.0)),
        scatter(points.float(), (4, 8), period=2.0, times=(-1.0, 1.0)),
        strict=True,
    ):
        assert torch.equal(a, b.to(dtype))
    rows = torch.stack([draw(1, 8, 16), torch.arange(8.0)[:, None].expand(1, 8, 16), draw(1, 8, 16)], -1).to(dtype)
    values, support = resample(rows, period=2.0, times=(0.0, 7.0))
    single, _ = resample(rows.float(), period=2.0, times=(0.0, 7.0))
    assert torch.equal(values.nan_to_num(), single.to(dtype).nan_to_num())
    assert support.dtype == torch.bool
    jets = Series(line(2), draw(3, 2, 5, 2, dtype=dtype))
    wide = jet_flow(CIRCLE, Series(line(2), jets.coefficients.float()), draw(2, 2, dtype=dtype).float())
    assert torch.equal(jet_flow(CIRCLE, jets, draw(2, 2, dtype=dtype)).coefficients, wide.coefficients.to(dtype))


@FIELDS
def test_autocast_changes_nothing_inside_and_brings_types_together(field):
    points, weights = draw(3, 50, 2), draw(3, 2)
    images, grid = draw(2, 3, 7, 9), draw(4, 5, 6, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(flow(field, points, weights), flow_outside := flow(field, points, weights))
        sampled = warp(images.bfloat16(), grid)
        like_torch = torch.nn.functional.grid_sample(images.bfloat16(), grid[:2], align_corners=True)
    assert torch.equal(flow(field, points, weights), flow_outside)
    assert sampled.dtype == like_torch.dtype == torch.float32
    assert torch.equal(sampled, warp(images.bfloat16().float(), grid))


@pytest.mark.parametrize("dtype", LOW, ids=str)
def test_gradients_pass_through_the_roundings(dtype):
    images, grid = draw(1, 2, 6, 5, dtype=dtype).requires_grad_(), draw(1, 4, 3, 2, dtype=dtype).requires_grad_()
    warp(images, grid).float().square().sum().backward()
    single = [t.detach().float().requires_grad_() for t in (images, grid)]
    (warp(*single).to(dtype).float().square().sum()).backward()
    for t, s in zip((images, grid), single, strict=True):
        assert torch.equal(t.grad, s.grad.to(dtype))


def test_what_has_no_float32_form_is_refused():
    class Own(torch.nn.Module):
        coordinates, generators = PLANE, 1

        def __init__(self):
            super().__init__()
            self.size = torch.nn.Parameter(torch.ones((), dtype=torch.bfloat16))

        def forward(self, points):
            return self.size * points[..., None, :]

    with pytest.raises(ValueError, match=r"`field` must have parameters of torch\.float32"):
        flow(Own(), draw(1, 2, 2, dtype=torch.bfloat16), draw(1, 1, dtype=torch.bfloat16))


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64], ids=str)
def test_numbers_of_other_kinds_are_refused(dtype):
    for call in (
        lambda: flow(CIRCLE, torch.zeros(1, 2, 2, dtype=dtype), torch.zeros(1, 2)),
        lambda: warp(torch.zeros(1, 1, 2, 2, dtype=dtype), torch.zeros(1, 1, 1, 2)),
        lambda: scatter(torch.zeros(1, 2, 3, dtype=dtype), (2, 2), period=1.0, times=(0.0, 1.0)),
    ):
        with pytest.raises(TypeError, match="must be a floating-point tensor, got"):
            call()
