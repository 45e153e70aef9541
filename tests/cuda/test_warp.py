"""The CUDA kernels of warp, emulated on the host and on the device, against the CPU operators."""

import pytest
import torch
from torch import Tensor

from symflow import warp
from symflow.ops import _ext
from symflow.ops.warp import PADDINGS

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")
ops = torch.ops.symflow


def problem(B, C, H, W, G, h, w, own, dtype, seed=0):
    """Images, grids that reach beyond them, their tangents, and a gradient of the result."""
    rng = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)

    shape = (B if own else 1, G, h, w, 2)
    grid = (3.4 * torch.rand(shape, generator=rng, dtype=torch.float64) - 1.7).to(dtype)
    return randn(B, C, H, W), grid, randn(B, C, H, W), randn(*shape), randn(B, G, C, h, w)


class Emulation:
    """The launchers with the arguments of the operators; outputs and workspaces start as NaN."""

    def __init__(self, launchers, images: Tensor, grid: Tensor, padding: int) -> None:
        B, C, H, W = images.shape
        S, G, h, w, _ = grid.shape
        self.e, self.images, self.grid = launchers, images, grid
        self.name = "float" if images.dtype == torch.float32 else "double"
        self.sizes = torch.tensor([B, C, G, h * w, S, H, W, padding])
        self.result = torch.full((B, G, C, h, w), torch.nan, dtype=images.dtype)

    def sample(self, p, q, velocity):
        out = self.result.clone()
        self.e(f"warp_sample_{self.name}", self.sizes, self.grid, velocity, p, q, out)
        return out

    def gradients(self, grad, p, q, velocity):
        counts = torch.zeros(2, dtype=torch.int64)
        self.e(f"warp_workspaces_{self.name}", self.sizes, counts[:1], counts[1:])
        sums = torch.full((int(counts[0]),), torch.nan, dtype=grad.dtype)
        keys = torch.zeros(int(counts[1]), dtype=torch.int64)
        grad_grid, grad_images = torch.full_like(self.grid, torch.nan), torch.full_like(self.images, torch.nan)
        self.e(f"warp_grid_gradient_{self.name}", self.sizes, self.grid, velocity, grad, p, q, sums, grad_grid)
        self.e(f"warp_image_gradient_{self.name}", self.sizes, self.grid, velocity, grad, keys, grad_images)
        return grad_images, grad_grid


def assert_agrees(found: Tensor, expected: Tensor) -> None:
    """Rounding apart: the sums have another order than on the CPU."""
    scale = expected.abs().max().clamp_min(1e-30) if expected.numel() else 1
    assert found.isfinite().all()
    assert float(((found - expected).abs() / scale).max() if found.numel() else 0) < 30 * torch.finfo(found.dtype).eps


