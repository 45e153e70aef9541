"""The determining condition of a law as a polynomial in its unknown coefficients, at every point of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.formulas import expressions

from ..equations import Jets, derivative_symbol, highest_derivative, t, total_derivative_x, u, x
from ..symmetries import by_trajectory, displacement
from ..weak import FUNCTIONS

COMPONENTS = ("dx", "dt", "du")


@dataclass(frozen=True)
class Polynomial:
    """The determining condition of one field as a polynomial in theta, at N points and for J terms.

    ``R_theta = constant + theta linear + theta quadratic theta``; ``constant [N]``, ``linear [J, N]``,
    ``quadratic [J, J, N]``, symmetric in the terms.
    """

    constant: Tensor
    linear: Tensor
    quadratic: Tensor

    def __call__(self, theta: Tensor) -> Tensor:
        """R at a law ``[J]``, ``[N]``."""
        return self.constant + theta @ (self.linear + torch.einsum("k,ikn->in", theta, self.quadratic))

    def derivative(self, theta: Tensor) -> Tensor:
        """dR/dtheta at a law, ``[J, N]``."""
        return self.linear + 2 * torch.einsum("k,ikn->in", theta, self.quadratic)

    def __truediv__(self, scale: float | Tensor) -> Polynomial:
        """R divided by one number, or by one for each point, ``[N]``."""
        return Polynomial(self.constant / scale, self.linear / scale, self.quadratic / scale)


@dataclass(frozen=True)
class Prolonged:
    """What the determining condition needs of terms m_j at points, whatever the field.

    ``rates [J, n + 1, N]``: ``D_x^k m_j``; ``sensitivities [J, n + 1, N]``: ``dm_j/du_k``; ``explicit [2, J, N]``:
    ``dm_j/dx`` and ``dm_j/dt`` at fixed jet; n the highest order of the terms.
    """

    jets: Jets
    rates: Tensor
    sensitivities: Tensor
    explicit: Tensor

    @property
    def order(self) -> int:
        """The highest x-derivative in the terms."""
        return self.sensitivities.shape[1] - 1

    def vectors(self, field: Sequence[sympy.Expr]) -> Tensor:
        """The vectors of a field at the points, ``[N, 3]``."""
        return torch.stack([_evaluate(f, self.jets) for f in field], -1)

    def polynomial(self, field: Sequence[sympy.Expr]) -> Polynomial:
        """The condition for ``xi d/dx + tau d/dt + phi d/du``, expressions in x, t, u.

        With ``u_t = -sum theta_i m_i`` and q_m the part of ``D_x^m Q`` without theta, ``D_x^m Q = q_m + theta_i q_im``,

            R_0  = phi_t - xi_t u_x
            R_i  = (xi_u u_x + tau_t - phi_u) m_i + xi D_x m_i + tau dm_i/dt + sum_m (dm_i/du_m) q_m
            R_ik = -tau_u m_i m_k + sum_m (dm_i/du_m) (q_km - tau D_x^m m_k),    q_km = D_x^m (tau m_k).
        """
        xi, tau, phi = field
        n, S, D = self.order, self.sensitivities, self.rates
        u_ = self.jets.u

        def e(f: sympy.Expr) -> Tensor:
            return _evaluate(f, self.jets)

        xi_, tau_, phi_ = (_along(f, n, self.jets) for f in field)
        free = torch.stack(
            [phi_[m] - sum(math.comb(m, l) * xi_[m - l] * u_[l + 1] for l in range(m + 1)) for m in range(n + 1)]
        )
        # D_x^m (tau m_k) - tau D_x^m m_k
        through = torch.stack(
            [
                sum((math.comb(m, l) * tau_[m - l] * D[:, l] for l in range(m)), torch.zeros_like(D[:, 0]))
                for m in range(n + 1)
            ],
            1,
        )
        constant = e(_derivative(phi, t)) - e(_derivative(xi, t)) * u_[1]
        factor = e(_derivative(xi, u)) * u_[1] + e(_derivative(tau, t)) - e(_derivative(phi, u))
        linear = factor * D[:, 0] + xi_[0] * D[:, 1] + tau_[0] * self.explicit[1] + torch.einsum("imn,mn->in", S, free)
        quadratic = torch.einsum("imn,kmn->ikn", S, through)
        quadratic = quadratic - e(_derivative(tau, u)) * D[:, None, 0] * D[None, :, 0]
        return Polynomial(constant, linear, (quadratic + quadratic.transpose(0, 1)) / 2)

    def size(self, theta: Tensor, field: Sequence[sympy.Expr]) -> float:
        """W: the RMS of the terms of R at a law."""
        n, u_ = self.order, self.jets.u
        rate = -torch.einsum("i,ijn->jn", theta, self.rates)
        S = torch.einsum("i,imn->mn", theta, self.sensitivities)
        # with respect to xi, tau and phi itself: dK/dx and dK/dt at fixed jet, and dK/du; then to their derivatives
        K_x, K_t = torch.einsum("i,cin->cn", theta, self.explicit)
        squares = torch.zeros_like(self.jets.x)
        for b, (f, own, derivatives) in enumerate(zip(field, (K_x, K_t, S[0]), (u_[1:], rate, None), strict=True)):
            along = _along(f, n, self.jets)
            squares = squares + (own * along[0]) ** 2
            for j in range(1, n + 1):
                if derivatives is None:
                    C = S[j]
                else:
                    C = sum((math.comb(m, j) * S[m] * derivatives[m - j] for m in range(j, n + 1)), 0 * S[j])
                squares = squares + (C * along[j]) ** 2
            f_t = _evaluate(_derivative(f, t), self.jets) + _evaluate(_derivative(f, u), self.jets) * rate[0]
            squares = squares + ((-u_[1], -rate[0], torch.ones_like(u_[0]))[b] * f_t) ** 2
        return float(squares.mean().sqrt())


@lru_cache(maxsize=4096)
def _derivative(f: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr:
    return sympy.diff(f, variable)


@lru_cache(maxsize=1024)
def _total_derivative(f: sympy.Expr) -> sympy.Expr:
    return total_derivative_x(f)


def _evaluate(expression: sympy.Expr, jets: Jets) -> Tensor:
    at = {x: jets.x, t: jets.t} | {derivative_symbol(m): value for m, value in enumerate(jets.u)}
    # strict: a number becomes an expression, and a text is refused, never parsed
    value = expressions.evaluate(sympy.sympify(expression, strict=True), at, FUNCTIONS)
    found: Tensor = torch.zeros_like(jets.x) + value
    return found


def _along(f: sympy.Expr, order: int, jets: Jets) -> Tensor:
    """``D_x^j f`` at points, j = 0 ... order."""
    values = []
    for _ in range(order + 1):
        values.append(_evaluate(f, jets))
        f = _total_derivative(f)
    return torch.stack(values)


def jet_order(terms: Sequence[sympy.Expr]) -> int:
    """The highest x-derivative of u that `prolong` needs: twice the terms' order."""
    return 2 * max(1, *(highest_derivative(m) for m in terms))


