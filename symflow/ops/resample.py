"""Moved points back on a regular grid as operators with derivatives, and the references they are measured against.

A row of n numbers on a period stands for its Fourier series. To read it anywhere, it is divided in Fourier space by the
transform of a window, put on a grid twice as fine, and summed over sixteen fine nodes with the window as weights: a
non-uniform Fourier transform (Dutt and Rokhlin, 1993) with the window of Kaiser and Bessel (Fourmont, 2003), exact to
about 1e-14 of the largest value. Its transpose adds points to rows. The sums over nodes are the kernels'; torch.fft
does the rest here, one trajectory at a time, so that its bits do not depend on the others and memory is that of one.

Each operator is a `torch.autograd.Function` around its kernel, also registered as the operator's derivative, as in
`symflow.ops.flow`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from symflow.ops import _ext

KERNEL_DTYPES = (torch.float32, torch.float64)
LEAST_ROWS = 6
"""Rows that the interpolation in time of `resample` needs."""

_TAPS = 16  # window_taps of core/resample.h
_TERMS = 13  # of the polynomials: the window to 1e-14
_SHAPE = math.pi * _TAPS * 0.75  # the best for twice as many nodes


# ---- rows of periodic functions between their nodes -----------------------------------------------------------------


@cache
def _window(device: torch.device) -> Tensor:
    """The window as a polynomial per tap in the offset -1 .. 1 across a fine cell: ``[terms, taps]``, rising powers."""
    offset = chebyshev.chebpts1(_TERMS)[:, None]
    # The first tap is the node 7 fine cells left of the one at the point's left.
    distance = (offset + 1) / 2 + (_TAPS // 2 - 1) - np.arange(_TAPS)
    values = np.i0(_SHAPE * np.sqrt(1 - (distance / (_TAPS / 2)) ** 2)) / np.i0(_SHAPE)
    fitted = chebyshev.chebfit(offset[:, 0], values, _TERMS - 1)
    return torch.tensor(np.stack([chebyshev.cheb2poly(tap) for tap in fitted.T], axis=1), device=device)


@cache
def _division(columns: int, device: torch.device) -> Tensor:
    """One over the window's Fourier transform at the frequencies of a row: ``[columns // 2 + 1]``."""
    phase = math.pi * _TAPS / 2 * np.arange(columns // 2 + 1) / columns
    root = np.sqrt(_SHAPE**2 - phase**2)
    return torch.tensor(np.i0(_SHAPE) * root / (_TAPS * np.sinh(root)), device=device)


def _fine_rows(rows: Tensor) -> Tensor:
    """The table that the kernels read: ``[..., columns] -> [..., 2 columns + 16]``, column q at fine node q - 7."""
    columns = rows.shape[-1]
    spectrum = torch.fft.rfft(rows, norm="forward") * _division(columns, rows.device)
    if columns % 2 == 0:
        spectrum[..., -1] *= 0.5  # the highest cosine: on the fine grid it counts twice
    fine = torch.fft.irfft(spectrum, 2 * columns, norm="forward")
    nodes = torch.arange(-(_TAPS // 2 - 1), 2 * columns + _TAPS // 2 + 1, device=rows.device) % (2 * columns)
    return fine[..., nodes]


def _fine_rows_transposed(table: Tensor, columns: int) -> Tensor:
    """The transpose of `_fine_rows`."""
    period = 2 * columns
    before = -(_TAPS // 2 - 1) % period
    after = -(before + table.shape[-1]) % period
    fine = torch.nn.functional.pad(table, (before, after)).unflatten(-1, (-1, period)).sum(-2)
    return torch.fft.irfft(torch.fft.rfft(fine)[..., : columns // 2 + 1] * _division(columns, table.device), columns)


# ---- the operators --------------------------------------------------------------------------------------------------


def _cell_sizes(rows: int, columns: int, period: float, first: float, last: float) -> tuple[float, float]:
    return period / columns, (last - first) / (rows - 1)


def _in_cells(points: Tensor, rows: int, columns: int, period: float, first: float, last: float) -> Tensor:
    """Points ``(x, t, u)`` as (column, row, u), float64."""
    dx, dt = _cell_sizes(rows, columns, period, first, last)
    x, t, u = points.double().unbind(-1)
    return torch.stack([x / dx, (t - first) / dt, u], -1)


def _per_unit(grad: Tensor, dx: float, dt: float) -> Tensor:
    """A gradient per cell as one per unit of x, t and u."""
    x, t, u = grad.unbind(-1)
    return torch.stack([x / dx, t / dt, u], -1)


def _scatter(points: Tensor, rows: int, columns: int, period: float, first: float, last: float) -> Tensor:
    window = _window(points.device)
    sums = points.new_empty(points.shape[0], 2, rows, columns)
    for p, s in zip(points, sums, strict=True):
        cells = _in_cells(p, rows, columns, period, first, last)
        table = torch.ops.symflow.scatter_spread(cells, window, rows, columns)
        s.copy_(_fine_rows_transposed(table, columns).transpose(0, 1))
    return sums


def _scatter_backward(grad: Tensor, points: Tensor, period: float, first: float, last: float) -> Tensor:
    window = _window(points.device)
    rows, columns = grad.shape[2:]
    sizes = _cell_sizes(rows, columns, period, first, last)
    grad_points = points.new_empty(points.shape)
    for g, p, result in zip(grad, points, grad_points, strict=True):
        cells = _in_cells(p, rows, columns, period, first, last)
        table = _fine_rows(g.double().transpose(0, 1))
        result.copy_(_per_unit(torch.ops.symflow.scatter_read(table, cells, window), *sizes))
    return grad_points


def _moved_fields(points: Tensor, period: float, first: float, last: float) -> Tensor:
    """Points ``[rows, columns, 3]`` that a grid moved to as displacements in cells and u: ``[rows, 3, columns]``."""
    rows, columns = points.shape[:2]
    fields = _in_cells(points, rows, columns, period, first, last).movedim(-1, 1).contiguous()
    fields[:, 0] -= torch.arange(columns, device=points.device)
    fields[:, 1] -= torch.arange(rows, device=points.device)[:, None]
    return fields


def _resample(points: Tensor, period: float, first: float, last: float) -> tuple[Tensor, Tensor]:
    window = _window(points.device)
    values = points.new_empty(points.shape[:3])
    sources = points.new_empty((*points.shape[:3], 2), dtype=torch.float64)
    for p, v, s in zip(points, values, sources, strict=True):
        fields = _moved_fields(p, period, first, last)
        found = torch.ops.symflow.resample_solve(fields, _fine_rows(fields), window)
        v.copy_(found[0])
        s.copy_(found[1])
    return values, sources


def _resample_backward(
    grad: Tensor, points: Tensor, sources: Tensor, period: float, first: float, last: float
) -> Tensor:
    window = _window(points.device)
    rows, columns = grad.shape[1:]
    sizes = _cell_sizes(rows, columns, period, first, last)
    grad_points = points.new_empty(points.shape)
    for g, p, s, result in zip(grad, points, sources, grad_points, strict=True):
        table = _fine_rows(_moved_fields(p, period, first, last))
        grad_table = torch.ops.symflow.resample_transpose(g.double().contiguous(), table, window, s.contiguous())
        result.copy_(_per_unit(_fine_rows_transposed(grad_table, columns).movedim(1, -1), *sizes))
    return grad_points


def _no_more(name: str) -> str:
    return (
        f"the kernels of {name} have first derivatives by reverse mode only; symflow.ops.{name}_ref computes the same "
        "in plain torch, with forward mode and higher derivatives"
    )


def _last_derivative(name: str) -> type[torch.autograd.Function]:
    """The Function around the operator `name_backward`, whose own derivatives are refused."""

    class LastDerivative(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*arguments: Any) -> Tensor:
            with torch._C._AutoDispatchBelowAutograd():
                return getattr(torch.ops.symflow, f"{name}_backward")(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Any:
            raise NotImplementedError(_no_more(name))

        jvp = backward

    return LastDerivative


_ScatterBackward = _last_derivative("scatter")
_ResampleBackward = _last_derivative("resample")


class _Scatter(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.scatter(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.extent = inputs[3:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        return (_ScatterBackward.apply(grad, *ctx.saved_tensors, *ctx.extent), *(None,) * 5)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise NotImplementedError(_no_more("scatter"))


class _Resample(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.symflow.resample(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])
        ctx.extent = inputs[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple:
        return (_ResampleBackward.apply(grad, *ctx.saved_tensors, *ctx.extent), *(None,) * 3)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise NotImplementedError(_no_more("resample"))


def _merged(op: Any, tensors: int) -> Any:
    """The vmap rule of an operator whose trajectories are independent: one more batch is a longer batch."""

    def rule(info: Any, in_dims: tuple, *arguments: Any) -> tuple[Any, Any]:
        batched = [
            a.movedim(dim, 0) if isinstance(dim, int) else a.expand(info.batch_size, *a.shape)
            for a, dim in zip(arguments[:tensors], in_dims[:tensors], strict=True)
        ]
        result = op(*(a.flatten(0, 1) for a in batched), *arguments[tensors:])
        if isinstance(result, Tensor):
            return result.unflatten(0, batched[0].shape[:2]), 0
        return tuple(r.unflatten(0, batched[0].shape[:2]) for r in result), (0,) * len(result)

    return rule


def _register() -> torch.library.Library:
    """Kernels, meta kernels, derivatives and batching of the operators; they last as long as the library returned."""
    library = torch.library.Library("symflow", "FRAGMENT")
    library.impl("scatter", _Scatter.apply, "Autograd")
    library.impl("scatter_backward", _ScatterBackward.apply, "Autograd")
    library.impl("resample", _Resample.apply, "Autograd")
    library.impl("resample_backward", _ResampleBackward.apply, "Autograd")
    for device in ("CPU", "CUDA"):
        library.impl("scatter", _scatter, device)
        library.impl("scatter_backward", _scatter_backward, device)
        library.impl("resample", _resample, device)
        library.impl("resample_backward", _resample_backward, device)
    ops = torch.ops.symflow
    for name, tensors in (("scatter", 1), ("scatter_backward", 2), ("resample", 1), ("resample_backward", 3)):
        torch.library.register_vmap(f"symflow::{name}", _merged(getattr(ops, name), tensors))

    @torch.library.register_fake("symflow::scatter")
    def _(points: Tensor, rows: int, columns: int, *extent: float) -> Tensor:
        return points.new_empty(points.shape[0], 2, rows, columns)

    @torch.library.register_fake("symflow::scatter_backward")
    def _(grad: Tensor, points: Tensor, *extent: float) -> Tensor:
        return points.new_empty(points.shape)

    @torch.library.register_fake("symflow::resample")
    def _(points: Tensor, *extent: float) -> tuple[Tensor, Tensor]:
        grid = points.shape[:3]
        return points.new_empty(grid), points.new_empty((*grid, 2), dtype=torch.float64)

    @torch.library.register_fake("symflow::resample_backward")
    def _(grad: Tensor, points: Tensor, *rest: Any) -> Tensor:
        return points.new_empty(points.shape)

    @torch.library.register_fake("symflow::scatter_spread")
    def _(points: Tensor, window: Tensor, rows: int, columns: int) -> Tensor:
        return points.new_empty(rows, 2, 2 * columns + _TAPS)

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

    return library


if _ext.built:
    _library = _register()


# ---- what is called from outside ------------------------------------------------------------------------------------


def _normalised(sums: Tensor, weight: Tensor) -> Tensor:
    """``sums / weight``, 0 where the weight is below the square root of the precision: only rounding is left there."""
    enough = weight > torch.finfo(weight.dtype).eps ** 0.5
    return torch.where(enough, sums / torch.where(enough, weight, 1), 0)


def scatter_kernel(
    points: Tensor, shape: tuple[int, int], period: float, times: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """`symflow.scatter` by the compiled kernels.

    Works in float64 and rounds at the end. Keeps the points for its derivatives.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `scatter_ref` has them.
    """
    arguments = (points, *shape, period, *times)
    # torch.compile traces an operator, the transforms of torch.func a Function; the two lead to the same code.
    sums = (torch.ops.symflow.scatter if torch.compiler.is_compiling() else _Scatter.apply)(*arguments)
    return _normalised(sums[:, 0], sums[:, 1]), sums[:, 1]


def resample_kernel(points: Tensor, period: float, times: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """`symflow.resample` by the compiled kernels.

    Works in float64 and rounds at the end. Keeps points and sources for its derivatives.

    Raises:
        NotImplementedError: forward-mode or second derivatives are asked for; `resample_ref` has them.
    """
    call = torch.ops.symflow.resample if torch.compiler.is_compiling() else _Resample.apply
    values, sources = call(points, period, *times)
    return values, ~sources[..., 0].isnan()


# ---- references -----------------------------------------------------------------------------------------------------


def scatter_ref(
    points: Tensor, shape: tuple[int, int], period: float, times: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """`symflow.scatter` in plain torch, by Fourier sums over all points.

    Any floating dtype and device, derivatives of any order. It takes ``N columns`` complex numbers of memory per
    trajectory. This is what the kernels are tested against.

    Args:
        points: ``[B, N, 3]``.
        shape: ``(rows, columns)``.
        period: of x.
        times: of the first and the last row.

    Returns:
        Values and weight, ``[B, rows, columns]``.
    """
    rows, columns = shape
    dx, dt = _cell_sizes(rows, columns, period, *times)
    x, t, u = points.unbind(-1)
    row = (t - times[0]) / dt
    phase = -2 * math.pi / columns * (x / dx)[..., None] * torch.arange(columns // 2 + 1, device=points.device)
    waves = torch.complex(phase.cos(), phase.sin())
    batch = torch.arange(points.shape[0], device=points.device)[:, None]
    spectra = waves.new_zeros(2, points.shape[0], rows, columns // 2 + 1)
    below = row.detach().floor()
    for at, share in ((below, 1 - (row - below)), (below + 1, row - below)):
        inside = (at >= 0) & (at < rows)
        where = (batch, torch.where(inside, at, 0).long())
        share = torch.where(inside, share, 0)
        spectra = torch.stack(
            [s.index_put(where, v[..., None] * waves, True) for s, v in zip(spectra, (share * u, share), strict=True)]
        )
    sums, weight = torch.fft.irfft(spectra, columns)
    return _normalised(sums, weight), weight


def resample_ref(points: Tensor, period: float, times: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """`symflow.resample` in plain torch, by a Fourier sum per node, row and step of Newton's method.

    Any device that has float64; derivatives up to the third order and forward mode, because the last two steps of the
    method are differentiated and each squares the order to which the source is known. This is what the kernels are
    tested against.

    Args:
        points: ``[B, rows, columns, 3]``.
        period: of x.
        times: of the first and the last row.

    Returns:
        Values ``[B, rows, columns]`` and support, of the same shape, boolean.
    """
    B, rows, columns = points.shape[:3]
    dx, dt = _cell_sizes(rows, columns, period, *times)
    x, t, u = points.double().unbind(-1)
    node = torch.arange(columns, dtype=torch.float64, device=points.device)
    level = torch.arange(rows, dtype=torch.float64, device=points.device)[:, None]
    moved = torch.stack([x / dx - node, (t - times[0]) / dt - level, u], 2)  # [B, rows, 3, columns]
    wave = torch.arange(columns // 2 + 1, dtype=torch.float64, device=points.device) * (2 * math.pi / columns)
    spectra = torch.fft.rfft(moved, norm="forward") * torch.where((wave == 0) | (wave == math.pi), 1, 2)
    batch = torch.arange(B, device=points.device)[:, None, None]

    def jets(spectra: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three fields at points ``[B, columns]`` with their derivatives: each ``[B, columns, 3]``."""
        first = (row.detach().floor().long() - 2).clamp(0, rows - LEAST_ROWS)
        weights, slopes = _lagrange(row - first)
        phase = column[..., None] * wave
        waves = torch.complex(phase.cos(), phase.sin())
        rows_of = spectra[batch, first[..., None] + torch.arange(LEAST_ROWS, device=points.device)]
        sums = torch.einsum("bnjfk,bnk->bnjf", rows_of, waves).real
        along = torch.einsum("bnjfk,bnk->bnjf", rows_of, waves * 1j * wave).real

        def across_rows(of: Tensor, by: Tensor) -> Tensor:
            return torch.einsum("bnjf,bnj->bnf", of, by)

        return across_rows(sums, weights), across_rows(along, weights), across_rows(sums, slopes)

    def newton(spectra: Tensor, column: Tensor, row: Tensor, i: int) -> tuple[Tensor, Tensor, Tensor]:
        """One step towards the sources of row i, and its length."""
        value, along, across = jets(spectra, column, row)
        (a, c), (b, d) = ((f[..., 0] + s, f[..., 1] + 1 - s) for f, s in ((along, 1), (across, 0)))
        p, q = column + value[..., 0] - node, row + value[..., 1] - i
        determinant = a * d - b * c
        p, q = (d * p - b * q) / determinant, (a * q - c * p) / determinant
        return column - p, row - q, torch.maximum(p.abs(), q.abs())

    values, support = [], []
    for i in range(rows):
        with torch.no_grad():
            fixed = spectra.detach()
            column, row = (node - moved[:, i, 0]).detach(), (i - moved[:, i, 1]).detach()
            lost = torch.zeros_like(row, dtype=torch.bool)
            held = lost
            for _ in range(14):
                was_held, held = held, (row < -1) | (row > rows)
                lost = lost | (held & was_held) | ~(column.isfinite() & row.isfinite())
                column, row = torch.where(lost, 0, column), torch.where(lost, 0, row).clamp(-1, rows)
                column, row, length = newton(fixed, column, row, i)
                if bool((lost | (length <= 1e-3)).all()):
                    break
            lost = lost | ~(length <= 1e-3)
            column, row = torch.where(lost, 0, column), torch.where(lost, 0, row)
        for _ in range(2):
            column, row, length = newton(spectra, column, row, i)
        found = ~lost & (length <= 1e-7) & (row >= -1e-9) & (row <= rows - 1 + 1e-9)
        value = jets(spectra, column, torch.where(found, row, 0))[0][..., 2]
        values.append(torch.where(found, value, 0))
        support.append(found)
    return torch.stack(values, 1).to(points.dtype), torch.stack(support, 1)


def _lagrange(z: Tensor) -> tuple[Tensor, Tensor]:
    """The polynomials through 0 .. 5 that are 1 at one of them, and their derivatives, at z: ``[..., 6]`` each."""
    weights, slopes = [], []
    for j in range(LEAST_ROWS):
        factors = [(z - k) / (j - k) for k in range(LEAST_ROWS) if k != j]
        rates = [1 / (j - k) for k in range(LEAST_ROWS) if k != j]
        weights.append(torch.stack(factors).prod(0))
        without = [torch.stack(factors[:m] + factors[m + 1 :]).prod(0) for m in range(len(factors))]
        slopes.append(torch.stack([r * w for r, w in zip(rates, without, strict=True)]).sum(0))
    return torch.stack(weights, -1), torch.stack(slopes, -1)
