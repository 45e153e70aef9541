"""The two sides of an evolution equation on a grid: u_t by differences in t, K by spectral derivatives in x."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from symflow.errors import UserError

from .derivatives import difference_weights

if TYPE_CHECKING:
    from .data import Trajectories


class BothSides:
    """``u_t`` and ``K`` of values ``[T, X]`` on the grid of some data, at times that have enough on either side.

    u_t is by central differences of an even order, K by spectral x-derivatives; they cancel on solutions.

    Raises:
        UserError: the order is odd, or there are not enough times for it.
    """

    def __init__(self, data: Trajectories, order: int) -> None:
        data.require_line("a residual by differences")
        times, half = len(data.t), order // 2
        if order < 2 or order % 2 or times < order + 1:
            raise UserError(f"`order` must be even and below the number of times {times}, got {order}")
        self.equation, self.points, self.order = data.equation, len(data.x), order
        self.inside, self._near = slice(half, times - half), slice(half - 1, times - half + 1)
        self.weights = difference_weights(data.t, order)
        self._simple = difference_weights(data.t[self._near], 2)
        self._x, self._t = torch.broadcast_tensors(data.x, data.t[self.inside, None])
        self._ik = 1j * data._wavenumbers()

    def u_t(self, u: Tensor) -> Tensor:
        """``[T, X]`` to ``[T - order, X]``."""
        return torch.einsum("txw,tw->tx", u.unfold(0, self.order + 1, 1), self.weights)

    def simple_u_t(self, u: Tensor) -> Tensor:
        """The same by differences of order 2."""
        return torch.einsum("txw,tw->tx", u[self._near].unfold(0, 3, 1), self._simple)

    def K(self, v: Tensor) -> Tensor:
        """From the coefficients ``[T - order, modes]`` of `filtered` at the times ``inside``."""
        orders = range(self.equation.order + 1)
        derivatives = [torch.fft.irfft(v * self._ik**m, self.points, norm="forward") for m in orders]
        return self.equation.residual(self._x, self._t, derivatives, torch.zeros_like(self._x))

    def round_off(self, u: Tensor) -> float:
        """What rounding may leave of u_t."""
        return 100 * torch.finfo(torch.float64).eps * float(u.abs().max() * self.weights.abs().max())
