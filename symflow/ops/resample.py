"""Moved points ``(x, t, u)`` back on the regular grid: by the inverse of the map, or by spreading every point.

The operators take batches of trajectories and work on one at a time, so that its bits do not depend on the others and
memory is that of one: `symflow.ops._fine_rows` makes the tables, the compiled parts sum over their nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow.arrays import takes_arrays
from symflow.ops import _ext
from symflow.ops._arguments import KERNEL_DTYPES, check_floating_point, check_room
from symflow.ops._fine_rows import (
    TAPS,
    cell_sizes,
    fine_rows,
    in_cells,
    moved_fields,
    per_unit,
    transpose_to_rows,
    window_on,
)
from symflow.ops._precision import precise
from symflow.ops._registration import call, kernel, last_derivative, merged, register, register_kernel
from symflow.ops._resample_ref import LEAST_ROWS, mean_where_dense, resample_ref, scatter_ref


@takes_arrays
@precise
def resample(points: Tensor, *, period: float, times: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """The function that the moved points of a grid lie on, read at the nodes of that grid.

    The node ``(x_j, t_i)`` moved to ``(X, T)`` and carries ``U``, ``points[b, i, j] = (X, T, U)``. For every node the
    source ``(x*, t*)`` with ``(X, T)(x*, t*) = (x_j, t_i)`` is found by Newton's method, and the result is
    ``U(x*, t*)``. Between the nodes the displacement ``(X - x, T - t)`` and ``U`` are their Fourier series in x and
    polynomials of degree five in t, through three rows on either side or the six outermost. That is right for
    functions that x and t resolve, and for maps that are one to one and move (x, t) independently of u; where they
    fold, one of several sources is found.

    Convention: ``x_j = j period / columns``, ``t_i`` from ``times[0]`` to ``times[1]`` in equal steps, both included. X
    is not wrapped into the period: ``X - x`` has no jumps. ``B = 0`` is allowed. Non-contiguous tensors are accepted.

    Nodes whose source lies outside the times or is not found have support False and value 0. Where a row holds a
    position that is not finite, none near it is found; a u that is not finite taints the values that read its row.

    Accuracy: 1e-13 of the largest value beside the error of the polynomials in t, which falls with the sixth power of
    the distance of rows; in float32 positions are known to 6e-8 of the period only. float32 and float64 on the CPU, and
    on a GPU where the kernels were built for it, run in the compiled kernels, which compute in float64 and have first
    derivatives by reverse mode: in U, and in X and T by the implicit function theorem. A trajectory's result has the
    same bits in any batch, on any run and for any number of threads. Anything else runs in
    `symflow.ops.resample_ref`.

    Args:
        points: ``[B, rows, columns, 3]``, at least 6 rows.
        period: of x, positive.
        times: of the first and the last row.

    Returns:
        The values ``[B, rows, columns]``, and the support, of the same shape, boolean.

    Raises:
        TypeError: ``points`` is no dense floating-point tensor, or the period or a time no number.
        ValueError: a shape, the period or the times do not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have: forward mode, second order.

    >>> import torch
    >>> t, x = torch.meshgrid(torch.arange(8.0), torch.arange(16.0) / 16, indexing="ij")
    >>> moved = torch.stack([x + 0.25 * t, t, torch.sin(2 * torch.pi * x)], -1)  # the wave runs, t times 0.25 per row
    >>> values, support = resample(moved[None], period=1.0, times=(0.0, 7.0))
    >>> torch.allclose(values[0, 1], torch.sin(2 * torch.pi * (x[0] - 0.25)), atol=1e-6), bool(support.all())
    (True, True)
    """
    _check_points(points, 4, "[B, rows, columns, 3]")
    rows, columns = points.shape[1:3]
    if rows < LEAST_ROWS or columns < 1:
        raise ValueError(f"`points` must have at least {LEAST_ROWS} rows and 1 column, got {rows} and {columns}")
    extent = _extent(period, times)
    return (resample_kernel if _has_kernel(points) else resample_ref)(points, *extent)


@takes_arrays
@precise
def scatter(
    points: Tensor, shape: tuple[int, int], *, period: float, times: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Points spread over a regular grid: the weighted mean of u at every node, and the weight.

    ``values[i, j] = sum_n w_n u_n / weight[i, j]``, ``weight[i, j] = sum_n w_n``, with
    ``w_n = max(0, 1 - |t_i - t_n| / dt) D(x_j - x_n)``, where D is the periodic sinc (Dirichlet) kernel of the grid:
    ``sin(pi y) / (columns tan(pi y / columns))`` for even and ``sin(pi y) / (columns sin(pi y / columns))`` for odd
    columns, y in columns. Points may come in any number and order. This is the resampling of Ko, Kim and Lee (2024),
    divided by the weight: without that it is right only for rows that stay uniformly spaced. It is as exact as
    `resample` where moved rows lie on rows, and much less elsewhere, being linear in t.

    Convention: ``x_j = j period / columns``, ``t_i`` from ``times[0]`` to ``times[1]`` in equal steps, both included. x
    counts modulo the period. ``B = 0`` and ``N = 0`` are allowed. Non-contiguous tensors are accepted.

    The weight is about 1 where the points are as dense as the grid; whether a row counts (the paper: above 0.8) is
    the caller's decision. Where it is below the square root of the precision, or negative, the value is 0. Points a row
    or more outside the times, or with a t that is not finite, have no share. In the two rows around a point, a u that
    is not finite makes the values NaN, an x that is not finite the weight NaN and the values 0.

    Accuracy: the sums are exact to 2e-14 of the largest. float32 and float64 on the CPU, and on a GPU where the kernels
    were built for it, run in the compiled kernels, which compute in float64 and have first derivatives by reverse mode.
    A trajectory's result has the same bits in any batch, on any run and for any number of threads. Anything else runs
    in `symflow.ops.scatter_ref`.

    Args:
        points: ``[B, N, 3]``, ``(x, t, u)``.
        shape: ``(rows, columns)`` of the grid, at least 2 rows.
        period: of x, positive.
        times: of the first and the last row.

    Returns:
        The values and the weight, both ``[B, rows, columns]``.

    Raises:
        TypeError: ``points`` is no dense floating-point tensor, ``shape`` not two integers, or the period or a time no
            number.
        ValueError: a shape, the period or the times do not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have: forward mode, second order.

    >>> import torch
    >>> points = torch.tensor([[[0.0, 0.0, 1.0], [1.0, 0.0, 3.0], [0.0, 1.0, 5.0]]])
    >>> values, weight = scatter(points, (2, 2), period=2.0, times=(0.0, 1.0))
    >>> [[round(v) for v in row] for row in values[0].tolist()], [[round(w) for w in row] for row in weight[0].tolist()]
    ([[1, 3], [5, 0]], [[1, 1], [1, 0]])
    """
    _check_points(points, 3, "[B, N, 3]")
    if not isinstance(shape, Sequence) or len(shape) != 2 or not all(type(n) is int for n in shape):
        raise TypeError(f"`shape` must be two integers, (rows, columns), got {shape!r}")
    if shape[0] < 2 or shape[1] < 1:
        raise ValueError(f"`shape` must be at least 2 rows and 1 column, got {tuple(shape)}")
    check_room("shape", points, max(points.shape[0], 1), 2, *shape)
    extent = _extent(period, times)
    return (scatter_kernel if _has_kernel(points) else scatter_ref)(points, shape, *extent)


