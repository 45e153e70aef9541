"""The flow of a field: the one operation that moves points, for learning and for augmentation.

Two kinds of field have compiled kernels, each with its reference in plain torch: networks and tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn

from symflow.arrays import takes_arrays
from symflow.fields import Field, GridField, NeuralField, Table
from symflow.ops import _ext
from symflow.ops._arguments import KERNEL_DTYPES, check_flow
from symflow.ops._flow_operator import FlowOperator
from symflow.ops._precision import precise

KERNEL_DIMENSIONS = 4  # d at most
KERNEL_CUDA_WIDTH = 256  # W at most on a GPU
TABLE_CUDA_DIMENSIONS = 3  # d at most of a table on a GPU

STAGES = (0.0, 0.5, 0.5, 1.0)
SHARES = (1 / 6, 1 / 3, 1 / 3, 1 / 6)

ADAPTIVE = ("dopri5", "dopri8", "bosh3", "adaptive_heun")
"""Methods of torchdiffeq that choose their own steps; its fehlberg2 misses its tolerance a hundredfold."""

TOLERANCE = {torch.float64: 1e-9}
TOLERANCE_ELSE = 1e-5


@takes_arrays
@precise
def flow(field: Field, points: Tensor, weights: Tensor, *, steps: int = 8, method: str = "rk4") -> Tensor:
    """Moves points along vector fields: the time-1 map of ``sum_k weights[b, k] V_k``.

    ``z(1)`` of ``dz/dt = sum_k weights[b, k] V_k(z)``, ``z(0) = points[b, n]``. A one-hot row times ``a`` is the flow
    of one generator for time ``a``; a dense row moves along a combination of all.

    Convention: points, vectors and end points are in normalised units (`Coordinates` converts). Periodic coordinates
    are not wrapped. ``B = 0`` and ``N = 0`` are allowed. Non-contiguous tensors are accepted. float16 and bfloat16 are
    computed in float32 and rounded once; under autocast tensors are brought to the widest of their types.

    ``method="rk4"`` takes ``steps`` equal steps of the classical Runge-Kutta method of order 4. A `NeuralField` or a
    `GridField` in float32 or float64 with at most 4 coordinates, on the CPU or (compiled in, a network of width at
    most 256, a grid of 2 or 3 coordinates) on a GPU, runs in the compiled kernels: they store the state at each step
    and no activation, a point's end point and gradient have the same bits in any batch and for any number of threads,
    and their derivatives are the exact ones of the discrete flow, first order, by reverse mode. On a GPU a network
    follows ``torch.backends.cuda.matmul.allow_tf32`` (see `symflow.ops.flow_kernel`). Anything else runs in
    `symflow.ops.flow_ref`, the same in plain torch.

    The adaptive methods are those of torchdiffeq (Chen et al., 2018), with the continuous adjoint for fields that are
    modules. They choose their own steps and do not look at ``steps``. Their relative and absolute tolerance is 1e-9
    in float64 and 1e-5 otherwise; one step serves all points of a call, so a point's result depends on the others
    within that tolerance.

    Args:
        field: K vector fields on R^d.
        points: ``[B, N, d]``.
        weights: ``[B, K]``, of the points' dtype and device.
        steps: of "rk4", at least 1; its error falls with the fourth power.
        method: "rk4", "dopri5", "dopri8", "bosh3" or "adaptive_heun".

    Returns:
        The end points ``[B, N, d]``.

    Raises:
        TypeError: ``points`` or ``weights`` is no floating-point tensor, or ``steps`` no integer.
        ValueError: a shape, dtype, device, number of steps or method does not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have: forward mode, second order.
        RuntimeError: the blocks of a GPU have too little shared memory for the kernel of this width and dtype.
        RuntimeError: an adaptive method cannot go on, because the field is not finite or grows too fast.

    >>> from symflow import Coordinates, SymbolicField
    >>> boost = SymbolicField(Coordinates(("x", "t", "u")), [{"dx": "t", "du": "1"}])
    >>> flow(boost, torch.tensor([[[0.0, 2.0, 0.0]]]), torch.tensor([[0.5]]), steps=1).tolist()
    [[[1.0, 2.0, 0.5]]]
    """
    check_flow(field, "points", points, (), weights, steps)
    if method not in ("rk4", *ADAPTIVE):
        raise ValueError(f"`method` must be one of {', '.join(('rk4', *ADAPTIVE))}, got {method!r}")
    if method != "rk4":
        return _adaptive(field, points, weights, method)
    if has_kernel(field, points):
        periods = field.coordinates.normalised_periods
        if isinstance(field, GridField):
            return grid_flow_kernel(points, weights, field.values, field.lower, field.upper, periods, steps)
        return flow_kernel(points, weights, field.layers, periods, steps)
    return flow_ref(field, points, weights, steps)


def has_kernel(field: Field, tensor: Tensor) -> TypeGuard[NeuralField | GridField]:
    """Whether the compiled kernels move points in this field that are of the tensor's type and device."""
    if not _ext.built or tensor.dtype not in KERNEL_DTYPES:
        return False
    if tensor.device.type == "cuda" and (not _ext.cuda or _width(field) > KERNEL_CUDA_WIDTH):
        return False
    for kind, most in _KERNEL_DIMENSIONS.items():
        # A subclass may compute something else.
        if isinstance(field, kind) and type(field).forward is kind.forward:
            return field.coordinates.dimension <= most.get(tensor.device.type, 0)
    return False


