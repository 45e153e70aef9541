"""Images seen through coordinates: the one operation that moves pixels.

With A the sampling matrix of a grid, everything up to second order is made of ``A``, its derivative ``dA`` along a
velocity of the grid and, of bilinear interpolation, the mixed second derivative ``ddA``: four operators, `warp`,
`warp_backward`, `warp_jvp` and `warp_jvp_backward`, whose derivatives are each other. Forward mode, reverse mode and
one over the other stay on the kernels; forward over forward and third derivatives raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from symflow.arrays import takes_arrays
from symflow.ops import _ext
from symflow.ops._arguments import KERNEL_DTYPES, check_alike, check_floating_point, check_room
from symflow.ops._precision import precise
from symflow.ops._registration import call, kernel, last_derivative, register

PADDINGS = ("zeros", "border", "reflection")
"""In the order of the kernels' numbers."""

LONGEST_SIDE = 2**24
"""Pixels; float32 counts no further."""


@takes_arrays
@precise
def warp(images: Tensor, grid: Tensor, *, padding: str = "zeros") -> Tensor:
    """Samples images at the points of grids, bilinearly: every image at every grid.

    ``out[b, g, c, i, j] = sum_pixels A[g, i, j, pixel] images[b, c, pixel]`` with ``A`` the weights of the four pixels
    around ``grid[g, i, j]``. No image and no coordinate is copied per pair.

    Convention: ``grid[..., 0]`` is x along the width, ``grid[..., 1]`` is y along the height, and -1 and 1 are the
    centres of the outermost pixels (``align_corners=True`` of `torch.nn.functional.grid_sample`); along a side of one
    pixel every coordinate is at that pixel. ``padding`` says what lies beyond: ``"zeros"``; ``"border"``, the nearest
    pixel; ``"reflection"``, the image mirrored at the centres of its outermost pixels. An infinite coordinate counts
    as beyond for the first two and gives NaN with reflection; a NaN coordinate gives NaN, and adds nothing to the
    gradient of the images. Empty batches, channels and grids are allowed, empty images are not. Non-contiguous tensors
    are accepted. float16 and bfloat16 are computed in float32 and rounded once; under autocast tensors are brought to
    the widest of their types.

    float32 and float64 on the CPU, and on a GPU where its kernels were built, run in the compiled kernels: derivatives
    in images and grid by reverse mode, by forward mode and by one over the other, that is, everything of second order
    except forward over forward. The
    result is linear between the lines of pixel centres and has kinks there: the derivative in the grid is then that
    of the side of larger coordinates, as in torch; where border and reflection turn a coordinate back, at and (border)
    beyond the outermost centres, it is zero. All results and gradients have the same bits for any number of threads,
    and those of an image do not depend on the other images. Anything else runs in `symflow.ops.warp_ref`, the same in
    plain torch.

    Args:
        images: ``[B, C, H, W]``, each side at most 16,777,216.
        grid: ``[G, H', W', 2]``, shared by all images, or ``[B, G, H', W', 2]``, one set per image; of the images'
            dtype and device.
        padding: "zeros", "border" or "reflection".

    Returns:
        ``[B, G, C, H', W']``.

    Raises:
        TypeError: ``images`` or ``grid`` is no floating-point tensor.
        ValueError: a shape, dtype, device or the padding does not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have.

    >>> image = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> points = torch.tensor([[[[0.0, 0.0], [1.0, -0.5]]]])
    >>> warp(image, points).tolist()
    [[[[[1.5, 1.5]]]]]
    """
    _check(images, grid, padding)
    if grid.dim() == 4:
        grid = grid[None]
    device = images.device.type
    compiled = _ext.built if device == "cpu" else _ext.cuda and device == "cuda"
    return (warp_kernel if compiled and images.dtype in KERNEL_DTYPES else warp_ref)(images, grid, padding)


def _check(images: Tensor, grid: Tensor, padding: str) -> None:
    check_floating_point(images=images, grid=grid)
    if images.dim() != 4:
        raise ValueError(f"`images` must have shape [B, C, H, W], got {list(images.shape)}")
    if grid.dim() not in (4, 5) or grid.shape[-1] != 2:
        raise ValueError(f"`grid` must have shape [G, H', W', 2] or [B, G, H', W', 2], got {list(grid.shape)}")
    if grid.dim() == 5 and grid.shape[0] != images.shape[0]:
        raise ValueError(
            f"`grid` must have one set of grids for each of the {images.shape[0]} images, got {grid.shape[0]}"
        )
    if not 1 <= min(images.shape[2:]) <= max(images.shape[2:]) <= LONGEST_SIDE:
        raise ValueError(f"`images` must have sides of 1 to {LONGEST_SIDE} pixels, got {list(images.shape[2:])}")
    check_alike("images", images, grid=grid)
    check_padding(padding)
    check_room("grid", images, *images.shape[:2], *grid.shape[-4:-1])