def _has_kernel(points: Tensor) -> bool:
    device = points.device.type
    on_kernel_device = device in ("cpu", "meta") or (device == "cuda" and _ext.cuda)
    return on_kernel_device and points.dtype in KERNEL_DTYPES and _ext.built


def _check_points(points: Tensor, dimensions: int, shape: str) -> None:
    check_floating_point(points=points)
    if points.dim() != dimensions or points.shape[-1] != 3:
        raise ValueError(f"`points` must have shape {shape}, got {list(points.shape)}")


def _extent(period: Any, times: Any) -> tuple[float, tuple[float, float]]:
    """The period and the times as floats that a grid can have."""
    if not isinstance(times, Sequence) or len(times) != 2:
        raise TypeError(f"`times` must be two numbers, those of the first and the last row, got {times!r}")
    period, first, last = _number("period", period), *(_number("times", time) for time in times)
    if not 0 < period < math.inf:
        raise ValueError(f"`period` must be positive and finite, got {period}")
    if not -math.inf < first < last < math.inf:
        raise ValueError(f"`times` must be two finite numbers, the first one smaller, got ({first}, {last})")
    return period, (first, last)


def _number(name: str, value: Any) -> float:
    """A Python number, or a number of numpy or torch, as a float."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise TypeError(f"`{name}` must be a number that a float holds, got {type(value).__name__}") from None


def scatter_kernel(
    points: Tensor, shape: tuple[int, int], period: float, times: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """`symflow.scatter` by the compiled kernels.

    Works in float64 and rounds at the end. Keeps the points for its derivatives.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `scatter_ref` has them.
    """
    sums = call("scatter", _Scatter)(points, *shape, period, *times)
    return mean_where_dense(sums[:, 0], sums[:, 1]), sums[:, 1]


def resample_kernel(points: Tensor, period: float, times: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """`symflow.resample` by the compiled kernels.

    Works in float64 and rounds at the end. Keeps points and sources for its derivatives.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `resample_ref` has them.
    """
    values, sources = call("resample", _Resample)(points, period, *times)
    return values, ~sources[..., 0].isnan()


# ---- the operators --------------------------------------------------------------------------------------------------


def _scatter(points: Tensor, rows: int, columns: int, period: float, first: float, last: float) -> Tensor:
    window = window_on(points.device)
    sums = points.new_empty(points.shape[0], 2, rows, columns)
    for p, s in zip(points, sums, strict=True):
        cells = in_cells(p, rows, columns, period, first, last)
        table = torch.ops.symflow.scatter_spread(cells, window, rows, columns)
        s.copy_(transpose_to_rows(table, columns).transpose(0, 1))
    return sums


def _scatter_backward(grad: Tensor, points: Tensor, period: float, first: float, last: float) -> Tensor:
    window = window_on(points.device)
    rows, columns = grad.shape[2:]
    sizes = cell_sizes(rows, columns, period, first, last)
    grad_points = points.new_empty(points.shape)
    for g, p, result in zip(grad, points, grad_points, strict=True):
        cells = in_cells(p, rows, columns, period, first, last)
        table = fine_rows(g.double().transpose(0, 1))
        result.copy_(per_unit(torch.ops.symflow.scatter_read(table, cells, window), *sizes))
    return grad_points


def _resample(points: Tensor, period: float, first: float, last: float) -> tuple[Tensor, Tensor]:
    window = window_on(points.device)
    values = points.new_empty(points.shape[:3])
    sources = points.new_empty((*points.shape[:3], 2), dtype=torch.float64)
    for p, v, s in zip(points, values, sources, strict=True):
        fields = moved_fields(p, period, first, last)
        found = torch.ops.symflow.resample_solve(fields, fine_rows(fields), window)
        v.copy_(found[0])
        s.copy_(found[1])
    return values, sources


def _resample_backward(
    grad: Tensor, points: Tensor, sources: Tensor, period: float, first: float, last: float
) -> Tensor:
    window = window_on(points.device)
    rows, columns = grad.shape[1:]
    sizes = cell_sizes(rows, columns, period, first, last)
    grad_points = points.new_empty(points.shape)
    for g, p, s, result in zip(grad, points, sources, grad_points, strict=True):
        table = fine_rows(moved_fields(p, period, first, last))
        grad_table = torch.ops.symflow.resample_transpose(g.double().contiguous(), table, window, s.contiguous())
        result.copy_(per_unit(transpose_to_rows(grad_table, columns).movedim(1, -1), *sizes))
    return grad_points


def _shape_of_sums(points: Tensor, rows: int, columns: int, *extent: float) -> Tensor:
    return points.new_empty(points.shape[0], 2, rows, columns)


def _shapes_of_sources(points: Tensor, *extent: float) -> tuple[Tensor, Tensor]:
    grid = points.shape[:3]
    return points.new_empty(grid), points.new_empty((*grid, 2), dtype=torch.float64)


def _shape_of_points(grad: Tensor, points: Tensor, *rest: Any) -> Tensor:
    return points.new_empty(points.shape)


def _refusal(name: str) -> str:
    return (
        f"the kernels of {name} have first derivatives by reverse mode only; symflow.ops.{name}_ref computes the same "
        "in plain torch, with forward mode and higher derivatives"
    )


_ScatterBackward = last_derivative("scatter_backward", _refusal("scatter"))
_ResampleBackward = last_derivative("resample_backward", _refusal("resample"))


@kernel("scatter", _refusal("scatter"))
class _Scatter(torch.autograd.Function):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.extent = inputs[3:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return (_ScatterBackward.apply(grad, *ctx.saved_tensors, *ctx.extent), *(None,) * 5)


@kernel("resample", _refusal("resample"))
class _Resample(torch.autograd.Function):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])
        ctx.extent = inputs[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
        return (_ResampleBackward.apply(grad, *ctx.saved_tensors, *ctx.extent), *(None,) * 3)


if _ext.built:
    register_kernel("scatter", _scatter)
    register_kernel("scatter_backward", _scatter_backward)
    register_kernel("resample", _resample)
    register_kernel("resample_backward", _resample_backward)
    register("scatter", _Scatter.apply, _shape_of_sums, merged(1))
    register("scatter_backward", _ScatterBackward.apply, _shape_of_points, merged(2))
    register("resample", _Resample.apply, _shapes_of_sources, merged(1))
    register("resample_backward", _ResampleBackward.apply, _shape_of_points, merged(3))

    @torch.library.register_fake("symflow::scatter_spread")
    def _(points: Tensor, window: Tensor, rows: int, columns: int) -> Tensor:
        return points.new_empty(rows, 2, 2 * columns + TAPS)

    @torch.library.register_fake("symflow::scatter_read")
    def _(grad_table: Tensor, points: Tensor, window: Tensor) -> Tensor:
        return torch.empty_like(points)

    @torch.library.register_fake("symflow::resample_solve")
    def _(moved: Tensor, table: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        grid = moved.shape[0], moved.shape[2]
        return moved.new_empty(grid), moved.new_empty((*grid, 2))

    @torch.library.register_fake("symflow::resample_transpose")
    def _(grad: Tensor, table: Tensor, window: Tensor, sources: Tensor) -> Tensor:
        return torch.empty_like(table)
