"""The flow of a field: the one operation that moves points, for learning and for augmentation."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from symflow.fields import Field, GridField, Network, NeuralField, Table
from symflow.ops import _ext
from symflow.ops.flow import KERNEL_CUDA_WIDTH, KERNEL_DIMENSIONS, KERNEL_DTYPES, flow_kernel, flow_ref
from symflow.ops.grid_flow import CUDA_DIMENSIONS, grid_flow_kernel

ADAPTIVE = ("dopri5", "dopri8", "bosh3", "adaptive_heun")
"""Methods of torchdiffeq that choose their own steps; its fehlberg2 misses its tolerance a hundredfold."""

TOLERANCE = {torch.float64: 1e-9}
TOLERANCE_ELSE = 1e-5


def flow(field: Field, points: Tensor, weights: Tensor, *, steps: int = 8, method: str = "rk4") -> Tensor:
    """Moves points along vector fields: the time-1 map of ``sum_k weights[b, k] V_k``.

    ``z(1)`` of ``dz/dt = sum_k weights[b, k] V_k(z)``, ``z(0) = points[b, n]``. A one-hot row times ``a`` is the flow
    of one generator for time ``a``; a dense row moves along a combination of all.

    Convention: points, vectors and end points are in normalised units (`Coordinates` converts). Periodic coordinates
    are not wrapped. ``B = 0`` and ``N = 0`` are allowed. Non-contiguous tensors are accepted.

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
    check_arguments(field, "points", points, (), weights, steps)
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
    GridField: {"cpu": KERNEL_DIMENSIONS, "cuda": CUDA_DIMENSIONS},
}
"""The most coordinates that the kernels take, by field and device."""


def _width(field: Field) -> int:
    return field.trunk0_bias.shape[0] if isinstance(field, NeuralField) else 0


def check_arguments(
    field: Field, name: str, points: Tensor, leading: tuple[int, ...], weights: Tensor, steps: int
) -> None:
    """What every flow asks of its arguments. ``points [*leading, B, N, d]`` are called ``name`` in the messages."""
    check_floating_point(**{name: points, "weights": weights})
    d, generators = field.coordinates.dimension, field.generators
    axes = len(leading)
    if points.dim() != axes + 3 or points.shape[:axes] != leading or points.shape[-1] != d:
        expected = ", ".join(str(size) for size in (*leading, "B", "N", d))
        raise ValueError(f"`{name}` must have shape [{expected}], got {list(points.shape)}")
    rows = points.shape[axes]
    if weights.dim() != 2 or weights.shape != (rows, generators):
        raise ValueError(f"`weights` must have shape [B, K] = [{rows}, {generators}], got {list(weights.shape)}")
    check_alike(field, name, points, weights)
    check_steps(steps)


def check_floating_point(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"`{name}` must be a floating-point tensor, got {got}")


def check_alike(field: Field, name: str, first: Tensor, weights: Tensor) -> None:
    """The weights and the field's own tensors must have the dtype and device of the first one, called ``name``."""
    like = [("weights", weights)]
    if isinstance(field, nn.Module):
        like += [(f"field.{label}", parameter) for label, parameter in field.named_parameters()]
    if isinstance(field, Network):
        like += [(f"field.layers[{i}]", layer) for i, layer in enumerate(field.layers)]
    if isinstance(field, Table):
        like += [("field.values", field.values)]
    for label, tensor in like:
        if tensor.dtype != first.dtype or tensor.device != first.device:
            raise ValueError(
                f"`{name}` and `{label}` must have one dtype and device, got {first.dtype} on {first.device} and "
                f"{tensor.dtype} on {tensor.device}"
            )


def check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise TypeError(f"`steps` must be an integer, got {type(steps).__name__}")
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, got {steps}")


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
            return odeint_adjoint(Velocity(), points, times, adjoint_params=parameters, **options)[-1]
        # The adjoint would need every tensor that the field depends on; the steps themselves know them.
        return odeint(Velocity(), points, times, **options)[-1]
    except AssertionError as error:
        raise RuntimeError(f"the method {method!r} cannot follow this field to time 1: {error}") from error
