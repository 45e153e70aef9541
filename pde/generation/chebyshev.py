"""Systems of evolution equations between two walls: Chebyshev's polynomials in space, exponential Runge-Kutta in time.

The unknowns are polynomials through the nodes ``x_j = L (1 - cos(pi j/n))/2``. At the walls an unknown keeps the values
it starts with (Dirichlet), or a slope of 0 (Neumann), which gives its end values by the inner ones; what is stepped are
the inner ones,

    y_t = L y + N(t, y),        u = E y + g,

with g the values that are kept. See Trefethen, *Spectral Methods in MATLAB* (2000), chapters 6 and 13.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
import torch

from symflow.errors import UserError

from ..equations import Equation, variable
from .integrator import Array, _compiled
from .stepping import State, Stepper, phi_functions
from .systems import system_of

MOST_NODES = 1024  # times variables: the exponentials of the linear part are dense
SHORT, GROWS = 1e4, 1e-3  # half waves between the walls, and a rate of growth over the largest rate
BLEND = 9  # degree of the polynomials that rational interpolation blends
SECOND = 2  # the order in x that one condition at each of two walls closes


class BetweenWalls(Stepper):
    """A system on Chebyshev's nodes between x = 0 and x = length.

    Args:
        equation: a system that `system_of` knows, of order 2 in x in every unknown.
        length: between the walls.
        points: Chebyshev's nodes, and nodes of the uniform grid of values, both ends included.
        kinds: "dirichlet" or "neumann" for each unknown.
        kept: what the variables of the state keep at their ends, ``[variables, 2]``; used where they are Dirichlet.

    Raises:
        UserError: as of `system_of`; or an order that two walls do not close.
    """

    def __init__(
        self, equation: Equation, length: float, points: int, kinds: Mapping[str, str], kept: Array | None = None
    ) -> None:
        super().__init__()
        self.equation, self.system, self.points, self.gain = equation, system_of(equation), (points,), 3.0
        q, names = len(self.system.state), equation.space.dependent
        i_t = equation.space.independent.index("t")
        if self.system.axes != ("x",) or self.system.given:
            raise UserError(
                f"cannot solve {equation.text!r} between walls: each unknown must have a derivative in t, and x must "
                "be the only axis"
            )
        if q * points > MOST_NODES:
            raise UserError(f"`resolution` must be at most {MOST_NODES // q} between walls, got {points}")
        for a, name in enumerate(names):
            orders = [sum(i) - i[i_t] for F in equation.residuals for b, i in equation.space.indices(F) if a == b]
            if (order := max(orders, default=0)) != SECOND:
                raise UserError(
                    f"cannot solve {equation.text!r} between walls: they close equations with {name}_xx and no higher "
                    f"derivative, this one has order {order} in {name}"
                )
        self.x = length * (1 - np.cos(np.pi * np.arange(points) / (points - 1))) / 2
        D = difference_matrix(self.x)
        self.powers = [np.eye(points), D, D @ D]
        self.extensions = [_extension(D, kinds[names[a]]) for a, _ in self.system.state]
        ends = np.zeros((q, 2)) if kept is None else kept
        self.ends = np.zeros((q, points))
        for n, (a, _) in enumerate(self.system.state):
            if kinds[names[a]] == "dirichlet":
                self.ends[n, [0, -1]] = ends[n]
        inner = points - 2
        self.L = np.zeros((q * inner, q * inner))
        self.constant = np.zeros((q, inner))
        for (row, column), terms in self.system.linear.items():
            whole = np.sum([c * self.powers[index[0]] for index, c in terms.items()], 0)[1:-1]
            at = slice(row * inner, (row + 1) * inner), slice(column * inner, (column + 1) * inner)
            self.L[at] = whole @ self.extensions[column]
            self.constant[row] += whole @ self.ends[column]
        if self._grows(SHORT * np.pi / length):
            raise UserError(
                f"cannot solve {equation.text!r} forwards in time: short waves grow without bound; check the sign of "
                "the highest even derivatives"
            )
        self.rates = [None if N == 0 else _compiled(N) for N in self.system.rest]
        last = (np.arange(points) == 0) | (np.arange(points) == points - 1)
        weights = ((-1.0) ** np.arange(points) * np.where(last, 0.5, 1.0)).astype(np.float64)
        self.uniform = interpolation_matrix(self.x, np.linspace(0.0, length, points), weights)

    def _grows(self, k: float) -> bool:
        """Whether waves of a wavenumber do, in the linear part."""
        q = len(self.system.state)
        symbol = np.zeros((q, q), complex)
        for place, terms in self.system.linear.items():
            symbol[place] = sum(c * (1j * k) ** index[0] for index, c in terms.items())
        rates = np.linalg.eigvals(symbol)
        return bool(rates.real.max() > GROWS * np.abs(rates).max())

    def phi(self, h: float) -> list[State]:
        """Dense matrices of the inner values of all variables."""
        return [np.ascontiguousarray(top) for top in phi_functions(torch.from_numpy(self.L * h))]

    def times(self, matrix: State, y: State) -> State:
        """A product."""
        found: State = (matrix @ y.reshape(-1)).reshape(y.shape)
        return found

    def whole(self, y: State) -> Array:
        """All nodes, ``[variables, points]``, of the inner values ``[variables, points - 2]``."""
        return np.stack([E @ row for E, row in zip(self.extensions, y, strict=True)]) + self.ends

    def nonlinear(self, y: State, t: float) -> State:
        """N, and what the values that are kept add to the linear part."""
        u = self.whole(y)
        values: dict[sympy.Symbol, Any] = {variable("t"): t, variable("x"): self.x}
        values |= {symbol: self.powers[index[0]] @ u[n] for symbol, (n, index) in self.system.symbols.items()}
        found: State = self.constant.copy()
        for n, rate in enumerate(self.rates):
            if rate is not None:
                found[n] += np.broadcast_to(np.asarray(rate(values), float), self.x.shape)[1:-1]
        return found

    def start(self, initial: Array) -> State:
        """The inner ones of values at Chebyshev's nodes."""
        return np.ascontiguousarray(initial[:, 1:-1])

    def on_grid(self, y: State) -> Array:
        """On the uniform grid."""
        u = self.whole(y)
        columns = [u[n] for n, (_, j) in enumerate(self.system.state) if j == 0]
        return np.stack([self.uniform @ column for column in columns], -1)

    def tail(self, y: State) -> float:
        """Of the coefficients of Chebyshev's polynomials."""
        u = self.whole(y)
        size = np.abs(np.fft.rfft(np.concatenate([u, u[:, -2:0:-1]], -1), norm="forward"))
        last = size[:, -max(size.shape[1] // 8, 1) :]
        return float(last.max() / (size.max() or 1.0))


def difference_matrix(x: Array) -> Array:
    """The derivative of the polynomial through Chebyshev's nodes, rows that sum to 0 (Trefethen 2000, chapter 6)."""
    n = len(x)
    c = np.where((np.arange(n) == 0) | (np.arange(n) == n - 1), 2.0, 1.0) * (-1.0) ** np.arange(n)
    D: Array = np.outer(c, 1 / c) / (x[:, None] - x + np.eye(n))
    D -= np.diag(D.sum(1))
    return D


def _extension(D: Array, kind: str) -> Array:
    """E: all nodes of the inner ones, with ends of 0 or the ends where the slope is 0."""
    n = len(D)
    E: Array = np.eye(n)[:, 1:-1]
    if kind == "neumann":
        ends = [0, n - 1]
        E[ends] = np.linalg.solve(D[np.ix_(ends, ends)], -D[ends, 1:-1])
    return E


def from_uniform(values: Array) -> Array:
    """At Chebyshev's nodes, of values ``[..., n]`` on as many uniform ones, by rational functions of order 10.

    Floater and Hormann, Numer. Math. 107 (2007): no polynomial through many uniform nodes is stable.
    """
    n = values.shape[-1]
    d = min(BLEND, n - 1)
    weights = [sum(math.comb(d, k - i) for i in range(max(0, k - d), min(n - 1 - d, k) + 1)) for k in range(n)]
    nodes, places = np.linspace(0.0, 1.0, n), (1 - np.cos(np.pi * np.arange(n) / (n - 1))) / 2
    signed = (-1.0) ** np.arange(n) * np.array(weights, float)
    found: Array = values @ interpolation_matrix(nodes, places, signed).T
    found[..., [0, -1]] = values[..., [0, -1]]
    return found


def interpolation_matrix(nodes: Array, places: Array, weights: Array) -> Array:
    """From nodes to other places by the barycentric formula with these weights."""
    apart = places[:, None] - nodes
    same = apart == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = weights / apart
        found: Array = parts / parts.sum(1, keepdims=True)
    found[same.any(1)] = same[same.any(1)]
    return found
