"""Every function that a formula may hold has values on data and in the solvers."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
import torch

from symflow.formulas.expressions import OWN
from symflow.pde.generation.integrator import _compiled
from symflow.pde.weak import FUNCTIONS

x = sympy.Symbol("x", real=True)


@pytest.mark.parametrize("function", OWN, ids=lambda f: f.__name__)
@pytest.mark.parametrize("at", [0.3, 1.7])
def test_values(function, at):
    formula = function(x)
    expected = complex(formula.subs(x, sympy.Float(at)))
    if expected.imag:
        pytest.skip("not real here")
    assert np.allclose(_compiled(formula)({x: np.array([at])}), expected.real)
    assert np.allclose(FUNCTIONS[formula.func.__name__](torch.tensor([at], dtype=torch.float64)), expected.real)
