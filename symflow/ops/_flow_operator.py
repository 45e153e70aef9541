"""The registration that the operators of flows share: first derivatives by reverse mode.

An operator ``name`` takes points or jets, weights, the tensors of the field, constants, the number of steps, whether to
save the states, and options; it gives the end and the states. ``name_backward`` takes the gradient of the end, the
states, weights, the field's tensors, constants, whether the gradients of weights and of the field are wanted, and the
options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from symflow.ops._registration import call, kernel, last_derivative, register

NETWORK = 8
"""The layers of a `NeuralField`."""


class FlowOperator:
    """The operator ``symflow::name``, whose reference is ``symflow.ops.name_ref``, with so many tensors of a field.

    Calls as the operator does. ``.backward``, ``torch.func.grad``, ``vjp``, ``jacrev`` and ``vmap`` work in eager code,
    ``.backward`` and ``vmap`` in compiled code; forward mode and second derivatives raise.
    """

    def __init__(self, name: str, field: int = NETWORK, options: int = 0) -> None:
        self.name, self.tensors = name, 2 + field
        self.function, backward = _functions(name, self.tensors, options)

        def shapes(points: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
            steps, save_states = rest[: len(rest) - options][-2:]
            return torch.empty_like(points), points.new_empty((steps if save_states else 0, *points.shape))

        def shapes_backward(grad: Tensor, states: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, ...]:
            return tuple(torch.empty_like(t) for t in (grad, weights, *rest[:field]))

        register(name, self.function.apply, shapes)
        register(f"{name}_backward", lambda *a: backward.apply(None, *a), shapes_backward)

    def __call__(self, *arguments: Any, options: Sequence[Any] = ()) -> Tensor:
        """The end of the flow. ``arguments`` are those before ``save_states``, which is decided here."""
        tensors = arguments[: self.tensors]
        save_states = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
        inputs = (*(t.contiguous() for t in tensors), *arguments[self.tensors :], save_states, *options)
        end: Tensor = call(self.name, self.function)(*inputs)[0]
        return end


def _functions(name: str, tensors: int, options: int) -> tuple[Any, Any]:
    """Around the operator and around its derivative."""
    refusal = (
        f"the kernels of {name} have first derivatives by reverse mode only; symflow.ops.{name}_ref computes the same "
        "flow in plain torch, with forward mode and derivatives of any order"
    )

    # The points are there only so that a second derivative in them is refused.
    last = last_derivative(f"{name}_backward", refusal, unused=1)

    @kernel(name, refusal)
    class Flow(torch.autograd.Function):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
            states = output[1]
            ctx.mark_non_differentiable(states)
            ctx.save_for_backward(states, *inputs[:tensors])
            end = len(inputs) - options
            ctx.constants, ctx.steps, ctx.options = inputs[tensors : end - 2], inputs[end - 2], inputs[end:]

        @staticmethod
        def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
            states, points, weights, *field = ctx.saved_tensors
            if states.shape[0] == 0:  # a transform hid that gradients would be wanted
                again: Callable[..., tuple[Tensor, Tensor]] = Flow.apply
                states = again(points, weights, *field, *ctx.constants, ctx.steps, True, *ctx.options)[1]
            wanted = ctx.needs_input_grad[:tensors]
            flags = bool(wanted[1]), any(wanted[2:])
            grads = last.apply(points, grad.contiguous(), states, weights, *field, *ctx.constants, *flags, *ctx.options)
            others = len(ctx.needs_input_grad) - tensors
            return (*(g if w else None for g, w in zip(grads, wanted, strict=True)), *[None] * others)

    return Flow, last