def check_padding(padding: str) -> None:
    if padding not in PADDINGS:
        raise ValueError(f"`padding` must be one of {', '.join(PADDINGS)}, got {padding!r}")


def warp_ref(images: Tensor, grid: Tensor, padding: str = "zeros") -> Tensor:
    """The warp in plain torch: any device and dtype, derivatives of any order and in forward mode.

    It stores indices and weights for every pair of image and grid. This is what the kernels are tested against.

    Args:
        images: ``[B, C, H, W]``.
        grid: ``[S, G, H', W', 2]`` with ``S = 1`` (shared by all images) or ``S = B``.
        padding: one of `PADDINGS`.

    Returns:
        ``[B, G, C, H', W']``.
    """
    batch, channels, height, width = images.shape
    x, column = _place(grid[..., 0], width, padding)
    y, row = _place(grid[..., 1], height, padding)
    # One more pixel, of value zero, stands for all pixels outside.
    pixels = torch.cat([images.flatten(2), images.new_zeros(batch, channels, 1)], 2)
    pixels = pixels[:, None].expand(-1, grid.shape[1], -1, -1)

    def corner(down: int, right: int) -> Tensor:
        r, c = row + down, column + right
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        index = torch.where(inside, r * width + c, height * width).flatten(2)[:, :, None]
        index = index.expand(batch, -1, channels, -1)
        found: Tensor = torch.gather(pixels, 3, index).unflatten(3, row.shape[2:])
        return found

    x, y = x[:, :, None], y[:, :, None]
    upper = corner(0, 0) * (1 - x) + corner(0, 1) * x
    lower = corner(1, 0) * (1 - x) + corner(1, 1) * x
    return upper * (1 - y) + lower * y


def _place(coordinate: Tensor, size: int, padding: str) -> tuple[Tensor, Tensor]:
    """The share of the next pixel, and the index of the one at or before the coordinate."""
    last = size - 1
    if size == 1:  # every coordinate is at the one pixel
        u = torch.where(coordinate.isnan(), coordinate, 0 * coordinate.nan_to_num(0, 0, 0))
    else:
        u = (coordinate + 1) * (last / 2)
        if padding == "zeros":
            u = torch.where((u < -2) | (u > size), u.detach().clamp(-2, size), u)
        elif padding == "reflection":
            u = torch.fmod(u.abs(), 2 * last)
            u = torch.where(u > last, 2 * last - u, u)
        if padding != "zeros":
            u = torch.where((u <= 0) | (u >= last), u.detach().clamp(0, last), u)
    index = u.detach().nan_to_num(0).floor()
    return u - index, index.long()


def warp_kernel(images: Tensor, grid: Tensor, padding: str = "zeros") -> Tensor:
    """The same by the compiled kernels, for float32 and float64 on the CPU.

    Stores its two arguments for its derivatives. All results have the same bits for any number of threads.

    Raises:
        NotImplementedError: a derivative of third order, or forward mode over forward mode, is asked for; `warp_ref`
            has them.
    """
    warped: Tensor = call("warp", _Warp)(images.contiguous(), grid.contiguous(), PADDINGS.index(padding))
    return warped


_MISSING = (
    "the kernels of warp have derivatives up to second order, forward over forward excepted; symflow.ops.warp_ref "
    "computes the same in plain torch, with derivatives of any order"
)


