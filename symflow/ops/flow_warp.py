"""Images moved along vector fields of the pixel plane, in one operation.

There is an operator for each kind of field, ``flow_warp`` for `NeuralField` and ``grid_flow_warp`` for `GridField`,
with the tensors of the field after the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow.arrays import takes_arrays
from symflow.fields import Field, GridField, NeuralField
from symflow.ops import _ext
from symflow.ops._arguments import check_field, check_floating_point, check_is_field, check_room, check_steps
from symflow.ops._flow_operator import NETWORK
from symflow.ops._precision import precise
from symflow.ops._registration import call, kernel, last_derivative, register
from symflow.ops.flow import flow, flow_ref, has_kernel
from symflow.ops.warp import LONGEST_SIDE, PADDINGS, check_padding, warp, warp_ref

Size = Sequence[int] | None
"""Rows and columns of a result; None: those of the images."""


@takes_arrays
@precise
def flow_warp(
    field: Field,
    images: Tensor,
    weights: Tensor,
    *,
    steps: int = 8,
    padding: str = "zeros",
    size: Size = None,
) -> Tensor:
    """Moves images along vector fields: ``warp(images, flow(field, pixels, weights))`` in one operation.

    ``result[b, g, :, i, j]`` is image b at the end of the flow of ``sum_k weights[(b,) g, k] V_k`` that starts at the
    centre of pixel (i, j), by bilinear interpolation. So the image moves against the field: the pull-back along it.

    Convention: the field is two-dimensional with coordinates ``(x, y)`` of the pixel plane, normalised: -1 and 1 are
    the centres of the outermost pixels, x along W and y along H, and the one pixel of an axis of length 1 is at 0.
    ``padding`` says what is outside the image: zeros, the nearest edge ("border"), or the image reflected at the
    centres of its outermost pixels. With a ``size`` the result has so many rows and columns on the same plane, whatever
    the images have. ``B``, ``C`` or ``G = 0`` are allowed. Non-contiguous tensors are accepted. float16 and bfloat16
    are computed in float32 and rounded once; under autocast tensors are brought to the widest of their types.

    A `NeuralField` or `GridField` in float32 or float64 on the CPU runs in the compiled kernels, which keep neither
    coordinates nor states: they move as many pixels as fit a cache and sample there. They have first derivatives by
    reverse mode, the exact ones of the discrete flow and of the interpolation, for images, weights and the field's
    parameters; those of the images take the memory of the coordinates while they are computed. All results have the
    same bits for any number of threads, and an image's do not depend on the others. Anything else, on a
    GPU too, is the composition of `symflow.flow` and `symflow.warp`, with its derivatives.

    Args:
        field: K vector fields on R^2.
        images: ``[B, C, H, W]``, H and W at least 1.
        weights: ``[G, K]``, every image moved by every row, or ``[B, G, K]``, own rows for each image.
        steps: of the classical Runge-Kutta method of order 4, at least 1.
        padding: "zeros", "border" or "reflection".
        size: rows and columns of the result, at least 1; by default H and W.

    Returns:
        ``[B, G, C, *size]``.

    Raises:
        TypeError: ``images`` or ``weights`` is no floating-point tensor, or ``steps`` no integer.
        ValueError: the field is not two-dimensional, or a shape, dtype, device, number of steps, padding or size does
            not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have: forward mode, second order. The
            composition ``symflow.warp(images, symflow.flow(...))`` has those of warp.

    >>> import torch
    >>> from symflow import Coordinates, GridField
    >>> right = torch.tensor([1.0, 0.0]).expand(1, 2, 2, 2)
    >>> field = GridField(Coordinates(("x", "y")), right, (-1.0, -1.0), (1.0, 1.0))
    >>> image = torch.tensor([[1.0, 2.0, 3.0]]).expand(1, 1, 3, 3)
    >>> flow_warp(field, image, torch.tensor([[1.0], [-1.0]]))[0, :, 0, 1].tolist()
    [[2.0, 3.0, 0.0], [0.0, 1.0, 2.0]]
    """
    _check(field, images, weights, steps, padding, size)
    sets = weights[None] if weights.dim() == 2 else weights
    if images.device.type == "cpu" and has_kernel(field, images):
        return flow_warp_kernel(field, images, sets, steps, padding, size)
    points, rows = pixel_points(images, size), sets.flatten(0, 1)
    ends = flow(field, points.view(1, -1, 2).expand(len(rows), -1, -1), rows, steps=steps)
    return warp(images, ends.view(*weights.shape[:-1], *points.shape), padding=padding)


def _check(field: Field, images: Tensor, weights: Tensor, steps: int, padding: str, size: Size) -> None:
    check_floating_point(images=images, weights=weights)
    check_is_field(field)
    if field.coordinates.dimension != 2:
        raise ValueError(f"`field` must have the 2 coordinates of the pixel plane, got {field.coordinates.dimension}")
    sides = images.shape[2:]
    if images.dim() != 4 or 0 in sides or max(sides) > LONGEST_SIDE:
        raise ValueError(
            f"`images` must have shape [B, C, H, W] with H and W from 1 to {LONGEST_SIDE}, got {list(images.shape)}"
        )
    batch, generators = images.shape[0], field.generators
    if weights.dim() not in (2, 3) or weights.shape[-1] != generators or weights.shape[:-2] not in ((), (batch,)):
        raise ValueError(
            f"`weights` must have shape [G, K] or [B, G, K] with K = {generators} and B = {batch}, "
            f"got {list(weights.shape)}"
        )
    check_field(field, "images", images, weights)
    check_steps(steps)
    check_padding(padding)
    if size is not None and not _is_size(size):
        raise ValueError(f"`size` must be rows and columns, each from 1 to {LONGEST_SIDE}, got {size!r}")
    results = images.shape[:2].numel() * weights.shape[-2]
    asks, extent = ("images", tuple(sides)) if size is None else ("size", tuple(size))
    check_room(asks, images, max(results, 2), *extent)  # 2: the centres of the pixels


def _is_size(size: object) -> bool:
    sides = size if isinstance(size, Sequence) else ()
    return len(sides) == 2 and all(type(n) is int and 1 <= n <= LONGEST_SIDE for n in sides)


def pixel_points(images: Tensor, size: Size = None) -> Tensor:
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
    field: Field, images: Tensor, weights: Tensor, steps: int = 8, padding: str = "zeros", size: Size = None
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
    size: Size = None,
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
        operator, tensors, box = _grid_flow_warp, (field.values,), [list(field.lower), list(field.upper), periods]
    else:
        operator, tensors, box = _flow_warp, field.layers, [periods]
    return operator(images, points, weights, *tensors, *box, steps, PADDINGS.index(padding))


_REFUSAL = (
    "the kernels of flow_warp have first derivatives by reverse mode only; the composition symflow.warp(images, "
    "symflow.flow(...)) has the derivatives of warp, and symflow.ops.flow_warp_ref those of any order in plain torch"
)


class _FlowWarpOperator:
    """An operator with so many tensors of a field; calls as it does.

    ``.backward``, ``torch.func.grad``, ``vjp``, ``jacrev`` and ``vmap`` work in eager code, ``.backward`` and ``vmap``
    in compiled code; forward mode and second derivatives raise.
    """

    def __init__(self, name: str, field: int) -> None:
        self.name, self.tensors = name, 3 + field  # images, points, weights
        backward = last_derivative(f"{name}_backward", _REFUSAL)
        self.function = _function(name, backward, self.tensors)

        def shape(images: Tensor, points: Tensor, weights: Tensor, *_: Any) -> Tensor:
            return images.new_empty(images.shape[0], weights.shape[1], images.shape[1], *points.shape[:2])

        def shapes_backward(grad: Tensor, images: Tensor, points: Tensor, *rest: Any) -> tuple[Tensor, ...]:
            return tuple(torch.empty_like(t) for t in (images, *rest[: 1 + field]))

        register(name, self.function.apply, shape)
        register(f"{name}_backward", backward.apply, shapes_backward)

    def __call__(self, *arguments: Any) -> Tensor:
        tensors = (t.contiguous() for t in arguments[: self.tensors])
        warped: Tensor = call(self.name, self.function)(*tensors, *arguments[self.tensors :])
        return warped


def _function(name: str, last: Any, tensors: int) -> Any:
    @kernel(name, _REFUSAL)
    class FlowWarp(torch.autograd.Function):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs[:tensors])
            ctx.constants = inputs[tensors:]

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
            images, _, weights, *field = ctx.needs_input_grad[:tensors]
            wanted = (images, weights, any(field))
            grads = last.apply(grad.contiguous(), *ctx.saved_tensors, *ctx.constants, *wanted)
            found = (g if w else None for g, w in zip(grads, (images, weights, *field), strict=True))
            grad_images, grad_weights, *grad_field = found
            return (grad_images, None, grad_weights, *grad_field, *[None] * len(ctx.constants))

    return FlowWarp


if _ext.built:
    _flow_warp = _FlowWarpOperator("flow_warp", NETWORK)
    _grid_flow_warp = _FlowWarpOperator("grid_flow_warp", 1)
