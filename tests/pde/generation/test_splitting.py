"""The parts of an equation add up to it."""

from __future__ import annotations

import sympy

from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.equations.equation import Equation, t, u
from symflow.pde.generation import splitting

KDV = CATALOGUE["kdv"].equation


def test_split():
    kdv = splitting.split(KDV)
    assert kdv.stiff == (0.0, 0.0, 0.0, -1.0)
    assert kdv.fluxes == (splitting.Flux(-sympy.Rational(1, 2), 1, u**2),)
    nkdv = splitting.split(CATALOGUE["nkdv"].equation)
    assert sympy.simplify(nkdv.clock - sympy.exp(t / 50)) == 0
    assert sympy.simplify(nkdv.elapsed - 50 * (sympy.exp(t / 50) - 1)) == 0
    assert nkdv.autonomous
    ckdv = splitting.split(CATALOGUE["ckdv"].equation)
    assert not ckdv.autonomous
    assert [m for m, _ in ckdv.varying] == [0]


def test_split_adds_up_to_the_equation():
    """clock (stiff + varying + fluxes) is -K, by symbols: nothing is lost on the way."""
    from symflow.pde.equations.equation import derivative_symbol, total_derivative_x

    for text in [e.text for e in CATALOGUE.values()] + ["u_t + u**2*u_x*exp(t) + x*u + u_x**2 + exp(t)*u_xxxx = 0"]:
        equation = Equation(text, **({"nu": 0.01} if "nu" in text else {}))
        parts = splitting.split(equation)
        total = sum(c * derivative_symbol(m) for m, c in enumerate(sympy.nsimplify(c) for c in parts.stiff))
        total += sum(a * derivative_symbol(m) for m, a in parts.varying)
        for flux in parts.fluxes:
            density = flux.density
            for _ in range(flux.order):
                density = total_derivative_x(density)
            total += flux.coefficient * density
        assert sympy.simplify(sympy.expand(parts.clock * total + equation.K)) == 0
