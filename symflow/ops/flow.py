"""The flow of a `NeuralField` as an operator with derivatives, and the reference it is measured against.

Each operator is a `torch.autograd.Function` around its kernel, also registered as the operator's derivative: the first
is what ``torch.func`` understands, the second what ``torch.compile`` does. ``.backward``, ``torch.func.grad``, ``vjp``,
``jacrev`` and ``vmap`` work in eager code, ``.backward`` and ``vmap`` in compiled code; forward mode and second
derivatives raise. (``torch.library.register_autograd`` would answer ``torch.func.jvp`` with zeros.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow import _ext
from symflow.fields import Field
from symflow.ops._registration import one_by_one

KERNEL_DTYPES = (torch.float32, torch.float64)
KERNEL_DIMENSIONS = 4  # d at most
KERNEL_CUDA_WIDTH = 256  # W at most on a GPU

_STAGES = (0.0, 0.5, 0.5, 1.0)
_SHARES = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


def flow_ref(field: Field, points: Tensor, weights: Tensor, steps: int = 8) -> Tensor:
    """The flow in plain torch: the classical Runge-Kutta method of order 4 (Kutta, 1901), ``steps`` equal steps.

    ``V_1 = V(z), V_i = V(z + dt a_i V_{i-1}), z' = z + dt sum_i b_i V_i`` with ``V = sum_k weights[b, k] V_k``.
    Any field, device and dtype; differentiable to any order and in forward mode as far as the field is. It stores
    every activation for its derivatives. This is what the kernels are tested against.

    Args:
        field: K vector fields, normalised.
        points: ``[B, N, d]``, normalised.
        weights: ``[B, K]``.
        steps: at least 1.

    Returns:
        The end points ``[B, N, d]``.
    """
    dt = 1.0 / steps
    for _ in range(steps):
        start, velocity = points, torch.zeros_like(points)
        for a, b in zip(_STAGES, _SHARES, strict=True):
            stage = start if a == 0 else torch.add(start, velocity, alpha=a * dt)
            velocity = torch.einsum("bk,bnkd->bnd", weights, field(stage))
            points = torch.add(points, velocity, alpha=b * dt)
    return points


def flow_kernel(
    points: Tensor, weights: Tensor, layers: Sequence[Tensor], periods: Sequence[float | None], steps: int
) -> Tensor:
    """The same by the compiled kernels, for the network of `NeuralField`.

    The gradients are those of the discrete flow, exact to rounding. Stores the state at each step, ``steps N d``
    numbers per row, and no activation. A point's end point and gradient have the same bits in any batch, and all
    results have the same bits for any number of threads; on a GPU, in every run on that GPU.

    On a GPU float32 products run on tensor cores. As torch does, they round their factors to TF32 only if
    ``torch.backends.cuda.matmul.allow_tf32`` says so (when the forward pass runs; the backward pass does the same);
    otherwise factors are split in two, which keeps the accuracy of float32.

    Args:
        points: ``[B, N, d]``, ``d <= 4``, float32 or float64, on the CPU or, if `symflow._ext.cuda`, on a GPU.
        weights: ``[B, K]`` of the same dtype; a head with weight 0 is not evaluated.
        layers: the eight parameters of the network, as in `NeuralField.layers`; on a GPU the width is at most 256.
        periods: of each axis, normalised, None where it is not periodic.
        steps: at least 1.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `flow_ref` has them.
        RuntimeError: the blocks of a GPU have too little shared memory for this width and dtype.
    """
    save_states = torch.is_grad_enabled() and any(t.requires_grad for t in (points, weights, *layers))
    arguments = [t.contiguous() for t in (points, weights, *layers)]
    # torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same code.
    call = torch.ops.symflow.flow if torch.compiler.is_compiling() else _Flow.apply
    tf32 = points.is_cuda and torch.backends.cuda.matmul.allow_tf32
    return call(*arguments, [p or 0.0 for p in periods], steps, save_states, tf32)[0]


_NO_SECOND = (
    "the kernels of flow have first derivatives by reverse mode only; symflow.ops.flow_ref computes the same flow in "
    "plain torch, with forward mode and derivatives of any order"
)


class _Flow(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.flow(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        states = output[1]
        ctx.mark_non_differentiable(states)
        ctx.save_for_backward(states, *inputs[:10])
        ctx.periods, ctx.steps, _, ctx.tf32 = inputs[10:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple:
        states, points, weights, *layers = ctx.saved_tensors
        if states.shape[0] == 0:  # a transform hid that gradients would be wanted
            states = _Flow.apply(points, weights, *layers, ctx.periods, ctx.steps, True, ctx.tf32)[1]
        wanted = ctx.needs_input_grad[:10]
        grads = _FlowBackward.apply(
            points, grad.contiguous(), states, weights, *layers, ctx.periods, wanted[1], any(wanted[2:]), ctx.tf32
        )
        return (*(g if w else None for g, w in zip(grads, wanted, strict=True)), None, None, None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
        raise NotImplementedError(_NO_SECOND)


class _FlowBackward(torch.autograd.Function):
    """Takes the points only so that a second derivative in them arrives here, to be refused."""

    generate_vmap_rule = True

    @staticmethod
    def forward(points: Tensor | None, *arguments: Any) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.flow_backward(*arguments)

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
    library.impl("flow", _Flow.apply, "Autograd")
    library.impl("flow_backward", lambda *a: _FlowBackward.apply(None, *a), "Autograd")

    @torch.library.register_fake("symflow::flow")
    def _(points: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        steps, save_states, _ = rest[-3:]
        return torch.empty_like(points), points.new_empty((steps if save_states else 0, *points.shape))

    @torch.library.register_fake("symflow::flow_backward")
    def _(grad: Tensor, states: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(t) for t in (grad, weights, *rest[:8]))

    @torch.library.register_fake("symflow::elementary")
    def _(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(x) for _ in range(4))

    torch.library.register_vmap("symflow::flow", one_by_one(torch.ops.symflow.flow))
    torch.library.register_vmap("symflow::flow_backward", one_by_one(torch.ops.symflow.flow_backward))
    return library


if _ext.built:
    _library = _register()