_KERNEL_DIMENSIONS: dict[type[NeuralField] | type[GridField], dict[str, int]] = {
    NeuralField: {"cpu": KERNEL_DIMENSIONS, "cuda": KERNEL_DIMENSIONS},
    GridField: {"cpu": KERNEL_DIMENSIONS, "cuda": TABLE_CUDA_DIMENSIONS},
}
"""The most coordinates that the kernels take, by field and device."""


def _width(field: Field) -> int:
    return field.trunk0_bias.shape[0] if isinstance(field, NeuralField) else 0


def _adaptive(field: Field, points: Tensor, weights: Tensor, method: str) -> Tensor:
    from torchdiffeq import odeint, odeint_adjoint

    if points.numel() == 0:
        return flow_ref(field, points, weights, 1)  # torchdiffeq has no step for no points

    class Velocity(nn.Module):
        def forward(self, _: Tensor, z: Tensor) -> Tensor:
            return torch.einsum("bk,bnkd->bnd", weights, field(z))

    times = torch.tensor([0.0, 1.0], dtype=points.dtype, device=points.device)
    tolerance = TOLERANCE.get(points.dtype, TOLERANCE_ELSE)
    options = {"rtol": tolerance, "atol": tolerance, "method": method}
    try:
        if isinstance(field, nn.Module):
            parameters = tuple(p for p in (weights, *field.parameters()) if p.requires_grad)
            states: Tensor = odeint_adjoint(Velocity(), points, times, adjoint_params=parameters, **options)
            return states[-1]
        # The adjoint would need every tensor that the field depends on; the steps themselves know them.
        states = odeint(Velocity(), points, times, **options)
        return states[-1]
    except AssertionError as error:
        raise RuntimeError(f"the method {method!r} cannot follow this field to time 1: {error}") from error


# ---- networks -------------------------------------------------------------------------------------------------------


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


def _tf32_allowed() -> bool:
    """Whether float32 products may be in TF32 on GPUs, by any of torch's settings: to read ``allow_tf32`` would fail
    after ``fp32_precision`` was set."""
    allowed: bool = torch.backends.cuda.matmul.fp32_precision == "tf32"
    return allowed


# What torch.compiler.assume_constant_result sets, whose import of the compiler takes more than a second: torch.compile
# compiles anew when the setting changes.
_tf32_allowed._dynamo_marked_constant = True  # type: ignore[attr-defined]


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
    return _flow(points, weights, *layers, [p or 0.0 for p in periods], steps, options=[tf32])


# ---- tables ---------------------------------------------------------------------------------------------------------


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
    box = (list(lower), list(upper), [p or 0.0 for p in periods])
    return _grid_flow(points, weights, values, *box, steps)


if _ext.built:
    _flow = FlowOperator("flow", options=1)
    _grid_flow = FlowOperator("grid_flow", field=1)

    @torch.library.register_fake("symflow::elementary")
    def _(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(x) for _ in range(4))
