"""Data on axes: unknowns at the nodes of a grid, their derivatives, and values of formulas whose mean noise shifts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.formulas import expressions

from ..equations import Index, JetSpace, variable
from ..trajectories import Axis, Trajectories, differences, fourier_derivative
from .smoothing import SIGNAL, kept_modes
from .unbiased import unbiased

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(torch, name)
    for name in (
        *("exp", "log", "sin", "cos", "tan", "tanh", "sqrt", "sinh", "cosh", "sign", "erf"),
        *("asin", "acos", "atan", "asinh", "acosh", "atanh"),
    )
} | {"Abs": torch.abs}
"""Those of `symflow.formulas.expressions`, by sympy's names."""


@dataclass(frozen=True)
class Samples:
    """Solutions on one grid: ``values[s, a, i_1, ..., i_d]`` is unknown a of trajectory s at the nodes of the axes.

    Args:
        space: the variables, the independent ones in the order of the axes.
        axes: one per independent variable; time is one of them.
        values: ``[S, unknowns, n_1, ..., n_d]``, float64. Values that are not finite are missing.
        missing: ``[S, n_1, ..., n_d]``, further nodes that hold nothing; test functions that touch them are left out.

    Raises:
        UserError: shapes that do not match.
    """

    space: JetSpace
    axes: tuple[Axis, ...]
    values: Tensor
    missing: Tensor | None = None

    def __post_init__(self) -> None:
        values = torch.as_tensor(self.values, dtype=torch.float64)
        shape = [len(self.space.dependent), *map(len, self.axes)]
        if tuple(a.name for a in self.axes) != self.space.independent:
            names = ", ".join(self.space.independent)
            raise UserError(f"`axes` must be {names}, got {', '.join(a.name for a in self.axes)}")
        if values.ndim != len(shape) + 1 or list(values.shape[1:]) != shape or len(values) == 0:
            raise UserError(f"`values` must have shape [samples, {str(shape)[1:-1]}], got {list(values.shape)}")
        missing = ~values.isfinite().all(1)
        if self.missing is not None:
            missing = missing | torch.as_tensor(self.missing, dtype=torch.bool)
        if bool(missing.any()):  # 0 times NaN is NaN: filled before any sum
            values = torch.where(missing[:, None], torch.zeros((), dtype=torch.float64), values)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "missing", missing if bool(missing.any()) else None)

    @staticmethod
    def of(data: Trajectories, terms: Sequence[sympy.Expr] = (), *, torn: Collection[str] = ()) -> Samples:
        """The unknowns of trajectories on t and the axes of space.

        Convention: an axis does not wrap where a term holds it, for that has no period. One stored time is no axis
        where the equation knows no t.

        Args:
            data: the trajectories.
            terms: in their variables.
            torn: names of axes whose ends do not meet, which do not wrap either.
        """
        unknowns = data.equation.space.dependent
        axes = [
            Axis(a.name, a.nodes) if a.name in torn or any(m.has(variable(a.name)) for m in terms) else a
            for a in data.axes
        ]
        fixed = len(data.t) == 1 and "t" not in data.equation.space.independent
        if not fixed:
            axes.insert(0, Axis("t", data.t))
        space = JetSpace(tuple(a.name for a in axes), unknowns)
        several = [data.field(name) for name in unknowns]
        values = torch.stack(several, 1) if len(several) > 1 else several[0][:, None]
        missing = data.missing
        if fixed:
            values, missing = values.squeeze(2), None if missing is None else missing.squeeze(1)
        return Samples(space, tuple(axes), values, missing)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, which: Sequence[int] | slice) -> Samples:
        """Some of the trajectories."""
        missing = None if self.missing is None else self.missing[which]
        return Samples(self.space, self.axes, self.values[which], missing)

    def every_second(self, i: int) -> Samples | None:
        """Every second node of an axis; ``None`` where those do not close the period."""
        half = self.axes[i].half()
        if half is None:
            return None
        axes = (*self.axes[:i], half, *self.axes[i + 1 :])
        taken = self.values.index_select(i + 2, torch.arange(0, len(self.axes[i]), 2))
        missing = self.missing
        if missing is not None:
            missing = missing.index_select(i + 1, torch.arange(0, len(self.axes[i]), 2))
        return Samples(self.space, axes, taken, missing)

    def evaluate(self, f: sympy.Expr, s: int, sigma: Tensor, signal: float = SIGNAL) -> Tensor:
        """A formula of jet space on the grid of trajectory s, ``[n_1, ..., n_d]``.

        Without derivatives its mean is corrected for the noise of the unknowns (`unbiased`); with them, the unknowns
        are smoothed (`smoothed`) and differentiated.

        Args:
            f: in the variables of the space.
            s: which trajectory.
            sigma: ``[unknowns]``, standard deviations of the noise.
            signal: of the modes that are kept.
        """
        grid = [a.nodes.reshape([-1 if i == j else 1 for j in range(len(self.axes))]) for i, a in enumerate(self.axes)]
        at: dict[sympy.Symbol, Tensor] = dict(zip(self.space.variables, grid, strict=False))
        like = self.values[s, 0]
        wanted = self.space.indices(f)
        if any(sum(index) for _, index in wanted):
            for a, index in wanted:
                at[self.space.symbol(a, index)] = self.derivative(s, a, index, float(sigma[a]), signal)
            whole: Tensor = torch.zeros_like(like) + expressions.evaluate(f, at, FUNCTIONS)
            return whole
        unknowns = self.space.variables[len(self.axes) :]
        at |= dict(zip(unknowns, self.values[s], strict=True))
        noise = {w: float(v) ** 2 for w, v in zip(unknowns, sigma, strict=True) if f.has(w) and float(v) > 0}
        g, variances = unbiased(f, tuple(noise))
        at |= {v: torch.tensor(n, dtype=torch.float64) for v, n in zip(variances, noise.values(), strict=True)}
        found: Tensor = torch.zeros_like(like) + expressions.evaluate(g, at, FUNCTIONS)
        return found

    def derivative(self, s: int, unknown: int, index: Index, sigma: float, signal: float = SIGNAL) -> Tensor:
        """A derivative of an unknown on the grid, of modes above the noise; by differences along open axes."""
        v = self.smoothed(s, unknown, sigma, signal)
        for i, order in enumerate(index):
            v = self.along(v, i, order)
        return v

    def along(self, v: Tensor, i: int, order: int) -> Tensor:
        """The order-th derivative along axis i of values that have all its nodes, ``[n_1, ..., n_d]`` or fewer."""
        if order == 0:
            return v
        axis = self.axes[i]
        if axis.period is None or self.missing is not None:
            return differences(axis, order).of(v, i)
        return fourier_derivative(v, axis.period, order, i)

    def smoothed(self, s: int, unknown: int, sigma: float, signal: float) -> Tensor:
        """An unknown without the modes of the periodic axes that are lost in noise (`smoothing`)."""
        v = self.values[s, unknown]
        dims = [i for i, a in enumerate(self.axes) if a.period is not None]
        if not dims or self.missing is not None:
            return v
        spectrum = torch.fft.fftn(v, dim=dims, norm="forward")
        open_ = [i for i in range(v.ndim) if i not in dims]
        power = spectrum.real.square() + spectrum.imag.square()
        power = power.mean(open_, keepdim=True) if open_ else power
        noise = sigma**2 / math.prod(v.shape[i] for i in dims)
        kept = kept_modes(power, noise, math.prod(v.shape[i] for i in open_), signal)
        found: Tensor = torch.fft.ifftn(torch.where(kept, spectrum, 0), dim=dims, norm="forward").real
        return found

    def unchanging(self, s: int) -> bool:
        """Whether every unknown is one number, up to rounding."""
        v = self.values[s].flatten(1)
        return bool((v.amax(1) - v.amin(1) <= 1e-13 * v.abs().amax(1)).all())
