"""The flow of a `GridField` as an operator with derivatives, and the reference it is measured against.

As in `symflow.ops.flow`: ``.backward``, ``torch.func.grad``, ``vjp``, ``jacrev`` and ``vmap`` work in eager code,
``.backward`` and ``vmap`` in compiled code; forward mode and second derivatives raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow.fields import GridField, Table
from symflow.ops import _ext
from symflow.ops._registration import one_by_one
from symflow.ops.flow import flow_ref

CUDA_DIMENSIONS = 3  # d at most on a GPU


def grid_flow_ref(field: GridField | Table, points: Tensor, weights: Tensor, steps: int = 8) -> Tensor:
    """The flow of a table in plain torch: `flow_ref` over the field, with all derivatives within the cells."""
    return flow_ref(field, points, weights, steps)


def grid_flow_kernel(
    points: Tensor,
    weights: Tensor,
    values: Tensor,
    lower: Sequence[float],
    upper: Sequence[float],
    periods: Sequence[float | None],
    steps: int,
) -> Tensor:
    """The same by the compiled kernels.

    The table ``sum_k weights[b, k] values[k]`` of each row is formed first, without the zero weights; then every
    point takes its steps in it. The gradients are those of the discrete flow, exact to rounding; on a node they take
    the cell above. Stores the state at each step, ``steps N d`` numbers per row, and one table per thread, on a GPU
    one per row. A point's end point and gradient have the same bits in any batch, and all results have the same bits
    for any number of threads.

    Args:
        points: ``[B, N, d]``, float32 or float64, ``d <= 4`` on the CPU and ``d <= 3`` on a GPU.
        weights: ``[B, K]`` of the same dtype and device.
        values: ``[K, n_1, ..., n_d, d]``, as in `GridField`.
        lower: the first node of each axis, normalised.
        upper: the last node of each axis, or its end where it is periodic.
        periods: of each axis, normalised, None where it is not periodic.
        steps: at least 1.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `grid_flow_ref` has them.
    """
    save_states = torch.is_grad_enabled() and any(t.requires_grad for t in (points, weights, values))
    arguments = [t.contiguous() for t in (points, weights, values)]
    # torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same code.
    call = torch.ops.symflow.grid_flow if torch.compiler.is_compiling() else _GridFlow.apply
    return call(*arguments, list(lower), list(upper), [p or 0.0 for p in periods], steps, save_states)[0]


_NO_SECOND = (
    "the kernels of flow on a grid have first derivatives by reverse mode only; symflow.ops.grid_flow_ref computes the "
    "same flow in plain torch, with forward mode and derivatives of any order"
)


class _GridFlow(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.grid_flow(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        states = output[1]
        ctx.mark_non_differentiable(states)
        ctx.save_for_backward(states, *inputs[:3])
        ctx.box, ctx.steps = inputs[3:6], inputs[6]

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple:
        states, points, weights, values = ctx.saved_tensors
        if states.shape[0] == 0:  # a transform hid that gradients would be wanted
            states = _GridFlow.apply(points, weights, values, *ctx.box, ctx.steps, True)[1]
        wanted = ctx.needs_input_grad[:3]
        grads = _GridFlowBackward.apply(points, grad.contiguous(), states, weights, values, *ctx.box, *wanted[1:])
        return (*(g if w else None for g, w in zip(grads, wanted, strict=True)), None, None, None, None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
        raise NotImplementedError(_NO_SECOND)


class _GridFlowBackward(torch.autograd.Function):
    """Takes the points only so that a second derivative in them arrives here, to be refused."""

    generate_vmap_rule = True

    @staticmethod
    def forward(points: Tensor | None, *arguments: Any) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.grid_flow_backward(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple:
        raise NotImplementedError(_NO_SECOND)

    jvp = backward


def _register() -> torch.library.Library:
    """Meta kernels, derivatives and batching of the operators; they last as long as the library returned."""
    library = torch.library.Library("symflow", "FRAGMENT")
    library.impl("grid_flow", _GridFlow.apply, "Autograd")
    library.impl("grid_flow_backward", lambda *a: _GridFlowBackward.apply(None, *a), "Autograd")

    @torch.library.register_fake("symflow::grid_flow")
    def _(points: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        steps, save_states = rest[-2:]
        return torch.empty_like(points), points.new_empty((steps if save_states else 0, *points.shape))

    @torch.library.register_fake("symflow::grid_flow_backward")
    def _(grad: Tensor, states: Tensor, weights: Tensor, values: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(t) for t in (grad, weights, values))

    torch.library.register_vmap("symflow::grid_flow", one_by_one(torch.ops.symflow.grid_flow))
    torch.library.register_vmap("symflow::grid_flow_backward", one_by_one(torch.ops.symflow.grid_flow_backward))
    return library


if _ext.built:
    _library = _register()
