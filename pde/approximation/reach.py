"""How far data can be moved along a field before they visibly cease to solve their equation.

The grid of the data and their values are carried by the flow, ``(x, t, u) -> (x~, t~, u~)``, and the equation is asked
of them in its weak form, the weights of the quadrature moved along. For ``tau(t)`` and ``xi(x, t)`` a row of times
stays a row of times, and no derivative of u is taken anywhere:

    sum_k (-1)^|k| <f_k(x~, t~, u~), D^k psi>,    F = sum_k D^k f_k,    dx~ dt~ = d(x~)/dx d(t~)/dt dx dt.

The centres and half-widths of the test functions move along, too. With ``r_s`` the RMS of these rows over that of their
terms, on trajectory s, the reach is the smallest length of flow, either way, at which the median of ``r_s`` is delta.
It is measured, never extrapolated: residuals of moved data level off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm
from symflow.fields import SymbolicField
from symflow.formulas import expressions
from symflow.formulas.notation import number
from symflow.ops import flow
from symflow.runs import one_thread

from ..equations import Equation, Index, JetSpace, t, u, x
from ..trajectories import Axis, Trajectories, data_coordinates
from ..weak import FUNCTIONS, OVERLAP, Parts, bump, movable, moved, widths
from .measure import middle

DELTA = 0.02  # the relative residual of moved data that ends the reach
LONGEST = 1.0  # of a flow that is tried: data moved by the length of their box
TRAJECTORIES = 8
COARSE = 256  # points in x, where they resolve the data
FRACTIONS_T, FRACTIONS_X = (7, 3), (8, 4)  # of the axis: half-widths, from narrow to wide
STEPS = 4  # of the flow: 1e-5 at length 1
CLOSE = 0.02  # of delta
TRIES = 8
_PLANE = JetSpace(("t", "x"), ("u",))


@dataclass(frozen=True)
class Reach:
    """What moving the data showed.

    Attributes:
        length: of the flow in units of the box, ``None`` where it was not reached or not measured.
        parameter: the same in the field's own parameter.
        residual: the relative residual of the data that are not moved.
        reason: why there is no length; may be empty.
    """

    length: float | None
    parameter: float | None
    residual: float | None
    reason: str


@dataclass(frozen=True)
class MovedRows:
    """The weak form of trajectories moved along fields.

    Attributes:
        data: not yet moved.
        columns: the terms of the equation with their derivatives on the test functions.
        widths: half-widths of these in steps, along t and x.
    """

    data: Trajectories
    columns: tuple[Parts, ...]
    widths: tuple[int, int]

    @staticmethod
    def columns_of(equation: Equation) -> tuple[Parts, ...] | None:
        """The terms, or ``None`` where one keeps derivatives of u."""
        (F,) = equation.residuals
        columns = tuple(moved(term, _PLANE) for term in sympy.Add.make_args(F))
        return columns if all(movable(parts, _PLANE) for parts in columns) else None

    @one_thread()
    def residual(self, form: ClosedForm, length: float) -> Tensor:
        """``r_s`` of data moved by so much of the field's own parameter, ``[S]``; without a value where none fits."""
        data = self.data
        places, values = self._extended()
        X, times, U = _carried(data, form, length, places, values)
        if not bool(X.isfinite().all() and times.isfinite().all() and U.isfinite().all()):
            return torch.full((len(data),), torch.nan, dtype=torch.float64)
        if not bool((times.diff() > 0).all() and (X.diff(dim=1) > 0).all()):
            return torch.full((len(data),), torch.nan, dtype=torch.float64)
        in_t = torch.gradient(times, spacing=(data.t,))[0] * Axis("t", data.t).measure
        weights = torch.gradient(X, dim=1)[0] * in_t[:, None]
        at = {x: X, t: times[:, None], u: U}
        like = torch.zeros_like(U)
        summands = [
            [(k, weights * (like + expressions.evaluate(f, at, FUNCTIONS))) for k, f in c] for c in self.columns
        ]
        found = [row for row in self._rows(X, times, summands) if row.numel()]
        if not found:
            return torch.full((len(data),), torch.nan, dtype=torch.float64)
        Z = torch.cat(found)  # [centres, S, columns]
        size = Z.square().sum(-1).mean(0).sqrt()
        missed: Tensor = Z.sum(-1).square().mean(0).sqrt()
        return missed / size.clamp_min(1e-300)

    def _extended(self) -> tuple[Tensor, Tensor]:
        """Places and values ``[S, T, places]`` on one period and half a period on either side, if there is a period."""
        data = self.data
        if any(f.has(x) for parts in self.columns for _, f in parts):
            return data.x, data.u
        n = len(data.x)
        j = torch.arange(-(n // 2), n + n // 2)
        return data.x[0] + j * (data.length / n), data.u[..., j.remainder(n)]

    def _rows(self, X: Tensor, times: Tensor, summands: Sequence[Sequence[tuple[Index, Tensor]]]) -> Iterator[Tensor]:
        """Entries ``[c, S, columns]`` of the test functions that fit, a row of centres after the other."""
        n_t, n_x = self.widths
        orders = [{k[i] for parts in self.columns for k, _ in parts} for i in range(2)]
        first, last = (X.shape[1] - len(self.data.x)) // 2, X.shape[1]
        j = torch.arange(first, first + len(self.data.x), max(n_x // OVERLAP, 1))
        j = j[(j >= n_x) & (j + n_x < last)]
        for i in range(n_t, len(times) - n_t, max(n_t // OVERLAP, 1)):
            rows = slice(i - n_t, i + n_t + 1)
            h_t = float(torch.minimum(times[i + n_t] - times[i], times[i] - times[i - n_t]))
            s_t = (times[rows] - times[i]) / h_t
            centre = X[i, j]
            h_x = torch.minimum(X[i, j + n_x] - centre, centre - X[i, j - n_x])
            low = torch.searchsorted(X[rows].amax(0), centre - h_x)
            high = torch.searchsorted(X[rows].amin(0), centre + h_x)
            fits = (low > 0) & (high < last)
            centre, h_x, low, high = centre[fits, None], h_x[fits, None], low[fits], high[fits]
            if not len(low):
                continue
            window = (low[:, None] + torch.arange(int((high - low).max()))).clamp_max(last - 1)  # [c, w]
            s_x = (X[rows][:, window] - centre) / h_x  # [n, c, w]
            in_t = {n: bump(s_t, n) * (-1 / h_t) ** n / h_t for n in orders[0]}
            in_x = {n: bump(s_x, n) * (-1 / h_x) ** n / h_x for n in orders[1]}
            columns = []
            for parts in summands:
                column = centre.new_zeros(len(low), len(self.data))
                for k, f in parts:
                    test = in_t[k[0]][:, None, None] * in_x[k[1]]
                    column = column + torch.einsum("sncw,ncw->cs", f[:, rows][:, :, window], test)
                columns.append(column)
            yield torch.stack(columns, -1)


def _carried(
    data: Trajectories, form: ClosedForm, length: float, places: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """``x~ [T, X]``, ``t~ [T]`` and ``u~ [S, T, X]``."""
    coordinates = data_coordinates(data, periodic=False)
    field = SymbolicField(coordinates, [{key: str(f) for key, f in form.items()}])
    grid = torch.stack(torch.broadcast_tensors(places, data.t[:, None]), -1)

    def carry(v: Tensor) -> Tensor:
        points = torch.cat([grid.expand(*v.shape, 2), v[..., None]], -1).reshape(1, -1, 3)
        moved_points = flow(field, coordinates.to_normalised(points), points.new_tensor([[length]]), steps=STEPS)
        return coordinates.to_physical(moved_points).reshape(*v.shape, 3)

    if sympy.diff(form["du"], u, 2) == 0:  # then u~ is affine in u
        ends = carry(torch.stack([torch.zeros_like(values[0]), torch.ones_like(values[0])]))
        X, times, U = ends[0, ..., 0], ends[0, :, 0, 1], ends[0, ..., 2] + (ends[1] - ends[0])[..., 2] * values
    else:
        all_ends = carry(values)
        X, times, U = all_ends[0, ..., 0], all_ends[0, :, 0, 1], all_ends[..., 2]
    return X, times, U


def reach(data: Trajectories, form: ClosedForm, defect: float, size: float, delta: float = DELTA) -> Reach:
    """The length of flow at which moved data miss their equation by delta.

    Args:
        data: trajectories.
        form: the field.
        defect: of it: where to look first.
        size: |V|, of one unit of its own parameter in units of the box.
        delta: relative residual.
    """
    space = form["dx"].free_symbols | form["dt"].free_symbols
    if u in space or x in form["dt"].free_symbols:
        return Reach(
            None, None, None, "reach not measured: its dx or dt moves times or places by amounts that depend on u or x"
        )
    columns = MovedRows.columns_of(data.equation)
    if columns is None:
        return Reach(
            None, None, None, "reach not measured: a term of the equation has no weak form without derivatives of u"
        )
    rows, own = _quiet_rows(data, columns, form, delta)
    if rows is None:
        return Reach(None, None, own, "reach not measured: the data's own residual is no smaller")

    def residual(length: float) -> float:
        return float(middle(rows.residual(form, length / size)).nan_to_num(torch.inf))

    h, way = min(delta / max(defect, 1e-300), LONGEST), 1.0
    for _ in range(TRIES):
        r = residual(way * h)
        if r < (1 + CLOSE) * delta and h > 0 and (other := residual(-way * h)) > max(r, delta):
            r, way = other, -way  # the other way is the shorter one
        if h == LONGEST and r < delta:
            return Reach(None, None, own, f"moved by the whole box, data miss the equation by {number(r)} only")
        if abs(r / delta - 1) <= CLOSE:
            return Reach(h, h / size, own, "")
        h = min(h * min(max(delta / r, 0.25), 4.0), LONGEST)
    return Reach(None, None, own, f"reach not measured: residuals of moved data do not settle at {delta:g}")


def _quiet_rows(
    data: Trajectories, columns: tuple[Parts, ...], form: ClosedForm, delta: float
) -> tuple[MovedRows | None, float | None]:
    """The narrowest test functions and the coarsest grid on which data that are not moved stay well below delta."""
    few = data[:: max(1, -(-len(data) // TRAJECTORIES))]
    stride = max(len(data.x) // COARSE, 1)
    grids = (
        [few] if stride == 1 or len(data.x) % stride else [replace(few, x=few.x[::stride], u=few.u[..., ::stride]), few]
    )
    own = None
    for wide in (0, -1):
        for grid in grids:
            in_t = widths(Axis("t", grid.t), *FRACTIONS_T)
            in_x = widths(Axis("x", grid.x, grid.length), *FRACTIONS_X)
            if in_t and in_x:
                rows = MovedRows(grid, columns, (in_t[wide], in_x[wide]))
                own = float(middle(rows.residual(form, 0.0)).nan_to_num(torch.inf))
                if own <= delta / 4:
                    return rows, own
    return None, own
