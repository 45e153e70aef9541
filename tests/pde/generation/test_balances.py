"""The balances that formulas imply."""

from __future__ import annotations

import sympy

from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.equations.equation import Equation, t, x
from symflow.pde.generation import balances


def test_balances():
    names = {name: [b.name for b in balances.balances(e.equation)] for name, e in CATALOGUE.items()}
    both = ["mean of u", "mean of u^2"]
    assert names == {"kdv": both, "ks": ["mean of u"], "burgers": ["mean of u"], "nkdv": both, "ckdv": both}
    (mean, square) = balances.balances(CATALOGUE["ckdv"].equation)
    assert sympy.simplify(mean.decay * sympy.sqrt(t + 1)) == 1
    assert sympy.simplify(square.decay * (t + 1)) == 1
    assert balances.balances(Equation("u_t + u*u_x + sin(x) = u_xx")) == ()
    assert x not in mean.decay.free_symbols