def _contiguous(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    return tuple(t if t is None else t.contiguous() for t in tensors)


def _sum(a: Tensor | None, b: Tensor | None, like: Tensor) -> Tensor:
    """Their sum, where a missing one is zero."""
    if a is not None and b is not None:
        return a + b
    there = b if a is None else a
    return torch.zeros_like(like) if there is None else there


def _jvp(
    images: Tensor, grid: Tensor, images_dot: Tensor | None, grid_dot: Tensor | None, padding: int
) -> Tensor | None:
    """``A images_dot + (grid_dot . dA) images``; None when nothing moves."""
    if images_dot is None and grid_dot is None:
        return None
    derivative: Callable[..., Tensor] = _WarpJvp.apply
    return derivative(images, grid, *_contiguous(images_dot, grid_dot), padding)


def _jvp_backward(
    grad: Tensor,
    images: Tensor,
    grid: Tensor,
    images_dot: Tensor | None,
    grid_dot: Tensor | None,
    padding: int,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """``(grid_dot . dA)^T grad``, ``<grad, dA images_dot + (grid_dot . ddA) images>``; None where zero or unwanted."""
    image_gradient, grid_gradient = wanted[0] and grid_dot is not None, wanted[1]
    if not (image_gradient or grid_gradient) or (images_dot is None and grid_dot is None):
        return None, None
    dots = _contiguous(images_dot, grid_dot)
    found = _WarpJvpBackward.apply(grad, images, grid, *dots, padding, image_gradient, grid_gradient)
    return (found[0] if image_gradient else None, found[1] if grid_gradient else None)


def _backward(
    grad: Tensor, images: Tensor, grid: Tensor, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """``A^T grad`` and ``<grad, dA images>``; None where unwanted."""
    if not any(wanted):
        return None, None
    derivative: Callable[..., tuple[Tensor, Tensor]] = _WarpBackward.apply
    found = derivative(grad, images, grid, padding, *wanted)
    return (found[0] if wanted[0] else None, found[1] if wanted[1] else None)


@kernel("warp")
class _Warp(torch.autograd.Function):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:2])
        ctx.save_for_forward(*inputs[:2])
        ctx.padding = inputs[2]

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
        if grad is None:
            return None, None, None
        images, grid = ctx.saved_tensors
        return (*_backward(grad.contiguous(), images, grid, ctx.padding, ctx.needs_input_grad[:2]), None)

    @staticmethod
    def jvp(ctx: Any, images_dot: Tensor | None, grid_dot: Tensor | None, _: None) -> Tensor | None:
        images, grid = ctx.saved_tensors
        return _jvp(images, grid, images_dot, grid_dot, ctx.padding)


@kernel("warp_backward")
class _WarpBackward(torch.autograd.Function):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:3])
        ctx.save_for_forward(*inputs[:3])
        ctx.padding, *ctx.wanted = inputs[3:]
        ctx.mark_non_differentiable(*(out for out, wanted in zip(output, ctx.wanted, strict=True) if not wanted))

    # <h, A^T g> + <k, <g, dA images>> = <g, A h + (k . dA) images>: the cotangents are tangents of warp.
    @staticmethod
    def backward(ctx: Any, images_dot: Tensor | None, grid_dot: Tensor | None) -> tuple[Any, ...]:
        grad, images, grid = ctx.saved_tensors
        dots = (images_dot if ctx.wanted[0] else None, grid_dot if ctx.wanted[1] else None)
        found = _jvp_backward(grad, images, grid, *dots, ctx.padding, ctx.needs_input_grad[1:3])
        return (_jvp(images, grid, *dots, ctx.padding) if ctx.needs_input_grad[0] else None, *found, *[None] * 3)

    @staticmethod
    def jvp(
        ctx: Any, grad_dot: Tensor | None, images_dot: Tensor | None, grid_dot: Tensor | None, *_: None
    ) -> tuple[Tensor | None, ...]:
        grad, images, grid = ctx.saved_tensors
        first: tuple[Tensor | None, Tensor | None] = (None, None)
        if grad_dot is not None:
            first = _backward(grad_dot.contiguous(), images, grid, ctx.padding, ctx.wanted)
        second = _jvp_backward(grad, images, grid, images_dot, grid_dot, ctx.padding, ctx.wanted)
        tangents = zip(first, second, (images, grid), ctx.wanted, strict=True)
        return tuple(_sum(a, b, like) if wanted else None for a, b, like, wanted in tangents)


@kernel("warp_jvp", _MISSING)
class _WarpJvp(torch.autograd.Function):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:4])
        ctx.save_for_forward(*inputs[:4])  # for a refusal under vmap
        ctx.padding = inputs[4]

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
        if grad is None:
            return (None,) * 5
        images, grid, images_dot, grid_dot = ctx.saved_tensors
        grad, wanted = grad.contiguous(), ctx.needs_input_grad
        first = _jvp_backward(grad, images, grid, images_dot, grid_dot, ctx.padding, wanted[:2])
        return (*first, *_backward(grad, images, grid, ctx.padding, wanted[2:4]), None)


_WarpJvpBackward = last_derivative("warp_jvp_backward", _MISSING)


def _shape(images: Tensor, grid: Tensor, *_: Any) -> Tensor:
    return images.new_empty(images.shape[0], grid.shape[1], images.shape[1], *grid.shape[2:4])


def _shapes_of_gradients(grad: Tensor, images: Tensor, grid: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    image_gradient, grid_gradient = rest[-2:]
    return (
        torch.empty_like(images) if image_gradient else images.new_empty(0),
        torch.empty_like(grid) if grid_gradient else grid.new_empty(0),
    )


if _ext.built:
    register("warp", _Warp.apply, _shape)
    register("warp_backward", _WarpBackward.apply, _shapes_of_gradients)
    register("warp_jvp", _WarpJvp.apply, _shape)
    register("warp_jvp_backward", _WarpJvpBackward.apply, _shapes_of_gradients)
