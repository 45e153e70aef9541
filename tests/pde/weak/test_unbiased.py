"""Formulas of noisy values beside the means that Gauss and Hermite give them."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
import torch

from symflow.pde.equations import JetSpace
from symflow.pde.trajectories import Axis
from symflow.pde.weak import Samples
from symflow.pde.weak.unbiased import unbiased

x, u, v = sympy.symbols("x u v")
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
SIGMA = {u: 0.5, v: 0.3}
AT = {u: 0.7, v: 0.2, x: 1.3}


def mean(formula, unknowns):
    """Of what is said of noisy values, over the noise."""
    g, variances = unbiased(formula, unknowns)
    noisy = np.meshgrid(*(AT[w] + SIGMA[w] * NODES for w in unknowns), indexing="ij")
    weights = np.prod(np.meshgrid(*(WEIGHTS for _ in unknowns), indexing="ij"), axis=0)
    others = {w: value for w, value in AT.items() if w not in unknowns}
    values = sympy.lambdify((*unknowns, *variances), g.subs(others), "numpy")
    return float((weights * values(*noisy, *(SIGMA[w] ** 2 for w in unknowns))).sum())


@pytest.mark.parametrize(
    "formula",
    [
        u**2,
        u**7 + u * v**3,
        u**2 * v**2 / 2,
        sympy.exp(u) / 3 - 1,
        x * u**3 * sympy.exp(u - 2 * v),
        sympy.sin(u),
        x**2 * sympy.sin(x * u) + sympy.sqrt(x) * sympy.cos(3 * v),
        u * v * sympy.cos(2 * u),
        sympy.sin(u) ** 2 * sympy.exp(v / 2),
        u**2 * sympy.cosh(u),
        sympy.sin(u) * sympy.cos(v),
    ],
)
@pytest.mark.parametrize("unknowns", [(u, v), (u,)])
def test_the_mean_is_the_formula(formula, unknowns):
    exact = float(formula.subs(AT))
    assert mean(formula, unknowns) == pytest.approx(exact, rel=1e-11, abs=1e-11)


def test_without_noise_nothing_changes():
    for formula in (u**3 * v, sympy.exp(u) * v, sympy.sin(u) + u**2, sympy.log(u) + 1 / v):
        g, variances = unbiased(formula, (u, v))
        at = AT | dict.fromkeys(variances, 0.0)
        assert float(g.subs(at)) == pytest.approx(float(formula.subs(AT)), rel=1e-15)
        assert unbiased(formula, ()) == (sympy.expand(formula), ())


def test_of_other_functions_the_first_order_is_taken():
    g, (s,) = unbiased(u**2 * sympy.log(u) + u**4, (u,))
    exact = u**2 * sympy.log(u) - s / 2 * sympy.diff(u**2 * sympy.log(u), u, 2) + u**4 - 6 * s * u**2 + 3 * s**2
    assert sympy.simplify(g - exact) == 0


def test_products_that_would_fill_pages_are_left_to_the_first_order():
    formula = sympy.Mul(*(sympy.sin(n * u) for n in range(1, 9)))
    g, (s,) = unbiased(formula, (u,))
    assert sympy.expand(g - formula + s / 2 * sympy.diff(formula, u, 2)) == 0


def test_values_on_a_grid():
    """The mean over many noisy nodes."""
    nodes = 40_000
    space = JetSpace(("t",), ("u",))
    noise = torch.randn(nodes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    samples = Samples(space, (Axis("t", torch.arange(nodes, dtype=torch.float64)),), (0.3 + 0.6 * noise)[None, None])
    sigma = torch.tensor([0.6], dtype=torch.float64)
    found = samples.evaluate(sympy.exp(space.symbol(0, (0,))), 0, sigma)
    spread = float(found.std()) / nodes**0.5
    assert abs(float(found.mean()) - np.exp(0.3)) < 3 * spread
    assert (
        abs(float(samples.evaluate(sympy.exp(space.symbol(0, (0,))), 0, 0 * sigma).mean()) - np.exp(0.3)) > 20 * spread
    )
