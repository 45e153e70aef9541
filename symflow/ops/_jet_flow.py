"""The flow of truncated Taylor polynomials: how surfaces, and so derivatives of solutions, move along a field."""

from __future__ import annotations

from torch import Tensor

from symflow.fields import Field, Network, NeuralField, Series
from symflow.ops._flow import check_arguments
from symflow.ops.jet_flow import has_kernel, jet_flow_kernel, jet_flow_ref


def jet_flow(field: Field, surface: Series, weights: Tensor, *, steps: int = 8) -> Series:
    """Moves Taylor polynomials along vector fields: the Taylor polynomial of ``s -> flow(surface(s))``.

    ``z(1)`` of ``dz/dt = sum_k weights[b, k] V_k(z)``, ``z(0) = surface[b, n]``, in the algebra of polynomials without
    the monomials that the truncation drops. The constant coefficient moves as a point does in `flow`; the others are
    the partial derivatives of the moved surface at its base point, divided by factorials, exact for the discrete
    flow: no finite differences.

    Convention: coefficients, vectors and weights are those of `flow`, in normalised units. ``B = 0`` and ``N = 0``
    are allowed. Non-contiguous tensors are accepted.

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
    check_arguments(field, "surface", surface.coefficients, (len(surface.truncation),), weights, steps)
    if (
        isinstance(field, (NeuralField, Network))
        and type(field).series in (NeuralField.series, Network.series)  # a subclass may compute something else
        and has_kernel(surface)
    ):
        return jet_flow_kernel(surface, weights, field.layers, field.coordinates.normalised_periods, steps)
    return jet_flow_ref(field, surface, weights, steps)
