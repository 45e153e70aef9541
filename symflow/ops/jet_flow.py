"""The flow of truncated polynomials as an operator with derivatives, and the reference it is measured against.

Registered as `symflow.ops.flow` is, with the same derivatives and transforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow import _ext
from symflow.fields import Field
from symflow.ops._registration import one_by_one
from symflow.series import Series, Truncation

# What the lists of the kernels hold: three unknowns to degree 5.
KERNEL_DEGREE = 5
KERNEL_MONOMIALS = 56

_STAGES = (0.0, 0.5, 0.5, 1.0)
_SHARES = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


def jet_flow_ref(field: Field, surface: Series, weights: Tensor, steps: int = 8) -> Series:
    """The flow of truncated polynomials in plain torch: `flow_ref` with `Series` in place of points.

    Any field, truncation, device and dtype; differentiable to any order and in forward mode as far as the field is.

    Args:
        field: K vector fields, normalised.
        surface: ``[C, B, N, d]``, normalised.
        weights: ``[B, K]``.
        steps: at least 1.

    Returns:
        The moved polynomials ``[C, B, N, d]``.
    """
    dt = 1.0 / steps
    for _ in range(steps):
        start, velocity = surface, surface
        for a, b in zip(_STAGES, _SHARES, strict=True):
            stage = start if a == 0 else start + velocity * (a * dt)
            vectors = field.series(stage).coefficients
            velocity = Series(surface.truncation, torch.einsum("bk,cbnkd->cbnd", weights, vectors))
            surface = surface + velocity * (b * dt)
    return surface


def has_kernel(truncation: Truncation) -> bool:
    """Whether the kernels take a truncation: degree at most 5, at most 56 monomials."""
    return truncation.degree <= KERNEL_DEGREE and len(truncation) <= KERNEL_MONOMIALS


def jet_flow_kernel(
    surface: Series, weights: Tensor, layers: Sequence[Tensor], periods: Sequence[float | None], steps: int
) -> Series:
    """The same by the compiled kernels, for the network of `NeuralField`.

    The gradients are those of the discrete flow, exact to rounding. Stores the state at each step, ``steps C N d``
    numbers per row, and no activation. A point's polynomial and gradient have the same bits in any batch, and all
    results have the same bits for any number of threads.

    Args:
        surface: ``[C, B, N, d]``, ``d <= 4``, float32 or float64, on the CPU, of a truncation that `has_kernel`.
        weights: ``[B, K]`` of the same dtype; a head with weight 0 is not evaluated.
        layers: the eight parameters of the network, as in `NeuralField.layers`.
        periods: of each axis, normalised, None where it is not periodic.
        steps: at least 1.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `jet_flow_ref` has them.
    """
    truncation, coefficients = surface.truncation, surface.coefficients
    products = [m for k, pairs in enumerate(truncation.products) for i, j in pairs for m in (i, j, k)]
    save_states = torch.is_grad_enabled() and any(t.requires_grad for t in (coefficients, weights, *layers))
    arguments = [t.contiguous() for t in (coefficients, weights, *layers)]
    # torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same code.
    call = torch.ops.symflow.jet_flow if torch.compiler.is_compiling() else _JetFlow.apply
    return Series(truncation, call(*arguments, [p or 0.0 for p in periods], products, steps, save_states)[0])


_NO_SECOND = (
    "the kernels of jet_flow have first derivatives by reverse mode only; symflow.ops.jet_flow_ref computes the same "
    "flow in plain torch, with forward mode and derivatives of any order"
)


class _JetFlow(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.jet_flow(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        states = output[1]
        ctx.mark_non_differentiable(states)
        ctx.save_for_backward(states, *inputs[:10])
        ctx.periods, ctx.products, ctx.steps = inputs[10:13]

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple:
        states, surface, weights, *layers = ctx.saved_tensors
        if states.shape[0] == 0:  # a transform hid that gradients would be wanted
            states = _JetFlow.apply(surface, weights, *layers, ctx.periods, ctx.products, ctx.steps, True)[1]
        wanted = ctx.needs_input_grad[:10]
        flags = bool(wanted[1]), any(wanted[2:])
        grads = _JetFlowBackward.apply(
            surface, grad.contiguous(), states, weights, *layers, ctx.periods, ctx.products, *flags
        )
        return (*(g if w else None for g, w in zip(grads, wanted, strict=True)), None, None, None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
        raise NotImplementedError(_NO_SECOND)


class _JetFlowBackward(torch.autograd.Function):
    """Takes the surface only so that a second derivative in it arrives here, to be refused."""

    generate_vmap_rule = True

    @staticmethod
    def forward(surface: Tensor | None, *arguments: Any) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.jet_flow_backward(*arguments)

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
    library.impl("jet_flow", _JetFlow.apply, "Autograd")
    library.impl("jet_flow_backward", lambda *a: _JetFlowBackward.apply(None, *a), "Autograd")

    @torch.library.register_fake("symflow::jet_flow")
    def _(surface: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        steps, save_states = rest[-2:]
        return torch.empty_like(surface), surface.new_empty((steps if save_states else 0, *surface.shape))

    @torch.library.register_fake("symflow::jet_flow_backward")
    def _(grad: Tensor, states: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(t) for t in (grad, weights, *rest[:8]))

    @torch.library.register_fake("symflow::silu_taylor")
    def _(x: Tensor) -> Tensor:
        return x.new_empty((KERNEL_DEGREE + 2, *x.shape))

    torch.library.register_vmap("symflow::jet_flow", one_by_one(torch.ops.symflow.jet_flow))
    torch.library.register_vmap("symflow::jet_flow_backward", one_by_one(torch.ops.symflow.jet_flow_backward))
    return library


if _ext.built:
    _library = _register()