SHAPES = [(1, 1, 1, 1, 1, 1, 1), (3, 2, 5, 7, 2, 5, 17), (2, 17, 1, 9, 3, 1, 37), (13, 3, 6, 4, 1, 3, 3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("padding", range(3))
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_emulated(emulated, shape, own, padding, dtype):
    images, grid, images_dot, grid_dot, grad = problem(*shape, own, dtype)
    e = Emulation(emulated("warp"), images, grid, padding)
    # The same corners, products and sums as on the CPU: the same bits.
    assert torch.equal(e.sample(images, None, None), ops.warp(images, grid, padding))
    for i_dot, g_dot in ((images_dot, grid_dot), (None, grid_dot)):
        found = e.sample(i_dot, images, g_dot)
        assert torch.equal(found, ops.warp_jvp(images, grid, i_dot, g_dot, padding))
        expected = ops.warp_jvp_backward(grad, images, grid, i_dot, g_dot, padding, True, True)
        for a, b in zip(e.gradients(grad, i_dot, images, g_dot), expected, strict=True):
            assert_agrees(a, b)
    expected = ops.warp_backward(grad, images, grid, padding, True, True)
    for a, b in zip(e.gradients(grad, images, None, None), expected, strict=True):
        assert_agrees(a, b)


def test_emulated_sort_of_several_tiles(emulated):
    """More points than a block sorts at once, most of them in few cells."""
    images, grid, _, _, grad = problem(1, 1, 3, 4, 2, 37, 29, False, torch.float64)
    e = Emulation(emulated("warp"), images, grid, PADDINGS.index("border"))
    expected = ops.warp_backward(grad, images, grid, PADDINGS.index("border"), True, True)
    found = e.gradients(grad, images, None, None)
    for a, b in zip(found, expected, strict=True):
        assert_agrees(a, b)
    e.e.seed(5)
    assert all(torch.equal(a, b) for a, b in zip(e.gradients(grad, images, None, None), found, strict=True))


@pytest.mark.parametrize("empty", [0, 1, 4, 5])
def test_emulated_empty(emulated, empty):
    shape = [2, 3, 5, 4, 2, 3, 3]
    shape[empty] = 0
    images, grid, _, _, grad = problem(*shape, False, torch.float32)
    e = Emulation(emulated("warp"), images, grid, 0)
    assert e.sample(images, None, None).shape == grad.shape
    for gradient in e.gradients(grad, images, None, None):
        assert not gradient.any()


def test_emulated_coordinates_that_are_not_finite(emulated):
    images, grid, _, _, grad = problem(2, 2, 5, 4, 1, 1, 9, False, torch.float32)
    grid[..., 0, 0], grid[..., 1, 1], grid[..., 2, 0], grid[..., 3, 1] = torch.nan, torch.inf, -torch.inf, 1e30
    for padding in range(3):
        e = Emulation(emulated("warp"), images, grid, padding)
        expected = ops.warp(images, grid, padding)
        torch.testing.assert_close(e.sample(images, None, None), expected, rtol=0, atol=0, equal_nan=True)
        expected = ops.warp_backward(grad, images, grid, padding, True, True)
        torch.testing.assert_close(e.gradients(grad, images, None, None), expected, equal_nan=True)


# ---- on the device --------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("padding", range(3))
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shape", [*SHAPES, (37, 3, 33, 31, 3, 40, 29), (130, 1, 28, 28, 10, 28, 28)])
def test_the_device_is_the_cpu(shape, own, padding, dtype):
    images, grid, images_dot, grid_dot, grad = problem(*shape, own, dtype)
    on = [t.cuda() for t in (images, grid, images_dot, grid_dot, grad)]
    assert_agrees(ops.warp(*on[:2], padding).cpu(), ops.warp(images, grid, padding))
    assert_agrees(ops.warp_jvp(*on[:4], padding).cpu(), ops.warp_jvp(images, grid, images_dot, grid_dot, padding))
    for found, expected in (
        (
            ops.warp_backward(on[4], *on[:2], padding, True, True),
            ops.warp_backward(grad, images, grid, padding, True, True),
        ),
        (
            ops.warp_jvp_backward(on[4], *on[:4], padding, True, True),
            ops.warp_jvp_backward(grad, images, grid, images_dot, grid_dot, padding, True, True),
        ),
    ):
        for a, b in zip(found, expected, strict=True):
            assert_agrees(a.cpu(), b)


@pytest.mark.gpu
def test_two_runs_on_the_device_give_the_same_bits():
    images, grid, _, _, grad = (t.cuda() for t in problem(37, 3, 33, 31, 3, 40, 29, False, torch.float32))
    runs = [ops.warp_backward(grad, images, grid, 0, True, True) for _ in range(3)]
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


@pytest.mark.gpu
def test_streams_and_graphs():
    images, grid, _, _, grad = (t.cuda() for t in problem(7, 3, 33, 31, 3, 40, 29, False, torch.float32))
    expected = [warp(images, grid[0]), *ops.warp_backward(grad, images, grid, 0, True, True)]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found = [warp(images, grid[0]), *ops.warp_backward(grad, images, grid, 0, True, True)]
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = [ops.warp(images, grid, 0), *ops.warp_backward(grad, images, grid, 0, True, True)]
    graph.replay()
    torch.cuda.synchronize()
    for e, f, c in zip(expected, found, captured, strict=True):
        assert torch.equal(e, f)
        assert torch.equal(e, c)
