"""Images warped along flows as one operator with derivatives, and the reference it is measured against.

As in `symflow.ops.flow`: ``.backward``, ``torch.func.grad``, ``vjp``, ``jacrev`` and ``vmap`` work in eager code,
``.backward`` and ``vmap`` in compiled code; forward mode and second derivatives raise. There is an operator for each
kind of field, ``flow_warp`` for `NeuralField` and ``grid_flow_warp`` for `GridField`, with the tensors of the field
after the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow.fields import Field, GridField, NeuralField
from symflow.ops import _ext
from symflow.ops._registration import one_by_one
from symflow.ops.flow import flow_ref
from symflow.ops.warp import PADDINGS, warp_ref


def pixel_points(images: Tensor, size: Sequence[int] | None = None) -> Tensor:
    """The centres of the pixels of ``[..., H, W]`` on their plane, ``[H, W, 2]``: -1 and 1 are the outermost ones.

    With a ``size``, those of so many rows and columns on the same plane. The one pixel of an axis of length 1 is at 0.
    """
    height, width = images.shape[-2:] if size is None else size
    x, y = (
        (2 * torch.arange(n, dtype=torch.float64, device=images.device) - n + 1) / max(n - 1, 1)
        for n in (width, height)
    )
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).to(images.dtype)


def flow_warp_ref(
    field: Field,
    images: Tensor,
    weights: Tensor,
    steps: int = 8,
    padding: str = "zeros",
    size: Sequence[int] | None = None,
) -> Tensor:
    """The same in plain torch: `warp_ref` at the pixels moved by `flow_ref`, with all of their derivatives.

    Args:
        field: two-dimensional, with coordinates ``(x, y)`` of the pixel plane.
        images: ``[B, C, H, W]``.
        weights: ``[S, G, K]`` with ``S = 1`` (shared by all images) or ``S = B``.
        steps: at least 1.
        padding: one of `symflow.ops.warp.PADDINGS`.
        size: rows and columns of the result; by default those of the images.

    Returns:
        ``[B, G, C, *size]``.
    """
    points = pixel_points(images, size)
    rows = weights.flatten(0, 1)
    ends = flow_ref(field, points.view(1, -1, 2).expand(rows.shape[0], -1, -1), rows, steps)
    return warp_ref(images, ends.view(*weights.shape[:2], *points.shape), padding)


def flow_warp_kernel(
    field: NeuralField | GridField,
    images: Tensor,
    weights: Tensor,
    steps: int,
    padding: str,
    size: Sequence[int] | None = None,
) -> Tensor:
    """The same by the compiled kernels, for float32 and float64 on the CPU.

    Neither end points nor states are stored: a thread moves a piece of the pixels in its own memory and samples there,
    and the gradient moves it again. Only the gradient of the images stores the end points while it is computed. All
    results have the same bits for any number of threads.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; ``warp(images, flow(...))`` has those
            of `symflow.warp`, and `flow_warp_ref` all.
    """
    points = pixel_points(images, size)
    periods = [p or 0.0 for p in field.coordinates.normalised_periods]
    tensors: tuple[Tensor, ...]
    if isinstance(field, GridField):
        kind, tensors, box = "grid_flow_warp", (field.values,), [list(field.lower), list(field.upper), periods]
    else:
        kind, tensors, box = "flow_warp", field.layers, [periods]
    arguments = [t.contiguous() for t in (images, points, weights, *tensors)]
    constants = [*box, steps, PADDINGS.index(padding)]
    # torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same code.
    if torch.compiler.is_compiling():
        return getattr(torch.ops.symflow, kind)(*arguments, *constants)
    return _FlowWarp.apply(kind, *arguments, *constants)


_TENSORS = {"flow_warp": 11, "grid_flow_warp": 4}
"""Of each operator: images, points, weights, and the field's."""

_NO_SECOND = (
    "the kernels of flow_warp have first derivatives by reverse mode only; the composition symflow.warp(images, "
    "symflow.flow(...)) has the derivatives of warp, and symflow.ops.flow_warp_ref those of any order in plain torch"
)


class _FlowWarp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(kind: str, *arguments: Any) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return getattr(torch.ops.symflow, kind)(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.kind = inputs[0]
        count = 1 + _TENSORS[ctx.kind]
        ctx.save_for_backward(*inputs[1:count])
        ctx.constants = inputs[count:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        images, _, weights, *field = ctx.needs_input_grad[1 : 1 + _TENSORS[ctx.kind]]
        wanted = (images, weights, any(field))
        grads = _FlowWarpBackward.apply(ctx.kind, grad.contiguous(), *ctx.saved_tensors, *ctx.constants, *wanted)
        found = (g if w else None for g, w in zip(grads, (images, weights, *field), strict=True))
        grad_images, grad_weights, *grad_field = found
        return (None, grad_images, None, grad_weights, *grad_field, *[None] * len(ctx.constants))

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
        raise NotImplementedError(_NO_SECOND)


class _FlowWarpBackward(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            return getattr(torch.ops.symflow, f"{kind}_backward")(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple:
        raise NotImplementedError(_NO_SECOND)

    jvp = backward


def _register(kind: str, library: torch.library.Library) -> None:
    """The meta kernels, derivatives and batching of an operator; they last as long as the library."""
    library.impl(kind, lambda *a: _FlowWarp.apply(kind, *a), "Autograd")
    library.impl(f"{kind}_backward", lambda *a: _FlowWarpBackward.apply(kind, *a), "Autograd")

    @torch.library.register_fake(f"symflow::{kind}")
    def _(images: Tensor, points: Tensor, weights: Tensor, *_: Any) -> Tensor:
        return images.new_empty(images.shape[0], weights.shape[1], images.shape[1], *points.shape[:2])

    @torch.library.register_fake(f"symflow::{kind}_backward")
    def _(grad: Tensor, images: Tensor, points: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(t) for t in (images, *rest[: _TENSORS[kind] - 2]))

    for name in (kind, f"{kind}_backward"):
        torch.library.register_vmap(f"symflow::{name}", one_by_one(getattr(torch.ops.symflow, name)))


if _ext.built:
    _library = torch.library.Library("symflow", "FRAGMENT")
    for _kind in _TENSORS:
        _register(_kind, _library)
