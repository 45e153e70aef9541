"""Finite symmetries of equations as a user would write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symflow.pde import CATALOGUE, Equation

exp, log = np.exp, np.log

SINE_GORDON = Equation("u_tt - u_xx + sin(u) = 0")
ALLEN_CAHN = Equation("u_t = u_xx + u_yy + u - u**3")
NLS = Equation("u_t + v_xx + (u**2+v**2)*v = 0; v_t - u_xx - (u**2+v**2)*u = 0")
KDV = CATALOGUE["kdv"].equation


def of(name: str | Equation) -> Equation:
    return CATALOGUE[name].equation if isinstance(name, str) else name


def ckdv_projective(x: Any, t: Any, u: Any, e: float) -> Any:
    """``x sqrt(T)/2 dx + T^(3/2) dt + (x - 4 T u)/(4 sqrt(T)) du``, T = t + 1.

    In ``q = T^(-1/2)``: q goes to q - e/2, and x q stays.
    """
    q = (t + 1) ** -0.5
    r = q - e / 2
    return x * q / r, r**-2 - 1, (u - x * q**2 / 2) * (r / q) ** 2 + x * q * r / 2


def slow(t: Any) -> Any:
    return 50 * (exp(t / 50) - 1)


def nkdv_scaling(x: Any, t: Any, u: Any, e: float) -> Any:
    return x * exp(e), 50 * log(1 + slow(t) * exp(3 * e) / 50), u * exp(-2 * e)


def along_x(x: Any, t: Any, u: Any, e: float) -> Any:
    return x + e, t, u


def along_t(x: Any, t: Any, u: Any, e: float) -> Any:
    return x, t + e, u


def boost(x: Any, t: Any, u: Any, e: float) -> Any:
    return x + e * t, t, u + e


def scaling(n: int, m: int) -> Callable[..., Any]:
    return lambda x, t, u, e: (x * exp(e), t * exp(n * e), u * exp(m * e))
