"""The flow of a `NeuralField` as an operator with derivatives, and the reference it is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symflow.fields import Field
from symflow.ops import _ext
from symflow.ops._flow_operator import FlowOperator

KERNEL_DTYPES = (torch.float32, torch.float64)
KERNEL_DIMENSIONS = 4  # d at most
KERNEL_CUDA_WIDTH = 256  # W at most on a GPU

STAGES = (0.0, 0.5, 0.5, 1.0)
SHARES = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


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
        for a, b in zip(STAGES, SHARES, strict=True):
            stage = start if a == 0 else torch.add(start, velocity, alpha=a * dt)
            velocity = torch.einsum("bk,bnkd->bnd", weights, field(stage))
            points = torch.add(points, velocity, alpha=b * dt)
    return points


@torch.compiler.assume_constant_result  # torch.compile compiles anew when the setting changes
def _tf32_allowed() -> bool:
    """Whether float32 products may be in TF32 on GPUs, by any of torch's settings: to read ``allow_tf32`` would fail
    after ``fp32_precision`` was set."""
    return torch.backends.cuda.matmul.fp32_precision == "tf32"


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
        points: ``[B, N, d]``, ``d <= 4``, float32 or float64, on the CPU or, if `symflow.ops._ext.cuda`, on a GPU.
        weights: ``[B, K]`` of the same dtype; a head with weight 0 is not evaluated.
        layers: the eight parameters of the network, as in `NeuralField.layers`; on a GPU the width is at most 256.
        periods: of each axis, normalised, None where it is not periodic.
        steps: at least 1.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `flow_ref` has them.
        RuntimeError: the blocks of a GPU have too little shared memory for this width and dtype.
    """
    tf32 = points.is_cuda and _tf32_allowed()
    return _operator(points, weights, *layers, [p or 0.0 for p in periods], steps, options=[tf32])


if _ext.built:
    _operator = FlowOperator("flow", options=1)

    @torch.library.register_fake("symflow::elementary")
    def _(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(x) for _ in range(4))
