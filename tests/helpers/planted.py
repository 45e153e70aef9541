"""Small data of laws near KdV, and fields that are nearly their symmetries."""

from functools import lru_cache

import sympy

from symflow.pde import Trajectories, generate
from symflow.pde.equations import t, u, x

SMALL = {"length": 64.0, "end": 20.0, "steps": 60, "keep": 50, "resolution": 160}
NO, ONE = sympy.Integer(0), sympy.Integer(1)
ALONG = {"dx": ONE, "dt": NO, "du": NO}
LATER = {"dx": NO, "dt": ONE, "du": NO}
BOOST = {"dx": t, "dt": NO, "du": ONE}
SCALING = {"dx": x, "dt": 3 * t, "du": -2 * u}
LOUDER = {"dx": NO, "dt": NO, "du": u}


@lru_cache
def small(equation: str, samples: int = 6) -> Trajectories:
    return generate(equation, samples, 0, **SMALL)


def damped(eps: float) -> Trajectories:
    """Of KdV with a little viscosity: the scaling of KdV is nearly a symmetry."""
    return small(f"u_t + u*u_x + u_xxx = {eps}*u_xx")
