"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., 2024, arXiv 2409.11321).

The generators that are hard to learn are those to which the loss is steep in few directions and flat in the others.
Adam scales single parameters, and a rotation of them escapes it; this one scales them after the rotation that the
gradients themselves name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from symflow.runs import one_thread

TINY = 1e-8  # Adam's own


class Soap(torch.optim.Optimizer):
    """Adam on ``Q_L^T G Q_R``, with ``Q_L, Q_R`` the eigenvectors of the running means of ``G G^T`` and ``G^T G``.

    G is the gradient of a layer, its weights and, as one more column, its bias: ``[..., m, n + 1]``; leading axes are
    layers side by side, as the heads of a `NeuralField`. The bases follow by one step of orthogonal iteration every
    `every` steps, which keeps the order of their vectors, so that the second moments stay those of their directions.
    The first step only measures the gradient.

    Convention: parameters come as weight, bias, weight, bias ...; a weight ``[..., m, n]`` has the bias ``[..., m]``.
    Not affected by the number of threads.

    Args:
        parameters: of all layers, in that order.
        lr: the size of a step: that of Adam.
        betas: of the running means of the gradient, and of its squares and products.
        every: how many steps a basis serves.

    >>> weight, bias = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, requires_grad=True)
    >>> valley = torch.tensor([[1.0, 1.0], [100.0, -100.0]])  # narrow, and along no axis; Adam ends at (-0.5, 0.5)
    >>> optimizer = Soap([weight, bias], lr=0.1)
    >>> for step in range(200):
    ...     optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
    ...     optimizer.zero_grad()
    ...     (valley @ (weight[0] - torch.tensor([1.0, 2.0]))).square().sum().backward()
    ...     bias.grad = torch.zeros(1)
    ...     optimizer.step()
    >>> [round(w, 1) for w in weight[0].tolist()]
    [1.0, 2.0]
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.95, 0.95),
        every: int = 10,
    ) -> None:
        flat = list(parameters)
        layers = list(zip(flat[0::2], flat[1::2], strict=True))
        for weight, bias in layers:
            if weight.shape[:-1] != bias.shape:
                raise ValueError(
                    f"`parameters` must be weights and biases in turn, got {[*weight.shape]} and {[*bias.shape]}"
                )
        super().__init__([{"params": list(layer)} for layer in layers], {"lr": lr, "betas": betas, "every": every})

    @torch.no_grad()
    @one_thread()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step; layers without a gradient stay as they are."""
        for group in self.param_groups:
            weight, bias = group["params"]
            if weight.grad is not None:
                moved = self._direction(weight, torch.cat([weight.grad, bias.grad[..., None]], -1), group)
                if moved is not None:
                    weight.sub_(moved[..., :-1], alpha=group["lr"])
                    bias.sub_(moved[..., -1], alpha=group["lr"])

    def _direction(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor | None:
        state, (b1, b2) = self.state[weight], group["betas"]
        left, right = gradient @ gradient.mT, gradient.mT @ gradient
        if not state:
            state |= {"step": torch.tensor(0.0), "left": left, "right": right}
            state |= {"exp_avg": torch.zeros_like(gradient), "exp_avg_sq": torch.zeros_like(gradient)}
            state |= {
                side + "_basis": _stored(torch.linalg.eigh(state[side])[1].flip(-1)) for side in ("left", "right")
            }
            return None
        state["step"] += 1
        step = int(state["step"])
        state["left"].lerp_(left, 1 - b2)
        state["right"].lerp_(right, 1 - b2)
        if step % group["every"] == 0:
            for side in ("left", "right"):
                state[side + "_basis"] = _stored(torch.linalg.qr(state[side] @ state[side + "_basis"])[0])
        to, back = state["left_basis"], state["right_basis"]
        rotated = to.mT @ gradient @ back
        mean = state["exp_avg"].lerp_(gradient, 1 - b1)
        squares = state["exp_avg_sq"].lerp_(rotated.square(), 1 - b2)
        size = (squares / (1 - b2**step)).sqrt() + TINY
        direction: Tensor = to @ ((to.mT @ mean @ back) / (1 - b1**step) / size) @ back.mT
        return direction


def _stored(basis: Tensor) -> Tensor:
    """Rows one after the other, as a checkpoint has them: the bits of a product depend on the layout."""
    return basis.contiguous()
