"""What the registration of every operator shares.

An operator ``symflow::name`` is compiled; around it stands a `torch.autograd.Function`, which is also registered as the
operator's derivative: the first is what ``torch.func`` understands, the second what ``torch.compile`` does.
(``torch.library.register_autograd`` would answer ``torch.func.jvp`` with zeros.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Rule = Callable[[Any], Callable[..., Any]]
"""From an operator to how it is batched by vmap."""


def operator(name: str) -> Any:
    return getattr(torch.ops.symflow, name)


def kernel(name: str, refusal: str | None = None, unused: int = 0) -> Callable[[Any], Any]:
    """Makes a Function of derivatives the one around an operator. With a ``refusal`` it has none in forward mode.

    The first ``unused`` arguments are not the operator's: derivatives in them arrive here, to be refused.
    """

    def forward(*arguments: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return operator(name)(*arguments[unused:])

    def refuse(ctx: Any, *tangents: Any) -> Any:
        raise NotImplementedError(refusal)

    def around(function: Any) -> Any:
        function.generate_vmap_rule = True
        function.forward = staticmethod(forward)
        if refusal is not None:
            function.jvp = staticmethod(refuse)
        return function

    return around


def last_derivative(name: str, refusal: str, unused: int = 0) -> Any:
    """The Function around an operator whose own derivatives are refused."""

    @kernel(name, refusal, unused)
    class LastDerivative(torch.autograd.Function):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            raise NotImplementedError(refusal)

    return LastDerivative


def call(name: str, function: Any) -> Any:
    """What to call: torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same
    code."""
    return operator(name) if torch.compiler.is_compiling() else function.apply


def one_by_one(op: Callable[..., Tensor | tuple[Tensor, ...]]) -> Callable[..., Any]:
    """A vmap rule that makes one call after another, for operators with a batch dimension of their own."""

    def rule(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Any, Any]:
        def call(i: int) -> Any:
            # A list (the periods) comes with a list of dimensions, a tensor without one with None.
            pairs = zip(arguments, in_dims, strict=True)
            return op(*(a.select(dim, i).contiguous() if isinstance(dim, int) else a for a, dim in pairs))

        results = [call(i) for i in range(info.batch_size)]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        return tuple(torch.stack(r) for r in zip(*results, strict=True)), (0,) * len(results[0])

    return rule


def merged(tensors: int) -> Rule:
    """A vmap rule for operators whose first arguments, so many tensors, are batches of independent problems: with one
    more batch they are longer ones."""

    def rule_of(op: Any) -> Callable[..., Any]:
        def rule(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Any, Any]:
            batched = [
                a.movedim(dim, 0) if isinstance(dim, int) else a.expand(info.batch_size, *a.shape)
                for a, dim in zip(arguments[:tensors], in_dims[:tensors], strict=True)
            ]
            result = op(*(a.flatten(0, 1) for a in batched), *arguments[tensors:])
            if isinstance(result, Tensor):
                return result.unflatten(0, batched[0].shape[:2]), 0
            return tuple(r.unflatten(0, batched[0].shape[:2]) for r in result), (0,) * len(result)

        return rule

    return rule_of


_library = torch.library.Library("symflow", "FRAGMENT")
"""The registrations last as long as this does."""


def register(name: str, derivative: Callable[..., Any], meta: Callable[..., Any], rule: Rule = one_by_one) -> None:
    """An operator's derivative, the shapes of its results, and how it is batched."""
    _library.impl(name, derivative, "Autograd")
    torch.library.register_fake(f"symflow::{name}", meta)
    torch.library.register_vmap(f"symflow::{name}", rule(operator(name)))


def register_kernel(name: str, function: Callable[..., Any]) -> None:
    """An operator that is made of others, on every device."""
    for device in ("CPU", "CUDA"):
        _library.impl(name, function, device)
