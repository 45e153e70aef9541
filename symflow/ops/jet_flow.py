"""The flow of truncated polynomials as an operator with derivatives, and the reference it is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symflow.fields import Field, Series, total_degree
from symflow.ops import _ext
from symflow.ops._flow_operator import FlowOperator
from symflow.ops.flow import KERNEL_DIMENSIONS, KERNEL_DTYPES, SHARES, STAGES

# What the lists of the kernels hold: three unknowns to degree 5.
KERNEL_DEGREE = 5
KERNEL_MONOMIALS = 56


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
    truncation, coefficients, dt = surface.truncation, surface.coefficients, 1.0 / steps
    for _ in range(steps):
        velocity = total = torch.zeros_like(coefficients)
        for a, b in zip(STAGES, SHARES, strict=True):
            stage = coefficients if a == 0 else torch.add(coefficients, velocity, alpha=a * dt)
            vectors = field.series(Series(truncation, stage)).coefficients
            velocity = (vectors * weights[:, None, :, None]).sum(-2)
            total = torch.add(total, velocity, alpha=b * dt)
        coefficients = coefficients + total  # rounded once a step
    return Series(truncation, coefficients)


def has_kernel(surface: Series) -> bool:
    """Whether the kernels take a surface: float32 or float64, at most 4 coordinates, and a truncation of degree at most
    5 with at most 56 monomials; on a GPU, if built for one, `total_degree` of 1 to 5."""
    truncation, coefficients = surface.truncation, surface.coefficients
    if coefficients.dtype not in KERNEL_DTYPES or coefficients.shape[-1] > KERNEL_DIMENSIONS:
        return False
    if coefficients.device.type == "cuda":
        orders = range(1, KERNEL_DEGREE + 1)
        return _ext.cuda and any(truncation.monomials == total_degree(n).monomials for n in orders)
    small = truncation.degree <= KERNEL_DEGREE and len(truncation) <= KERNEL_MONOMIALS
    return _ext.built and coefficients.device.type == "cpu" and small


def jet_flow_kernel(
    surface: Series, weights: Tensor, layers: Sequence[Tensor], periods: Sequence[float | None], steps: int
) -> Series:
    """The same by the compiled kernels, for the network of `NeuralField`.

    The gradients are those of the discrete flow, exact to rounding. Stores the state at each step, ``steps C N d``
    numbers per row, and no activation. A point's polynomial and gradient have the same bits in any batch, and all
    results have the same bits for any number of threads.

    Args:
        surface: ``[C, B, N, d]`` that `has_kernel`.
        weights: ``[B, K]`` of the same dtype; a head with weight 0 is not evaluated.
        layers: the eight parameters of the network, as in `NeuralField.layers`.
        periods: of each axis, normalised, None where it is not periodic.
        steps: at least 1.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `jet_flow_ref` has them.
    """
    truncation, coefficients = surface.truncation, surface.coefficients
    products = [m for k, pairs in enumerate(truncation.products) for i, j in pairs for m in (i, j, k)]
    end = _operator(coefficients, weights, *layers, [p or 0.0 for p in periods], products, steps)
    return Series(truncation, end)


if _ext.built:
    _operator = FlowOperator("jet_flow")

    @torch.library.register_fake("symflow::silu_taylor")
    def _(x: Tensor) -> Tensor:
        return x.new_empty((KERNEL_DEGREE + 2, *x.shape))
