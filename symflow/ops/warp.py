"""Bilinear sampling of images as an operator with derivatives, and the reference it is measured against.

With A the sampling matrix of a grid, everything up to second order is made of ``A``, its derivative ``dA`` along a
velocity of the grid and, of bilinear interpolation, the mixed second derivative ``ddA``: four operators, `warp`,
`warp_backward`, `warp_jvp` and `warp_jvp_backward`, whose derivatives are each other. Forward mode, reverse mode and
one over the other stay on the kernels; forward over forward and third derivatives raise.

Each operator is a `torch.autograd.Function` around its kernel, also registered as the operator's derivative: the first
is what ``torch.func`` understands, the second what ``torch.compile`` does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symflow.ops import _ext
from symflow.ops._registration import one_by_one

PADDINGS = ("zeros", "border", "reflection")
"""In the order of the kernels' numbers."""

LONGEST_SIDE = 2**24
"""Pixels; float32 counts no further."""


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
        return torch.gather(pixels, 3, index).unflatten(3, row.shape[2:])

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
    # torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same code.
    call = torch.ops.symflow.warp if torch.compiler.is_compiling() else _Warp.apply
    return call(images.contiguous(), grid.contiguous(), PADDINGS.index(padding))


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


def _jvp(images: Tensor, grid: Tensor, images_dot: Tensor | None, grid_dot: Tensor | None, padding: int) -> Any:
    """``A images_dot + (grid_dot . dA) images``; None when nothing moves."""
    if images_dot is None and grid_dot is None:
        return None
    return _WarpJvp.apply(images, grid, *_contiguous(images_dot, grid_dot), padding)


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
    found = _WarpBackward.apply(grad, images, grid, padding, *wanted)
    return (found[0] if wanted[0] else None, found[1] if wanted[1] else None)


class _Warp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(images: Tensor, grid: Tensor, padding: int) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.warp(images, grid, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:2])
        ctx.save_for_forward(*inputs[:2])
        ctx.padding = inputs[2]

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple:
        if grad is None:
            return None, None, None
        images, grid = ctx.saved_tensors
        return (*_backward(grad.contiguous(), images, grid, ctx.padding, ctx.needs_input_grad[:2]), None)

    @staticmethod
    def jvp(ctx: Any, images_dot: Tensor | None, grid_dot: Tensor | None, _: None) -> Tensor | None:
        images, grid = ctx.saved_tensors
        return _jvp(images, grid, images_dot, grid_dot, ctx.padding)


class _WarpBackward(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(grad: Tensor, images: Tensor, grid: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.warp_backward(grad, images, grid, *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:3])
        ctx.save_for_forward(*inputs[:3])
        ctx.padding, *ctx.wanted = inputs[3:]
        ctx.mark_non_differentiable(*(out for out, wanted in zip(output, ctx.wanted, strict=True) if not wanted))

    # <h, A^T g> + <k, <g, dA images>> = <g, A h + (k . dA) images>: the cotangents are tangents of warp.
    @staticmethod
    def backward(ctx: Any, images_dot: Tensor | None, grid_dot: Tensor | None) -> tuple:
        grad, images, grid = ctx.saved_tensors
        dots = (images_dot if ctx.wanted[0] else None, grid_dot if ctx.wanted[1] else None)
        found = _jvp_backward(grad, images, grid, *dots, ctx.padding, ctx.needs_input_grad[1:3])
        return (_jvp(images, grid, *dots, ctx.padding) if ctx.needs_input_grad[0] else None, *found, *[None] * 3)

    @staticmethod
    def jvp(ctx: Any, grad_dot: Tensor | None, images_dot: Tensor | None, grid_dot: Tensor | None, *_: None) -> tuple:
        grad, images, grid = ctx.saved_tensors
        first: tuple[Tensor | None, Tensor | None] = (None, None)
        if grad_dot is not None:
            first = _backward(grad_dot.contiguous(), images, grid, ctx.padding, ctx.wanted)
        second = _jvp_backward(grad, images, grid, images_dot, grid_dot, ctx.padding, ctx.wanted)
        tangents = zip(first, second, (images, grid), ctx.wanted, strict=True)
        return tuple(_sum(a, b, like) if wanted else None for a, b, like, wanted in tangents)


class _WarpJvp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.warp_jvp(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:4])
        ctx.save_for_forward(*inputs[:4])  # for a refusal under vmap
        ctx.padding = inputs[4]

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple:
        if grad is None:
            return (None,) * 5
        images, grid, images_dot, grid_dot = ctx.saved_tensors
        grad, wanted = grad.contiguous(), ctx.needs_input_grad
        first = _jvp_backward(grad, images, grid, images_dot, grid_dot, ctx.padding, wanted[:2])
        return (*first, *_backward(grad, images, grid, ctx.padding, wanted[2:4]), None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
        raise NotImplementedError(_MISSING)


class _WarpJvpBackward(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.warp_jvp_backward(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple:
        raise NotImplementedError(_MISSING)

    jvp = backward


def _register() -> torch.library.Library:
    """Meta kernels, derivatives and batching of the operators; they last as long as the library returned."""
    library = torch.library.Library("symflow", "FRAGMENT")
    functions = {"warp": _Warp, "warp_backward": _WarpBackward, "warp_jvp": _WarpJvp}
    for name, function in {**functions, "warp_jvp_backward": _WarpJvpBackward}.items():
        library.impl(name, function.apply, "Autograd")
        torch.library.register_vmap(f"symflow::{name}", one_by_one(getattr(torch.ops.symflow, name)))

    def result(images: Tensor, grid: Tensor, *_: Any) -> Tensor:
        return images.new_empty(images.shape[0], grid.shape[1], images.shape[1], *grid.shape[2:4])

    def gradients(grad: Tensor, images: Tensor, grid: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        image_gradient, grid_gradient = rest[-2:]
        return (
            torch.empty_like(images) if image_gradient else images.new_empty(0),
            torch.empty_like(grid) if grid_gradient else grid.new_empty(0),
        )

    for name in ("warp", "warp_jvp"):
        torch.library.register_fake(f"symflow::{name}", result)
    for name in ("warp_backward", "warp_jvp_backward"):
        torch.library.register_fake(f"symflow::{name}", gradients)
    return library


if _ext.built:
    _library = _register()