def prolong(terms: Sequence[sympy.Expr], jets: Jets) -> Prolonged:
    """The terms and their derivatives at points with derivatives of u up to `jet_order`."""
    n = max(1, *(highest_derivative(m) for m in terms))
    rates, sensitivities, explicit = [], [], []
    for term in terms:
        sensitivities.append(
            torch.stack([_evaluate(_derivative(term, derivative_symbol(m)), jets) for m in range(n + 1)])
        )
        explicit.append(torch.stack([_evaluate(_derivative(term, variable), jets) for variable in (x, t)]))
        rates.append(_along(term, n, jets))
    return Prolonged(jets, torch.stack(rates), torch.stack(sensitivities), torch.stack(explicit, 1))


def relative_condition(prolonged: Prolonged, theta: Tensor, field: Sequence[sympy.Expr]) -> Polynomial:
    """The condition divided so that its norm over the points is the defect; theta are the claimed coefficients.

    Raises:
        UserError: the field is zero or not finite on the points, or has terms only at other laws than the claimed.
    """
    text = f"({', '.join(map(str, field))}) for dx, dt, du"
    parts = torch.stack([_evaluate(f, prolonged.jets) for f in field])
    if not bool(parts.isfinite().all()) or not bool(parts.any()):
        raise UserError(f"a generator must be finite and not zero on the data, got {text}")
    condition, size = prolonged.polynomial(field), prolonged.size(theta, field)
    # what is 0 by cancellation: xi D_x m and (dm/du_m) xi u_(m+1) in the condition of a translation
    smallest = 1e-12 * float(prolonged.rates.abs().max() * parts.abs().max())
    if size <= smallest:
        parts_of_R = (condition.constant, condition.linear, condition.quadratic)
        if max(float(part.abs().max()) for part in parts_of_R) > smallest:
            raise UserError(f"the equation has no term that {text} could violate, but laws near it do")
        size = math.inf
    return condition / (size * math.sqrt(len(prolonged.jets)))


def growth_condition(
    prolonged: Prolonged, theta: Tensor, field: Sequence[sympy.Expr], trajectory: Tensor, box: Sequence[float]
) -> Polynomial:
    """The condition divided so that its norm over the points is the growth of the residual of moved data.

        growth^2 = mean_s (RMS_s(R)/(T_s |V|))^2,    T_s = RMS_s sqrt(u_t^2 + sum_j (theta_j m_j)^2),

    over points of the trajectories s: the residual, relative to the terms of the equation, that the data acquire per
    unit of length that the flow moves them, |V| being the RMS of the velocity with x, t, u in units of a box; the mean
    square over trajectories of `pde.symmetries.defects`.

    Args:
        prolonged: at N points.
        theta: the claimed coefficients.
        field: finite and not zero on the points (`relative_condition`).
        trajectory: of each point, ``[N]``, numbered from 0.
        box: the units of x, t and u.
    """
    terms = theta[:, None] * prolonged.rates[:, 0]
    size = by_trajectory(terms.square().sum(0) + terms.sum(0).square(), trajectory)
    length = displacement(torch.stack([_evaluate(f, prolonged.jets) for f in field], -1), box)
    # a trajectory at rest has R = 0: its points say nothing
    unit = size.clamp_min(1e-12 * float(size.max()) or 1.0)[trajectory]
    return prolonged.polynomial(field) / (unit * length * math.sqrt(len(unit)))
