"""The flow of truncated Taylor polynomials: how surfaces, and so derivatives of solutions, move along a field."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symflow.fields import Field, Network, NeuralField, Series, total_degree
from symflow.ops import _ext
from symflow.ops._arguments import KERNEL_DTYPES, check_flow
from symflow.ops._flow_operator import FlowOperator
from symflow.ops._precision import precise
from symflow.ops.flow import KERNEL_DIMENSIONS, SHARES, STAGES

# What the lists of the kernels hold: three unknowns to degree 5.
KERNEL_DEGREE = 5
KERNEL_MONOMIALS = 56


@precise
def jet_flow(field: Field, surface: Series, weights: Tensor, *, steps: int = 8) -> Series:
    """Moves Taylor polynomials along vector fields: the Taylor polynomial of ``s -> flow(surface(s))``.

    ``z(1)`` of ``dz/dt = sum_k weights[b, k] V_k(z)``, ``z(0) = surface[b, n]``, in the algebra of polynomials without
    the monomials that the truncation drops. The constant coefficient moves as a point does in `flow`; the others are
    the partial derivatives of the moved surface at its base point, divided by factorials, exact for the discrete
    flow: no finite differences.

    Convention: coefficients, vectors and weights are those of `flow`, in normalised units. ``B = 0`` and ``N = 0``
    are allowed. Non-contiguous tensors are accepted. float16 and bfloat16 are computed in float32 and rounded once;
    under autocast tensors are brought to the widest of their types.

    ``steps`` equal steps of the classical Runge-Kutta method of order 4. A `NeuralField` in float32 or float64 with at
    most 4 coordinates runs in the compiled kernels: on the CPU for truncations of degree at most 5 with at most 56
    monomials, on a GPU, if they were built for one, for `series.total_degree` of 1 to 5. They store the state at each
    step and no activation; a point's polynomial and gradient have the same bits in any batch, and all results for any
    number of threads; their derivatives are the exact ones of the discrete flow, first order, by reverse mode.
    Anything else runs in `symflow.ops.jet_flow_ref`, the same in plain torch.

    Args:
        field: K vector fields on R^d.
        surface: coefficients ``[C, B, N, d]`` of any `series.Truncation`.
        weights: ``[B, K]``, of the coefficients' dtype and device.
        steps: at least 1; the error falls with the fourth power.

    Returns:
        The moved polynomials, coefficients ``[C, B, N, d]``.

    Raises:
        TypeError: ``surface`` is no `Series` or not of floating-point numbers, ``weights`` no such tensor, or ``steps``
            no integer.
        ValueError: a shape, dtype, device or number of steps does not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have: forward mode, second order.

    >>> import torch
    >>> from symflow import Coordinates, SymbolicField
    >>> from symflow.fields.series import line
    >>> scaling = SymbolicField(Coordinates(("x", "u")), [{"du": "u"}])
    >>> parabola = Series(line(2), torch.tensor([[3.0, 9.0], [1.0, 6.0], [0.0, 1.0]])[:, None, None])  # (x, x^2) at 3
    >>> moved = jet_flow(scaling, parabola, torch.tensor([[2.0]]).log())  # u becomes 2 u
    >>> moved.coefficients[:, 0, 0].round(decimals=3).tolist()
    [[3.0, 18.0], [1.0, 12.0], [0.0, 2.0]]
    """
    if not isinstance(surface, Series):
        raise TypeError(f"`surface` must be a symflow.fields.series.Series, got {type(surface).__name__}")
    check_flow(field, "surface", surface.coefficients, (len(surface.truncation),), weights, steps)
    if (
        isinstance(field, (NeuralField, Network))
        and type(field).series in (NeuralField.series, Network.series)  # a subclass may compute something else
        and _has_kernel(surface)
    ):
        return jet_flow_kernel(surface, weights, field.layers, field.coordinates.normalised_periods, steps)
    return jet_flow_ref(field, surface, weights, steps)


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


def _has_kernel(surface: Series) -> bool:
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
        surface: ``[C, B, N, d]`` that the kernels take.
        weights: ``[B, K]`` of the same dtype; a head with weight 0 is not evaluated.
        layers: the eight parameters of the network, as in `NeuralField.layers`.
        periods: of each axis, normalised, None where it is not periodic.
        steps: at least 1.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `jet_flow_ref` has them.
    """
    truncation, coefficients = surface.truncation, surface.coefficients
    products = [m for k, pairs in enumerate(truncation.products) for i, j in pairs for m in (i, j, k)]
    end = _jet_flow(coefficients, weights, *layers, [p or 0.0 for p in periods], products, steps)
    return Series(truncation, end)


if _ext.built:
    _jet_flow = FlowOperator("jet_flow")

    @torch.library.register_fake("symflow::silu_taylor")
    def _(x: Tensor) -> Tensor:
        return x.new_empty((KERNEL_DEGREE + 2, *x.shape))
