"""The registration that the operators of a network's flow share: first derivatives by reverse mode.

An operator ``name`` takes points or jets, weights, the eight layers, constants, the number of steps, whether to save
the states, and options; it gives the end and the states. ``name_backward`` takes the gradient of the end, the states,
weights, layers, constants, which gradients are wanted, and the options. Each is a `torch.autograd.Function` around its
kernel, also registered as the operator's derivative: the first is what ``torch.func`` understands, the second what
``torch.compile`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow.ops._registration import one_by_one

TENSORS = 10  # points or jets, weights, eight layers


class FlowOperator:
    """The operator ``symflow::name``, whose reference is ``symflow.ops.name_ref``.

    Calls as the operator does. ``.backward``, ``torch.func.grad``, ``vjp``, ``jacrev`` and ``vmap`` work in eager code,
    ``.backward`` and ``vmap`` in compiled code; forward mode and second derivatives raise. The registrations last as
    long as the object. (``torch.library.register_autograd`` would answer ``torch.func.jvp`` with zeros.)
    """

    def __init__(self, name: str, options: int = 0) -> None:
        self.operator, operator_backward = (getattr(torch.ops.symflow, n) for n in (name, f"{name}_backward"))
        self.function, backward = _functions(name, options, self.operator, operator_backward)
        self.library = torch.library.Library("symflow", "FRAGMENT")
        self.library.impl(name, self.function.apply, "Autograd")
        self.library.impl(f"{name}_backward", lambda *a: backward.apply(None, *a), "Autograd")

        @torch.library.register_fake(f"symflow::{name}")
        def _(points: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
            steps, save_states = rest[: len(rest) - options][-2:]
            return torch.empty_like(points), points.new_empty((steps if save_states else 0, *points.shape))

        @torch.library.register_fake(f"symflow::{name}_backward")
        def _(grad: Tensor, states: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, ...]:
            return tuple(torch.empty_like(t) for t in (grad, weights, *rest[: TENSORS - 2]))

        torch.library.register_vmap(f"symflow::{name}", one_by_one(self.operator))
        torch.library.register_vmap(f"symflow::{name}_backward", one_by_one(operator_backward))

    def __call__(self, *arguments: Any, options: Sequence[Any] = ()) -> Tensor:
        """The end of the flow. ``arguments`` are those before ``save_states``, which is decided here."""
        save_states = torch.is_grad_enabled() and any(t.requires_grad for t in arguments[:TENSORS])
        tensors = [t.contiguous() for t in arguments[:TENSORS]]
        # torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same code.
        call = self.operator if torch.compiler.is_compiling() else self.function.apply
        return call(*tensors, *arguments[TENSORS:], save_states, *options)[0]


def _functions(
    name: str, options: int, operator: Any, operator_backward: Any
) -> tuple[type[torch.autograd.Function], type[torch.autograd.Function]]:
    no_second = (
        f"the kernels of {name} have first derivatives by reverse mode only; symflow.ops.{name}_ref computes the same "
        "flow in plain torch, with forward mode and derivatives of any order"
    )

    class Flow(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
            with torch._C._AutoDispatchBelowAutograd():
                return operator(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
            states = output[1]
            ctx.mark_non_differentiable(states)
            ctx.save_for_backward(states, *inputs[:TENSORS])
            end = len(inputs) - options
            ctx.constants, ctx.steps, ctx.options = inputs[TENSORS : end - 2], inputs[end - 2], inputs[end:]

        @staticmethod
        def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple:
            states, points, weights, *layers = ctx.saved_tensors
            if states.shape[0] == 0:  # a transform hid that gradients would be wanted
                states = Flow.apply(points, weights, *layers, *ctx.constants, ctx.steps, True, *ctx.options)[1]
            wanted = ctx.needs_input_grad[:TENSORS]
            flags = bool(wanted[1]), any(wanted[2:])
            grads = Backward.apply(
                points, grad.contiguous(), states, weights, *layers, *ctx.constants, *flags, *ctx.options
            )
            others = len(ctx.needs_input_grad) - TENSORS
            return (*(g if w else None for g, w in zip(grads, wanted, strict=True)), *[None] * others)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
            raise NotImplementedError(no_second)

    class Backward(torch.autograd.Function):
        """Takes the points only so that a second derivative in them arrives here, to be refused."""

        generate_vmap_rule = True

        @staticmethod
        def forward(points: Tensor | None, *arguments: Any) -> tuple[Tensor, ...]:
            with torch._C._AutoDispatchBelowAutograd():
                return operator_backward(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple:
            raise NotImplementedError(no_second)

        jvp = backward

    return Flow, Backward
